//! What `run-e2e` is told in its `UserParameters`.

use std::path::{Component, Path, PathBuf};

use towpath_job::{Artifact, FromQuery, ParameterError, Query};
use towpath_report::{Gate, Pattern};
use towpath_tool::task::RUNNERS;

/// The parameters, beside those that every action takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `task`, `runner`, `command`: what runs the tests.
    pub work: Work,
    /// `dir`: where in the source the tests are. Default: its root.
    pub directory: PathBuf,
    /// `Env.NAME`: variables of the tests' environment, over those of the stack's outputs.
    pub environment: Vec<(String, String)>,
    /// `stack`, `region`, `stack-role`: whose outputs the tests are told.
    pub stack: Option<StackSource>,
    /// `report`: the file or directory, below `dir`, that is published to the declared output. A file that ends in
    /// `.xml` is a report of tests in JUnit's XML, and is judged.
    pub report: Option<String>,
}

impl Parameters {
    /// What the report is asked beside the tests' exit code: one in JUnit's XML is judged, another is only published.
    pub(crate) fn gate(&self) -> Gate {
        let report = self.report.as_deref();
        Gate {
            reports: report
                .filter(|report| Path::new(report).extension().is_some_and(|it| it == "xml"))
                .map(Pattern::of)
                .into_iter()
                .collect(),
            ..Gate::default()
        }
    }
}

/// What runs the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// `runner`; when it is not given, the project's files tell.
    pub runner: Option<&'static str>,
    /// The tasks, in order; shell text for `command`.
    pub tasks: Vec<String>,
}

/// A stack, and how to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackSource {
    /// Its name or ARN.
    pub name: String,
    /// Its Region, when it is not the function's.
    pub region: Option<String>,
    /// The role to look at it with, when the function's will not do: for a stack in another account.
    pub role: Option<String>,
}

impl FromQuery for Parameters {
    fn from_query(query: &mut Query, outputs: &[Artifact]) -> Result<Self, ParameterError> {
        let task = query.take_filled("task");
        let command = query.take_filled("command");
        let runner = query.take_choice("runner", &RUNNERS.map(|name| (name, name)))?;
        let directory = query
            .take_as(
                "dir",
                "a directory inside the source, relative to its root",
                inner_path,
            )?
            .unwrap_or_default();
        let environment = query.take_variables("Env.")?;
        let stack = query.take_filled("stack");
        let region = query.take_filled("region");
        let role = query.take_filled("stack-role");
        let report = query
            .take_as(
                "report",
                "a file or directory inside the source, relative to `dir`",
                |value| inner_path(value).filter(|path| !path.as_os_str().is_empty()),
            )?
            .map(|path| path.to_string_lossy().into_owned());

        let work = work(runner, task, command)?;
        let stack = match (stack, region, role) {
            (Some(name), region, role) => Some(StackSource { name, region, role }),
            (None, None, None) => None,
            (None, region, _) => {
                return Err(ParameterError::Conflict(format!(
                    "`{}` is given, but no `stack` that it is for",
                    if region.is_some() {
                        "region"
                    } else {
                        "stack-role"
                    }
                )));
            }
        };
        match outputs {
            [] => {}
            [output] if report.is_none() => {
                return Err(ParameterError::Conflict(format!(
                    "the action declares output artifact `{}`, but no `report=` says what it is made of",
                    output.name
                )));
            }
            [_] => {}
            several => {
                return Err(ParameterError::Conflict(format!(
                    "run-e2e publishes one report, but the action declares {} output artifacts",
                    several.len()
                )));
            }
        }
        Ok(Self {
            work,
            directory,
            environment,
            stack,
            report,
        })
    }
}

/// What is to be run, by the three parameters that say so.
fn work(
    runner: Option<&'static str>,
    task: Option<String>,
    command: Option<String>,
) -> Result<Work, ParameterError> {
    let shell = |text| Work {
        runner: Some("command"),
        tasks: vec![text],
    };
    match (runner, task, command) {
        (_, Some(_), Some(_)) => Err(ParameterError::Conflict(
            "`task` and `command` are both given: one of them says what to run".to_owned(),
        )),
        (None | Some("command"), None, Some(command)) => Ok(shell(command)),
        (Some(runner), None, Some(_)) => Err(ParameterError::Conflict(format!(
            "`command` is run by the shell, but `runner` is {runner}"
        ))),
        (Some("command"), Some(task), None) => Ok(shell(task)),
        (Some("command"), None, None) => Err(ParameterError::Missing("command".to_owned())),
        (_, None, None) => Err(ParameterError::Missing("task".to_owned())),
        (runner, Some(task), None) => {
            let tasks: Vec<String> = task
                .split(',')
                .map(str::trim)
                .filter(|task| !task.is_empty())
                .map(str::to_owned)
                .collect();
            if tasks.is_empty() {
                return Err(ParameterError::Missing("task".to_owned()));
            }
            Ok(Work { runner, tasks })
        }
    }
}

