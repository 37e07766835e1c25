//! Archives are exchanged with other programs' readers and writers, where these are installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use towpath_archive::Limits;

use crate::tree::{Node, Tree, packed, plant, sample, survey, unpack, with_parents};

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

#[test]
fn python_reads_what_is_packed_here() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    plant(&sample(), &root);
    fs::write(here.path().join("a.zip"), packed(&root).0).unwrap();
    let script = "
import zipfile, hashlib
z = zipfile.ZipFile('a.zip')
assert z.testzip() is None
for i in z.infolist():
    print(i.filename, oct(i.external_attr >> 16), i.date_time[0], hashlib.sha256(z.read(i)).hexdigest()[:8], sep='|')
";
    let Some(listed) = run("python3", &["-c", script], here.path()) else {
        return;
    };
    let names: Vec<&str> = listed
        .lines()
        .map(|line| line.split('|').next().unwrap())
        .collect();
    let expected: Vec<String> = sample()
        .into_iter()
        .map(|(path, node)| match node {
            Node::Directory => path + "/",
            _ => path,
        })
        .collect();
    assert_eq!(names, expected);
    for line in [
        "bootstrap|0o100755|1980|",
        "src/app.js|0o100644|1980|",
        "src/up|0o120777|1980|",
        "empty/directory/|0o40755|1980|",
    ] {
        assert!(listed.contains(line), "{line} in {listed}");
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
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    plant(&sample(), &root);
    fs::write(here.path().join("a.zip"), packed(&root).0).unwrap();
    if run("unzip", &["-q", "a.zip", "-d", "theirs"], here.path()).is_some() {
        assert_eq!(
            survey(&here.path().join("theirs")),
            with_parents(&sample()),
            "unzip"
        );
    }
    if run("zip", &["-q", "-r", "-y", "../b.zip", "."], &root).is_some() {
        assert_eq!(
            unpacked(&here.path().join("b.zip")),
            with_parents(&sample()),
            "zip"
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
