//! Which program runs a named task of a project: `test`, `package`, `lint` ...
//!
//! Each file of a project that names tasks is a candidate; they are looked at in the order of [`RUNNERS`], and the first
//! that has the task runs it. What a project names itself comes before what every project of its kind has:
//! 1. a script of `package.json`, with the package manager that the project uses;
//! 2. a task of a gulpfile;
//! 3. a target of a makefile;
//! 4. a recipe of a justfile;
//! 5. an alias of cargo, or one of its own commands, beside a `Cargo.toml`;
//! 6. an environment of tox, and 7. a session of nox; `test` is all that they would run by themselves;
//! 8. `test`, where there is something for pytest;
//! 9. a phase of Maven, beside a `pom.xml`;
//! 10. `test`, `vet` and `build` of go, beside a `go.mod` or a `go.work`.
//!
//! A `runner` leaves no choice. `command` takes the task for the text of a shell command.
//!
//! Only text is read: no code of the project runs before its task does. What a file computes is therefore not known
//! here; where that is so, naming the runner hands it the task as it is.
//!
//! Python packages that `install-deps` put into [`PYTHON_PACKAGES`] are on `PYTHONPATH`, and their programs on
//! `PATH`. What else it installed is [restored](crate::installed).

mod built_in;
mod gulp;
mod just;
mod make;
mod python;
mod scripts;
mod sections;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use built_in::{go_modules, go_packages};
pub use scripts::PNPM_AS_IT_IS;

use crate::{Command, installed};

/// What runs tasks, by the names that a parameter has for them. `yarn` and `pnpm` run scripts as `npm` does.
pub const RUNNERS: [&str; 13] = [
    "npm", "yarn", "pnpm", "gulp", "make", "just", "cargo", "tox", "nox", "pytest", "maven", "go",
    "command",
];

/// Where `install-deps` puts Python packages, below the project's directory. The dot keeps test collectors out.
pub const PYTHON_PACKAGES: &str = ".python-packages";

/// Why no program was found for a task.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The name of the task is empty.
    #[error("the task has no name")]
    Empty,
    /// The runner's name is not one of the known ones.
    #[error("unknown runner `{runner}`; known are {}", RUNNERS.join(", "))]
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
    if runner == Some("command") {
        return with_packages(Command::shell(task, directory));
    }
    let candidates = candidates(directory, runner)?;
    let found = candidates.iter().find_map(|candidate| {
        let known = candidate.tasks.iter().find(|known| known.name == task)?;
        Some(candidate.command(directory, &known.arguments))
    });
    match (found, candidates.as_slice()) {
        (Some(command), _) => with_packages(command),
        (None, []) => Err(TaskError::NoRunner {
            task: task.to_owned(),
            directory: directory.to_owned(),
            sought: sought(runner),
        }),
        // An included file or a pattern rule may have it: the runner knows, when it is what was asked for.
        (None, [only]) if runner.is_some() && only.is_incomplete => {
            with_packages(only.command(directory, &[task.to_owned()]))
        }
        (None, candidates) => Err(unknown(task, candidates)),
    }
}

fn candidates(directory: &Path, runner: Option<&str>) -> Result<Vec<Candidate>, TaskError> {
    let found = match runner {
        None => vec![
            scripts::find(directory, None)?,
            gulp::find(directory)?,
            make::find(directory)?,
            just::find(directory)?,
            built_in::cargo(directory)?,
            python::tox(directory)?,
            python::nox(directory)?,
            python::pytest(directory)?,
            built_in::maven(directory),
            built_in::go(directory)?,
        ],
        Some(manager @ ("npm" | "yarn" | "pnpm")) => vec![scripts::find(directory, Some(manager))?],
        Some("gulp") => vec![gulp::find(directory)?],
        Some("make") => vec![make::find(directory)?],
        Some("just") => vec![just::find(directory)?],
        Some("cargo") => vec![built_in::cargo(directory)?],
        Some("tox") => vec![python::tox(directory)?],
        Some("nox") => vec![python::nox(directory)?],
        // Somebody who says so need not have it told by the files.
        Some("pytest") => vec![Some(python::pytests())],
        Some("maven") => vec![built_in::maven(directory)],
        Some("go") => vec![built_in::go(directory)?],
        Some(runner) => {
            return Err(TaskError::UnknownRunner {
                runner: runner.to_owned(),
            });
        }
    };
    Ok(found.into_iter().flatten().collect())
}

/// The files that a runner would do with.
fn sought(runner: Option<&str>) -> &'static str {
    match runner {
        Some("npm" | "yarn" | "pnpm") => "package.json",
        Some("gulp") => "gulpfile",
        Some("make") => "makefile",
        Some("just") => "justfile",
        Some("cargo") => "Cargo.toml",
        Some("tox") => "tox.ini, and nothing of tox in tox.toml, setup.cfg or pyproject.toml",
        Some("nox") => "noxfile.py",
        Some("maven") => "pom.xml",
        Some("go") => "go.mod or go.work",
        _ => {
            "package.json, gulpfile, makefile, justfile, Cargo.toml, tox.ini, noxfile.py, pom.xml, go.mod or go.work, and no tests \
             of pytest"
        }
    }
}

/// A file that names tasks.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    /// As it is called in messages.
    file: String,
    /// The program, and the arguments in front of the task's.
    program: Vec<String>,
    tasks: Vec<Task>,
    /// There may be tasks beside those that were found.
    is_incomplete: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Task {
    name: String,
    /// What the program is told.
    arguments: Vec<String>,
}

impl Task {
    /// A task whose name is all that the program needs.
    fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            arguments: vec![name.clone()],
            name,
        }
    }

    fn new(name: &str, arguments: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Candidate {
    fn new(file: &str, program: &[&str], tasks: Vec<Task>) -> Self {
        Self {
            file: file.to_owned(),
            program: program.iter().map(ToString::to_string).collect(),
            tasks,
            is_incomplete: false,
        }
    }

    fn command(&self, directory: &Path, arguments: &[String]) -> Command {
        let command = Command::new(&self.program[0], directory)
            .args(&self.program[1..])
            .args(arguments);
        // Any version runs scripts, and there may be no way to the one that is named.
        match self.program[0].as_str() {
            "pnpm" => command.envs(PNPM_AS_IT_IS),
            _ => command,
        }
    }

    fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.tasks.iter().map(|task| task.name.as_str())
    }
}

fn unknown(task: &str, candidates: &[Candidate]) -> TaskError {
    let known = candidates.iter().flat_map(Candidate::names);
    let suggestion = known
        .map(|known| (strsim::jaro_winkler(task, known), known))
        .filter(|(similarity, _)| *similarity > 0.8)
        // The first of equals, as it would also be taken.
        .rev()
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, known)| known.to_owned());
    let listed = candidates
        .iter()
        .map(|candidate| {
            let names: Vec<&str> = candidate.names().collect();
            let names = match names.as_slice() {
                [] => "no tasks".to_owned(),
                names => names.join(", "),
            };
            format!("{} has {names}", candidate.file)
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

/// The first of these files that there is: its name and its text.
fn first<'a>(directory: &Path, names: &[&'a str]) -> Result<Option<(&'a str, String)>, TaskError> {
    for name in names {
        if let Some(text) = read(&directory.join(name))? {
            return Ok(Some((name, text)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
