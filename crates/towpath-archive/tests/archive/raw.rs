//! Archives put together byte by byte, so that they can lie.

use std::io::Write;

/// One entry, of which any field can be set to what is not true.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// In the entry's own header, if it is another one there.
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) mode: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) bytes: u32,
    pub(crate) compressed: u32,
    pub(crate) data: Vec<u8>,
    /// Where the central directory says that it begins, if that is not the truth.
    pub(crate) offset: Option<u32>,
}

pub(crate) fn stored(name: &str, data: &[u8]) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        local_name: None,
        mode: 0o100_644,
        flags: 0x800,
        method: 0,
        crc: crc32(data),
        bytes: data.len() as u32,
        compressed: data.len() as u32,
        data: data.to_vec(),
        offset: None,
    }
}

pub(crate) fn deflated(name: &str, data: &[u8]) -> Entry {
    let mut encoder =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    let compressed = encoder.finish().unwrap();
    Entry {
        method: 8,
        compressed: compressed.len() as u32,
        data: compressed,
        ..Entry {
            crc: crc32(data),
            bytes: data.len() as u32,
            ..stored(name, b"")
        }
    }
}

pub(crate) fn link(name: &str, target: &str) -> Entry {
    with(stored(name, target.as_bytes()), |entry| {
        entry.mode = 0o120_777;
    })
}

pub(crate) fn directory(name: &str) -> Entry {
    with(stored(name, b""), |entry| entry.mode = 0o040_755)
}

pub(crate) fn with(mut entry: Entry, change: impl FnOnce(&mut Entry)) -> Entry {
    change(&mut entry);
    entry
}

/// The archive of these entries, in this order.
pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = entry.offset.unwrap_or(out.len() as u32);
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        out.extend(b"PK\x03\x04");
        common(&mut out, entry, local_name.len());
        out.extend(local_name);
        out.extend(&entry.data);

        directory.extend(b"PK\x01\x02");
        // Made by a Unix system, so that the mode counts.
        put16(&mut directory, 0x0314);
        common(&mut directory, entry, entry.name.len());
        // Comment, disk, internal attributes.
        directory.extend([0; 6]);
        put32(&mut directory, entry.mode << 16);
        put32(&mut directory, offset);
        directory.extend(&entry.name);
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(end(entries.len() as u16, directory.len() as u32, start));
    out
}

/// The record at the end, which says how many entries there are and where.
pub(crate) fn end(entries: u16, bytes: u32, start: u32) -> Vec<u8> {
    let mut out = b"PK\x05\x06\0\0\0\0".to_vec();
    put16(&mut out, entries);
    put16(&mut out, entries);
    put32(&mut out, bytes);
    put32(&mut out, start);
    put16(&mut out, 0);
    out
}

/// What both headers have, from the version needed to the length of the extra field.
fn common(out: &mut Vec<u8>, entry: &Entry, name: usize) {
    put16(out, 20);
    put16(out, entry.flags);
    put16(out, entry.method);
    put16(out, 0);
    put16(out, 0x21);
    put32(out, entry.crc);
    put32(out, entry.compressed);
    put32(out, entry.bytes);
    put16(out, name as u16);
    put16(out, 0);
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
