//! What unpacking an archive would do, judged before anything is done.
//!
//! All that the central directory says is judged here. What only an entry's own header and data
//! can show (another name there, a checksum that is wrong, where a link leads) is judged when
//! they are read; by then files lie in a staging directory, and nowhere else.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;

use crate::content::Content;
use crate::cp437;
use crate::end::{self, End};
use crate::error::{ArchiveError, NAMELESS, Refusal, shown};
use crate::format::{
    CENTRAL_BYTES, Central, DEFLATED, DESCRIPTOR_BYTES, ENCRYPTED, Fields, KEPT, LOCAL_BYTES,
    PATCH, STORED, UTF8,
};
use crate::name;
use crate::source::{Source, told_by_its_head};

/// What an archive may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files, directories and links, those directories included that only names imply.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
    /// How many times larger than in the archive an entry, or all of them, may become. Below
    /// [`Limits::RATIO_FREE`] bytes the ratio does not matter.
    pub ratio: u64,
}

impl Limits {
    /// What may inflate by any ratio: a log file of zeros is no attack.
    pub const RATIO_FREE: u64 = 16 << 20;

    /// What a machine with so much memory may take on: what is kept of an entry while an archive
    /// is unpacked, its name included, is about 150 bytes.
    pub fn for_memory(megabytes: u64) -> Self {
        let default = Self::default();
        Self {
            entries: (megabytes * 500).clamp(50_000, default.entries),
            ..default
        }
    }
}

impl Default for Limits {
    /// Several times what the largest projects have, what Lambda's largest disk holds, and what deflate can do: a file
    /// of zeros that is packed here can be unpacked here. What states more lies.
    fn default() -> Self {
        Self {
            entries: 300_000,
            bytes: 10 << 30,
            ratio: 1_032,
        }
    }
}

/// A path within [`Plan::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    start: u32,
    length: u32,
}

/// What an entry becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Link,
}

/// An entry that has been judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Parts joined by `/`, none of them special; empty for the tree itself.
    pub(crate) path: Text,
    /// The name as the archive has it.
    pub(crate) raw: Text,
    pub(crate) kind: Kind,
    /// Permissions: what is created gets exactly these.
    pub(crate) mode: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) bytes: u64,
    /// Of the local header.
    pub(crate) offset: u64,
}

impl Entry {
    /// Whether it has no data at all: what most directories are.
    pub(crate) fn is_nothing(&self) -> bool {
        self.kind == Kind::Directory && self.compressed == 0 && self.crc == 0
    }
}

/// All that an archive unpacks to.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The central directory, and those paths that are not in it as they are.
    text: Vec<u8>,
    /// In the order in which they lie in the archive.
    pub(crate) entries: Vec<Entry>,
    /// Each after the one that it lies in, with its permissions where the archive states any.
    pub(crate) directories: Vec<(Text, Option<u16>)>,
    /// Files, directories and links, those directories included that only names imply.
    pub(crate) nodes: u64,
    /// Where the last entry's data end at the latest.
    directory_start: u64,
}

/// Something that one reader does at a time: some entries, or one that is large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) entries: Range<usize>,
    /// Their headers and data in the archive, and perhaps a little more.
    pub(crate) bytes: Range<u64>,
    /// Whether it is one entry, to be read piece after piece.
    pub(crate) large: bool,
}

const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// Longer than any path that the kernel takes.
pub(crate) const LONGEST_TARGET: u64 = 4_096;
/// How much of a central directory an entry may take on average: a name of 160 bytes, and extra
/// fields.
const ENTRY_BYTES: u64 = 256;
/// How much the targets of links may take on average over all entries: they are kept until the end.
const TARGET_BYTES: u64 = 64;
/// What they may take in any case.
const TARGETS_FLOOR: u64 = 1 << 20;
/// What even the smallest central directory may take.
const DIRECTORY_FLOOR: u64 = 1 << 20;
/// The systems whose entries have a mode: Unix, and macOS as some writers call it (§4.4.2.2).
const UNIX: [u8; 2] = [3, 19];

