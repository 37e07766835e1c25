//! A zip archive becomes a directory tree, all of it or nothing.
//!
//! The archive is cut into works of a megabyte or two ([`Plan::works`]). Several readers take one
//! after the other: each reads its bytes, inflates them and creates what is in them. Directories
//! are made meanwhile, and links when all else is there, so that nothing is written through one.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::beneath::Place;
use crate::error::{ArchiveError, NAMELESS, Refusal, is_full, shown};
use crate::format::{DESCRIBED, DESCRIPTOR, Fields, Local};
use crate::inflate::{Inflater, Stop};
use crate::ledger::Contents;
use crate::links::{self, Links};
use crate::name;
use crate::plan::{Entry, Kind, LONGEST_TARGET, Limits, Plan, Work};
use crate::source::Source;
use crate::staging::Staging;

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tree {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// How an archive is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacking {
    /// What it may come to.
    pub limits: Limits,
    /// How many read at once: as many as make a slow source fast. Each needs memory for one
    /// segment, and for what that inflates to, at most a megabyte at a time.
    pub readers: usize,
    /// How many of them inflate and write at once: as many as there are processors.
    pub threads: usize,
    /// About how many bytes one reads at a time.
    pub segment: u64,
}

impl Default for Unpacking {
    /// For an archive that is near: in memory or in a file.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            limits: Limits::default(),
            readers: threads,
            threads,
            segment: 1 << 20,
        }
    }
}

/// Unpacks an archive into `into`, which must not exist or be empty. If that fails, nothing of it
/// is left.
///
/// All that the central directory says is judged before anything is created. Blocks, and starts
/// threads if there is work for more than one.
pub fn unpack<S: Source + ?Sized>(
    source: &S,
    into: &Path,
    how: &Unpacking,
) -> Result<Tree, S::Error> {
    unpack_planned(source, into, how).map(|(tree, _)| tree)
}

/// The same, and what lies where in the archive, for a [`crate::Ledger`].
pub fn unpack_contents<S: Source + ?Sized>(
    source: &S,
    into: &Path,
    how: &Unpacking,
) -> Result<(Tree, Contents), S::Error> {
    unpack_planned(source, into, how).map(|(tree, plan)| (tree, Contents::of(&plan)))
}

fn unpack_planned<S: Source + ?Sized>(
    source: &S,
    into: &Path,
    how: &Unpacking,
) -> Result<(Tree, Plan), S::Error> {
    let plan = Plan::read(source, &how.limits)?;
    let staging = Staging::begin(into)?;
    staging.check_room(plan.bytes())?;
    if staging.ignores_case()
        && let Some(entry) = plan.folded_duplicate()
    {
        return Err(plan.refuse(entry, Refusal::FoldedDuplicate).into());
    }
    let made = Unpack {
        source,
        plan: &plan,
        staging: &staging,
        works: plan.works(how.segment.max(1), how.readers),
        next: AtomicUsize::new(0),
        slots: Slots::new(how.threads),
        directories: Gate::default(),
        links: Mutex::default(),
        failed: AtomicBool::new(false),
        failure: Mutex::new(None),
    }
    .run(how.readers.max(1));
    match made {
        Ok(()) => {
            staging.finish()?;
            let tree = Tree {
                entries: plan.nodes,
                bytes: plan.bytes(),
            };
            Ok((tree, plan))
        }
        Err(error) => {
            staging.discard();
            Err(error)
        }
    }
}

/// One archive on its way to a tree, as all who work on it see it.
struct Unpack<'a, S: Source + ?Sized> {
    source: &'a S,
    plan: &'a Plan,
    staging: &'a Staging,
    works: Vec<Work>,
    next: AtomicUsize,
    slots: Slots,
    directories: Gate,
    links: Mutex<Links>,
    failed: AtomicBool,
    failure: Mutex<Option<S::Error>>,
}

