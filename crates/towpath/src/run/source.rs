//! The source tree as a source action would deliver it: a zip, and a revision.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use ignore::WalkBuilder;
use sha2::{Digest, Sha256};

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
        let mut zip = std::io::Cursor::new(Vec::new());
        towpath_artifact::pack(staged.path(), &mut zip)
            .with_context(|| format!("failed to pack source folder {shown}"))?;
        let zip = zip.into_inner();
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

/// Copies (by hard link where that works) the files that are not ignored.
fn copy(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let walk = WalkBuilder::new(from)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git" && entry.file_name() != ".towpath")
        .build();
    let mut files = 0;
    for entry in walk {
        let entry = entry.context("failed to read the source folder")?;
        let relative = entry.path().strip_prefix(from)?;
        let target: PathBuf = to.join(relative);
        let doing = || format!("failed to copy {}", entry.path().display());
        let Some(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            std::fs::create_dir_all(&target).with_context(doing)?;
        } else if kind.is_symlink() {
            let link = std::fs::read_link(entry.path()).with_context(doing)?;
            std::os::unix::fs::symlink(link, &target).with_context(doing)?;
            files += 1;
        } else if kind.is_file() {
            if std::fs::hard_link(entry.path(), &target).is_err() {
                std::fs::copy(entry.path(), &target).with_context(doing)?;
            }
            files += 1;
        }
    }
    Ok(files)
}

/// The commit that the tree is exactly, if it is one.
fn commit(directory: &Path) -> Option<(String, String)> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(directory)
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
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
