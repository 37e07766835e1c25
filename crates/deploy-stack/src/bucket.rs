//! A bucket is emptied: every version, every delete marker, every upload that was begun.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use towpath_job::{Failure, FailureType};

use crate::{DeployError, Pace};

/// How many objects one request deletes at most. AWS: `DeleteObjects`.
pub(crate) const BATCH: i32 = 1_000;

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// Nothing is left, or there is no bucket.
    Wholly,
    /// The time was up.
    Partly,
}

/// Empties a bucket, as far as the time goes. It always lists from the start: what was deleted is not
/// listed again, so no cursor has to survive.
pub async fn empty(s3: &Client, bucket: &str, pace: &Pace) -> Result<Emptied, DeployError> {
    loop {
        if pace.is_over() {
            return Ok(Emptied::Partly);
        }
        let page = match s3
            .list_object_versions()
            .bucket(bucket)
            .max_keys(BATCH)
            .send()
            .await
        {
            Ok(page) => page,
            Err(error) if is_gone(&error) => return Ok(Emptied::Wholly),
            Err(error) => return Err(failed("list what is in", bucket, &error)),
        };
        let versions = page
            .versions()
            .iter()
            .map(|version| (version.key(), version.version_id()));
        let markers = page
            .delete_markers()
            .iter()
            .map(|marker| (marker.key(), marker.version_id()));
        let doomed: Vec<ObjectIdentifier> = versions
            .chain(markers)
            .filter_map(|(key, version)| {
                ObjectIdentifier::builder()
                    .key(key?)
                    .set_version_id(version.map(str::to_owned))
                    .build()
                    .ok()
            })
            .collect();
        if doomed.is_empty() {
            break;
        }
        delete(s3, bucket, doomed).await?;
        pace.worked();
    }
    abort_uploads(s3, bucket, pace).await
}

/// Deletes up to a thousand objects.
pub(crate) async fn delete(
    s3: &Client,
    bucket: &str,
    doomed: Vec<ObjectIdentifier>,
) -> Result<(), DeployError> {
    let request = Delete::builder()
        .set_objects(Some(doomed))
        .quiet(true)
        .build()
        .map_err(|error| DeployError::Bucket(Failure::job(error.to_string())))?;
    let answer = s3
        .delete_objects()
        .bucket(bucket)
        .delete(request)
        .send()
        .await
        .map_err(|error| failed("delete objects of", bucket, &error))?;
    let Some(error) = answer.errors().first() else {
        return Ok(());
    };
    let code = error.code().unwrap_or("no code");
    let message = format!(
        "failed to delete `{}` of bucket `{bucket}`: {} ({code})",
        error.key().unwrap_or_default(),
        error.message().unwrap_or_default(),
    );
    Err(DeployError::Bucket(match code {
        "AccessDenied" => Failure::new(FailureType::PermissionError, message).with_hint(
            "allow the deploy-stack function to delete objects there; a locked object cannot be deleted before its time",
        ),
        "InternalError" | "SlowDown" | "ServiceUnavailable" => Failure::unavailable(message),
        _ => Failure::job(message),
    }))
}

async fn abort_uploads(s3: &Client, bucket: &str, pace: &Pace) -> Result<Emptied, DeployError> {
    loop {
        let page = match s3.list_multipart_uploads().bucket(bucket).send().await {
            Ok(page) => page,
            Err(error) if is_gone(&error) => return Ok(Emptied::Wholly),
            Err(error) => return Err(failed("list the uploads to", bucket, &error)),
        };
        if page.uploads().is_empty() {
            return Ok(Emptied::Wholly);
        }
        for upload in page.uploads() {
            if pace.is_over() {
                return Ok(Emptied::Partly);
            }
            let aborted = s3
                .abort_multipart_upload()
                .bucket(bucket)
                .set_key(upload.key().map(str::to_owned))
                .set_upload_id(upload.upload_id().map(str::to_owned))
                .send()
                .await;
            match aborted {
                Ok(_) => pace.worked(),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(failed("abort an upload to", bucket, &error)),
            }
        }
    }
}

/// Somebody else was faster.
fn is_gone<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .is_some_and(|code| code == "NoSuchBucket" || code == "NoSuchUpload")
}

/// An error of S3 in our words.
pub(crate) fn failed<E>(doing: &str, bucket: &str, error: &SdkError<E>) -> DeployError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = Failure::aws(format!("{doing} bucket `{bucket}`"), error);
    DeployError::Bucket(match failure.kind {
        FailureType::PermissionError => {
            failure.with_hint("allow it in the role of the deploy-stack function")
        }
        _ => failure,
    })
}
