//! A zip archive becomes a directory tree, all of it or nothing.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use zip::read::{ZipArchive, ZipReadOptions};

use crate::error::{ArtifactError, NAMELESS, Refusal, is_full};
use crate::plan::{self, Limits, Node, Plan};

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tree {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Unpacks an archive into `into`, which must not exist or be empty. If that fails, nothing of it
/// is left, and `into` itself only if it was there before.
///
/// Judges the whole central directory first. Creates files that must not exist yet, and links
/// after all else, so nothing is written through one. Blocks.
pub fn unpack(
    reader: impl Read + Seek,
    into: &Path,
    limits: &Limits,
) -> Result<Tree, ArtifactError> {
    let (mut archive, plan) = plan::read(reader, limits)?;
    let was_there = prepare(into)?;
    let unpacked = carry_out(&mut archive, &plan, into, limits);
    if unpacked.is_err() {
        sweep(into, was_there);
    }
    unpacked
}

/// How many entries an archive may have of which one file is read.
const ENTRIES_AROUND_A_FILE: u64 = 50_000;

/// One file of an archive, at most `limit` bytes of it.
pub fn read_file(
    reader: impl Read + Seek,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>, ArtifactError> {
    // A function that wants one file need not have the memory for a tree of hundreds of thousands.
    let limits = Limits {
        entries: ENTRIES_AROUND_A_FILE,
        ..Limits::default()
    };
    let (mut archive, plan) = plan::read(reader, &limits)?;
    let wanted = crate::name::parts(path)
        .map_err(|refusal| ArtifactError::entry(path, refusal))?
        .join("/");
    let Some(Node::File { index, bytes, .. }) = plan.nodes.get(&wanted) else {
        return Err(ArtifactError::NoSuchFile {
            archive: NAMELESS.to_owned(),
            path: crate::error::shown(path),
            present: likeliest(&plan, &wanted),
        });
    };
    if *bytes > limit {
        return Err(ArtifactError::entry(
            path,
            Refusal::Bytes {
                bytes: *bytes,
                limit,
            },
        ));
    }
    let mut content = Vec::with_capacity(usize::try_from(*bytes).unwrap_or(0));
    inflate(&mut archive, *index, &wanted, *bytes, &mut content)
        .map_err(|failure| failure.at(Path::new(&wanted), &wanted))?;
    Ok(content)
}

/// Files to name when one is not found: those of the same name elsewhere, then those near the top.
fn likeliest(plan: &Plan, wanted: &str) -> Vec<String> {
    const NAMED: usize = 8;
    let file = wanted.rsplit('/').next().unwrap_or(wanted);
    let mut files: Vec<&String> = plan
        .nodes
        .iter()
        .filter(|(_, node)| !matches!(node, Node::Directory { .. }))
        .map(|(path, _)| path)
        .collect();
    files.sort_by_key(|path| {
        let same = path.rsplit('/').next() == Some(file);
        (!same, path.matches('/').count())
    });
    let more = files.len().saturating_sub(NAMED);
    let mut named: Vec<String> = files
        .into_iter()
        .take(NAMED)
        .map(|path| format!("`{}`", crate::error::shown(path)))
        .collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    named
}

/// Makes sure of an empty directory; whether it was there.
fn prepare(into: &Path) -> Result<bool, ArtifactError> {
    match fs::read_dir(into) {
        Ok(mut entries) => match entries.next() {
            None => Ok(true),
            Some(_) => Err(ArtifactError::Io {
                doing: "unpack into",
                path: into.to_owned(),
                source: io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty"),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(into)
                .map_err(|error| ArtifactError::io("create directory", into, error))?;
            Ok(false)
        }
        Err(error) => Err(ArtifactError::io("open directory", into, error)),
    }
}

/// Removes what a failed unpack has made. The error that made it fail is the one to report.
fn sweep(into: &Path, was_there: bool) {
    let removed = fs::remove_dir_all(into).and_then(|()| {
        if was_there {
            fs::create_dir(into)
        } else {
            Ok(())
        }
    });
    if let Err(error) = removed {
        tracing::warn!(directory = %into.display(), %error, "a half unpacked tree could not be removed");
    }
}

fn carry_out<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    plan: &Plan,
    into: &Path,
    limits: &Limits,
) -> Result<Tree, ArtifactError> {
    for (path, node) in &plan.nodes {
        if let Node::Directory { .. } = node {
            let directory = into.join(path);
            DirBuilder::new()
                .create(&directory)
                .map_err(|error| failure(error).at(&directory, path))?;
        }
    }
    let mut tree = Tree {
        entries: plan.nodes.len() as u64,
        bytes: 0,
    };
    for (path, node) in &plan.nodes {
        if let Node::File { index, mode, bytes } = node {
            let file = into.join(path);
            let allowed = limits.bytes.saturating_sub(tree.bytes);
            tree.bytes += write(archive, *index, path, &file, *mode, (*bytes).min(allowed))
                .map_err(|failure| failure.at(&file, path))?;
        }
    }
    for (path, node) in &plan.nodes {
        if let Node::Link { target } = node {
            let link = into.join(path);
            std::os::unix::fs::symlink(target, &link)
                .map_err(|error| failure(error).at(&link, path))?;
        }
    }
    // Last, and the deepest first: a directory may forbid its owner to write.
    for (path, node) in plan.nodes.iter().rev() {
        if let Node::Directory { mode: Some(mode) } = node {
            let directory = into.join(path);
            set_mode(&directory, *mode).map_err(|error| failure(error).at(&directory, path))?;
        }
    }
    Ok(tree)
}

fn write<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    name: &str,
    path: &Path,
    mode: u32,
    bytes: u64,
) -> Result<u64, Failure> {
    let mut file = create(path).map_err(failure)?;
    let written = inflate(archive, index, name, bytes, &mut file)?;
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(failure)?;
    Ok(written)
}

fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Inflates one entry and counts what comes, whatever the headers say. The reader verifies the
/// CRC, and that the entry's own header agrees with the central directory.
fn inflate<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    name: &str,
    bytes: u64,
    into: &mut impl Write,
) -> Result<u64, Failure> {
    let options = ZipReadOptions::new().enforce_header_consistency(true);
    let mut entry = archive
        .by_index_with_options(index, options)
        .map_err(|error| {
            Failure::Entry(Refusal::Corrupt {
                detail: error.to_string(),
            })
        })?;
    let mut buffer = vec![0; 128 << 10];
    let mut written = 0;
    loop {
        let read = match entry.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::debug!(entry = name, %error, "an entry does not inflate");
                return Err(Failure::Entry(Refusal::Corrupt {
                    detail: error.to_string().to_lowercase(),
                }));
            }
        };
        written += read as u64;
        if written > bytes {
            return Err(Failure::Entry(Refusal::Bytes {
                bytes: written,
                limit: bytes,
            }));
        }
        into.write_all(&buffer[..read]).map_err(failure)?;
    }
    if written < bytes {
        return Err(Failure::Entry(Refusal::Corrupt {
            detail: format!("it ends after {written} of {bytes} bytes"),
        }));
    }
    Ok(written)
}

