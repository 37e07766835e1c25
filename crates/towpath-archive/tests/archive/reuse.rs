//! What nobody has changed since it was unpacked is copied from where it came from, and the archive
//! is the same as if it had been deflated again.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use proptest::prelude::*;
use towpath_archive::{
    ArchiveError, Ledger, Listing, Packing, Sink, Unpacking, pack_into, unpack_contents,
};

use crate::raw::{archive, stored};
use crate::tree::{Node, Tree, file, large, noise, packed, plant};

/// Puts together in memory, with these archives to copy from.
struct Memory<'a> {
    archives: &'a [Vec<u8>],
    bytes: Vec<u8>,
    copied: Vec<(usize, Range<u64>)>,
}

impl Sink for Memory<'_> {
    type Error = ArchiveError;

    fn put(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.bytes.extend(bytes);
        Ok(())
    }

    fn copy(&mut self, archive: usize, bytes: Range<u64>) -> Result<(), ArchiveError> {
        let from = &self.archives[archive];
        self.bytes
            .extend(&from[bytes.start as usize..bytes.end as usize]);
        self.copied.push((archive, bytes));
        Ok(())
    }
}

/// A tree that was unpacked, and what is known of it.
struct Unpacked {
    _here: tempfile::TempDir,
    root: PathBuf,
    archives: Vec<Vec<u8>>,
    ledger: Ledger,
}

/// Unpacks what was packed here, and waits until its files are older than what is done to them.
fn unpacked(tree: &Tree) -> Unpacked {
    let here = tempfile::tempdir().unwrap();
    let original = here.path().join("original");
    plant(tree, &original);
    let (bytes, _) = packed(&original);
    let root = here.path().join("root");
    let (_, contents) = unpack_contents(&bytes[..], &root, &Unpacking::default()).unwrap();
    let mut ledger = Ledger::default();
    ledger.lay(contents, Some(0));
    age(here.path());
    ledger.settle(&root).unwrap();
    Unpacked {
        _here: here,
        root,
        archives: vec![bytes],
        ledger,
    }
}

/// Until the file system's clock has gone on.
fn age(place: &Path) {
    let changed = || {
        let file = tempfile::tempfile_in(place).unwrap();
        file.metadata().unwrap().modified().unwrap()
    };
    let before: SystemTime = changed();
    while changed() == before {
        std::thread::yield_now();
    }
}

impl Unpacked {
    /// Packs the tree as it is now; what was copied of what. It is the same as without a ledger.
    fn packed(&self, threads: usize) -> Vec<(usize, Range<u64>)> {
        let how = Packing {
            threads,
            ..Packing::default()
        };
        let mut sink = Memory {
            archives: &self.archives,
            bytes: Vec::new(),
            copied: Vec::new(),
        };
        let listing = Listing::of_directory(&self.root).unwrap();
        pack_into(&listing, &mut sink, &how, &self.ledger).unwrap();
        let (afresh, _) = packed(&self.root);
        assert!(sink.bytes == afresh, "other bytes than without a ledger");
        sink.copied
    }
}

fn bytes(copied: &[(usize, Range<u64>)]) -> u64 {
    copied
        .iter()
        .map(|(_, range)| range.end - range.start)
        .sum()
}

#[test]
fn a_tree_that_nobody_changed_is_copied_in_one_piece() {
    let unpacked = unpacked(&large());
    for threads in [1, 3] {
        let copied = unpacked.packed(threads);
        assert_eq!(copied.len(), 1, "{copied:?}");
        assert_eq!(copied[0].1.start, 0);
    }
}

#[test]
fn what_was_changed_is_deflated_again_and_the_rest_copied() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 9] = [
        ("nothing", |_| ()),
        ("content of the same length", |root| {
            fs::write(root.join("many/7"), "X ".repeat(7)).unwrap();
        }),
        ("content and the old time", |root| {
            let path = root.join("many/7");
            let then = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "X ".repeat(7)).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(then).unwrap();
        }),
        ("another file in its place", |root| {
            let path = root.join("many/8");
            fs::copy(&path, root.join("copy")).unwrap();
            fs::rename(root.join("copy"), &path).unwrap();
        }),
        ("the right to execute", |root| {
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(root.join("large/b.txt"), executable).unwrap();
        }),
        ("a file less", |root| {
            fs::remove_file(root.join("large/c.dat")).unwrap();
        }),
        ("a file more", |root| {
            fs::write(root.join("large/c.more"), "more").unwrap();
        }),
        ("a link to elsewhere", |root| {
            fs::remove_file(root.join("src/up")).unwrap();
            symlink("app.js", root.join("src/up")).unwrap();
        }),
        ("a directory that is no longer empty", |root| {
            fs::write(root.join("empty/directory/file"), "x").unwrap();
        }),
    ];
    let untouched = unpacked(&large()).packed(2);
    for (what, change) in changes {
        let unpacked = unpacked(&large());
        let whole = unpacked.archives[0].len() as u64;
        change(&unpacked.root);
        let copied = unpacked.packed(2);
        assert!(bytes(&copied) > whole / 3, "{what}: {copied:?}");
        let all = copied == untouched;
        assert_eq!(all, what == "nothing", "{what}: {copied:?}");
    }
}

