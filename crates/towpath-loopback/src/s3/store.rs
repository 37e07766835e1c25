//! Buckets, keys and versions: an index in memory over immutable files.
//!
//! Content is written beside its final place and renamed, so that a file that can be found is whole.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use s3s::dto::{Checksum, ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};
use serde_json::Value;
use uuid::Uuid;

use super::draft::{Draft, Finished, failed};
use super::multipart::Uploads;

/// How a bucket treats a second write to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Versioning {
    /// The older content is gone.
    #[default]
    Never,
    /// Every version is kept.
    Enabled,
    /// Older versions are kept; new ones replace the one whose id is `null`.
    Suspended,
}

/// What is kept about content beside its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) expires: Option<Timestamp>,
    pub(super) metadata: Option<HashMap<String, String>>,
    pub(super) website_redirect: Option<String>,
    pub(super) storage_class: Option<String>,
    /// `AES256`, `aws:kms`, … Recorded and told; nothing is encrypted.
    pub(super) encryption: Option<String>,
    pub(super) kms_key: Option<String>,
    pub(super) bucket_key: Option<bool>,
    pub(super) tags: Vec<(String, String)>,
}

/// The content of one version.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// Without quotation marks.
    pub(super) etag: String,
    pub(super) checksum: Checksum,
    pub(super) attributes: Attributes,
}

/// One version of a key; without content it is a delete marker.
#[derive(Debug, Clone)]
pub(super) struct Version {
    /// `null` when it was written without versioning.
    pub(super) id: String,
    pub(super) modified: SystemTime,
    pub(super) content: Option<Content>,
}

/// One bucket.
#[derive(Default)]
pub(super) struct Bucket {
    pub(super) created: Option<SystemTime>,
    pub(super) versioning: Versioning,
    /// Oldest version first; never an empty list.
    pub(super) keys: BTreeMap<String, Vec<Version>>,
    pub(super) policy: Option<Value>,
    /// Algorithm and key that content gets when the writer names none.
    pub(super) encryption: Option<(String, Option<String>)>,
    settings: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub(super) struct Committed {
    pub(super) version_id: Option<String>,
    pub(super) modified: SystemTime,
    pub(super) content: Content,
}

/// What a delete came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Deleted {
    /// A marker was made, or the version that is gone was one.
    pub(super) marker: bool,
    /// Of the marker, or of the version that is gone.
    pub(super) version_id: Option<String>,
}

/// What must hold of the present object before a write.
#[derive(Debug, Default)]
pub(super) struct Precondition<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
}

/// All buckets.
pub(crate) struct Store {
    root: PathBuf,
    sequence: AtomicU64,
    buckets: Mutex<BTreeMap<String, Bucket>>,
    pub(super) uploads: Uploads,
}

