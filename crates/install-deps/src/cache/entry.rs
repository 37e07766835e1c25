//! What the cache keeps beside an archive, and whether an object that lies there is what it should be.

use std::collections::HashMap;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use towpath_job::Found;

use super::key::Key;

/// The names of the metadata. S3 takes 2 KiB of it in all.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html>
const KEY: &str = "towpath-cache-key";
const BYTES: &str = "towpath-cache-bytes";
const SUMMARY: &str = "towpath-cache-summary";
/// How much of the summary is kept, in bytes, encoded.
const LONGEST_SUMMARY: usize = 1_000;

/// An output that was installed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What was said of it when it was installed.
    pub(crate) summary: String,
    /// The archive's SHA-256.
    pub(crate) sha256: String,
}

/// Why an object in the cache is not what was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It was not put there by this action, or by one that is too old or too new.
    #[error("it was not put there by install-deps: it has no `{0}`")]
    Foreign(&'static str),
    /// It was put there under another name.
    #[error("it was kept under another key, {0}")]
    Moved(String),
    /// It is shorter or longer than what was kept.
    #[error("it has {found} bytes, and {kept} were kept")]
    Truncated {
        /// As it is now.
        found: u64,
        /// As it was.
        kept: String,
    },
}

/// What is kept beside the archive of `bytes` bytes.
pub(crate) fn metadata(key: &Key, bytes: u64, summary: &str) -> HashMap<String, String> {
    [
        (KEY.to_owned(), key.as_str().to_owned()),
        (BYTES.to_owned(), bytes.to_string()),
        (SUMMARY.to_owned(), encoded(summary)),
    ]
    .into()
}

/// Judges an object that lies where the entry of `key` should.
pub(crate) fn read(found: &Found, key: &Key) -> Result<Entry, Unfit> {
    let value = |name: &'static str| found.metadata.get(name).ok_or(Unfit::Foreign(name));
    let kept = value(KEY)?;
    if kept != key.as_str() {
        return Err(Unfit::Moved(kept.clone()));
    }
    let bytes = value(BYTES)?;
    if *bytes != found.bytes.to_string() {
        return Err(Unfit::Truncated {
            found: found.bytes,
            kept: bytes.clone(),
        });
    }
    let sha256 = found.sha256().ok_or(Unfit::Foreign("sha256"))?;
    Ok(Entry {
        summary: percent_decode_str(value(SUMMARY)?)
            .decode_utf8_lossy()
            .into_owned(),
        sha256: sha256.to_owned(),
    })
}

/// As a header takes it, and no more than there is room for.
fn encoded(summary: &str) -> String {
    let mut text = String::new();
    for character in summary.chars() {
        let mut buffer = [0; 4];
        let next = utf8_percent_encode(character.encode_utf8(&mut buffer), NON_ALPHANUMERIC);
        let next = next.to_string();
        if text.len() + next.len() > LONGEST_SUMMARY {
            break;
        }
        text.push_str(&next);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::tests::description;

    fn found(bytes: u64, change: impl FnOnce(&mut HashMap<String, String>)) -> Found {
        let key = description().key();
        let mut metadata = metadata(&key, 7, "npm ci: 3 packages, 0.1 MB (é)");
        metadata.insert("sha256".into(), "ab".into());
        change(&mut metadata);
        Found {
            bytes,
            etag: Some("tag".into()),
            metadata,
        }
    }

    #[test]
    fn an_entry_is_read_back() {
        let entry = read(&found(7, |_| {}), &description().key()).unwrap();
        assert_eq!(entry.summary, "npm ci: 3 packages, 0.1 MB (é)");
        assert_eq!(entry.sha256, "ab");
    }

    #[test]
    fn what_is_not_an_entry_is_told_for_what_it_is() {
        let key = description().key();
        for (object, expected) in [
            (found(6, |_| {}), "it has 6 bytes, and 7 were kept"),
            (found(0, |_| {}), "it has 0 bytes"),
            (
                found(7, HashMap::clear),
                "it was not put there by install-deps",
            ),
            (
                found(7, |it| {
                    it.insert(KEY.into(), "f00".into());
                }),
                "under another key, f00",
            ),
            (
                found(7, |it| {
                    it.remove("sha256");
                }),
                "it has no `sha256`",
            ),
            (
                found(7, |it| {
                    it.remove(SUMMARY);
                }),
                "it has no `towpath-cache-summary`",
            ),
        ] {
            let error = read(&object, &key).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn metadata_stays_within_what_s3_takes() {
        let kept = metadata(&description().key(), u64::MAX, &"é".repeat(5_000));
        let size: usize = kept
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        // Beside it: the digest, the archive's mark and the upload's own token.
        assert!(size < 2_048 - 300, "{size}");
    }
}
