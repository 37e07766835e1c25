//! Where objects are, how they are encrypted, and what S3's refusals mean.

use std::fmt;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
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

/// A location to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl Place {
    pub(crate) fn location(&self) -> Location<'_> {
        Location {
            bucket: &self.bucket,
            key: &self.key,
        }
    }
}

impl From<Location<'_>> for Place {
    fn from(location: Location<'_>) -> Self {
        Self {
            bucket: location.bucket.to_owned(),
            key: location.key.to_owned(),
        }
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

impl Encryption {
    /// What a request asks for: the algorithm, and the key that it does not ask for by default.
    pub fn asked(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match self {
            Self::Kms => (Some(ServerSideEncryption::AwsKms), None),
            Self::KmsKey(key) => (Some(ServerSideEncryption::AwsKms), Some(key.clone())),
            Self::Bucket => (None, None),
        }
    }
}

/// What the service said, as far as it matters here.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Denied,
    Missing,
    /// The object is not the one that was meant.
    Replaced,
    /// There is nothing at this range.
    NoRange,
    /// No such upload: it was completed, or aborted.
    NoUpload,
    /// It may go well when it is tried again.
    Passing,
    Other,
}

impl Answer {
    pub(crate) fn of<E>(error: SdkError<E, HttpResponse>) -> Self
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
        let reached = !matches!(error, SdkError::ConstructionFailure(_));
        Self {
            kind: kind(reached, status, &code),
            detail,
        }
    }

    /// What it means for one who reads.
    pub(crate) fn reading(self, location: Location<'_>) -> ArtifactError {
        let check = format!(
            "the action's role needs s3:GetObject on arn:aws:s3:::{}/{}, and kms:Decrypt on the \
             key that the object is encrypted with; look also for a deny in the bucket's and the \
             key's policy",
            location.bucket, location.key
        );
        self.error("read", location, check)
    }

    /// What it means for one who writes.
    pub(crate) fn writing(self, location: Location<'_>, encryption: &Encryption) -> ArtifactError {
        let key = match encryption {
            Encryption::Kms => "the account's key aws/s3".to_owned(),
            Encryption::KmsKey(key) => format!("the key {key}"),
            Encryption::Bucket => "the bucket's key, if it has one".to_owned(),
        };
        // Parts are put together again by S3, which decrypts them for it.
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        let check = format!(
            "the role needs s3:PutObject on arn:aws:s3:::{}/{}, and kms:GenerateDataKey and \
             kms:Decrypt on {key}; look also for a deny in the bucket's and the key's policy",
            location.bucket, location.key
        );
        self.error("write", location, check)
    }

    fn error(self, doing: &'static str, location: Location<'_>, check: String) -> ArtifactError {
        let (location, detail) = (location.to_string(), self.detail);
        match self.kind {
            Kind::Denied => ArtifactError::Denied {
                doing,
                location,
                detail,
                check,
            },
            Kind::Missing => ArtifactError::Missing { location, detail },
            Kind::Replaced => ArtifactError::Replaced { location },
            Kind::NoRange | Kind::NoUpload | Kind::Passing | Kind::Other => {
                ArtifactError::Service {
                    doing,
                    location,
                    detail,
                }
            }
        }
    }
}

fn kind(reached: bool, status: u16, code: &str) -> Kind {
    match (status, code) {
        (_, "NoSuchUpload") => Kind::NoUpload,
        (_, "NoSuchKey" | "NoSuchBucket" | "NoSuchVersion" | "NotFound") => Kind::Missing,
        // Keys that are disabled, deleted or unknown are answered with 400.
        (_, code) if code.starts_with("KMS.") => Kind::Denied,
        (_, "ExpiredToken" | "InvalidToken") | (401 | 403, _) => Kind::Denied,
        (404, _) => Kind::Missing,
        (412, _) => Kind::Replaced,
        (416, _) => Kind::NoRange,
        (429 | 500.., _) | (_, "SlowDown" | "RequestTimeout" | "InternalError") => Kind::Passing,
        // Nobody answered.
        (0, _) if reached => Kind::Passing,
        _ => Kind::Other,
    }
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
            (404, "NoSuchUpload", Kind::NoUpload),
            (412, "PreconditionFailed", Kind::Replaced),
            (416, "InvalidRange", Kind::NoRange),
            (503, "SlowDown", Kind::Passing),
            (500, "InternalError", Kind::Passing),
            (502, "", Kind::Passing),
            (400, "RequestTimeout", Kind::Passing),
            (0, "", Kind::Passing),
            (400, "InvalidArgument", Kind::Other),
        ] {
            assert_eq!(kind(true, status, code), expected, "{status} {code}");
        }
        assert_eq!(kind(false, 0, ""), Kind::Other);
    }
}
