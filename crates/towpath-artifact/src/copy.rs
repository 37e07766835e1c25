//! An object that is to lie at a second place: S3 copies it itself where one client may both read it there and write
//! it here, and where none may, it is read by one and sent by the other.
//!
//! Either way it has to be the very object: of a copy that S3 makes, S3 states the digest; what passes through here is
//! digested as it passes, and is an object only when the digest is right.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::ArtifactError;
use crate::object::Object;
use crate::put::{self, ZIP};
use crate::request::{MARK, source_name};
use crate::store::{Answer, Encryption, Kind, Location};
use crate::upload::{DIGEST, Upload, time_for};
use crate::{Published, Settings, Store};

/// The largest object that S3 copies by one request.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
const MOST: u64 = 5 << 30;

/// How often a request is tried.
const ATTEMPTS: u32 = 3;

/// What a look at an object shows, without its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its size.
    pub bytes: u64,
    /// What S3 calls this content. `None` is any.
    pub etag: Option<String>,
    /// What is kept beside the content, by lower-case names.
    pub metadata: HashMap<String, String>,
}

impl Found {
    /// An archive that was packed here, with these settings.
    pub fn packed(bytes: u64, settings: &Settings) -> Self {
        Self {
            bytes,
            etag: None,
            metadata: [(MARK.to_owned(), settings.mark())].into(),
        }
    }

    /// The SHA-256 that the object says it has.
    pub fn sha256(&self) -> Option<&str> {
        self.metadata.get(DIGEST).map(String::as_str)
    }
}

/// An archive at one place that is to lie at another.
#[derive(Debug, Clone, Copy)]
pub struct Copy<'a> {
    /// Where it lies.
    pub from: Location<'a>,
    /// Which object it is.
    pub found: &'a Found,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: &'a str,
    /// Where it is to lie.
    pub to: Location<'a>,
    /// How it is to be encrypted there.
    pub encryption: &'a Encryption,
    /// What is to be kept beside it, but for its digest and what it was packed with.
    pub metadata: &'a HashMap<String, String>,
}

impl Copy<'_> {
    /// All that is kept beside the copy.
    fn all_metadata(&self) -> HashMap<String, String> {
        let mut metadata = self.metadata.clone();
        metadata.insert(DIGEST.to_owned(), self.sha256.to_owned());
        if let Some(mark) = self.found.metadata.get(MARK) {
            metadata.insert(MARK.to_owned(), mark.clone());
        }
        metadata
    }
}

pub(crate) async fn look(store: &Store, location: Location<'_>) -> Result<Found, ArtifactError> {
    let head = store
        .client
        .head_object()
        .bucket(location.bucket)
        .key(location.key)
        .customize()
        .config_override(hasty(0))
        .send()
        .await
        .map_err(|error| Answer::of(error).reading(location))?;
    Ok(Found {
        bytes: head.content_length().unwrap_or_default().max(0) as u64,
        etag: head.e_tag().map(str::to_owned),
        metadata: head.metadata.unwrap_or_default(),
    })
}

