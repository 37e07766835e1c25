//! From S3 to a directory and back: the two halves joined.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use tempfile::NamedTempFile;

use crate::content::{Content, HEAD};
use crate::error::ArtifactError;
use crate::merge;
use crate::pack::{self, Packed};
use crate::plan::Limits;
use crate::store::{self, Encryption, Location, Upload};
use crate::unpack::{self, Tree};

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

/// What is to be stored.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// All that is in a directory, as a zip archive.
    Directory(&'a Path),
    /// A file whose name ends in `.zip` as it is, provided it is one; another file alone in an archive.
    File(&'a Path),
    /// A file as it is, whatever it contains.
    Verbatim(&'a Path),
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

/// Stores something at a place: streamed from disk, its digest verified by S3. An artifact is
/// always one zip archive, so never [`Source::Verbatim`].
pub async fn publish(
    store: &Client,
    source: Source<'_>,
    location: Location<'_>,
    encryption: &Encryption,
) -> Result<Published, ArtifactError> {
    let parcel = Parcel::of(source).await?;
    let version = send(store, &parcel, location, encryption).await?;
    Ok(Published {
        bytes: parcel.packed.bytes,
        sha256: parcel.packed.sha256,
        version,
    })
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
/// it is not there already. The extension is `zip`, and a verbatim file's own.
pub async fn deposit(
    store: &Client,
    source: Source<'_>,
    bucket: &str,
    prefix: &str,
    encryption: &Encryption,
) -> Result<Deposited, ArtifactError> {
    let parcel = Parcel::of(source).await?;
    let extension = match source {
        Source::Verbatim(path) => path
            .extension()
            .map(|extension| format!(".{}", extension.to_string_lossy()))
            .unwrap_or_default(),
        Source::Directory(_) | Source::File(_) | Source::Bytes { .. } => ".zip".to_owned(),
    };
    let prefix = prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    let key = format!("{prefix}{slash}{}{extension}", parcel.packed.sha256);
    let location = Location { bucket, key: &key };
    let (version, uploaded) = match store::has(store, location, &parcel.packed.sha256).await {
        Some(version) => (version, false),
        None => (send(store, &parcel, location, encryption).await?, true),
    };
    Ok(Deposited {
        key,
        bytes: parcel.packed.bytes,
        sha256: parcel.packed.sha256,
        version,
        uploaded,
    })
}

/// A file ready to be sent.
struct Parcel {
    file: Held,
    packed: Packed,
    content_type: &'static str,
}

impl Parcel {
    async fn of(source: Source<'_>) -> Result<Self, ArtifactError> {
        match source {
            Source::Directory(directory) => {
                let directory = directory.to_owned();
                Self::packed(move |archive| pack::pack(&directory, archive)).await
            }
            Source::File(path) if has_zip_name(path) => Self::there(path, true).await,
            Source::Verbatim(path) => Self::there(path, false).await,
            Source::File(path) => {
                let path = path.to_owned();
                let name = path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default();
                Self::packed(move |archive| pack::pack_file(&path, &name, archive)).await
            }
            Source::Bytes { name, bytes } => {
                let (name, bytes) = (name.to_owned(), bytes.to_owned());
                Self::packed(move |archive| pack::pack_bytes(&bytes, &name, archive)).await
            }
        }
    }

    /// Packs into a file of the temporary directory.
    async fn packed(
        pack: impl FnOnce(&mut File) -> Result<Packed, ArtifactError> + Send + 'static,
    ) -> Result<Self, ArtifactError> {
        blocking(move || {
            let directory = std::env::temp_dir();
            let mut archive = NamedTempFile::new_in(&directory)
                .map_err(|error| ArtifactError::io("create a file in", &directory, error))?;
            let packed = pack(archive.as_file_mut())?;
            Ok(Self {
                file: Held::Made(archive),
                packed,
                content_type: ZIP,
            })
        })
        .await
    }

    /// A file that is there; whether it is an archive is looked at if it has to be one.
    async fn there(path: &Path, must_be_zip: bool) -> Result<Self, ArtifactError> {
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
            Ok(Self {
                packed: Packed {
                    entries: 1,
                    bytes: sum.bytes,
                    sha256: sum.sha256,
                },
                content_type: if has_zip_name(&path) { ZIP } else { BINARY },
                file: Held::There(path),
            })
        })
        .await
    }
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

async fn send(
    store: &Client,
    parcel: &Parcel,
    location: Location<'_>,
    encryption: &Encryption,
) -> Result<Option<String>, ArtifactError> {
    let Packed { bytes, sha256, .. } = &parcel.packed;
    let upload = Upload {
        file: parcel.file.path(),
        bytes: *bytes,
        sha256,
        content_type: parcel.content_type,
    };
    let version = store::upload(store, &upload, location, encryption).await?;
    tracing::info!(%location, bytes, sha256, "stored an object");
    Ok(version)
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
