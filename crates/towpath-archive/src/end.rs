//! Where the central directory is, as the end of the archive says.
//!
//! Readers differ in which of several end records they take, and that is how an archive shows one
//! content to a scanner and another to who unpacks it. So there is one way to read it here: the
//! last end record, which ends where the archive does, and a directory that ends where the end
//! record begins. Whatever could be read in another way is refused.

use std::ops::Range;

use crate::error::Refusal;
use crate::format::{END, END_BYTES, END64, END64_BYTES, Fields, LOCATOR, LOCATOR_BYTES, WIDE};

/// How many of an archive's last bytes [`locate`] wants, if there are so many: a comment of
/// 65,535 bytes, the records before it, and the head of a directory that is small.
pub(crate) const TAIL: u64 = 80 << 10;

/// What the end of an archive says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) entries: u64,
    /// Where the central directory lies.
    pub(crate) directory: Range<u64>,
}

/// Finds the central directory. `tail` are the last bytes of an archive of `length` bytes; `None`
/// if there is no end record in them.
pub(crate) fn locate(tail: &[u8], length: u64) -> Result<Option<End>, Refusal> {
    let signature = END.to_le_bytes();
    let mut ends = (0..(tail.len() + 1).saturating_sub(END_BYTES))
        .rev()
        .filter(|at| tail[*at..].starts_with(&signature));
    let Some(last) = ends.next() else {
        return Ok(None);
    };
    let ends_the_archive =
        |at: usize| comment(tail, at).is_some_and(|c| at + END_BYTES + c == tail.len());
    if ends.any(ends_the_archive) {
        return Err(Refusal::corrupt(
            "its comment contains an end record, so that readers differ in what it holds",
        ));
    }
    if !ends_the_archive(last) {
        return Err(Refusal::corrupt(
            "it goes on after its end record, or was cut off within it",
        ));
    }
    let start = length - tail.len() as u64;
    read(tail, last, start)
        .unwrap_or_else(|| {
            Err(Refusal::corrupt(
                "its zip64 end record is not where it should be",
            ))
        })
        .map(Some)
}

/// How long the comment of the end record at `at` is.
fn comment(tail: &[u8], at: usize) -> Option<usize> {
    Fields(tail.get(at + 20..)?).u16().map(usize::from)
}

fn read(tail: &[u8], at: usize, start: u64) -> Option<Result<End, Refusal>> {
    let mut end = Fields(&tail[at + 4..]);
    let disks = [end.u16()?, end.u16()?];
    let here = end.u16()?;
    let entries = end.u16()?;
    let (bytes, offset) = (end.u32()?, end.u32()?);
    let locator = at
        .checked_sub(LOCATOR_BYTES)
        .filter(|locator| tail[*locator..].starts_with(&LOCATOR.to_le_bytes()));
    let (entries, bytes, offset, ends_at) = match locator {
        None => (
            u64::from(entries),
            u64::from(bytes),
            u64::from(offset),
            start + at as u64,
        ),
        Some(locator) => {
            let mut fields = Fields(&tail[locator + 4..]);
            let disk = fields.u32()?;
            let ends_at = fields.u64()?;
            let disks = fields.u32()?;
            let end64 = Fields(tail.get(usize::try_from(ends_at.checked_sub(start)?).ok()?..)?);
            let wide = read64(
                end64,
                start + locator as u64 - ends_at.min(start + locator as u64),
            )?;
            if disk != 0 || disks > 1 {
                return Some(Err(volumes()));
            }
            // Where the older record states a number at all, it states the same.
            let agrees = (entries == u16::MAX || u64::from(entries) == wide.entries)
                && (bytes == WIDE || u64::from(bytes) == wide.bytes)
                && (offset == WIDE || u64::from(offset) == wide.offset);
            if !agrees || wide.entries != wide.here {
                return Some(Err(Refusal::corrupt(
                    "its two end records disagree, so that readers differ in what it holds",
                )));
            }
            (wide.entries, wide.bytes, wide.offset, ends_at)
        }
    };
    let no_volume = |disk: u16| disk == 0 || (disk == u16::MAX && locator.is_some());
    if !disks.into_iter().all(no_volume) || (locator.is_none() && u64::from(here) != entries) {
        return Some(Err(volumes()));
    }
    let directory = offset..offset.checked_add(bytes)?;
    if directory.end != ends_at {
        return Some(Err(Refusal::corrupt(
            "its central directory does not end where its end record begins; it may have been cut off, or \
             have another file in front",
        )));
    }
    Some(Ok(End { entries, directory }))
}

