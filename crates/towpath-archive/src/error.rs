//! Everything that can go wrong between an archive and a tree.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::content::Content;

/// Why an archive could not be unpacked, or a tree not be packed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no zip archive.
    #[error("{archive} is not a zip archive: it is {content}")]
    NotZip {
        /// Where it came from.
        archive: String,
        /// What it is.
        content: Content,
    },
    /// The archive is broken, hostile or beyond the limits; nothing of it was kept.
    #[error("refused {archive}: {}{refusal}", subject(.entry.as_deref()))]
    Refused {
        /// Where it came from.
        archive: String,
        /// The entry's name as the archive has it, escaped for showing.
        entry: Option<String>,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The archive has no such file.
    #[error("{archive} has no file `{path}`{}", listing(.present))]
    NoSuchFile {
        /// Where it came from.
        archive: String,
        /// The file asked for.
        path: String,
        /// Some files that it has, the likeliest first.
        present: Vec<String>,
    },
    /// The archive's files come to more than the file system has room for; nothing was unpacked.
    #[error("{archive} unpacks to {}, and there are {} free in {}", size(*.bytes), size(*.free), .directory.display())]
    TooLittleSpace {
        /// Where it came from.
        archive: String,
        /// Of all its files together.
        bytes: u64,
        /// What the file system has.
        free: u64,
        /// Where it was to be unpacked.
        directory: PathBuf,
    },
    /// The file system is full.
    #[error("no space left in {} while {doing}", .directory.display())]
    NoSpace {
        /// Where there is no space.
        directory: PathBuf,
        /// What was being done, such as "unpacking `node_modules/a/b.js`".
        doing: String,
    },
    /// Something in the directory cannot be put in an archive that can be read again.
    #[error("cannot pack {}: {reason}", .path.display())]
    Unpackable {
        /// The file, link or directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file system operation failed.
    #[error("failed to {doing} {}", .path.display())]
    Io {
        /// A verb, such as `create`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is wrong with an archive or with one entry of it. Each reads on from its subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `..` in the name.
    #[error("climbs with `..`")]
    Traversal,
    /// A name from the root of a file system.
    #[error("is an absolute path")]
    Absolute,
    /// A name with another system's separator.
    #[error("has a backslash in its name; names are separated by `/`")]
    Backslash,
    /// A name cut short by a NUL.
    #[error("has a NUL byte in its name")]
    Nul,
    /// A name of nothing.
    #[error("has an empty name")]
    EmptyName,
    /// A name that no file system takes.
    #[error("has a name of {bytes} bytes; at most {limit} are possible")]
    LongName {
        /// Of the name or of one part of it.
        bytes: usize,
        /// The limit that applies.
        limit: usize,
    },
    /// A name of more parts than anybody can look into at once.
    #[error("lies {parts} directories deep; at most {limit} are possible")]
    Deep {
        /// Of the name.
        parts: usize,
        /// Allowed.
        limit: usize,
    },
    /// A link out of the tree.
    #[error("is a link that leaves the tree, to `{target}`")]
    LinkLeaves {
        /// Where it points.
        target: String,
    },
    /// A link whose target is no path.
    #[error("is a link whose target is no path")]
    LinkTarget,
    /// Links whose targets take too much memory.
    #[error("has links to {bytes} bytes of targets or more; at most {limit} are kept")]
    LinkTargets {
        /// As far as counted.
        bytes: u64,
        /// Allowed.
        limit: u64,
    },
    /// An entry beneath a link.
    #[error("would be written through the link `{link}`")]
    ThroughLink {
        /// The link.
        link: String,
    },
    /// The same name twice.
    #[error("is there twice")]
    Duplicate,
    /// A file that others lie under.
    #[error("is a file, but other entries lie in it as in a directory")]
    FileAndDirectory,
    /// Not equal, but equal to this file system.
    #[error("has the same name as another entry on this file system, which ignores case")]
    FoldedDuplicate,
    /// Neither file nor directory nor link.
    #[error("is a {kind}; only files, directories and links are unpacked")]
    SpecialFile {
        /// Such as "device".
        kind: &'static str,
    },
    /// Encrypted.
    #[error("is encrypted")]
    Encrypted,
    /// Neither stored nor deflated.
    #[error("is compressed by method {method}; only stored and deflated entries are read")]
    Method {
        /// The method's number, and name if it is a common one.
        method: String,
    },
    /// More entries than allowed.
    #[error("has {entries} entries; at most {limit} are allowed")]
    Entries {
        /// As the archive says.
        entries: u64,
        /// Allowed.
        limit: u64,
    },
    /// More bytes than allowed.
    #[error("unpacks to {bytes} bytes or more; at most {limit} are allowed")]
    Bytes {
        /// As far as counted.
        bytes: u64,
        /// Allowed.
        limit: u64,
    },
    /// Inflates too much.
    #[error("inflates {compressed} bytes to {bytes}; at most {limit} times is allowed")]
    Ratio {
        /// In the archive.
        compressed: u64,
        /// Unpacked.
        bytes: u64,
        /// Allowed.
        limit: u64,
    },
    /// Two entries share bytes of the archive.
    #[error("shares its bytes with `{other}`")]
    Overlap {
        /// The other entry.
        other: String,
    },
    /// A name that is not what the archive says it is written in.
    #[error("has a name that is not UTF-8, though it is marked as that")]
    NameNotUtf8,
    /// A central directory too large to be read into memory.
    #[error("has a central directory of {bytes} bytes; at most {limit} are read")]
    CentralDirectory {
        /// Its size.
        bytes: u64,
        /// Allowed.
        limit: u64,
    },
    /// Broken.
    #[error("is corrupt: {detail}")]
    Corrupt {
        /// How.
        detail: String,
    },
}

impl ArchiveError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotZip { content, .. } => not_zip_hint(*content),
            Self::NoSpace { .. } | Self::TooLittleSpace { .. } => {
                "raise the function's EphemeralStorage (at most 10,240 MB)"
            }
            Self::Refused { refusal, .. } => refusal.hint(),
            Self::Io { source, .. } if is_out_of_files(source) => {
                "too many files are open at once: look for what keeps them open (`ulimit -n` is the limit; \
                 Lambda's is 1,024)"
            }
            Self::NoSuchFile { .. } | Self::Unpackable { .. } | Self::Io { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The same error about an archive with this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        if let Self::Refused { archive, .. }
        | Self::NotZip { archive, .. }
        | Self::NoSuchFile { archive, .. }
        | Self::TooLittleSpace { archive, .. } = &mut self
        {
            name.clone_into(archive);
        }
        self
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self::Refused {
            archive: NAMELESS.to_owned(),
            entry: None,
            refusal,
        }
    }

    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::refused(Refusal::corrupt(detail))
    }

    pub(crate) fn entry(name: &str, refusal: Refusal) -> Self {
        Self::Refused {
            archive: NAMELESS.to_owned(),
            entry: Some(shown(name)),
            refusal,
        }
    }

    /// An I/O error, or, where that is what it means, that there is no space left.
    pub fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::NoSpace {
                directory: path.parent().unwrap_or(path).to_owned(),
                doing: format!("trying to {doing} {}", path.display()),
            };
        }
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

