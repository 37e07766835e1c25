//! A reader to compare with: one thread, the whole archive in memory, nothing created, and nothing
//! shared with the reader that is tested; not its parser, not its inflater.
//!
//! It trusts what it reads as far as it can, because it has to say what an archive holds only
//! where the other one takes it.

use std::collections::BTreeMap;

use crate::inflate::inflate;
use crate::tree::{Node, Tree};

/// What an archive holds, with the directories that its names imply; or why it cannot be told.
pub(crate) fn read(archive: &[u8]) -> Result<Tree, String> {
    let end = archive
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")
        .ok_or("no end record")?;
    let mut count = u64::from(number::<2>(archive, end + 10)? as u16);
    let mut at = number::<4>(archive, end + 16)?;
    if end >= 20 && archive[end - 20..].starts_with(b"PK\x06\x07") {
        let wide = number::<8>(archive, end - 12)? as usize;
        count = number::<8>(archive, wide + 32)?;
        at = number::<8>(archive, wide + 48)?;
    }
    let mut at = usize::try_from(at).map_err(|_| "far away")?;
    let mut tree = Tree::new();
    for _ in 0..count {
        let (name, node, next) = entry(archive, at)?;
        at = next;
        let parts: Vec<&str> = name
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        if parts.contains(&"..") || name.starts_with('/') || name.contains(['\\', '\0']) {
            return Err(format!("{name:?} leads out"));
        }
        for depth in 1..parts.len() {
            let parent = tree
                .entry(parts[..depth].join("/"))
                .or_insert(Node::Directory);
            if *parent != Node::Directory {
                return Err(format!("{name:?} lies in a file"));
            }
        }
        if parts.is_empty() {
            continue;
        }
        let path = parts.join("/");
        // A directory may come after what is in it.
        if node == Node::Directory && tree.get(&path) == Some(&node) {
            continue;
        }
        if tree.insert(path, node).is_some() {
            return Err(format!("{name:?} is there twice"));
        }
    }
    Ok(tree)
}

/// The entry whose header in the central directory is at `at`; and where the next one is.
fn entry(archive: &[u8], at: usize) -> Result<(String, Node, usize), String> {
    if !archive
        .get(at..)
        .is_some_and(|it| it.starts_with(b"PK\x01\x02"))
    {
        return Err("no entry".to_owned());
    }
    let system = number::<1>(archive, at + 5)?;
    let flags = number::<2>(archive, at + 8)?;
    let method = number::<2>(archive, at + 10)?;
    let crc = number::<4>(archive, at + 16)?;
    let mut compressed = number::<4>(archive, at + 20)?;
    let mut size = number::<4>(archive, at + 24)?;
    let name_bytes = number::<2>(archive, at + 28)? as usize;
    let extra_bytes = number::<2>(archive, at + 30)? as usize;
    let comment_bytes = number::<2>(archive, at + 32)? as usize;
    let attributes = number::<4>(archive, at + 38)?;
    let mut offset = number::<4>(archive, at + 42)?;
    let raw = part(archive, at + 46, name_bytes)?;
    let extra = fields(part(archive, at + 46 + name_bytes, extra_bytes)?);
    let next = at + 46 + name_bytes + extra_bytes + comment_bytes;

    if let Some(wide) = extra.get(&1) {
        let mut from = 0;
        for value in [&mut size, &mut compressed, &mut offset] {
            if *value == 0xFFFF_FFFF {
                *value = number::<8>(wide, from)?;
                from += 8;
            }
        }
    }
    let offset = usize::try_from(offset).map_err(|_| "far away")?;
    let skip = number::<2>(archive, offset + 26)? + number::<2>(archive, offset + 28)?;
    let compressed = usize::try_from(compressed).map_err(|_| "too large")?;
    let data = part(archive, offset + 30 + skip as usize, compressed)?;
    let name = name(raw, flags, system, &extra)?;
    let mode = if system == 3 || system == 19 {
        (attributes >> 16) as u32
    } else {
        0
    };
    let permissions = mode & 0o777;
    let kind = match mode & 0o170_000 {
        0 | 0o040_000 | 0o100_000 if name.ends_with('/') => 0o040_000,
        0 => 0o100_000,
        kind => kind,
    };
    if kind == 0o040_000 && (size, compressed, crc) == (0, 0, 0) {
        return Ok((name, Node::Directory, next));
    }
    let content = match method {
        0 => data.to_vec(),
        8 => inflate(data, size)?,
        _ => return Err(format!("method {method}")),
    };
    if content.len() as u64 != size || u64::from(crc32(&content)) != crc {
        return Err("another size or checksum".to_owned());
    }

    let node = match kind {
        0o120_000 => Node::Link(String::from_utf8(content).map_err(|_| "no path")?),
        0o100_000 => Node::File {
            mode: match permissions {
                0 => 0o644,
                some => some | 0o400,
            },
            content,
        },
        0o040_000 if size == 0 => Node::Directory,
        _ => return Err(format!("mode {mode:o}, of {size} bytes")),
    };
    Ok((name, node, next))
}

fn name(raw: &[u8], flags: u64, system: u64, extra: &Fields<'_>) -> Result<String, String> {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| "not UTF-8".to_owned());
    if let Some(field) = extra.get(&0x7075)
        && field.len() >= 5
        && field[0] == 1
        && number::<4>(field, 1)? == u64::from(crc32(raw))
    {
        return utf8(&field[5..]);
    }
    if flags & 0x800 != 0 {
        return utf8(raw);
    }
    if (system == 3 || system == 19)
        && let Ok(name) = utf8(raw)
    {
        return Ok(name);
    }
    Ok(raw.iter().map(|byte| of_dos(*byte)).collect())
}

/// A character of code page 437.
fn of_dos(byte: u8) -> char {
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    match byte {
        0..0x80 => byte.into(),
        0x80.. => UPPER.chars().nth(usize::from(byte) - 0x80).unwrap(),
    }
}

type Fields<'a> = BTreeMap<u64, &'a [u8]>;

/// The extra fields, the first of each kind.
fn fields(extra: &[u8]) -> Fields<'_> {
    let mut found = Fields::new();
    let mut at = 0;
    while let (Ok(id), Ok(length)) = (number::<2>(extra, at), number::<2>(extra, at + 2)) {
        let Ok(content) = part(extra, at + 4, length as usize) else {
            break;
        };
        found.entry(id).or_insert(content);
        at += 4 + length as usize;
    }
    found
}

fn part(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], String> {
    bytes
        .get(at..at.saturating_add(length))
        .ok_or_else(|| "cut off".to_owned())
}

/// A number of so many bytes.
fn number<const BYTES: usize>(bytes: &[u8], at: usize) -> Result<u64, String> {
    let mut wide = [0; 8];
    wide[..BYTES].copy_from_slice(part(bytes, at, BYTES)?);
    Ok(u64::from_le_bytes(wide))
}

fn crc32(content: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = value >> 1 ^ (0xEDB8_8320 & (value & 1).wrapping_neg());
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !content.iter().fold(u32::MAX, |crc, byte| {
        crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)]
    })
}
