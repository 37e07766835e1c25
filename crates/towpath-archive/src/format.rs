//! The records of a zip archive as bytes, read and written.
//!
//! The layouts are those of PKWARE's APPNOTE 6.3.10: local header §4.3.7, data descriptor §4.3.9,
//! central directory §4.3.12, its end §4.3.14–16, extra fields §4.5. All numbers are little-endian.

use std::borrow::Cow;

use crate::error::Refusal;

pub(crate) const LOCAL: u32 = 0x0403_4b50;
pub(crate) const CENTRAL: u32 = 0x0201_4b50;
pub(crate) const END: u32 = 0x0605_4b50;
pub(crate) const END64: u32 = 0x0606_4b50;
pub(crate) const LOCATOR: u32 = 0x0706_4b50;
pub(crate) const DESCRIPTOR: u32 = 0x0807_4b50;

/// A local header without name and extra field.
pub(crate) const LOCAL_BYTES: usize = 30;
/// A central header without name, extra field and comment.
pub(crate) const CENTRAL_BYTES: usize = 46;
/// The end record without its comment.
pub(crate) const END_BYTES: usize = 22;
/// The zip64 end record without its extensible data.
pub(crate) const END64_BYTES: usize = 56;
pub(crate) const LOCATOR_BYTES: usize = 20;
/// The longest data descriptor: with its signature, and sizes of eight bytes.
pub(crate) const DESCRIPTOR_BYTES: usize = 24;

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATED: u16 = 8;

/// Flags of an entry, §4.4.4.
pub(crate) const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
pub(crate) const DESCRIBED: u16 = 1 << 3;
pub(crate) const PATCH: u16 = 1 << 5;
pub(crate) const UTF8: u16 = 1 << 11;
/// Those in which an entry's two headers have to agree.
pub(crate) const KEPT: u16 = ENCRYPTED | DESCRIBED | UTF8;

/// Extra fields: sizes of eight bytes, and Info-ZIP's name in UTF-8.
const ZIP64: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;

/// What a 32-bit field holds when the truth is in the zip64 field.
pub(crate) const WIDE: u32 = u32::MAX;

/// Takes numbers off the front of some bytes; `None` where they end.
#[derive(Clone)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// An entry as the central directory has it.
#[derive(Debug)]
pub(crate) struct Central<'a> {
    /// The upper byte of "version made by": 3 is Unix.
    pub(crate) system: u8,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) bytes: u64,
    pub(crate) attributes: u32,
    /// Of the local header.
    pub(crate) offset: u64,
    pub(crate) name: &'a [u8],
    extra: &'a [u8],
}

impl<'a> Central<'a> {
    /// Reads one header off the front of the directory.
    pub(crate) fn read(fields: &mut Fields<'a>) -> Result<Self, Refusal> {
        Self::take(fields).unwrap_or_else(|| {
            Err(Refusal::corrupt(
                "its central directory ends within an entry",
            ))
        })
    }

    fn take(fields: &mut Fields<'a>) -> Option<Result<Self, Refusal>> {
        if fields.u32()? != CENTRAL {
            return Some(Err(Refusal::corrupt(
                "its central directory has something else than entries in it",
            )));
        }
        let made_by = fields.u16()?;
        let _needed = fields.u16()?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let _time_and_date = fields.u32()?;
        let crc = fields.u32()?;
        let (compressed, bytes) = (fields.u32()?, fields.u32()?);
        let (name, extra) = (fields.u16()?, fields.u16()?);
        let comment = fields.u16()?;
        let disk = fields.u16()?;
        let _internal = fields.u16()?;
        let attributes = fields.u32()?;
        let offset = fields.u32()?;
        let name = fields.bytes(name.into())?;
        let extra = fields.bytes(extra.into())?;
        let _comment = fields.bytes(comment.into())?;
        let [bytes, compressed, offset] = match widen(extra, [bytes, compressed, offset]) {
            Ok(wide) => wide,
            Err(refusal) => return Some(Err(refusal)),
        };
        if disk != 0 && disk != u16::MAX {
            return Some(Err(Refusal::corrupt(
                "it is one volume of several; only whole archives are read",
            )));
        }
        Some(Ok(Self {
            system: (made_by >> 8) as u8,
            flags,
            method,
            crc,
            compressed,
            bytes,
            attributes,
            offset,
            name,
            extra,
        }))
    }

    /// The name in UTF-8 that the Unicode Path field has for exactly this raw name, if any
    /// (APPNOTE §4.6.9: it counts only if its checksum is that of the name in the header).
    pub(crate) fn unicode_path(&self) -> Option<&'a [u8]> {
        let mut field = Fields(find(self.extra, UNICODE_PATH)?);
        let [version] = field.array()?;
        let crc = field.u32()?;
        (version == 1 && crc == libdeflater::crc32(self.name)).then_some(field.0)
    }
}

/// An entry as the header before its data has it.
#[derive(Debug)]
pub(crate) struct Local<'a> {
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) bytes: u64,
    pub(crate) name: &'a [u8],
    /// Of the whole header.
    pub(crate) length: usize,
}

