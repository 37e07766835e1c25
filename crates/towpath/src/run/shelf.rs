//! The pipeline's cache from one run to the next: a loopback begins empty, so what lay in its cache bucket is kept in
//! `.towpath/cache` and put there again.
//!
//! The bucket is the one that the stack's output `CacheBucketName` names. A run does not depend on any of this: what
//! cannot be kept is installed again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, anyhow};
use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_s3::Client as S3;
use aws_sdk_s3::primitives::ByteStream;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use towpath_aws::SdkConfig;

use crate::run::provision::STACK;

/// The stack's output that names the bucket.
const OUTPUT: &str = "CacheBucketName";
/// How many entries are kept, the newest ones.
const KEPT: usize = 10;

/// An object as it is kept beside its content.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    key: String,
    bytes: u64,
    metadata: BTreeMap<String, String>,
}

/// Where entries are kept, and the bucket that they are for.
pub(crate) struct Shelf {
    store: S3,
    bucket: String,
    folder: PathBuf,
}

impl Shelf {
    /// The shelf for the deployed pipeline's cache; `None` if it has none.
    pub(crate) async fn of(config: &SdkConfig, folder: &Path) -> Option<Self> {
        let stacks = CloudFormation::new(config).describe_stacks();
        let answer = stacks.stack_name(STACK).send().await.ok()?;
        let output = answer
            .stacks()
            .first()?
            .outputs()
            .iter()
            .find(|output| output.output_key() == Some(OUTPUT))?;
        Some(Self {
            store: towpath_aws::s3(config),
            bucket: output.output_value()?.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// Puts what was kept into the bucket. Answers how many entries that were.
    pub(crate) async fn lay_out(&self) -> anyhow::Result<usize> {
        let mut count = 0;
        for (path, record) in self.records() {
            let content = path.with_extension("zip");
            let body = ByteStream::from_path(&content)
                .await
                .with_context(|| format!("failed to read {}", content.display()))?;
            let metadata: HashMap<String, String> = record.metadata.into_iter().collect();
            self.store
                .put_object()
                .bucket(&self.bucket)
                .key(&record.key)
                .set_metadata(Some(metadata))
                .body(body)
                .send()
                .await
                .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))?;
            count += 1;
        }
        Ok(count)
    }

    /// Keeps what is in the bucket now and was not kept yet.
    pub(crate) async fn take_in(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let listed = self
            .store
            .list_objects_v2()
            .bucket(&self.bucket)
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))?;
        for key in listed.contents().iter().filter_map(|object| object.key()) {
            self.keep(key).await?;
        }
        self.prune();
        Ok(())
    }

    async fn keep(&self, key: &str) -> anyhow::Result<()> {
        let head = self.store.head_object().bucket(&self.bucket).key(key);
        let head = head
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))?;
        let record = Record {
            key: key.to_owned(),
            bytes: head.content_length().unwrap_or_default().max(0) as u64,
            metadata: head.metadata.unwrap_or_default().into_iter().collect(),
        };
        let path = self
            .folder
            .join(hex::encode(Sha256::digest(key)))
            .with_extension("json");
        if read(&path).is_some_and(|kept| kept == record) {
            return Ok(());
        }
        let object = self.store.get_object().bucket(&self.bucket).key(key);
        let object = object
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))?;
        let content = tempfile::NamedTempFile::new_in(&self.folder)?;
        let mut file = tokio::fs::File::from_std(content.reopen()?);
        tokio::io::copy(&mut object.body.into_async_read(), &mut file).await?;
        tokio::io::AsyncWriteExt::flush(&mut file).await?;
        // The record last: content without one is not taken for an entry.
        let _ = std::fs::remove_file(&path);
        content.persist(path.with_extension("zip"))?;
        std::fs::write(&path, serde_json::to_vec(&record)?)?;
        Ok(())
    }

    /// Every record that can be read.
    fn records(&self) -> Vec<(PathBuf, Record)> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let paths = entries.flatten().map(|entry| entry.path());
        paths
            .filter_map(|path| Some((path.clone(), read(&path)?)))
            .collect()
    }

    /// Removes the oldest entries.
    fn prune(&self) {
        let age = |path: &Path| {
            let metadata = std::fs::metadata(path);
            metadata
                .and_then(|metadata| metadata.modified())
                .unwrap_or(SystemTime::UNIX_EPOCH)
        };
        let mut records = self.records();
        records.sort_by_key(|(path, _)| std::cmp::Reverse(age(path)));
        for (path, _) in records.into_iter().skip(KEPT) {
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_file(path.with_extension("zip"));
        }
    }
}

fn read(path: &Path) -> Option<Record> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;

    use super::*;

    #[test]
    fn only_the_newest_entries_are_kept_and_broken_records_are_none() {
        let folder = tempfile::tempdir().expect("a directory");
        let config = towpath_aws::fixed(
            "http://127.0.0.1:1",
            "us-east-1",
            Credentials::new("id", "secret", None, None, "test"),
        );
        let shelf = Shelf {
            store: towpath_aws::s3(&config),
            bucket: "cache".to_owned(),
            folder: folder.path().to_owned(),
        };
        for number in 0..KEPT + 3 {
            let record = Record {
                key: format!("key-{number}"),
                bytes: 1,
                metadata: BTreeMap::new(),
            };
            let path = folder.path().join(format!("{number}.json"));
            std::fs::write(&path, serde_json::to_vec(&record).expect("JSON")).expect("a file");
            std::fs::write(path.with_extension("zip"), "x").expect("a file");
            let file = std::fs::File::options().write(true).open(&path);
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            let file = file.expect("a file");
            file.set_modified(time).expect("a time");
        }
        std::fs::write(folder.path().join("broken.json"), "{").expect("a file");
        shelf.prune();
        let mut left: Vec<String> = shelf
            .records()
            .into_iter()
            .map(|(_, record)| record.key)
            .collect();
        left.sort();
        assert_eq!(left.len(), KEPT);
        assert!(!left.contains(&"key-0".to_owned()), "{left:?}");
        assert!(!folder.path().join("0.zip").exists());
    }
}