/// Has S3 copy. `None` is that it does not, for this client or at all.
pub(crate) async fn in_store(
    store: &Store,
    copy: &Copy<'_>,
) -> Result<Option<Published>, ArtifactError> {
    if copy.found.bytes > MOST {
        return Ok(None);
    }
    let (algorithm, key) = copy.encryption.asked();
    let answer = store
        .client
        .copy_object()
        .bucket(copy.to.bucket)
        .key(copy.to.key)
        .copy_source(source_name(copy.from))
        .set_copy_source_if_match(copy.found.etag.clone())
        .content_type(ZIP)
        .metadata_directive(MetadataDirective::Replace)
        .set_metadata(Some(copy.all_metadata()))
        .set_server_side_encryption(algorithm)
        .set_ssekms_key_id(key)
        // S3 digests what it has written, and says what came out.
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .customize()
        .config_override(hasty(copy.found.bytes))
        .send()
        .await
        .map_err(Answer::of);
    let copied = match answer {
        Ok(copied) => copied,
        // Another object lies there now: nobody can copy the one that is meant.
        Err(answer) if answer.kind == Kind::Replaced => return Err(answer.reading(copy.from)),
        Err(answer) => {
            tracing::info!(
                from = %copy.from, to = %copy.to, reason = answer.detail,
                "the object could not be copied in the store"
            );
            return Ok(None);
        }
    };
    let stated = copied
        .copy_object_result()
        .and_then(|result| result.checksum_sha256());
    match stated.map(digest_of) {
        Some(Some(found)) if found != copy.sha256 => {
            return Err(ArtifactError::Digest {
                location: copy.from.to_string(),
                expected: copy.sha256.to_owned(),
                found,
            });
        }
        Some(Some(_)) => {}
        // Its size and its tag are what it was looked at for.
        Some(None) | None => {
            tracing::info!(from = %copy.from, "the store does not say what digest the copy has");
        }
    }
    tracing::info!(from = %copy.from, to = %copy.to, bytes = copy.found.bytes, "copied an object in the store");
    Ok(Some(Published {
        bytes: copy.found.bytes,
        sha256: Some(copy.sha256.to_owned()),
        version: copied.version_id,
    }))
}

/// There is another way if this does not go well: it is not tried again for long.
fn hasty(bytes: u64) -> aws_sdk_s3::config::Builder {
    time_for(bytes as usize).retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
}

/// A digest as S3 writes it, in hexadecimal. `None` for one of the digests of parts, which ends in their number.
fn digest_of(base64: &str) -> Option<String> {
    let bytes = aws_smithy_types::base64::decode(base64).ok()?;
    (bytes.len() == 32).then(|| hex::encode(bytes))
}

/// Reads with the one store's client and writes with the other's.
pub(crate) async fn through_here(
    from: &Store,
    to: &Store,
    copy: &Copy<'_>,
) -> Result<Published, ArtifactError> {
    let (object, _guard) = open(from, copy.from).await?;
    if !object.is(copy.found) {
        return Err(ArtifactError::Replaced {
            location: copy.from.to_string(),
        });
    }
    let metadata = copy.all_metadata();
    let to = (to, copy.to);
    let published = pass(object, to, copy.encryption, metadata, Some(copy.sha256)).await?;
    tracing::info!(from = %copy.from, to = %copy.to, bytes = published.bytes, "passed an object on");
    Ok(published)
}

/// Reads with the one store's client and writes with the other's, whatever the object is.
pub(crate) async fn relay(
    from: (&Store, Location<'_>),
    to: (&Store, Location<'_>),
    encryption: &Encryption,
) -> Result<Published, ArtifactError> {
    let (object, _guard) = open(from.0, from.1).await?;
    let metadata = object.marks();
    let published = pass(object, to, encryption, metadata, None).await?;
    tracing::info!(from = %from.1, to = %to.1, bytes = published.bytes, "relayed an object");
    Ok(published)
}

/// An object to be read, which is given up when the guard is dropped.
async fn open(store: &Store, location: Location<'_>) -> Result<(Object, DropGuard), ArtifactError> {
    let given_up = CancellationToken::new();
    let guard = given_up.clone().drop_guard();
    let object = Object::open(&store.client, location, &store.settings, given_up).await?;
    Ok((object, guard))
}

/// Sends an object on as it is read.
async fn pass(
    object: Object,
    (to, place): (&Store, Location<'_>),
    encryption: &Encryption,
    metadata: HashMap<String, String>,
    sha256: Option<&str>,
) -> Result<Published, ArtifactError> {
    let upload = Upload {
        store: to.client.clone(),
        place: place.into(),
        encryption: encryption.clone(),
        content_type: ZIP,
        metadata,
        uploads: to.settings.uploads,
        part: to.settings.part,
    };
    put::pass_on(upload, Arc::new(object), to.settings, sha256).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_whole_object_or_none() {
        let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for (given, expected) in [
            (zeros, Some("0".repeat(64))),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=-3", None),
            ("AAAA", None),
            ("", None),
            ("?", None),
        ] {
            assert_eq!(digest_of(given), expected, "{given}");
        }
    }
}
