//! Archives that are put together as they should be, up to a few lies. So they get past what a
//! change to some byte would stop at: sizes, places and checksums are right where nothing is said.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/archive/agreement.rs"]
mod agreement;
#[path = "../../tests/archive/inflate.rs"]
mod inflate;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/archive/raw.rs"]
mod raw;
#[path = "../../tests/archive/reference.rs"]
mod reference;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/archive/tree.rs"]
mod tree;

use raw::{End, Entry};

#[derive(Debug, Arbitrary)]
struct Archive {
    entries: Vec<Spec>,
    end: Vec<EndLie>,
    before: Vec<u8>,
    after: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
struct Spec {
    name: Vec<Part>,
    what: What,
    /// Whether its sums come after its data.
    described: bool,
    lies: Vec<Lie>,
    local_lies: Vec<Lie>,
}

/// Names that meet each other, and lead elsewhere.
#[derive(Debug, Arbitrary)]
enum Part {
    A,
    B,
    Upper,
    Dot,
    Up,
    Slash,
    Backslash,
    Nul,
    Accent,
    Dos,
    Byte(u8),
    Long(u16),
}

#[derive(Debug, Arbitrary)]
enum What {
    Stored(Vec<u8>),
    Deflated(Vec<u8>),
    /// As many bytes of one kind.
    Same(u8, u16),
    /// Whatever these bytes inflate to.
    Data(Vec<u8>),
    Link(Vec<Part>),
    Directory,
}

/// What a field is set to that is not true.
#[derive(Debug, Arbitrary)]
enum Lie {
    Name(Vec<Part>),
    System(u8),
    Mode(u16),
    Flags(u16),
    Method(u16),
    Crc(u32),
    Bytes(i8),
    Compressed(i8),
    Sizes(u32, u32),
    Extra(Vec<u8>),
    Wide(Vec<u64>),
    UnicodePath(Vec<Part>),
    Comment(Vec<u8>),
    Disk(u16),
    Offset(u16),
    Data(Vec<u8>),
    Descriptor(Vec<u8>),
    WideDescriptor,
    Signature([u8; 4]),
}

#[derive(Debug, Arbitrary)]
enum EndLie {
    Disk(u16),
    Entries(u16, u16),
    Bytes(i8),
    Start(i8),
    Comment(Vec<u8>),
    CommentBytes(u16),
    Wide,
    WideEntries(u64, u64),
    WideStart(u64),
    WideBytes(u64),
    WideAt(i8),
}

fn name(parts: &[Part]) -> Vec<u8> {
    let mut name = Vec::new();
    for part in parts.iter().take(20) {
        match part {
            Part::A => name.extend(b"a"),
            Part::B => name.extend(b"b/"),
            Part::Upper => name.extend(b"A"),
            Part::Dot => name.extend(b"./"),
            Part::Up => name.extend(b"../"),
            Part::Slash => name.extend(b"/"),
            Part::Backslash => name.extend(b"\\"),
            Part::Nul => name.push(0),
            Part::Accent => name.extend("\u{fc}".as_bytes()),
            Part::Dos => name.push(0x81),
            Part::Byte(byte) => name.push(*byte),
            Part::Long(length) => name.resize(name.len() + usize::from(length % 300), b'x'),
        }
    }
    name
}

fn entry(spec: &Spec) -> Entry {
    let mut entry = match &spec.what {
        What::Stored(content) => raw::stored("", content),
        What::Deflated(content) => raw::deflated("", content),
        What::Same(byte, times) => raw::deflated("", &vec![*byte; usize::from(*times)]),
        What::Data(data) => {
            let content = inflate::inflate(data, 1 << 16).unwrap_or_default();
            raw::with(raw::stored("", &content), |entry| {
                (entry.method, entry.compressed) = (8, data.len() as u32);
                entry.data.clone_from(data);
            })
        }
        What::Link(target) => raw::with(raw::stored("", &name(target)), |entry| {
            entry.mode = 0o120_777;
        }),
        What::Directory => raw::directory(""),
    };
    entry.name = name(&spec.name);
    if matches!(spec.what, What::Directory) {
        entry.name.push(b'/');
    }
    if spec.described {
        entry = raw::described(entry);
    }
    let lie = |entry: &mut Entry, lies: &[Lie]| lies.iter().take(4).for_each(|it| tell(entry, it));
    if !spec.local_lies.is_empty() {
        entry = raw::locally(entry, |local| lie(local, &spec.local_lies));
    } else if !spec.described {
        // Both headers say the same.
        lie(&mut entry, &spec.lies);
        return entry;
    }
    lie(&mut entry, &spec.lies);
    entry
}

fn tell(entry: &mut Entry, lie: &Lie) {
    match lie {
        Lie::Name(parts) => entry.name = name(parts),
        Lie::System(system) => entry.system = *system,
        Lie::Mode(mode) => entry.mode = u32::from(*mode),
        Lie::Flags(flags) => entry.flags = *flags,
        Lie::Method(method) => entry.method = *method,
        Lie::Crc(crc) => entry.crc = *crc,
        Lie::Bytes(by) => entry.bytes = entry.bytes.wrapping_add_signed((*by).into()),
        Lie::Compressed(by) => {
            entry.compressed = entry.compressed.wrapping_add_signed((*by).into())
        }
        Lie::Sizes(bytes, compressed) => (entry.bytes, entry.compressed) = (*bytes, *compressed),
        Lie::Extra(extra) => entry.extra.clone_from(extra),
        Lie::Wide(values) => {
            entry.extra = raw::wide(&values[..values.len().min(4)]);
            (entry.bytes, entry.compressed) = (u32::MAX, u32::MAX);
        }
        Lie::UnicodePath(parts) => {
            let mut content = vec![1];
            content.extend(raw::crc32(&entry.name).to_le_bytes());
            content.extend(name(parts));
            entry.extra = raw::field(0x7075, &content);
            entry.flags &= !0x800;
        }
        Lie::Comment(comment) => entry.comment.clone_from(comment),
        Lie::Disk(disk) => entry.disk = *disk,
        Lie::Offset(offset) => entry.offset = Some((*offset).into()),
        Lie::Data(data) => entry.data.clone_from(data),
        Lie::Descriptor(bytes) => entry.descriptor.clone_from(bytes),
        Lie::WideDescriptor => {
            entry.descriptor.clear();
            raw::put32(&mut entry.descriptor, entry.crc);
            raw::put64(&mut entry.descriptor, entry.compressed.into());
            raw::put64(&mut entry.descriptor, entry.bytes.into());
        }
        Lie::Signature(signature) => entry.signature = *signature,
    }
}

fn tell_at_the_end(end: &mut End, lie: &EndLie) {
    match lie {
        EndLie::Disk(disk) => end.disk = *disk,
        EndLie::Entries(here, entries) => (end.here, end.entries) = (*here, *entries),
        EndLie::Bytes(by) => end.bytes = end.bytes.wrapping_add_signed((*by).into()),
        EndLie::Start(by) => end.start = end.start.wrapping_add_signed((*by).into()),
        EndLie::Comment(comment) => end.comment.clone_from(comment),
        EndLie::CommentBytes(bytes) => end.comment_bytes = Some(*bytes),
        EndLie::Wide => drop(end.widen()),
        EndLie::WideEntries(here, entries) => {
            let wide = end.widen();
            (wide.here, wide.entries) = (*here, *entries);
        }
        EndLie::WideStart(start) => end.widen().start = *start,
        EndLie::WideBytes(bytes) => end.widen().bytes = *bytes,
        EndLie::WideAt(by) => {
            let wide = end.widen();
            wide.at = wide.at.wrapping_add_signed((*by).into());
        }
    }
}

fuzz_target!(|made: Archive| {
    let entries: Vec<Entry> = made.entries.iter().take(12).map(entry).collect();
    let archive = raw::ending(&entries, |end| {
        for lie in made.end.iter().take(3) {
            tell_at_the_end(end, lie);
        }
    });
    let bytes = [&made.before[..], &archive, &made.after].concat();
    for segment in [1 << 20, 1] {
        if let Err(said) = agreement::agrees_with_the_reference(&bytes, segment) {
            panic!("by segments of {segment}: {said}: {made:?}, which is {bytes:02x?}");
        }
    }
});
