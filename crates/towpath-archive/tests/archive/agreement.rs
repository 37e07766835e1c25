//! The reader that is tested against the one to compare with.

use std::fs;

use towpath_archive::{Limits, Unpacking};

use crate::reference;
use crate::tree::survey;

const LIMITS: Limits = Limits {
    entries: 200,
    bytes: 8 << 20,
    ratio: 1_032,
};

/// Unpacks deep in a directory that has nothing else in it, by pieces of this size: whether the
/// archive was taken, or what is wrong with what was done.
pub(crate) fn agrees_with_the_reference(bytes: &[u8], segment: u64) -> Result<bool, String> {
    let outside = tempfile::tempdir().unwrap();
    let parent = outside.path().join("a/b/c");
    let into = parent.join("tree");
    fs::create_dir_all(&parent).unwrap();
    let how = Unpacking {
        limits: LIMITS,
        readers: 2,
        threads: 2,
        segment,
    };
    let unpacked = towpath_archive::unpack(bytes, &into, &how);
    let beside = survey(outside.path())
        .into_keys()
        .filter(|path| !path.starts_with("a/b/c/tree/"))
        .collect::<Vec<_>>();
    let mut expected = vec!["a", "a/b", "a/b/c"];
    if unpacked.is_ok() {
        expected.push("a/b/c/tree");
    }
    if beside != expected {
        return Err(format!("{unpacked:?} left {beside:?}"));
    }
    let Ok(unpacked) = unpacked else {
        return Ok(false);
    };
    let found = survey(&into);
    if unpacked.entries != found.len() as u64 {
        return Err(format!("{unpacked:?}, but there are {}", found.len()));
    }
    match reference::read(bytes) {
        Ok(expected) if expected == found => Ok(true),
        Ok(expected) => {
            let differs = |path: &&String| expected.get(*path) != found.get(*path);
            let differs: Vec<_> = expected
                .keys()
                .chain(found.keys())
                .filter(differs)
                .collect();
            Err(format!("another tree than the reference's: {differs:?}"))
        }
        Err(error) => Err(format!("unpacked, but the reference says: {error}")),
    }
}