impl Plan {
    /// Reads the central directory and judges it.
    pub(crate) fn read<S: Source + ?Sized>(source: &S, limits: &Limits) -> Result<Self, S::Error> {
        let length = source.length();
        if length == 0 {
            return Err(not_zip(Content::Empty).into());
        }
        let mut buffer = Vec::new();
        let tail = source.read(length.saturating_sub(end::TAIL)..length, &mut buffer)?;
        let end = match end::locate(tail, length) {
            Ok(Some(end)) => end,
            told => {
                let refusal = told.err().unwrap_or_else(|| {
                    Refusal::corrupt("it has no central directory; it may have been cut off")
                });
                return Err(match told_by_its_head(source)? {
                    Content::Zip => ArchiveError::refused(refusal),
                    content => not_zip(content),
                }
                .into());
            }
        };
        check_size(&end, limits)?;
        let text = source.take(end.directory.clone())?;
        let plan = Self::judge(text, &end, length, limits)?;
        // An archive begins where the object begins: one within another file would be found in
        // different places by different readers.
        let first = plan
            .entries
            .first()
            .map_or(end.directory.start, |entry| entry.offset);
        if first > 0 {
            return Err(match told_by_its_head(source)? {
                Content::Zip => {
                    ArchiveError::corrupt(format!("its first {first} bytes belong to no entry"))
                }
                content => not_zip(content),
            }
            .into());
        }
        Ok(plan)
    }

    /// Bytes of all files together.
    pub(crate) fn bytes(&self) -> u64 {
        let files = self.entries.iter().filter(|entry| entry.kind == Kind::File);
        files.map(|entry| entry.bytes).sum()
    }

    fn judge(text: Vec<u8>, end: &End, length: u64, limits: &Limits) -> Result<Self, ArchiveError> {
        let mut plan = Self {
            entries: Vec::with_capacity(end.entries as usize),
            text,
            directories: Vec::new(),
            nodes: 0,
            directory_start: end.directory.start,
        };
        plan.list(end, limits)?;
        let bytes = plan.entries.iter().map(|entry| entry.bytes).sum();
        check_ratio(length, bytes, limits.ratio).map_err(ArchiveError::refused)?;
        plan.check_spans()?;
        plan.check_tree(limits)?;
        Ok(plan)
    }

    /// Reads every entry and judges it by itself.
    fn list(&mut self, end: &End, limits: &Limits) -> Result<(), ArchiveError> {
        let mut more: Vec<u8> = Vec::new();
        let mut total: u64 = 0;
        let mut targets: u64 = 0;
        let size = self.text.len();
        let mut fields = Fields(&self.text);
        while !fields.0.is_empty() {
            if self.entries.len() as u64 == end.entries {
                return Err(ArchiveError::corrupt(format!(
                    "its central directory has more than the {} entries that its end record states",
                    end.entries
                )));
            }
            let header = Central::read(&mut fields).map_err(ArchiveError::refused)?;
            // Where the names of this entry begin: what comes after it is behind us.
            let raw = text_at(&self.text, header.name);
            let decoded = decode(&header).map_err(|refusal| {
                ArchiveError::entry(&String::from_utf8_lossy(header.name), refusal)
            })?;
            let refuse = |refusal| ArchiveError::entry(&decoded, refusal);
            let bare = decoded.strip_suffix('/').unwrap_or(&decoded).as_bytes();
            let path = if name::is_plain(bare) && header.name.starts_with(bare) {
                Text {
                    length: bare.len() as u32,
                    ..raw
                }
            } else {
                let path = name::parts(&decoded).map_err(refuse)?.join("/");
                let text = Text {
                    start: (size + more.len()) as u32,
                    length: path.len() as u32,
                };
                more.extend(path.as_bytes());
                let limit = directory_limit(limits);
                if more.len() as u64 > limit {
                    return Err(ArchiveError::refused(Refusal::CentralDirectory {
                        bytes: more.len() as u64,
                        limit,
                    }));
                }
                text
            };
            total = total.saturating_add(header.bytes);
            if total > limits.bytes {
                return Err(refuse(Refusal::Bytes {
                    bytes: total,
                    limit: limits.bytes,
                }));
            }
            check_ratio(header.compressed, header.bytes, limits.ratio).map_err(refuse)?;
            let entry = judge(&header, decoded.ends_with('/'), raw, path).map_err(refuse)?;
            if path.length == 0 && entry.kind != Kind::Directory {
                return Err(refuse(Refusal::EmptyName));
            }
            if entry.kind == Kind::Link {
                targets += entry.bytes;
                let limit = limits
                    .entries
                    .saturating_mul(TARGET_BYTES)
                    .max(TARGETS_FLOOR);
                if targets > limit {
                    return Err(ArchiveError::refused(Refusal::LinkTargets {
                        bytes: targets,
                        limit,
                    }));
                }
            }
            self.entries.push(entry);
        }
        if (self.entries.len() as u64) < end.entries {
            return Err(ArchiveError::corrupt(format!(
                "its central directory has {} entries; its end record states {}",
                self.entries.len(),
                end.entries
            )));
        }
        self.text.extend(more);
        Ok(())
    }

