//! Artifacts as a job names them: where they lie, and how a parameter points into one.

use std::fmt;
use std::str::FromStr;

use towpath_artifact::Location;

/// Where an artifact lies in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactLocation {
    /// The artifact bucket.
    pub bucket: String,
    /// The object's key: pipeline, artifact and a random part, all shortened.
    pub key: String,
}

/// An input or output artifact of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The name the pipeline gives it.
    pub name: String,
    /// The commit of a source artifact; nothing for the others.
    pub revision: Option<String>,
    /// Where to read it from, or to write it to.
    pub location: ArtifactLocation,
}

impl Artifact {
    /// Where it lies.
    pub(crate) fn place(&self) -> Location<'_> {
        Location {
            bucket: &self.location.bucket,
            key: &self.location.key,
        }
    }
}

/// The customer-managed key that the pipeline encrypts its artifacts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionKey {
    /// Key id or ARN.
    pub id: String,
}

/// A file inside an artifact, written `Artifact::path/in/it`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPath {
    /// The artifact's name.
    pub artifact: String,
    /// The file's path inside it: relative, `/`-separated, without `.` and `..`.
    pub path: String,
}

/// Why a value is not an [`ArtifactPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not of the form Artifact::path ({reason})")]
pub struct ArtifactPathError {
    value: String,
    reason: &'static str,
}

impl ArtifactPath {
    /// Whether a value has the form `Artifact::path`, as against a plain path.
    pub fn is_meant(value: &str) -> bool {
        value
            .split_once("::")
            .is_some_and(|(artifact, _)| is_artifact_name(artifact))
    }
}

impl FromStr for ArtifactPath {
    type Err = ArtifactPathError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| ArtifactPathError {
            value: value.to_owned(),
            reason,
        };
        let (artifact, path) = value
            .split_once("::")
            .ok_or_else(|| refuse("there is no `::`"))?;
        if !is_artifact_name(artifact) {
            return Err(refuse(
                "an artifact's name has letters, digits, `_` and `-` only",
            ));
        }
        if path.starts_with('/') {
            return Err(refuse("the path must be relative"));
        }
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty() && *segment != ".")
            .collect();
        if segments.is_empty() {
            return Err(refuse("the path is empty"));
        }
        if segments.contains(&"..") {
            return Err(refuse("the path leaves the artifact"));
        }
        Ok(Self {
            artifact: artifact.to_owned(),
            path: segments.join("/"),
        })
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}::{}", self.artifact, self.path)
    }
}

/// CodePipeline's pattern for an artifact's name.
fn is_artifact_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_by_table() {
        for (given, expected) in [
            ("Package::template.yaml", Ok(("Package", "template.yaml"))),
            ("Package::./infra//a.json", Ok(("Package", "infra/a.json"))),
            ("A::b::c", Ok(("A", "b::c"))),
            ("template.yaml", Err("no `::`")),
            ("::x", Err("letters, digits")),
            ("A b::x", Err("letters, digits")),
            ("A::", Err("empty")),
            ("A::.", Err("empty")),
            ("A::/etc/passwd", Err("relative")),
            ("A::../x", Err("leaves")),
            ("A::x/../../y", Err("leaves")),
        ] {
            match (given.parse::<ArtifactPath>(), expected) {
                (Ok(got), Ok((artifact, path))) => {
                    assert_eq!(
                        (got.artifact.as_str(), got.path.as_str()),
                        (artifact, path),
                        "{given}"
                    );
                }
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{given}: {error}");
                }
                (got, expected) => panic!("{given}: got {got:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_windows_drive_is_not_an_artifact() {
        assert!(ArtifactPath::is_meant("Package::a.yaml"));
        assert!(!ArtifactPath::is_meant("a.yaml"));
        assert!(!ArtifactPath::is_meant("./x::y"));
    }
}
