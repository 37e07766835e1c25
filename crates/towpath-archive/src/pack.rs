//! A directory tree becomes a zip archive, the same bytes wherever and whenever.
//!
//! Sorted names, the beginning of 1980 as every time, modes 0644 or 0755 by whether anybody may
//! execute the file, links as links, and directories only where they are empty.
//!
//! Several threads deflate: small files by the batch, large ones by the chunk. What they make is
//! put together in order as it comes, and handed on at once; a few pieces are on their way at any
//! time, and no more.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};

use libdeflater::crc32;
use sha2::{Digest, Sha256};

use crate::assembly::{Assembly, record};
use crate::beneath::{Beneath, Place};
use crate::deflate::{CHUNK, DICTIONARY, Deflater, WHOLE};
use crate::error::{ArchiveError, is_full};
use crate::format::{STORED, Sums};
use crate::ledger::{Ledger, Run};
use crate::listing::{FileState, Item, Listing, What, unpackable};

/// An archive that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Entries: files, links and empty directories.
    pub entries: u64,
    /// The archive's size.
    pub bytes: u64,
    /// SHA-256 of the archive, in lower-case hexadecimal.
    pub sha256: String,
}

/// How a tree is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// How much work is put into making it small, from 0 (none) to 12 (ten times what 6 takes, for
    /// two parts in a hundred). Another level gives other bytes for the same tree, so it is chosen
    /// by people, never by how fast a machine is.
    pub level: u8,
    /// How many threads deflate: as many as there are processors. The bytes do not depend on it.
    pub threads: usize,
}

impl Packing {
    /// As small as what `zip` makes if nothing else is said, or a hundredth smaller, in a third of
    /// its time. Level 6 makes another hundredth less of it, and takes a sixth longer.
    pub const LEVEL: u8 = 5;
    /// The highest level.
    pub const HIGHEST: u8 = 12;
    /// Goes up by one whenever the same files, at the same level, come out as other bytes than
    /// before: what an archive with another number holds is not what would be packed now.
    pub const FORMAT: u32 = 1;
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            level: Self::LEVEL,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// What takes an archive's bytes, in their order.
pub trait Sink {
    /// Why it cannot take them.
    type Error: From<ArchiveError>;

    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Takes these bytes of an archive, which has this number in the ledger.
    fn copy(&mut self, archive: usize, bytes: Range<u64>) -> Result<(), Self::Error>;
}

/// Packs all that is in a directory. Links are kept, not followed. Blocks.
pub fn pack(directory: &Path, archive: impl Write, how: &Packing) -> Result<Packed, ArchiveError> {
    let listing = Listing::of_directory(directory)?;
    let mut sink = Written {
        archive,
        hasher: Sha256::new(),
        bytes: 0,
        packing: directory,
    };
    pack_into(&listing, &mut sink, how, &Ledger::default())?;
    Ok(Packed {
        entries: listing.entries(),
        bytes: sink.bytes,
        sha256: hex::encode(sink.hasher.finalize()),
    })
}

/// A sink that writes, and hashes what it writes.
struct Written<'a, W> {
    archive: W,
    hasher: Sha256,
    bytes: u64,
    packing: &'a Path,
}

impl<W: Write> Sink for Written<'_, W> {
    type Error = ArchiveError;

    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.archive.write_all(bytes).map_err(|error| {
            if is_full(&error) {
                return ArchiveError::NoSpace {
                    directory: std::env::temp_dir(),
                    doing: format!("packing {}", self.packing.display()),
                };
            }
            ArchiveError::io("pack", self.packing, error)
        })
    }

    fn copy(&mut self, _: usize, _: Range<u64>) -> Result<(), ArchiveError> {
        unreachable!("there is nothing in the ledger")
    }
}

