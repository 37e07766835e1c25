//! What an installation added to a tree: told by comparing the tree with what it was before.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use crate::InstallError;

/// The paths of a tree before the installation, relative to its root.
#[derive(Debug)]
pub(crate) struct Before(BTreeSet<PathBuf>);

impl Before {
    /// Lists `root`, but for `destination`: whatever the installation puts there is its own, also where the source
    /// had something.
    pub(crate) fn list(root: &Path, destination: &Path) -> Result<Self, InstallError> {
        let mut paths = BTreeSet::new();
        let entries = walkdir::WalkDir::new(root).min_depth(1).into_iter();
        for entry in entries.filter_entry(|entry| entry.path() != destination) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(root).to_owned();
                InstallError::Tree {
                    path,
                    source: error.into(),
                }
            })?;
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

/// How many packages an installation has left in `destination`.
///
/// npm keeps a list of its own; pip leaves a `.dist-info` directory for each.
pub(crate) fn packages(destination: &Path) -> usize {
    if let Ok(list) = fs::read(destination.join(".package-lock.json")) {
        let list: serde_json::Value = serde_json::from_slice(&list).unwrap_or_default();
        let paths = list["packages"]
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys);
        return paths.filter(|path| path.contains("node_modules/")).count();
    }
    let entries = fs::read_dir(destination).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "dist-info")
        })
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
        let before = Before::list(root, &root.join("node_modules")).unwrap();
        fs::remove_dir_all(root.join("node_modules")).unwrap();
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
        let before = Before::list(source.path(), &source.path().join("node_modules")).unwrap();
        let into = source.path().with_extension("added");
        before.move_added(source.path(), &into).unwrap();
        assert_eq!(listed(&into), [""; 0]);
        fs::remove_dir(into).unwrap();
    }

    #[test]
    fn packages_are_counted_by_what_each_manager_leaves() {
        let list = r#"{"packages": {"node_modules/a": {}, "node_modules/a/node_modules/b": {}, "packages/own": {}}}"#;
        for (files, expected) in [
            (&[(".package-lock.json", list), ("a/a.js", "")][..], 2),
            (&[(".package-lock.json", "broken")], 0),
            (
                &[
                    ("six-1.0.dist-info/METADATA", ""),
                    ("six.py", ""),
                    ("bin/x", ""),
                ],
                1,
            ),
            (&[], 0),
        ] {
            let directory = tempfile::tempdir().unwrap();
            for (name, text) in files {
                add(directory.path(), &[name]);
                fs::write(directory.path().join(name), text).unwrap();
            }
            assert_eq!(packages(directory.path()), expected, "{files:?}");
        }
        assert_eq!(packages(Path::new("/nowhere")), 0);
    }
}
