//! Objects in S3: one is streamed to a file, a file is streamed to one.

use std::fmt;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::error::ArtifactError;

/// An object in S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// The bucket's name.
    pub bucket: &'a str,
    /// The object's key.
    pub key: &'a str,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// How an object is to be encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// By KMS with the account's own S3 key: what a pipeline's artifacts get if the job names no key.
    Kms,
    /// By KMS with this key, given by its id, alias or ARN.
    KmsKey(String),
    /// As the bucket does it by itself. Not for a pipeline's artifacts.
    Bucket,
}

/// The largest object that one `PutObject` takes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>
const LARGEST_PUT: u64 = 5 << 30;
/// How often a download is taken up again where it broke off. The client repeats requests, but not
/// a body that breaks off.
const RESUMPTIONS: u32 = 5;
const RESUMPTION_DELAY: Duration = Duration::from_millis(100);

/// Streams an object to a file, from its current position.
pub(crate) async fn download(
    store: &Client,
    location: Location<'_>,
    file: &mut File,
    path: &Path,
) -> Result<(), ArtifactError> {
    let mut received: u64 = 0;
    let mut etag: Option<String> = None;
    let mut broken = 0;
    loop {
        let mut request = store.get_object().bucket(location.bucket).key(location.key);
        if received > 0 {
            // The rest of the very same object, or nothing.
            request = request
                .range(format!("bytes={received}-"))
                .set_if_match(etag.clone());
        }
        let mut object = request
            .send()
            .await
            .map_err(|error| read_failed(location, error))?;
        let whole = object
            .content_length()
            .and_then(|rest| u64::try_from(rest).ok())
            .map(|rest| received + rest);
        etag = object.e_tag.take();
        let interruption = loop {
            match object.body.try_next().await {
                Ok(Some(chunk)) => {
                    file.write_all(&chunk)
                        .map_err(|error| ArtifactError::io("write", path, error))?;
                    received += chunk.len() as u64;
                }
                Ok(None) if whole.is_some_and(|whole| received < whole) => {
                    break format!("it ended after {received} bytes");
                }
                Ok(None) => {
                    return file
                        .rewind()
                        .map_err(|error| ArtifactError::io("rewind", path, error));
                }
                Err(error) => break DisplayErrorContext(error).to_string(),
            }
        };
        // What fails at its very end is not cut off but wrong, such as by its checksum.
        let complete = whole.is_some_and(|whole| received >= whole);
        if complete || broken == RESUMPTIONS || etag.is_none() {
            return Err(ArtifactError::Service {
                doing: "read",
                location: location.to_string(),
                detail: interruption,
            });
        }
        tracing::debug!(%location, received, interruption, "the download broke off and is taken up again");
        tokio::time::sleep(RESUMPTION_DELAY * 2_u32.pow(broken)).await;
        broken += 1;
    }
}

/// A file that is to become an object.
pub(crate) struct Upload<'a> {
    pub(crate) file: &'a Path,
    pub(crate) bytes: u64,
    /// In lower-case hexadecimal.
    pub(crate) sha256: &'a str,
    pub(crate) content_type: &'static str,
}

/// The object's metadata that holds its SHA-256.
const DIGEST: &str = "sha256";

/// Streams a file to an object; S3 verifies the digest. Gives the version, in a versioned bucket.
pub(crate) async fn upload(
    store: &Client,
    upload: &Upload<'_>,
    location: Location<'_>,
    encryption: &Encryption,
) -> Result<Option<String>, ArtifactError> {
    if upload.bytes > LARGEST_PUT {
        return Err(ArtifactError::TooLarge {
            location: location.to_string(),
            bytes: upload.bytes,
            limit: LARGEST_PUT,
        });
    }
    let body = ByteStream::from_path(upload.file)
        .await
        .map_err(|error| ArtifactError::io("read", upload.file, std::io::Error::other(error)))?;
    let mut request = store
        .put_object()
        .bucket(location.bucket)
        .key(location.key)
        .content_type(upload.content_type)
        .checksum_sha256(base64(upload.sha256))
        .metadata(DIGEST, upload.sha256)
        .body(body);
    match encryption {
        Encryption::Kms => {
            request = request.server_side_encryption(ServerSideEncryption::AwsKms);
        }
        Encryption::KmsKey(key) => {
            request = request
                .server_side_encryption(ServerSideEncryption::AwsKms)
                .ssekms_key_id(key);
        }
        Encryption::Bucket => {}
    }
    let stored = request
        .send()
        .await
        .map_err(|error| write_failed(location, encryption, error))?;
    Ok(stored.version_id)
}