    /// Entries that share bytes would let an archive unpack to far more than it holds.
    fn check_spans(&mut self) -> Result<(), ArchiveError> {
        self.entries.sort_by_key(|entry| entry.offset);
        for pair in self.entries.windows(2) {
            if least_end(&pair[0]) > pair[1].offset {
                let other = shown(&self.raw(&pair[0]));
                return Err(self.refuse(&pair[1], Refusal::Overlap { other }));
            }
        }
        if let Some(last) = self.entries.last()
            && least_end(last) > self.directory_start
        {
            let detail = "its data reach into the central directory";
            return Err(self.refuse(last, Refusal::corrupt(detail)));
        }
        Ok(())
    }

    /// Where the header and the data of an entry lie, and perhaps a little more.
    pub(crate) fn span(&self, index: usize) -> Range<u64> {
        let entry = &self.entries[index];
        let next = self.entries.get(index + 1).map(|next| next.offset);
        // The header's extra field may be longer than that in the central directory.
        let most = least_end(entry).saturating_add(u64::from(u16::MAX) + DESCRIPTOR_BYTES as u64);
        entry.offset..next.unwrap_or(self.directory_start).min(most)
    }

    /// Whether the paths make one tree, and which directories that has.
    fn check_tree(&mut self, limits: &Limits) -> Result<(), ArchiveError> {
        let mut order: Vec<u32> = (0..self.entries.len() as u32).collect();
        order.sort_by(|one, two| {
            let path = |index: &u32| self.path_bytes(self.entries[*index as usize].path);
            in_tree_order(path(one), path(two))
        });
        // What the last path lies in, the outermost first; and the last path itself.
        let mut around: Vec<(Text, Kind)> = Vec::new();
        let mut directories = Vec::new();
        let mut nodes: u64 = 0;
        for index in order {
            let entry = &self.entries[index as usize];
            let path = self.path_bytes(entry.path);
            if path.is_empty() {
                continue;
            }
            while let Some((last, kind)) = around.last() {
                let last_path = self.path_bytes(*last);
                if last_path == path {
                    let refusal = match (kind, entry.kind) {
                        (Kind::Directory, Kind::File) | (Kind::File, Kind::Directory) => {
                            Refusal::FileAndDirectory
                        }
                        _ => Refusal::Duplicate,
                    };
                    return Err(self.refuse(entry, refusal));
                }
                if lies_in(path, last_path) {
                    break;
                }
                around.pop();
            }
            let outer = match around.last() {
                None => 0,
                Some((last, Kind::Directory)) => last.length as usize + 1,
                Some((last, Kind::File)) => {
                    return Err(ArchiveError::entry(
                        &self.path(*last),
                        Refusal::FileAndDirectory,
                    ));
                }
                Some((last, Kind::Link)) => {
                    let link = shown(&self.path(*last));
                    return Err(self.refuse(entry, Refusal::ThroughLink { link }));
                }
            };
            let implied = path
                .iter()
                .enumerate()
                .skip(outer)
                .filter(|(_, byte)| **byte == b'/')
                .map(|(at, _)| Text {
                    length: at as u32,
                    ..entry.path
                });
            for directory in implied {
                directories.push((directory, None));
                around.push((directory, Kind::Directory));
                nodes += 1;
            }
            if entry.kind == Kind::Directory {
                directories.push((entry.path, Some(entry.mode)));
            }
            around.push((entry.path, entry.kind));
            nodes += 1;
            if nodes > limits.entries {
                return Err(ArchiveError::refused(Refusal::Entries {
                    entries: nodes,
                    limit: limits.entries,
                }));
            }
        }
        (self.directories, self.nodes) = (directories, nodes);
        Ok(())
    }

