//! Archives are exchanged with other programs' readers and writers, where these are installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use towpath_archive::Limits;

use crate::tree::{Node, Tree, large, packed, plant, sample, survey, unpack, with_parents};

/// Runs a program in a directory; `None` if it is not installed.
fn run(program: &str, arguments: &[&str], directory: &Path) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

fn unpacked(archive: &Path) -> Tree {
    let bytes = fs::read(archive).unwrap();
    let into = archive.with_extension("tree");
    unpack(&bytes, &into, &Limits::default()).unwrap();
    survey(&into)
}

fn files(tree: &Tree) -> Tree {
    tree.iter()
        .filter(|(_, node)| matches!(node, Node::File { .. }))
        .map(|(path, node)| (path.clone(), node.clone()))
        .collect()
}

/// What a tree is to another program, a line for each entry: its name, its mode and the SHA-256 of
/// its content, which for a link is its target.
fn told(tree: &Tree) -> Vec<String> {
    let line = |(path, node): (&String, &Node)| {
        let (slash, mode, content) = match node {
            Node::Directory => ("/", 0o040_755, &b""[..]),
            Node::File { mode, content } => ("", 0o100_000 | mode, &content[..]),
            Node::Link(target) => ("", 0o120_777, target.as_bytes()),
        };
        let digest = hex::encode(Sha256::digest(content));
        format!("{path}{slash}|{mode:o}|{digest}")
    };
    tree.iter().map(line).collect()
}

/// The tree with the largest files, packed in a directory of its own.
fn large_packed() -> (tempfile::TempDir, Tree) {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    let tree = large();
    plant(&tree, &root);
    fs::write(here.path().join("a.zip"), packed(&root).0).unwrap();
    (here, tree)
}

/// Compared without printing megabytes.
fn same(found: &Tree, expected: &Tree, what: &str) {
    let differs = |path: &&String| found.get(*path) != expected.get(*path);
    let differ: Vec<_> = found
        .keys()
        .chain(expected.keys())
        .filter(differs)
        .collect();
    assert!(differ.is_empty(), "{what}: {differ:?}");
}

#[test]
fn python_reads_what_is_packed_here() {
    let (here, tree) = large_packed();
    let script = "
import zipfile, hashlib
z = zipfile.ZipFile('a.zip')
assert z.testzip() is None
for i in z.infolist():
    assert i.date_time == (1980, 1, 1, 0, 0, 0)
    print(i.filename, format(i.external_attr >> 16, 'o'), hashlib.sha256(z.read(i)).hexdigest(), sep='|')
";
    if let Some(listed) = run("python3", &["-c", script], here.path()) {
        assert_eq!(listed.lines().collect::<Vec<_>>(), told(&tree));
    }
}