/// Packs what is listed and hands the archive on piece after piece. What the ledger knows, and
/// nobody has changed since, is not deflated but copied; the archive is the same. Blocks.
pub fn pack_into<K: Sink>(
    listing: &Listing,
    sink: &mut K,
    how: &Packing,
    ledger: &Ledger,
) -> Result<(), K::Error> {
    let beneath = match &listing.root {
        None => None,
        Some(root) => Some(
            Beneath::open(root).map_err(|error| ArchiveError::io("open directory", root, error))?,
        ),
    };
    let source = Files {
        listing,
        beneath,
        level: how.level.min(Packing::HIGHEST),
    };
    let steps = steps(&listing.items, ledger.runs(&listing.items));
    let mut assembly = Assembly::new(listing, sink);
    let jobs = steps.iter().filter(|step| matches!(step, Step::Make(_)));
    let jobs = jobs.count();
    if jobs <= 1 {
        let mut hands = Hands::new(&source);
        for step in steps {
            match step {
                Step::Make(job) => assembly.add(&job, hands.work(&job)?)?,
                Step::Copy(run) => assembly.copy(&run, ledger)?,
            }
        }
        return assembly.finish();
    }
    let threads = how.threads.clamp(1, jobs);
    let (give, take) = mpsc::channel::<(Job, mpsc::SyncSender<Done>)>();
    let take = Mutex::new(take);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut hands = Hands::new(&source);
                // Nobody gives any more when all is done, or when something failed.
                while let Ok((job, done)) = next(&take) {
                    let _ = done.send(hands.work(&job));
                }
            });
        }
        let ahead = 2 * threads;
        let mut under_way = VecDeque::new();
        let mut steps = steps.into_iter();
        loop {
            while under_way.len() < ahead
                && let Some(step) = steps.next()
            {
                under_way.push_back(match step {
                    Step::Make(job) => {
                        let (done, made) = mpsc::sync_channel(1);
                        let _ = give.send((job.clone(), done));
                        UnderWay::Made(job, made)
                    }
                    Step::Copy(run) => UnderWay::Copied(run),
                });
            }
            match under_way.pop_front() {
                None => break,
                Some(UnderWay::Copied(run)) => assembly.copy(&run, ledger)?,
                Some(UnderWay::Made(job, made)) => {
                    let Ok(made) = made.recv() else {
                        // Its thread panicked, and the scope will, too.
                        break;
                    };
                    assembly.add(&job, made?)?;
                }
            }
        }
        drop(give);
        assembly.finish()
    })
}

/// What comes next in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Make(Job),
    Copy(Run),
}

enum UnderWay {
    Made(Job, mpsc::Receiver<Done>),
    Copied(Run),
}

type Done = Result<Made, ArchiveError>;

fn next<T>(take: &Mutex<mpsc::Receiver<T>>) -> Result<T, mpsc::RecvError> {
    take.lock().unwrap_or_else(PoisonError::into_inner).recv()
}

/// What one thread does at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Some items, none of which is a large file.
    Batch(Range<usize>),
    /// One chunk of a large file.
    Chunk { item: usize, at: u64, last: bool },
}

/// What is handed to a thread at once.
const BATCH_ITEMS: usize = 64;
const BATCH_BYTES: u64 = 1 << 20;

/// All that is to be done, in order: what is not in a run is cut into jobs.
fn steps(items: &[Item], runs: Vec<Run>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut from = 0;
    for run in runs {
        let end = run.items.end;
        jobs(items, from..run.items.start, &mut steps);
        steps.push(Step::Copy(run));
        from = end;
    }
    jobs(items, from..items.len(), &mut steps);
    steps
}

/// Cuts items into jobs: by their sizes alone, so that the archive does not depend on threads.
fn jobs(items: &[Item], range: Range<usize>, steps: &mut Vec<Step>) {
    let mut batch_bytes = 0;
    for index in range {
        let item = &items[index];
        let bytes = match &item.what {
            What::File { state, .. } => state.bytes,
            What::Bytes(bytes) => bytes.len() as u64,
            What::Link(_) | What::EmptyDirectory => 0,
        };
        if bytes > WHOLE {
            let chunks = bytes.div_ceil(CHUNK);
            steps.extend((0..chunks).map(|chunk| {
                Step::Make(Job::Chunk {
                    item: index,
                    at: chunk * CHUNK,
                    last: chunk + 1 == chunks,
                })
            }));
            continue;
        }
        match steps.last_mut() {
            Some(Step::Make(Job::Batch(batch)))
                if batch.len() < BATCH_ITEMS && batch_bytes + bytes <= BATCH_BYTES =>
            {
                batch.end = index + 1;
                batch_bytes += bytes;
            }
            _ => {
                steps.push(Step::Make(Job::Batch(index..index + 1)));
                batch_bytes = bytes;
            }
        }
    }
}

/// What a job made.
pub(crate) enum Made {
    /// Headers and data of some items, and where in them each begins.
    Batch {
        bytes: Vec<u8>,
        entries: Vec<(usize, Coded)>,
    },
    /// A piece of a large file's data.
    Chunk {
        bytes: Vec<u8>,
        crc: crc32fast::Hasher,
        length: u64,
    },
}

/// How an item was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coded {
    pub(crate) method: u16,
    pub(crate) sums: Sums,
}

/// Where the items' contents come from.
struct Files<'a> {
    listing: &'a Listing,
    beneath: Option<Beneath>,
    level: u8,
}

/// What one thread works with.
struct Hands<'a> {
    files: &'a Files<'a>,
    deflater: Deflater,
    place: Place,
    content: Vec<u8>,
    dictionary: Vec<u8>,
}

impl<'a> Hands<'a> {
    fn new(files: &'a Files<'a>) -> Self {
        Self {
            files,
            deflater: Deflater::new(files.level),
            place: Place::default(),
            content: Vec::new(),
            dictionary: Vec::new(),
        }
    }

