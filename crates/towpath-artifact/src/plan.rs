//! What unpacking an archive would do, judged in full before anything is done.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use zip::CompressionMethod;
use zip::read::ArchiveOffset;
use zip::read::{Config, ZipArchive, ZipFile};

use crate::content::{Content, HEAD};
use crate::error::{ArtifactError, NAMELESS, Refusal};
use crate::links::{self, Links};
use crate::{name, preflight};

/// What an archive may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files, directories and links, those directories included that only names imply.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
    /// How many times larger than in the archive an entry, or all of them, may become. Deflate
    /// cannot pass 1,032. Below [`Limits::RATIO_FREE`] bytes the ratio does not matter.
    pub ratio: u64,
}

impl Limits {
    /// What may inflate by any ratio: a log file of zeros is no attack.
    pub const RATIO_FREE: u64 = 16 << 20;
}

impl Default for Limits {
    /// Several times what the largest projects have, and what Lambda's largest disk holds.
    fn default() -> Self {
        Self {
            entries: 300_000,
            bytes: 10 << 30,
            ratio: 300,
        }
    }
}

/// What there will be at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A directory, with the mode that the archive states for it, if any.
    Directory { mode: Option<u32> },
    /// A file: its place in the archive, its mode and size.
    File { index: usize, mode: u32, bytes: u64 },
    /// A link to this target.
    Link { target: String },
}

/// All that an archive unpacks to, by path: parts joined by `/`. A directory sorts before what is in it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) bytes: u64,
}

const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// Longer than any path that the kernel takes.
const LONGEST_TARGET: u64 = 4_096;

/// Opens an archive and judges it.
pub(crate) fn read<R: Read + Seek>(
    mut reader: R,
    limits: &Limits,
) -> Result<(ZipArchive<R>, Plan), ArtifactError> {
    check_kind(&mut reader)?;
    preflight::check(&mut reader, limits.entries)
        .map_err(broken)?
        .map_err(ArtifactError::refused)?;
    let length = reader.seek(std::io::SeekFrom::End(0)).map_err(broken)?;
    // An archive begins where the object begins: the first bytes have been looked at, and an
    // archive within another file would be found in different places by different readers.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let mut archive =
        ZipArchive::with_config(config, reader).map_err(|error| corrupt(error.to_string()))?;
    if archive.has_duplicate_names() {
        let start = archive.central_directory_start();
        let twice = preflight::duplicate(&mut archive.into_inner(), start).map_err(broken)?;
        let name = twice.unwrap_or_else(|| "(renamed by an extra field)".to_owned());
        return Err(ArtifactError::entry(&name, Refusal::Duplicate));
    }
    let plan = judge(&mut archive, length, limits)?;
    Ok((archive, plan))
}

fn check_kind<R: Read + Seek>(reader: &mut R) -> Result<(), ArtifactError> {
    reader.rewind().map_err(broken)?;
    let mut head = Vec::with_capacity(HEAD);
    reader
        .by_ref()
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .map_err(broken)?;
    match Content::of(&head) {
        Content::Zip => Ok(()),
        content => Err(ArtifactError::NotZip {
            archive: NAMELESS.to_owned(),
            content,
        }),
    }
}

