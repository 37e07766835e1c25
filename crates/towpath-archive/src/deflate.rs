//! From a file's content to an entry's data. What comes out depends on the content and the level
//! alone: not on the machine, nor on what was deflated before.
//!
//! A file that fits in memory is deflated as a whole by libdeflate. A larger one is cut into
//! chunks that several threads deflate by zlib-rs, each with the 32 KiB before it as its
//! dictionary; the pieces make one stream. What does not become smaller is stored as it is.

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

use crate::format::{DEFLATED, STORED};

/// The largest file that is deflated as a whole.
pub(crate) const WHOLE: u64 = 2 << 20;
/// What a larger one is cut into.
pub(crate) const CHUNK: u64 = 1 << 20;
/// How far deflate looks back.
pub(crate) const DICTIONARY: u64 = 32 << 10;
/// The most bytes that one stored block of a deflate stream holds.
const BLOCK: usize = u16::MAX as usize;

/// One thread's means to deflate.
pub(crate) struct Deflater {
    level: u8,
    whole: Option<Compressor>,
    trial: Option<Compressor>,
    buffer: Vec<u8>,
}

impl Deflater {
    /// At a level from 0 (stored) to 12.
    pub(crate) fn new(level: u8) -> Self {
        Self {
            level,
            whole: None,
            trial: None,
            buffer: Vec::new(),
        }
    }

    /// The data of a small file, and how they are written.
    pub(crate) fn whole<'a>(&'a mut self, content: &'a [u8]) -> (u16, &'a [u8]) {
        if self.level == 0 || content.is_empty() || self.is_noise(content) {
            return (STORED, content);
        }
        let level = i32::from(self.level);
        let compressor = self.whole.get_or_insert_with(|| compressor(level));
        // One byte less than as it is, or it is not worth it.
        let room = content.len() - 1;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        match compressor.deflate_compress(content, &mut self.buffer[..room]) {
            Ok(length) => (DEFLATED, &self.buffer[..length]),
            Err(_) => (STORED, content),
        }
    }

    /// A chunk of a large file as a piece of its deflate stream, appended to `out`.
    pub(crate) fn chunk(
        &mut self,
        dictionary: &[u8],
        content: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) {
        if self.level == 0 || self.is_noise(content) {
            store(content, last, out);
            return;
        }
        // A new one for each chunk: one that is used again remembers.
        let mut compress = Compress::new(Compression::new(zlib_level(self.level)), false);
        if !dictionary.is_empty() {
            compress
                .set_dictionary(dictionary)
                .expect("a new raw stream takes a dictionary");
        }
        let flush = if last {
            FlushCompress::Finish
        } else {
            // Ends on a whole byte, so that the next piece can follow.
            FlushCompress::Sync
        };
        let mut rest = content;
        loop {
            out.reserve(rest.len() / 2 + 4096);
            let before = compress.total_in();
            let status = compress
                .compress_vec(rest, out, flush)
                .expect("any content can be deflated");
            rest = &rest[(compress.total_in() - before) as usize..];
            let room_left = out.len() < out.capacity();
            if status == Status::StreamEnd || (!last && rest.is_empty() && room_left) {
                return;
            }
        }
    }

    /// Whether it is not worth the work: pictures, films and archives have been compressed already.
    fn is_noise(&mut self, content: &[u8]) -> bool {
        const LEAST: usize = 16 << 10;
        const SAMPLE: usize = 4 << 10;
        const TRIAL: usize = 32 << 10;
        if content.len() < LEAST {
            return false;
        }
        let middle = content.len() / 2;
        let flat = [0, middle, content.len() - SAMPLE]
            .into_iter()
            .all(|at| is_flat(&content[at..at + SAMPLE]));
        if !flat {
            return false;
        }
        // Bytes that are all as frequent may still repeat.
        let sample = &content[middle..content.len().min(middle + TRIAL)];
        let mut room = vec![0; sample.len() - sample.len() / 32];
        let trial = self.trial.get_or_insert_with(|| compressor(1));
        trial.deflate_compress(sample, &mut room).is_err()
    }
}

