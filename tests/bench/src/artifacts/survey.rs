//! What is in a tree, so that two can be compared.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Digests of a tree, each of what a program may lose by itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    contents: String,
    modes: String,
    links: String,
}

impl Survey {
    /// What the other tree has not.
    pub(crate) fn differs(&self, other: &Self) -> Vec<&'static str> {
        [
            (self.contents == other.contents, "contents"),
            (self.modes == other.modes, "modes"),
            (self.links == other.links, "links"),
        ]
        .into_iter()
        .filter_map(|(same, what)| (!same).then_some(what))
        .collect()
    }
}

pub(crate) fn of(tree: &Path) -> anyhow::Result<Survey> {
    let (mut contents, mut modes, mut links) = (Sha256::new(), Sha256::new(), Sha256::new());
    for entry in walkdir::WalkDir::new(tree).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let name = entry.path().strip_prefix(tree)?.display().to_string();
        if entry.path_is_symlink() {
            links.update(&name);
            links.update(fs::read_link(entry.path())?.as_os_str().as_encoded_bytes());
        } else if entry.file_type().is_file() {
            contents.update(&name);
            contents.update(fs::read(entry.path())?);
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            modes.update(&name);
            modes.update([u8::from(executable)]);
        }
    }
    Ok(Survey {
        contents: hex::encode(contents.finalize()),
        modes: hex::encode(modes.finalize()),
        links: hex::encode(links.finalize()),
    })
}
