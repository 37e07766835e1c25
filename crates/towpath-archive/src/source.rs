//! Where an archive's bytes come from.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::content::{Content, HEAD};
use crate::error::{ArchiveError, NAMELESS};

/// Who takes the pieces of a long range.
pub type Each<'a, E> = &'a mut dyn FnMut(&[u8]) -> Result<(), E>;

/// Something that an archive can be read from, at any place and by several threads.
///
/// Ranges lie within [`Source::length`]. An error ends what is being read.
pub trait Source: Sync {
    /// Why it cannot be read, or what is wrong with what was read.
    type Error: From<ArchiveError> + Send;

    /// How many bytes it has.
    fn length(&self) -> u64;

    /// Exactly the bytes of this range, in `buffer` or from memory of its own.
    fn read<'a>(
        &'a self,
        range: Range<u64>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Self::Error>;

    /// The same bytes to keep.
    fn take(&self, range: Range<u64>) -> Result<Vec<u8>, Self::Error> {
        Ok(self.read(range, &mut Vec::new())?.to_vec())
    }

    /// The bytes of a long range, piece after piece.
    fn stream(&self, range: Range<u64>, each: Each<'_, Self::Error>) -> Result<(), Self::Error>;

    /// One of those who read has nothing more to read: what it had, the others may use.
    fn reader_is_done(&self) {}
}

/// An archive in memory.
impl Source for [u8] {
    type Error = ArchiveError;

    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read<'a>(
        &'a self,
        range: Range<u64>,
        _buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ArchiveError> {
        Ok(&self[range.start as usize..range.end as usize])
    }

    fn stream(&self, range: Range<u64>, each: Each<'_, ArchiveError>) -> Result<(), ArchiveError> {
        each(self.read(range, &mut Vec::new())?)
    }
}

/// An archive in a file, which is taken to stay as it is.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    length: u64,
}

impl FileSource {
    /// Of a file that is open for reading.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

/// How much of a long range is read from a file at once.
const PIECE: u64 = 256 << 10;

impl Source for FileSource {
    type Error = ArchiveError;

    fn length(&self) -> u64 {
        self.length
    }

    fn read<'a>(
        &'a self,
        range: Range<u64>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ArchiveError> {
        let length = (range.end - range.start) as usize;
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let buffer = &mut buffer[..length];
        self.file
            .read_exact_at(buffer, range.start)
            .map_err(|error| ArchiveError::Io {
                doing: "read",
                path: Path::new(NAMELESS).to_owned(),
                source: error,
            })?;
        Ok(buffer)
    }

    fn take(&self, range: Range<u64>) -> Result<Vec<u8>, ArchiveError> {
        let mut buffer = Vec::new();
        self.read(range, &mut buffer)?;
        Ok(buffer)
    }

    fn stream(&self, range: Range<u64>, each: Each<'_, ArchiveError>) -> Result<(), ArchiveError> {
        let mut buffer = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = (at + PIECE).min(range.end);
            each(self.read(at..end, &mut buffer)?)?;
            at = end;
        }
        Ok(())
    }
}

/// What a source turns out to be that has no end record, or something before its first entry.
pub(crate) fn told_by_its_head<S: Source + ?Sized>(source: &S) -> Result<Content, S::Error> {
    let mut buffer = Vec::new();
    let head = source.read(0..source.length().min(HEAD as u64), &mut buffer)?;
    Ok(Content::of(head))
}
