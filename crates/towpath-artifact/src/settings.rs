//! How much of a machine moving artifacts may use.

use std::time::Duration;

use towpath_archive::{Limits, Packing, Unpacking};

/// What bounds memory, processors and connections. Memory does not depend on how large an archive
/// or a file in it is: reading takes about `connections` × `segment`, writing about
/// (`uploads` + 1) × `part` (5 MiB more for each where unchanged parts are not copied by S3), both
/// a few megabytes for each thread, and both about 150 bytes for every entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many threads inflate or deflate.
    pub threads: usize,
    /// How many requests read at once.
    pub connections: usize,
    /// About how many bytes each of them reads.
    pub segment: u64,
    /// How many parts of a large upload are under way at once.
    pub uploads: usize,
    /// How large such a part is: from 5 MiB, S3's least, to 5 GiB. S3 takes at most 10,000 parts.
    pub part: usize,
    /// How small archives are made, from 0 to [`Settings::HIGHEST_LEVEL`].
    pub level: u8,
    /// How long to wait for the next byte before a request is made again.
    pub stall: Duration,
    /// How long to wait before a request for a range is made again; doubled each time.
    pub pause: Duration,
    /// What an archive may come to.
    pub limits: Limits,
}

/// The memory for which Lambda gives one processor.
const MEGABYTES_OF_A_PROCESSOR: u64 = 1_769;
/// Where Lambda says how much memory the function has.
const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
const KIB: u64 = 1 << 10;
/// S3's smallest part, but for an upload's last.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(crate) const LEAST_PART: usize = 5 << 20;

impl Settings {
    /// The highest level.
    pub const HIGHEST_LEVEL: u8 = Packing::HIGHEST;

    /// For a Lambda function with so much memory.
    pub fn for_memory(megabytes: u64) -> Self {
        let (connections, segment, uploads, part) = match megabytes {
            0..512 => (3, 512 * KIB, 2, LEAST_PART),
            512..MEGABYTES_OF_A_PROCESSOR => (6, 1024 * KIB, 3, LEAST_PART),
            MEGABYTES_OF_A_PROCESSOR..7_076 => (12, 1024 * KIB, 4, LEAST_PART),
            _ => (16, 2048 * KIB, 8, 8 << 20),
        };
        Self {
            threads: megabytes.div_ceil(MEGABYTES_OF_A_PROCESSOR).max(1) as usize,
            connections,
            segment,
            uploads,
            part,
            level: Packing::LEVEL,
            stall: Duration::from_secs(20),
            pause: Duration::from_millis(50),
            limits: Limits::for_memory(megabytes),
        }
    }

    /// For where this process runs: by the function's memory in Lambda, elsewhere by the
    /// processors there are.
    pub fn for_here() -> Self {
        let memory = std::env::var(MEMORY)
            .ok()
            .and_then(|megabytes| megabytes.parse().ok());
        match memory {
            Some(megabytes) => Self::for_memory(megabytes),
            None => Self {
                threads: std::thread::available_parallelism().map_or(1, usize::from),
                ..Self::for_memory(2 * MEGABYTES_OF_A_PROCESSOR)
            },
        }
    }

    /// What tells of an archive which settings it was packed with: those that its bytes depend on.
    pub fn mark(&self) -> String {
        format!("{}-{}", Packing::FORMAT, self.level)
    }

    pub(crate) fn unpacking(&self) -> Unpacking {
        Unpacking {
            limits: self.limits,
            readers: self.connections.max(1),
            threads: self.threads,
            segment: self.segment,
        }
    }

    pub(crate) fn packing(&self) -> Packing {
        Packing {
            level: self.level,
            threads: self.threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_gives_processors_and_bounds_what_is_under_way() {
        for (megabytes, threads, connections, reading, writing) in [
            (0, 1, 3, 2, 15),
            (128, 1, 3, 2, 15),
            (1_000, 1, 6, 6, 20),
            (1_769, 1, 12, 12, 25),
            (1_770, 2, 12, 12, 25),
            (3_538, 2, 12, 12, 25),
            (10_240, 6, 16, 32, 72),
        ] {
            let settings = Settings::for_memory(megabytes);
            assert_eq!(settings.threads, threads, "{megabytes}");
            assert_eq!(settings.connections, connections, "{megabytes}");
            let under_way = settings.connections as u64 * settings.segment;
            assert!(under_way <= reading << 20, "{megabytes}: {under_way}");
            let under_way = (settings.uploads + 1) * settings.part;
            assert!(under_way <= writing << 20, "{megabytes}: {under_way}");
            assert!(settings.part >= LEAST_PART);
        }
    }
}
