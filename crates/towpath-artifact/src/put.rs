//! From a directory or a file to an object, as a stream: packed by threads, sent by the part.
//! Nothing is written to disk on the way.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_s3::Client;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use towpath_archive::{ArchiveError, Content, HEAD, Ledger, Listing, Sink, pack_into};

use crate::Store;
use crate::blocking::blocking;
use crate::error::ArtifactError;
use crate::object::Object;
use crate::origins::{Division, Origins};
use crate::request::MARK;
use crate::settings::Settings;
use crate::store::{Encryption, Location};
use crate::upload::{DIGEST, Part, Payload, Unstored, Upload, has};

/// How many bytes of an object are read at once, to go with those that are made here.
const FETCHED: u64 = 1 << 20;
pub(crate) const ZIP: &str = "application/zip";
const BINARY: &str = "application/octet-stream";

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
    /// The object's SHA-256, in lower-case hexadecimal. `None` if S3 has copied parts of it: those
    /// have not been seen here.
    pub sha256: Option<String>,
    /// Its version, in a versioned bucket.
    pub version: Option<String>,
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

/// Stores something at a place.
pub(crate) async fn publish(
    store: &Client,
    settings: &Settings,
    source: Source<'_>,
    location: Location<'_>,
    encryption: &Encryption,
    origins: &Arc<Origins>,
) -> Result<Published, ArtifactError> {
    let parcel = Arc::new(Parcel::of(source).await?);
    let send_with = async |origins: &Arc<Origins>| {
        let upload = parcel.upload(store, settings, location, encryption);
        let making = Making::New(Arc::clone(&parcel), *settings, Arc::clone(origins));
        send(upload, making).await
    };
    let (version, sum) = match send_with(origins).await {
        // All of it is here: what was unpacked from an object that has gone is still the same.
        Err(error) if origins.are_lost() => {
            tracing::warn!(%location, %error, "an input cannot be copied from any more: its files are packed anew");
            send_with(&Arc::default()).await?
        }
        sent => sent?,
    };
    let copied = sum.copied;
    let published = sum.published(version);
    tracing::info!(%location, bytes = published.bytes, copied, sha256 = published.sha256, "stored an object");
    Ok(published)
}

/// Stores a directory as an archive of this digest, or not at all.
pub(crate) async fn publish_again(
    store: &Store,
    directory: &Path,
    sha256: &str,
    location: Location<'_>,
    encryption: &Encryption,
    metadata: HashMap<String, String>,
) -> Result<Published, ArtifactError> {
    let settings = store.settings;
    let parcel = Arc::new(Parcel::of(Source::Directory(directory)).await?);
    let mut upload = parcel.upload(&store.client, &settings, location, encryption);
    upload.metadata.extend(metadata);
    upload.metadata.insert(DIGEST.to_owned(), sha256.to_owned());
    let (version, sum) = send(upload, Making::Again(parcel, settings, sha256.to_owned())).await?;
    tracing::info!(%location, bytes = sum.bytes, "stored an object again");
    Ok(sum.published(version))
}

/// Stores an object that lies elsewhere, if it has this digest.
pub(crate) async fn pass_on(
    upload: Upload,
    object: Arc<Object>,
    settings: Settings,
    sha256: Option<&str>,
) -> Result<Published, ArtifactError> {
    let making = Making::Passed(object, settings, sha256.map(str::to_owned));
    let (version, sum) = send(upload, making).await?;
    Ok(sum.published(version))
}

/// Stores something under the name that its content gives it, if it is not there already.
///
/// Its digest has to be known before it can be sent. What is not too large is kept in memory
/// meanwhile; what is, is made a second time, and has to come out the same.
pub(crate) async fn deposit(
    store: &Client,
    settings: &Settings,
    source: Source<'_>,
    bucket: &str,
    prefix: &str,
    encryption: &Encryption,
) -> Result<Deposited, ArtifactError> {
    let parcel = Arc::new(Parcel::of(source).await?);
    let extension = match source {
        Source::Verbatim(path) => path
            .extension()
            .map(|extension| format!(".{}", extension.to_string_lossy()))
            .unwrap_or_default(),
        Source::Directory(_) | Source::File(_) | Source::Bytes { .. } => ".zip".to_owned(),
    };
    let hashing = *settings;
    let (parcel, sum, kept) = blocking(move || {
        let mut parts = Parts::kept(&hashing);
        parcel.make(&mut parts, &hashing, &Ledger::default())?;
        let (sum, kept) = parts.finish_kept();
        Ok((parcel, sum, kept))
    })
    .await?;
    let prefix = prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    let key = format!("{prefix}{slash}{}{extension}", sum.sha256);
    let location = Location { bucket, key: &key };
    let known = has(store, location, DIGEST, &sum.sha256).await;
    let uploaded = known.is_none();
    let version = if let Some(version) = known {
        version
    } else {
        let mut upload = parcel.upload(store, settings, location, encryption);
        upload
            .metadata
            .insert(DIGEST.to_owned(), sum.sha256.clone());
        let making = match kept {
            Some(parts) => Making::Kept(parts, sum.clone()),
            None => Making::Again(parcel, *settings, sum.sha256.clone()),
        };
        send(upload, making).await?.0
    };
    tracing::info!(%location, bytes = sum.bytes, uploaded, "deposited an object");
    Ok(Deposited {
        key,
        bytes: sum.bytes,
        sha256: sum.sha256,
        version,
        uploaded,
    })
}

