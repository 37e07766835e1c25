//! A directory tree becomes a zip archive, the same bytes wherever and whenever.
//!
//! Sorted names, the beginning of 1980 as every time, modes 0644 or 0755 by whether anybody may
//! execute the file, links as links, and directories only where they are empty. What is packed
//! can be unpacked: names and links that [`crate::unpack`] refuses are refused here already,
//! where the one who can change them is told.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::error::{ArtifactError, is_full};
use crate::links::{self, Links};

/// An archive that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Entries: files, links and empty directories.
    pub entries: u64,
    /// The archive's size.
    pub bytes: u64,
    /// SHA-256 of the archive, in lower-case hexadecimal.
    pub sha256: String,
}

/// Fixed, because another level gives other bytes for the same tree.
const LEVEL: i64 = 6;
/// Sizes from here on are written as zip64: deflate may make 4 GiB a little longer.
const LARGE: u64 = 0xF000_0000;

/// Packs all that is in a directory. Links are kept, not followed. Blocks.
///
/// `archive` must be empty and is read again for its digest, so a file has to be open for
/// reading too.
pub fn pack(directory: &Path, archive: impl Read + Write + Seek) -> Result<Packed, ArtifactError> {
    let items = list(directory)?;
    let mut writer = Writer::new(archive);
    for item in &items {
        writer.add(item)?;
    }
    writer.finish(directory)
}

/// Packs one file alone, under `name`.
pub(crate) fn pack_file(
    file: &Path,
    name: &str,
    archive: impl Read + Write + Seek,
) -> Result<Packed, ArtifactError> {
    checked_name(file, name)?;
    let metadata = fs::metadata(file).map_err(|error| ArtifactError::io("read", file, error))?;
    let mut writer = Writer::new(archive);
    writer.add(&Item {
        name: name.to_owned(),
        path: file.to_owned(),
        what: What::file(&metadata),
    })?;
    writer.finish(file)
}

/// Packs bytes as one file, under `name`.
pub(crate) fn pack_bytes(
    bytes: &[u8],
    name: &str,
    archive: impl Read + Write + Seek,
) -> Result<Packed, ArtifactError> {
    let path = Path::new(name);
    checked_name(path, name)?;
    let mut writer = Writer::new(archive);
    writer.start(path, name, false, bytes.len() as u64)?;
    writer.copy(path, &mut &*bytes)?;
    writer.entries += 1;
    writer.finish(path)
}

struct Item {
    /// Parts joined by `/`.
    name: String,
    path: PathBuf,
    what: What,
}

enum What {
    File { executable: bool, bytes: u64 },
    Link { target: String },
    EmptyDirectory,
}

impl What {
    fn file(metadata: &fs::Metadata) -> Self {
        Self::File {
            executable: metadata.permissions().mode() & 0o111 != 0,
            bytes: metadata.len(),
        }
    }
}

/// All that will be an entry, sorted by name.
fn list(directory: &Path) -> Result<Vec<Item>, ArtifactError> {
    let mut items = Vec::new();
    let mut links = Links::new();
    // A directory is an entry only if nothing follows that lies in it.
    let mut last_directory: Option<(PathBuf, String)> = None;
    for entry in walkdir::WalkDir::new(directory).min_depth(1) {
        let entry = entry.map_err(|error| walk_failed(directory, error))?;
        let path = entry.into_path();
        if let Some((last, name)) = last_directory.take()
            && path.parent() != Some(&last)
        {
            items.push(Item {
                name,
                path: last,
                what: What::EmptyDirectory,
            });
        }
        let name = name_of(directory, &path)?;
        let metadata =
            fs::symlink_metadata(&path).map_err(|error| ArtifactError::io("read", &path, error))?;
        let kind = metadata.file_type();
        let what = if kind.is_dir() {
            last_directory = Some((path, name));
            continue;
        } else if kind.is_symlink() {
            let target = target_of(&path)?;
            links.insert(name.clone(), target.clone());
            What::Link { target }
        } else if kind.is_file() {
            What::file(&metadata)
        } else {
            let what = if kind.is_socket() {
                "a socket"
            } else if kind.is_fifo() {
                "a named pipe"
            } else {
                "a device"
            };
            return Err(unpackable(&path, format!("it is {what}, not a file")));
        };
        items.push(Item { name, path, what });
    }
    if let Some((path, name)) = last_directory {
        items.push(Item {
            name,
            path,
            what: What::EmptyDirectory,
        });
    }
    for (link, target) in &links {
        if links::leaves(&links, link) {
            return Err(unpackable(
                &directory.join(link),
                format!("it is a link that leaves the tree, to `{target}`"),
            ));
        }
    }
    items.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(items)
}

