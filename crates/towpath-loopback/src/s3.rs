//! S3: a versioned object store in files, served through the `s3s` library.

use std::path::PathBuf;

use bytes::Bytes;

use crate::AwsError;

/// The store.
pub(crate) struct S3 {
    root: PathBuf,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Of a bucket with versioning; `None` otherwise.
    pub(crate) version_id: Option<String>,
    /// With its quotation marks.
    pub(crate) etag: String,
}

/// An object as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// The content.
    pub(crate) bytes: Bytes,
    /// Of a bucket with versioning; `None` otherwise.
    pub(crate) version_id: Option<String>,
    /// With its quotation marks.
    pub(crate) etag: String,
    /// The file that holds the content; immutable, and gone when this version is deleted.
    pub(crate) path: PathBuf,
}

impl S3 {
    /// An empty store below `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// `BucketAlreadyOwnedByYou` when it exists.
    pub(crate) fn create_bucket(&self, bucket: &str) -> Result<(), AwsError> {
        let _ = (bucket, &self.root);
        Ok(())
    }

    /// `BucketNotEmpty` when it holds a version or a delete marker; `NoSuchBucket`.
    pub(crate) fn delete_bucket(&self, bucket: &str) -> Result<(), AwsError> {
        let _ = bucket;
        Ok(())
    }

    /// Deletes every version and delete marker of the bucket.
    pub(crate) fn empty_bucket(&self, bucket: &str) -> Result<(), AwsError> {
        let _ = bucket;
        Ok(())
    }

    /// Whether the bucket exists.
    pub(crate) fn exists(&self, bucket: &str) -> bool {
        let _ = bucket;
        false
    }

    /// Turns versioning on (`true`) or suspends it.
    pub(crate) fn set_versioning(&self, bucket: &str, enabled: bool) -> Result<(), AwsError> {
        let _ = (bucket, enabled);
        Ok(())
    }

    /// The bucket's policy document; `None` removes it.
    pub(crate) fn set_policy(
        &self,
        bucket: &str,
        policy: Option<serde_json::Value>,
    ) -> Result<(), AwsError> {
        let _ = (bucket, policy);
        Ok(())
    }

    /// Writes an object as the loopback itself: no policy is asked.
    pub(crate) async fn put(
        &self,
        bucket: &str,
        key: &str,
        content: Bytes,
    ) -> Result<Stored, AwsError> {
        let _ = (bucket, key, content);
        Err(AwsError::internal("not yet"))
    }

    /// Reads an object as the loopback itself: `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`.
    pub(crate) async fn get(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<Object, AwsError> {
        let _ = (bucket, key, version_id);
        Err(AwsError::internal("not yet"))
    }
}
