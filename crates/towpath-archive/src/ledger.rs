//! Which entries of which archives the files of a tree are, so that those which nobody has changed
//! need not be deflated again: their headers and data are copied as they are.
//!
//! An archive that was packed here holds exactly the bytes that packing the same file at the same
//! level would make. So what is copied does not change what comes out. Of other archives nothing
//! is copied; who lays contents into a ledger says which they are.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::assembly::record;
use crate::deflate::WHOLE;
use crate::error::ArchiveError;
use crate::format::{DESCRIBED, KEPT, Sums, UTF8};
use crate::listing::{FileState, Item, What};
use crate::pack::Coded;
use crate::plan::{Kind, Plan};

/// What an archive was unpacked to, and where each entry lies in it.
#[derive(Debug, Default)]
pub struct Contents(Vec<(String, Place)>);

#[derive(Debug, Clone)]
struct Place {
    /// Header, data and descriptor.
    bytes: Range<u64>,
    coded: Coded,
    described: bool,
}

impl Contents {
    pub(crate) fn of(plan: &Plan) -> Self {
        let entry = |(index, entry): (usize, &crate::plan::Entry)| {
            // What is packed here states its names in UTF-8, and its directories by a slash.
            let described = entry.flags & DESCRIBED != 0;
            let plain = entry.flags & KEPT & !DESCRIBED == UTF8
                && match entry.kind {
                    Kind::File => described == (entry.bytes > WHOLE),
                    Kind::Link | Kind::Directory => !described,
                };
            let place = Place {
                bytes: if plain { plan.span(index) } else { 0..0 },
                coded: Coded {
                    method: entry.method,
                    sums: Sums {
                        crc: entry.crc,
                        compressed: entry.compressed,
                        bytes: entry.bytes,
                    },
                },
                described,
            };
            (plan.path(entry.path).into_owned(), place)
        };
        Self(plan.entries.iter().enumerate().map(entry).collect())
    }
}

/// The entries that the files of a tree came from, and how these were when nobody had touched them.
#[derive(Debug, Default)]
pub struct Ledger {
    origins: HashMap<String, Origin>,
}

#[derive(Debug)]
struct Origin {
    /// By the number that it was laid in with.
    archive: usize,
    place: Place,
    state: State,
}

/// What an entry has become.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Nobody has looked yet.
    Unknown,
    File(FileState),
    Link(String),
    Directory,
}

/// Some items that lie in an archive one after the other, just as they would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) items: Range<usize>,
    pub(crate) archive: usize,
    pub(crate) bytes: Range<u64>,
}

impl Ledger {
    /// What is copied at least: deflating less is quicker than asking for it.
    const LEAST: u64 = 1 << 20;

    /// An archive has been unpacked over what was there: its files are no longer those of others.
    /// `archive` is the number by which a sink knows it; `None` if nothing may be copied from it.
    pub fn lay(&mut self, contents: Contents, archive: Option<usize>) {
        for (path, place) in contents.0 {
            match archive {
                Some(archive) if !place.bytes.is_empty() => {
                    let state = State::Unknown;
                    let origin = Origin {
                        archive,
                        place,
                        state,
                    };
                    self.origins.insert(path, origin);
                }
                _ => drop(self.origins.remove(&path)),
            }
        }
    }

    /// Notes how the files are, now that all are in the tree `root` and before anybody changes them.
    ///
    /// A file whose last change is not older than this moment, as the file system measures time,
    /// could be changed once more without a trace: it counts as changed. (Git knows such files as
    /// "racy".)
    pub fn settle(&mut self, root: &Path) -> Result<(), ArchiveError> {
        if self.origins.is_empty() {
            return Ok(());
        }
        let parent = root.parent().unwrap_or(root);
        let now = tempfile::tempfile_in(parent)
            .and_then(|file| file.metadata())
            .map_err(|error| ArchiveError::io("create a file in", parent, error))?;
        let now = FileState::of(&now).changed;
        for (path, origin) in &mut self.origins {
            let path = root.join(path);
            let looked = fs::symlink_metadata(&path).and_then(|it| State::of(&path, &it));
            match looked {
                Ok(State::File(state)) if state.changed >= now => origin.state = State::Unknown,
                Ok(state) => origin.state = state,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    origin.state = State::Unknown;
                }
                Err(error) => return Err(ArchiveError::io("read", &path, error)),
            }
        }
        self.origins
            .retain(|_, origin| origin.state != State::Unknown);
        Ok(())
    }

    /// The runs among sorted items that are worth being copied.
    pub(crate) fn runs(&self, items: &[Item]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        if self.origins.is_empty() {
            return runs;
        }
        for (index, item) in items.iter().enumerate() {
            let Some(origin) = self.unchanged(item) else {
                continue;
            };
            match runs.last_mut() {
                Some(run)
                    if run.items.end == index
                        && run.archive == origin.archive
                        && run.bytes.end == origin.place.bytes.start =>
                {
                    run.items.end = index + 1;
                    run.bytes.end = origin.place.bytes.end;
                }
                _ => runs.push(Run {
                    items: index..index + 1,
                    archive: origin.archive,
                    bytes: origin.place.bytes.clone(),
                }),
            }
        }
        runs.retain(|run| run.bytes.end - run.bytes.start >= Self::LEAST);
        runs
    }

    /// How an item of a run was written, where it begins in its archive, and whether its sums come
    /// after its data.
    pub(crate) fn written(&self, item: &Item) -> Option<(Coded, u64, bool)> {
        let place = &self.origins.get(&item.name)?.place;
        Some((place.coded, place.bytes.start, place.described))
    }

    /// Where an item came from, if it is still what it was.
    fn unchanged(&self, item: &Item) -> Option<&Origin> {
        let origin = self.origins.get(&item.name)?;
        let same = match (&item.what, &origin.state) {
            (
                What::File {
                    at: None, state, ..
                },
                State::File(then),
            ) => state == then,
            (What::Link(target), State::Link(then)) => target == then,
            (What::EmptyDirectory, State::Directory) => true,
            _ => false,
        };
        let place = &origin.place;
        let record = record(item, place.coded, place.described);
        // An archive that says to have been packed here, and has something else in between.
        let exact = record.length() == place.bytes.end - place.bytes.start;
        (same && exact).then_some(origin)
    }
}

impl State {
    fn of(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        let kind = metadata.file_type();
        Ok(if kind.is_symlink() {
            match fs::read_link(path)?.into_os_string().into_string() {
                Ok(target) => Self::Link(target),
                Err(_) => Self::Unknown,
            }
        } else if kind.is_dir() {
            Self::Directory
        } else {
            Self::File(FileState::of(metadata))
        })
    }
}
