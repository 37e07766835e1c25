//! What is packed comes out again: names, contents, modes, links and empty directories.

use std::collections::BTreeSet;

use proptest::prelude::*;
use towpath_archive::{ArchiveError, Limits, Packing, pack, read_file};

use crate::raw::{archive, directory, stored, with};
use crate::tree::{Node, Tree, file, packed, plant, sample, survey, unpack, with_parents};

fn round_trip(tree: &Tree) -> (Tree, towpath_archive::Tree) {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    std::fs::create_dir(&root).unwrap();
    plant(tree, &root);
    let (bytes, _) = packed(&root);
    let back = here.path().join("back");
    let unpacked = unpack(&bytes, &back, &Limits::default()).unwrap();
    (survey(&back), unpacked)
}

#[test]
fn one_of_everything_survives() {
    let (back, unpacked) = round_trip(&sample());
    let expected = with_parents(&sample());
    assert_eq!(back, expected);
    assert_eq!(unpacked.entries, expected.len() as u64);
}

#[test]
fn an_empty_tree_survives() {
    let (back, unpacked) = round_trip(&Tree::new());
    assert_eq!(back, Tree::new());
    assert_eq!(unpacked, towpath_archive::Tree::default());
}

#[test]
fn more_entries_than_the_old_format_counts_survive() {
    let many: Vec<_> = (0..66_000)
        .map(|n| stored(&format!("{}/{n}", n % 300), b""))
        .collect();
    // The old end record wraps; only `pack` writes the new one, so plant and pack.
    assert!(many.len() > usize::from(u16::MAX));
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    for entry in &many {
        let path = root.join(std::str::from_utf8(&entry.name).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
    let (bytes, packed) = packed(&root);
    assert_eq!(packed.entries, 66_000);
    let back = here.path().join("back");
    let unpacked = unpack(&bytes, &back, &Limits::default()).unwrap();
    assert_eq!(unpacked.entries, 66_300);
}

/// More than four bytes can say, in a few blocks on disk.
#[test]
fn a_huge_sparse_file_survives_and_stays_sparse() {
    use std::os::unix::fs::{FileExt, MetadataExt};
    const LENGTH: u64 = (4 << 30) + 12_345;
    const MARKS: [(u64, &[u8]); 4] = [
        (0, b"begins"),
        ((2 << 30) - 3, b"across"),
        (u32::MAX as u64 - 2, b"beyond"),
        (LENGTH - 4, b"ends"),
    ];
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let file = std::fs::File::create(root.join("huge")).unwrap();
    file.set_len(LENGTH).unwrap();
    for (at, mark) in MARKS {
        file.write_all_at(mark, at).unwrap();
    }
    std::fs::write(root.join("z-after-it"), "here").unwrap();
    let (bytes, packed) = packed(&root);
    assert_eq!(packed.entries, 2);

    let back = here.path().join("back");
    let unpacked = unpack(&bytes, &back, &Limits::default()).unwrap();
    assert_eq!(unpacked.bytes, LENGTH + 4);
    let file = std::fs::File::open(back.join("huge")).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), LENGTH);
    assert!(
        metadata.blocks() * 512 < 4 << 20,
        "{} blocks",
        metadata.blocks()
    );
    for (at, mark) in MARKS {
        let mut found = vec![0; mark.len()];
        file.read_exact_at(&mut found, at).unwrap();
        assert_eq!(found, mark, "at {at}");
    }
    assert_eq!(std::fs::read(back.join("z-after-it")).unwrap(), b"here");
}

#[test]
fn foreign_modes_survive_without_their_special_bits() {
    let modes = [
        ("plain", 0o100_640, 0o640),
        ("none", 0, 0o644),
        ("tool", 0o100_755, 0o755),
        ("setuid", 0o104_755, 0o755),
        ("setgid", 0o102_711, 0o711),
        ("read-only", 0o100_444, 0o444),
    ];
    let mut entries: Vec<_> = modes
        .iter()
        .map(|(name, mode, _)| with(stored(name, b"x"), |entry| entry.mode = *mode))
        .collect();
    entries.push(with(directory("locked/"), |entry| entry.mode = 0o040_500));
    entries.push(stored("locked/inside", b"x"));
    let here = tempfile::tempdir().unwrap();
    let into = here.path().join("tree");
    unpack(&archive(&entries), &into, &Limits::default()).unwrap();
    let tree = survey(&into);
    for (name, _, expected) in modes {
        assert_eq!(tree[name], file(expected, b"x"), "{name}");
    }
    assert_eq!(tree["locked/inside"], file(0o644, b"x"));
}

