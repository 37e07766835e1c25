//! The files in a release's archives: what a digest of the whole cannot tell.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{File, ReleaseError};

/// The schema of the documents that are written here.
const SCHEMA: &str = "towpath.contents/1";

/// The files in each archive, by the archive's SHA-256. The same archives have the same contents, so the same release
/// has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    schema: String,
    /// In the order of the archive. Links and empty directories are left out.
    pub archives: BTreeMap<String, Vec<File>>,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            archives: BTreeMap::new(),
        }
    }
}

impl Contents {
    /// As it is stored: one file a line would be larger, and nobody reads it.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("names and digests are JSON")
    }

    /// Reads what [`Contents::text`] wrote.
    pub fn read(json: &[u8]) -> Result<Self, ReleaseError> {
        let read: Self = serde_json::from_slice(json).map_err(ReleaseError::Shape)?;
        if read.schema == SCHEMA {
            Ok(read)
        } else {
            Err(ReleaseError::Schema {
                found: read.schema,
                known: SCHEMA,
            })
        }
    }
}