/// What stopped one entry, before it is known by its name and place.
enum Failure {
    Entry(Refusal),
    Write(io::Error),
}

fn failure(error: io::Error) -> Failure {
    Failure::Write(error)
}

impl Failure {
    fn at(self, path: &Path, entry: &str) -> ArtifactError {
        match self {
            Self::Entry(refusal) => ArtifactError::entry(entry, refusal),
            Self::Write(error) if is_full(&error) => ArtifactError::NoSpace {
                directory: path.parent().unwrap_or(path).to_owned(),
                doing: format!("unpacking `{}`", crate::error::shown(entry)),
            },
            Self::Write(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                ArtifactError::entry(entry, Refusal::FoldedDuplicate)
            }
            Self::Write(error) => ArtifactError::Io {
                doing: "create",
                path: path.to_owned(),
                source: error,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A disk with this much space left.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let written = bytes.len().min(self.0);
            self.0 -= written;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_fills_up_is_named_with_what_did_not_fit() {
        let mut bytes = Cursor::new(Vec::new());
        crate::pack::pack_bytes(&[b'x'; 9_000], "app.js", &mut bytes).unwrap();
        let (mut archive, _) = plan::read(bytes, &Limits::default()).unwrap();
        let error = inflate(&mut archive, 0, "app.js", 9_000, &mut Disk(5_000))
            .map_err(|failure| failure.at(Path::new("/tmp/job/src/app.js"), "src/app.js"))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no space left in /tmp/job/src while unpacking `src/app.js`"
        );
        assert_eq!(
            error.hint().unwrap(),
            "raise the function's EphemeralStorage (at most 10,240 MB)"
        );
    }
}