impl Store {
    /// An empty store; directories appear with the first bucket.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            sequence: AtomicU64::new(0),
            buckets: Mutex::default(),
            uploads: Uploads::default(),
        }
    }

    /// Runs `act` on every bucket.
    pub(super) fn with_all<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Bucket>) -> T) -> T {
        act(&mut self.buckets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `act` on one bucket.
    pub(super) fn with<T>(
        &self,
        bucket: &str,
        act: impl FnOnce(&mut Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        self.with_all(|buckets| match buckets.get_mut(bucket) {
            Some(found) => act(found),
            None => Err(no_such_bucket(bucket)),
        })
    }

    pub(super) fn create_bucket(&self, name: &str) -> S3Result<()> {
        self.with_all(|buckets| {
            if buckets.contains_key(name) {
                return Err(s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket `{name}` succeeded and you already own it."
                ));
            }
            std::fs::create_dir_all(self.root.join(name)).map_err(failed("create", name))?;
            buckets.insert(
                name.to_owned(),
                Bucket {
                    created: Some(SystemTime::now()),
                    ..Bucket::default()
                },
            );
            Ok(())
        })
    }

    pub(super) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        self.with_all(|buckets| {
            let bucket = buckets.get(name).ok_or_else(|| no_such_bucket(name))?;
            if !bucket.keys.is_empty() {
                return Err(s3_error!(
                    BucketNotEmpty,
                    "The bucket you tried to delete is not empty{}",
                    if bucket.versioning == Versioning::Never {
                        ""
                    } else {
                        ". You must delete all versions in the bucket."
                    }
                ));
            }
            buckets.remove(name);
            Ok(())
        })?;
        self.uploads.abort_all(name);
        match std::fs::remove_dir_all(self.root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("delete", name)(error))
            }
            _ => Ok(()),
        }
    }

    /// A setting that is kept for whoever asks, one of each type.
    pub(super) fn set<T: Send + Sync + 'static>(
        &self,
        bucket: &str,
        setting: Option<T>,
    ) -> S3Result<()> {
        self.with(bucket, |bucket| {
            match setting {
                Some(setting) => bucket.settings.insert(TypeId::of::<T>(), Arc::new(setting)),
                None => bucket.settings.remove(&TypeId::of::<T>()),
            };
            Ok(())
        })
    }

    /// The setting of that type.
    pub(super) fn setting<T: Clone + Send + Sync + 'static>(
        &self,
        bucket: &str,
    ) -> S3Result<Option<T>> {
        self.with(bucket, |bucket| {
            Ok(bucket
                .settings
                .get(&TypeId::of::<T>())
                .and_then(|setting| setting.downcast_ref::<T>())
                .cloned())
        })
    }

    /// The version a reader means, which has content.
    pub(super) fn find(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(Version, Content)> {
        self.with(bucket, |bucket| {
            let versions = bucket.keys.get(key).map_or(&[][..], Vec::as_slice);
            let version = match version_id {
                None => versions.last().ok_or_else(|| no_such_key(key))?,
                Some(id) => versions
                    .iter()
                    .rfind(|version| version.id == id)
                    .ok_or_else(|| no_such_version(key, id))?,
            };
            match &version.content {
                Some(content) => Ok((version.clone(), content.clone())),
                None => Err(is_delete_marker(key, version, version_id.is_some())),
            }
        })
    }

    /// A place to write new content for a bucket that exists.
    pub(super) fn draft(&self, bucket: &str) -> S3Result<Draft> {
        self.with(bucket, |_| Ok(()))?;
        Draft::create(&self.root.join(bucket))
    }

    /// Makes finished content the newest version of a key.
    pub(super) fn commit(
        &self,
        bucket: &str,
        key: &str,
        finished: Finished,
        mut attributes: Attributes,
        precondition: &Precondition<'_>,
    ) -> S3Result<Committed> {
        let path = self.name(bucket, key);
        self.with(bucket, |bucket| {
            let present = bucket
                .keys
                .get(key)
                .and_then(|versions| versions.last())
                .and_then(|version| version.content.as_ref());
            check_precondition(present, precondition)?;
            if attributes.encryption.is_none() {
                let (algorithm, kms_key) = bucket
                    .encryption
                    .clone()
                    .unwrap_or_else(|| ("AES256".to_owned(), None));
                attributes.encryption = Some(algorithm);
                attributes.kms_key = kms_key;
            }
            finished
                .temporary
                .persist(&path)
                .map_err(|error| failed("write", key)(error.error))?;
            let content = Content {
                path,
                size: finished.size,
                etag: finished.etag,
                checksum: finished.checksum,
                attributes,
            };
            let version = Version {
                id: bucket.next_version_id(),
                modified: SystemTime::now(),
                content: Some(content.clone()),
            };
            let committed = Committed {
                version_id: bucket.shown(&version.id),
                modified: version.modified,
                content,
            };
            bucket.push(key, version);
            Ok(committed)
        })
    }

    /// Deletes a version, or as the bucket's versioning says.
    pub(super) fn delete(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
        if_match: Option<&ETagCondition>,
    ) -> S3Result<Deleted> {
        self.with(bucket, |bucket| {
            if if_match.is_some() {
                let present = bucket
                    .keys
                    .get(key)
                    .and_then(|versions| versions.last())
                    .and_then(|version| version.content.as_ref());
                let precondition = Precondition {
                    if_match,
                    ..Precondition::default()
                };
                check_precondition(present, &precondition)?;
            }
            if let Some(id) = version_id {
                return Ok(bucket.remove_version(key, id));
            }
            if bucket.versioning == Versioning::Never {
                for version in bucket.keys.remove(key).unwrap_or_default() {
                    discard(&version);
                }
                return Ok(Deleted::default());
            }
            let marker = Version {
                id: bucket.next_version_id(),
                modified: SystemTime::now(),
                content: None,
            };
            let deleted = Deleted {
                marker: true,
                version_id: Some(marker.id.clone()),
            };
            bucket.push(key, marker);
            Ok(deleted)
        })
    }

    /// A fresh file name that a person recognises.
    fn name(&self, bucket: &str, key: &str) -> PathBuf {
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        let last: String = key
            .rsplit('/')
            .find(|segment| !segment.is_empty())
            .unwrap_or("object")
            .chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
                _ => '_',
            })
            .collect();
        let tail = &last[last.len().saturating_sub(100)..];
        self.root.join(bucket).join(format!("{number:06}-{tail}"))
    }
}

