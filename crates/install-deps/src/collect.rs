//! What an installation added to a tree: told by comparing the tree with what it was before.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use towpath_tool::{
    installed::{CARGO_HOME, GO_MODULES, MAVEN_REPOSITORY, VIRTUAL_ENVIRONMENT},
    task::PYTHON_PACKAGES,
};

use crate::{InstallError, Manager};

/// The paths of a tree before the installation, relative to its root.
#[derive(Debug)]
pub(crate) struct Before(BTreeSet<PathBuf>);

impl Before {
    /// Lists `root`.
    pub(crate) fn list(root: &Path) -> Result<Self, InstallError> {
        let mut paths = BTreeSet::new();
        for entry in walkdir::WalkDir::new(root).min_depth(1) {
            let entry = entry.map_err(|error| InstallError::walk(root, error))?;
            if let Ok(path) = entry.path().strip_prefix(root) {
                paths.insert(path.to_owned());
            }
        }
        Ok(Self(paths))
    }

    /// Moves what is new in `root` to the same paths below `into`, which is made.
    pub(crate) fn move_added(&self, root: &Path, into: &Path) -> Result<(), InstallError> {
        make(into)?;
        let mut added = Vec::new();
        self.find_added(root, Path::new(""), &mut added)?;
        for path in added {
            let target = into.join(&path);
            if let Some(parent) = target.parent() {
                make(parent)?;
            }
            let from = root.join(&path);
            fs::rename(&from, &target)
                .map_err(|source| InstallError::Tree { path: from, source })?;
        }
        Ok(())
    }

    /// New files, links and directories; nothing below a new directory, since it moves as a whole.
    fn find_added(
        &self,
        root: &Path,
        below: &Path,
        added: &mut Vec<PathBuf>,
    ) -> Result<(), InstallError> {
        let directory = root.join(below);
        let failed = |source: io::Error| InstallError::Tree {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = below.join(entry.file_name());
            if !self.0.contains(&path) {
                added.push(path);
            } else if entry.file_type().map_err(failed)?.is_dir() {
                self.find_added(root, &path, added)?;
            }
        }
        Ok(())
    }
}

fn make(directory: &Path) -> Result<(), InstallError> {
    fs::create_dir_all(directory).map_err(|source| InstallError::Tree {
        path: directory.to_owned(),
        source,
    })
}

/// The bytes of all files in a tree.
pub(crate) fn size(root: &Path) -> u64 {
    walkdir::WalkDir::new(root)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// How many packages a manager has left in the directory that it ran in, by what it leaves for each.
pub(crate) fn packages(manager: Manager, directory: &Path) -> usize {
    let modules = directory.join("node_modules");
    match manager {
        Manager::Npm => listed_by_npm(&modules),
        Manager::YarnClassic => modules_in(&modules),
        // What is unplugged is in the cache, too.
        Manager::Yarn if modules.is_dir() => modules_in(&modules),
        Manager::Yarn => ending(&directory.join(".yarn/cache"), ".zip"),
        // Beside the packages lie a directory of links and a lock file.
        Manager::Pnpm => entries(&modules.join(".pnpm"))
            .filter(|name| name != "node_modules" && name != "lock.yaml")
            .count(),
        Manager::Pip => ending(&directory.join(PYTHON_PACKAGES), ".dist-info"),
        Manager::Uv | Manager::Poetry => {
            let libraries = directory.join(VIRTUAL_ENVIRONMENT).join("lib");
            entries(&libraries)
                .map(|python| ending(&libraries.join(python).join("site-packages"), ".dist-info"))
                .sum()
        }
        Manager::Cargo => entries(&directory.join(CARGO_HOME).join("vendor")).count(),
        Manager::Go => walked(&directory.join(GO_MODULES), ".zip"),
        Manager::Maven => walked(&directory.join(MAVEN_REPOSITORY), ".jar"),
    }
}

/// npm keeps a list of its own.
fn listed_by_npm(modules: &Path) -> usize {
    let list = fs::read(modules.join(".package-lock.json")).unwrap_or_default();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap_or_default();
    let paths = list["packages"]
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys);
    paths.filter(|path| path.contains("node_modules/")).count()
}

/// Packages in a `node_modules`, and in those of the packages.
fn modules_in(modules: &Path) -> usize {
    let names = entries(modules).filter(|name| !name.starts_with('.'));
    names
        .map(|name| {
            let path = modules.join(&name);
            if name.starts_with('@') {
                return modules_in(&path);
            }
            1 + modules_in(&path.join("node_modules"))
        })
        .sum()
}

