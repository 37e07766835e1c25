//! What several threads made is put together: headers, data, and the central directory at the end.

use std::borrow::Cow;

use crate::format::{DEFLATED, Record, Sums, put_end};
use crate::ledger::{Ledger, Run};
use crate::listing::{Item, Listing, What};
use crate::pack::{Coded, Job, Made, Sink};

/// An archive being put together.
pub(crate) struct Assembly<'a, K> {
    listing: &'a Listing,
    sink: &'a mut K,
    /// How much the sink has.
    at: u64,
    central: Vec<u8>,
    entries: u64,
    /// The large file that is being added: where it began, and what it has come to.
    large: Option<Large>,
}

#[derive(Default)]
struct Large {
    start: u64,
    crc: crc32fast::Hasher,
    compressed: u64,
    bytes: u64,
}

impl<'a, K: Sink> Assembly<'a, K> {
    pub(crate) fn new(listing: &'a Listing, sink: &'a mut K) -> Self {
        Self {
            listing,
            sink,
            at: 0,
            central: Vec::new(),
            entries: 0,
            large: None,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), K::Error> {
        self.at += bytes.len() as u64;
        self.sink.put(bytes)
    }

    pub(crate) fn add(&mut self, job: &Job, made: Made) -> Result<(), K::Error> {
        match (job, made) {
            (Job::Batch(items), Made::Batch { bytes, entries }) => {
                for (item, (begins, written)) in
                    self.listing.items[items.clone()].iter().zip(entries)
                {
                    self.enter(item, written, self.at + begins as u64, false);
                }
                self.put(&bytes)
            }
            (Job::Chunk { item, last, .. }, Made::Chunk { bytes, crc, length }) => {
                let item = &self.listing.items[*item];
                let mut written = Coded {
                    method: DEFLATED,
                    sums: Sums::default(),
                };
                let mut large = if let Some(large) = self.large.take() {
                    large
                } else {
                    let start = self.at;
                    let mut header = Vec::new();
                    record(item, written, true).put_local(&mut header);
                    self.put(&header)?;
                    Large {
                        start,
                        ..Large::default()
                    }
                };
                large.crc.combine(&crc);
                large.compressed += bytes.len() as u64;
                large.bytes += length;
                self.put(&bytes)?;
                if !last {
                    self.large = Some(large);
                    return Ok(());
                }
                written.sums = Sums {
                    crc: large.crc.finalize(),
                    compressed: large.compressed,
                    bytes: large.bytes,
                };
                let mut descriptor = Vec::new();
                record(item, written, true).put_descriptor(&mut descriptor);
                self.enter(item, written, large.start, true);
                self.put(&descriptor)
            }
            (Job::Batch(_), Made::Chunk { .. }) | (Job::Chunk { .. }, Made::Batch { .. }) => {
                unreachable!("a job makes what it is for")
            }
        }
    }

    /// Adds what an archive has already.
    pub(crate) fn copy(&mut self, run: &Run, ledger: &Ledger) -> Result<(), K::Error> {
        for item in &self.listing.items[run.items.clone()] {
            let (written, begins, described) = ledger
                .written(item)
                .expect("a run is of items that the ledger knows");
            let offset = self.at + (begins - run.bytes.start);
            self.enter(item, written, offset, described);
        }
        self.at += run.bytes.end - run.bytes.start;
        self.sink.copy(run.archive, run.bytes.clone())
    }

    /// Enters an item in the central directory.
    fn enter(&mut self, item: &Item, written: Coded, offset: u64, described: bool) {
        record(item, written, described).put_central(&mut self.central, offset);
        self.entries += 1;
    }

    pub(crate) fn finish(mut self) -> Result<(), K::Error> {
        let start = self.at;
        let mut central = std::mem::take(&mut self.central);
        let length = central.len() as u64;
        put_end(&mut central, self.entries, start, length);
        self.put(&central)
    }
}

fn entry_name(item: &Item) -> Cow<'_, str> {
    match item.what {
        What::EmptyDirectory => format!("{}/", item.name).into(),
        _ => item.name.as_str().into(),
    }
}

/// Sizes from here on are written in eight bytes: deflate may make 4 GiB a little longer.
const LARGE: u64 = 0xF000_0000;

pub(crate) fn record(item: &Item, written: Coded, described: bool) -> Record<'_> {
    let bytes = match &item.what {
        What::File { state, .. } if described => state.bytes,
        _ => written.sums.bytes,
    };
    Record {
        name: entry_name(item),
        mode: match item.what {
            What::File {
                executable: true, ..
            } => 0o100_755,
            What::File { .. } | What::Bytes(_) => 0o100_644,
            What::Link(_) => 0o120_777,
            What::EmptyDirectory => 0o040_755,
        },
        method: written.method,
        sums: written.sums,
        described,
        wide: bytes >= LARGE,
    }
}
