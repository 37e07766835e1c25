//! From S3 to a directory and back: the two halves joined.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use tempfile::NamedTempFile;

use crate::content::{Content, HEAD};
use crate::error::ArtifactError;
use crate::pack::{self, Packed};
use crate::plan::Limits;
use crate::store::{self, Encryption, Location, Upload};
use crate::unpack::{self, Tree};
use crate::{merge, pack as pack_directory};

/// The largest file that [`fetch_file`] reads into memory.
const LARGEST_FILE: u64 = 64 << 20;
const ZIP: &str = "application/zip";
const BINARY: &str = "application/octet-stream";

/// Fetches an artifact and unpacks it into `into`, which must not exist or be empty.
///
/// The object is streamed to a file beside `into` and unpacked from there; that file is gone
/// afterwards, and after a failure the tree is too.
pub async fn fetch(
    store: &Client,
    location: Location<'_>,
    into: &Path,
    limits: &Limits,
) -> Result<Tree, ArtifactError> {
    let archive = download(store, location, &beside(into)?).await?;
    let (into, limits) = (into.to_owned(), *limits);
    blocking(move || unpack::unpack(BufReader::new(archive), &into, &limits))
        .await
        .map_err(|error| error.named(&location.to_string()))
}

/// Fetches an artifact and lays it over what is in `onto`: what is new is added, files and links
/// replace files and links. A directory that is not there, or empty, is unpacked into directly.
///
/// The artifact is unpacked beside `onto` and moved over only when it is whole.
pub async fn overlay(
    store: &Client,
    location: Location<'_>,
    onto: &Path,
    limits: &Limits,
) -> Result<Tree, ArtifactError> {
    let occupied = std::fs::read_dir(onto).is_ok_and(|mut entries| entries.next().is_some());
    if !occupied {
        return fetch(store, location, onto, limits).await;
    }
    let beside = beside(onto)?;
    let archive = download(store, location, &beside).await?;
    let (onto, limits) = (onto.to_owned(), *limits);
    blocking(move || {
        let layer = tempfile::Builder::new()
            .prefix(".towpath-layer-")
            .tempdir_in(&beside)
            .map_err(|error| ArtifactError::io("create a directory in", &beside, error))?;
        let tree = unpack::unpack(BufReader::new(archive), layer.path(), &limits)?;
        merge::merge(layer.path(), &onto)?;
        Ok(tree)
    })
    .await
    .map_err(|error| error.named(&location.to_string()))
}

/// Fetches one file of an artifact, at most 64 MiB of it.
pub async fn fetch_file(
    store: &Client,
    location: Location<'_>,
    path_in_zip: &str,
) -> Result<Vec<u8>, ArtifactError> {
    let archive = download(store, location, &std::env::temp_dir()).await?;
    let path = path_in_zip.to_owned();
    blocking(move || unpack::read_file(BufReader::new(archive), &path, LARGEST_FILE))
        .await
        .map_err(|error| error.named(&location.to_string()))
}

/// What is to be published.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// All that is in a directory, as a zip archive.
    Directory(&'a Path),
    /// A file whose name ends in `.zip` as it is, provided it is one; another file alone in an archive.
    File(&'a Path),
    /// These bytes as one file of this name, alone in an archive.
    Bytes {
        /// The file's name in the archive.
        name: &'a str,
        /// What it contains.
        bytes: &'a [u8],
    },
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The object's size.
    pub bytes: u64,
    /// The object's SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// Its version, in a versioned bucket.
    pub version: Option<String>,
}

/// Publishes an artifact: one zip archive, streamed from disk, its digest verified by S3.
pub async fn publish(
    store: &Client,
    source: Source<'_>,
    location: Location<'_>,
    encryption: &Encryption,
) -> Result<Published, ArtifactError> {
    let (file, packed) = match source {
        Source::Directory(directory) => {
            let directory = directory.to_owned();
            packed(move |archive| pack_directory::pack(&directory, archive)).await?
        }
        Source::File(path) if has_zip_name(path) => {
            let (path, packed) = sum(path, true).await?;
            (Held::There(path), packed)
        }
        Source::File(path) => {
            let path = path.to_owned();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            packed(move |archive| pack::pack_file(&path, &name, archive)).await?
        }
        Source::Bytes { name, bytes } => {
            let (name, bytes) = (name.to_owned(), bytes.to_owned());
            packed(move |archive| pack::pack_bytes(&bytes, &name, archive)).await?
        }
    };
    send(store, &file, &packed, ZIP, location, encryption).await
}

/// Stores a file as it is, whatever it contains.
pub async fn put_file(
    store: &Client,
    file: &Path,
    location: Location<'_>,
    encryption: &Encryption,
) -> Result<Published, ArtifactError> {
    let (path, packed) = sum(file, false).await?;
    let kind = content_type(file);
    send(
        store,
        &Held::There(path),
        &packed,
        kind,
        location,
        encryption,
    )
    .await
}

/// What was deposited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposited {
    /// The key that the content gave.
    pub key: String,
    /// The object's size.
    pub bytes: u64,
    /// The object's SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// Its version, in a versioned bucket.
    pub version: Option<String>,
    /// `false` if it was there already.
    pub uploaded: bool,
}

