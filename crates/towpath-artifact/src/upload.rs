//! Parts become an object: one alone by one request, several by an upload in parts that is
//! completed, or aborted so that nothing of it is left.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::ArtifactError;
use crate::origins::Origins;
use crate::request::At;
use crate::store::{Answer, Encryption, Kind, Location, Place};

/// S3's limit. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MOST_PARTS: i32 = 10_000;
/// The metadata that holds the SHA-256 of an object.
pub(crate) const DIGEST: &str = "sha256";
/// The metadata by which an upload in parts is known again as ours once it is an object.
const UPLOAD: &str = "towpath-upload";
/// What a request for a part gets at least, and how fast it has to be beyond that.
const LEAST_TIME: Duration = Duration::from_mins(1);
const LEAST_BYTES_PER_SECOND: u64 = 128 << 10;
/// What S3 may take to put parts together: several minutes, it says.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
const COMPLETION: Duration = Duration::from_mins(6);
/// How long parts under way may still take when the upload has failed.
const LINGERING: Duration = Duration::from_secs(10);

/// The next bytes of an object.
pub(crate) struct Part {
    pub(crate) payload: Payload,
    /// Whether it is the last one. An object without a last part is not stored.
    pub(crate) last: bool,
    /// Given back when the part has been sent, for it stands for memory.
    pub(crate) room: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// What a part consists of.
pub(crate) enum Payload {
    Bytes(Bytes),
    /// This range of an object, by its number, that the store has.
    Copy(Arc<Origins>, usize, Range<u64>),
}

/// An object to be.
pub(crate) struct Upload {
    pub(crate) store: Client,
    pub(crate) place: Place,
    pub(crate) encryption: Encryption,
    pub(crate) content_type: &'static str,
    pub(crate) metadata: HashMap<String, String>,
    /// How many parts are sent at once.
    pub(crate) uploads: usize,
    /// How large they are.
    pub(crate) part: usize,
}

/// Why an object was not stored.
pub(crate) enum Unstored {
    Failed(ArtifactError),
    /// No last part came: whoever makes them knows why.
    Incomplete,
}

/// Why a part was not copied.
enum Uncopied {
    /// The object could not be read.
    Lost(ArtifactError),
    Unsent(ArtifactError),
}

impl From<ArtifactError> for Unstored {
    fn from(error: ArtifactError) -> Self {
        Self::Failed(error)
    }
}

impl Upload {
    /// Stores what comes; the version, in a versioned bucket.
    pub(crate) async fn run(
        self,
        parts: &mut mpsc::UnboundedReceiver<Part>,
    ) -> Result<Option<String>, Unstored> {
        let Some(first) = parts.recv().await else {
            return Err(Unstored::Incomplete);
        };
        if let Payload::Bytes(bytes) = &first.payload
            && first.last
        {
            return Ok(self.put(bytes.clone()).await?);
        }
        self.put_in_parts(first, parts).await
    }

    fn failed(&self, answer: Answer) -> ArtifactError {
        answer.writing(self.place.location(), &self.encryption)
    }

    /// The whole object by one request; S3 verifies the digest.
    async fn put(mut self, bytes: Bytes) -> Result<Option<String>, ArtifactError> {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
        self.metadata.insert(DIGEST.to_owned(), hex::encode(digest));
        let (algorithm, key) = self.encryption.asked();
        let time = time_for(bytes.len());
        let stored = self
            .store
            .put_object()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .content_type(self.content_type)
            .set_metadata(Some(std::mem::take(&mut self.metadata)))
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(key)
            .checksum_sha256(aws_smithy_types::base64::encode(digest))
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(time)
            .send()
            .await
            .map_err(|error| self.failed(Answer::of(error)))?;
        Ok(stored.version_id)
    }

    async fn put_in_parts(
        self,
        first: Part,
        parts: &mut mpsc::UnboundedReceiver<Part>,
    ) -> Result<Option<String>, Unstored> {
        let token = uuid::Uuid::new_v4().to_string();
        let mut metadata = self.metadata.clone();
        metadata.insert(UPLOAD.to_owned(), token.clone());
        let (algorithm, key) = self.encryption.asked();
        let created = self
            .store
            .create_multipart_upload()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .content_type(self.content_type)
            .set_metadata(Some(metadata))
            .set_server_side_encryption(algorithm)
            .set_ssekms_key_id(key)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .customize()
            .config_override(time_for(0))
            .send()
            .await
            .map_err(|error| self.failed(Answer::of(error)))?;
        let pending = Pending {
            upload: Arc::new(self),
            id: Arc::from(created.upload_id().unwrap_or_default()),
            settled: false,
        };
        match pending.send(first, parts).await {
            Ok(completed) => pending
                .complete(completed, &token)
                .await
                .map_err(Into::into),
            Err(unstored) => {
                pending.abort().await;
                Err(unstored)
            }
        }
    }