fn compressor(level: i32) -> Compressor {
    let level = CompressionLvl::new(level).unwrap_or_default();
    Compressor::new(level)
}

/// zlib's level for a chunk. Beyond 5 one less than libdeflate's for a file: it takes an eighth less
/// time, and makes a part in five hundred more.
fn zlib_level(level: u8) -> u32 {
    u32::from(level.saturating_sub(1).max(level.min(5)).clamp(1, 9))
}

/// Whether each byte is about as frequent as any other: counts of noise vary, but little.
fn is_flat(sample: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let squares: u64 = counts.iter().map(|count| u64::from(*count).pow(2)).sum();
    let length = sample.len() as u64;
    // For noise this is about 1.06; for text it is beyond 10.
    squares * 256 * 10 < length * length * 13
}

/// Content as stored blocks of a deflate stream (RFC 1951 §3.2.4), which begin on a whole byte.
fn store(content: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut blocks = content.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(last && blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect()
    }

    fn text(length: usize) -> Vec<u8> {
        (0..)
            .flat_map(|n: u64| format!("line {} of it\n", n * n).into_bytes())
            .take(length)
            .collect()
    }

    fn inflated(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::DeflateDecoder::new(data)
            .read_to_end(&mut out)
            .unwrap();
        out
    }

    #[test]
    fn what_does_not_become_smaller_is_stored() {
        let mut deflater = Deflater::new(6);
        let repeated = noise(16 << 10).repeat(4);
        for (what, content, method) in [
            ("nothing", vec![], STORED),
            ("one byte", vec![7], STORED),
            ("a little text", text(200), DEFLATED),
            ("a little noise", noise(200), STORED),
            ("much text", text(300_000), DEFLATED),
            ("much noise", noise(300_000), STORED),
            ("noise that repeats", repeated, DEFLATED),
            (
                "text with noise at its ends",
                [noise(9_000), text(90_000), noise(9_000)].concat(),
                DEFLATED,
            ),
        ] {
            let (used, data) = deflater.whole(&content);
            assert_eq!(used, method, "{what}");
            if used == DEFLATED {
                assert!(data.len() < content.len(), "{what}");
                assert_eq!(inflated(data), content, "{what}");
            }
        }
    }

    #[test]
    fn chunks_make_one_stream() {
        let chunk = CHUNK as usize;
        for (what, content) in [
            ("text", text(3 * chunk + 5)),
            ("noise", noise(2 * chunk + 70_000)),
            (
                "one after the other",
                [text(chunk), noise(chunk), text(chunk)].concat(),
            ),
            ("just a chunk", text(chunk)),
        ] {
            for level in [0, 1, 6, 12] {
                let mut deflater = Deflater::new(level);
                let mut stream = Vec::new();
                for (at, piece) in content.chunks(chunk).enumerate() {
                    let at = at * chunk;
                    let before = &content[at.saturating_sub(DICTIONARY as usize)..at];
                    let last = at + piece.len() == content.len();
                    deflater.chunk(before, piece, last, &mut stream);
                }
                assert_eq!(inflated(&stream), content, "{what} at level {level}");
                assert!(
                    stream.len() < content.len() + 1000,
                    "{what} at level {level}"
                );
            }
        }
    }

    #[test]
    fn what_was_deflated_before_does_not_matter() {
        let (one, two) = (text(100_000), [text(50_000), noise(50_000)].concat());
        let mut used = Deflater::new(6);
        used.whole(&two);
        used.chunk(&one, &two, false, &mut Vec::new());
        let again = used.whole(&one).1.to_vec();
        assert_eq!(again, Deflater::new(6).whole(&one).1);
        let chunk = |deflater: &mut Deflater| {
            let mut out = Vec::new();
            deflater.chunk(&two[..10_000], &one, true, &mut out);
            out
        };
        assert_eq!(chunk(&mut used), chunk(&mut Deflater::new(6)));
    }
}