#[test]
fn node_reads_what_is_packed_here() {
    let (here, tree) = large_packed();
    let script = "
const yauzl = require('yauzl');
const { createHash } = require('node:crypto');
const zip = (path) => new Promise((resolve, reject) =>
  yauzl.open(path, { lazyEntries: true }, (error, zip) => (error ? reject(error) : resolve(zip))));
(async () => {
  const file = await zip('a.zip');
  file.on('error', (error) => { throw error; });
  file.on('entry', (entry) => file.openReadStream(entry, (error, stream) => {
    if (error) throw error;
    const hash = createHash('sha256');
    stream.on('data', (piece) => hash.update(piece));
    stream.on('end', () => {
      console.log(`${entry.fileName}|${(entry.externalFileAttributes >>> 16).toString(8)}|${hash.digest('hex')}`);
      file.readEntry();
    });
  }));
  file.readEntry();
})();
";
    let has_yauzl = Command::new("node")
        .args(["-e", "require('yauzl')"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_yauzl {
        return;
    }
    let listed = run("node", &["-e", script], here.path()).unwrap();
    assert_eq!(listed.lines().collect::<Vec<_>>(), told(&tree));
}

#[test]
fn seven_zip_and_libarchive_read_what_is_packed_here() {
    let (here, tree) = large_packed();
    // -snld: also links to what is not there, of which the tree has one.
    if run(
        "7z",
        &["x", "-bd", "-snld", "-oseven", "a.zip"],
        here.path(),
    )
    .is_some()
    {
        same(
            &survey(&here.path().join("seven")),
            &with_parents(&tree),
            "7z",
        );
    }
    fs::create_dir(here.path().join("bsd")).unwrap();
    if run("bsdtar", &["-xf", "../a.zip"], &here.path().join("bsd")).is_some() {
        same(
            &survey(&here.path().join("bsd")),
            &with_parents(&tree),
            "bsdtar",
        );
    }
}

#[test]
fn what_python_packs_is_unpacked_here() {
    let here = tempfile::tempdir().unwrap();
    let script = "
import zipfile, io, sys
class Pipe(io.RawIOBase):
    'Cannot seek, so that sizes come after the data.'
    def __init__(self, f): self.f = f
    def writable(self): return True
    def write(self, b): return self.f.write(b)
for name, target in (('plain.zip', open('plain.zip', 'wb')), ('piped.zip', Pipe(open('piped.zip', 'wb')))):
    with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as z:
        z.writestr('a/b.txt', 'hello ' * 1000)
        z.writestr('gr\\u00fc\\u00dfe.txt', 'x')
        i = zipfile.ZipInfo('tool.sh'); i.external_attr = 0o100755 << 16
        z.writestr(i, '#!/bin/sh')
        i = zipfile.ZipInfo('link'); i.external_attr = 0o120777 << 16; i.create_system = 3
        z.writestr(i, 'a/b.txt')
";
    if run("python3", &["-c", script], here.path()).is_none() {
        return;
    }
    for archive in ["plain.zip", "piped.zip"] {
        let tree = unpacked(&here.path().join(archive));
        let Node::File { content, .. } = &tree["a/b.txt"] else {
            panic!("{archive}: {tree:?}");
        };
        assert_eq!(content.len(), 6000, "{archive}");
        assert_eq!(tree["link"], Node::Link("a/b.txt".into()), "{archive}");
        assert!(tree.contains_key("gr\u{fc}\u{df}e.txt"), "{archive}");
        assert!(
            matches!(tree["tool.sh"], Node::File { mode: 0o755, .. }),
            "{archive}"
        );
    }
}

#[test]
fn info_zip_agrees_in_both_directions() {
    let (here, tree) = large_packed();
    if run("unzip", &["-q", "a.zip", "-d", "theirs"], here.path()).is_some() {
        same(
            &survey(&here.path().join("theirs")),
            &with_parents(&tree),
            "unzip",
        );
    }
    let root = here.path().join("root");
    if run("zip", &["-q", "-r", "-y", "../b.zip", "."], &root).is_some() {
        same(
            &unpacked(&here.path().join("b.zip")),
            &with_parents(&tree),
            "zip",
        );
    }
    if run("7z", &["a", "-bd", "-tzip", "-snl", "../c.zip", "."], &root).is_some() {
        same(
            &unpacked(&here.path().join("c.zip")),
            &with_parents(&tree),
            "7z",
        );
    }
}

#[test]
fn archives_of_git_and_of_java_are_unpacked_here() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    let mut sample = sample();
    // jar follows links, and stops at one that leads nowhere.
    sample.remove("node_modules/dangling");
    plant(&sample, &root);
    if run("jar", &["cfM", "../java.zip", "."], &root).is_some() {
        let tree = unpacked(&here.path().join("java.zip"));
        for path in files(&sample).keys() {
            assert!(tree.contains_key(path), "jar: {path}");
        }
    }
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        run("git", &[&identity, arguments].concat(), &root)
    };
    if git(&["init", "-q", "."]).is_some() {
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "sample"]);
        git(&["archive", "--format=zip", "-o", "../git.zip", "HEAD"]);
        let tree = unpacked(&here.path().join("git.zip"));
        assert_eq!(
            files(&tree).keys().collect::<Vec<_>>(),
            files(&sample).keys().collect::<Vec<_>>()
        );
        assert_eq!(tree["src/up"], Node::Link("../bootstrap".into()));
    }
}
