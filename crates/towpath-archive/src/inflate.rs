//! From an entry's data to its content: inflated, counted and checked against what was stated.

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{Crc, DecompressionError, Decompressor, crc32};

use crate::error::Refusal;
use crate::format::STORED;
use crate::plan::Entry;

/// What is inflated at once, in one buffer; what is larger goes through a small one that stays in
/// the processor's cache.
const AT_ONCE: u64 = 512 << 10;
/// That small buffer.
const WINDOW: usize = 256 << 10;

/// One thread's means to inflate.
pub(crate) struct Inflater {
    whole: Decompressor,
    buffer: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            whole: Decompressor::new(),
            buffer: Vec::new(),
        }
    }

    /// The content of an entry whose data are all there, handed on in one or more pieces.
    pub(crate) fn inflate<E>(
        &mut self,
        entry: &Entry,
        data: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        if entry.method == STORED {
            check_crc(entry, crc32(data))?;
            return each(data).map_err(Stop::Other);
        }
        if entry.bytes > AT_ONCE {
            let mut stream = self.stream(entry);
            stream.feed(data, &mut each)?;
            return stream.finish().map_err(Stop::Refused);
        }
        let content = self.at_once(entry, data)?;
        each(content).map_err(Stop::Other)
    }

    fn at_once(&mut self, entry: &Entry, data: &[u8]) -> Result<&[u8], Refusal> {
        let length = entry.bytes as usize;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let content = &mut self.buffer[..length];
        match self.whole.deflate_decompress(data, content) {
            Ok(inflated) if inflated < length => return Err(too_short(entry, inflated as u64)),
            Ok(_) => {}
            Err(DecompressionError::InsufficientSpace) => return Err(too_long(entry)),
            Err(DecompressionError::BadData) => return Err(no_deflate()),
        }
        check_crc(entry, crc32(content))?;
        Ok(content)
    }

    /// Inflates an entry whose data come piece after piece.
    pub(crate) fn stream<'a>(&'a mut self, entry: &'a Entry) -> Stream<'a> {
        if self.buffer.len() < WINDOW {
            self.buffer.resize(WINDOW, 0);
        }
        Stream {
            entry,
            inflate: (entry.method != STORED).then(|| Decompress::new(false)),
            ended: entry.method == STORED,
            crc: Crc::new(),
            bytes: 0,
            buffer: &mut self.buffer[..WINDOW],
        }
    }
}

/// Why inflating stopped: what is wrong with the data, or an error of who takes the content.
pub(crate) enum Stop<E> {
    Refused(Refusal),
    Other(E),
}

impl<E> From<Refusal> for Stop<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An entry on its way through.
pub(crate) struct Stream<'a> {
    entry: &'a Entry,
    inflate: Option<Decompress>,
    ended: bool,
    crc: Crc,
    bytes: u64,
    buffer: &'a mut [u8],
}

impl Stream<'_> {
    /// Takes the next piece of the data.
    pub(crate) fn feed<E>(
        &mut self,
        mut data: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let Some(inflate) = &mut self.inflate else {
            self.crc.update(data);
            self.bytes += data.len() as u64;
            return each(data).map_err(Stop::Other);
        };
        while !self.ended {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(data, self.buffer, FlushDecompress::None)
                .map_err(|_| no_deflate())?;
            let taken = (inflate.total_in() - before_in) as usize;
            let made = (inflate.total_out() - before_out) as usize;
            data = &data[taken..];
            let content = &self.buffer[..made];
            self.bytes += made as u64;
            if self.bytes > self.entry.bytes {
                return Err(too_long(self.entry).into());
            }
            self.crc.update(content);
            if made > 0 {
                each(content).map_err(Stop::Other)?;
            }
            self.ended = status == Status::StreamEnd;
            // A full buffer may leave something inside that needs no more data to come out.
            if data.is_empty() && made < self.buffer.len() {
                break;
            }
            if taken == 0 && made == 0 {
                return Err(no_deflate().into());
            }
        }
        Ok(())
    }

    /// Whether that was all of it, and right.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        if self.bytes < self.entry.bytes {
            return Err(too_short(self.entry, self.bytes));
        }
        if !self.ended {
            return Err(no_deflate());
        }
        check_crc(self.entry, self.crc.sum())
    }
}

fn check_crc(entry: &Entry, crc: u32) -> Result<(), Refusal> {
    if crc == entry.crc {
        return Ok(());
    }
    Err(Refusal::corrupt(format!(
        "its checksum is {crc:08x}, not {:08x} as stated",
        entry.crc
    )))
}

fn too_short(entry: &Entry, bytes: u64) -> Refusal {
    Refusal::corrupt(format!("it ends after {bytes} of {} bytes", entry.bytes))
}

fn too_long(entry: &Entry) -> Refusal {
    Refusal::corrupt(format!(
        "it inflates to more than the {} bytes that are stated",
        entry.bytes
    ))
}

fn no_deflate() -> Refusal {
    Refusal::corrupt("its data are not deflated as they should be")
}