impl Bucket {
    /// The id as clients see it: a bucket that never had versioning shows none.
    pub(super) fn shown(&self, id: &str) -> Option<String> {
        (self.versioning != Versioning::Never).then(|| id.to_owned())
    }

    fn next_version_id(&self) -> String {
        match self.versioning {
            Versioning::Enabled => Uuid::new_v4().simple().to_string(),
            Versioning::Never | Versioning::Suspended => "null".to_owned(),
        }
    }

    fn push(&mut self, key: &str, version: Version) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        if version.id == "null" {
            for replaced in versions.extract_if(.., |old| old.id == "null") {
                discard(&replaced);
            }
        }
        versions.push(version);
    }

    fn remove_version(&mut self, key: &str, id: &str) -> Deleted {
        let Some(versions) = self.keys.get_mut(key) else {
            return Deleted {
                marker: false,
                version_id: Some(id.to_owned()),
            };
        };
        let mut marker = false;
        for removed in versions.extract_if(.., |version| version.id == id) {
            marker = removed.content.is_none();
            discard(&removed);
        }
        if versions.is_empty() {
            self.keys.remove(key);
        }
        Deleted {
            marker,
            version_id: Some(id.to_owned()),
        }
    }
}

fn check_precondition(present: Option<&Content>, precondition: &Precondition<'_>) -> S3Result<()> {
    let failed = |condition: &str| {
        s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold: {condition}"
        )
    };
    let equals = |condition: &ETagCondition, content: &Content| {
        condition.is_any()
            || condition
                .as_etag()
                .and_then(ETag::as_strong)
                .is_some_and(|etag| etag == content.etag)
    };
    if let Some(condition) = precondition.if_match {
        match present {
            None => return Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            Some(content) if !equals(condition, content) => return Err(failed("If-Match")),
            Some(_) => {}
        }
    }
    if let (Some(condition), Some(content)) = (precondition.if_none_match, present)
        && equals(condition, content)
    {
        return Err(failed("If-None-Match"));
    }
    Ok(())
}

fn discard(version: &Version) {
    if let Some(content) = &version.content
        && let Err(error) = std::fs::remove_file(&content.path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %content.path.display(), %error, "failed to delete an object's file");
    }
}

fn no_such_bucket(bucket: &str) -> S3Error {
    s3_error!(
        NoSuchBucket,
        "The specified bucket does not exist: `{bucket}`"
    )
}

fn no_such_key(key: &str) -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist: `{key}`")
}

fn no_such_version(key: &str, id: &str) -> S3Error {
    s3_error!(
        NoSuchVersion,
        "The specified version does not exist: `{id}` of `{key}`"
    )
}

/// A delete marker read by its id is refused; read as the newest version, the key is gone.
fn is_delete_marker(key: &str, version: &Version, by_id: bool) -> S3Error {
    let mut error = if by_id {
        s3_error!(
            MethodNotAllowed,
            "The specified method is not allowed against this resource."
        )
    } else {
        no_such_key(key)
    };
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "x-amz-delete-marker",
        http::HeaderValue::from_static("true"),
    );
    if let Ok(id) = version.id.parse() {
        headers.insert("x-amz-version-id", id);
    }
    error.set_headers(headers);
    error
}
