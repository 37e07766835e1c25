//! Which program runs a named task of a project: `test`, `package`, `lint` ...
//!
//! Looked at in this order; the first that has the task runs it:
//! 1. `package.json` with a script of that name: `npm run <task>`;
//! 2. a makefile (`GNUmakefile`, `makefile`, `Makefile`) with a target of that name: `make <task>`.
//!
//! A `runner` (`npm`, `make` or `command`) leaves no choice: `command` takes the task for the text of a shell command.
//!
//! Python packages that `install-deps` put into [`PYTHON_PACKAGES`] are on `PYTHONPATH`, and their programs on
//! `PATH`. What else it installed is [restored](crate::installed).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Command, installed};

/// Where `install-deps` puts Python packages, below the project's directory. The dot keeps test collectors out.
pub const PYTHON_PACKAGES: &str = ".python-packages";

/// Why no program was found for a task.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The name of the task is empty.
    #[error("the task has no name")]
    Empty,
    /// The runner's name is not one of the known ones.
    #[error("unknown runner `{runner}`; known are npm, make and command")]
    UnknownRunner {
        /// As given.
        runner: String,
    },
    /// The project's directory is not there.
    #[error("there is no directory `{directory}`")]
    Directory {
        /// The directory that does not exist.
        directory: PathBuf,
    },
    /// The directory has nothing that could run tasks.
    #[error("nothing to run task `{task}` with: `{directory}` holds no {sought}")]
    NoRunner {
        /// As given.
        task: String,
        /// Where it was looked for.
        directory: PathBuf,
        /// The files that would do.
        sought: &'static str,
    },
    /// There is something that runs tasks, but not this one.
    #[error("there is no task `{task}`{}: {}", suggestion.as_ref().map(|it| format!(", did you mean `{it}`?")).unwrap_or_default(), listed.join("; "))]
    Unknown {
        /// As given.
        task: String,
        /// The known task with the most similar name.
        suggestion: Option<String>,
        /// For each file, the tasks it has, as a phrase.
        listed: Vec<String>,
    },
    /// A file that names tasks cannot be read.
    #[error("failed to read `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said; part of the text already.
        source: io::Error,
    },
    /// What was installed for the task does not work here.
    #[error(transparent)]
    Installed(#[from] installed::InstalledError),
    /// `package.json` is not what it should be.
    #[error("`{path}` is not a package manifest: {reason}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The command that runs `task` in `directory`.
pub fn detect(directory: &Path, runner: Option<&str>, task: &str) -> Result<Command, TaskError> {
    if task.trim().is_empty() {
        return Err(TaskError::Empty);
    }
    if !directory.is_dir() {
        return Err(TaskError::Directory {
            directory: directory.to_owned(),
        });
    }
    let (npm, make, sought) = match runner {
        None => (true, true, "package.json and no makefile"),
        Some("npm") => (true, false, "package.json"),
        Some("make") => (false, true, "makefile"),
        Some("command") => return with_packages(Command::shell(task, directory)),
        Some(runner) => {
            return Err(TaskError::UnknownRunner {
                runner: runner.to_owned(),
            });
        }
    };
    let mut candidates = Vec::new();
    if npm {
        candidates.extend(scripts(directory)?);
    }
    if make {
        candidates.extend(targets(directory)?);
    }
    if candidates.is_empty() {
        return Err(TaskError::NoRunner {
            task: task.to_owned(),
            directory: directory.to_owned(),
            sought,
        });
    }
    match candidates
        .iter()
        .find(|candidate| candidate.tasks.iter().any(|known| known == task))
    {
        Some(candidate) => with_packages(candidate.command(directory, task)),
        // An included file or a pattern rule may have it: make knows, when it is what was asked for.
        None if runner == Some("make") && candidates[0].is_incomplete => {
            with_packages(candidates[0].command(directory, task))
        }
        None => Err(unknown(task, &candidates)),
    }
}

/// A file that names tasks.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    file: &'static str,
    program: &'static [&'static str],
    tasks: Vec<String>,
    /// There may be tasks beside those that were found.
    is_incomplete: bool,
}

