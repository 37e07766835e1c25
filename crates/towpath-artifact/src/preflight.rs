//! A look at the end of an archive before a reader is let loose on it.
//!
//! The reader makes room for as many entries as the archive says it has, and reads all of its
//! central directory into memory. So both are bounded here, where only the few bytes are read
//! that state them. The layouts are those of PKWARE's APPNOTE 6.3.10, §4.3.14–16.

use std::io::{self, Read, Seek, SeekFrom};

use crate::error::Refusal;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_BYTES: usize = 20;
const END64: &[u8] = b"PK\x06\x06";
const END64_BYTES: usize = 56;
/// A comment of 65,535 bytes, the end record, and a zip64 locator before it.
const TAIL: u64 = 65_535 + END_BYTES as u64 + LOCATOR_BYTES as u64;
/// How much of a central directory an entry may take: four times what names of 200 bytes need.
const ENTRY_BYTES: u64 = 1 << 10;
/// What even the smallest central directory may take.
const DIRECTORY_FLOOR: u64 = 1 << 20;

/// Refuses an archive of more than `entries` entries, without an end, or with an absurd central directory.
pub(crate) fn check(
    reader: &mut (impl Read + Seek),
    entries: u64,
) -> io::Result<Result<(), Refusal>> {
    let length = reader.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(TAIL);
    reader.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    reader.by_ref().take(TAIL).read_to_end(&mut tail)?;

    let mut ends = 0;
    // A comment may contain what looks like an end; whichever of them is meant, it is bounded.
    for at in 0..tail.len().saturating_sub(END_BYTES - 1) {
        if !tail[at..].starts_with(END) {
            continue;
        }
        ends += 1;
        let mut stated = u64::from(u16_at(&tail, at + 10));
        let mut offset = u64::from(u32_at(&tail, at + 16));
        if let Some(locator) = at
            .checked_sub(LOCATOR_BYTES)
            .filter(|locator| tail[*locator..].starts_with(LOCATOR))
        {
            let mut end64 = [0; END64_BYTES];
            reader.seek(SeekFrom::Start(u64_at(&tail, locator + 8).min(length)))?;
            if read_whole(reader, &mut end64)? && end64.starts_with(END64) {
                stated = stated.max(u64_at(&end64, 32));
                offset = offset.min(u64_at(&end64, 48));
            }
        }
        if stated > entries {
            return Ok(Err(Refusal::Entries {
                entries: stated,
                limit: entries,
            }));
        }
        let directory = length.saturating_sub(offset);
        let limit = entries.saturating_mul(ENTRY_BYTES).max(DIRECTORY_FLOOR);
        if stated > 0 && directory > limit {
            return Ok(Err(Refusal::CentralDirectory {
                bytes: directory,
                limit,
            }));
        }
    }
    reader.rewind()?;
    Ok(if ends == 0 {
        Err(Refusal::Corrupt {
            detail: "it has no central directory; it may have been cut off".to_owned(),
        })
    } else {
        Ok(())
    })
}

/// The first name that the central directory at `start` has twice. The reader keeps one of them
/// only, and does not say which name it was.
pub(crate) fn duplicate(reader: &mut (impl Read + Seek), start: u64) -> io::Result<Option<String>> {
    const HEADER_BYTES: usize = 46;
    reader.seek(SeekFrom::Start(start))?;
    let mut seen = std::collections::HashSet::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        if !read_whole(reader, &mut header)? || !header.starts_with(b"PK\x01\x02") {
            return Ok(None);
        }
        let mut name = vec![0; usize::from(u16_at(&header, 28))];
        if !read_whole(reader, &mut name)? {
            return Ok(None);
        }
        let rest = i64::from(u16_at(&header, 30)) + i64::from(u16_at(&header, 32));
        reader.seek(SeekFrom::Current(rest))?;
        if seen.contains(&name) {
            return Ok(Some(String::from_utf8_lossy(&name).into_owned()));
        }
        seen.insert(name);
    }
}

/// Fills `buffer`; `false` if the file ends before.
fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