impl<S: Source + ?Sized> Unpack<'_, S> {
    fn run(self, readers: usize) -> Result<(), S::Error> {
        let needed = readers.min(self.works.len());
        for _ in needed..readers {
            self.source.reader_is_done();
        }
        if needed > 1 {
            std::thread::scope(|scope| {
                // Also when no thread can be started: those who are there would wait for ever.
                let _open = self.directories.opened_at_the_end();
                for _ in 0..needed {
                    scope.spawn(|| self.read());
                }
                self.make_directories();
            });
        } else {
            {
                let _open = self.directories.opened_at_the_end();
                self.make_directories();
            }
            self.read();
        }
        if let Some(failure) = lock(&self.failure).take() {
            return Err(failure);
        }
        self.make_links()?;
        Ok(())
    }

    /// Keeps the first failure, and ends the others' work.
    fn fail(&self, error: S::Error) {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
    }

    fn make_directories(&self) {
        for (path, mode) in &self.plan.directories {
            let beneath = self.staging.beneath();
            let mode = mode.unwrap_or_else(|| beneath.usual_mode());
            if let Err(error) = beneath.make_directory(self.plan.path_bytes(*path), mode) {
                let path = self.plan.path(*path);
                self.fail(self.write_failed(&path, error).into());
                return;
            }
        }
    }

    fn make_links(&self) -> Result<(), ArchiveError> {
        let links = lock(&self.links);
        if let Some(link) = links::leaving(&links, self.staging.ignores_case()) {
            let target = shown(&links[link]);
            return Err(ArchiveError::entry(link, Refusal::LinkLeaves { target }));
        }
        for (link, target) in links.iter() {
            self.staging
                .beneath()
                .link(link.as_bytes(), target)
                .map_err(|error| self.write_failed(link, error))?;
        }
        Ok(())
    }

    /// What one reader does.
    fn read(&self) {
        let mut hands = Hands {
            inflater: Inflater::new(),
            place: Place::default(),
        };
        let mut buffer = Vec::new();
        while !self.failed.load(Ordering::Relaxed) {
            let Some(work) = self.works.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let done = if work.large {
                self.large(work, &mut hands)
            } else {
                self.segment(work, &mut hands, &mut buffer)
            };
            if let Err(error) = done {
                self.fail(error);
            }
        }
        self.source.reader_is_done();
    }

    /// Whether there is still a reason to create anything, once all directories are there.
    fn may_write(&self) -> bool {
        self.directories.wait();
        !self.failed.load(Ordering::Relaxed)
    }

    fn segment(
        &self,
        work: &Work,
        hands: &mut Hands,
        buffer: &mut Vec<u8>,
    ) -> Result<(), S::Error> {
        let bytes = self.source.read(work.bytes.clone(), buffer)?;
        if !self.may_write() {
            return Ok(());
        }
        let _slot = self.slots.take();
        for index in work.entries.clone() {
            let entry = &self.plan.entries[index];
            let at = (entry.offset - work.bytes.start) as usize;
            let end = self
                .plan
                .entries
                .get(index + 1)
                .filter(|_| index + 1 < work.entries.end)
                .map_or(bytes.len(), |next| {
                    (next.offset - work.bytes.start) as usize
                });
            self.entry(entry, &bytes[at..end], hands)?;
        }
        Ok(())
    }

    /// One entry whose header and data are all there.
    fn entry(&self, entry: &Entry, bytes: &[u8], hands: &mut Hands) -> Result<(), S::Error> {
        let refuse = |refusal| self.plan.refuse(entry, refusal);
        let data = data(self.plan, entry, bytes).map_err(refuse)?;
        match entry.kind {
            Kind::Directory if entry.is_nothing() => {}
            Kind::Directory => hands
                .inflater
                .inflate(entry, data, |_| Ok::<_, ArchiveError>(()))
                .map_err(|stop| stopped(stop, refuse))?,
            Kind::Link => {
                let mut target = Vec::new();
                hands
                    .inflater
                    .inflate(entry, data, |piece| {
                        target.extend(piece);
                        Ok::<_, ArchiveError>(())
                    })
                    .map_err(|stop| stopped(stop, refuse))?;
                self.note_link(entry, target)?;
            }
            Kind::File => {
                let failed = |error| self.write_failed(&self.plan.path(entry.path), error);
                let path = self.plan.path_bytes(entry.path);
                let mut file = self
                    .staging
                    .beneath()
                    .create(&mut hands.place, path, entry.mode)
                    .map_err(failed)?;
                hands
                    .inflater
                    .inflate(entry, data, |piece| file.write_all(piece).map_err(failed))
                    .map_err(|stop| stopped(stop, refuse))?;
            }
        }
        Ok(())
    }

    /// One entry that is large: its data come piece after piece, and its content goes out so.
    fn large(&self, work: &Work, hands: &mut Hands) -> Result<(), S::Error> {
        let entry = &self.plan.entries[work.entries.start];
        let refuse = |refusal| self.plan.refuse(entry, refusal);
        let path = self.plan.path(entry.path);
        let failed = |error| self.write_failed(&path, error);
        if !self.may_write() {
            return Ok(());
        }
        let beneath = self.staging.beneath();
        let mut out = match entry.kind {
            Kind::File => Out::File(Sparse::new(
                beneath
                    .create(&mut hands.place, path.as_bytes(), entry.mode)
                    .map_err(failed)?,
            )),
            // Nobody makes them so large; they are read all the same, to see what they are.
            Kind::Link | Kind::Directory => Out::Target(Vec::new()),
        };
        let mut stream = hands.inflater.stream(entry);
        let mut each = |piece: &[u8]| match &mut out {
            Out::File(file) => file.write(piece).map_err(failed),
            Out::Target(target) => {
                target.extend(piece);
                Ok(())
            }
        };
        // What has come of the header, until it is whole; then what follows the data.
        let mut rest = Vec::new();
        let mut begun = false;
        let mut ahead = entry.compressed;
        self.source.stream(work.bytes.clone(), &mut |piece| {
            if self.failed.load(Ordering::Relaxed) {
                // Somebody else's error is the one to report.
                return Err(ArchiveError::corrupt("given up").into());
            }
            let _slot = self.slots.take();
            let first;
            let piece = if begun {
                piece
            } else if rest.is_empty()
                && let Some(header) = local(self.plan, entry, piece).map_err(refuse)?
            {
                begun = true;
                &piece[header..]
            } else {
                rest.extend_from_slice(piece);
                let Some(header) = local(self.plan, entry, &rest).map_err(refuse)? else {
                    return Ok(());
                };
                first = rest.split_off(header);
                rest.clear();
                begun = true;
                &first
            };
            let (data, after) = piece.split_at(ahead.min(piece.len() as u64) as usize);
            ahead -= data.len() as u64;
            rest.extend_from_slice(after);
            stream
                .feed(data, &mut each)
                .map_err(|stop| stopped(stop, refuse))?;
            Ok(())
        })?;
        if !begun || ahead > 0 {
            return Err(refuse(cut_off()).into());
        }
        check_descriptor(entry, &rest).map_err(refuse)?;
        if !entry.is_nothing() {
            stream.finish().map_err(refuse)?;
        }
        match out {
            Out::File(file) => file.finish().map_err(failed)?,
            Out::Target(target) if entry.kind == Kind::Link => self.note_link(entry, target)?,
            Out::Target(_) => {}
        }
        Ok(())
    }

    fn note_link(&self, entry: &Entry, target: Vec<u8>) -> Result<(), ArchiveError> {
        let target = String::from_utf8(target)
            .ok()
            .filter(|target| {
                !target.is_empty()
                    && !target.contains('\0')
                    && target.len() as u64 <= LONGEST_TARGET
            })
            .ok_or_else(|| self.plan.refuse(entry, Refusal::LinkTarget))?;
        let path = self.plan.path(entry.path).into_owned();
        lock(&self.links).insert(path, target);
        Ok(())
    }

    fn write_failed(&self, path: &str, error: std::io::Error) -> ArchiveError {
        let place = self.staging.shown(path);
        if is_full(&error) {
            return ArchiveError::NoSpace {
                directory: place.parent().unwrap_or(&place).to_owned(),
                doing: format!("unpacking `{}`", shown(path)),
            };
        }
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return ArchiveError::entry(path, Refusal::FoldedDuplicate);
        }
        ArchiveError::Io {
            doing: "create",
            path: place,
            source: error,
        }
    }
}

