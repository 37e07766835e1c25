//! An object in S3 as a source of ranges: several at once, each tried again by itself, all of the
//! very same object.
//!
//! Its readers are threads that wait here for what the runtime's threads receive. A store that
//! ignores ranges is read from its beginning to its end, as often as it takes.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::Client;
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use towpath_archive::{Each, Source, Unpacking};

use crate::copy::Found;
use crate::error::ArtifactError;
use crate::request::{At, MARK, Passage};
use crate::settings::Settings;
use crate::store::Location;

/// How much of the beginning and of the end is fetched before anything is known. One or both hold all
/// of a small archive, and the latter the central directory of one with some thousands of entries.
const LOOK: u64 = 1 << 20;

/// An object that is being read.
pub(crate) struct Object {
    at: Arc<At>,
    settings: Settings,
    runtime: Handle,
    given_up: CancellationToken,
    length: u64,
    /// The first bytes.
    head: Bytes,
    /// The last bytes.
    tail: Bytes,
    /// As many permits as connections that nobody uses for work of their own.
    spare: Arc<Semaphore>,
    /// How far the one reader is, where there is only one because ranges are ignored.
    passage: Option<Mutex<Passage>>,
}

impl Object {
    /// Looks at an object's end. Dropping what waits for the reading cancels `given_up`.
    pub(crate) async fn open(
        client: &Client,
        location: Location<'_>,
        settings: &Settings,
        given_up: CancellationToken,
    ) -> Result<Self, ArtifactError> {
        let wanted = LOOK.min(settings.segment.max(128 << 10));
        let (at, look) = At::open(client, location, settings, wanted).await?;
        let in_order = !look.ranges && (look.tail.len() as u64) < look.length;
        tracing::debug!(%location, length = look.length, ranges = look.ranges, "opened an object");
        if in_order {
            tracing::warn!(%location, "the store ignores ranges: it is read from the beginning, by one reader");
        }
        Ok(Self {
            at: Arc::new(at),
            settings: *settings,
            runtime: Handle::current(),
            given_up,
            length: look.length,
            head: look.head,
            tail: look.tail,
            spare: Arc::new(Semaphore::new(0)),
            passage: in_order.then(Mutex::default),
        })
    }

    /// Itself, if its entries are what these settings would make of the same files, and ranges of it
    /// can be had.
    pub(crate) fn reusable(&self) -> Option<Arc<At>> {
        let usable = self.passage.is_none() && self.at.is_marked(&self.settings.mark());
        usable.then(|| Arc::clone(&self.at))
    }

    pub(crate) fn location(&self) -> Location<'_> {
        self.at.location()
    }

    /// Whether it is the object that was looked at before.
    pub(crate) fn is(&self, found: &Found) -> bool {
        let same = found
            .etag
            .as_deref()
            .is_none_or(|etag| self.at.has_etag(etag));
        same && self.length == found.bytes
    }

    /// What it says that it was packed with, as metadata, if that is what these settings would say.
    pub(crate) fn marks(&self) -> HashMap<String, String> {
        let mark = self.settings.mark();
        let marked = self.at.is_marked(&mark);
        marked
            .then(|| (MARK.to_owned(), mark))
            .into_iter()
            .collect()
    }

    /// All of it, from its beginning to its end; several ranges are asked for at once.
    pub(crate) fn pass(
        &self,
        mut each: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
    ) -> Result<(), ArtifactError> {
        // Nobody else reads: what readers there could be are done.
        for _ in 1..self.settings.connections {
            self.reader_is_done();
        }
        self.stream(0..self.length, &mut each)
    }

    pub(crate) fn unpacking(&self) -> Unpacking {
        let unpacking = self.settings.unpacking();
        match self.passage {
            None => unpacking,
            Some(_) => Unpacking {
                readers: 1,
                ..unpacking
            },
        }
    }

    /// Waits for the runtime, as long as somebody waits for us.
    fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, ArtifactError>>,
    ) -> Result<T, ArtifactError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.given_up.cancelled() => Err(ArtifactError::GivenUp),
                done = work => done,
            }
        })
    }

    /// A range as far as it is in the head, elsewhere, and in the tail.
    fn parts(&self, range: &Range<u64>) -> (&[u8], Range<u64>, &[u8]) {
        let (first, last) = (self.head.len() as u64, self.length - self.tail.len() as u64);
        let far = range.start.clamp(first, last)..range.end.clamp(first, last);
        let head = range.start.min(first)..range.end.min(first);
        let tail = range.start.max(last) - last..range.end.max(last) - last;
        let of = |bytes: Range<u64>| bytes.start as usize..bytes.end as usize;
        (&self.head[of(head)], far, &self.tail[of(tail)])
    }

    /// A range that is neither in the head nor in the tail, appended.
    fn fetch(&self, range: Range<u64>, into: &mut Vec<u8>) -> Result<(), ArtifactError> {
        if range.is_empty() {
            return Ok(());
        }
        if let Some(passage) = &self.passage {
            return self.wait(self.at.pass(&mut lock(passage), range, into));
        }
        if range.end - range.start <= 2 * self.settings.segment {
            return self.wait(self.at.fill(into, range, None));
        }
        // Nobody else reads yet: all connections are for this.
        into.reserve_exact((range.end - range.start) as usize);
        let mut pieces = Pieces::new(self, range, self.settings.connections);
        while let Some(bytes) = pieces.next()? {
            into.extend_from_slice(&bytes);
        }
        Ok(())
    }
}