#[test]
fn a_file_is_read_without_unpacking_the_rest() {
    let bytes = archive(&[
        stored("template.yaml", b"Resources: {}\n"),
        stored("config/prod.json", b"{}"),
        stored("deep/er/prod.json", b"[]"),
    ]);
    let read = |path: &str| read_file(&bytes[..], path, 100, &Limits::default());
    assert_eq!(read("template.yaml").unwrap(), b"Resources: {}\n");
    assert_eq!(read("./config/prod.json").unwrap(), b"{}");
    for (path, expected) in [
        (
            "prod.json",
            "the archive has no file `prod.json`; it has `config/prod.json`, `deep/er/prod.json`, `template.yaml`",
        ),
        (
            "config",
            "the archive has no file `config`; it has `template.yaml`, `config/prod.json`, `deep/er/prod.json`",
        ),
        ("../x", "refused the archive: entry `../x` climbs with `..`"),
    ] {
        assert_eq!(read(path).unwrap_err().to_string(), expected);
    }
    let error = read_file(&bytes[..], "template.yaml", 3, &Limits::default()).unwrap_err();
    assert!(matches!(error, ArchiveError::Refused { .. }), "{error}");
    // Nothing, in two hundred thousand bytes of empty blocks.
    let vast = with(crate::raw::deflated("vast", b""), |entry| {
        entry.data = [0, 0, 0, 0xFF, 0xFF].repeat(40_000);
        entry.compressed = 200_000;
    });
    let error = read_file(&archive(&[vast])[..], "vast", 100, &Limits::default()).unwrap_err();
    let expected = "entry `vast` is corrupt: it takes 200000 bytes of the archive to hold 0";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn what_could_not_be_unpacked_is_not_packed() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    type Plant = fn(&std::path::Path);
    let cases: [(&str, Plant, &str); 5] = [
        (
            "absolute link",
            |root| symlink("/etc/passwd", root.join("it")).unwrap(),
            "it is a link that leaves the tree, to `/etc/passwd`",
        ),
        (
            "link upward",
            |root| symlink("../..", root.join("it")).unwrap(),
            "it is a link that leaves the tree, to `../..`",
        ),
        (
            "backslash",
            |root| std::fs::write(root.join("a\\b"), "").unwrap(),
            "it has a backslash in its name",
        ),
        (
            "socket",
            |root| {
                std::os::unix::net::UnixListener::bind(root.join("it")).unwrap();
            },
            "it is a socket, not a file",
        ),
        (
            "not UTF-8",
            |root| {
                let name = std::ffi::OsStr::from_bytes(b"\xff");
                // Some file systems take no such name; then there is nothing to pack.
                if std::fs::write(root.join(name), "").is_err() {
                    symlink("/", root.join("it")).unwrap();
                }
            },
            "it",
        ),
    ];
    for (what, plant, expected) in cases {
        let here = tempfile::tempdir().unwrap();
        plant(here.path());
        let error = pack(here.path(), Vec::new(), &Packing::default()).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Unpackable { .. })
                && error.to_string().contains(expected),
            "{what}: {error}"
        );
    }
}

/// A few names, so that trees get deep and names meet.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a".to_owned()),
        Just("b.txt".to_owned()),
        Just(".hidden".to_owned()),
        Just("-dash".to_owned()),
        Just("with space".to_owned()),
        Just("\u{fc}n\u{ef}".to_owned()),
        Just("..dots".to_owned()),
        "[a-z]{1,8}",
    ]
}

#[derive(Debug, Clone)]
enum Sprout {
    Directory,
    File(bool, Vec<u8>),
    LinkBeside(String),
    LinkAcross(prop::sample::Index),
}

fn sprout() -> impl Strategy<Value = Sprout> {
    prop_oneof![
        1 => Just(Sprout::Directory),
        5 => (any::<bool>(), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(executable, content)| Sprout::File(executable, content)),
        1 => part().prop_map(Sprout::LinkBeside),
        1 => any::<prop::sample::Index>().prop_map(Sprout::LinkAcross),
    ]
}

/// Any tree whose links do not leave it.
pub(crate) fn any_tree() -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec(part(), 1..5).prop_map(|parts| parts.join("/"));
    prop::collection::vec((path, sprout()), 0..25).prop_map(|sprouts| {
        let mut tree = Tree::new();
        let mut directories = BTreeSet::new();
        for (path, sprout) in sprouts {
            let parents: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
            let blocked = tree.contains_key(&path)
                || directories.contains(&path)
                || parents.iter().any(|parent| {
                    tree.get(*parent)
                        .is_some_and(|node| *node != Node::Directory)
                });
            if blocked {
                continue;
            }
            directories.extend(parents.iter().map(|parent| (*parent).to_owned()));
            let node = match sprout {
                Sprout::Directory => {
                    directories.insert(path.clone());
                    Node::Directory
                }
                Sprout::File(executable, content) => {
                    file(if executable { 0o755 } else { 0o644 }, &content)
                }
                Sprout::LinkBeside(name) => Node::Link(name),
                Sprout::LinkAcross(_) if tree.is_empty() => Node::Directory,
                Sprout::LinkAcross(index) => {
                    let target = tree.keys().nth(index.index(tree.len())).unwrap();
                    Node::Link(format!("{}{target}", "../".repeat(parents.len())))
                }
            };
            if node == Node::Directory {
                directories.insert(path.clone());
            }
            tree.insert(path, node);
        }
        tree
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tree_survives(tree in any_tree()) {
        let (back, _) = round_trip(&tree);
        prop_assert_eq!(back, with_parents(&tree));
    }
}