/// The zip64 end record.
struct Wide {
    here: u64,
    entries: u64,
    bytes: u64,
    offset: u64,
}

/// Reads the zip64 end record, which has to be `length` bytes long.
fn read64(mut fields: Fields<'_>, length: u64) -> Option<Wide> {
    if fields.u32()? != END64 {
        return None;
    }
    let stated = fields.u64()?.checked_add(12)?;
    if stated != length || length < END64_BYTES as u64 {
        return None;
    }
    let _versions = fields.u32()?;
    if fields.u64()? != 0 {
        return None;
    }
    Some(Wide {
        here: fields.u64()?,
        entries: fields.u64()?,
        bytes: fields.u64()?,
        offset: fields.u64()?,
    })
}

fn volumes() -> Refusal {
    Refusal::corrupt("it is one volume of several; only whole archives are read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::put_end;

    fn archive(entries: u64, start: u64, directory: u64) -> Vec<u8> {
        let mut bytes = vec![0; (start + directory) as usize];
        put_end(&mut bytes, entries, start, directory);
        bytes
    }

    fn commented(comment: &[u8]) -> Vec<u8> {
        let mut bytes = archive(1, 0, 50);
        let at = bytes.len() - 2;
        bytes[at..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
        bytes.extend(comment);
        bytes
    }

    #[test]
    fn the_directory_is_found_in_one_way_or_not_at_all() {
        let found = |entries, directory| Ok(Some(End { entries, directory }));
        let refused = |part: &str| Err(part.to_owned());
        let mut nested = archive(1, 0, 50);
        nested.extend(archive(2, 0, 20));
        let mut trailing = archive(1, 0, 50);
        trailing.push(0);
        let mut prefixed = b"#!/bin/sh\n".to_vec();
        prefixed.extend(archive(1, 0, 50));
        let mut other_entries = archive(70_000, 0, 50);
        let at = other_entries.len() - END_BYTES + 8;
        other_entries[at..at + 4].copy_from_slice(&[3, 0, 3, 0]);
        let mut moved64 = archive(70_000, 0, 50);
        let at = moved64.len() - END_BYTES - LOCATOR_BYTES + 8;
        moved64[at] ^= 1;
        let mut volume = archive(1, 0, 50);
        let at = volume.len() - END_BYTES + 4;
        volume[at] = 1;
        for (what, bytes, expected) in [
            ("plain", archive(1, 0, 50), found(1, 0..50)),
            ("empty", archive(0, 0, 0), found(0, 0..0)),
            ("zip64", archive(70_000, 5, 50), found(70_000, 5..55)),
            ("a comment", commented(b"hello"), found(1, 0..50)),
            (
                "the longest comment",
                commented(&vec![b'x'; 65_535]),
                found(1, 0..50),
            ),
            ("nothing", vec![b'x'; 100], Ok(None)),
            ("no bytes", Vec::new(), Ok(None)),
            (
                "an end in the comment",
                commented(&archive(0, 0, 0)),
                refused("comment contains"),
            ),
            (
                "half an end in the comment",
                commented(b"PK\x05\x06 and 18 bytes more .."),
                refused("comment contains"),
            ),
            ("an archive after it", nested, refused("does not end where")),
            ("a byte after it", trailing, refused("goes on after")),
            (
                "a script before it",
                prefixed,
                refused("does not end where"),
            ),
            (
                "two ends that disagree",
                other_entries,
                refused("two end records disagree"),
            ),
            (
                "a locator that points elsewhere",
                moved64,
                refused("zip64 end record is not"),
            ),
            ("a volume", volume, refused("one volume of several")),
        ] {
            let length = bytes.len() as u64;
            // As it is, and as the end of something longer than the tail.
            let said = locate(&bytes, length).map_err(|refusal| refusal.to_string());
            match (&said, &expected) {
                (Err(said), Err(part)) => assert!(said.contains(part), "{what}: {said}"),
                _ => assert_eq!(said, expected, "{what}"),
            }
            // Whatever the bytes, nothing panics.
            for cut in 0..bytes.len().min(200) {
                let _ = locate(&bytes[cut..], length);
                let _ = locate(&bytes[..bytes.len() - cut], length - cut as u64);
            }
        }
    }
}