impl Source for Object {
    type Error = ArtifactError;

    fn length(&self) -> u64 {
        self.length
    }

    fn read<'a>(
        &'a self,
        range: Range<u64>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ArtifactError> {
        let (head, far, tail) = self.parts(&range);
        if far.is_empty() && tail.is_empty() {
            return Ok(head);
        }
        if far.is_empty() && head.is_empty() {
            return Ok(tail);
        }
        buffer.clear();
        buffer.extend_from_slice(head);
        self.fetch(far, buffer)?;
        buffer.extend_from_slice(tail);
        Ok(buffer)
    }

    fn take(&self, range: Range<u64>) -> Result<Vec<u8>, ArtifactError> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let (head, far, tail) = self.parts(&range);
        bytes.extend_from_slice(head);
        self.fetch(far, &mut bytes)?;
        bytes.extend_from_slice(tail);
        Ok(bytes)
    }

    fn stream(
        &self,
        range: Range<u64>,
        each: Each<'_, ArtifactError>,
    ) -> Result<(), ArtifactError> {
        let (head, far, tail) = self.parts(&range);
        if !head.is_empty() {
            each(head)?;
        }
        if self.passage.is_some() {
            let mut buffer = Vec::new();
            let mut from = far.start;
            while from < far.end {
                let end = (from + self.settings.segment).min(far.end);
                buffer.clear();
                self.fetch(from..end, &mut buffer)?;
                each(&buffer)?;
                from = end;
            }
        } else {
            let mut pieces = Pieces::new(self, far, 1);
            while let Some(bytes) = pieces.next()? {
                each(&bytes)?;
            }
        }
        if !tail.is_empty() {
            each(tail)?;
        }
        Ok(())
    }

    fn reader_is_done(&self) {
        self.spare.add_permits(1);
    }
}

/// A long range, piece after piece; those to come are requested ahead on connections that nobody
/// else needs.
struct Pieces<'a> {
    object: &'a Object,
    range: Range<u64>,
    own: usize,
    under_way: VecDeque<Piece>,
}

struct Piece {
    bytes: AbortOnDropHandle<Result<Vec<u8>, ArtifactError>>,
    /// Kept until the piece has been used: a connection stands for memory, too.
    permit: Option<OwnedSemaphorePermit>,
}

impl<'a> Pieces<'a> {
    fn new(object: &'a Object, range: Range<u64>, own: usize) -> Self {
        Self {
            object,
            range,
            own,
            under_way: VecDeque::new(),
        }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, ArtifactError> {
        while !self.range.is_empty() {
            let owned = self
                .under_way
                .iter()
                .filter(|piece| piece.permit.is_none())
                .count();
            let permit = if owned < self.own {
                None
            } else {
                match Arc::clone(&self.object.spare).try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_) => break,
                }
            };
            self.request(permit);
        }
        let Some(piece) = self.under_way.pop_front() else {
            return Ok(None);
        };
        let bytes = self.object.wait(async {
            piece.bytes.await.unwrap_or_else(|error| {
                match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is ending.
                    Err(_) => Err(ArtifactError::GivenUp),
                }
            })
        })?;
        Ok(Some(bytes))
    }

    fn request(&mut self, permit: Option<OwnedSemaphorePermit>) {
        let end = (self.range.start + self.object.settings.segment).min(self.range.end);
        let range = self.range.start..end;
        self.range.start = end;
        let at = Arc::clone(&self.object.at);
        let bytes = self.object.runtime.spawn(async move {
            let mut bytes = Vec::new();
            at.fill(&mut bytes, range, None).await?;
            Ok(bytes)
        });
        self.under_way.push_back(Piece {
            bytes: AbortOnDropHandle::new(bytes),
            permit,
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
