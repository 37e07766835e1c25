//! Which package manager installs a directory, and how: decided from the names of the files in it.

use std::{collections::BTreeSet, fmt, path::Path};

use towpath_tool::{Command, task::PYTHON_PACKAGES};

use crate::Parameters;

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Manager {
    /// npm, for Node.
    Npm,
    /// pip, for Python.
    Pip,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Npm => "npm",
            Self::Pip => "pip",
        })
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// `npm ci`: exactly what the lock file says.
    NpmCi {
        /// The lock file.
        lock: String,
    },
    /// `npm install`: no lock file, so whatever fits the manifest today.
    NpmInstall,
    /// `pip install` of these files together.
    Pip {
        /// `requirements*.txt`, sorted.
        requirements: Vec<String>,
    },
}

/// Why no plan could be made. Each is a fault in the pipeline's or the project's setup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// `dir` is not in the source.
    #[error("the source has no directory `{directory}`")]
    NoDirectory {
        /// As given.
        directory: String,
    },
    /// Nothing that could be installed.
    #[error("found nothing to install in {directory}: no {sought}")]
    Nothing {
        /// As shown to people.
        directory: String,
        /// What was looked for.
        sought: String,
        /// Directories of the source where there is something.
        elsewhere: Vec<String>,
    },
    /// Both managers have a file there.
    #[error("{directory} has both {npm} and {pip}, so it could be npm or pip")]
    Conflict {
        /// As shown to people.
        directory: String,
        /// npm's file.
        npm: String,
        /// pip's file.
        pip: String,
    },
    /// A lock file beside npm's: it is not clear which of the two holds the truth.
    #[error("{directory} has two lock files, {lock} and {other}")]
    TwoLocks {
        /// As shown to people.
        directory: String,
        /// npm's.
        lock: String,
        /// The other manager's.
        other: String,
    },
    /// A lock file that would be ignored.
    #[error("{directory} has {lock}, which {other} reads and install-deps does not")]
    ForeignLock {
        /// As shown to people.
        directory: String,
        /// The lock file.
        lock: String,
        /// Whose it is.
        other: &'static str,
        /// The manager that would take its place.
        manager: Manager,
    },
    /// A lock file alone.
    #[error("{directory} has {lock}, but no package.json")]
    LockAlone {
        /// As shown to people.
        directory: String,
        /// The lock file.
        lock: String,
    },
}

impl DetectError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoDirectory { .. } => {
                "`dir` is relative to the root of the source artifact".to_owned()
            }
            Self::Nothing { elsewhere, .. } if !elsewhere.is_empty() => {
                format!(
                    "there is something in {}: set `dir`, as in `dir={}`",
                    elsewhere.join(", "),
                    elsewhere[0]
                )
            }
            Self::Nothing { .. } => {
                "commit a manifest and its lock file, or remove install-deps from the pipeline"
                    .to_owned()
            }
            Self::Conflict { .. } => {
                "set `manager=npm` or `manager=pip`; two actions can install both".to_owned()
            }
            Self::TwoLocks { other, .. } => {
                format!(
                    "remove the one that is not maintained, or set `manager=npm` to leave {other} aside"
                )
            }
            Self::ForeignLock {
                manager: Manager::Npm,
                ..
            } => "commit a package-lock.json, or set `manager=npm` to install without a lock"
                .to_owned(),
            Self::ForeignLock {
                manager: Manager::Pip,
                ..
            } => "export the locked versions to a requirements.txt".to_owned(),
            Self::LockAlone { .. } => "commit the package.json that belongs to it".to_owned(),
        }
    }
}

/// npm reads the first of these that is there.
const NPM_LOCKS: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];
const NPM_MANIFEST: &str = "package.json";
const OTHER_NODE_LOCKS: [(&str, &str); 4] = [
    ("yarn.lock", "Yarn"),
    ("pnpm-lock.yaml", "pnpm"),
    ("bun.lock", "Bun"),
    ("bun.lockb", "Bun"),
];
const OTHER_PYTHON_LOCKS: [(&str, &str); 4] = [
    ("poetry.lock", "Poetry"),
    ("uv.lock", "uv"),
    ("Pipfile.lock", "Pipenv"),
    ("pdm.lock", "PDM"),
];
const NPM_SOUGHT: &str = "package-lock.json, npm-shrinkwrap.json or package.json";
const PIP_SOUGHT: &str = "requirements*.txt";

