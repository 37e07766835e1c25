//! What is to be packed: all that is in a directory, sorted by name, or one file alone.
//!
//! What is packed can be unpacked: names and links that [`crate::unpack()`] refuses are refused here
//! already, where the one who can change them is told.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::ArchiveError;
use crate::links::{self, Links};
use crate::plan::Limits;

/// What will be an archive.
#[derive(Debug)]
pub struct Listing {
    /// The directory that the items lie in, if they lie in one.
    pub(crate) root: Option<PathBuf>,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug)]
pub(crate) struct Item {
    /// Parts joined by `/`.
    pub(crate) name: String,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// A file beneath the root, or, where there is none, at a path of its own.
    File {
        at: Option<PathBuf>,
        executable: bool,
        state: FileState,
    },
    /// A file that is in memory.
    Bytes(Vec<u8>),
    Link(String),
    EmptyDirectory,
}

/// What tells whether a file is still what it was: whoever changes a file changes one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileState {
    pub(crate) bytes: u64,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Seconds and nanoseconds.
    pub(crate) modified: (i64, i64),
    /// Of the last change of content, permissions, name or links. Nobody can set it.
    pub(crate) changed: (i64, i64),
}

impl FileState {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Listing {
    /// All that is in a directory. Links are kept, not followed.
    pub fn of_directory(directory: &Path) -> Result<Self, ArchiveError> {
        Ok(Self {
            items: list(directory)?,
            root: Some(directory.to_owned()),
        })
    }

    /// One file alone, under `name`.
    pub fn of_file(file: &Path, name: &str) -> Result<Self, ArchiveError> {
        checked_name(file, name)?;
        let metadata = fs::metadata(file).map_err(|error| ArchiveError::io("read", file, error))?;
        if !metadata.is_file() {
            return Err(unpackable(file, "it is not a file"));
        }
        Ok(Self::alone(name, file_at(Some(file.to_owned()), &metadata)))
    }

    /// These bytes as one file alone, under `name`.
    pub fn of_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, ArchiveError> {
        checked_name(Path::new(name), name)?;
        Ok(Self::alone(name, What::Bytes(bytes)))
    }

    fn alone(name: &str, what: What) -> Self {
        Self {
            root: None,
            items: vec![Item {
                name: name.to_owned(),
                what,
            }],
        }
    }

    /// How many entries it will be: files, links and empty directories.
    pub fn entries(&self) -> u64 {
        self.items.len() as u64
    }

    /// The entries' names, in their order, and for a file on the disk where it is.
    pub fn names(&self) -> impl Iterator<Item = (&str, Option<PathBuf>)> {
        self.items.iter().map(|item| {
            let file = match &item.what {
                What::File { at: Some(at), .. } => Some(at.clone()),
                What::File { at: None, .. } => self.root.as_ref().map(|root| root.join(&item.name)),
                What::Bytes(_) | What::Link(_) | What::EmptyDirectory => None,
            };
            (item.name.as_str(), file)
        })
    }