/// What one reader works with.
struct Hands {
    inflater: Inflater,
    place: Place,
}

enum Out {
    File(Sparse),
    Target(Vec<u8>),
}

fn stopped<E: From<ArchiveError>>(
    stop: Stop<ArchiveError>,
    refuse: impl FnOnce(Refusal) -> ArchiveError,
) -> E {
    match stop {
        Stop::Refused(refusal) => refuse(refusal).into(),
        Stop::Other(error) => error.into(),
    }
}

/// The data of an entry, from its header on to the next entry's.
fn data<'a>(plan: &Plan, entry: &Entry, bytes: &'a [u8]) -> Result<&'a [u8], Refusal> {
    let header = local(plan, entry, bytes)?.ok_or_else(cut_off)?;
    let (data, after) = bytes[header..]
        .split_at_checked(entry.compressed as usize)
        .ok_or_else(cut_off)?;
    check_descriptor(entry, after)?;
    Ok(data)
}

/// Whether an entry's own header says the same as the central directory, and how long it is;
/// `None` if it is not all there.
fn local(plan: &Plan, entry: &Entry, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let Some(local) = Local::read(bytes) else {
        return Ok(None);
    };
    let local = local?;
    let differs = |what: &str| {
        Err(Refusal::corrupt(format!(
            "its own header has another {what} than the central directory, so that readers differ in what it is"
        )))
    };
    if local.name != plan.path_bytes(entry.raw) {
        return differs("name");
    }
    if local.method != entry.method {
        return differs("method");
    }
    if local.flags & crate::format::KEPT != entry.flags {
        return differs("set of flags");
    }
    let stated = (local.crc, local.compressed, local.bytes);
    let described = entry.flags & DESCRIBED != 0;
    let unstated = |(crc, compressed, bytes): (u32, u64, u64)| {
        let none = |value| value == 0 || value == u64::from(u32::MAX);
        crc == 0 && none(compressed) && none(bytes)
    };
    if stated != (entry.crc, entry.compressed, entry.bytes) && !(described && unstated(stated)) {
        return differs("size or checksum");
    }
    Ok(Some(local.length))
}