impl Candidate {
    fn command(&self, directory: &Path, task: &str) -> Command {
        Command::new(self.program[0], directory)
            .args(&self.program[1..])
            .arg(task)
    }
}

fn unknown(task: &str, candidates: &[Candidate]) -> TaskError {
    let known = candidates.iter().flat_map(|candidate| &candidate.tasks);
    let suggestion = known
        .map(|known| (strsim::jaro_winkler(task, known), known))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, known)| known.clone());
    let listed = candidates
        .iter()
        .map(|candidate| match candidate.tasks.as_slice() {
            [] => format!("{} has no tasks", candidate.file),
            tasks => format!("{} has {}", candidate.file, tasks.join(", ")),
        })
        .collect();
    TaskError::Unknown {
        task: task.to_owned(),
        suggestion,
        listed,
    }
}

fn with_packages(mut command: Command) -> Result<Command, TaskError> {
    let packages = command.directory.join(PYTHON_PACKAGES);
    if packages.is_dir() {
        command.search.push(packages.join("bin"));
        command = command.env("PYTHONPATH", packages);
    }
    Ok(installed::restore(command)?)
}

fn read(path: &Path) -> Result<Option<String>, TaskError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TaskError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn scripts(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    let path = directory.join("package.json");
    let Some(text) = read(&path)? else {
        return Ok(None);
    };
    let tasks = parse_scripts(&text).map_err(|reason| TaskError::Manifest { path, reason })?;
    Ok(Some(Candidate {
        file: "package.json",
        program: &["npm", "run"],
        tasks,
        is_incomplete: false,
    }))
}

fn parse_scripts(text: &str) -> Result<Vec<String>, String> {
    use serde_json::Value;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let manifest: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(manifest) = manifest else {
        return Err("it is not a JSON object".to_owned());
    };
    match manifest.get("scripts") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(scripts)) => Ok(scripts.keys().cloned().collect()),
        Some(_) => Err("its `scripts` is not an object".to_owned()),
    }
}

fn targets(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    // In the order of GNU make. A file system that ignores case gives `makefile` for `Makefile`, which is right.
    for file in ["GNUmakefile", "makefile", "Makefile"] {
        if let Some(text) = read(&directory.join(file))? {
            let (tasks, is_incomplete) = parse_targets(&text);
            return Ok(Some(Candidate {
                file,
                program: &["make"],
                tasks,
                is_incomplete,
            }));
        }
    }
    Ok(None)
}

