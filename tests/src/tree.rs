//! A source tree in memory, and the zip archive that a source action would make of it.

use std::io::{Cursor, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Files by their paths.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    files: Vec<(String, Vec<u8>)>,
}

impl Tree {
    /// A tree without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same tree with one more file.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), content.into()));
        self
    }

    /// As a zip archive, every file executable. Not compressed: what is large is meant to be.
    pub fn zip(&self) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .unix_permissions(0o755);
        for (path, content) in &self.files {
            zip.start_file(path.as_str(), options)
                .expect("a name of a file");
            zip.write_all(content).expect("memory takes all");
        }
        zip.finish().expect("memory takes all").into_inner()
    }

    /// As files below a directory.
    pub fn write(&self, directory: &Path) {
        for (path, content) in &self.files {
            let path = directory.join(path);
            let parent = path.parent().expect("a file lies in a directory");
            std::fs::create_dir_all(parent).expect("a directory");
            std::fs::write(path, content).expect("a file");
        }
    }
}
