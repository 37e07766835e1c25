//! Hostile and broken archives are refused by name, and nothing of them is left.

use std::fs;

use towpath_archive::{ArchiveError, Limits};

use crate::raw::{archive, deflated, directory, end, link, stored, with};
use crate::tree::unpack;

const LIMITS: Limits = Limits {
    entries: 50,
    bytes: 100 << 20,
    ratio: 100,
};

/// Unpacks beside a witness: what it says, after a look at what it did.
fn refusal(what: &str, bytes: Vec<u8>) -> String {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("witness"), "as it was").unwrap();
    let into = outside.path().join("tree");
    let error = match unpack(&bytes, &into, &LIMITS) {
        Ok(tree) => panic!("{what}: unpacked, {tree:?}"),
        Err(error) => error,
    };
    let left: Vec<_> = fs::read_dir(outside.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["witness"], "{what}: left something behind");
    let witness = fs::read_to_string(outside.path().join("witness")).unwrap();
    assert_eq!(witness, "as it was", "{what}");
    error.to_string()
}

#[test]
fn a_hostile_archive_is_refused_by_name_and_leaves_nothing() {
    let good = || stored("good.txt", b"good");
    let many: Vec<_> = (0..51).map(|n| stored(&format!("{n}"), b"")).collect();
    let deep = format!("{}x", "d/".repeat(50));
    let long = "x".repeat(256);
    let zeros = vec![0; 1 << 20];
    let cut = {
        let mut bytes = archive(&[stored("a", &[7; 1000])]);
        bytes.truncate(600);
        bytes
    };
    let zip64 = {
        // Four billion entries, says a zip64 record; there is none.
        let mut bytes = archive(&[good()]);
        bytes.truncate(bytes.len() - 22);
        let at = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for value in [u64::from(u32::MAX), u64::from(u32::MAX), 54, 42] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(at.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(end(u16::MAX, u32::MAX, u32::MAX));
        bytes
    };
    let overlapping = {
        let bomb = deflated("a", &zeros);
        let again = with(deflated("b", &zeros), |entry| {
            entry.offset = Some(0);
            entry.data.clear();
        });
        archive(&[bomb, again])
    };
    let junk = with(deflated("junk", &[b'x'; 5000]), |entry| {
        entry.data = vec![0xFF; 40];
        entry.compressed = 40;
    });

    #[rustfmt::skip]
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("climbing", archive(&[good(), stored("../evil", b"x")]),
            "entry `../evil` climbs with `..`"),
        ("climbing later", archive(&[stored("a/b/../../../evil", b"x")]),
            "entry `a/b/../../../evil` climbs with `..`"),
        ("climbing by a directory", archive(&[directory("../evil/")]),
            "entry `../evil/` climbs with `..`"),
        ("an absolute path", archive(&[stored("/etc/cron.d/evil", b"x")]),
            "entry `/etc/cron.d/evil` is an absolute path"),
        ("a drive", archive(&[stored("C:/evil", b"x")]),
            "entry `C:/evil` is an absolute path"),
        ("backslashes", archive(&[stored("..\\evil", b"x")]),
            "entry `..\\\\evil` has a backslash in its name; names are separated by `/`"),
        ("a name cut by NUL", archive(&[stored("good.txt\0.sh", b"x")]),
            "entry `good.txt\\0.sh` has a NUL byte in its name"),
        ("no name", archive(&[stored("", b"x")]),
            "entry `` has an empty name"),
        ("a name too long", archive(&[stored(&long, b"x")]),
            "has a name of 256 bytes; at most 255 are possible"),
        ("an absolute link", archive(&[link("passwd", "/etc/passwd")]),
            "entry `passwd` is a link that leaves the tree, to `/etc/passwd`"),
        ("a link upward", archive(&[link("a/up", "../../outside")]),
            "entry `a/up` is a link that leaves the tree, to `../../outside`"),
        ("a link out by way of another", archive(&[link("here", "."), link("up", "here/..")]),
            "entry `up` is a link that leaves the tree, to `here/..`"),
        ("a link to nothing", archive(&[link("void", "")]),
            "entry `void` is a link whose target is no path"),
        ("a link without end", archive(&[link("endless", &"x/".repeat(4_000))]),
            "entry `endless` is a link whose target is no path"),
        ("writing through a link", archive(&[link("out", "in"), stored("out/evil", b"x")]),
            "entry `out/evil` would be written through the link `out`"),
        ("a link put where a file lies", archive(&[stored("out/evil", b"x"), link("out", "in")]),
            "entry `out/evil` would be written through the link `out`"),
        ("the same name twice", archive(&[stored("a", b"one"), stored("a", b"two")]),
            "entry `a` is there twice"),
        ("the same name, spelt otherwise", archive(&[stored("a/b", b"one"), stored("./a//b", b"two")]),
            "entry `./a//b` is there twice"),
        ("a link over a file", archive(&[stored("a", b"one"), link("./a", "b")]),
            "entry `./a` is there twice"),
        ("a file that is a directory", archive(&[stored("a", b"x"), stored("a/b", b"x")]),
            "entry `a` is a file, but other entries lie in it as in a directory"),
        ("a directory that is a file", archive(&[stored("a/b", b"x"), stored("a", b"x")]),
            "entry `a` is a file, but other entries lie in it as in a directory"),
        ("a link named as a directory", archive(&[link("a/", "b")]),
            "entry `a/` is a file, but other entries lie in it as in a directory"),
        ("a device", archive(&[with(good(), |entry| entry.mode = 0o060_660)]),
            "entry `good.txt` is a device; only files, directories and links are unpacked"),
        ("a named pipe", archive(&[with(good(), |entry| entry.mode = 0o010_600)]),
            "entry `good.txt` is a named pipe; only files, directories and links are unpacked"),
        ("too many entries", archive(&many),
            "it has 51 entries; at most 50 are allowed"),
        ("too many directories", archive(&[stored(&deep, b"x")]),
            "it has 51 entries; at most 50 are allowed"),
        ("entries promised in zip64", zip64,
            "it has 4294967295 entries; at most 50 are allowed"),
        ("too many bytes, as declared", archive(&[good(), with(stored("vast", b"x"), |entry| entry.bytes = 200 << 20)]),
            "entry `vast` unpacks to 209715204 bytes or more; at most 104857600 are allowed"),
        ("an absurd ratio", archive(&[with(deflated("bomb", &zeros), |entry| entry.bytes = 90 << 20)]),
            "at most 100 times is allowed"),
        ("more than declared", archive(&[with(deflated("liar", &zeros), |entry| entry.bytes = 10)]),
            "entry `liar` is corrupt: it inflates to more than the 10 bytes that are stated"),
        ("less than declared", archive(&[with(deflated("liar", b"little"), |entry| entry.bytes = 1000)]),
            "entry `liar` is corrupt: it ends after 6 of 1000 bytes"),
        ("a wrong checksum", archive(&[with(stored("flipped", b"content"), |entry| entry.crc ^= 1)]),
            "entry `flipped` is corrupt: its checksum is "),
        ("no deflate data", archive(&[junk]),
            "entry `junk` is corrupt: "),
        ("an encrypted entry", archive(&[with(good(), |entry| entry.flags |= 1)]),
            "entry `good.txt` is encrypted"),
        ("an unknown method", archive(&[with(good(), |entry| entry.method = 93)]),
            "entry `good.txt` is compressed by method 93 (zstd); only stored and deflated entries are read"),
        ("entries that share their bytes", overlapping,
            "entry `b` shares its bytes with `a`"),
        ("data beyond the end", archive(&[with(good(), |entry| (entry.compressed, entry.bytes) = (5000, 5000))]),
            "entry `good.txt` is corrupt: its data reach into the central directory"),
        ("two names for one entry", archive(&[with(good(), |entry| entry.local_name = Some(b"evil.txt".to_vec()))]),
            "entry `good.txt` is corrupt: "),
        ("an archive cut off", cut,
            "it is corrupt: it has no central directory; it may have been cut off"),
    ];
    for (what, bytes, expected) in cases {
        let said = refusal(what, bytes);
        assert!(said.starts_with("refused the archive: "), "{what}: {said}");
        assert!(said.contains(expected), "{what}: {said}");
    }
}