    /// What an item is called in messages.
    pub(crate) fn shown(&self, item: &Item) -> PathBuf {
        match (&item.what, &self.root) {
            (What::File { at: Some(at), .. }, _) => at.clone(),
            (_, Some(root)) => root.join(&item.name),
            (_, None) => PathBuf::from(&item.name),
        }
    }
}

fn file_at(at: Option<PathBuf>, metadata: &Metadata) -> What {
    What::File {
        at,
        executable: metadata.mode() & 0o111 != 0,
        state: FileState::of(metadata),
    }
}

/// All that will be an entry, sorted by name.
fn list(directory: &Path) -> Result<Vec<Item>, ArchiveError> {
    let mut items = Vec::new();
    let mut links = Links::new();
    let (mut nodes, mut bytes) = (0, 0_u64);
    // A directory is an entry only if nothing follows that lies in it.
    let mut last_directory: Option<(PathBuf, String)> = None;
    let empty = |(_, name)| Item {
        name,
        what: What::EmptyDirectory,
    };
    for entry in walkdir::WalkDir::new(directory).min_depth(1) {
        let entry = entry.map_err(|error| walk_failed(directory, error))?;
        let path = entry.path();
        nodes += 1;
        if let Some(last) = last_directory.take()
            && path.parent() != Some(&last.0)
        {
            items.push(empty(last));
        }
        let name = name_of(directory, path)?;
        let kind = entry.file_type();
        let what = if kind.is_dir() {
            last_directory = Some((entry.into_path(), name));
            continue;
        } else if kind.is_symlink() {
            let target = target_of(path)?;
            links.insert(name.clone(), target.clone());
            What::Link(target)
        } else if kind.is_file() {
            let metadata = fs::symlink_metadata(path)
                .map_err(|error| ArchiveError::io("read", path, error))?;
            bytes = bytes.saturating_add(metadata.len());
            file_at(None, &metadata)
        } else {
            let what = if kind.is_socket() {
                "a socket"
            } else if kind.is_fifo() {
                "a named pipe"
            } else {
                "a device"
            };
            return Err(unpackable(path, format!("it is {what}, not a file")));
        };
        items.push(Item { name, what });
    }
    items.extend(last_directory.map(empty));
    if let Some(reason) = too_much(nodes, bytes) {
        return Err(unpackable(directory, reason));
    }
    if let Some(link) = links::leaving(&links, false) {
        return Err(unpackable(
            &directory.join(link),
            format!("it is a link that leaves the tree, to `{}`", links[link]),
        ));
    }
    items.sort_unstable_by(|one, two| one.name.cmp(&two.name));
    Ok(items)
}

/// Why so many files, directories and links, or so many bytes, could not be unpacked again.
fn too_much(nodes: u64, bytes: u64) -> Option<String> {
    let limits = Limits::default();
    if nodes > limits.entries {
        return Some(format!(
            "it has {nodes} files, directories and links; at most {} can be unpacked again",
            limits.entries
        ));
    }
    (bytes > limits.bytes).then(|| {
        format!(
            "its files are {bytes} bytes; at most {} can be unpacked again",
            limits.bytes
        )
    })
}

fn walk_failed(directory: &Path, error: walkdir::Error) -> ArchiveError {
    let path = error.path().unwrap_or(directory).to_owned();
    let source = error
        .into_io_error()
        .unwrap_or_else(|| io::Error::other("links go in circles"));
    ArchiveError::io("read", &path, source)
}

fn name_of(directory: &Path, path: &Path) -> Result<String, ArchiveError> {
    let relative = path.strip_prefix(directory).unwrap_or(path);
    let name = relative
        .to_str()
        .ok_or_else(|| unpackable(path, "its name is not UTF-8"))?;
    checked_name(path, name)?;
    Ok(name.to_owned())
}

fn checked_name(path: &Path, name: &str) -> Result<(), ArchiveError> {
    crate::name::parts(name)
        .map(drop)
        .map_err(|refusal| unpackable(path, format!("it {refusal}")))
}

fn target_of(path: &Path) -> Result<String, ArchiveError> {
    let target = fs::read_link(path).map_err(|error| ArchiveError::io("read", path, error))?;
    target
        .into_os_string()
        .into_string()
        .map_err(|_| unpackable(path, "the target of this link is not UTF-8"))
}

pub(crate) fn unpackable(path: &Path, reason: impl Into<String>) -> ArchiveError {
    ArchiveError::Unpackable {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_to_be_unpacked_again_is_too_much() {
        for (nodes, bytes, part) in [
            (300_000, 10 << 30, None),
            (
                300_001,
                0,
                Some("it has 300001 files, directories and links"),
            ),
            (1, (10 << 30) + 1, Some("its files are 10737418241 bytes")),
        ] {
            let said = too_much(nodes, bytes);
            assert_eq!(said.is_some(), part.is_some(), "{said:?}");
            assert!(said.unwrap_or_default().contains(part.unwrap_or_default()));
        }
    }

    #[test]
    fn a_tree_that_is_too_large_is_refused_before_it_is_read() {
        let here = tempfile::tempdir().unwrap();
        let vast = fs::File::create(here.path().join("vast")).unwrap();
        vast.set_len(11 << 30).unwrap();
        let error = Listing::of_directory(here.path()).unwrap_err();
        assert!(error.to_string().contains("its files are"), "{error}");
    }
}
