//! Directory trees, written down and read back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use towpath_archive::{ArchiveError, Limits, Packed, Packing, Unpacking, pack};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Directory,
    File { mode: u32, content: Vec<u8> },
    Link(String),
}

pub(crate) type Tree = BTreeMap<String, Node>;

pub(crate) fn file(mode: u32, content: &[u8]) -> Node {
    Node::File {
        mode,
        content: content.to_vec(),
    }
}

/// Makes the tree; parents come by themselves.
pub(crate) fn plant(tree: &Tree, root: &Path) {
    for (path, node) in tree {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match node {
            Node::Directory => fs::create_dir_all(&path).unwrap(),
            Node::File { mode, content } => {
                fs::write(&path, content).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Node::Link(target) => symlink(target, &path).unwrap(),
        }
    }
}

/// All that is in a directory.
pub(crate) fn survey(root: &Path) -> Tree {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let kind = entry.file_type();
        let node = if kind.is_symlink() {
            Node::Link(fs::read_link(path).unwrap().to_str().unwrap().to_owned())
        } else if kind.is_dir() {
            Node::Directory
        } else {
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            file(mode, &fs::read(path).unwrap())
        };
        tree.insert(name.to_owned(), node);
    }
    tree
}

/// The tree with the directories that its paths imply.
pub(crate) fn with_parents(tree: &Tree) -> Tree {
    let mut whole = tree.clone();
    for path in tree.keys() {
        for (at, _) in path.match_indices('/') {
            whole
                .entry(path[..at].to_owned())
                .or_insert(Node::Directory);
        }
    }
    whole
}

pub(crate) fn packed(root: &Path) -> (Vec<u8>, Packed) {
    let mut bytes = Vec::new();
    let packed = pack(root, &mut bytes, &Packing::default()).unwrap();
    (bytes, packed)
}

/// Unpacks with several readers, and pieces small enough that even these archives have some.
pub(crate) fn unpack(
    bytes: &[u8],
    into: &Path,
    limits: &Limits,
) -> Result<towpath_archive::Tree, ArchiveError> {
    let how = Unpacking {
        limits: *limits,
        readers: 3,
        threads: 2,
        segment: 1 << 10,
    };
    towpath_archive::unpack(bytes, into, &how)
}

/// One of everything that an archive can hold.
pub(crate) fn sample() -> Tree {
    [
        ("bootstrap", file(0o755, b"#!/bin/sh\nexit 0\n")),
        ("empty/directory", Node::Directory),
        ("empty.txt", file(0o644, b"")),
        (
            "src/app.js",
            file(0o644, b"exports.handler = async () => ({});\n"),
        ),
        (
            "src/app.test.js",
            file(0o644, &b"a line, again and again\n".repeat(4_000)),
        ),
        ("src/noise.bin", file(0o644, &noise(70_000))),
        (
            "src/gr\u{fc}\u{df}e \u{1f6f6}.txt",
            file(0o644, "hallo".as_bytes()),
        ),
        ("src/up", Node::Link("../bootstrap".to_owned())),
        (
            "node_modules/.bin/tool",
            Node::Link("../tool/cli.js".to_owned()),
        ),
        (
            "node_modules/tool/cli.js",
            file(0o755, b"#!/usr/bin/env node\n"),
        ),
        ("node_modules/dangling", Node::Link("nowhere".to_owned())),
    ]
    .into_iter()
    .map(|(path, node)| (path.to_owned(), node))
    .collect()
}

/// A tree with files so large that they are deflated by the piece, and some around them.
pub(crate) fn large() -> Tree {
    let text: Vec<u8> = (0..400_000_u32)
        .flat_map(|n| format!("{n}\n").into_bytes())
        .collect();
    let mixed = [
        noise(1_500_000),
        vec![0; 2_000_000],
        text.clone(),
        noise(77),
    ]
    .concat();
    let mut tree = sample();
    for (path, content) in [
        ("large/a.bin", noise((4 << 20) + 1)),
        ("large/b.txt", text),
        ("large/c.dat", mixed),
        // The most that is still deflated in one piece, and the least that is not.
        ("large/d.bin", vec![7; 2 << 20]),
        ("large/e.bin", vec![7; (2 << 20) + 1]),
    ] {
        tree.insert(path.to_owned(), file(0o644, &content));
    }
    for n in 0..300 {
        let content = format!("{n} ").repeat(n % 50);
        tree.insert(format!("many/{n}"), file(0o644, content.as_bytes()));
    }
    tree
}

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
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