/// Where an upload's parts come from.
enum Making {
    New(Arc<Parcel>, Settings, Arc<Origins>),
    /// Made before, too large to keep; it has to have this digest again.
    Again(Arc<Parcel>, Settings, String),
    Kept(Vec<Bytes>, Sum),
    /// An object that lies elsewhere, which has to have this digest.
    Passed(Arc<Object>, Settings, Option<String>),
}

/// Makes the parts and sends them, both at once.
async fn send(upload: Upload, making: Making) -> Result<(Option<String>, Sum), ArtifactError> {
    let (give, mut take) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(upload.uploads.max(1) + 1));
    let made = {
        let room = Arc::clone(&room);
        blocking(move || make(making, give, room))
    };
    let stored = async {
        let stored = upload.run(&mut take).await;
        // Whoever makes parts has nobody to make them for any more.
        take.close();
        room.close();
        stored
    };
    let (made, stored) = tokio::join!(made, stored);
    match (stored, made) {
        (Ok(version), Ok(sum)) => Ok((version, sum)),
        (Err(Unstored::Failed(error)), _) => Err(error),
        (_, Err(error)) => Err(error),
        // Nobody says "complete" without a last part.
        (Err(Unstored::Incomplete), Ok(_)) => Err(ArtifactError::GivenUp),
    }
}

fn make(
    making: Making,
    give: mpsc::UnboundedSender<Part>,
    room: Arc<Semaphore>,
) -> Result<Sum, ArtifactError> {
    let (parcel, settings, expected, origins) = match making {
        Making::Kept(parts, sum) => {
            let count = parts.len();
            for (index, bytes) in parts.into_iter().enumerate() {
                let last = index + 1 == count;
                // They are in memory already: there is no room to wait for.
                let _ = give.send(Part {
                    payload: Payload::Bytes(bytes),
                    last,
                    room: None,
                });
            }
            return Ok(sum);
        }
        Making::New(parcel, settings, origins) => (parcel, settings, None, origins),
        Making::Again(parcel, settings, digest) => (parcel, settings, Some(digest), Arc::default()),
        Making::Passed(object, settings, digest) => {
            let mut parts = Parts::sent(&settings, give, room, Arc::default());
            object.pass(|bytes| parts.put(bytes))?;
            return parts.finish_sent(digest.as_deref(), |found| ArtifactError::Digest {
                location: object.location().to_string(),
                expected: digest.clone().unwrap_or_default(),
                found,
            });
        }
    };
    let mut parts = Parts::sent(&settings, give, room, Arc::clone(&origins));
    parcel.make(&mut parts, &settings, origins.ledger())?;
    let what = parcel.shown();
    parts.finish_sent(expected.as_deref(), |_| ArtifactError::Changed { what })
}

/// Something that can be made into the bytes of an object, as often as it takes.
enum Parcel {
    Tree(Listing, PathBuf),
    /// A file that is one already.
    File {
        path: PathBuf,
        content_type: &'static str,
    },
}