/// Whether an object is there with this digest, and its version. An answer other than yes is no:
/// without `s3:ListBucket` S3 does not say whether an object exists.
pub(crate) async fn has(
    store: &Client,
    location: Location<'_>,
    sha256: &str,
) -> Option<Option<String>> {
    let head = store
        .head_object()
        .bucket(location.bucket)
        .key(location.key)
        .send()
        .await;
    match head {
        Ok(head) => {
            let same = head
                .metadata()
                .and_then(|metadata| metadata.get(DIGEST))
                .is_some_and(|digest| digest == sha256);
            same.then_some(head.version_id)
        }
        Err(error) => {
            tracing::debug!(%location, error = %DisplayErrorContext(&error), "the object is taken not to be there");
            None
        }
    }
}

fn read_failed(
    location: Location<'_>,
    error: SdkError<GetObjectError, HttpResponse>,
) -> ArtifactError {
    let answer = Answer::of(error);
    match answer.kind {
        Kind::Denied => ArtifactError::Denied {
            doing: "read",
            location: location.to_string(),
            detail: answer.detail,
            check: format!(
                "the action's role needs s3:GetObject on arn:aws:s3:::{}/{}, and kms:Decrypt on \
                 the key that the object is encrypted with; look also for a deny in the bucket's \
                 and the key's policy",
                location.bucket, location.key
            ),
        },
        Kind::Missing => ArtifactError::Missing {
            location: location.to_string(),
            detail: answer.detail,
        },
        Kind::Other => ArtifactError::Service {
            doing: "read",
            location: location.to_string(),
            detail: answer.detail,
        },
    }
}

fn write_failed<E>(
    location: Location<'_>,
    encryption: &Encryption,
    error: SdkError<E, HttpResponse>,
) -> ArtifactError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let answer = Answer::of(error);
    let key = match encryption {
        Encryption::Kms => "the account's key aws/s3".to_owned(),
        Encryption::KmsKey(key) => format!("the key {key}"),
        Encryption::Bucket => "the bucket's key, if it has one".to_owned(),
    };
    match answer.kind {
        Kind::Denied => ArtifactError::Denied {
            doing: "write",
            location: location.to_string(),
            detail: answer.detail,
            check: format!(
                "the role needs s3:PutObject on arn:aws:s3:::{}/{}, and kms:GenerateDataKey on \
                 {key}; look also for a deny in the bucket's and the key's policy",
                location.bucket, location.key
            ),
        },
        Kind::Missing => ArtifactError::Missing {
            location: location.to_string(),
            detail: answer.detail,
        },
        Kind::Other => ArtifactError::Service {
            doing: "write",
            location: location.to_string(),
            detail: answer.detail,
        },
    }
}

/// What the service said, as far as it matters here.
struct Answer {
    kind: Kind,
    detail: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Denied,
    Missing,
    Other,
}

impl Answer {
    fn of<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let status = error
            .raw_response()
            .map_or(0, |response| response.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        let detail = match (error.message(), code.as_str()) {
            (Some(message), "") => message.to_owned(),
            (Some(message), code) => format!("{message} ({code})"),
            (None, "") => DisplayErrorContext(&error).to_string(),
            (None, code) => code.to_owned(),
        };
        Self {
            kind: kind(status, &code),
            detail,
        }
    }
}

fn kind(status: u16, code: &str) -> Kind {
    match (status, code) {
        (_, "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "NotFound") => Kind::Missing,
        // Keys that are disabled, deleted or unknown are answered with 400.
        (_, code) if code.starts_with("KMS.") => Kind::Denied,
        (_, "ExpiredToken" | "InvalidToken") | (401 | 403, _) => Kind::Denied,
        (404, _) => Kind::Missing,
        _ => Kind::Other,
    }
}

/// The digest as S3 wants it: its bytes in Base64.
fn base64(hexadecimal: &str) -> String {
    aws_smithy_types::base64::encode(hex::decode(hexadecimal).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_permission_an_absence_or_the_service() {
        for (status, code, expected) in [
            (403, "AccessDenied", Kind::Denied),
            (403, "SignatureDoesNotMatch", Kind::Denied),
            (403, "", Kind::Denied),
            (400, "ExpiredToken", Kind::Denied),
            (400, "KMS.DisabledException", Kind::Denied),
            (404, "NoSuchKey", Kind::Missing),
            (404, "NoSuchBucket", Kind::Missing),
            (404, "", Kind::Missing),
            (503, "SlowDown", Kind::Other),
            (500, "InternalError", Kind::Other),
            (412, "PreconditionFailed", Kind::Other),
            (0, "", Kind::Other),
        ] {
            assert_eq!(kind(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_digest_is_sent_in_base64() {
        assert_eq!(base64("00ff10"), "AP8Q");
    }
}