    /// An entry whose path differs from another's in nothing that a file system without regard to
    /// case would see. (Of names with accents only O_EXCL can tell: such file systems differ.)
    pub(crate) fn folded_duplicate(&self) -> Option<&Entry> {
        let mut seen = HashSet::with_capacity(self.entries.len());
        self.entries
            .iter()
            .find(|entry| !seen.insert(self.path(entry.path).to_lowercase()))
    }

    /// Cuts the archive into what one reader does at a time, of about `size` bytes; less towards the end, so that
    /// all of some readers come to it at about the same time.
    pub(crate) fn works(&self, size: u64, readers: usize) -> Vec<Work> {
        let mut works: Vec<Work> = Vec::new();
        let end_begins = self
            .directory_start
            .saturating_sub(size.saturating_mul(readers as u64));
        for (index, entry) in self.entries.iter().enumerate() {
            let end = self.span(index).end;
            let large = end - entry.offset > size;
            let at_the_end = readers > 1 && entry.offset >= end_begins;
            let most = if at_the_end { size / 4 } else { size };
            match works.last_mut() {
                Some(last)
                    if !large
                        && !last.large
                        && last.bytes.end == entry.offset
                        && end - last.bytes.start <= most =>
                {
                    last.entries.end = index + 1;
                    last.bytes.end = end;
                }
                _ => works.push(Work {
                    entries: index..index + 1,
                    bytes: entry.offset..end,
                    large,
                }),
            }
        }
        // What takes longest is begun first, so that nobody waits for it at the end.
        works.sort_by_key(|work| !work.large);
        works
    }

    /// The file at a path, given as parts joined by `/`.
    pub(crate) fn file(&self, path: &str) -> Option<usize> {
        self.entries.iter().position(|entry| {
            entry.kind == Kind::File && self.path_bytes(entry.path) == path.as_bytes()
        })
    }

    pub(crate) fn path(&self, text: Text) -> Cow<'_, str> {
        String::from_utf8_lossy(self.path_bytes(text))
    }

    pub(crate) fn path_bytes(&self, text: Text) -> &[u8] {
        let start = text.start as usize;
        &self.text[start..start + text.length as usize]
    }

    fn raw(&self, entry: &Entry) -> Cow<'_, str> {
        self.path(entry.raw)
    }

    pub(crate) fn refuse(&self, entry: &Entry, refusal: Refusal) -> ArchiveError {
        ArchiveError::entry(&self.raw(entry), refusal)
    }
}

/// Where an entry's data end at the earliest: its own header may have an extra field.
fn least_end(entry: &Entry) -> u64 {
    let header = LOCAL_BYTES as u64 + u64::from(entry.raw.length);
    entry
        .offset
        .saturating_add(header)
        .saturating_add(entry.compressed)
}

fn not_zip(content: Content) -> ArchiveError {
    ArchiveError::NotZip {
        archive: NAMELESS.to_owned(),
        content,
    }
}

/// Bounds what is read into memory before it is read.
fn check_size(end: &End, limits: &Limits) -> Result<(), ArchiveError> {
    if end.entries > limits.entries {
        return Err(ArchiveError::refused(Refusal::Entries {
            entries: end.entries,
            limit: limits.entries,
        }));
    }
    let bytes = end.directory.end - end.directory.start;
    let limit = directory_limit(limits);
    if bytes > limit {
        return Err(ArchiveError::refused(Refusal::CentralDirectory {
            bytes,
            limit,
        }));
    }
    if end.entries.saturating_mul(CENTRAL_BYTES as u64) > bytes {
        return Err(ArchiveError::corrupt(format!(
            "its central directory is too short for the {} entries that its end record states",
            end.entries
        )));
    }
    Ok(())
}

/// How large a central directory may be; and how large those names that are not in it as they are.
fn directory_limit(limits: &Limits) -> u64 {
    let limit = limits.entries.saturating_mul(ENTRY_BYTES);
    limit.clamp(DIRECTORY_FLOOR, u64::from(u32::MAX) / 2)
}

fn text_at(text: &[u8], part: &[u8]) -> Text {
    Text {
        start: (part.as_ptr() as usize - text.as_ptr() as usize) as u32,
        length: part.len() as u32,
    }
}