impl Parcel {
    async fn of(source: Source<'_>) -> Result<Self, ArtifactError> {
        match source {
            Source::Directory(directory) => {
                let path = directory.to_owned();
                blocking(move || Ok(Self::Tree(Listing::of_directory(&path)?, path))).await
            }
            Source::File(path) if has_zip_name(path) => {
                let path = path.to_owned();
                blocking(move || {
                    check_zip(&path)?;
                    Ok(Self::File {
                        path,
                        content_type: ZIP,
                    })
                })
                .await
            }
            Source::Verbatim(path) => Ok(Self::File {
                path: path.to_owned(),
                content_type: if has_zip_name(path) { ZIP } else { BINARY },
            }),
            Source::File(path) => {
                let path = path.to_owned();
                blocking(move || {
                    let name = path
                        .file_name()
                        .map(|name| name.to_string_lossy().into_owned())
                        .unwrap_or_default();
                    Ok(Self::Tree(Listing::of_file(&path, &name)?, path))
                })
                .await
            }
            Source::Bytes { name, bytes } => Ok(Self::Tree(
                Listing::of_bytes(bytes.to_owned(), name)?,
                PathBuf::from(name),
            )),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Tree(_, path) | Self::File { path, .. } => path.display().to_string(),
        }
    }

    fn upload(
        &self,
        store: &Client,
        settings: &Settings,
        location: Location<'_>,
        encryption: &Encryption,
    ) -> Upload {
        let mut metadata = HashMap::new();
        let content_type = match self {
            Self::Tree(..) => {
                metadata.insert(MARK.to_owned(), settings.mark());
                ZIP
            }
            Self::File { content_type, .. } => content_type,
        };
        Upload {
            store: store.clone(),
            place: location.into(),
            encryption: encryption.clone(),
            content_type,
            metadata,
            uploads: settings.uploads,
            part: settings.part,
        }
    }

    fn make(
        &self,
        parts: &mut Parts,
        settings: &Settings,
        ledger: &Ledger,
    ) -> Result<(), ArtifactError> {
        let path = match self {
            Self::Tree(listing, _) => {
                return pack_into(listing, parts, &settings.packing(), ledger);
            }
            Self::File { path, .. } => path,
        };
        let read = |error| ArtifactError::io("read", path, error);
        let mut file = File::open(path).map_err(read)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => parts.put(&buffer[..length])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read(error)),
            }
        }
    }
}

/// Whether a file that is called an archive is one.
fn check_zip(path: &Path) -> Result<(), ArtifactError> {
    let read = |error| ArtifactError::io("read", path, error);
    let mut head = Vec::with_capacity(HEAD);
    File::open(path)
        .map_err(read)?
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .map_err(read)?;
    match Content::of(&head) {
        Content::Zip => Ok(()),
        content => Err(ArchiveError::NotZip {
            archive: path.display().to_string(),
            content,
        }
        .into()),
    }
}

fn has_zip_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// The size and SHA-256 of what was made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sum {
    bytes: u64,
    /// Bytes among them that S3 has copied, and the SHA-256 is not of.
    copied: u64,
    sha256: String,
}

impl Sum {
    fn published(self, version: Option<String>) -> Published {
        Published {
            bytes: self.bytes,
            sha256: (self.copied == 0).then_some(self.sha256),
            version,
        }
    }
}

/// Cuts what is made into parts.
struct Parts {
    size: usize,
    part: Vec<u8>,
    hasher: Sha256,
    bytes: u64,
    copied: u64,
    outlet: Outlet,
}

enum Outlet {
    /// They are kept, as long as they are not too many.
    Keep { parts: Vec<Bytes>, most: usize },
    /// They are sent as they come.
    Send {
        give: mpsc::UnboundedSender<Part>,
        room: Arc<Semaphore>,
        /// For the part that is being filled.
        own: Option<tokio::sync::OwnedSemaphorePermit>,
        runtime: Handle,
        /// Where there is something to copy.
        origins: Arc<Origins>,
    },
}

impl Parts {
    fn new(settings: &Settings, outlet: Outlet) -> Self {
        Self {
            size: settings.part,
            part: Vec::new(),
            hasher: Sha256::new(),
            bytes: 0,
            copied: 0,
            outlet,
        }
    }

    fn kept(settings: &Settings) -> Self {
        let most = settings.uploads;
        Self::new(
            settings,
            Outlet::Keep {
                parts: Vec::new(),
                most,
            },
        )
    }

    fn sent(
        settings: &Settings,
        give: mpsc::UnboundedSender<Part>,
        room: Arc<Semaphore>,
        origins: Arc<Origins>,
    ) -> Self {
        Self::new(
            settings,
            Outlet::Send {
                give,
                room,
                own: None,
                runtime: Handle::current(),
                origins,
            },
        )
    }

    /// Hands on a full part. More is to come.
    fn full(&mut self) -> Result<(), ArtifactError> {
        match &mut self.outlet {
            Outlet::Keep { parts, most } => {
                if parts.len() < *most {
                    parts.push(std::mem::take(&mut self.part).into());
                } else {
                    // Too many to keep: from now on it is only hashed.
                    (*parts, *most) = (Vec::new(), 0);
                    self.part.clear();
                }
            }
            Outlet::Send { .. } => self.send_bytes(false)?,
        }
        Ok(())
    }

