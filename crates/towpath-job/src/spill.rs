//! State that is too long for a token, kept in the artifact store.

use std::error::Error as _;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use towpath_artifact::Encryption;

use crate::artifact::ArtifactLocation;
use crate::failure::Failure;

/// More state than this was not written by an action.
const LARGEST: i64 = 64 * 1024 * 1024;

/// Writes a state. Repeating it changes nothing: the key is the content's digest.
pub(crate) async fn put(
    store: &Client,
    at: &ArtifactLocation,
    encryption: &Encryption,
    bytes: Vec<u8>,
) -> Result<(), Failure> {
    let (algorithm, key) = encryption.asked();
    store
        .put_object()
        .bucket(&at.bucket)
        .key(&at.key)
        .content_type("application/json")
        .set_server_side_encryption(algorithm)
        .set_ssekms_key_id(key)
        .body(ByteStream::from(bytes))
        .send()
        .await
        .map(drop)
        .map_err(|error| {
            let doing = format!("keep the action's state at s3://{}/{}", at.bucket, at.key);
            Failure::aws(doing, &error)
        })
}

/// Reads a state back.
pub(crate) async fn get(store: &Client, at: &ArtifactLocation) -> Result<Vec<u8>, Failure> {
    let doing = format!("read the action's state at s3://{}/{}", at.bucket, at.key);
    let object = store
        .get_object()
        .bucket(&at.bucket)
        .key(&at.key)
        .send()
        .await
        .map_err(|error| Failure::aws(&doing, &error))?;
    if object.content_length().unwrap_or(0) > LARGEST {
        return Err(Failure::job(format!("failed to {doing}: it is too large")));
    }
    let body = object.body.collect().await.map_err(|error| {
        let cause = error.source().map(ToString::to_string);
        Failure::unavailable(format!(
            "failed to {doing}: {}",
            cause.unwrap_or_else(|| error.to_string())
        ))
    })?;
    Ok(body.to_vec())
}
