//! Uploads in parts: where the parts are until they are joined or thrown away.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use md5::{Digest, Md5};
use s3s::dto::CompletedPart;
use s3s::{S3Result, s3_error};
use tempfile::TempPath;
use uuid::Uuid;

use super::draft::Finished;
use super::store::Attributes;

/// The smallest part that may be followed by another.
const SMALLEST: u64 = 5 * 1024 * 1024;

/// One upload that is neither completed nor aborted.
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) started: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) parts: BTreeMap<i32, Part>,
}

/// One part. Dropped, its file goes.
pub(super) struct Part {
    pub(super) file: TempPath,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) md5: [u8; 16],
    pub(super) modified: SystemTime,
}

impl From<Finished> for Part {
    fn from(finished: Finished) -> Self {
        Self {
            file: finished.temporary,
            size: finished.size,
            etag: finished.etag,
            md5: finished.md5,
            modified: SystemTime::now(),
        }
    }
}

/// Every upload under way, by its id.
#[derive(Default)]
pub(super) struct Uploads(Mutex<BTreeMap<String, Upload>>);

impl Uploads {
    pub(super) fn begin(&self, bucket: &str, key: &str, attributes: Attributes) -> String {
        let id = Uuid::new_v4().simple().to_string();
        self.all(|uploads| {
            uploads.insert(
                id.clone(),
                Upload {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                    started: SystemTime::now(),
                    attributes,
                    parts: BTreeMap::new(),
                },
            )
        });
        id
    }

    /// Runs `act` on the upload of that id, bucket and key.
    pub(super) fn with<T>(
        &self,
        id: &str,
        bucket: &str,
        key: &str,
        act: impl FnOnce(&mut Upload) -> S3Result<T>,
    ) -> S3Result<T> {
        self.all(|uploads| match uploads.get_mut(id) {
            Some(upload) if upload.bucket == bucket && upload.key == key => act(upload),
            _ => Err(no_such_upload()),
        })
    }

    /// Takes the upload away, to be joined or thrown away.
    pub(super) fn take(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        self.with(id, bucket, key, |_| Ok(()))?;
        self.all(|uploads| uploads.remove(id))
            .ok_or_else(no_such_upload)
    }

    /// Puts an upload back that could not be joined.
    pub(super) fn restore(&self, id: &str, upload: Upload) {
        self.all(|uploads| uploads.insert(id.to_owned(), upload));
    }

    /// The encryption an upload was begun with.
    pub(super) fn encryption(&self, id: &str) -> Option<(String, Option<String>)> {
        self.all(|uploads| {
            let attributes = &uploads.get(id)?.attributes;
            Some((attributes.encryption.clone()?, attributes.kms_key.clone()))
        })
    }

    /// Throws away every upload to a bucket.
    pub(super) fn abort_all(&self, bucket: &str) {
        self.all(|uploads| uploads.retain(|_, upload| upload.bucket != bucket));
    }

    /// Runs `act` on all uploads.
    pub(super) fn all<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Upload>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The parts in the order they are to be joined, or why they cannot be.
pub(super) fn plan<'a>(upload: &'a Upload, wanted: &[CompletedPart]) -> S3Result<Vec<&'a Part>> {
    if wanted.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "You must specify at least one part"
        ));
    }
    let mut last = 0;
    let mut parts = Vec::with_capacity(wanted.len());
    for completed in wanted {
        let number = completed.part_number.unwrap_or(0);
        if number <= last {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. The parts list must be specified in order by part number."
            ));
        }
        last = number;
        let told = completed.e_tag.as_ref().map(s3s::dto::ETag::value);
        let part = upload
            .parts
            .get(&number)
            .filter(|part| told.is_none_or(|etag| etag == part.etag))
            .ok_or_else(|| {
                s3_error!(
                    InvalidPart,
                    "One or more of the specified parts could not be found. Part {number} may not have been uploaded, or its entity tag does not match."
                )
            })?;
        parts.push(part);
    }
    let followed = &parts[..parts.len() - 1];
    if let Some(small) = followed.iter().find(|part| part.size < SMALLEST) {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size: a part that is not the last has {} bytes",
            small.size
        ));
    }
    Ok(parts)
}

/// The entity tag of an object made of parts: the MD5 of their MD5s, and their number.
pub(super) fn etag(parts: &[&Part]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.md5);
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}