/// What comes after the data of an entry that had no sizes in its header has to repeat them.
fn check_descriptor(entry: &Entry, after: &[u8]) -> Result<(), Refusal> {
    if entry.flags & DESCRIBED == 0 {
        return Ok(());
    }
    let signed = after.starts_with(&DESCRIPTOR.to_le_bytes());
    let right = |skip: usize, wide: bool| {
        let mut fields = Fields(after.get(skip..)?);
        let crc = fields.u32()?;
        let mut size = || {
            if wide {
                fields.u64()
            } else {
                fields.u32().map(u64::from)
            }
        };
        let (compressed, bytes) = (size()?, size()?);
        Some((crc, compressed, bytes) == (entry.crc, entry.compressed, entry.bytes))
    };
    let forms = [(4, false), (4, true), (0, false), (0, true)];
    let stated = forms
        .into_iter()
        .any(|(skip, wide)| (skip == 0 || signed) && right(skip, wide) == Some(true));
    if stated {
        return Ok(());
    }
    Err(Refusal::corrupt(
        "what follows its data states another size or checksum than the central directory",
    ))
}

fn cut_off() -> Refusal {
    Refusal::corrupt("its data reach into the next entry")
}

/// A large file on its way out. Where it is nothing but zeros for a while, it gets a hole.
struct Sparse {
    file: std::fs::File,
    at: u64,
    /// Whether the file ends in a hole.
    hole: bool,
}

impl Sparse {
    /// What is worth a hole.
    const LEAST: usize = 64 << 10;