    fn send_bytes(&mut self, last: bool) -> Result<(), ArtifactError> {
        let bytes = std::mem::take(&mut self.part).into();
        self.send(Payload::Bytes(bytes), last)
    }

    fn send(&mut self, payload: Payload, last: bool) -> Result<(), ArtifactError> {
        if let Outlet::Send { give, own, .. } = &mut self.outlet {
            let room = own.take();
            give.send(Part {
                payload,
                last,
                room,
            })
            .map_err(|_| ArtifactError::GivenUp)?;
        }
        Ok(())
    }

    /// Bytes of an object, as if they had been made here.
    fn fetch(&mut self, object: usize, range: Range<u64>) -> Result<(), ArtifactError> {
        if range.is_empty() {
            return Ok(());
        }
        let Outlet::Send {
            give,
            runtime,
            origins,
            ..
        } = &self.outlet
        else {
            unreachable!("what is kept is made without origins");
        };
        let (give, runtime, origins) = (give.clone(), runtime.clone(), Arc::clone(origins));
        // A little at a time: this is memory beside that of the parts.
        for from in (range.start..range.end).step_by(FETCHED as usize) {
            let piece = from..(from + FETCHED).min(range.end);
            let mut bytes = Vec::new();
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = give.closed() => Err(ArtifactError::GivenUp),
                    filled = origins.object(object).fill(&mut bytes, piece, None) => {
                        filled.inspect_err(|_| origins.lose())
                    }
                }
            })?;
            self.put(&bytes)?;
        }
        Ok(())
    }

    /// Waits until there is memory for another part.
    fn begin(&mut self) -> Result<(), ArtifactError> {
        if let Outlet::Send {
            room, own, runtime, ..
        } = &mut self.outlet
        {
            let permit = runtime
                .block_on(Arc::clone(room).acquire_owned())
                .map_err(|_| ArtifactError::GivenUp)?;
            *own = Some(permit);
        }
        Ok(())
    }

    fn sum(&mut self) -> Sum {
        Sum {
            bytes: self.bytes,
            copied: self.copied,
            sha256: hex::encode(std::mem::take(&mut self.hasher).finalize()),
        }
    }

    /// What it came to, and the parts if they are not too many.
    fn finish_kept(mut self) -> (Sum, Option<Vec<Bytes>>) {
        let sum = self.sum();
        let Outlet::Keep { mut parts, .. } = self.outlet else {
            return (sum, None);
        };
        parts.push(self.part.into());
        let all = parts.iter().map(Bytes::len).sum::<usize>() as u64 == sum.bytes;
        (sum, all.then_some(parts))
    }

    /// Sends the last part, if all together has the digest that it should have.
    fn finish_sent(
        mut self,
        expected: Option<&str>,
        another: impl FnOnce(String) -> ArtifactError,
    ) -> Result<Sum, ArtifactError> {
        let sum = self.sum();
        if expected.is_some_and(|expected| expected != sum.sha256) {
            return Err(another(sum.sha256));
        }
        self.send_bytes(true)?;
        Ok(sum)
    }
}

impl Sink for Parts {
    type Error = ArtifactError;

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), ArtifactError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            // Only when more comes: the last part is sent as the last.
            if self.part.len() == self.size {
                self.full()?;
            }
            if self.part.is_empty() {
                self.begin()?;
                // Grown by doubling, it could come to twice as much. What is not written to is not there.
                self.part.reserve_exact(self.size);
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.size - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn copy(&mut self, archive: usize, range: Range<u64>) -> Result<(), ArtifactError> {
        let division = Division::of(range.clone(), self.part.len() as u64, self.size as u64);
        self.fetch(archive, range.start..range.start + division.fetched)?;
        if division.copied.is_empty() {
            return Ok(());
        }
        if !self.part.is_empty() {
            self.full()?;
        }
        for range in division.copied {
            // In memory it is only if S3 does not copy it; but then it is.
            self.begin()?;
            let Outlet::Send { origins, .. } = &self.outlet else {
                unreachable!("what is kept is made without origins");
            };
            let payload = Payload::Copy(Arc::clone(origins), archive, range.clone());
            self.bytes += range.end - range.start;
            self.copied += range.end - range.start;
            self.send(payload, false)?;
        }
        Ok(())
    }
}