/// The name of an entry, in the encoding that it is said to be in.
fn decode<'a>(header: &Central<'a>) -> Result<Cow<'a, str>, Refusal> {
    let utf8 = |bytes: &'a [u8]| {
        std::str::from_utf8(bytes)
            .map(Into::into)
            .map_err(|_| Refusal::NameNotUtf8)
    };
    match header.unicode_path() {
        Some(name) if header.flags & UTF8 != 0 && name != header.name => Err(Refusal::corrupt(
            "it has two names, one in its header and one in an extra field",
        )),
        Some(name) => utf8(name),
        None if header.flags & UTF8 != 0 || header.name.is_ascii() => utf8(header.name),
        // As Info-ZIP does: who writes on Unix and does not say so means UTF-8.
        None => Ok(match std::str::from_utf8(header.name) {
            Ok(name) if UNIX.contains(&header.system) => name.into(),
            _ => cp437::decode(header.name).into(),
        }),
    }
}

fn judge(header: &Central<'_>, slash: bool, raw: Text, path: Text) -> Result<Entry, Refusal> {
    if header.flags & ENCRYPTED != 0 {
        return Err(Refusal::Encrypted);
    }
    if header.flags & PATCH != 0 {
        return Err(Refusal::Method {
            method: "of patched data".to_owned(),
        });
    }
    check_method(header.method)?;
    if header.method == STORED && header.compressed != header.bytes {
        return Err(Refusal::corrupt(format!(
            "it is stored as it is, in {} bytes, and is to be {} bytes",
            header.compressed, header.bytes
        )));
    }
    let mode = if UNIX.contains(&header.system) {
        header.attributes >> 16
    } else {
        0
    };
    let kind = kind(mode, slash)?;
    let mode = match kind {
        Kind::Directory if header.bytes > 0 => {
            return Err(Refusal::corrupt("it is a directory, and has data"));
        }
        Kind::Directory => directory_mode(mode),
        Kind::File => file_mode(mode),
        Kind::Link if header.bytes == 0 || header.bytes > LONGEST_TARGET => {
            return Err(Refusal::LinkTarget);
        }
        Kind::Link => 0,
    };
    Ok(Entry {
        path,
        raw,
        kind,
        mode,
        flags: header.flags & KEPT,
        method: header.method,
        crc: header.crc,
        compressed: header.compressed,
        bytes: header.bytes,
        offset: header.offset,
    })
}

/// What the name says (a slash at the end) and what the mode says have to agree.
fn kind(mode: u32, slash: bool) -> Result<Kind, Refusal> {
    match mode & KIND {
        LINK if !slash => Ok(Kind::Link),
        0 | FILE if !slash => Ok(Kind::File),
        // Some writers give every entry the mode of a file.
        0 | DIRECTORY | FILE if slash => Ok(Kind::Directory),
        LINK | FILE => Err(Refusal::FileAndDirectory),
        DIRECTORY => Ok(Kind::Directory),
        0o010_000 => Err(Refusal::SpecialFile { kind: "named pipe" }),
        0o140_000 => Err(Refusal::SpecialFile { kind: "socket" }),
        0o020_000 | 0o060_000 => Err(Refusal::SpecialFile { kind: "device" }),
        _ => Err(Refusal::SpecialFile {
            kind: "file of an unknown type",
        }),
    }
}

/// Permission bits only: no set-user-id survives. Nothing stated means `rw-r--r--`; and what is
/// unpacked can always be read by who unpacked it.
fn file_mode(mode: u32) -> u16 {
    match mode as u16 & 0o777 {
        0 => 0o644,
        mode => mode | 0o400,
    }
}

/// The same for a directory, which its owner must be able to empty again.
fn directory_mode(mode: u32) -> u16 {
    match mode as u16 & 0o777 {
        0 => 0o755,
        mode => mode | 0o700,
    }
}

fn check_method(method: u16) -> Result<(), Refusal> {
    let name = match method {
        STORED | DEFLATED => return Ok(()),
        9 => " (deflate64)",
        12 => " (bzip2)",
        14 => " (lzma)",
        93 => " (zstd)",
        95 => " (xz)",
        98 => " (ppmd)",
        99 => " (encrypted by AES)",
        _ => "",
    };
    Err(Refusal::Method {
        method: format!("{method}{name}"),
    })
}

fn check_ratio(compressed: u64, bytes: u64, limit: u64) -> Result<(), Refusal> {
    if bytes > Limits::RATIO_FREE && bytes / limit.max(1) >= compressed.max(1) {
        return Err(Refusal::Ratio {
            compressed,
            bytes,
            limit,
        });
    }
    Ok(())
}