/// A relative path without `.` that never goes upwards.
fn inner_path(value: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(value).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use towpath_job::{ArtifactLocation, parameters::parse};

    use super::*;

    fn outputs(names: &[&str]) -> Vec<Artifact> {
        names
            .iter()
            .map(|name| Artifact {
                name: (*name).to_owned(),
                revision: None,
                location: ArtifactLocation {
                    bucket: "b".to_owned(),
                    key: "k".to_owned(),
                },
            })
            .collect()
    }

    #[test]
    fn all_the_keys() {
        let (_, parameters) = parse::<Parameters>(
            "task=e2e&dir=./web&Env.STAGE=acceptance&stack=app&region=eu-west-1&stack-role=arn:aws:iam::1:role/x&report=out/junit.xml&timeout=14m",
            &outputs(&["Report"]),
        )
        .unwrap();
        assert_eq!(
            parameters,
            Parameters {
                work: Work {
                    runner: None,
                    tasks: vec!["e2e".to_owned()],
                },
                directory: "web".into(),
                environment: vec![("STAGE".to_owned(), "acceptance".to_owned())],
                stack: Some(StackSource {
                    name: "app".to_owned(),
                    region: Some("eu-west-1".to_owned()),
                    role: Some("arn:aws:iam::1:role/x".to_owned()),
                }),
                report: Some("out/junit.xml".to_owned()),
            }
        );
    }

    #[test]
    fn what_to_run_by_table() {
        for (given, runner, tasks) in [
            ("task=e2e", None, &["e2e"][..]),
            ("task=smoke,+e2e", None, &["smoke", "e2e"]),
            ("task=e2e&runner=make", Some("make"), &["e2e"]),
            ("command=pytest+a,b", Some("command"), &["pytest a,b"]),
            (
                "runner=command&command=./e2e.sh",
                Some("command"),
                &["./e2e.sh"],
            ),
            ("runner=command&task=a,b", Some("command"), &["a,b"]),
        ] {
            let (_, parameters) =
                parse::<Parameters>(given, &[]).unwrap_or_else(|e| panic!("{given}: {e}"));
            assert_eq!(parameters.work.runner, runner, "{given}");
            assert_eq!(parameters.work.tasks, tasks, "{given}");
        }
    }

    #[test]
    fn refusals_by_table() {
        for (given, names, expected) in [
            ("", &[][..], "parameter `task` is missing"),
            ("task=,", &[], "parameter `task` is missing"),
            ("tsak=e2e", &[], "unknown parameter `tsak`"),
            ("runner=command", &[], "parameter `command` is missing"),
            (
                "task=a&command=b",
                &[],
                "`task` and `command` are both given",
            ),
            (
                "runner=npm&command=b",
                &[],
                "`command` is run by the shell, but `runner` is npm",
            ),
            ("task=a&runner=grunt", &[], "parameter `runner` is `grunt`"),
            ("task=a&dir=../x", &[], "parameter `dir` is `../x`"),
            (
                "task=a&report=/etc/passwd",
                &[],
                "parameter `report` is `/etc/passwd`",
            ),
            ("task=a&report=.", &[], "parameter `report` is `.`"),
            ("task=a&Env.A B=1", &[], "`Env.A B`: a variable's name"),
            ("task=a&Env.A=%00", &[], "`Env.A`: a variable's value"),
            (
                "task=a&region=eu-west-1",
                &[],
                "`region` is given, but no `stack` that it is for",
            ),
            (
                "task=a&stack-role=x",
                &[],
                "`stack-role` is given, but no `stack` that it is for",
            ),
            (
                "task=a",
                &["Report"],
                "the action declares output artifact `Report`, but no `report=`",
            ),
            (
                "task=a&report=x",
                &["A", "B"],
                "run-e2e publishes one report, but the action declares 2 output artifacts",
            ),
        ] {
            let error = parse::<Parameters>(given, &outputs(names)).expect_err(given);
            assert!(error.to_string().starts_with(expected), "{given}: {error}");
        }
    }

    #[test]
    fn a_report_that_nobody_declared_is_no_error() {
        assert!(parse::<Parameters>("task=a&report=x", &[]).is_ok());
    }
}
