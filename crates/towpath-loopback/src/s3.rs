//! S3: a versioned object store in files, served through the `s3s` library.

mod access;
mod buckets;
mod draft;
mod gateway;
mod listing;
mod listings;
mod multipart;
mod objects;
mod reading;
mod receive;
mod store;
mod uploads;
mod wording;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use s3s::S3Error;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::{AwsError, World};
pub(crate) use access::CutSlot;
use store::{Attributes, Precondition, Store, Versioning};
pub(crate) use wording::Question;

/// The store.
pub(crate) struct S3 {
    store: Arc<Store>,
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
}

impl S3 {
    /// An empty store below `root`.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            store: Arc::new(Store::new(root)),
        }
    }

    /// What answers S3's requests.
    pub(crate) fn service(&self, world: &Arc<World>) -> S3Service {
        let mut builder = S3ServiceBuilder::new(gateway::Gateway {
            world: world.clone(),
            store: self.store.clone(),
        });
        builder.set_auth(access::Secrets(world.clone()));
        builder.set_access(access::Policies {
            world: world.clone(),
            store: self.store.clone(),
        });
        builder.build()
    }

    /// `BucketAlreadyOwnedByYou` when it exists.
    pub(crate) fn create_bucket(&self, bucket: &str) -> Result<(), AwsError> {
        self.store.create_bucket(bucket).map_err(into_aws)
    }

    /// `BucketNotEmpty` when it holds a version or a delete marker; `NoSuchBucket`.
    pub(crate) fn delete_bucket(&self, bucket: &str) -> Result<(), AwsError> {
        self.store.delete_bucket(bucket).map_err(into_aws)
    }

    /// Whether the bucket exists.
    pub(crate) fn exists(&self, bucket: &str) -> bool {
        self.store.with(bucket, |_| Ok(())).is_ok()
    }

    /// Whether the bucket exists and holds a version or a delete marker.
    pub(crate) fn holds_anything(&self, bucket: &str) -> bool {
        self.store
            .with(bucket, |bucket| Ok(!bucket.keys.is_empty()))
            .unwrap_or(false)
    }

    /// Turns versioning on (`true`) or suspends it.
    pub(crate) fn set_versioning(&self, bucket: &str, enabled: bool) -> Result<(), AwsError> {
        self.store
            .with(bucket, |bucket| {
                bucket.versioning = if enabled {
                    Versioning::Enabled
                } else {
                    Versioning::Suspended
                };
                Ok(())
            })
            .map_err(into_aws)
    }

    /// The bucket's policy document; `None` removes it.
    pub(crate) fn set_policy(
        &self,
        bucket: &str,
        policy: Option<serde_json::Value>,
    ) -> Result<(), AwsError> {
        self.store
            .with(bucket, |bucket| {
                bucket.policy = policy;
                Ok(())
            })
            .map_err(into_aws)
    }

    /// The algorithm (`aws:kms`) and key that content gets when its writer names none.
    pub(crate) fn set_encryption(
        &self,
        bucket: &str,
        encryption: Option<(String, Option<String>)>,
    ) -> Result<(), AwsError> {
        self.store
            .with(bucket, |bucket| {
                bucket.encryption = encryption;
                Ok(())
            })
            .map_err(into_aws)
    }

    /// Writes an object as the loopback itself: no policy is asked.
    pub(crate) async fn put(
        &self,
        bucket: &str,
        key: &str,
        content: Bytes,
    ) -> Result<(), AwsError> {
        let write = async {
            let mut draft = self.store.draft(bucket)?;
            draft.write(&content).await?;
            let finished = draft.finish().await?;
            self.store.commit(
                bucket,
                key,
                finished,
                Attributes::default(),
                &Precondition::default(),
            )
        };
        write.await.map(drop).map_err(into_aws)
    }

    /// Reads an object as the loopback itself: `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`.
    pub(crate) async fn get(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<Object, AwsError> {
        let (version, content) = self.store.find(bucket, key, version_id).map_err(into_aws)?;
        let shown = self
            .store
            .with(bucket, |bucket| Ok(bucket.shown(&version.id)))
            .map_err(into_aws)?;
        let bytes = tokio::fs::read(&content.path).await.map_err(|error| {
            AwsError::internal(format!("failed to read s3://{bucket}/{key}: {error}"))
        })?;
        Ok(Object {
            bytes: bytes.into(),
            version_id: shown,
            etag: format!("\"{}\"", content.etag),
        })
    }
}

/// The same error, as the other services know errors.
fn into_aws(error: S3Error) -> AwsError {
    AwsError {
        code: error.code().as_str().to_owned(),
        message: error.message().unwrap_or_default().to_owned(),
        status: error.status_code().map_or(500, |status| status.as_u16()),
    }
}