fn judge<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    length: u64,
    limits: &Limits,
) -> Result<Plan, ArtifactError> {
    let mut plan = Plan::default();
    let mut links = Links::new();
    let mut spans = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = Judged::of(archive, index)?;
        let refuse = |refusal| ArtifactError::entry(&entry.name, refusal);
        let parts = name::parts(&entry.name).map_err(refuse)?;
        spans.push((entry.span.clone(), entry.name.clone()));
        plan.bytes = plan.bytes.saturating_add(entry.bytes);
        if plan.bytes > limits.bytes {
            return Err(refuse(Refusal::Bytes {
                bytes: plan.bytes,
                limit: limits.bytes,
            }));
        }
        check_ratio(entry.compressed, entry.bytes, limits.ratio).map_err(refuse)?;
        let Some((last, parents)) = parts.split_last() else {
            // `./`: the tree itself, which is there.
            continue;
        };
        let mut path = String::new();
        for part in parents {
            path.push_str(part);
            match plan.nodes.get(&path) {
                None => {
                    plan.nodes
                        .insert(path.clone(), Node::Directory { mode: None });
                }
                Some(Node::Directory { .. }) => {}
                Some(Node::File { .. }) => {
                    return Err(ArtifactError::entry(&path, Refusal::FileAndDirectory));
                }
                Some(Node::Link { .. }) => {
                    return Err(refuse(Refusal::ThroughLink { link: path }));
                }
            }
            path.push('/');
        }
        path.push_str(last);
        if let Node::Link { target } = &entry.node {
            links.insert(path.clone(), target.clone());
        }
        match (plan.nodes.get(&path), &entry.node) {
            (None, _) | (Some(Node::Directory { mode: None }), Node::Directory { .. }) => {}
            (Some(Node::Directory { mode: None }), Node::Link { .. }) => {
                let within = first_within(&plan, &path);
                let link = path;
                return Err(ArtifactError::entry(&within, Refusal::ThroughLink { link }));
            }
            (Some(Node::Directory { .. }), Node::File { .. })
            | (Some(Node::File { .. }), Node::Directory { .. }) => {
                return Err(refuse(Refusal::FileAndDirectory));
            }
            (Some(_), _) => return Err(refuse(Refusal::Duplicate)),
        }
        plan.nodes.insert(path, entry.node);
        if plan.nodes.len() as u64 > limits.entries {
            return Err(ArtifactError::refused(Refusal::Entries {
                entries: plan.nodes.len() as u64,
                limit: limits.entries,
            }));
        }
    }
    check_ratio(length, plan.bytes, limits.ratio).map_err(ArtifactError::refused)?;
    check_overlap(spans, archive.central_directory_start())?;
    for (link, target) in &links {
        if links::leaves(&links, link) {
            let target = crate::error::shown(target);
            return Err(ArtifactError::entry(link, Refusal::LinkLeaves { target }));
        }
    }
    Ok(plan)
}

/// One entry, as far as it can be judged by itself.
struct Judged {
    name: String,
    node: Node,
    bytes: u64,
    compressed: u64,
    /// From its local header to the end of its data.
    span: std::ops::Range<u64>,
}

impl Judged {
    fn of<R: Read + Seek>(
        archive: &mut ZipArchive<R>,
        index: usize,
    ) -> Result<Self, ArtifactError> {
        let raw = archive
            .by_index_raw(index)
            .map_err(|error| corrupt(error.to_string()))?;
        let name = raw
            .name()
            .map_err(|error| corrupt(error.to_string()))?
            .into_owned();
        let refuse = |refusal| ArtifactError::entry(&name, refusal);
        if raw.encrypted() {
            return Err(refuse(Refusal::Encrypted));
        }
        check_method(raw.compression()).map_err(refuse)?;
        let (bytes, compressed) = (raw.size(), raw.compressed_size());
        let start = raw.header_start();
        let end = raw
            .data_start()
            .and_then(|data| data.checked_add(compressed))
            .ok_or_else(|| {
                refuse(Refusal::Corrupt {
                    detail: "its data lie nowhere".to_owned(),
                })
            })?;
        let mode = raw.unix_mode().unwrap_or(0);
        let shape = shape(&raw, mode).map_err(refuse)?;
        drop(raw);
        let node = match shape {
            Shape::Directory => Node::Directory {
                mode: Some(directory_mode(mode)),
            },
            Shape::File => Node::File {
                index,
                mode: file_mode(mode),
                bytes,
            },
            Shape::Link => Node::Link {
                target: target(archive, index, &name, bytes)?,
            },
        };
        Ok(Self {
            name,
            node,
            bytes,
            compressed,
            span: start..end,
        })
    }
}