fn walk_failed(directory: &Path, error: walkdir::Error) -> ArtifactError {
    let path = error.path().unwrap_or(directory).to_owned();
    let source = error
        .into_io_error()
        .unwrap_or_else(|| io::Error::other("links go in circles"));
    ArtifactError::io("read", &path, source)
}

fn name_of(directory: &Path, path: &Path) -> Result<String, ArtifactError> {
    let relative = path.strip_prefix(directory).unwrap_or(path);
    let name = relative
        .to_str()
        .ok_or_else(|| unpackable(path, "its name is not UTF-8".to_owned()))?;
    checked_name(path, name)?;
    Ok(name.to_owned())
}

fn checked_name(path: &Path, name: &str) -> Result<(), ArtifactError> {
    crate::name::parts(name)
        .map(drop)
        .map_err(|refusal| unpackable(path, format!("it {refusal}")))
}

fn target_of(path: &Path) -> Result<String, ArtifactError> {
    let target = fs::read_link(path).map_err(|error| ArtifactError::io("read", path, error))?;
    target
        .into_os_string()
        .into_string()
        .map_err(|_| unpackable(path, "the target of this link is not UTF-8".to_owned()))
}

fn unpackable(path: &Path, reason: String) -> ArtifactError {
    ArtifactError::Unpackable {
        path: path.to_owned(),
        reason,
    }
}

struct Writer<W: Write + Seek> {
    zip: ZipWriter<W>,
    entries: u64,
}

impl<W: Read + Write + Seek> Writer<W> {
    fn new(archive: W) -> Self {
        Self {
            zip: ZipWriter::new(archive),
            entries: 0,
        }
    }

    fn add(&mut self, item: &Item) -> Result<(), ArtifactError> {
        let path = &item.path;
        match &item.what {
            What::File { executable, bytes } => {
                let mut file =
                    File::open(path).map_err(|error| ArtifactError::io("read", path, error))?;
                self.start(path, &item.name, *executable, *bytes)?;
                self.copy(path, &mut file)?;
            }
            What::Link { target } => self
                .zip
                .add_symlink(&item.name, target, options())
                .map_err(|error| pack_failed(path, error))?,
            What::EmptyDirectory => self
                .zip
                .add_directory(&item.name, options().unix_permissions(0o755))
                .map_err(|error| pack_failed(path, error))?,
        }
        self.entries += 1;
        Ok(())
    }

    fn start(
        &mut self,
        path: &Path,
        name: &str,
        executable: bool,
        bytes: u64,
    ) -> Result<(), ArtifactError> {
        let mode = if executable { 0o755 } else { 0o644 };
        let method = if bytes == 0 {
            CompressionMethod::Stored
        } else {
            CompressionMethod::Deflated
        };
        let mut options = options()
            .unix_permissions(mode)
            .compression_method(method)
            .large_file(bytes >= LARGE);
        if method == CompressionMethod::Deflated {
            options = options.compression_level(Some(LEVEL));
        }
        self.zip
            .start_file(name, options)
            .map_err(|error| pack_failed(path, error))
    }

    fn copy(&mut self, path: &Path, from: &mut impl Read) -> Result<(), ArtifactError> {
        let mut buffer = vec![0; 128 << 10];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArtifactError::io("read", path, error)),
            };
            self.zip
                .write_all(&buffer[..read])
                .map_err(|error| pack_failed(path, error.into()))?;
        }
    }

    fn finish(self, path: &Path) -> Result<Packed, ArtifactError> {
        let mut archive = self
            .zip
            .finish()
            .map_err(|error| pack_failed(path, error))?;
        let digest = digest(&mut archive).map_err(|error| pack_failed(path, error.into()))?;
        Ok(Packed {
            entries: self.entries,
            bytes: digest.bytes,
            sha256: digest.sha256,
        })
    }
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix)
}

fn pack_failed(path: &Path, error: zip::result::ZipError) -> ArtifactError {
    let source = io::Error::from(error);
    if is_full(&source) {
        return ArtifactError::NoSpace {
            directory: std::env::temp_dir(),
            doing: format!("packing {}", path.display()),
        };
    }
    ArtifactError::Io {
        doing: "pack",
        path: path.to_owned(),
        source,
    }
}

/// The size and SHA-256 of something, read from its beginning.
pub(crate) struct Sum {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

pub(crate) fn digest(archive: &mut (impl Read + Seek)) -> io::Result<Sum> {
    archive.rewind()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut bytes = 0;
    loop {
        match archive.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Sum {
        bytes,
        sha256: hex::encode(hasher.finalize()),
    })
}
