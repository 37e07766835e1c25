//! What a writer sends: the body and its digests, and what its headers say of the object.

use futures::StreamExt;
use s3s::crypto::Checksum as _;
use s3s::dto::{Checksum, ChecksumAlgorithm, StreamingBlob};
use s3s::{S3Result, TrailingHeaders, s3_error};

use super::draft::Draft;

/// Writes a request's body, whole or not at all.
pub(super) async fn receive(
    draft: &mut Draft,
    mut body: StreamingBlob,
    length: Option<i64>,
) -> S3Result<()> {
    let mut received = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| {
            // A chunk whose signature or length is wrong says so; otherwise the client went away.
            let message = format!("the body could not be read: {error}");
            s3_error!(IncompleteBody, "{message}")
        })?;
        received += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        draft.write(&chunk).await?;
    }
    if let Some(length) = length.filter(|length| *length != received) {
        return Err(s3_error!(
            IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header: {received} of {length}"
        ));
    }
    Ok(())
}

/// What the client says the content's digests are.
pub(super) struct Told {
    pub(super) md5: Option<String>,
    pub(super) algorithm: Option<String>,
    pub(super) checksum: Checksum,
}

/// The algorithm a client announces, in `x-amz-sdk-checksum-algorithm` or by the trailer it will send.
pub(super) fn algorithm(
    named: Option<&ChecksumAlgorithm>,
    headers: &http::HeaderMap,
) -> Option<String> {
    if let Some(named) = named {
        return Some(named.as_str().to_ascii_lowercase());
    }
    let trailer = headers.get("x-amz-trailer")?.to_str().ok()?;
    trailer
        .split(',')
        .find_map(|name| name.trim().strip_prefix("x-amz-checksum-"))
        .map(str::to_ascii_lowercase)
}

impl Told {
    /// Has the draft compute what will be compared.
    pub(super) fn prepare(&self, draft: &mut Draft) {
        let wants = |name: &str, value: Option<&String>| {
            value.is_some() || self.algorithm.as_deref() == Some(name)
        };
        let sums = &self.checksum;
        let hasher = &mut draft.hasher;
        if wants("crc32", sums.checksum_crc32.as_ref()) {
            hasher.crc32 = Some(s3s::crypto::Crc32::new());
        }
        if wants("crc32c", sums.checksum_crc32c.as_ref()) {
            hasher.crc32c = Some(s3s::crypto::Crc32c::new());
        }
        if wants("crc64nvme", sums.checksum_crc64nvme.as_ref()) {
            hasher.crc64nvme = Some(s3s::crypto::Crc64Nvme::new());
        }
        if wants("sha1", sums.checksum_sha1.as_ref()) {
            hasher.sha1 = Some(s3s::crypto::Sha1::new());
        }
        if wants("sha256", sums.checksum_sha256.as_ref()) {
            hasher.sha256 = Some(s3s::crypto::Sha256::new());
        }
    }

    /// Compares, the trailer included.
    pub(super) fn check(
        &self,
        trailers: Option<TrailingHeaders>,
        md5: &[u8; 16],
        computed: &Checksum,
    ) -> S3Result<()> {
        use base64::Engine as _;
        if let Some(told) = &self.md5 {
            let ours = base64::engine::general_purpose::STANDARD.encode(md5);
            if *told != ours {
                return Err(s3_error!(
                    BadDigest,
                    "The Content-MD5 you specified did not match what we received: {told} is not {ours}"
                ));
            }
        }
        let trailers = trailers.and_then(|trailers| trailers.take());
        let told = |header: Option<&String>, name: &str| {
            header.cloned().or_else(|| {
                let value = trailers.as_ref()?.get(format!("x-amz-checksum-{name}"))?;
                Some(value.to_str().ok()?.trim().to_owned())
            })
        };
        let sums = &self.checksum;
        for (name, header, ours) in [
            ("crc32", &sums.checksum_crc32, &computed.checksum_crc32),
            ("crc32c", &sums.checksum_crc32c, &computed.checksum_crc32c),
            (
                "crc64nvme",
                &sums.checksum_crc64nvme,
                &computed.checksum_crc64nvme,
            ),
            ("sha1", &sums.checksum_sha1, &computed.checksum_sha1),
            ("sha256", &sums.checksum_sha256, &computed.checksum_sha256),
        ] {
            if let (Some(told), Some(ours)) = (told(header.as_ref(), name), ours)
                && told != *ours
            {
                return Err(s3_error!(
                    BadDigest,
                    "The {name} you specified did not match the calculated checksum: {told} is not {ours}"
                ));
            }
        }
        Ok(())
    }
}

/// `aws-chunked` is the wire's business, not the object's.
pub(super) fn plain_encoding(encoding: Option<String>) -> Option<String> {
    let kept = encoding?
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "aws-chunked")
        .collect::<Vec<_>>()
        .join(",");
    (!kept.is_empty()).then_some(kept)
}

/// The tags of an `x-amz-tagging` header.
pub(super) fn header_tags(header: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(header.unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}