enum Shape {
    Directory,
    File,
    Link,
}

/// What the name says (a slash at the end) and what the mode says have to agree.
fn shape<R: Read>(raw: &ZipFile<'_, R>, mode: u32) -> Result<Shape, Refusal> {
    let directory = raw.is_dir();
    match mode & KIND {
        LINK if !directory => Ok(Shape::Link),
        0 | FILE if !directory => Ok(Shape::File),
        // Some writers give every entry the mode of a file.
        0 | DIRECTORY | FILE if directory => Ok(Shape::Directory),
        LINK | FILE => Err(Refusal::FileAndDirectory),
        DIRECTORY => Ok(Shape::Directory),
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
fn file_mode(mode: u32) -> u32 {
    match mode & 0o777 {
        0 => 0o644,
        mode => mode | 0o400,
    }
}

/// The same for a directory, which its owner must be able to empty again.
fn directory_mode(mode: u32) -> u32 {
    match mode & 0o777 {
        0 => 0o755,
        mode => mode | 0o700,
    }
}

fn target<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    name: &str,
    bytes: u64,
) -> Result<String, ArtifactError> {
    let refuse = |refusal| ArtifactError::entry(name, refusal);
    if bytes == 0 || bytes > LONGEST_TARGET {
        return Err(refuse(Refusal::LinkTarget));
    }
    let mut target = String::new();
    archive
        .by_index(index)
        .map_err(|error| corrupt(error.to_string()))?
        .take(LONGEST_TARGET)
        .read_to_string(&mut target)
        .map_err(|error| {
            refuse(Refusal::Corrupt {
                detail: error.to_string(),
            })
        })?;
    if target.is_empty() || target.contains('\0') {
        return Err(refuse(Refusal::LinkTarget));
    }
    Ok(target)
}

fn check_method(method: CompressionMethod) -> Result<(), Refusal> {
    let number = match method {
        CompressionMethod::Stored | CompressionMethod::Deflated => return Ok(()),
        other => format!("{other:?}"),
    };
    // "Unsupported(93)" is how the reader names what it was not built for.
    let number: String = number.chars().filter(char::is_ascii_digit).collect();
    let name = match number.as_str() {
        "9" => " (deflate64)",
        "12" => " (bzip2)",
        "14" => " (lzma)",
        "93" => " (zstd)",
        "95" => " (xz)",
        "98" => " (ppmd)",
        _ => "",
    };
    Err(Refusal::Method {
        method: format!("{number}{name}"),
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

/// Entries that share bytes would let an archive unpack to far more than it holds.
fn check_overlap(
    mut spans: Vec<(std::ops::Range<u64>, String)>,
    directory: u64,
) -> Result<(), ArtifactError> {
    spans.sort_by_key(|(span, _)| (span.start, span.end));
    for pair in spans.windows(2) {
        let [(one, one_name), (two, two_name)] = pair else {
            continue;
        };
        if one.end > two.start {
            let other = crate::error::shown(one_name);
            return Err(ArtifactError::entry(two_name, Refusal::Overlap { other }));
        }
    }
    if let Some((_, name)) = spans.iter().find(|(span, _)| span.end > directory) {
        let detail = "its data reach into the central directory".to_owned();
        return Err(ArtifactError::entry(name, Refusal::Corrupt { detail }));
    }
    Ok(())
}

fn first_within(plan: &Plan, directory: &str) -> String {
    let prefix = format!("{directory}/");
    plan.nodes
        .range(prefix.clone()..)
        .next()
        .map(|(path, _)| path.clone())
        .filter(|path| path.starts_with(&prefix))
        .unwrap_or_else(|| directory.to_owned())
}

pub(crate) fn corrupt(detail: String) -> ArtifactError {
    ArtifactError::refused(Refusal::Corrupt { detail })
}

fn broken(source: std::io::Error) -> ArtifactError {
    ArtifactError::Io {
        doing: "read",
        path: NAMELESS.into(),
        source,
    }
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
}