impl Refusal {
    pub(crate) fn corrupt(detail: impl Into<String>) -> Self {
        Self::Corrupt {
            detail: detail.into(),
        }
    }

    /// What to do about it.
    fn hint(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } | Self::Overlap { .. } => {
                "have the action that made the artifact run again"
            }
            Self::LinkLeaves { .. } | Self::LinkTarget | Self::ThroughLink { .. } => {
                "replace the link by the file, or by a relative link inside the tree"
            }
            Self::Method { .. } => "make the archive with the default method, deflate",
            Self::Encrypted => "make the archive without a password",
            Self::Traversal
            | Self::Absolute
            | Self::Backslash
            | Self::Nul
            | Self::EmptyName
            | Self::LongName { .. }
            | Self::Deep { .. }
            | Self::Duplicate
            | Self::FileAndDirectory
            | Self::FoldedDuplicate
            | Self::NameNotUtf8
            | Self::SpecialFile { .. } => {
                "make the archive anew, from inside the directory, as `zip -r ../source.zip .` does; if nobody here made it, find out who did"
            }
            Self::Entries { .. }
            | Self::Bytes { .. }
            | Self::Ratio { .. }
            | Self::LinkTargets { .. }
            | Self::CentralDirectory { .. } => {
                "leave data and build products out of the archive; if nobody here made it, find out who did"
            }
        }
    }
}

/// So many bytes, as people say it: `9.1 GB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// What an archive is called as long as nobody has said where it came from.
pub(crate) const NAMELESS: &str = "the archive";

/// Whether an error means that the file system, or the user's share of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether an error means that the process, or the system, may open no more files.
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// A name as it can be shown: escaped, and not endless.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 200;
    let mut escaped: String = name.escape_debug().collect();
    if escaped.len() > LONGEST {
        let cut = (0..=LONGEST).rev().find(|at| escaped.is_char_boundary(*at));
        escaped.truncate(cut.unwrap_or(0));
        escaped.push('…');
    }
    escaped
}

fn subject(entry: Option<&str>) -> String {
    entry.map_or_else(|| "it ".to_owned(), |entry| format!("entry `{entry}` "))
}

fn listing(present: &[String]) -> String {
    if present.is_empty() {
        return "; it is empty".to_owned();
    }
    format!("; it has {}", present.join(", "))
}

fn not_zip_hint(content: Content) -> &'static str {
    match content {
        Content::CloneReference => {
            "set OutputArtifactFormat of the source action to CODE_ZIP; only CodeBuild can read \
             CODEBUILD_CLONE_REF"
        }
        Content::Gzip | Content::Tar | Content::Other(_) | Content::SplitZip => {
            "pack the artifact as one zip archive; no other kind passes between actions"
        }
        Content::Empty => "the action that made the artifact wrote nothing; look at its log",
        Content::Markup => "the document may be an error page; look at the object in S3",
        Content::Zip | Content::Json | Content::Text | Content::Unknown => {
            "an S3 source must name a zip archive; to pass a single file on, put it in one"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_would_flood_the_message_is_cut_and_escaped() {
        let name = format!("a\n{}", "é".repeat(500));
        let shown = shown(&name);
        assert!(shown.starts_with("a\\né"), "{shown}");
        assert!(shown.ends_with('…') && shown.len() < 210, "{shown}");
    }

    #[test]
    fn a_machine_without_room_is_told_from_other_errors() {
        for (error, hint) in [
            (io::ErrorKind::StorageFull.into(), Some("EphemeralStorage")),
            (
                io::ErrorKind::QuotaExceeded.into(),
                Some("EphemeralStorage"),
            ),
            (Errno::MFILE.into(), Some("ulimit -n")),
            (io::ErrorKind::PermissionDenied.into(), None),
        ] {
            let error = ArchiveError::io("create", Path::new("/tmp/job/a"), error);
            let said = error.hint();
            assert_eq!(said.is_some(), hint.is_some(), "{error}");
            assert!(
                said.unwrap_or_default().contains(hint.unwrap_or_default()),
                "{error}"
            );
        }
    }
}
