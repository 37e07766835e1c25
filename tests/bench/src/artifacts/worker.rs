//! What is measured of our own and of the floor, each as a process of its own: this program, started with
//! [`WORKER`] as its first argument.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use aws_credential_types::Credentials;
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use towpath_archive::{FileSource, Packing, Unpacking};
use towpath_artifact::{Encryption, Location, Settings, Source, Store};
use zip::{CompressionMethod, ZipArchive};

use super::meter::own_cpu;

/// The first argument.
pub(crate) const WORKER: &str = "worker";
/// Where the slow store has its object.
pub(crate) const BUCKET: &str = "bench";

pub(crate) fn main(arguments: &[String]) -> ExitCode {
    match work(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: &[String]) -> anyhow::Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["unpack", archive, into, threads] => {
            let source = FileSource::new(File::open(archive)?)?;
            let threads = threads.parse()?;
            let how = Unpacking {
                readers: threads,
                threads,
                ..Unpacking::default()
            };
            towpath_archive::unpack(&source, Path::new(into), &how)?;
        }
        ["pack", tree, archive, threads] => {
            let how = Packing {
                threads: threads.parse()?,
                ..Packing::default()
            };
            let packed = towpath_archive::pack(Path::new(tree), File::create(archive)?, &how)?;
            println!("{}", packed.sha256);
        }
        ["get", endpoint, key, into, memory] => moved(endpoint, memory, async |store, bucket| {
            store
                .fetch(Location { bucket, key }, Path::new(into))
                .await?;
            Ok(())
        })?,
        ["put", endpoint, key, tree, memory] => moved(endpoint, memory, async |store, bucket| {
            let source = Source::Directory(Path::new(tree));
            store
                .publish(source, Location { bucket, key }, &Encryption::Bucket)
                .await?;
            Ok(())
        })?,
        ["download", address, path, file] => download(address, path, Path::new(file))?,
        ["upload", address, path, file] => upload(address, path, Path::new(file))?,
        ["zip-unpack", archive, into] => ZipArchive::new(File::open(archive)?)?.extract(into)?,
        ["zip-pack", tree, archive] => zip_pack(Path::new(tree), archive)?,
        ["floor-unpack", archive, into] => floor_unpack(Path::new(archive), Path::new(into))?,
        ["floor-pack", tree] => floor_pack(Path::new(tree), Packing::LEVEL.into())?,
        _ => bail!("not something to measure: {words:?}"),
    }
    Ok(())
}

/// With the settings of a function that has so much memory.
fn moved(
    endpoint: &str,
    memory: &str,
    work: impl AsyncFnOnce(&Store, &'static str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let settings = Settings::for_memory(memory.parse()?);
    let credentials = Credentials::new("AKIDEXAMPLE", "example", None, None, "bench");
    let config = towpath_aws::fixed(endpoint, "us-east-1", credentials);
    let store = Store::new(towpath_aws::s3(&config), settings);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads)
        .enable_all()
        .build()?
        .block_on(work(&store, BUCKET))
}

/// How many connections those have who know of no ranges.
const CONNECTIONS: u64 = 8;

/// An object into a file, by some connections: what others do before they unpack.
fn download(address: &str, path: &str, file: &Path) -> anyhow::Result<()> {
    let mut probe = TcpStream::connect(address)?;
    let (length, _) = ask(&mut probe, path, "0-0")?;
    let file = File::create(file)?;
    let (piece, next) = (8 << 20, AtomicU64::new(0));
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let fetched = || -> anyhow::Result<()> {
                    let mut stream = TcpStream::connect(address)?;
                    let mut buffer = vec![0; 256 << 10];
                    loop {
                        let mut at = next.fetch_add(piece, Ordering::Relaxed);
                        if at >= length {
                            return Ok(());
                        }
                        let end = (at + piece).min(length);
                        let (_, mut ahead) = ask(&mut stream, path, &format!("{at}-{}", end - 1))?;
                        while ahead > 0 {
                            let room = ahead.min(buffer.len() as u64) as usize;
                            stream.read_exact(&mut buffer[..room])?;
                            file.write_all_at(&buffer[..room], at)?;
                            at += room as u64;
                            ahead -= room as u64;
                        }
                    }
                };
                if let Err(error) = fetched() {
                    *failure.lock().expect("nobody panics here") = Some(error);
                }
            });
        }
    });
    failure
        .into_inner()
        .expect("nobody panics here")
        .map_or(Ok(()), Err)
}

/// Asks for a range; the object's length, and that of the body that follows.
fn ask(stream: &mut TcpStream, path: &str, range: &str) -> anyhow::Result<(u64, u64)> {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: store\r\nrange: bytes={range}\r\n\r\n"
    )?;
    let head = head(stream)?;
    let value = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name));
        line.with_context(|| format!("no {name} in {head}"))
    };
    let total = value("content-range: ")?
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .parse()?;
    Ok((total, value("content-length: ")?.parse()?))
}