/// Byte by byte, but `/` before all else: what lies in a directory follows it at once.
fn in_tree_order(one: &[u8], two: &[u8]) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    match one.iter().zip(two).find(|(one, two)| one != two) {
        Some((one, two)) => rank(*one).cmp(&rank(*two)),
        None => one.len().cmp(&two.len()),
    }
}

/// Whether a path lies in another, at any depth.
fn lies_in(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_keep_their_permissions_and_lose_the_rest() {
        for (given, file, directory) in [
            (0, 0o644, 0o755),
            (0o100_000, 0o644, 0o755),
            (0o104_755, 0o755, 0o755),
            (0o106_644, 0o644, 0o744),
            (0o100_600, 0o600, 0o700),
            (0o100_222, 0o622, 0o722),
            (0o041_777, 0o777, 0o777),
        ] {
            assert_eq!(file_mode(given), file, "{given:o}");
            assert_eq!(directory_mode(given), directory, "{given:o}");
        }
    }

    #[test]
    fn a_ratio_counts_only_beyond_what_is_free() {
        let free = Limits::RATIO_FREE;
        for (compressed, bytes, limit, refused) in [
            (1, free, 10, false),
            (1, free + 1, 10, true),
            (free, free * 9, 10, false),
            (free, free * 11, 10, true),
            (0, free + 1, 10, true),
        ] {
            assert_eq!(
                check_ratio(compressed, bytes, limit).is_err(),
                refused,
                "{compressed} to {bytes}"
            );
        }
    }

    #[test]
    fn what_lies_in_a_directory_follows_it_at_once() {
        let mut paths = ["a-b", "a/b", "a", "ab", "a/b/c", "a/-", "a.b", "b"];
        paths.sort_by(|one, two| in_tree_order(one.as_bytes(), two.as_bytes()));
        assert_eq!(paths, ["a", "a/-", "a/b", "a/b/c", "a-b", "a.b", "ab", "b"]);
    }

    #[test]
    fn memory_bounds_the_entries() {
        for (megabytes, entries) in [(128, 64_000), (64, 50_000), (10_240, 300_000)] {
            assert_eq!(Limits::for_memory(megabytes).entries, entries);
        }
    }

    /// Entries of these sizes, one after the other.
    fn plan(sizes: &[u64]) -> Plan {
        let mut offset = 0;
        let mut plan = Plan {
            text: b"name".to_vec(),
            entries: Vec::new(),
            directories: Vec::new(),
            nodes: 0,
            directory_start: 0,
        };
        for size in sizes {
            let text = Text {
                start: 0,
                length: 4,
            };
            plan.entries.push(Entry {
                path: text,
                raw: text,
                kind: Kind::File,
                mode: 0o644,
                flags: 0,
                method: STORED,
                crc: 0,
                compressed: *size,
                bytes: *size,
                offset,
            });
            offset += size + 34;
        }
        plan.directory_start = offset;
        plan
    }

    #[test]
    fn an_archive_is_cut_where_entries_begin() {
        let work = |entries: Range<usize>, bytes: Range<u64>, large| Work {
            entries,
            bytes,
            large,
        };
        for (sizes, expected) in [
            (vec![], vec![]),
            (vec![10], vec![work(0..1, 0..44, false)]),
            (vec![466, 466], vec![work(0..2, 0..1000, false)]),
            (
                vec![466, 467],
                vec![work(0..1, 0..500, false), work(1..2, 500..1001, false)],
            ),
            (vec![966], vec![work(0..1, 0..1000, false)]),
            (
                vec![10, 967, 10, 10],
                vec![
                    work(1..2, 44..1045, true),
                    work(0..1, 0..44, false),
                    work(2..4, 1045..1133, false),
                ],
            ),
        ] {
            assert_eq!(plan(&sizes).works(1000, 1), expected, "{sizes:?}");
        }
    }

    #[test]
    fn what_lies_between_entries_is_not_read() {
        let mut plan = plan(&[10, 10]);
        plan.entries[1].offset += 1 << 20;
        plan.directory_start += 1 << 21;
        let works = plan.works(1 << 20, 1);
        let lengths: Vec<u64> = works
            .iter()
            .map(|work| work.bytes.end - work.bytes.start)
            .collect();
        assert_eq!(lengths, [44 + 65_559, 44 + 65_559]);
    }
}