/// Decides from the `names` of the files in `directory` (as shown to people).
pub fn plan(
    names: &BTreeSet<String>,
    wanted: Option<Manager>,
    directory: &str,
) -> Result<Plan, DetectError> {
    let first = |sought: &[&str]| {
        sought
            .iter()
            .find(|name| names.contains(**name))
            .map(|name| (*name).to_owned())
    };
    let foreign = |locks: &[(&str, &'static str)]| {
        locks
            .iter()
            .find(|(lock, _)| names.contains(*lock))
            .map(|(lock, other)| ((*lock).to_owned(), *other))
    };
    let directory = directory.to_owned();
    let lock = first(&NPM_LOCKS);
    let npm = lock.clone().or_else(|| first(&[NPM_MANIFEST]));
    let requirements: Vec<String> = names
        .iter()
        .filter(|name| is_requirements(name))
        .cloned()
        .collect();
    let pip = requirements.first().cloned();

    let manager = match (wanted, npm, pip) {
        (Some(Manager::Npm), Some(_), _) | (None, Some(_), None) => Manager::Npm,
        (Some(Manager::Pip), _, Some(_)) | (None, None, Some(_)) => Manager::Pip,
        (None, Some(npm), Some(pip)) => {
            return Err(DetectError::Conflict {
                directory,
                npm,
                pip,
            });
        }
        (wanted, _, _) => {
            let sought = match wanted {
                Some(Manager::Npm) => NPM_SOUGHT.to_owned(),
                Some(Manager::Pip) => PIP_SOUGHT.to_owned(),
                None => format!("{NPM_SOUGHT} (npm), no {PIP_SOUGHT} (pip)"),
            };
            let elsewhere = Vec::new();
            if wanted != Some(Manager::Npm)
                && let Some((lock, other)) = foreign(&OTHER_PYTHON_LOCKS)
            {
                return Err(DetectError::ForeignLock {
                    directory,
                    lock,
                    other,
                    manager: Manager::Pip,
                });
            }
            return Err(DetectError::Nothing {
                directory,
                sought,
                elsewhere,
            });
        }
    };
    if manager == Manager::Pip {
        return Ok(Plan::Pip { requirements });
    }
    // Who says `manager=npm` has seen the other lock file.
    if wanted.is_none()
        && let Some((other, owner)) = foreign(&OTHER_NODE_LOCKS)
    {
        return Err(match lock {
            Some(lock) => DetectError::TwoLocks {
                directory,
                lock,
                other,
            },
            None => DetectError::ForeignLock {
                directory,
                lock: other,
                other: owner,
                manager,
            },
        });
    }
    match lock {
        Some(lock) if !names.contains(NPM_MANIFEST) => {
            Err(DetectError::LockAlone { directory, lock })
        }
        Some(lock) => Ok(Plan::NpmCi { lock }),
        None => Ok(Plan::NpmInstall),
    }
}

fn is_requirements(name: &str) -> bool {
    name.strip_prefix("requirements")
        .and_then(|rest| rest.strip_suffix(".txt"))
        .is_some()
}

/// Whether a file makes its directory one that could be installed.
pub(crate) fn is_manifest(name: &str) -> bool {
    name == NPM_MANIFEST || is_requirements(name)
}

impl Plan {
    /// As people call it: `npm ci`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NpmCi { .. } => "npm ci",
            Self::NpmInstall => "npm install",
            Self::Pip { .. } => "pip install",
        }
    }

    /// What was found that led to it.
    pub fn reason(&self) -> String {
        match self {
            Self::NpmCi { lock } => format!("there is a {lock}"),
            Self::NpmInstall => "there is a package.json and no lock file".to_owned(),
            Self::Pip { requirements } => format!("there is {}", requirements.join(", ")),
        }
    }

    /// What the reader should know although it did not fail.
    pub fn warning(&self) -> Option<&'static str> {
        match self {
            Self::NpmInstall => {
                Some("no lock file: other versions may come tomorrow; commit package-lock.json")
            }
            Self::NpmCi { .. } | Self::Pip { .. } => None,
        }
    }

    /// Where the manager puts what it installs, below the directory. A copy of that in the source is no source.
    pub(crate) fn destination(&self) -> &'static str {
        match self {
            Self::NpmCi { .. } | Self::NpmInstall => "node_modules",
            Self::Pip { .. } => PYTHON_PACKAGES,
        }
    }

    /// The command that does it in `directory`.
    pub fn command(&self, directory: &Path, parameters: &Parameters) -> Command {
        let command = match self {
            Self::NpmCi { .. } | Self::NpmInstall => {
                let verb = if matches!(self, Self::NpmInstall) {
                    "install"
                } else {
                    "ci"
                };
                // An audit and the funding notice ask the registry about every package and install
                // none. What the cache has is what the lock file names: its digest is checked.
                let command = Command::new("npm", directory)
                    .arg(verb)
                    .env("npm_config_audit", "false")
                    .env("npm_config_fund", "false")
                    .env("npm_config_prefer_offline", "true");
                if parameters.scripts {
                    command
                } else {
                    command.arg("--ignore-scripts")
                }
            }
            Self::Pip { requirements } => {
                // Byte code would hold times, and with them no two artifacts were the same.
                let command = Command::new("python3", directory)
                    .args([
                        "-m",
                        "pip",
                        "install",
                        "--no-compile",
                        "--no-warn-script-location",
                        "--target",
                    ])
                    .arg(PYTHON_PACKAGES);
                let command = if parameters.scripts {
                    command
                } else {
                    command.args(["--only-binary", ":all:"])
                };
                if names_requirements(&parameters.arguments) {
                    command
                } else {
                    requirements
                        .iter()
                        .fold(command, |command, file| command.arg("-r").arg(file))
                }
            }
        };
        command.args(&parameters.arguments)
    }
}

