//! Everything that can go wrong with an artifact, and whose doing it is.

use std::io;
use std::path::Path;

use towpath_archive::{ArchiveError, Content};

/// Why an artifact could not be fetched, unpacked, packed or published.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The archive, the tree or the file system.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// S3 or KMS refused the credentials.
    #[error("not allowed to {doing} {location}: {detail}")]
    Denied {
        /// `read` or `write`.
        doing: &'static str,
        /// `s3://bucket/key`.
        location: String,
        /// The service's code and message.
        detail: String,
        /// Which permissions to check, on what.
        check: String,
    },
    /// There is no such object, or no such bucket.
    #[error("{location} does not exist: {detail}")]
    Missing {
        /// `s3://bucket/key`.
        location: String,
        /// The service's code and message.
        detail: String,
    },
    /// The object became another one while it was being read.
    #[error("{location} was replaced while it was being read")]
    Replaced {
        /// `s3://bucket/key`.
        location: String,
    },
    /// The object has not the content that it should have.
    #[error("{location} is not what it says it is: its SHA-256 is {found} and not {expected}")]
    Digest {
        /// `s3://bucket/key`.
        location: String,
        /// The digest that it should have.
        expected: String,
        /// The digest of its content.
        found: String,
    },
    /// What was to be stored became something else while it was being stored.
    #[error("{what} was changed by another process while it was being packed")]
    Changed {
        /// A directory or a file.
        what: String,
    },
    /// S3 did not answer, or with an error of its own, also when asked again.
    #[error("failed to {doing} {location}: {detail}")]
    Service {
        /// `read` or `write`.
        doing: &'static str,
        /// `s3://bucket/key`.
        location: String,
        /// What the last attempt said.
        detail: String,
    },
    /// Two layers do not fit: one has a directory where another has a file.
    #[error("cannot lay {archive} over the files that are there: {reason}")]
    Overlay {
        /// The upper layer.
        archive: String,
        /// What does not fit.
        reason: String,
    },
    /// The object is larger than S3 takes.
    #[error("{location} would be more than {parts} parts of {part} bytes, the most that S3 takes")]
    TooLarge {
        /// `s3://bucket/key`.
        location: String,
        /// How many parts an upload may have.
        parts: i32,
        /// How large each is here.
        part: usize,
    },
    /// Nobody waits for it any more.
    #[error("given up")]
    GivenUp,
}

/// Whose doing an error is. Callers map this outward in one match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// A role, a bucket policy or a key policy.
    Permission,
    /// The artifact that another action made, or should have made.
    Content,
    /// The pipeline's definition: the artifact is of a kind that no action here can read.
    Definition,
    /// The revision is gone.
    Revision,
    /// The project's own files.
    Project,
    /// The space that the function has been given.
    Space,
    /// This machine or S3; likely to pass by itself.
    Service,
}

impl ArtifactError {
    /// Whose doing this is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Archive(error) => match error {
                ArchiveError::NotZip {
                    content: Content::CloneReference,
                    ..
                }
                | ArchiveError::NoSuchFile { .. } => Blame::Definition,
                ArchiveError::NotZip { .. } | ArchiveError::Refused { .. } => Blame::Content,
                ArchiveError::NoSpace { .. } | ArchiveError::TooLittleSpace { .. } => Blame::Space,
                ArchiveError::Unpackable { .. } => Blame::Project,
                ArchiveError::Io { .. } => Blame::Service,
            },
            Self::Denied { .. } => Blame::Permission,
            Self::Missing { .. } | Self::Replaced { .. } => Blame::Revision,
            Self::Overlay { .. } | Self::Digest { .. } => Blame::Content,
            Self::TooLarge { .. } | Self::Changed { .. } => Blame::Project,
            Self::Service { .. } | Self::GivenUp => Blame::Service,
        }
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Archive(error) => return error.hint(),
            Self::Denied { check, .. } => check,
            Self::Missing { .. } => {
                "the artifact may have expired with the bucket's lifecycle rule; start a new \
                 execution so that it is made again"
            }
            Self::Replaced { .. } => {
                "find out who writes to this key while the pipeline runs; then start a new execution"
            }
            Self::Digest { .. } => {
                "delete the object, so that it is made again, and find out who has written to its key"
            }
            Self::Changed { .. } => {
                "a task must not leave processes behind that go on writing; run it again"
            }
            Self::TooLarge { .. } => "leave out what later actions do not need",
            Self::Service { .. } | Self::Overlay { .. } | Self::GivenUp => return None,
        };
        Some(hint.to_owned())
    }

    /// The same error about an archive with this name.
    pub(crate) fn named(self, name: &str) -> Self {
        match self {
            Self::Archive(error) => Self::Archive(error.named(name)),
            Self::Overlay { reason, .. } => Self::Overlay {
                archive: name.to_owned(),
                reason,
            },
            other => other,
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        ArchiveError::io(doing, path, source).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_errors() {
        for (kind, blame) in [
            (io::ErrorKind::StorageFull, Blame::Space),
            (io::ErrorKind::QuotaExceeded, Blame::Space),
            (io::ErrorKind::PermissionDenied, Blame::Service),
            (io::ErrorKind::Other, Blame::Service),
        ] {
            let error = ArtifactError::io("create", Path::new("/tmp/job/a"), kind.into());
            assert_eq!(error.blame(), blame, "{kind:?}");
        }
    }
}
