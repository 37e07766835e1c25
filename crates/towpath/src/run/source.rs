//! The source tree as a source action would deliver it: a zip, and a revision.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail, ensure};
use ignore::WalkBuilder;
use sha2::{Digest, Sha256};
use towpath_archive::Packing;

/// A source tree, packed.
#[derive(Debug)]
pub(crate) struct Source {
    /// The zip, as a connection delivers it: no `.git`.
    pub(crate) zip: Vec<u8>,
    /// The commit, or the first forty digits of the content's hash when the tree is not exactly a commit.
    pub(crate) revision: String,
    /// The commit's first line, or where the tree came from.
    pub(crate) message: String,
    /// How many files it has.
    pub(crate) files: usize,
}

impl Source {
    /// Packs what git would track: ignored files stay behind, uncommitted ones come along.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Self> {
        let shown = directory.display();
        ensure!(
            directory.exists(),
            "source folder {shown} does not exist; name the folder of the application, as in `towpath run path/to/app`"
        );
        ensure!(
            directory.is_dir(),
            "source {shown} is a file; name the folder of the application"
        );
        let staged = tempfile::tempdir().context("failed to make a temporary directory")?;
        let files = copy(directory, staged.path())?;
        if files == 0 {
            bail!("source folder {shown} has no files, or only ignored ones");
        }
        let mut zip = Vec::new();
        towpath_archive::pack(staged.path(), &mut zip, &Packing::default()).map_err(|error| {
            // The person knows the folder, not the copy of it.
            let staged = staged.path().display().to_string();
            let reason = error.to_string().replace(&staged, &shown.to_string());
            anyhow!("failed to pack source folder {shown}: {reason}")
        })?;
        let (revision, message) = match commit(directory) {
            Some(commit) => commit,
            None => (
                hex::encode(&Sha256::digest(&zip)[..20]),
                format!("working tree of {shown}"),
            ),
        };
        Ok(Self {
            zip,
            revision,
            message,
            files,
        })
    }
}

/// Copies (by hard link where that works) what a source action would deliver.
fn copy(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let mut files = 0;
    for relative in listed(from)? {
        let (source, target) = (from.join(&relative), to.join(&relative));
        let doing = || format!("failed to copy {}", source.display());
        // Deleted in the working tree, and still in git's index.
        let Ok(found) = source.symlink_metadata() else {
            continue;
        };
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).with_context(doing)?;
        }
        if found.is_symlink() {
            let link = std::fs::read_link(&source).with_context(doing)?;
            std::os::unix::fs::symlink(link, &target).with_context(doing)?;
        } else if found.is_file() {
            if std::fs::hard_link(&source, &target).is_err() {
                std::fs::copy(&source, &target).with_context(doing)?;
            }
        } else {
            continue;
        }
        files += 1;
    }
    Ok(files)
}

/// The files below `directory`: in a repository what git tracks or would track, elsewhere all that
/// the `.gitignore` files of the tree itself do not name.
fn listed(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let arguments = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
        "--",
        ".",
    ];
    if let Some(output) = git(directory, &arguments) {
        let names = output
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        let mut paths: Vec<PathBuf> = names
            .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)))
            .collect();
        // A file with a merge conflict is listed once for each side.
        paths.dedup();
        paths.retain(|path| !path.starts_with(".towpath"));
        return Ok(paths);
    }
    let walk = WalkBuilder::new(directory)
        .hidden(false)
        .require_git(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .parents(false)
        .filter_entry(|entry| entry.file_name() != ".git" && entry.file_name() != ".towpath")
        .build();
    let mut paths = Vec::new();
    for entry in walk {
        let entry = entry.context("failed to read the source folder")?;
        if entry.file_type().is_some_and(|kind| !kind.is_dir()) {
            paths.push(entry.path().strip_prefix(directory)?.to_owned());
        }
    }
    Ok(paths)
}

/// What git prints, if there is a git and `directory` is in a repository.
fn git(directory: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// The commit that the tree is exactly, if it is one.
fn commit(directory: &Path) -> Option<(String, String)> {
    let git = |arguments: &[&str]| {
        Some(
            String::from_utf8_lossy(&git(directory, arguments)?)
                .trim()
                .to_owned(),
        )
    };
    if !git(&["status", "--porcelain", "--", "."])?.is_empty() {
        return None;
    }
    let revision = git(&["rev-parse", "HEAD"])?;
    let message = git(&["log", "-1", "--format=%s"])?;
    Some((revision, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_files_stay_behind_and_hidden_ones_come_along() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, name).expect("a file");
        };
        for name in [
            "a.js",
            ".npmrc",
            "node_modules/x/index.js",
            ".git/config",
            ".towpath/lock",
        ] {
            write(name);
        }
        std::fs::write(directory.path().join(".gitignore"), "node_modules/\n").expect("a file");
        let source = Source::read(directory.path()).expect("a tree");
        assert_eq!(source.files, 3, "a.js, .npmrc, .gitignore");
        assert_eq!(source.revision.len(), 40);
        let again = Source::read(directory.path()).expect("a tree");
        assert_eq!(source.zip, again.zip, "the same tree gives the same bytes");
    }

    #[test]
    fn only_the_trees_own_gitignore_counts() {
        let outer = tempfile::tempdir().expect("a directory");
        std::fs::write(outer.path().join(".gitignore"), "*\n").expect("a file");
        let app = outer.path().join("app");
        std::fs::create_dir_all(app.join("src")).expect("a directory");
        std::fs::write(app.join(".ignore"), "src/\n").expect("a file");
        std::fs::write(app.join("src/a.js"), "").expect("a file");
        assert_eq!(
            Source::read(&app).expect("a tree").files,
            2,
            ".ignore, src/a.js"
        );
    }

    #[test]
    fn a_link_out_of_the_tree_is_named_as_the_person_knows_it() {
        let directory = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("out")).expect("a link");
        let error = Source::read(directory.path())
            .expect_err("refused")
            .to_string();
        let shown = directory.path().join("out").display().to_string();
        assert!(error.contains(&shown), "{error}");
    }

    #[test]
    fn a_missing_or_empty_folder_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let empty = Source::read(directory.path())
            .expect_err("empty")
            .to_string();
        assert!(empty.contains("has no files"), "{empty}");
        let missing = Source::read(&directory.path().join("nowhere"))
            .expect_err("missing")
            .to_string();
        assert!(missing.contains("nowhere does not exist"), "{missing}");
    }
}