/// Whether `args` say themselves which requirements are meant.
fn names_requirements(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| {
        argument == "-r" || argument == "--requirement" || argument.starts_with("--requirement=")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(names: &[&str], wanted: Option<Manager>) -> Result<Plan, DetectError> {
        plan(
            &names.iter().map(|name| (*name).to_owned()).collect(),
            wanted,
            "`app`",
        )
    }

    #[test]
    fn the_manager_is_told_by_the_files() {
        let ci = |lock: &str| Plan::NpmCi { lock: lock.into() };
        let pip = |files: &[&str]| Plan::Pip {
            requirements: files.iter().map(|file| (*file).to_owned()).collect(),
        };
        let (npm, python) = (Some(Manager::Npm), Some(Manager::Pip));
        for (names, wanted, expected) in [
            (
                &["package.json", "package-lock.json"][..],
                None,
                ci("package-lock.json"),
            ),
            (
                &["package.json", "package-lock.json", "npm-shrinkwrap.json"],
                None,
                ci("npm-shrinkwrap.json"),
            ),
            (&["package.json", "index.js"], None, Plan::NpmInstall),
            (&["requirements.txt"], None, pip(&["requirements.txt"])),
            (
                &[
                    "requirements.txt",
                    "requirements-dev.txt",
                    "requirements.md",
                    "my-requirements.txt",
                ],
                None,
                pip(&["requirements-dev.txt", "requirements.txt"]),
            ),
            (&["package.json", "requirements.txt"], npm, Plan::NpmInstall),
            (
                &["package.json", "requirements.txt"],
                python,
                pip(&["requirements.txt"]),
            ),
            (&["package.json", "yarn.lock"], npm, Plan::NpmInstall),
            (
                &["package.json", "package-lock.json", "yarn.lock"],
                npm,
                ci("package-lock.json"),
            ),
            (
                &["requirements.txt", "poetry.lock"],
                None,
                pip(&["requirements.txt"]),
            ),
        ] {
            assert_eq!(planned(names, wanted), Ok(expected), "{names:?} {wanted:?}");
        }
    }

    #[test]
    fn what_is_missing_or_ambiguous_is_named() {
        let (npm, python) = (Some(Manager::Npm), Some(Manager::Pip));
        for (names, wanted, expected, hint) in [
            (
                &["README.md"][..],
                None,
                "found nothing to install in `app`: no package-lock.json, npm-shrinkwrap.json or package.json (npm), \
                 no requirements*.txt (pip)",
                "commit a manifest",
            ),
            (
                &["requirements.txt"],
                npm,
                "found nothing to install in `app`: no package-lock.json, npm-shrinkwrap.json or package.json",
                "commit a manifest",
            ),
            (
                &["package.json"],
                python,
                "found nothing to install in `app`: no requirements*.txt",
                "commit",
            ),
            (
                &["package.json", "package-lock.json", "requirements.txt"],
                None,
                "`app` has both package-lock.json and requirements.txt, so it could be npm or pip",
                "manager=",
            ),
            (
                &["package.json", "package-lock.json", "yarn.lock"],
                None,
                "`app` has two lock files, package-lock.json and yarn.lock",
                "manager=npm",
            ),
            (
                &["package.json", "pnpm-lock.yaml"],
                None,
                "`app` has pnpm-lock.yaml, which pnpm reads and install-deps does not",
                "package-lock.json",
            ),
            (
                &["poetry.lock", "pyproject.toml"],
                None,
                "`app` has poetry.lock, which Poetry reads",
                "requirements.txt",
            ),
            (
                &["package-lock.json"],
                None,
                "`app` has package-lock.json, but no package.json",
                "package.json",
            ),
        ] {
            let error = planned(names, wanted).unwrap_err();
            assert!(
                error.to_string().starts_with(expected),
                "{names:?}: {error}"
            );
            assert!(error.hint().contains(hint), "{names:?}: {}", error.hint());
        }
    }

    #[test]
    fn the_command_is_what_one_would_type() {
        let with = |arguments: &[&str], scripts| Parameters {
            arguments: arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            scripts,
            ..Parameters::default()
        };
        let ci = Plan::NpmCi {
            lock: "package-lock.json".into(),
        };
        let pip = Plan::Pip {
            requirements: vec!["a.txt".into(), "b.txt".into()],
        };
        let target = "python3 -m pip install --no-compile --no-warn-script-location --target .python-packages";
        for (plan, parameters, expected) in [
            (&ci, with(&[], true), "npm ci".to_owned()),
            (
                &ci,
                with(&["--omit=dev"], false),
                "npm ci --ignore-scripts --omit=dev".to_owned(),
            ),
            (&Plan::NpmInstall, with(&[], true), "npm install".to_owned()),
            (&pip, with(&[], true), format!("{target} -r a.txt -r b.txt")),
            (
                &pip,
                with(&["-r", "b.txt"], false),
                format!("{target} --only-binary :all: -r b.txt"),
            ),
        ] {
            assert_eq!(
                plan.command(Path::new("app"), &parameters).to_string(),
                expected
            );
        }
    }
}
