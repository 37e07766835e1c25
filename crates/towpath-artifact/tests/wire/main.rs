//! What the S3 half of the crate promises, held against a server of its own: the requests are
//! looked at as they come, and connections can be cut where it hurts.

mod overlays;
mod reading;
mod server;
mod writing;

use std::io::Cursor;
use std::path::Path;

use towpath_artifact::{Location, pack};

const ARTIFACT: Location<'_> = Location {
    bucket: "artifacts",
    key: "pipeline/Source/abc",
};

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
    let mut bytes = Vec::new();
    pack(here.path(), Cursor::new(&mut bytes)).unwrap();
    bytes
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