    fn new(file: std::fs::File) -> Self {
        Self {
            file,
            at: 0,
            hole: false,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        for piece in bytes.chunks(Self::LEAST) {
            self.hole = piece.len() == Self::LEAST && is_zeros(piece);
            if !self.hole {
                self.file.write_all_at(piece, self.at)?;
            }
            self.at += piece.len() as u64;
        }
        Ok(())
    }

    fn finish(self) -> std::io::Result<()> {
        if self.hole {
            self.file.set_len(self.at)?;
        }
        Ok(())
    }
}

fn is_zeros(bytes: &[u8]) -> bool {
    // The first words tell for almost all that is not.
    let (head, _) = bytes.split_at(bytes.len().min(64));
    head.iter().all(|byte| *byte == 0) && bytes.iter().all(|byte| *byte == 0)
}

/// As many at once as there are processors to use.
struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

struct Slot<'a>(&'a Slots);

impl Slots {
    fn new(slots: usize) -> Self {
        Self {
            free: Mutex::new(slots.max(1)),
            freed: Condvar::new(),
        }
    }

    fn take(&self) -> Slot<'_> {
        let mut free = lock(&self.free);
        while *free == 0 {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

/// Closed until it is opened, once.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

struct Opens<'a>(&'a Gate);

impl Gate {
    fn opened_at_the_end(&self) -> Opens<'_> {
        Opens(self)
    }

    fn wait(&self) {
        let mut open = lock(&self.open);
        while !*open {
            open = self
                .opened
                .wait(open)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        *lock(&self.0.open) = true;
        self.0.opened.notify_all();
    }
}

/// What a panic elsewhere left behind is still what it was.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One file of an archive, at most `limit` bytes of it.
pub fn read_file<S: Source + ?Sized>(
    source: &S,
    path: &str,
    limit: u64,
    limits: &Limits,
) -> Result<Vec<u8>, S::Error> {
    let wanted = name::parts(path)
        .map_err(|refusal| ArchiveError::entry(path, refusal))?
        .join("/");
    let plan = Plan::read(source, limits)?;
    let Some(index) = plan.file(&wanted) else {
        return Err(ArchiveError::NoSuchFile {
            archive: NAMELESS.to_owned(),
            path: shown(path),
            present: likeliest(&plan, &wanted),
        }
        .into());
    };
    let entry = &plan.entries[index];
    let refuse = |refusal| plan.refuse(entry, refusal);
    // Deflate may make data longer, but not by much.
    if entry.compressed > limit + limit / 8 + (64 << 10) {
        let detail = format!(
            "it takes {} bytes of the archive to hold {}",
            entry.compressed, entry.bytes
        );
        return Err(refuse(Refusal::corrupt(detail)).into());
    }
    if entry.bytes > limit {
        let bytes = entry.bytes;
        return Err(refuse(Refusal::Bytes { bytes, limit }).into());
    }
    let mut buffer = Vec::new();
    let bytes = source.read(plan.span(index), &mut buffer)?;
    let data = data(&plan, entry, bytes).map_err(refuse)?;
    let mut content = Vec::with_capacity(entry.bytes as usize);
    Inflater::new()
        .inflate(entry, data, |piece| {
            content.extend_from_slice(piece);
            Ok::<_, ArchiveError>(())
        })
        .map_err(|stop| stopped::<S::Error>(stop, refuse))?;
    Ok(content)
}

/// Files to name when one is not found: those of the same name elsewhere, then those near the top.
fn likeliest(plan: &Plan, wanted: &str) -> Vec<String> {
    const NAMED: usize = 8;
    let file = wanted.rsplit('/').next().unwrap_or(wanted);
    let mut files: Vec<_> = plan
        .entries
        .iter()
        .filter(|entry| entry.kind != Kind::Directory)
        .map(|entry| plan.path(entry.path))
        .collect();
    files.sort_by_key(|path| {
        let same = path.rsplit('/').next() == Some(file);
        (!same, path.matches('/').count())
    });
    let more = files.len().saturating_sub(NAMED);
    let mut named: Vec<String> = files
        .into_iter()
        .take(NAMED)
        .map(|path| format!("`{}`", shown(&path)))
        .collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    named
}
