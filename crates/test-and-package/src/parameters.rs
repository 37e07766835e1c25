//! The action's `UserParameters`.

use std::path::{Component, Path, PathBuf};

use towpath_job::{Artifact, FromQuery, ParameterError, Query};
use towpath_release::Origin;
use towpath_report::{Gate, Pattern};
use towpath_tool::task::RUNNERS;

use crate::release::{CONTENTS, DOCUMENT};

/// What `UserParameters` say. Paths are relative to `dir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `task` or `command`: what is to be run.
    pub work: Work,
    /// `dir`: where in the source the project lies. Default: its root.
    pub directory: PathBuf,
    /// `Env.NAME`: what the tasks find in their environment, in the order written.
    pub environment: Vec<(String, String)>,
    /// `report`, `coverage` and `min-coverage`: what is asked of the tasks beside their exit codes.
    pub gate: Gate,
    /// `<output artifact>=path`: what goes into each output artifact.
    pub outputs: Vec<Output>,
    /// `template`: the template to package, for the first output artifact without a path.
    pub template: Option<Output>,
    /// `release-bucket` and `release-prefix`: where the template's local code goes.
    pub release: Release,
    /// `repository` and `commit`: what the release is made of. Blank is not known.
    pub origin: Origin,
    /// `execution`: the pipeline execution that makes it. Blank is not known.
    pub execution: Option<String>,
    /// `omit-dev`: whether what only development needs is removed before anything is packaged.
    pub omit_dev: bool,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// `task`: tasks of the project, one after the other; `runner`: what runs them, else told by
    /// the project's files.
    Tasks {
        /// At least one.
        names: Vec<String>,
        /// One of [`RUNNERS`], and not `command`.
        runner: Option<&'static str>,
    },
    /// `command`, or `runner=command` with one `task`: a command as a shell understands it.
    Command(String),
}

/// A path for an output artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The artifact's name.
    pub artifact: String,
    /// Relative, without `.` and `..`; empty is the project's directory itself.
    pub path: PathBuf,
}

/// Where a template's local code goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Nothing: the function's environment says it, in [`Release::VARIABLE`].
    pub bucket: Option<String>,
    /// In front of the digest.
    pub prefix: String,
}

impl Release {
    /// The bucket for actions that name none.
    pub const VARIABLE: &'static str = "RELEASE_BUCKET";
}

impl Default for Release {
    fn default() -> Self {
        Self {
            bucket: None,
            prefix: "code".to_owned(),
        }
    }
}

const PATTERNS: &str =
    "a list of patterns of paths inside the source, relative to `dir`, such as `reports/*.xml`";
const TEMPLATE: &str = "a path inside the source, relative to `dir`; `release.json` and `contents.json` are the release's own files";
const INSIDE: &str = "a path inside the source, relative to `dir`";
/// An output artifact of such a name could not be told from the parameter.
const KEYS: [&str; 18] = [
    "compute",
    "project",
    "task",
    "command",
    "runner",
    "dir",
    "report",
    "coverage",
    "min-coverage",
    "template",
    "release-bucket",
    "release-prefix",
    "repository",
    "commit",
    "execution",
    "omit-dev",
    "timeout",
    "attempts",
];

impl FromQuery for Parameters {
    fn from_query(query: &mut Query, outputs: &[Artifact]) -> Result<Self, ParameterError> {
        let tasks = query.take("task");
        let command = query.take_filled("command");
        let runner = query.take_choice("runner", &RUNNERS.map(|name| (name, name)))?;
        let directory = query.take_as("dir", "a directory inside the source", inside)?;
        let environment = query.take_variables("Env.")?;
        let gate = gate(query)?;
        let template = query.take_as("template", TEMPLATE, template_inside)?;
        let bucket = query.take_filled("release-bucket");
        let prefix = query.take("release-prefix");
        let origin = Origin {
            repository: query.take_filled("repository"),
            commit: query.take_filled("commit"),
        };
        let execution = query.take_filled("execution");
        let omit_dev = query.take_choice("omit-dev", &[("true", true), ("false", false)])?;
        let (assigned, unassigned) = assign(query, outputs)?;

        let work = work(tasks.as_deref(), command, runner)?;
        let mut unassigned = unassigned.into_iter();
        let template = match template {
            None => None,
            Some(path) => {
                let artifact = unassigned.next().ok_or_else(|| no_room(outputs))?;
                Some(Output { artifact, path })
            }
        };
        if let Some(artifact) = unassigned.next() {
            // A key that nobody takes is probably this one, misspelt: then that is the message.
            return Err(if query.remaining().is_empty() {
                ParameterError::Conflict(format!(
                    "nothing is named for output artifact `{artifact}`: add `{artifact}=path` \
                     (what the tasks make), or `template=path` (the template to package)"
                ))
            } else {
                ParameterError::Missing(artifact)
            });
        }
        Ok(Self {
            work,
            directory: directory.unwrap_or_default(),
            environment,
            gate,
            outputs: assigned,
            template,
            release: Release {
                bucket,
                prefix: prefix.unwrap_or_else(|| Release::default().prefix),
            },
            origin,
            execution,
            omit_dev: omit_dev.unwrap_or(false),
        })
    }
}

