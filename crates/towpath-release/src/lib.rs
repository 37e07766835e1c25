//! What a release is: what was packaged to be deployed together, under a name that follows from it.
//!
//! An [`Identity`] lists what is deployed and where it comes from, by digest. The release's id is
//! the SHA-256 of its canonical JSON (RFC 8785), so that two builds of one commit have one id, whatever
//! the bucket, unless they differ. A [`Release`] is the document beside the packaged template: the identity,
//! its id, and how it was [`Made`] and where it lies, which is not part of the id. [`Contents`] list the
//! files in its archives. [`diff`] says what differs between two. Pure: nothing is read or written here.

mod contents;
mod diff;

use std::collections::BTreeMap;
use std::fmt;

use canon_json::CanonicalFormatter;
use serde::{Deserialize, Serialize};
use serde_json::{Serializer, Value};
use sha2::{Digest, Sha256};

pub use contents::Contents;
pub use diff::{Difference, Known, diff};

/// The schema of the documents that are written here.
pub const SCHEMA: &str = "towpath.release/2";

/// Why a text is no release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Not JSON, or without what a release has.
    #[error("it is not a release's document")]
    Shape(#[source] serde_json::Error),
    /// Written by another version of Towpath, or something else altogether.
    #[error("its schema is `{found}`, and not `{known}`")]
    Schema {
        /// What it says.
        found: String,
        /// What can be read.
        known: &'static str,
    },
    /// It was changed after it had been written.
    #[error("it says that its id is {stated}, but what it lists has the id {computed}")]
    Id {
        /// What it says.
        stated: ReleaseId,
        /// What follows from its content.
        computed: ReleaseId,
    },
}

/// The SHA-256 of a release's identity, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseId(String);

impl ReleaseId {
    /// 64 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a release consists of: all that its id depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    schema: String,
    /// Where it comes from, as far as that is known.
    pub source: Origin,
    /// The packaged template, as it would be without a bucket: see [`Artifact`].
    pub template: File,
    /// The configurations beside the template, by path.
    pub configuration: Vec<File>,
    /// The packaged code and definitions, by template and place.
    pub artifacts: Vec<Artifact>,
}

/// The commit that a release was made of. What is not known is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Such as `owner/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// As the source action calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A file in the output artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// In the artifact.
    pub path: String,
    /// In lower-case hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl File {
    /// A file with this content.
    pub fn of(path: impl Into<String>, content: &[u8]) -> Self {
        Self {
            path: path.into(),
            sha256: hex::encode(Sha256::digest(content)),
            bytes: content.len() as u64,
        }
    }
}

/// Something packaged that a template refers to. A template that was packaged names a bucket, and has other bytes in
/// another one; what counts here, of nested templates too, is its text with [`BUCKET`] in that place, and keys that are
/// digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// The path of the template that refers to it.
    pub template: String,
    /// Where the template does, such as `Resources.Api.Properties.DefinitionUri`.
    pub place: String,
    /// In lower-case hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Stands for the release bucket in a template that a digest is taken of. No bucket can have this name.
pub const BUCKET: &str = "RELEASE_BUCKET";

/// Where an artifact lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// That of the [`Artifact`].
    pub template: String,
    /// That of the [`Artifact`].
    pub place: String,
    /// Its key in the release bucket.
    pub key: String,
    /// Its version, if it was stored by this build in a versioned bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of the object, in lower-case hexadecimal.
    pub sha256: String,
    /// The object's size.
    pub bytes: u64,
}

impl Identity {
    /// The order in which the parts are given does not matter.
    pub fn new(
        source: Origin,
        template: File,
        mut configuration: Vec<File>,
        mut artifacts: Vec<Artifact>,
    ) -> Self {
        configuration.sort_by(|a, b| a.path.cmp(&b.path));
        artifacts.sort_by(|a, b| (&a.template, &a.place).cmp(&(&b.template, &b.place)));
        Self {
            schema: SCHEMA.to_owned(),
            source,
            template,
            configuration,
            artifacts,
        }
    }

    /// The JSON that the id is the digest of: <https://www.rfc-editor.org/rfc/rfc8785>.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let formatter = CanonicalFormatter::new();
        self.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
            .expect("names, texts and sizes are JSON");
        bytes
    }

    /// The release's id.
    pub fn id(&self) -> ReleaseId {
        ReleaseId(hex::encode(Sha256::digest(self.canonical())))
    }

    /// Reads a [`Release`], whose id has to be that of its content, or an identity alone, which says nothing of its making.
    pub fn read(json: &[u8]) -> Result<(Self, Option<Made>), ReleaseError> {
        let value: Value = serde_json::from_slice(json).map_err(ReleaseError::Shape)?;
        let identity = value.get("identity").unwrap_or(&value);
        // Before all else: another schema has other fields.
        if let Some(found) = identity.get("schema").and_then(Value::as_str)
            && found != SCHEMA
        {
            return Err(ReleaseError::Schema {
                found: found.to_owned(),
                known: SCHEMA,
            });
        }
        let identity = Self::deserialize(identity).map_err(ReleaseError::Shape)?;
        let mut made = None;
        if value.get("identity").is_some() {
            let release = Release::deserialize(&value).map_err(ReleaseError::Shape)?;
            let computed = identity.id();
            if release.id != computed {
                return Err(ReleaseError::Id {
                    stated: release.id,
                    computed,
                });
            }
            made = Some(release.made);
        }
        Ok((identity, made))
    }
}

/// How a release was made. Nothing of it is part of the id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The program and its version.
    pub by: String,
    /// The pipeline execution that made it, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// The release bucket, if there was one: where the artifacts and the identity lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The packaged template as it is in the output artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<File>,
    /// Where the artifacts lie, in their order.
    #[serde(default)]
    pub objects: Vec<Object>,
    /// The versions of the tools that were at work, by name.
    #[serde(default)]
    pub tools: BTreeMap<String, String>,
    /// The tasks that have passed, in order.
    pub tasks: Vec<String>,
    /// What reports of tests and coverage came to, by the names of the action's variables.
    pub figures: BTreeMap<String, String>,
}

/// The document beside a packaged template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// That of the identity.
    pub id: ReleaseId,
    /// What it consists of.
    pub identity: Identity,
    /// How it was made.
    pub made: Made,
}

impl Release {
    /// Its id follows.
    pub fn new(identity: Identity, made: Made) -> Self {
        Self {
            id: identity.id(),
            identity,
            made,
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("names and texts are JSON");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests;
