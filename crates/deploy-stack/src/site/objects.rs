//! The bucket's side of a site.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ObjectIdentifier;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::SiteError;
use super::plan::File;
use crate::{DeployError, Pace, bucket};

/// The object's metadata that says what was put, and that it was us.
const DIGEST: &str = "towpath-digest";

/// How many requests are under way at once.
const AT_ONCE: usize = 8;

/// What has been done, over all steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Files that were sent.
    pub sent: u64,
    /// Files that were there already.
    pub same: u64,
    /// Files of an earlier site that were taken away.
    pub removed: u64,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// All is there, and nothing else that was ours.
    Wholly,
    /// The time was up.
    Partly,
}

/// A bucket that a site is put into.
#[derive(Debug)]
pub struct Bucket {
    s3: Client,
    pub(crate) name: String,
    pace: Pace,
}

enum Sent {
    Yes,
    Same,
    NoTime,
}

impl Bucket {
    /// The bucket of this name, and how long it is worked on.
    pub fn new(s3: Client, name: String, pace: Pace) -> Self {
        Self { s3, name, pace }
    }

    /// Puts the files, which come in the order of their ranks, and takes away what is no longer
    /// among them.
    pub async fn fill(&self, files: &[File], counts: &mut Counts) -> Result<Put, DeployError> {
        let mut there = self.list().await?;
        counts.same = 0;
        for rank in files.chunk_by(|one, next| one.rank == next.rank) {
            let puts: Vec<_> = rank
                .iter()
                .map(|file| self.put(file, there.get(&file.key).copied()))
                .collect();
            let mut sent = stream::iter(puts).buffer_unordered(AT_ONCE);
            let mut late = false;
            while let Some(one) = sent.try_next().await? {
                match one {
                    Sent::Yes => counts.sent += 1,
                    Sent::Same => counts.same += 1,
                    Sent::NoTime => late = true,
                }
            }
            if late {
                return Ok(Put::Partly);
            }
        }
        // What an earlier step of ours has sent is the same by now.
        counts.same = (files.len() as u64).saturating_sub(counts.sent);
        for file in files {
            there.remove(&file.key);
        }
        self.remove(there.into_keys().collect(), counts).await
    }

    /// The keys there are, and the sizes.
    async fn list(&self) -> Result<BTreeMap<String, u64>, DeployError> {
        let mut pages = self
            .s3
            .list_objects_v2()
            .bucket(&self.name)
            .into_paginator()
            .send();
        let mut found = BTreeMap::new();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| bucket::failed("list what is in", &self.name, &error))?;
            for object in page.contents() {
                let size = object.size().and_then(|size| u64::try_from(size).ok());
                found.extend(object.key().map(str::to_owned).zip(size));
            }
        }
        Ok(found)
    }

    async fn put(&self, file: &File, there: Option<u64>) -> Result<Sent, DeployError> {
        if self.pace.is_over() {
            return Ok(Sent::NoTime);
        }
        let reading = Arc::new(file.clone());
        let (content, digest) = tokio::task::spawn_blocking(move || reading.digests())
            .await
            .map_err(|error| SiteError::Disk(std::io::Error::other(error)))?
            .map_err(SiteError::Disk)?;
        if there == Some(file.size) && self.digest(&file.key).await?.as_ref() == Some(&digest) {
            return Ok(Sent::Same);
        }
        let body = ByteStream::from_path(&file.path)
            .await
            .map_err(|error| SiteError::Disk(std::io::Error::other(error)))?;
        self.s3
            .put_object()
            .bucket(&self.name)
            .key(&file.key)
            .content_type(&file.content_type)
            .cache_control(&file.cache_control)
            .metadata(DIGEST, digest)
            .checksum_sha256(aws_smithy_types::base64::encode(content))
            .body(body)
            .send()
            .await
            .map_err(|error| bucket::failed("put a file into", &self.name, &error))?;
        self.pace.worked();
        Ok(Sent::Yes)
    }

    /// What we put under a key; nothing when it was somebody else, or nobody.
    async fn digest(&self, key: &str) -> Result<Option<String>, DeployError> {
        let answer = self.s3.head_object().bucket(&self.name).key(key).send();
        match answer.await {
            Ok(object) => Ok(object.metadata().and_then(|all| all.get(DIGEST)).cloned()),
            Err(error)
                if error.as_service_error().is_some_and(|error| {
                    error.is_not_found() || error.code() == Some("NoSuchKey")
                }) =>
            {
                Ok(None)
            }
            Err(error) => Err(bucket::failed("look at a file of", &self.name, &error)),
        }
    }

    /// Takes away those that we have put. What somebody else keeps in the bucket stays.
    async fn remove(&self, keys: Vec<String>, counts: &mut Counts) -> Result<Put, DeployError> {
        let batch = usize::try_from(bucket::BATCH).unwrap_or(1);
        for keys in keys.chunks(batch) {
            if self.pace.is_over() {
                return Ok(Put::Partly);
            }
            let looks: Vec<_> = keys.iter().map(|key| self.digest(key)).collect();
            // In the order of the keys.
            let found: Vec<Option<String>> =
                stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
            let ours: Vec<ObjectIdentifier> = keys
                .iter()
                .zip(found)
                .filter(|(_, digest)| digest.is_some())
                .filter_map(|(key, _)| ObjectIdentifier::builder().key(key).build().ok())
                .collect();
            let removed = ours.len() as u64;
            if removed > 0 {
                bucket::delete(&self.s3, &self.name, ours).await?;
                counts.removed += removed;
                self.pace.worked();
            }
        }
        Ok(Put::Wholly)
    }
}