fn gate(query: &mut Query) -> Result<Gate, ParameterError> {
    let reports = query.take_as("report", PATTERNS, patterns)?;
    let coverage = query.take_as("coverage", PATTERNS, patterns)?;
    let minimum = query.take_as(
        "min-coverage",
        "a percentage from 0 to 100, such as 80 or 87.5",
        |value| value.parse().ok(),
    )?;
    if minimum.is_some() && coverage.is_none() {
        return Err(ParameterError::Conflict(
            "`min-coverage` is given, but no `coverage` that says where the coverage report is"
                .to_owned(),
        ));
    }
    Ok(Gate {
        reports: reports.unwrap_or_default(),
        coverage: coverage.unwrap_or_default(),
        minimum,
    })
}

/// At least one: a gate that is named is there.
fn patterns(value: &str) -> Option<Vec<Pattern>> {
    let patterns = value.split(',').map(str::trim);
    let patterns: Vec<Pattern> = patterns
        .filter(|pattern| !pattern.is_empty())
        .map(|pattern| pattern.parse().ok())
        .collect::<Option<_>>()?;
    (!patterns.is_empty()).then_some(patterns)
}

/// The outputs with a path of their own, and the names of the others.
fn assign(
    query: &mut Query,
    outputs: &[Artifact],
) -> Result<(Vec<Output>, Vec<String>), ParameterError> {
    let (mut assigned, mut unassigned) = (Vec::new(), Vec::new());
    for Artifact { name, .. } in outputs {
        if KEYS.contains(&name.as_str()) {
            return Err(ParameterError::Conflict(format!(
                "output artifact `{name}` has the name of a parameter; call it otherwise in the pipeline"
            )));
        }
        match query.take_as(name, INSIDE, inside)? {
            Some(path) => assigned.push(Output {
                artifact: name.clone(),
                path,
            }),
            None => unassigned.push(name.clone()),
        }
    }
    Ok((assigned, unassigned))
}

fn no_room(outputs: &[Artifact]) -> ParameterError {
    let why = if outputs.is_empty() {
        "the action declares none"
    } else {
        "each that the action declares has a path already"
    };
    ParameterError::Conflict(format!(
        "`template` needs an output artifact for the packaged template, and {why}"
    ))
}

fn work(
    tasks: Option<&str>,
    command: Option<String>,
    runner: Option<&'static str>,
) -> Result<Work, ParameterError> {
    match (tasks, command, runner) {
        (Some(_), Some(_), _) => Err(ParameterError::Conflict(
            "give `task` or `command`, not both".to_owned(),
        )),
        (None, Some(_), Some(runner)) if runner != "command" => Err(ParameterError::Conflict(
            "`runner` is for `task`; a `command` needs none".to_owned(),
        )),
        (None, Some(command), _) => Ok(Work::Command(command)),
        (None, None, _) => Err(ParameterError::Missing("task".to_owned())),
        (Some(text), None, Some("command")) if !text.trim().is_empty() => {
            // Not a list: a command may have commas.
            Ok(Work::Command(text.to_owned()))
        }
        (Some(text), None, runner) => {
            let names: Vec<String> = text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
            if names.is_empty() {
                return Err(ParameterError::Missing("task".to_owned()));
            }
            Ok(Work::Tasks { names, runner })
        }
    }
}

/// Without `.`, never upwards. Backslashes are no separators in an artifact.
fn inside(value: &str) -> Option<PathBuf> {
    if value.is_empty() || value.contains(['\\', '\0']) {
        return None;
    }
    let mut path = PathBuf::new();
    for component in PathBuf::from(value).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// A file, and not the one that is written beside it.
fn template_inside(value: &str) -> Option<PathBuf> {
    let own = [DOCUMENT, CONTENTS].map(Path::new);
    inside(value).filter(|path| !path.as_os_str().is_empty() && !own.contains(&path.as_path()))
}

#[cfg(test)]
mod tests;