    async fn part(
        &self,
        id: &str,
        number: i32,
        payload: Payload,
    ) -> Result<CompletedPart, ArtifactError> {
        match payload {
            Payload::Bytes(bytes) => self.sent(id, number, bytes).await,
            Payload::Copy(origins, object, range) => {
                let copied = self.copied(id, number, origins.object(object), range).await;
                // What the upload itself lacks is in another error's name.
                copied.map_err(|error| match error {
                    Uncopied::Lost(error) => {
                        origins.lose();
                        error
                    }
                    Uncopied::Unsent(error) => error,
                })
            }
        }
    }

    /// A part that S3 copies, or, where it does not, one that is read and sent.
    async fn copied(
        &self,
        id: &str,
        number: i32,
        from: &At,
        range: Range<u64>,
    ) -> Result<CompletedPart, Uncopied> {
        let (source, etag) = from.to_be_copied();
        let length = range.end - range.start;
        let copied = self
            .store
            .upload_part_copy()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(id)
            .part_number(number)
            .copy_source(source)
            .set_copy_source_if_match(etag)
            .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
            .customize()
            .config_override(time_for(length as usize))
            .send()
            .await
            .map_err(Answer::of);
        match copied {
            Ok(copied) => {
                let result = copied.copy_part_result;
                let (etag, checksum) = result.map(|it| (it.e_tag, it.checksum_crc32)).unzip();
                Ok(CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(etag.flatten())
                    .set_checksum_crc32(checksum.flatten())
                    .build())
            }
            Err(answer) if answer.kind == Kind::Replaced => {
                Err(Uncopied::Lost(answer.reading(from.location())))
            }
            Err(answer) => {
                tracing::info!(
                    from = %from.location(), to = %self.place.location(), reason = answer.detail,
                    "a part could not be copied in the store: it is read and sent"
                );
                let mut bytes = Vec::new();
                from.fill(&mut bytes, range, None)
                    .await
                    .map_err(Uncopied::Lost)?;
                let sent = self.sent(id, number, bytes.into()).await;
                sent.map_err(Uncopied::Unsent)
            }
        }
    }

    async fn sent(
        &self,
        id: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<CompletedPart, ArtifactError> {
        let checksum = aws_smithy_types::base64::encode(crc32fast::hash(&bytes).to_be_bytes());
        let time = time_for(bytes.len());
        let stored = self
            .store
            .upload_part()
            .bucket(&self.place.bucket)
            .key(&self.place.key)
            .upload_id(id)
            .part_number(number)
            .checksum_crc32(&checksum)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(time)
            .send()
            .await
            .map_err(|error| self.failed(Answer::of(error)))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(stored.e_tag)
            .checksum_crc32(checksum)
            .build())
    }
}

/// An upload in parts that has begun. Dropped before it is settled, it is aborted in the
/// background; a bucket's lifecycle rule has to see to those whose process was killed.
struct Pending {
    upload: Arc<Upload>,
    id: Arc<str>,
    settled: bool,
}

impl Pending {
    /// Sends all parts, some at once. Nothing is under way any more when it ends.
    async fn send(
        &self,
        first: Part,
        parts: &mut mpsc::UnboundedReceiver<Part>,
    ) -> Result<Vec<CompletedPart>, Unstored> {
        let mut under_way = JoinSet::new();
        let sent = self.send_by(&mut under_way, first, parts).await;
        if sent.is_err() {
            // A part that arrives after the abort would stay.
            let ends = async { while under_way.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(LINGERING, ends).await;
        }
        under_way.shutdown().await;
        let mut completed = sent?;
        completed.sort_by_key(CompletedPart::part_number);
        Ok(completed)
    }

    async fn send_by(
        &self,
        under_way: &mut JoinSet<Result<CompletedPart, ArtifactError>>,
        first: Part,
        parts: &mut mpsc::UnboundedReceiver<Part>,
    ) -> Result<Vec<CompletedPart>, Unstored> {
        let mut completed = Vec::new();
        let mut part = first;
        for number in 1..=MOST_PARTS {
            let last = part.last;
            let (upload, id) = (Arc::clone(&self.upload), Arc::clone(&self.id));
            under_way.spawn(async move {
                let _room = part.room;
                upload.part(&id, number, part.payload).await
            });
            if last {
                while let Some(sent) = under_way.join_next().await {
                    completed.push(joined(sent)?);
                }
                return Ok(completed);
            }
            part = loop {
                tokio::select! {
                    came = parts.recv(), if under_way.len() < self.upload.uploads.max(1) => {
                        break came.ok_or(Unstored::Incomplete)?;
                    }
                    Some(sent) = under_way.join_next() => completed.push(joined(sent)?),
                }
            };
        }
        Err(Unstored::Failed(ArtifactError::TooLarge {
            location: self.upload.place.location().to_string(),
            parts: MOST_PARTS,
            part: self.upload.part,
        }))
    }

    async fn complete(
        mut self,
        completed: Vec<CompletedPart>,
        token: &str,
    ) -> Result<Option<String>, ArtifactError> {
        let upload = Arc::clone(&self.upload);
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(completed))
            .build();
        let answer = upload
            .store
            .complete_multipart_upload()
            .bucket(&upload.place.bucket)
            .key(&upload.place.key)
            .upload_id(&*self.id)
            .multipart_upload(parts)
            .customize()
            .config_override(at_most(COMPLETION))
            .send()
            .await;
        let answer = match answer {
            Ok(stored) => {
                self.settled = true;
                return Ok(stored.version_id);
            }
            Err(error) => Answer::of(error),
        };
        // The answer to a request that was made again: the first one had been heard.
        if answer.kind == Kind::NoUpload
            && let Some(version) = upload.is_stored(UPLOAD, token).await
        {
            self.settled = true;
            return Ok(version);
        }
        let error = upload.failed(answer);
        self.abort().await;
        Err(error)
    }