#[test]
fn what_is_no_archive_is_called_what_it_is() {
    let mut tar = vec![0_u8; 1024];
    tar[..1].copy_from_slice(b"a");
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, expected) in [
        (tar, "the archive is not a zip archive: it is a tar archive"),
        (
            b"\x1f\x8b\x08\0".to_vec(),
            "the archive is not a zip archive: it is gzip data, as of a .tar.gz",
        ),
        (
            br#"{"CloneUrl":"https://example.com/a.git","CommitId":"0f"}"#.to_vec(),
            "the archive is not a zip archive: it is a reference to a repository (CODEBUILD_CLONE_REF), not its files",
        ),
        (Vec::new(), "the archive is not a zip archive: it is empty"),
        (
            b"hello\n".to_vec(),
            "the archive is not a zip archive: it is a plain text file",
        ),
        (
            [b"MZ\0\0".to_vec(), archive(&[stored("a", b"x")])].concat(),
            "the archive is not a zip archive: it is data of an unknown kind",
        ),
    ] {
        assert_eq!(refusal(expected, bytes), expected);
    }
}

#[test]
fn a_broken_archive_anywhere_never_panics_and_never_leaves_a_tree() {
    let whole = archive(&[
        stored("a.txt", b"hello"),
        deflated("b/c.txt", &[b'x'; 3000]),
        link("d", "a.txt"),
    ]);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x41;
        for bytes in [flipped, whole[..at].to_vec()] {
            let outside = tempfile::tempdir().unwrap();
            let into = outside.path().join("tree");
            // A flipped bit in a time or an attribute goes unseen, and may.
            let unpacked = unpack(&bytes, &into, &LIMITS);
            assert_eq!(unpacked.is_ok(), into.exists(), "byte {at}: {unpacked:?}");
        }
    }
}

#[test]
fn a_directory_that_is_not_empty_is_left_alone() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("mine"), "").unwrap();
    let bytes = archive(&[stored("a", b"x")]);
    let error = unpack(&bytes, outside.path(), &LIMITS).unwrap_err();
    assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
    assert!(outside.path().join("mine").exists());
}

#[test]
fn a_failure_while_unpacking_empties_a_directory_that_was_there() {
    let outside = tempfile::tempdir().unwrap();
    let into = outside.path().join("tree");
    fs::create_dir(&into).unwrap();
    let bytes = archive(&[
        stored("a", b"x"),
        with(stored("z", b"x"), |entry| entry.crc ^= 1),
    ]);
    unpack(&bytes, &into, &LIMITS).unwrap_err();
    assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
}
