//! Archives put together byte by byte, so that they can lie.

/// One entry, of which any field can be set to what is not true.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// The system that it says to be made on: 3 is Unix, and has modes.
    pub(crate) system: u8,
    pub(crate) mode: u32,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) bytes: u32,
    pub(crate) compressed: u32,
    pub(crate) extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) disk: u16,
    /// Where the central directory says that it begins, if that is not the truth.
    pub(crate) offset: Option<u32>,
    pub(crate) data: Vec<u8>,
    /// What comes after the data.
    pub(crate) descriptor: Vec<u8>,
    /// What the entry's own header says, if that is something else.
    pub(crate) local: Option<Box<Entry>>,
    /// What its own header begins with.
    pub(crate) signature: [u8; 4],
}

pub(crate) fn stored(name: &str, data: &[u8]) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        system: 3,
        mode: 0o100_644,
        flags: 0x800,
        method: 0,
        crc: crc32(data),
        bytes: data.len() as u32,
        compressed: data.len() as u32,
        extra: Vec::new(),
        comment: Vec::new(),
        disk: 0,
        offset: None,
        data: data.to_vec(),
        descriptor: Vec::new(),
        local: None,
        signature: *b"PK\x03\x04",
    }
}

pub(crate) fn deflated(name: &str, content: &[u8]) -> Entry {
    let compressed = miniz_oxide::deflate::compress_to_vec(content, 6);
    with(stored(name, b""), |entry| {
        entry.method = 8;
        entry.crc = crc32(content);
        entry.bytes = content.len() as u32;
        entry.compressed = compressed.len() as u32;
        entry.data = compressed;
    })
}

/// The same entry as one that is written to a pipe: its sums come after its data.
pub(crate) fn described(entry: Entry) -> Entry {
    with(entry, |entry| {
        entry.flags |= 8;
        entry.descriptor = b"PK\x07\x08".to_vec();
        for value in [entry.crc, entry.compressed, entry.bytes] {
            put32(&mut entry.descriptor, value);
        }
        let local = with(entry.clone(), |local| {
            (local.crc, local.compressed, local.bytes) = (0, 0, 0);
        });
        entry.local = Some(Box::new(local));
    })
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

/// The same entry, with another truth in its own header than in the central directory.
pub(crate) fn locally(mut entry: Entry, change: impl FnOnce(&mut Entry)) -> Entry {
    let mut local = entry.local.take().map_or_else(|| entry.clone(), |it| *it);
    change(&mut local);
    entry.local = Some(Box::new(local));
    entry
}

/// An extra field.
pub(crate) fn field(id: u16, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put16(&mut out, id);
    put16(&mut out, content.len() as u16);
    out.extend(content);
    out
}

/// A zip64 extra field with these values.
pub(crate) fn wide(values: &[u64]) -> Vec<u8> {
    let content: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    field(1, &content)
}

/// An extra field that gives `name` another name.
pub(crate) fn unicode_path(name: &str, other: &str) -> Vec<u8> {
    let mut content = vec![1];
    put32(&mut content, crc32(name.as_bytes()));
    content.extend(other.as_bytes());
    field(0x7075, &content)
}

/// The record at the end, which says how many entries there are and where.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) disk: u16,
    pub(crate) directory_disk: u16,
    pub(crate) here: u16,
    pub(crate) entries: u16,
    pub(crate) bytes: u32,
    pub(crate) start: u32,
    pub(crate) comment: Vec<u8>,
    /// How long the comment is said to be, if that is not the truth.
    pub(crate) comment_bytes: Option<u16>,
    /// The records of zip64 before it.
    pub(crate) wide: Option<End64>,
}

/// The zip64 end record and the locator, which says where that is.
#[derive(Debug, Clone)]
pub(crate) struct End64 {
    pub(crate) size: u64,
    pub(crate) disk: u32,
    pub(crate) here: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) start: u64,
    pub(crate) locator_disk: u32,
    pub(crate) at: u64,
    pub(crate) disks: u32,
}

impl End {
    /// The same, said in zip64.
    pub(crate) fn widen(&mut self) -> &mut End64 {
        let wide = End64 {
            size: 44,
            disk: 0,
            here: self.here.into(),
            entries: self.entries.into(),
            bytes: self.bytes.into(),
            start: self.start.into(),
            locator_disk: 0,
            at: u64::from(self.start) + u64::from(self.bytes),
            disks: 1,
        };
        (self.here, self.entries) = (u16::MAX, u16::MAX);
        (self.bytes, self.start) = (u32::MAX, u32::MAX);
        self.wide.insert(wide)
    }

    fn put(&self, out: &mut Vec<u8>) {
        if let Some(wide) = &self.wide {
            out.extend(b"PK\x06\x06");
            put64(out, wide.size);
            put16(out, 0x032D);
            put16(out, 45);
            put32(out, wide.disk);
            put32(out, 0);
            for value in [wide.here, wide.entries, wide.bytes, wide.start] {
                put64(out, value);
            }
            out.extend(b"PK\x06\x07");
            put32(out, wide.locator_disk);
            put64(out, wide.at);
            put32(out, wide.disks);
        }
        out.extend(b"PK\x05\x06");
        for value in [self.disk, self.directory_disk, self.here, self.entries] {
            put16(out, value);
        }
        put32(out, self.bytes);
        put32(out, self.start);
        let comment = self.comment_bytes.unwrap_or(self.comment.len() as u16);
        put16(out, comment);
        out.extend(&self.comment);
    }
}

/// The archive of these entries, in this order.
pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    ending(entries, |_| ())
}

/// The archive of these entries, with an end that says something else.
pub(crate) fn ending(entries: &[Entry], lie: impl FnOnce(&mut End)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = entry.offset.unwrap_or(out.len() as u32);
        let local = entry.local.as_deref().unwrap_or(entry);
        out.extend(local.signature);
        common(&mut out, local);
        out.extend(&local.name);
        out.extend(&local.extra);
        out.extend(&entry.data);
        out.extend(&entry.descriptor);

        directory.extend(b"PK\x01\x02");
        put16(&mut directory, u16::from(entry.system) << 8 | 0x14);
        common(&mut directory, entry);
        put16(&mut directory, entry.comment.len() as u16);
        put16(&mut directory, entry.disk);
        // Internal attributes.
        put16(&mut directory, 0);
        put32(&mut directory, entry.mode << 16);
        put32(&mut directory, offset);
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
        directory.extend(&entry.comment);
    }
    let mut end = End {
        disk: 0,
        directory_disk: 0,
        here: entries.len() as u16,
        entries: entries.len() as u16,
        bytes: directory.len() as u32,
        start: out.len() as u32,
        comment: Vec::new(),
        comment_bytes: None,
        wide: None,
    };
    lie(&mut end);
    out.extend(&directory);
    end.put(&mut out);
    out
}

/// What both headers have, from the version needed to the length of the extra field.
fn common(out: &mut Vec<u8>, entry: &Entry) {
    put16(out, 20);
    put16(out, entry.flags);
    put16(out, entry.method);
    put16(out, 0);
    put16(out, 0x21);
    put32(out, entry.crc);
    put32(out, entry.compressed);
    put32(out, entry.bytes);
    put16(out, entry.name.len() as u16);
    put16(out, entry.extra.len() as u16);
}

pub(crate) fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_le_bytes());
}

pub(crate) fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

pub(crate) fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

pub(crate) fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