/// Stores something under the name that its content gives it, `<prefix>/<sha256>.<extension>`, if
/// it is not there already. A directory is packed and gets the extension `zip`; a file is stored
/// as it is, with its own extension.
pub async fn deposit(
    store: &Client,
    path: &Path,
    bucket: &str,
    prefix: &str,
    encryption: &Encryption,
) -> Result<Deposited, ArtifactError> {
    let (file, packed, kind, extension) = if path.is_dir() {
        let directory = path.to_owned();
        let (file, packed) =
            packed(move |archive| pack_directory::pack(&directory, archive)).await?;
        (file, packed, ZIP, ".zip".to_owned())
    } else {
        let (file, packed) = sum(path, has_zip_name(path)).await?;
        let extension = path
            .extension()
            .map(|extension| format!(".{}", extension.to_string_lossy()))
            .unwrap_or_default();
        (Held::There(file), packed, content_type(path), extension)
    };
    let prefix = prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    let key = format!("{prefix}{slash}{}{extension}", packed.sha256);
    let location = Location { bucket, key: &key };
    if let Some(version) = store::has(store, location, &packed.sha256).await {
        return Ok(Deposited {
            key,
            bytes: packed.bytes,
            sha256: packed.sha256,
            version,
            uploaded: false,
        });
    }
    let published = send(store, &file, &packed, kind, location, encryption).await?;
    Ok(Deposited {
        key,
        bytes: published.bytes,
        sha256: published.sha256,
        version: published.version,
        uploaded: true,
    })
}

/// A file to send: one that was there, or one that goes when it has been sent.
enum Held {
    There(PathBuf),
    Made(NamedTempFile),
}

impl Held {
    fn path(&self) -> &Path {
        match self {
            Self::There(path) => path,
            Self::Made(file) => file.path(),
        }
    }
}

/// Packs into a file of the temporary directory.
async fn packed(
    pack: impl FnOnce(&mut File) -> Result<Packed, ArtifactError> + Send + 'static,
) -> Result<(Held, Packed), ArtifactError> {
    blocking(move || {
        let directory = std::env::temp_dir();
        let mut archive = NamedTempFile::new_in(&directory)
            .map_err(|error| ArtifactError::io("create a file in", &directory, error))?;
        let packed = pack(archive.as_file_mut())?;
        Ok((Held::Made(archive), packed))
    })
    .await
}

/// The digest of a file that is there, and, if it has to be, whether it is an archive.
async fn sum(path: &Path, must_be_zip: bool) -> Result<(PathBuf, Packed), ArtifactError> {
    let path = path.to_owned();
    blocking(move || {
        let read = |error| ArtifactError::io("read", &path, error);
        let mut file = File::open(&path).map_err(read)?;
        if must_be_zip {
            let mut head = Vec::with_capacity(HEAD);
            (&mut file)
                .take(HEAD as u64)
                .read_to_end(&mut head)
                .map_err(read)?;
            let content = Content::of(&head);
            if content != Content::Zip {
                return Err(ArtifactError::NotZip {
                    archive: path.display().to_string(),
                    content,
                });
            }
        }
        let sum = pack::digest(&mut file).map_err(read)?;
        let packed = Packed {
            entries: 0,
            bytes: sum.bytes,
            sha256: sum.sha256,
        };
        Ok((path, packed))
    })
    .await
}

async fn send(
    store: &Client,
    file: &Held,
    packed: &Packed,
    content_type: &'static str,
    location: Location<'_>,
    encryption: &Encryption,
) -> Result<Published, ArtifactError> {
    let upload = Upload {
        file: file.path(),
        bytes: packed.bytes,
        sha256: &packed.sha256,
        content_type,
    };
    let version = store::upload(store, &upload, location, encryption).await?;
    tracing::info!(%location, bytes = packed.bytes, sha256 = packed.sha256, "stored an object");
    Ok(Published {
        bytes: packed.bytes,
        sha256: packed.sha256.clone(),
        version,
    })
}

/// Streams an object to a nameless file in `directory`.
async fn download(
    store: &Client,
    location: Location<'_>,
    directory: &Path,
) -> Result<File, ArtifactError> {
    let mut file = tempfile::tempfile_in(directory)
        .map_err(|error| ArtifactError::io("create a file in", directory, error))?;
    store::download(store, location, &mut file, &directory.join("download")).await?;
    let bytes = file
        .seek(std::io::SeekFrom::End(0))
        .map_err(|error| ArtifactError::io("read", directory, error))?;
    tracing::info!(%location, bytes, "fetched an object");
    Ok(file)
}

/// The directory that `path` is in, made if it is not there.
fn beside(path: &Path) -> Result<PathBuf, ArtifactError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    std::fs::create_dir_all(&parent)
        .map_err(|error| ArtifactError::io("create directory", &parent, error))?;
    Ok(parent)
}

fn has_zip_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

fn content_type(path: &Path) -> &'static str {
    if has_zip_name(path) { ZIP } else { BINARY }
}

/// Work that blocks, off the threads that serve the network. It runs to its end even if nobody
/// waits for it any more; a panic in it is a panic here.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(ArtifactError::Io {
                doing: "wait for",
                path: "a blocking task".into(),
                source: std::io::Error::other(error),
            }),
        },
    }
}
