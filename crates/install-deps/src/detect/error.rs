//! Why it is not clear what is to be installed.

use crate::Manager;

/// Why there is no recipe. Each is a fault in the pipeline's or the project's setup.
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
        /// There is a pyproject.toml, which does not say whose it is.
        has_pyproject: bool,
        /// Directories of the source where there is something.
        elsewhere: Vec<String>,
    },
    /// Managers of two languages have a file there.
    #[error(
        "{directory} has both {} and {}, so it could be {} or {}",
        files[0], files[1], managers[0], managers[1]
    )]
    Conflict {
        /// As shown to people.
        directory: String,
        /// A file of each.
        files: [String; 2],
        /// Whose they are.
        managers: [Manager; 2],
    },
    /// Two lock files for one language: it is not clear which of the two holds the truth.
    #[error("{directory} has two lock files, {} and {}", locks[0], locks[1])]
    TwoLocks {
        /// As shown to people.
        directory: String,
        /// Their names.
        locks: [String; 2],
    },
    /// package.json names one manager, and the lock file is another's.
    #[error(
        "package.json in {directory} has `packageManager` {manager}, but the lock file is {lock}"
    )]
    Pinned {
        /// As shown to people.
        directory: String,
        /// As named.
        manager: Manager,
        /// The other's file.
        lock: String,
    },
    /// A lock file that would be ignored.
    #[error("{directory} has {lock}, which {owner} reads and install-deps does not")]
    ForeignLock {
        /// As shown to people.
        directory: String,
        /// The lock file.
        lock: String,
        /// Whose it is.
        owner: &'static str,
        /// The manager that would take its place.
        manager: Manager,
    },
    /// A lock file alone.
    #[error("{directory} has {lock}, but no {manifest}")]
    LockAlone {
        /// As shown to people.
        directory: String,
        /// The lock file.
        lock: String,
        /// The file that it is made from.
        manifest: String,
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
                    elsewhere.join(",")
                )
            }
            Self::Nothing {
                has_pyproject: true,
                ..
            } => "pyproject.toml alone does not say who installs it: commit uv.lock or poetry.lock, or set `manager=`"
                .to_owned(),
            Self::Nothing { .. } => {
                "commit a manifest and its lock file, or remove install-deps from the pipeline"
                    .to_owned()
            }
            Self::Conflict { managers: [one, other], .. } => {
                format!("set `manager={one}` or `manager={other}`; two actions can install both")
            }
            Self::TwoLocks { locks, .. } => {
                let owner = |lock: &String| match lock.as_str() {
                    "yarn.lock" => Some("yarn"),
                    "pnpm-lock.yaml" => Some("pnpm"),
                    "uv.lock" => Some("uv"),
                    "poetry.lock" => Some("poetry"),
                    "package-lock.json" | "npm-shrinkwrap.json" => Some("npm"),
                    _ => None,
                };
                let ways: Vec<String> = locks
                    .iter()
                    .filter_map(owner)
                    .map(|name| format!("`manager={name}`"))
                    .collect();
                format!(
                    "remove the one that is not maintained, or say which counts with {}",
                    ways.join(" or ")
                )
            }
            Self::Pinned { manager, lock, .. } => format!(
                "run `{manager} install`, commit its lock file and remove {lock}; or correct `packageManager`"
            ),
            Self::ForeignLock { manager: Manager::Pip, .. } => {
                "export the locked versions to a requirements.txt".to_owned()
            }
            Self::ForeignLock { manager, .. } => format!(
                "commit a lock file of npm, yarn or pnpm, or set `manager={manager}` to install without a lock"
            ),
            Self::LockAlone { manifest, .. } => {
                format!("commit the {manifest} that belongs to it")
            }
        }
    }
}