/// The explicit targets of a makefile, and whether it may have more: includes, patterns and computed names are
/// make's business.
fn parse_targets(text: &str) -> (Vec<String>, bool) {
    let mut targets: Vec<String> = Vec::new();
    let mut is_incomplete = false;
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        if line.starts_with('\t') || line.trim().is_empty() {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        if matches!(first, "include" | "-include" | "sinclude") {
            is_incomplete = true;
            continue;
        }
        let Some((names, rest)) = line.split_once(':') else {
            continue;
        };
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        if names.contains('=') || rest.starts_with('=') || rest.starts_with(":=") {
            continue; // an assignment: `a = b:c`, `a := b`, `a ::= b`
        }
        let names = if names.trim() == ".PHONY" {
            rest
        } else {
            names
        };
        for name in names.split_whitespace() {
            if name.contains(['%', '$']) {
                is_incomplete = true;
            } else if !name.starts_with('.') && !targets.iter().any(|known| known == name) {
                targets.push(name.to_owned());
            }
        }
    }
    (targets, is_incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = r#"{"name": "x", "scripts": {"test": "mocha", "build:all": "tsc"}}"#;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn a_task_finds_its_runner() {
        let makefile = "test:\n\ttrue\npackage: test\n\ttrue\n";
        for (files, runner, task, expected) in [
            (
                &[("package.json", PACKAGE)][..],
                None,
                "test",
                "npm run test",
            ),
            (
                &[("package.json", PACKAGE)],
                Some("npm"),
                "build:all",
                "npm run build:all",
            ),
            (&[("Makefile", makefile)], None, "package", "make package"),
            (
                &[("package.json", PACKAGE), ("Makefile", makefile)],
                None,
                "test",
                "npm run test",
            ),
            (
                &[("package.json", PACKAGE), ("Makefile", makefile)],
                None,
                "package",
                "make package",
            ),
            (
                &[("package.json", PACKAGE), ("Makefile", makefile)],
                Some("make"),
                "test",
                "make test",
            ),
            (
                &[("Makefile", "include common.mk\n")],
                Some("make"),
                "deploy",
                "make deploy",
            ),
            (
                &[],
                Some("command"),
                "cargo test && echo done",
                "cargo test && echo done",
            ),
        ] {
            let project = project(files);
            let command = detect(project.path(), runner, task).unwrap();
            assert_eq!(command.to_string(), expected, "{files:?} {runner:?} {task}");
            assert_eq!(command.directory, project.path());
            assert_eq!(command.environment.len(), 0);
        }
    }

    #[test]
    fn an_unknown_task_is_answered_with_those_that_exist() {
        for (files, runner, task, expected) in [
            (
                &[][..],
                None,
                "test",
                "nothing to run task `test` with: `DIR` holds no package.json and no makefile",
            ),
            (
                &[("Makefile", "a:\n")],
                Some("npm"),
                "a",
                "nothing to run task `a` with: `DIR` holds no package.json",
            ),
            (
                &[("package.json", PACKAGE), ("Makefile", "lint:\n")],
                None,
                "tset",
                "there is no task `tset`, did you mean `test`?: package.json has test, build:all; Makefile has lint",
            ),
            (
                &[("package.json", "{}")],
                None,
                "deploy",
                "there is no task `deploy`: package.json has no tasks",
            ),
            (
                &[("Makefile", "include common.mk\nx:\n")],
                None,
                "deploy",
                "there is no task `deploy`: Makefile has x",
            ),
            (
                &[("package.json", PACKAGE)],
                Some("gulp"),
                "test",
                "unknown runner `gulp`; known are npm, make and command",
            ),
            (
                &[("package.json", PACKAGE)],
                None,
                " ",
                "the task has no name",
            ),
            (
                &[("package.json", "{\"scripts\":")],
                None,
                "test",
                "`DIR/package.json` is not a package manifest: EOF while parsing a value at line 1 column 11",
            ),
            (
                &[("package.json", "[]")],
                None,
                "test",
                "`DIR/package.json` is not a package manifest: it is not a JSON object",
            ),
        ] {
            let project = project(files);
            let error = detect(project.path(), runner, task)
                .unwrap_err()
                .to_string();
            assert_eq!(
                error.replace(project.path().to_str().unwrap(), "DIR"),
                expected
            );
        }
        let error = detect(Path::new("/nowhere"), None, "test").unwrap_err();
        assert_eq!(error.to_string(), "there is no directory `/nowhere`");
    }

    #[test]
    fn installed_python_packages_are_found() {
        let project = project(&[("Makefile", "test:\n")]);
        let packages = project.path().join(PYTHON_PACKAGES);
        fs::create_dir(&packages).unwrap();
        let command = detect(project.path(), None, "test").unwrap();
        assert_eq!(
            command.environment.into_iter().collect::<Vec<_>>(),
            [("PYTHONPATH".into(), packages.clone().into())]
        );
        assert_eq!(command.search, [packages.join("bin")]);
    }

    #[test]
    fn targets_are_told_from_the_rest_of_a_makefile() {
        for (text, expected, is_incomplete) in [
            ("a:\n\techo b:\n", &["a"][..], false),
            ("a b : c\n", &["a", "b"], false),
            ("a:: b\n", &["a"], false),
            (".PHONY: test lint\n.SUFFIXES:\n", &["test", "lint"], false),
            ("x := 1\ny = a:b\nz ::= 2\nw :::= 3\n", &[], false),
            (
                "test: NODE_ENV = test\ntest: ; node --test\n",
                &["test"],
                false,
            ),
            ("# a:\nb: # c:\n", &["b"], false),
            ("all: \\\n  one \\\n  two\n", &["all"], false),
            ("%.o: %.c\n$(NAMES):\n", &[], true),
            ("-include local.mk\n", &[], true),
        ] {
            let (targets, incomplete) = parse_targets(text);
            assert_eq!(targets, expected, "{text}");
            assert_eq!(incomplete, is_incomplete, "{text}");
        }
    }
}
