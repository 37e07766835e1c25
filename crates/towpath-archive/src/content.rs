//! What a file is, told by how it begins. Not by its name: an artifact's key has no extension.

use std::fmt;

/// How many bytes from the beginning are worth looking at: a tar archive says so at byte 257.
pub const HEAD: usize = 4096;

/// What a file that should have been a zip archive turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A zip archive, as wanted.
    Zip,
    /// A zip archive cut in volumes.
    SplitZip,
    /// No bytes at all.
    Empty,
    /// gzip, most often a `.tar.gz` or `.tgz`.
    Gzip,
    /// A tar archive without compression.
    Tar,
    /// Another archive or compression, by name.
    Other(&'static str),
    /// What a connection source gives with the output format `CODEBUILD_CLONE_REF`: a reference
    /// to the repository instead of its files.
    CloneReference,
    /// Some other JSON document.
    Json,
    /// An XML or HTML document: most often the error page of a proxy.
    Markup,
    /// Other text.
    Text,
    /// Bytes that mean nothing here.
    Unknown,
}

impl Content {
    /// Judges the first [`HEAD`] bytes of a file.
    pub fn of(head: &[u8]) -> Self {
        const MAGIC: [(&[u8], Content); 10] = [
            (b"PK\x03\x04", Content::Zip),
            (b"PK\x05\x06", Content::Zip),
            (b"PK\x07\x08", Content::SplitZip),
            (b"\x1f\x8b", Content::Gzip),
            (b"BZh", Content::Other("bzip2")),
            (b"\xfd7zXZ\0", Content::Other("xz")),
            (b"\x28\xb5\x2f\xfd", Content::Other("zstd")),
            (b"7z\xbc\xaf\x27\x1c", Content::Other("7z")),
            (b"Rar!\x1a\x07", Content::Other("rar")),
            (b"\x7fELF", Content::Other("an executable")),
        ];
        if head.is_empty() {
            return Self::Empty;
        }
        if let Some((_, content)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
            return *content;
        }
        if head.get(257..262) == Some(b"ustar") {
            return Self::Tar;
        }
        if head.contains(&0) {
            return Self::Unknown;
        }
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with(['{', '[']) {
            return if is_clone_reference(text) {
                Self::CloneReference
            } else {
                Self::Json
            };
        }
        if text.starts_with('<') {
            return Self::Markup;
        }
        // One character cut in half at the end of the head does not make a text binary.
        match std::str::from_utf8(head) {
            Ok(_) => Self::Text,
            Err(error) if error.error_len().is_none() => Self::Text,
            Err(_) => Self::Unknown,
        }
    }
}

/// The reference is documented only as "a JSON file with a URL reference", so no exact member is
/// asked for: an object near the beginning that speaks of a clone or of a repository and a commit.
fn is_clone_reference(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.starts_with('{')
        && (text.contains("clone") || text.contains("connectionarn") || text.contains("repository"))
        && ["url", "commit", "branch", "repository", "connection"]
            .iter()
            .filter(|word| text.contains(**word))
            .count()
            >= 2
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zip => "a zip archive",
            Self::SplitZip => "one volume of a split zip archive",
            Self::Empty => "empty",
            Self::Gzip => "gzip data, as of a .tar.gz",
            Self::Tar => "a tar archive",
            Self::Other(name) => name,
            Self::CloneReference => {
                "a reference to a repository (CODEBUILD_CLONE_REF), not its files"
            }
            Self::Json => "a plain JSON document",
            Self::Markup => "an XML or HTML document",
            Self::Text => "a plain text file",
            Self::Unknown => "data of an unknown kind",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_how_it_begins() {
        let mut tar = vec![0; 512];
        tar[0] = b'a';
        tar[257..262].copy_from_slice(b"ustar");
        let clone = br#"{"cloneUrl":"https://example.com/a/b.git","commitId":"abc"}"#;
        let cases: [(&[u8], Content); 16] = [
            (b"PK\x03\x04rest", Content::Zip),
            (b"PK\x05\x06\0\0", Content::Zip),
            (b"PK\x07\x08PK\x03\x04", Content::SplitZip),
            (b"", Content::Empty),
            (b"\x1f\x8b\x08\0", Content::Gzip),
            (&tar, Content::Tar),
            (b"BZh91AY", Content::Other("bzip2")),
            (b"\x28\xb5\x2f\xfd\x04", Content::Other("zstd")),
            (clone, Content::CloneReference),
            (
                br#"{"FullRepositoryId":"a/b","ConnectionArn":"arn"}"#,
                Content::CloneReference,
            ),
            (br#"{"name":"hello"}"#, Content::Json),
            (b"  [1, 2]", Content::Json),
            (b"<?xml version=\"1.0\"?><Error/>", Content::Markup),
            (b"just words\n", Content::Text),
            (
                "gr\u{fc}\u{df}e".as_bytes().get(..3).unwrap(),
                Content::Text,
            ),
            (b"\x00\x01\x02", Content::Unknown),
        ];
        for (head, expected) in cases {
            assert_eq!(Content::of(head), expected, "{:?}", head.escape_ascii());
        }
    }
}
