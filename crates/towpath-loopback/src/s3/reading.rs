//! What a reader gets: the conditions it sets, the range it means, the bytes themselves.

use std::ops::Range as Bytes;
use std::time::{Duration, SystemTime};

use s3s::dto::{
    Checksum, ChecksumMode, ContentType, ETagCondition, Range, StreamingBlob, TagCount, Timestamp,
};
use s3s::{S3ErrorCode, S3Result, s3_error};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::draft::{failed, open};
use super::store::{Attributes, Content, Version};

/// Content up to this size is answered in one piece.
const SMALL: u64 = 256 * 1024;

/// Whether the reader's conditions hold; RFC 9110's precedence, as S3 documents it.
pub(super) fn check_read(
    version: &Version,
    content: &Content,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    if_modified_since: Option<&Timestamp>,
    if_unmodified_since: Option<&Timestamp>,
) -> S3Result<()> {
    let matches = |condition: &ETagCondition| {
        condition
            .as_etag()
            .is_none_or(|etag| etag.value() == content.etag)
    };
    let modified = whole_seconds(version.modified);
    let changed_since = |moment: &Timestamp| modified > *moment;
    let failed = |name: &str| {
        s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold: {name}"
        )
    };
    match if_match {
        Some(condition) if !matches(condition) => return Err(failed("If-Match")),
        Some(_) => {}
        None => {
            if if_unmodified_since.is_some_and(changed_since) {
                return Err(failed("If-Unmodified-Since"));
            }
        }
    }
    let unchanged = match if_none_match {
        Some(condition) => matches(condition),
        None => if_modified_since.is_some_and(|moment| !changed_since(moment)),
    };
    if unchanged {
        return Err(S3ErrorCode::NotModified.into());
    }
    Ok(())
}

/// HTTP dates have no fractions: compared with one, neither may ours.
fn whole_seconds(moment: SystemTime) -> Timestamp {
    let seconds = moment
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into()
}

/// The bytes a range means, and its `Content-Range`.
pub(super) fn cut(range: Option<&Range>, size: u64) -> S3Result<(Bytes<u64>, Option<String>)> {
    let Some(range) = range else {
        return Ok((0..size, None));
    };
    // Nothing has no last bytes either.
    let bytes = range.check(size).ok().filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| {
        s3_error!(
            InvalidRange,
            "The requested range is not satisfiable: the object has {size} bytes"
        )
    })?;
    let told = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
    Ok((bytes, Some(told)))
}

pub(super) async fn stream(content: &Content, range: Bytes<u64>) -> S3Result<StreamingBlob> {
    let size = range.end - range.start;
    let mut reader = open(&content.path, Some(range)).await?;
    if size <= SMALL {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        reader
            .read_to_end(&mut bytes)
            .await
            .map_err(failed("read", "an object"))?;
        return Ok(StreamingBlob::from(s3s::Body::from(bytes)));
    }
    Ok(StreamingBlob::wrap(ReaderStream::with_capacity(
        reader,
        256 * 1024,
    )))
}

pub(super) fn length(range: &Bytes<u64>) -> i64 {
    i64::try_from(range.end - range.start).unwrap_or(i64::MAX)
}

pub(super) fn content_type(attributes: &Attributes) -> ContentType {
    attributes
        .content_type
        .clone()
        .unwrap_or_else(|| "binary/octet-stream".to_owned())
}

/// Checksums are told for whole content when they are asked for.
pub(super) fn shown_checksum(
    content: &Content,
    mode: Option<&ChecksumMode>,
    whole: bool,
) -> Checksum {
    if whole && mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED) {
        content.checksum.clone()
    } else {
        Checksum::default()
    }
}

pub(super) fn tag_count(tags: &[(String, String)]) -> Option<TagCount> {
    i32::try_from(tags.len()).ok().filter(|count| *count > 0)
}
