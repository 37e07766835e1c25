//! Reports in a project's tree: which there are, and which the tasks wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};
use std::str::FromStr;

use walkdir::{DirEntry, WalkDir};

use crate::error::ReportError;

/// Of one report, in bytes.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What reports are called, where one is looked for that no pattern matches.
const USUAL: [&str; 3] = ["xml", "info", "lcov"];

/// Folders that hold others' files, and many. A pattern that names one reaches into it.
const FOREIGN: [&str; 8] = [
    ".git",
    "node_modules",
    ".python-packages",
    ".venv",
    "venv",
    ".cargo-home",
    ".go-modules",
    ".m2-repository",
];

/// A pattern of paths below the project's directory: `reports/*.xml`, `**/TEST-*.xml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl FromStr for Pattern {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = Vec::new();
        for component in Path::new(text).components() {
            match component {
                Component::Normal(part) => parts.push(part.to_str().ok_or(())?),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(()),
            }
        }
        let text = parts.join("/");
        let is_positive = !text.starts_with('!') && !text.contains(['\\', '\0']);
        (is_positive && !text.is_empty() && fast_glob::validate(&text).is_ok())
            .then_some(Self(text))
            .ok_or(())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// The one file of this name, whatever characters are in it.
    pub fn of(file: &str) -> Self {
        let mut text = String::with_capacity(file.len());
        for c in file.chars() {
            if "*?[]{}!\\".contains(c) {
                text.push('\\');
            }
            text.push(c);
        }
        Self(text)
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        fast_glob::glob_match(&self.0, path)
    }

    /// What the file system has under this very name.
    pub(crate) fn is_folder_of(&self, project: &Path) -> bool {
        project.join(&self.0).is_dir()
    }
}

/// What tells that a file was written: another file, another size, or another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// Files that could be reports, by their paths below the project's directory.
pub(crate) type Files = BTreeMap<String, Stamp>;

/// The files that a pattern matches, and those that are called as reports usually are.
pub(crate) fn survey(project: &Path, patterns: &[&Pattern]) -> Files {
    let enters = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let is_foreign = entry.file_type().is_dir() && FOREIGN.contains(&&*name);
        !is_foreign || patterns.iter().any(|it| it.0.contains(&*name))
    };
    let mut files = Files::new();
    for entry in WalkDir::new(project).into_iter().filter_entry(enters) {
        // A folder that cannot be read, or is gone meanwhile, holds no report.
        let Ok(entry) = entry else { continue };
        let Some(path) = relative(project, &entry) else {
            continue;
        };
        let is_usual = path
            .rsplit_once('.')
            .is_some_and(|(_, extension)| USUAL.contains(&extension));
        if entry.file_type().is_dir() || !(is_usual || patterns.iter().any(|it| it.matches(&path)))
        {
            continue;
        }
        // Of a link, what it leads to.
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        if metadata.is_file() {
            files.insert(
                path,
                Stamp {
                    inode: metadata.ino(),
                    bytes: metadata.len(),
                    modified: (metadata.mtime(), metadata.mtime_nsec()),
                },
            );
        }
    }
    files
}

fn relative(project: &Path, entry: &DirEntry) -> Option<String> {
    let path = entry.path().strip_prefix(project).ok()?.to_str()?;
    (!path.is_empty()).then(|| path.to_owned())
}

/// A report's content. The file may be a link, but not one out of the tree: it is read with the function's rights.
pub(crate) fn read(tree: &Path, project: &Path, file: &str) -> Result<Vec<u8>, ReportError> {
    let failed = |source| ReportError::Io {
        file: file.to_owned(),
        source,
    };
    let path = project.join(file).canonicalize().map_err(failed)?;
    if !path.starts_with(tree.canonicalize().map_err(failed)?) {
        return Err(ReportError::Outside {
            file: file.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES {
        let more = format!("more than {} MiB long", FILE_BYTES / 1024 / 1024);
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, more)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_by_table() {
        for (pattern, matched, other) in [
            ("report.xml", "report.xml", "a/report.xml"),
            ("./reports/*.xml", "reports/a.xml", "reports/b/a.xml"),
            ("**/TEST-*.xml", "a/b/TEST-x.xml", "a/b/x.xml"),
            ("**/TEST-*.xml", "TEST-x.xml", "TEST-x.txt"),
            ("target/**/*.xml", "target/a/b/c.xml", "src/c.xml"),
            ("cov/lcov.{info,txt}", "cov/lcov.info", "cov/lcov.xml"),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert!(pattern.matches(matched), "{pattern} {matched}");
            assert!(!pattern.matches(other), "{pattern} {other}");
        }
        assert!(Pattern::of("a/[b]*.xml").matches("a/[b]*.xml"));
        assert!(!Pattern::of("a/[b]*.xml").matches("a/bb.xml"));
        for pattern in [
            "",
            ".",
            "../a.xml",
            "/a.xml",
            "a/../../b",
            "a[",
            "a{b",
            "!a.xml",
            "a\\b",
        ] {
            assert!(pattern.parse::<Pattern>().is_err(), "{pattern}");
        }
    }
}
