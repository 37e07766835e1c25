//! Archives as an attacker or an accident makes them: byte by byte, because honest libraries refuse to.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// An entry, stored as it is.
#[derive(Debug, Clone)]
pub struct Entry {
    name: String,
    content: Vec<u8>,
    mode: u32,
}

/// A regular file.
pub fn file(name: &str, content: impl Into<Vec<u8>>) -> Entry {
    Entry {
        name: name.to_owned(),
        content: content.into(),
        mode: 0o100_644,
    }
}

/// A symbolic link.
pub fn link(name: &str, target: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        content: target.into(),
        mode: 0o120_777,
    }
}

/// A zip archive of the entries, in that order, whatever they are called.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = length(&archive);
        let mut common = Vec::new();
        for half in [20, 0, 0, 0, 0x21] {
            common.extend_from_slice(&u16::to_le_bytes(half)); // version, flags, stored, 1980-01-01
        }
        for word in [
            checksum(&entry.content),
            length(&entry.content),
            length(&entry.content),
        ] {
            common.extend_from_slice(&word.to_le_bytes());
        }
        let name = u16::try_from(entry.name.len()).expect("a short name");
        common.extend_from_slice(&name.to_le_bytes());
        common.extend_from_slice(&[0; 2]);

        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&common);
        archive.extend_from_slice(entry.name.as_bytes());
        archive.extend_from_slice(&entry.content);

        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&[20, 3]); // made by: Unix
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&(entry.mode << 16).to_le_bytes());
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(entry.name.as_bytes());
    }
    let (offset, size) = (length(&archive), length(&directory));
    let count = u16::try_from(entries.len()).expect("few entries");
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&count.to_le_bytes());
    archive.extend_from_slice(&count.to_le_bytes());
    archive.extend_from_slice(&size.to_le_bytes());
    archive.extend_from_slice(&offset.to_le_bytes());
    archive.extend_from_slice(&[0; 2]);
    archive
}

/// An archive of `files` files, each of which is `megabytes` of zeros, deflated.
pub fn bomb(files: usize, megabytes: usize) -> Vec<u8> {
    let mut one = ZipWriter::new(Cursor::new(Vec::new()));
    one.start_file("zeros", SimpleFileOptions::default())
        .expect("a name of a file");
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..megabytes {
        one.write_all(&zeros).expect("memory takes all");
    }
    let mut one = one.finish_into_readable().expect("memory takes all");
    let mut all = ZipWriter::new(Cursor::new(Vec::new()));
    for file in 0..files {
        all.raw_copy_file_rename(
            one.by_index_raw(0).expect("one file"),
            format!("zeros-{file}"),
        )
        .expect("memory takes all");
    }
    all.finish().expect("memory takes all").into_inner()
}

/// The content of one file of an archive.
#[track_caller]
pub fn read(archive: &[u8], path: &str) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(archive)).expect("a zip archive");
    let mut file = archive
        .by_name(path)
        .unwrap_or_else(|error| panic!("no `{path}`: {error}"));
    let mut content = Vec::new();
    file.read_to_end(&mut content).expect("an intact file");
    content
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a small archive")
}

/// CRC-32 as zip has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_made_by_hand_reads_like_any_other() {
        let archive = zip(&[file("a.txt", "123456789"), link("b", "a.txt")]);
        assert_eq!(read(&archive, "a.txt"), b"123456789");
        assert_eq!(
            checksum(b"123456789"),
            0xCBF4_3926,
            "the published check value"
        );
    }
}