impl<'a> Local<'a> {
    /// Reads the header that begins with these bytes; `None` if they end before it does.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Result<Self, Refusal>> {
        let mut fields = Fields(bytes);
        if fields.u32()? != LOCAL {
            return Some(Err(Refusal::corrupt(
                "there is no local header where the central directory says",
            )));
        }
        let _needed = fields.u16()?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        let _time_and_date = fields.u32()?;
        let crc = fields.u32()?;
        let (compressed, size) = (fields.u32()?, fields.u32()?);
        let (name, extra) = (fields.u16()?, fields.u16()?);
        let name = fields.bytes(name.into())?;
        let extra = fields.bytes(extra.into())?;
        let [size, compressed] = match widen(extra, [size, compressed]) {
            Ok(wide) => wide,
            Err(refusal) => return Some(Err(refusal)),
        };
        Some(Ok(Self {
            flags,
            method,
            crc,
            compressed,
            bytes: size,
            name,
            length: LOCAL_BYTES + name.len() + extra.len(),
        }))
    }
}

/// Puts in place of those values that did not fit in 32 bits what the zip64 field has for them,
/// in its order (§4.5.3).
fn widen<const N: usize>(extra: &[u8], narrow: [u32; N]) -> Result<[u64; N], Refusal> {
    let mut wide = narrow.map(u64::from);
    if !narrow.contains(&WIDE) {
        return Ok(wide);
    }
    // 4 GiB less one byte is a size that a writer may state without the field.
    let Some(field) = find(extra, ZIP64) else {
        return Ok(wide);
    };
    let mut field = Fields(field);
    for value in &mut wide {
        if *value == u64::from(WIDE) {
            *value = field.u64().ok_or_else(|| {
                Refusal::corrupt("its zip64 field has not the values that it is there for")
            })?;
        }
    }
    Ok(wide)
}

/// The content of an extra field. What cannot be taken apart ends the search: some writers pad.
fn find(extra: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut fields = Fields(extra);
    loop {
        let (id, length) = (fields.u16()?, fields.u16()?);
        let content = fields.bytes(length.into())?;
        if id == wanted {
            return Some(content);
        }
    }
}

/// An entry to be written.
#[derive(Debug, Clone)]
pub(crate) struct Record<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) mode: u32,
    pub(crate) method: u16,
    pub(crate) sums: Sums,
    /// Whether checksum and sizes come after the data, because they are not known before.
    pub(crate) described: bool,
    /// Whether sizes have eight bytes, decided before the compressed size is known.
    pub(crate) wide: bool,
}

/// What the data of an entry come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) bytes: u64,
}

/// The first moment of 1980, as the format's date and time: every entry has it.
const DATE: u32 = 0x0021_0000;
/// Made on Unix, by version 4.5.
const MADE_BY: u16 = 0x032D;

impl Record<'_> {
    fn flags(&self) -> u16 {
        UTF8 | if self.described { DESCRIBED } else { 0 }
    }

    fn version(&self) -> u16 {
        if self.wide { 45 } else { 20 }
    }

    /// How many bytes header, data and what comes after them are together.
    pub(crate) fn length(&self) -> u64 {
        let header = LOCAL_BYTES + self.name.len() + if self.wide { 20 } else { 0 };
        let descriptor = match (self.described, self.wide) {
            (false, _) => 0,
            (true, false) => 16,
            (true, true) => 24,
        };
        header as u64 + self.sums.compressed + descriptor
    }

    /// The header before the data.
    pub(crate) fn put_local(&self, out: &mut Vec<u8>) {
        let sums = if self.described {
            Sums::default()
        } else {
            self.sums
        };
        put32(out, LOCAL);
        put16(out, self.version());
        put16(out, self.flags());
        put16(out, self.method);
        put32(out, DATE);
        put32(out, sums.crc);
        if self.wide {
            put32(out, WIDE);
            put32(out, WIDE);
        } else {
            put32(out, sums.compressed as u32);
            put32(out, sums.bytes as u32);
        }
        put16(out, self.name.len() as u16);
        put16(out, if self.wide { 20 } else { 0 });
        out.extend(self.name.as_bytes());
        if self.wide {
            put16(out, ZIP64);
            put16(out, 16);
            put64(out, sums.bytes);
            put64(out, sums.compressed);
        }
    }

    /// What comes after the data of an entry whose sums are not in its header.
    pub(crate) fn put_descriptor(&self, out: &mut Vec<u8>) {
        put32(out, DESCRIPTOR);
        put32(out, self.sums.crc);
        if self.wide {
            put64(out, self.sums.compressed);
            put64(out, self.sums.bytes);
        } else {
            put32(out, self.sums.compressed as u32);
            put32(out, self.sums.bytes as u32);
        }
    }

    /// The entry of the central directory.
    pub(crate) fn put_central(&self, out: &mut Vec<u8>, offset: u64) {
        let far = offset >= u64::from(WIDE);
        let values = [
            (self.wide, self.sums.bytes),
            (self.wide, self.sums.compressed),
            (far, offset),
        ];
        let extra = values.iter().filter(|(wide, _)| *wide).count() as u16 * 8;
        let narrow = |(wide, value)| if wide { WIDE } else { value as u32 };
        put32(out, CENTRAL);
        put16(out, MADE_BY);
        put16(out, if extra > 0 { 45 } else { self.version() });
        put16(out, self.flags());
        put16(out, self.method);
        put32(out, DATE);
        put32(out, self.sums.crc);
        put32(out, narrow(values[1]));
        put32(out, narrow(values[0]));
        put16(out, self.name.len() as u16);
        put16(out, if extra > 0 { extra + 4 } else { 0 });
        // Comment, disk, internal attributes.
        out.extend([0; 6]);
        put32(out, self.mode << 16);
        put32(out, narrow(values[2]));
        out.extend(self.name.as_bytes());
        if extra > 0 {
            put16(out, ZIP64);
            put16(out, extra);
            for (_, value) in values.into_iter().filter(|(wide, _)| *wide) {
                put64(out, value);
            }
        }
    }
}