/// The head of an answer, up to the empty line.
fn head(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head)?)
}

/// A file to an object in parts, by some connections: what others do after they have packed.
fn upload(address: &str, path: &str, file: &Path) -> anyhow::Result<()> {
    let (file, length) = (File::open(file)?, fs::metadata(file)?.len());
    let (piece, next) = (8_u64 << 20, AtomicU64::new(0));
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let mut stream = TcpStream::connect(address)?;
                    let mut buffer = vec![0; 256 << 10];
                    loop {
                        let mut at = next.fetch_add(piece, Ordering::Relaxed);
                        if at >= length {
                            return Ok(());
                        }
                        let end = (at + piece).min(length);
                        write!(stream, "PUT {path}?partNumber=1 HTTP/1.1\r\nhost: store\r\ncontent-length: {}\r\n\r\n", end - at)?;
                        while at < end {
                            let room = (end - at).min(buffer.len() as u64) as usize;
                            file.read_exact_at(&mut buffer[..room], at)?;
                            stream.write_all(&buffer[..room])?;
                            at += room as u64;
                        }
                        head(&mut stream)?;
                    }
                })
            })
            .collect();
        senders
            .into_iter()
            .try_for_each(|sender| sender.join().expect("nobody panics here"))
    })
}

/// What the `zip` crate's writer makes of a tree, one file after the other.
fn zip_pack(tree: &Path, archive: &str) -> anyhow::Result<()> {
    let mut writer = zip::ZipWriter::new(BufWriter::new(File::create(archive)?));
    for entry in walkdir::WalkDir::new(tree).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let name = entry.path().strip_prefix(tree)?.display().to_string();
        let options = zip::write::SimpleFileOptions::default();
        if entry.path_is_symlink() {
            let target = fs::read_link(entry.path())?;
            writer.add_symlink(name, target.display().to_string(), options)?;
        } else if entry.file_type().is_file() {
            writer.start_file(name, options)?;
            writer.write_all(&fs::read(entry.path())?)?;
        }
    }
    writer.finish()?.flush()?;
    Ok(())
}

/// The least that unpacking takes: each file inflated by the fastest means there is, created and written from the
/// buffer that it was inflated to; no checksums, no headers, no reading of the archive. Prints the processor time.
fn floor_unpack(archive: &Path, into: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(archive)?;
    let mut zip = ZipArchive::new(std::io::Cursor::new(&bytes))?;
    let mut files: Vec<(PathBuf, usize, usize, usize, bool)> = Vec::new();
    let mut directories = std::collections::BTreeSet::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index)?;
        let path = into.join(entry.name()?.as_ref());
        directories.extend(
            path.ancestors()
                .skip(1)
                .filter(|up| up.starts_with(into))
                .map(Path::to_owned),
        );
        if entry.is_file() {
            let start = entry.data_start().context("no data")? as usize;
            let deflated = entry.compression() == CompressionMethod::Deflated;
            files.push((
                path,
                start,
                entry.compressed_size() as usize,
                entry.size() as usize,
                deflated,
            ));
        }
    }
    let largest = files
        .iter()
        .map(|(_, _, _, size, _)| *size)
        .max()
        .unwrap_or(0);
    let mut content = vec![0; largest];
    let mut inflate = Decompressor::new();
    let before = own_cpu();
    for directory in &directories {
        fs::create_dir(directory)?;
    }
    for (path, start, compressed, size, deflated) in &files {
        let data = &bytes[*start..start + compressed];
        let content = if *deflated {
            inflate
                .deflate_decompress(data, &mut content[..*size])
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            &content[..*size]
        } else {
            data
        };
        File::create_new(path)?.write_all(content)?;
    }
    println!("{}", own_cpu() - before);
    Ok(())
}

/// The least that packing takes: the tree walked, each file read and deflated by the fastest means there is; nothing
/// is put together, and what comes out is dropped. Prints the processor time.
fn floor_pack(tree: &Path, level: i32) -> anyhow::Result<()> {
    let level = CompressionLvl::new(level).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut deflate = Compressor::new(level);
    let (mut content, mut out) = (Vec::new(), Vec::new());
    let before = own_cpu();
    for entry in walkdir::WalkDir::new(tree) {
        let entry = entry?;
        if entry.file_type().is_file() {
            content.clear();
            File::open(entry.path())?.read_to_end(&mut content)?;
            let bound = deflate.deflate_compress_bound(content.len());
            if out.len() < bound {
                out.resize(bound, 0);
            }
            deflate.deflate_compress(&content, &mut out)?;
        }
    }
    println!("{}", own_cpu() - before);
    Ok(())
}
