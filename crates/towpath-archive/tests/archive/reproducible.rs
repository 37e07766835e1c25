//! The same tree gives the same bytes, on any machine and at any time.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use towpath_archive::{Limits, Packing, pack};

use crate::tree::{large, noise, packed, plant, sample, survey, unpack, with_parents};

/// What the bytes are called, and the digests of two trees at the default level.
///
/// They change only on purpose, and all at once: an upgrade of the compressor that changes a digest
/// gives every release and every function's code another name, and what was packed before must not
/// be taken for what would be packed now.
const FORMAT: u32 = 1;
const GOLDEN: &str = "c41ba2b636786db80c16d27eb6b62132e2709ef646d9b6814e807563c28593f6";
const GOLDEN_LARGE: &str = "f5868a1e897dd9dc249759047900505dfce27cb0b13e7660bf86bb0ae4309dec";

#[test]
fn the_sample_packs_to_the_same_bytes_for_ever() {
    let here = tempfile::tempdir().unwrap();
    plant(&sample(), here.path());
    let (bytes, packed) = packed(here.path());
    assert_eq!((Packing::FORMAT, packed.sha256.as_str()), (FORMAT, GOLDEN));
    assert_eq!(packed.sha256, hex::encode(Sha256::digest(&bytes)));
    assert_eq!(packed.bytes, bytes.len() as u64);
    assert_eq!(packed.entries, sample().len() as u64);
}

#[test]
fn any_number_of_threads_gives_the_same_bytes_for_ever() {
    let here = tempfile::tempdir().unwrap();
    let tree = large();
    plant(&tree, here.path());
    for threads in [1, 2, 3, 16] {
        let how = Packing {
            threads,
            ..Packing::default()
        };
        let mut bytes = Vec::new();
        let packed = pack(here.path(), &mut bytes, &how).unwrap();
        let named = (Packing::FORMAT, packed.sha256.as_str());
        assert_eq!(named, (FORMAT, GOLDEN_LARGE), "{threads} threads");
        if threads == 3 {
            let back = tempfile::tempdir().unwrap();
            let into = back.path().join("tree");
            unpack(&bytes, &into, &Limits::default()).unwrap();
            assert!(
                survey(&into) == with_parents(&tree),
                "it came back as another tree"
            );
        }
    }
    let how = Packing {
        level: 1,
        threads: 2,
    };
    let faster = pack(here.path(), Vec::new(), &how).unwrap();
    assert_ne!(faster.sha256, GOLDEN_LARGE, "the level counts");
}

#[test]
fn times_and_the_finer_modes_do_not_count() {
    let here = tempfile::tempdir().unwrap();
    plant(&sample(), here.path());
    let (_, before) = packed(here.path());
    let app = here.path().join("src/app.js");
    fs::set_permissions(&app, fs::Permissions::from_mode(0o600)).unwrap();
    let tool = here.path().join("bootstrap");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o711)).unwrap();
    // Before the first year that the format knows.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_mins(1);
    fs::File::options()
        .write(true)
        .open(&app)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let (_, after) = packed(here.path());
    assert_eq!(before, after);
}

#[test]
fn what_comes_before_a_file_does_not_change_its_bytes() {
    // The compressor is used again for each entry; it must not remember the one before.
    let content = [b"abcabcabd".repeat(3_000), noise(9_000)].concat();
    let alone = tempfile::tempdir().unwrap();
    fs::write(alone.path().join("z"), &content).unwrap();
    let among = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a", noise(100_000)),
        ("b", b"abcabcabd".repeat(20_000)),
        ("z", content.clone()),
    ] {
        fs::write(among.path().join(name), bytes).unwrap();
    }
    let compressed = |bytes: Vec<u8>| {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut entry = archive.by_name_raw(b"z").unwrap();
        let mut raw = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut raw).unwrap();
        raw
    };
    let (alone, _) = packed(alone.path());
    let (among, _) = packed(among.path());
    assert_eq!(compressed(alone), compressed(among));
}

#[test]
fn a_full_disk_is_called_that() {
    // Linux has a file that is always full.
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a"), noise(100_000)).unwrap();
    let error = pack(here.path(), full, &Packing::default()).unwrap_err();
    assert!(
        error.to_string().starts_with("no space left in "),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("EphemeralStorage"));
}