/// What ends an archive: with zip64 records where 16 or 32 bits do not do.
pub(crate) fn put_end(out: &mut Vec<u8>, entries: u64, start: u64, directory: u64) {
    let end = start + directory;
    if entries >= u64::from(u16::MAX) || end >= u64::from(WIDE) {
        put32(out, END64);
        put64(out, END64_BYTES as u64 - 12);
        put16(out, MADE_BY);
        put16(out, 45);
        // This disk, and that of the central directory.
        put64(out, 0);
        put64(out, entries);
        put64(out, entries);
        put64(out, directory);
        put64(out, start);
        put32(out, LOCATOR);
        put32(out, 0);
        put64(out, end);
        put32(out, 1);
    }
    put32(out, END);
    put32(out, 0);
    let entries = entries.min(u16::MAX.into()) as u16;
    put16(out, entries);
    put16(out, entries);
    put32(out, directory.min(WIDE.into()) as u32);
    put32(out, start.min(WIDE.into()) as u32);
    put16(out, 0);
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, bytes: u64, described: bool) -> Record<'_> {
        Record {
            name: name.into(),
            mode: 0o100_644,
            method: DEFLATED,
            sums: Sums {
                crc: 7,
                compressed: bytes / 2,
                bytes,
            },
            described,
            wide: bytes > u64::from(WIDE),
        }
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        for (bytes, described, offset) in [
            (0, false, 0),
            (10, true, 99),
            (6 << 30, false, 1 << 20),
            (6 << 30, true, 9 << 30),
            (10, false, 9 << 30),
        ] {
            let record = record("a/\u{fc}", bytes, described);
            let mut local = Vec::new();
            record.put_local(&mut local);
            let mut descriptor = Vec::new();
            if described {
                record.put_descriptor(&mut descriptor);
            }
            let around = (local.len() + descriptor.len()) as u64;
            assert_eq!(record.length(), around + bytes / 2);
            let read = Local::read(&local).unwrap().unwrap();
            assert_eq!(read.name, record.name.as_bytes());
            assert_eq!(read.length, local.len());
            assert_eq!(read.flags, record.flags());
            let stated = if described { 0 } else { bytes };
            assert_eq!((read.bytes, read.compressed), (stated, stated / 2));
            for cut in 0..local.len() {
                assert!(Local::read(&local[..cut]).is_none(), "{cut}");
            }

            let mut central = Vec::new();
            record.put_central(&mut central, offset);
            let mut fields = Fields(&central);
            let read = Central::read(&mut fields).unwrap();
            assert!(fields.0.is_empty());
            assert_eq!(
                (read.bytes, read.compressed, read.offset, read.crc),
                (bytes, bytes / 2, offset, 7)
            );
            assert_eq!((read.system, read.attributes >> 16), (3, 0o100_644));
            for cut in 0..central.len() {
                assert!(Central::read(&mut Fields(&central[..cut])).is_err());
            }
        }
    }

    #[test]
    fn a_name_in_an_extra_field_counts_only_for_the_name_that_it_was_made_for() {
        let mut field = vec![1];
        field.extend(libdeflater::crc32(b"gr?n").to_le_bytes());
        field.extend("gr\u{fc}n".as_bytes());
        let mut extra = Vec::new();
        put16(&mut extra, 0x5455);
        put16(&mut extra, 1);
        extra.push(0);
        put16(&mut extra, UNICODE_PATH);
        put16(&mut extra, field.len() as u16);
        extra.extend(field);
        let mut header = Central {
            system: 0,
            flags: 0,
            method: 0,
            crc: 0,
            compressed: 0,
            bytes: 0,
            attributes: 0,
            offset: 0,
            name: b"gr?n",
            extra: &extra,
        };
        assert_eq!(header.unicode_path(), Some("gr\u{fc}n".as_bytes()));
        header.name = b"other";
        assert_eq!(header.unicode_path(), None);
        // Cut anywhere, it is no field.
        header.name = b"gr?n";
        for cut in 0..extra.len() {
            header.extra = &extra[..cut];
            assert_eq!(header.unicode_path(), None, "{cut}");
        }
    }
}
