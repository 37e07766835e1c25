//! `omit-dev=true`: what only development needs is gone before anything is packaged.
//!
//! The tasks have seen all of it, and their package manager takes it out again, by the lock file and without a network.

use std::path::{Path, PathBuf};
use std::time::Instant;

use towpath_tool::{Command, Limits, Workspace, run};
use walkdir::WalkDir;

use crate::error::ActionError;

/// How what a lock file has installed is made less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By this command.
    Prune(&'static str, &'static [&'static str]),
    /// By none that needs no network: what to do instead.
    Reinstall(&'static str),
}

/// By lock file, where this directory beside it is what was installed.
const WAYS: [(&str, &str, Way); 7] = [
    ("npm-shrinkwrap.json", "node_modules", NPM),
    ("package-lock.json", "node_modules", NPM),
    (
        "pnpm-lock.yaml",
        "node_modules",
        Way::Prune("pnpm", &["prune", "--prod", "--ignore-scripts"]),
    ),
    ("yarn.lock", "node_modules", Way::Reinstall(YARN)),
    // Without `node_modules`, all that is installed is in archives.
    ("yarn.lock", ".pnp.cjs", Way::Reinstall(YARN)),
    (
        "uv.lock",
        ".venv",
        Way::Prune("uv", &["sync", "--locked", "--no-dev", "--offline"]),
    ),
    ("poetry.lock", ".venv", Way::Reinstall(POETRY)),
];

const YARN: &str = "with Yarn 1, package what another install-deps action has installed, with args=--production and in an \
                    artifact of its own, and leave `omit-dev` out; with Yarn 4, let `yarn workspaces focus \
                    --production` be the last thing that the tasks do";

const POETRY: &str = "package what another install-deps action has installed, with args=--only=main and in an artifact of \
                      its own, and leave `omit-dev` out";

const NPM: Way = Way::Prune(
    "npm",
    &[
        "prune",
        "--omit=dev",
        "--ignore-scripts",
        "--offline",
        "--no-audit",
        "--no-fund",
    ],
);

/// Removes what only development needs from all that is installed in the tree.
pub(crate) async fn prune(
    tree: &Path,
    workspace: &Workspace,
    deadline: Instant,
) -> Result<(), ActionError> {
    for (directory, lock, way) in found(tree) {
        let shown = directory.strip_prefix(tree).unwrap_or(&directory);
        let lock_file = shown.join(lock);
        match way {
            Way::Reinstall(instead) => {
                return Err(ActionError::DevelopmentStays { lock_file, instead });
            }
            Way::Prune(program, arguments) => {
                let command = Command::new(program, &directory).args(arguments.iter().copied());
                run(&command, workspace, &Limits::until(deadline))
                    .await
                    .map_err(|source| ActionError::Prune { lock_file, source })?;
                tracing::info!(
                    directory = %shown.display(),
                    "`{program} {}` has removed what only development needs",
                    arguments.join(" ")
                );
            }
        }
    }
    Ok(())
}

/// The directories in which something is installed, with the lock file that says what.
fn found(tree: &Path) -> Vec<(PathBuf, &'static str, Way)> {
    let mut found = Vec::new();
    let directories = WalkDir::new(tree)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            let name = entry.file_name();
            entry.file_type().is_dir()
                && name != ".git"
                && !WAYS.iter().any(|(_, installed, _)| name == *installed)
        });
    for directory in directories.flatten() {
        let directory = directory.into_path();
        let of = WAYS.iter().find(|(lock, installed, _)| {
            directory.join(lock).is_file() && directory.join(installed).exists()
        });
        if let Some((lock, _, way)) = of {
            found.push((directory, *lock, *way));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_found_by_its_lock_file() {
        let tree = tempfile::tempdir().unwrap();
        for file in [
            "package-lock.json",
            "node_modules/a/package-lock.json",
            "node_modules/a/node_modules/b/index.js",
            "api/pnpm-lock.yaml",
            "web/yarn.lock",
            "web/node_modules/c.js",
            "plug/yarn.lock",
            "plug/.pnp.cjs",
            "jobs/uv.lock",
            "jobs/.venv/pyvenv.cfg",
        ] {
            let path = tree.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found: Vec<_> = found(tree.path())
            .into_iter()
            .map(|(directory, lock, way)| {
                let shown = directory.strip_prefix(tree.path()).unwrap().to_owned();
                let pruned = matches!(way, Way::Prune(..));
                (shown.display().to_string(), lock, pruned)
            })
            .collect();
        assert_eq!(
            found,
            [
                (String::new(), "package-lock.json", true),
                ("jobs".to_owned(), "uv.lock", true),
                ("plug".to_owned(), "yarn.lock", false),
                ("web".to_owned(), "yarn.lock", false),
            ]
        );
    }
}