    /// Takes back what was sent.
    async fn abort(mut self) {
        self.settled = true;
        abort(&self.upload, &self.id).await;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (upload, id) = (Arc::clone(&self.upload), Arc::clone(&self.id));
            runtime.spawn(async move { abort(&upload, &id).await });
        }
    }
}

async fn abort(upload: &Upload, id: &str) {
    let aborted = upload
        .store
        .abort_multipart_upload()
        .bucket(&upload.place.bucket)
        .key(&upload.place.key)
        .upload_id(id)
        .customize()
        .config_override(time_for(0))
        .send()
        .await;
    if let Err(error) = aborted {
        tracing::warn!(
            location = %upload.place.location(), error = %DisplayErrorContext(&error),
            "an upload that failed could not be aborted: its parts stay until the bucket's lifecycle rule \
             AbortIncompleteMultipartUpload removes them (s3:AbortMultipartUpload is what it takes)"
        );
    }
}

impl Upload {
    /// Whether the object has this metadata, and its version. An answer other than yes is no:
    /// without `s3:ListBucket` S3 does not say whether an object exists.
    async fn is_stored(&self, name: &str, value: &str) -> Option<Option<String>> {
        has(&self.store, self.place.location(), name, value).await
    }
}

/// Whether an object is there with this metadata, and its version.
pub(crate) async fn has(
    store: &Client,
    location: Location<'_>,
    name: &str,
    value: &str,
) -> Option<Option<String>> {
    let head = store
        .head_object()
        .bucket(location.bucket)
        .key(location.key)
        .customize()
        .config_override(time_for(0))
        .send()
        .await;
    match head {
        Ok(head) => {
            let same = head
                .metadata()
                .and_then(|metadata| metadata.get(name))
                .is_some_and(|found| found == value);
            same.then_some(head.version_id)
        }
        Err(error) => {
            tracing::debug!(%location, error = %DisplayErrorContext(&error), "the object is taken not to be there");
            None
        }
    }
}

fn joined(
    sent: Result<Result<CompletedPart, ArtifactError>, tokio::task::JoinError>,
) -> Result<CompletedPart, ArtifactError> {
    sent.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(ArtifactError::GivenUp),
    })
}

/// A bound on one attempt to send so many bytes: a connection may have died unnoticed.
pub(crate) fn time_for(bytes: usize) -> aws_sdk_s3::config::Builder {
    at_most(LEAST_TIME + Duration::from_secs(bytes as u64 / LEAST_BYTES_PER_SECOND))
}

fn at_most(time: Duration) -> aws_sdk_s3::config::Builder {
    Config::builder().timeout_config(
        TimeoutConfig::builder()
            .operation_attempt_timeout(time)
            .build(),
    )
}
