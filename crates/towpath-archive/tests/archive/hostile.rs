//! Hostile and broken archives are refused by name, and nothing of them is left.

use std::fs;

use towpath_archive::{ArchiveError, Limits};

use crate::raw::{
    Entry, archive, crc32, deflated, described, directory, ending, field, link, locally, stored,
    unicode_path, wide, with,
};
use crate::tree::{noise, unpack};

const LIMITS: Limits = Limits {
    entries: 400,
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

/// What is tried, the archive that tries it, and a part of what has to be said.
type Case = (&'static str, Vec<u8>, &'static str);

/// Each is refused in so many words, and leaves nothing.
fn all_refused(cases: Vec<Case>) {
    for (what, bytes, expected) in cases {
        let said = refusal(what, bytes);
        assert!(said.starts_with("refused the archive: "), "{what}: {said}");
        assert!(said.contains(expected), "{what}: {said}");
    }
}

fn good() -> Entry {
    stored("good.txt", b"good")
}

#[test]
#[rustfmt::skip]
fn names_that_lead_elsewhere() {
    let long = "x".repeat(256);
    let longer = "y/".repeat(1_800) + "z";
    all_refused(vec![
        ("climbing", archive(&[good(), stored("../evil", b"x")]),
            "entry `../evil` climbs with `..`"),
        ("climbing later", archive(&[stored("a/b/../../../evil", b"x")]),
            "entry `a/b/../../../evil` climbs with `..`"),
        ("climbing and coming back", archive(&[stored("a/../b", b"x")]),
            "entry `a/../b` climbs with `..`"),
        ("climbing by a directory", archive(&[directory("../evil/")]),
            "entry `../evil/` climbs with `..`"),
        ("climbing at the end", archive(&[directory("a/..")]),
            "entry `a/..` climbs with `..`"),
        ("an absolute path", archive(&[stored("/etc/cron.d/evil", b"x")]),
            "entry `/etc/cron.d/evil` is an absolute path"),
        ("a share", archive(&[stored("//server/share/evil", b"x")]),
            "entry `//server/share/evil` is an absolute path"),
        ("a drive", archive(&[stored("C:/evil", b"x")]),
            "entry `C:/evil` is an absolute path"),
        ("a drive with backslashes", archive(&[stored("c:\\evil", b"x")]),
            "entry `c:\\\\evil` is an absolute path"),
        ("backslashes", archive(&[stored("..\\evil", b"x")]),
            "entry `..\\\\evil` has a backslash in its name; names are separated by `/`"),
        ("a name cut by NUL", archive(&[stored("good.txt\0.sh", b"x")]),
            "entry `good.txt\\0.sh` has a NUL byte in its name"),
        ("no name", archive(&[stored("", b"x")]),
            "entry `` has an empty name"),
        ("a file called .", archive(&[stored(".", b"x")]),
            "entry `.` has an empty name"),
        ("a name too long", archive(&[stored(&long, b"x")]),
            "has a name of 256 bytes; at most 255 are possible"),
        ("a path too long", archive(&[stored(&longer, b"x")]),
            "has a name of 3601 bytes; at most 3500 are possible"),
        ("a path without end", archive(&[stored(&("d/".repeat(256) + "x"), b"x")]),
            "lies 257 directories deep; at most 256 are possible"),
        ("a name that is not UTF-8", archive(&[with(good(), |entry| entry.name = b"\xC0\xAE\xC0\xAE/evil".to_vec())]),
            "has a name that is not UTF-8, though it is marked as that"),
        ("another name, for the system, not for the scanner", archive(&[with(good(), |entry| entry.extra = unicode_path("good.txt", "../evil"))]),
            "entry `good.txt` is corrupt: it has two names"),
        ("a name in an extra field that climbs", archive(&[with(good(), |entry| {
                entry.flags = 0;
                entry.extra = unicode_path("good.txt", "../evil");
            })]),
            "entry `../evil` climbs with `..`"),
        ("a name in an extra field that is not UTF-8", archive(&[with(good(), |entry| {
                let mut content = vec![1];
                content.extend(crc32(b"good.txt").to_le_bytes());
                content.extend(b"\xFF");
                (entry.flags, entry.extra) = (0, field(0x7075, &content));
            })]),
            "has a name that is not UTF-8, though it is marked as that"),
        ("a name in an extra field that is another's", archive(&[stored("other", b"x"), with(good(), |entry| {
                entry.flags = 0;
                entry.extra = unicode_path("good.txt", "other");
            })]),
            "entry `good.txt` is there twice"),
    ]);
}

#[test]
#[rustfmt::skip]
fn links_that_lead_elsewhere() {
    all_refused(vec![
        ("an absolute link", archive(&[link("passwd", "/etc/passwd")]),
            "entry `passwd` is a link that leaves the tree, to `/etc/passwd`"),
        ("an absolute link, deflated", archive(&[with(deflated("passwd", b"/etc/passwd"), |entry| entry.mode = 0o120_777)]),
            "entry `passwd` is a link that leaves the tree, to `/etc/passwd`"),
        ("a link upward", archive(&[link("a/up", "../../outside")]),
            "entry `a/up` is a link that leaves the tree, to `../../outside`"),
        ("a link upward from within", archive(&[directory("d/"), link("up", "d/../../outside")]),
            "entry `up` is a link that leaves the tree, to `d/../../outside`"),
        ("a link out by way of another", archive(&[link("here", "."), link("up", "here/..")]),
            "entry `up` is a link that leaves the tree, to `here/..`"),
        ("a link to nothing", archive(&[link("void", "")]),
            "entry `void` is a link whose target is no path"),
        ("a link cut by NUL", archive(&[link("nul", "good\0/../../evil")]),
            "entry `nul` is a link whose target is no path"),
        ("a link in no alphabet", archive(&[with(link("odd", "xx"), |entry| {
                entry.data = b"\xFF\xFE".to_vec();
                entry.crc = crc32(&entry.data);
            })]),
            "entry `odd` is a link whose target is no path"),
        ("a link without end", archive(&[link("endless", &"x/".repeat(4_000))]),
            "entry `endless` is a link whose target is no path"),
        ("a link that inflates without end", archive(&[with(deflated("bomb", &[b'x'; 1 << 20]), |entry| {
                (entry.mode, entry.bytes) = (0o120_777, 4_000);
            })]),
            "entry `bomb` is corrupt: it inflates to more than the 4000 bytes that are stated"),
        ("writing through a link", archive(&[link("out", "in"), stored("out/evil", b"x")]),
            "entry `out/evil` would be written through the link `out`"),
        ("making a directory through a link", archive(&[link("out", "in"), directory("out/evil/")]),
            "entry `out/evil/` would be written through the link `out`"),
        ("a link put where a file lies", archive(&[stored("out/evil", b"x"), link("out", "in")]),
            "entry `out/evil` would be written through the link `out`"),
        ("a link over a file", archive(&[stored("a", b"one"), link("./a", "b")]),
            "entry `./a` is there twice"),
        ("a link over a directory", archive(&[directory("a/"), link("a", "b")]),
            "entry `a` is there twice"),
        ("a link named as a directory", archive(&[link("a/", "b")]),
            "entry `a/` is a file, but other entries lie in it as in a directory"),
    ]);
}

#[test]
#[rustfmt::skip]
fn one_path_for_two_things() {
    all_refused(vec![
        ("the same name twice", archive(&[stored("a", b"one"), stored("a", b"two")]),
            "entry `a` is there twice"),
        ("the same name, spelt otherwise", archive(&[stored("a/b", b"one"), stored("./a//b", b"two")]),
            "entry `./a//b` is there twice"),
        ("a directory twice, the second time closed", archive(&[directory("a/"), with(directory("a//"), |entry| entry.mode = 0o040_000)]),
            "entry `a//` is there twice"),
        ("a file that is a directory", archive(&[stored("a", b"x"), stored("a/b", b"x")]),
            "entry `a` is a file, but other entries lie in it as in a directory"),
        ("a directory that is a file", archive(&[stored("a/b", b"x"), stored("a", b"x")]),
            "entry `a` is a file, but other entries lie in it as in a directory"),
        ("a file and a directory of one name", archive(&[stored("a", b"x"), directory("a/")]),
            "entry `a/` is a file, but other entries lie in it as in a directory"),
        ("a directory with data", archive(&[with(stored("a/", b"hidden"), |entry| entry.mode = 0o040_755)]),
            "entry `a/` is corrupt: it is a directory, and has data"),
        ("a directory with data that come to nothing", archive(&[with(directory("a/"), |entry| {
                (entry.method, entry.compressed, entry.data) = (8, 6, b"hidden".to_vec());
            })]),
            "entry `a/` is corrupt: its data are not deflated as they should be"),
        ("a directory with a checksum of something", archive(&[with(directory("a/"), |entry| entry.crc = 7)]),
            "entry `a/` is corrupt: its checksum is 00000000, not 00000007 as stated"),
        ("a device", archive(&[with(good(), |entry| entry.mode = 0o060_660)]),
            "entry `good.txt` is a device; only files, directories and links are unpacked"),
        ("a terminal", archive(&[with(good(), |entry| entry.mode = 0o020_660)]),
            "entry `good.txt` is a device; only files, directories and links are unpacked"),
        ("a named pipe", archive(&[with(good(), |entry| entry.mode = 0o010_600)]),
            "entry `good.txt` is a named pipe; only files, directories and links are unpacked"),
        ("a socket", archive(&[with(good(), |entry| entry.mode = 0o140_600)]),
            "entry `good.txt` is a socket; only files, directories and links are unpacked"),
        ("a thing of no kind", archive(&[with(good(), |entry| entry.mode = 0o150_600)]),
            "entry `good.txt` is a file of an unknown type; only files, directories and links are unpacked"),
    ]);
}

#[test]
#[rustfmt::skip]
fn more_than_there_is_room_for() {
    let many: Vec<_> = (0..401).map(|n| stored(&format!("{n}"), b"")).collect();
    let deep: Vec<_> = (0..3).map(|n| stored(&format!("{n}/{}x", "d/".repeat(140)), b"x")).collect();
    let zeros = vec![0; 1 << 20];
    // As D. Fifield's: every entry has the next one's header in its data.
    let quoted = {
        let kernel = deflated("b", &zeros);
        let inner = archive(std::slice::from_ref(&kernel));
        let header = 30 + 1;
        let quote = inner[..header + kernel.data.len()].to_vec();
        let outer = stored("a", &quote);
        archive(&[outer, with(kernel, |entry| {
            entry.offset = Some(31);
            entry.data.clear();
        })])
    };
    let overlapping = archive(&[deflated("a", &zeros), with(deflated("b", &zeros), |entry| {
        entry.offset = Some(0);
        entry.data.clear();
    })]);
    let far = "x/".repeat(1_500);
    let links: Vec<_> = (0..350)
        .map(|n| with(deflated(&format!("{n}"), far.as_bytes()), |entry| entry.mode = 0o120_777))
        .collect();
    // Each alone is small enough for any ratio; together they are not.
    let swarm: Vec<_> = (0..40).map(|n| deflated(&format!("{n}"), &zeros)).collect();
    all_refused(vec![
        ("too many entries", archive(&many),
            "it has 401 entries; at most 400 are allowed"),
        ("too many directories", archive(&deep),
            "it has 426 entries; at most 400 are allowed"),
        ("four billion entries, in zip64", ending(&[good()], |end| {
                let wide = end.widen();
                (wide.here, wide.entries) = (u64::from(u32::MAX), u64::from(u32::MAX));
            }),
            "it has 4294967295 entries; at most 400 are allowed"),
        ("as many entries as there are numbers", ending(&[good()], |end| {
                let wide = end.widen();
                (wide.here, wide.entries) = (u64::MAX, u64::MAX);
            }),
            "it has 18446744073709551615 entries; at most 400 are allowed"),
        ("links that take more memory than all files", archive(&links),
            "it has links to 1050000 bytes of targets or more; at most 1048576 are kept"),
        ("too many bytes, as stated", archive(&[good(), with(deflated("vast", b"x"), |entry| entry.bytes = 200 << 20)]),
            "entry `vast` unpacks to 209715204 bytes or more; at most 104857600 are allowed"),
        ("more bytes than there are numbers", archive(&[good(), with(deflated("vast", b"x"), |entry| {
                entry.bytes = u32::MAX;
                entry.extra = wide(&[u64::MAX]);
            })]),
            "entry `vast` unpacks to 18446744073709551615 bytes or more"),
        ("an absurd ratio", archive(&[with(deflated("bomb", &zeros), |entry| entry.bytes = 90 << 20)]),
            "at most 100 times is allowed"),
        ("an absurd ratio of all together", archive(&swarm),
            "at most 100 times is allowed"),
        ("more than stated", archive(&[with(deflated("liar", &zeros), |entry| entry.bytes = 10)]),
            "entry `liar` is corrupt: it inflates to more than the 10 bytes that are stated"),
        ("more than stated, by the piece", archive(&[with(deflated("liar", &noise(1 << 20)), |entry| entry.bytes -= 1)]),
            "entry `liar` is corrupt: it inflates to more than the 1048575 bytes that are stated"),
        ("less than stated", archive(&[with(deflated("liar", b"little"), |entry| entry.bytes = 1000)]),
            "entry `liar` is corrupt: it ends after 6 of 1000 bytes"),
        ("less than stated, by the piece", archive(&[with(deflated("liar", &noise(1 << 20)), |entry| entry.bytes += 1)]),
            "entry `liar` is corrupt: it ends after 1048576 of 1048577 bytes"),
        ("entries that share their bytes", overlapping,
            "entry `b` shares its bytes with `a`"),
        ("an entry quoted in another", quoted,
            "entry `b` shares its bytes with `a`"),
        ("one entry's data for two", archive(&[stored("a", &[7; 100]), with(stored("b", &[7; 100]), |entry| {
                entry.data.clear();
            }), stored("c", &[7; 69])]),
            "entry `c` shares its bytes with `b`"),
        ("data beyond the end", archive(&[with(good(), |entry| (entry.compressed, entry.bytes) = (5000, 5000))]),
            "entry `good.txt` is corrupt: its data reach into the central directory"),
        ("an entry in the central directory", archive(&[good(), with(stored("in", b""), |entry| entry.offset = Some(80))]),
            "entry `in` is corrupt: its data reach into the central directory"),
        ("an entry beyond all", archive(&[with(good(), |entry| {
                entry.offset = Some(u32::MAX);
                entry.extra = wide(&[u64::MAX - 10]);
            })]),
            "entry `good.txt` is corrupt: its data reach into the central directory"),
    ]);
}

#[test]
#[rustfmt::skip]
fn contents_that_are_not_what_they_should_be() {
    let large = noise(1 << 20);
    let junk = with(deflated("junk", &[b'x'; 5000]), |entry| {
        entry.data = vec![0xFF; 40];
        entry.compressed = 40;
    });
    let cut = |entry: Entry| with(entry, |entry| {
        entry.data.truncate(entry.data.len() - 5);
        entry.compressed -= 5;
    });
    all_refused(vec![
        ("a wrong checksum", archive(&[with(stored("flipped", b"content"), |entry| entry.crc ^= 1)]),
            "entry `flipped` is corrupt: its checksum is "),
        ("a wrong checksum of what is deflated", archive(&[with(deflated("flipped", b"content"), |entry| entry.crc ^= 1)]),
            "entry `flipped` is corrupt: its checksum is "),
        ("a wrong checksum of what comes by the piece", archive(&[with(deflated("flipped", &large), |entry| entry.crc ^= 1)]),
            "entry `flipped` is corrupt: its checksum is "),
        ("a wrong checksum of what is stored by the piece", archive(&[with(stored("flipped", &large), |entry| entry.crc ^= 1)]),
            "entry `flipped` is corrupt: its checksum is "),
        ("a checksum of nothing", archive(&[with(stored("none", b""), |entry| entry.crc = 1)]),
            "entry `none` is corrupt: its checksum is "),
        ("no deflate data", archive(&[junk]),
            "entry `junk` is corrupt: its data are not deflated as they should be"),
        ("deflate data cut off", archive(&[cut(deflated("cut", &noise(3_000)))]),
            "entry `cut` is corrupt: "),
        ("deflate data cut off, by the piece", archive(&[cut(deflated("cut", &large))]),
            "entry `cut` is corrupt: "),
        ("stored in fewer bytes than it is", archive(&[with(good(), |entry| entry.bytes = 5)]),
            "entry `good.txt` is corrupt: it is stored as it is, in 4 bytes, and is to be 5 bytes"),
        ("encrypted", archive(&[with(good(), |entry| entry.flags |= 1)]),
            "entry `good.txt` is encrypted"),
        ("encrypted strongly", archive(&[with(good(), |entry| entry.flags |= 1 << 6)]),
            "entry `good.txt` is encrypted"),
        ("encrypted, and its header masked", archive(&[with(good(), |entry| entry.flags |= 1 << 13)]),
            "entry `good.txt` is encrypted"),
        ("encrypted by AES", archive(&[with(good(), |entry| entry.method = 99)]),
            "entry `good.txt` is compressed by method 99 (encrypted by AES)"),
        ("patched data", archive(&[with(good(), |entry| entry.flags |= 1 << 5)]),
            "entry `good.txt` is compressed by method of patched data"),
        ("an unknown method", archive(&[with(good(), |entry| entry.method = 93)]),
            "entry `good.txt` is compressed by method 93 (zstd); only stored and deflated entries are read"),
    ]);
}

#[test]
#[rustfmt::skip]
fn two_headers_that_disagree() {
    let differs = "own header has another";
    let pipe = || described(deflated("piped", &[b'x'; 5000]));
    all_refused(vec![
        ("two names for one entry", archive(&[locally(good(), |local| local.name = b"evil.txt".to_vec())]),
            "entry `good.txt` is corrupt: its own header has another name than the central directory"),
        ("a name that goes on", archive(&[locally(good(), |local| local.name = b"good.txt/../evil".to_vec())]),
            "entry `good.txt` is corrupt: its own header has another name"),
        ("another method", archive(&[locally(good(), |local| local.method = 8)]),
            "entry `good.txt` is corrupt: its own header has another method"),
        ("encrypted in one of them", archive(&[locally(good(), |local| local.flags |= 1)]),
            "entry `good.txt` is corrupt: its own header has another set of flags"),
        ("in another alphabet", archive(&[locally(good(), |local| local.flags = 0)]),
            "entry `good.txt` is corrupt: its own header has another set of flags"),
        ("another size", archive(&[locally(good(), |local| (local.bytes, local.compressed) = (3, 3))]),
            "entry `good.txt` is corrupt: its own header has another size or checksum"),
        ("another checksum", archive(&[locally(good(), |local| local.crc ^= 1)]),
            "entry `good.txt` is corrupt: its own header has another size or checksum"),
        ("no size, and none to come", archive(&[locally(good(), |local| {
                (local.bytes, local.compressed, local.crc) = (0, 0, 0);
            })]),
            differs),
        ("another size in zip64", archive(&[locally(good(), |local| {
                (local.bytes, local.compressed) = (u32::MAX, u32::MAX);
                local.extra = wide(&[4, 5]);
            })]),
            differs),
        ("no header", archive(&[with(good(), |entry| entry.signature = *b"PK\x03\x05")]),
            "entry `good.txt` is corrupt: there is no local header where the central directory says"),
        ("a header elsewhere", archive(&[good(), with(stored("b", b"x"), |entry| {
                (entry.offset, entry.descriptor) = (Some(43), vec![0; 4]);
            })]),
            "entry `b` is corrupt: there is no local header where the central directory says"),
        ("a header that never ends", archive(&[locally(good(), |local| local.extra = vec![0; 60_000]), stored("b", b"x")])
            .into_iter().enumerate().map(|(at, byte)| if at == 29 { 0xFF } else { byte }).collect(),
            "entry `good.txt` is corrupt: its data reach into the next entry"),
        ("nothing after the data, where the sums should be", archive(&[with(pipe(), |entry| entry.descriptor.clear())]),
            "entry `piped` is corrupt: what follows its data states another size or checksum"),
        ("half of what should follow", archive(&[with(pipe(), |entry| entry.descriptor.truncate(9))]),
            "entry `piped` is corrupt: what follows its data states another size or checksum"),
        ("another checksum after the data", archive(&[with(pipe(), |entry| entry.descriptor[4] ^= 1)]),
            "entry `piped` is corrupt: what follows its data states another size or checksum"),
        ("another size after the data", archive(&[with(pipe(), |entry| entry.descriptor[12] ^= 1)]),
            "entry `piped` is corrupt: what follows its data states another size or checksum"),
        ("another size after large data", archive(&[with(described(deflated("piped", &noise(1 << 20))), |entry| entry.descriptor[12] ^= 1)]),
            "entry `piped` is corrupt: what follows its data states another size or checksum"),
        ("half of the sums in its own header", archive(&[locally(pipe(), |local| local.crc = 7)]),
            differs),
        ("zip64 without its values", archive(&[with(good(), |entry| {
                (entry.bytes, entry.compressed) = (u32::MAX, u32::MAX);
                entry.extra = wide(&[4]);
            })]),
            "it is corrupt: its zip64 field has not the values that it is there for"),
    ]);
}

#[test]
#[rustfmt::skip]
fn ends_that_readers_read_differently() {
    let one = || archive(&[good()]);
    let other = || archive(&[stored("evil.txt", b"evil")]);
    let cut = |bytes: usize| one()[..bytes].to_vec();
    let directory = 30 + 8 + 4;
    let before = other().len() as u32;
    all_refused(vec![
        ("an archive in the comment", ending(&[good()], |end| end.comment = other()),
            "its comment contains an end record, so that readers differ in what it holds"),
        ("a comment that is shorter than it says", ending(&[good()], |end| {
                end.comment = b"short".to_vec();
                end.comment_bytes = Some(50);
            }),
            "it goes on after its end record, or was cut off within it"),
        ("bytes after the comment", ending(&[good()], |end| {
                end.comment = b"longer".to_vec();
                end.comment_bytes = Some(2);
            }),
            "it goes on after its end record, or was cut off within it"),
        ("an archive after the archive", [one(), other()].concat(),
            "its central directory does not end where its end record begins"),
        ("an archive before the archive", [other(), ending(&[with(good(), |entry| entry.offset = Some(before))], |end| end.start += before)].concat(),
            "bytes belong to no entry"),
        ("an archive before the archive, and entries in both", [other(), ending(&[good()], |end| end.start += before)].concat(),
            "entry `good.txt` is corrupt: its own header has another name than the central directory"),
        ("a script that is an archive", [b"PK\x03\x04 rm -rf".to_vec(), one()].concat(),
            "its central directory does not end where its end record begins"),
        ("bytes that are nobody's, in front", archive(&[with(good(), |entry| {
                entry.data = [b"PK\x03\x04".to_vec(), vec![0; 30], archive(&[good()])[..directory].to_vec()].concat();
                entry.offset = Some(30 + 8 + 34);
            })]),
            "its first 72 bytes belong to no entry"),
        ("more entries than stated", ending(&[good(), stored("b", b"x")], |end| (end.here, end.entries) = (1, 1)),
            "its central directory has more than the 1 entries that its end record states"),
        ("fewer entries than stated", ending(&[with(good(), |entry| entry.comment = vec![0; 46])], |end| (end.here, end.entries) = (2, 2)),
            "its central directory has 1 entries; its end record states 2"),
        ("more entries than there is room for", ending(&[good()], |end| (end.here, end.entries) = (3, 3)),
            "its central directory is too short for the 3 entries that its end record states"),
        ("no entries, and one all the same", ending(&[good()], |end| (end.here, end.entries) = (0, 0)),
            "its central directory has more than the 0 entries that its end record states"),
        ("a directory that is shorter than it is", ending(&[good()], |end| end.bytes -= 1),
            "its central directory does not end where its end record begins"),
        ("a directory that begins later", ending(&[good()], |end| end.start += 1),
            "its central directory does not end where its end record begins"),
        ("a directory that begins and ends later", ending(&[good()], |end| (end.start, end.bytes) = (end.start + 1, end.bytes - 1)),
            "its central directory has something else than entries in it"),
        ("an entry that goes on beyond the directory", ending(&[good()], |end| (end.start, end.bytes) = (end.start - 4, end.bytes + 4)),
            "its central directory has something else than entries in it"),
        ("a directory that is not one", with_byte(one(), directory, b'Q'),
            "its central directory has something else than entries in it"),
        ("a name that goes on beyond the directory", with_byte(one(), directory + 28, 200),
            "its central directory ends within an entry"),
        ("an extra field that goes on beyond the directory", with_byte(one(), directory + 31, 200),
            "its central directory ends within an entry"),
        ("a comment that goes on beyond the directory", with_byte(one(), directory + 33, 200),
            "its central directory ends within an entry"),
        ("a directory that wraps around", ending(&[good()], |end| {
                let wide = end.widen();
                (wide.start, wide.bytes) = (u64::MAX - 10, 100);
            }),
            "its zip64 end record is not where it should be"),
        ("one volume of two", ending(&[good()], |end| end.disk = 1),
            "it is one volume of several; only whole archives are read"),
        ("a directory on another volume", ending(&[good()], |end| end.directory_disk = 1),
            "it is one volume of several; only whole archives are read"),
        ("half of the entries here", ending(&[good(), stored("b", b"x")], |end| end.here = 1),
            "it is one volume of several; only whole archives are read"),
        ("an entry on another volume", archive(&[with(good(), |entry| entry.disk = 1)]),
            "it is one volume of several; only whole archives are read"),
        ("more volumes, says zip64", ending(&[good()], |end| end.widen().disks = 2),
            "it is one volume of several; only whole archives are read"),
        ("another number of entries in zip64", ending(&[good()], |end| {
                end.widen().entries = 2;
                end.entries = 1;
            }),
            "its two end records disagree, so that readers differ in what it holds"),
        ("another directory in zip64", ending(&[good()], |end| {
                end.widen();
                end.start = 7;
            }),
            "its two end records disagree, so that readers differ in what it holds"),
        ("zip64 that is elsewhere", ending(&[good()], |end| end.widen().at -= 1),
            "its zip64 end record is not where it should be"),
        ("zip64 before the beginning", ending(&[good()], |end| end.widen().at = u64::MAX),
            "its zip64 end record is not where it should be"),
        ("zip64 of another size", ending(&[good()], |end| end.widen().size = 43),
            "its zip64 end record is not where it should be"),
        ("zip64 that is larger than all", ending(&[good()], |end| end.widen().size = u64::MAX),
            "its zip64 end record is not where it should be"),
        ("cut off in the data", cut(40),
            "it has no central directory; it may have been cut off"),
        ("cut off in the directory", cut(60),
            "it has no central directory; it may have been cut off"),
        ("cut off in the end record", cut(one().len() - 3),
            "it has no central directory; it may have been cut off"),
    ]);
}

/// The same bytes with another one at a place.
fn with_byte(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    bytes
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