#[test]
fn a_file_that_could_change_without_a_trace_counts_as_changed() {
    let here = tempfile::tempdir().unwrap();
    let original = here.path().join("original");
    plant(&large(), &original);
    let (bytes, _) = packed(&original);
    let root = here.path().join("root");
    let (_, contents) = unpack_contents(&bytes[..], &root, &Unpacking::default()).unwrap();
    let mut ledger = Ledger::default();
    ledger.lay(contents, Some(0));
    // All files are of this moment.
    age(here.path());
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let mode = entry.metadata().unwrap().permissions();
            fs::set_permissions(entry.path(), mode).unwrap();
        }
    }
    ledger.settle(&root).unwrap();
    let unpacked = Unpacked {
        _here: here,
        root,
        archives: vec![bytes],
        ledger,
    };
    let whole = unpacked.archives[0].len() as u64;
    // The walk takes longer than the clock's step, so that some are old enough; never the last ones.
    let copied = unpacked.packed(2);
    assert!(
        copied.iter().all(|(_, range)| range.end < whole - 1_000),
        "{copied:?}"
    );
}

#[test]
fn of_two_layers_each_file_comes_from_the_upper_one_that_has_it() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    let content = |seed: usize| noise(1_200_000 + seed);
    let layers: [Tree; 2] = [[("a", 1), ("b", 2), ("c", 3)].into(), [("b", 4)].into()].map(
        |files: std::collections::BTreeMap<&str, usize>| {
            let node = |(name, seed): (&str, usize)| (name.to_owned(), file(0o644, &content(seed)));
            files.into_iter().map(node).collect()
        },
    );
    let mut ledger = Ledger::default();
    let mut archives = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let from = here.path().join(format!("layer-{index}"));
        plant(layer, &from);
        archives.push(packed(&from).0);
        let place = here.path().join(format!("unpacked-{index}"));
        let (_, contents) =
            unpack_contents(&archives[index][..], &place, &Unpacking::default()).unwrap();
        ledger.lay(contents, Some(index));
        fs::create_dir_all(&root).unwrap();
        for name in layer.keys() {
            fs::rename(place.join(name), root.join(name)).unwrap();
        }
    }
    age(here.path());
    ledger.settle(&root).unwrap();
    let mut unpacked = Unpacked {
        _here: here,
        root,
        archives,
        ledger,
    };
    let from: Vec<usize> = unpacked
        .packed(2)
        .iter()
        .map(|(archive, _)| *archive)
        .collect();
    assert_eq!(from, [0, 1, 0]);

    // One that nothing may be copied from takes its names away.
    let foreign = archive(&[stored("c", b"c")]);
    let beside = unpacked.root.with_file_name("beside");
    let (_, contents) = unpack_contents(&foreign[..], &beside, &Unpacking::default()).unwrap();
    unpacked.ledger.lay(contents, None);
    fs::rename(beside.join("c"), unpacked.root.join("c")).unwrap();
    let from: Vec<usize> = unpacked
        .packed(2)
        .iter()
        .map(|(archive, _)| *archive)
        .collect();
    assert_eq!(from, [0, 1]);
}

#[test]
fn of_an_archive_that_only_says_to_be_ours_nothing_is_copied_that_would_not_fit() {
    // The same files, but with gaps between, or without the mark of UTF-8.
    let content = noise(1_500_000);
    let spaced = archive(&[
        crate::raw::with(stored("a", &content), |entry| entry.descriptor = vec![0; 9]),
        stored("b", &content),
    ]);
    let flagless = archive(&[crate::raw::with(stored("a", &content), |entry| {
        entry.flags = 0;
    })]);
    for (bytes, expected) in [(spaced, vec!["b"]), (flagless, vec![])] {
        let here = tempfile::tempdir().unwrap();
        let root = here.path().join("root");
        let (_, contents) = unpack_contents(&bytes[..], &root, &Unpacking::default()).unwrap();
        let mut ledger = Ledger::default();
        ledger.lay(contents, Some(0));
        age(here.path());
        ledger.settle(&root).unwrap();
        let unpacked = Unpacked {
            _here: here,
            root,
            archives: vec![bytes],
            ledger,
        };
        assert_eq!(unpacked.packed(2).len(), expected.len(), "{expected:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is changed: what comes out is what would come out without a ledger.
    #[test]
    fn any_change_to_any_files(
        changes in prop::collection::vec((0..12_usize, 0..4_u8), 0..5),
        threads in 1..4_usize,
    ) {
        let tree: Tree = (0..12)
            .map(|n| (format!("d{}/{n}", n % 3), file(0o644, &noise(200_000 + n * 37_000))))
            .chain([("d1/link".to_owned(), Node::Link("1".to_owned()))])
            .collect();
        let unpacked = unpacked(&tree);
        for (n, how) in changes {
            let path = unpacked.root.join(format!("d{}/{n}", n % 3));
            match how {
                0 => drop(fs::remove_file(&path)),
                1 => fs::write(&path, noise(200_000 + n * 37_000)).unwrap(),
                2 => fs::write(&path, "short").unwrap(),
                _ => fs::write(path.with_extension("new"), "beside").unwrap(),
            }
        }
        unpacked.packed(threads);
    }
}
