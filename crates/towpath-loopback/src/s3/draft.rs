//! Content on its way: written beside its final place, measured as it comes, read back in ranges.

use std::io;
use std::path::Path;

use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::Checksum;
use s3s::{S3Error, S3Result, s3_error};
use tempfile::TempPath;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufWriter};

/// Content that is being written. Dropped before it is committed, it leaves nothing.
pub(super) struct Draft {
    file: BufWriter<tokio::fs::File>,
    temporary: TempPath,
    md5: Md5,
    pub(super) hasher: ChecksumHasher,
    size: u64,
}

/// Content that is complete and waits for its name.
pub(super) struct Finished {
    pub(super) temporary: TempPath,
    pub(super) size: u64,
    /// MD5 in hexadecimal; a multipart upload replaces it.
    pub(super) etag: String,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Checksum,
}

impl Draft {
    /// A draft in `directory`.
    pub(super) fn create(directory: &Path) -> S3Result<Self> {
        let (file, temporary) = tempfile::Builder::new()
            .prefix(".draft-")
            .tempfile_in(directory)
            .map_err(failed("write", "a draft"))?
            .into_parts();
        Ok(Self {
            file: BufWriter::with_capacity(256 * 1024, tokio::fs::File::from_std(file)),
            temporary,
            md5: Md5::new(),
            hasher: ChecksumHasher::default(),
            size: 0,
        })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> S3Result<()> {
        self.md5.update(bytes);
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .await
            .map_err(failed("write", "an object"))
    }

    /// Appends bytes `range` of a file; all of it without a range.
    pub(super) async fn append(
        &mut self,
        path: &Path,
        range: Option<std::ops::Range<u64>>,
    ) -> S3Result<()> {
        let mut reader = open(path, range).await?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader
                .read(&mut buffer)
                .await
                .map_err(failed("read", "an object"))?
            {
                0 => return Ok(()),
                read => self.write(&buffer[..read]).await?,
            }
        }
    }

    pub(super) async fn finish(mut self) -> S3Result<Finished> {
        self.file
            .flush()
            .await
            .map_err(failed("write", "an object"))?;
        let md5: [u8; 16] = self.md5.finalize().into();
        Ok(Finished {
            temporary: self.temporary,
            size: self.size,
            etag: hex::encode(md5),
            md5,
            checksum: self.hasher.finalize(),
        })
    }
}

/// Opens content at the start of a range, ending with it.
pub(super) async fn open(
    path: &Path,
    range: Option<std::ops::Range<u64>>,
) -> S3Result<tokio::io::Take<tokio::fs::File>> {
    let mut file = tokio::fs::File::open(path).await.map_err(|error| {
        // The index named it a moment ago: its version was deleted meanwhile.
        s3_error!(
            error,
            NoSuchKey,
            "The object was deleted while it was read."
        )
    })?;
    let length = match range {
        None => u64::MAX,
        Some(range) => {
            file.seek(io::SeekFrom::Start(range.start))
                .await
                .map_err(failed("read", "an object"))?;
            range.end - range.start
        }
    };
    Ok(file.take(length))
}

/// Words a failure of the file system as S3's own.
pub(super) fn failed(verb: &'static str, what: &str) -> impl Fn(io::Error) -> S3Error + use<> {
    let what = what.to_owned();
    move |error| {
        let message = format!("the loopback failed to {verb} {what}: {error}");
        s3_error!(error, InternalError, "{message}")
    }
}
