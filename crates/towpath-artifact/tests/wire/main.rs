//! What moving artifacts promises, held against a server of its own: the requests are looked at as
//! they come, and connections can be cut where it hurts.

mod copies;
mod overlays;
mod ranges;
mod reading;
mod reuse;
mod server;
mod uploads;
mod writing;

use std::path::Path;
use std::time::Duration;

use towpath_archive::{Packing, Unpacking, pack, unpack};
use towpath_artifact::{Location, Settings, Store};

use crate::server::Server;

const ARTIFACT: Location<'_> = Location {
    bucket: "artifacts",
    key: "pipeline/Source/abc",
};

/// Its place on the server.
const PATH: &str = "/artifacts/pipeline/Source/abc";

/// A function of two processors, but impatient, and with segments that even small archives have
/// several of.
fn settings() -> Settings {
    Settings {
        threads: 2,
        connections: 4,
        segment: 64 << 10,
        uploads: 2,
        part: 5 << 20,
        pause: Duration::from_millis(1),
        stall: Duration::from_millis(300),
        ..Settings::for_memory(3_538)
    }
}

fn store(server: &Server) -> Store {
    Store::new(server.client(), settings())
}

/// Writes files, makes `name -> target` links, and packs them.
fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let here = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = here.path().join(name.trim_end_matches(" ->"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with(" ->") {
            std::os::unix::fs::symlink(content, path).unwrap();
        } else {
            std::fs::write(path, content).unwrap();
        }
    }
    packed(here.path())
}

fn packed(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(directory, &mut bytes, &Packing::default()).unwrap();
    bytes
}

fn unpacked(archive: &[u8]) -> tempfile::TempDir {
    let into = tempfile::tempdir().unwrap();
    unpack(archive, into.path(), &Unpacking::default()).unwrap();
    into
}

/// Bytes that do not compress, the same each time.
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

/// A tree with some of everything: 200 small files, a large one, a link.
fn plant(root: &Path) {
    for n in 0..200 {
        let directory = root.join(format!("d{}", n % 7));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{n}.txt")), noise(n * 20)).unwrap();
    }
    std::fs::write(root.join("large"), noise(3 << 20)).unwrap();
    std::os::unix::fs::symlink("large", root.join("link")).unwrap();
}

/// Every path with what is there.
fn survey(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = walkdir::WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let content = if entry.path_is_symlink() {
                std::fs::read_link(path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if path.is_dir() {
                Vec::new()
            } else {
                std::fs::read(path).unwrap()
            };
            (name, content)
        })
        .collect();
    found.sort();
    found
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