    fn work(&mut self, job: &Job) -> Done {
        match job {
            Job::Batch(items) => self.batch(items.clone()),
            Job::Chunk { item, at, last } => self.chunk(*item, *at, *last),
        }
    }

    fn batch(&mut self, items: Range<usize>) -> Done {
        let mut bytes = Vec::new();
        let mut entries = Vec::with_capacity(items.len());
        for item in &self.files.listing.items[items] {
            entries.push((bytes.len(), self.small(item, &mut bytes)?));
        }
        Ok(Made::Batch { bytes, entries })
    }

    /// Header and data of an item that is not large.
    fn small(&mut self, item: &Item, out: &mut Vec<u8>) -> Result<Coded, ArchiveError> {
        let content: &[u8] = match &item.what {
            What::File { at, state, .. } => {
                let file = open(self.files, &mut self.place, item, at.as_deref())?;
                read(self.files, item, &file, state, &mut self.content)?
            }
            What::Bytes(bytes) => bytes,
            What::Link(target) => target.as_bytes(),
            What::EmptyDirectory => &[],
        };
        let (method, data) = match &item.what {
            What::Link(_) => (STORED, content),
            _ => self.deflater.whole(content),
        };
        let written = Coded {
            method,
            sums: Sums {
                crc: crc32(content),
                compressed: data.len() as u64,
                bytes: content.len() as u64,
            },
        };
        record(item, written, false).put_local(out);
        out.extend_from_slice(data);
        Ok(written)
    }

    /// One chunk of a large file, deflated.
    fn chunk(&mut self, item: usize, at: u64, last: bool) -> Done {
        let item = &self.files.listing.items[item];
        let mut out = Vec::new();
        let (dictionary, content): (&[u8], &[u8]) = match &item.what {
            What::File {
                at: path, state, ..
            } => {
                let file = open(self.files, &mut self.place, item, path.as_deref())?;
                let path = self.files.listing.shown(item);
                let metadata = file
                    .metadata()
                    .map_err(|error| ArchiveError::io("read", &path, error))?;
                if FileState::of(&metadata) != *state {
                    return Err(changed(&path));
                }
                let before = at.saturating_sub(DICTIONARY);
                read_at(&path, &file, before..at, &mut self.dictionary)?;
                let end = (at + CHUNK).min(state.bytes);
                read_at(&path, &file, at..end, &mut self.content)?;
                (&self.dictionary, &self.content)
            }
            What::Bytes(bytes) => {
                let at = at as usize;
                let before = at.saturating_sub(DICTIONARY as usize);
                let end = (at + CHUNK as usize).min(bytes.len());
                (&bytes[before..at], &bytes[at..end])
            }
            What::Link(_) | What::EmptyDirectory => (&[], &[]),
        };
        self.deflater.chunk(dictionary, content, last, &mut out);
        let length = content.len() as u64;
        Ok(Made::Chunk {
            bytes: out,
            // One that can be joined with those of the chunks before.
            crc: crc32fast::Hasher::new_with_initial_len(crc32(content), length),
            length,
        })
    }
}

fn open(
    files: &Files<'_>,
    place: &mut Place,
    item: &Item,
    at: Option<&Path>,
) -> Result<File, ArchiveError> {
    match (at, &files.beneath) {
        (None, Some(beneath)) => beneath.read(place, item.name.as_bytes()),
        (Some(path), _) => File::open(path),
        (None, None) => Err(io::ErrorKind::NotFound.into()),
    }
    .map_err(|error| ArchiveError::io("read", &files.listing.shown(item), error))
}

/// All that is in a small file. It may have become a little longer since it was listed, but not
/// something else, nor large: then somebody is still writing it.
fn read<'a>(
    files: &Files<'_>,
    item: &Item,
    mut file: &File,
    state: &FileState,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], ArchiveError> {
    let failed = |error| ArchiveError::io("read", &files.listing.shown(item), error);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() || metadata.ino() != state.inode {
        return Err(changed(&files.listing.shown(item)));
    }
    // One byte more than there should be: that it is not there is the end.
    let room = WHOLE.min(metadata.len()) as usize + 1;
    if buffer.len() < room {
        buffer.resize(room, 0);
    }
    let mut length = 0;
    loop {
        match file.read(&mut buffer[length..room]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        }
        if length == room {
            return Err(changed(&files.listing.shown(item)));
        }
        // A file gives all that is asked for, or all that it has.
        if length as u64 == metadata.len() {
            break;
        }
    }
    Ok(&buffer[..length])
}

fn read_at(
    path: &Path,
    file: &File,
    range: Range<u64>,
    buffer: &mut Vec<u8>,
) -> Result<(), ArchiveError> {
    buffer.resize((range.end - range.start) as usize, 0);
    file.read_exact_at(buffer, range.start)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(path),
            _ => ArchiveError::io("read", path, error),
        })
}

fn changed(path: &Path) -> ArchiveError {
    unpackable(path, "it is being changed by another process")
}
