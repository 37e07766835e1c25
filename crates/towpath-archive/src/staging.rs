//! A tree that is being made: beside the place where it is to be, and there only when it is whole.
//!
//! So nobody ever takes half a tree for a whole one, also not after this process was killed: what
//! is left then is a directory whose name begins with [`PREFIX`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};
use tempfile::TempDir;

use crate::beneath::Beneath;
use crate::error::{ArchiveError, NAMELESS};

/// How the names of unfinished trees begin.
pub const PREFIX: &str = ".towpath-unpacking-";

pub(crate) struct Staging {
    directory: TempDir,
    beneath: Beneath,
    into: PathBuf,
    /// The permissions of the directory that was there, if one was.
    mode: Option<u16>,
}

impl Staging {
    /// Begins a tree that is to be `into`, which must not exist or be an empty directory.
    pub(crate) fn begin(into: &Path) -> Result<Self, ArchiveError> {
        let mode = vacant(into)?;
        let parent = match into.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent)
            .map_err(|error| ArchiveError::io("create directory", parent, error))?;
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(parent)
            .map_err(|error| ArchiveError::io("create a directory in", parent, error))?;
        let beneath = Beneath::open(directory.path())
            .map_err(|error| ArchiveError::io("open directory", directory.path(), error))?;
        Ok(Self {
            directory,
            beneath,
            into: into.to_owned(),
            mode,
        })
    }

    pub(crate) fn beneath(&self) -> &Beneath {
        &self.beneath
    }

    /// The name that people know of something in the tree.
    pub(crate) fn shown(&self, path: &str) -> PathBuf {
        self.into.join(path)
    }

    /// Whether there is room for so many bytes of files. What else they need, such as a block that
    /// is not full, is not counted: what is refused here cannot fit.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<(), ArchiveError> {
        match free(self.directory.path()) {
            Some(free) if bytes > free => Err(ArchiveError::TooLittleSpace {
                archive: NAMELESS.to_owned(),
                bytes,
                free,
                directory: self.into.parent().unwrap_or(&self.into).to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether names that differ in case only are one name there.
    pub(crate) fn ignores_case(&self) -> bool {
        ignores_case(self.directory.path())
    }

    /// Puts the tree in its place.
    pub(crate) fn finish(self) -> Result<(), ArchiveError> {
        let mode = self.mode.unwrap_or_else(|| self.beneath.usual_mode());
        self.beneath
            .set_mode(mode)
            .and_then(|()| fs::rename(self.directory.path(), &self.into))
            .map_err(|error| ArchiveError::io("move the tree to", &self.into, error))?;
        // It has another name now, which is not for us to remove.
        let _ = self.directory.keep();
        Ok(())
    }

    /// Removes what was made. The error that made it fail is the one to report.
    pub(crate) fn discard(self) {
        let path = self.directory.path().to_owned();
        if let Err(error) = self.directory.close() {
            tracing::warn!(directory = %path.display(), %error, "a half unpacked tree could not be removed");
        }
    }
}

/// Whether names that differ in case only are one name where this directory is, whose own name has
/// `towpath` in it.
pub fn ignores_case(directory: &Path) -> bool {
    let Some(name) = directory.file_name() else {
        return false;
    };
    let other = name.to_string_lossy().replace("towpath", "TOWPATH");
    let other = directory.with_file_name(other);
    rustix::fs::statat(CWD, &other, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// How many bytes can still be written where this directory is; nothing where the file system does
/// not say, as some that are not on a disk.
fn free(directory: &Path) -> Option<u64> {
    let told = rustix::fs::statvfs(directory).ok()?;
    (told.f_blocks > 0).then(|| told.f_bavail.saturating_mul(told.f_frsize))
}

/// Makes sure that nothing is there, or an empty directory; its permissions.
fn vacant(into: &Path) -> Result<Option<u16>, ArchiveError> {
    use std::os::unix::fs::MetadataExt;
    let mut entries = match fs::read_dir(into) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ArchiveError::io("open directory", into, error)),
    };
    if entries.next().is_some() {
        return Err(ArchiveError::Io {
            doing: "unpack into",
            path: into.to_owned(),
            source: io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty"),
        });
    }
    let metadata =
        fs::metadata(into).map_err(|error| ArchiveError::io("open directory", into, error))?;
    Ok(Some((metadata.mode() & 0o7777) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_disk_has_is_refused_before_anything_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let staging = Staging::begin(&directory.path().join("tree")).unwrap();
        for (bytes, fits) in [
            (0, true),
            (4_096, true),
            (1 << 60, false),
            (u64::MAX, false),
        ] {
            let checked = staging.check_room(bytes);
            assert_eq!(checked.is_ok(), fits, "{bytes} bytes: {checked:?}");
        }
        let said = staging.check_room(1 << 60).unwrap_err().to_string();
        assert!(
            said.starts_with("the archive unpacks to 1152921504.6 GB, and there are ")
                && said.ends_with(&format!("B free in {}", directory.path().display())),
            "{said}"
        );
    }
}