fn entries(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn ending(directory: &Path, end: &str) -> usize {
    entries(directory)
        .filter(|name| name.ends_with(end))
        .count()
}

fn walked(directory: &Path, end: &str) -> usize {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(end))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        add(directory.path(), files);
        directory
    }

    fn add(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "content").unwrap();
        }
    }

    fn listed(root: &Path) -> Vec<String> {
        let entries = walkdir::WalkDir::new(root)
            .sort_by_file_name()
            .into_iter()
            .map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files
            .map(|entry| {
                entry
                    .path()
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    #[test]
    fn only_what_was_added_moves() {
        let source = tree(&[
            "package.json",
            "src/index.js",
            "test/fixtures/node_modules/a/a.js",
            "node_modules/old/o.js",
        ]);
        let root = source.path();
        fs::remove_dir_all(root.join("node_modules")).unwrap();
        let before = Before::list(root).unwrap();
        add(
            root,
            &[
                "node_modules/a/a.js",
                "packages/b/node_modules/c/c.js",
                "src/generated/client.js",
                "package-lock.json",
            ],
        );
        fs::create_dir(root.join("node_modules/.bin")).unwrap();
        std::os::unix::fs::symlink("../a/a.js", root.join("node_modules/.bin/a")).unwrap();
        let into = tempfile::tempdir().unwrap();
        let into = into.path().join("added");
        before.move_added(root, &into).unwrap();
        assert_eq!(
            listed(&into),
            [
                "node_modules/.bin/a",
                "node_modules/a/a.js",
                "package-lock.json",
                "packages/b/node_modules/c/c.js",
                "src/generated/client.js",
            ]
        );
        assert_eq!(
            listed(root),
            [
                "package.json",
                "src/index.js",
                "test/fixtures/node_modules/a/a.js"
            ]
        );
        assert_eq!(size(&into), 4 * 7);
    }

    #[test]
    fn nothing_added_is_an_empty_tree() {
        let source = tree(&["package.json"]);
        let before = Before::list(source.path()).unwrap();
        let into = source.path().with_extension("added");
        before.move_added(source.path(), &into).unwrap();
        assert_eq!(listed(&into), [""; 0]);
        fs::remove_dir(into).unwrap();
    }

    #[test]
    fn packages_are_counted_by_what_each_manager_leaves() {
        let list = r#"{"packages": {"node_modules/a": {}, "node_modules/a/node_modules/b": {}, "packages/own": {}}}"#;
        for (manager, files, expected) in [
            (
                Manager::Npm,
                &[
                    ("node_modules/.package-lock.json", list),
                    ("node_modules/a/a.js", ""),
                ][..],
                2,
            ),
            (
                Manager::Npm,
                &[("node_modules/.package-lock.json", "broken")],
                0,
            ),
            (
                Manager::YarnClassic,
                &[
                    ("node_modules/.bin/a", ""),
                    ("node_modules/a/node_modules/b/b.js", ""),
                    ("node_modules/@s/c/c.js", ""),
                ],
                3,
            ),
            (
                Manager::Pnpm,
                &[
                    ("node_modules/.pnpm/a@1.0.0/node_modules/a/a.js", ""),
                    ("node_modules/.pnpm/node_modules/a", ""),
                    ("node_modules/.pnpm/lock.yaml", ""),
                ],
                1,
            ),
            (
                Manager::Yarn,
                &[
                    (".yarn/cache/a-npm-1.zip", ""),
                    (".yarn/cache/.gitignore", ""),
                    (".pnp.cjs", ""),
                ],
                1,
            ),
            (
                Manager::Pip,
                &[
                    (".python-packages/six-1.0.dist-info/METADATA", ""),
                    (".python-packages/six.py", ""),
                    (".python-packages/bin/x", ""),
                ],
                1,
            ),
            (
                Manager::Uv,
                &[(
                    ".venv/lib/python3.11/site-packages/six-1.0.dist-info/METADATA",
                    "",
                )],
                1,
            ),
            (
                Manager::Cargo,
                &[
                    (".cargo-home/config.toml", ""),
                    (".cargo-home/vendor/a-1.0.0/Cargo.toml", ""),
                ],
                1,
            ),
            (
                Manager::Go,
                &[(".go-modules/cache/download/a/@v/v1.zip", "")],
                1,
            ),
            (
                Manager::Maven,
                &[
                    (".m2-repository/a/1/a.jar", ""),
                    (".m2-repository/a/1/a.pom", ""),
                ],
                1,
            ),
            (Manager::Maven, &[], 0),
        ] {
            let directory = tempfile::tempdir().unwrap();
            for (name, text) in files {
                add(directory.path(), &[name]);
                fs::write(directory.path().join(name), text).unwrap();
            }
            assert_eq!(
                packages(manager, directory.path()),
                expected,
                "{manager} {files:?}"
            );
        }
        assert_eq!(packages(Manager::Npm, Path::new("/nowhere")), 0);
    }
}
