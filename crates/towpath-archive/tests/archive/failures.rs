//! The machine fails half way: that is said, and nothing is taken for complete.
//!
//! What would spoil it for the other tests is done in a process of its own: this one, once more,
//! told by a variable what to do.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use towpath_archive::{ArchiveError, Each, Limits, PREFIX, Source, Unpacking};

use crate::raw::{archive, deflated, directory, stored};
use crate::tree::{noise, survey, unpack};

const ROLE: &str = "TOWPATH_TEST_ROLE";
const PLACE: &str = "TOWPATH_TEST_PLACE";

/// An archive of some files, one of them large.
fn some() -> Vec<u8> {
    let mut entries = vec![directory("d/"), stored("large", &noise(400_000))];
    entries.extend((0..40).map(|n| deflated(&format!("d/{n}"), &noise(3_000))));
    archive(&entries)
}

/// An archive of small files, which take a block each: more than what they state.
fn crumbs() -> Vec<u8> {
    let entries: Vec<_> = (0..300)
        .map(|n| stored(&format!("{n}"), &noise(100)))
        .collect();
    archive(&entries)
}

/// What the other process does. In this one: nothing.
#[test]
fn the_other_process() {
    let (Ok(role), Some(place)) = (std::env::var(ROLE), std::env::var_os(PLACE)) else {
        return;
    };
    let into = Path::new(&place).join("tree");
    let how = Unpacking {
        segment: 1 << 10,
        ..Unpacking::default()
    };
    let done = match role.as_str() {
        "unpack crumbs" => towpath_archive::unpack(&crumbs()[..], &into, &how),
        "unpack with no file to open" => {
            // Every file that this process may have, and one of them given back.
            let mut open: Vec<File> = std::iter::repeat_with(|| File::open("/dev/null"))
                .map_while(Result::ok)
                .collect();
            open.pop();
            let done = towpath_archive::unpack(&some()[..], &into, &how);
            drop(open);
            done
        }
        "die" => towpath_archive::unpack(&Deadly::new(some()), &into, &how),
        role => panic!("no such role: {role}"),
    };
    match done {
        Ok(tree) => println!("unpacked {tree:?}"),
        Err(error) => println!("failed: {error}: {}", error.hint().unwrap_or_default()),
    }
}

/// Runs this test program once more, behind a command that sets the stage.
fn other_process(stage: &[&str], role: &str, place: &Path) -> Option<Output> {
    let itself = std::env::current_exe().unwrap();
    let mut command = match stage {
        [] => Command::new(&itself),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&itself);
            command
        }
    };
    command
        .args(["--exact", "failures::the_other_process", "--nocapture"])
        .env(ROLE, role)
        .env(PLACE, place)
        .output()
        .ok()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_full_disk() {
    // A disk of 256 KiB, which only the other process sees.
    let script = "mount -t tmpfs -o size=256k tmpfs \"$TOWPATH_TEST_PLACE\" && \"$@\"; code=$?; \
        echo \"left: $(ls -A \"$TOWPATH_TEST_PLACE\")\"; exit $code";
    let stage = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
    ];
    let here = tempfile::tempdir().unwrap();
    let may = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine lets nobody mount a disk of his own");
        return;
    }
    let output = other_process(&stage, "unpack crumbs", here.path()).unwrap();
    let said = said(&output);
    let tree = here.path().join("tree");
    let expected = format!("failed: no space left in {}", here.path().display());
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("while unpacking `"), "{said}");
    assert!(said.contains("EphemeralStorage"), "{said}");
    assert!(said.contains("\nleft: \n"), "{said}");
    assert!(!tree.exists());
}

#[test]
fn no_file_left_to_open() {
    let here = tempfile::tempdir().unwrap();
    let stage = ["sh", "-c", "ulimit -n 40 && exec \"$@\"", "sh"];
    let output = other_process(&stage, "unpack with no file to open", here.path()).unwrap();
    let said = said(&output);
    assert!(said.contains("failed: failed to create "), "{said}");
    assert!(said.contains("ulimit -n"), "{said}");
    // Not even the half tree could be looked into, to remove it; but nothing is called `tree`.
    let left = names(here.path());
    assert!(left.iter().all(|name| name.starts_with(PREFIX)), "{left:?}");
}

#[test]
fn death_half_way() {
    let here = tempfile::tempdir().unwrap();
    let output = other_process(&[], "die", here.path()).unwrap();
    assert!(output.status.signal().is_some(), "{}", said(&output));
    let left = names(here.path());
    assert!(
        matches!(&left[..], [half] if half.starts_with(PREFIX)),
        "{left:?}"
    );
    // Some of it is there, not all.
    let half = survey(&here.path().join(&left[0]));
    assert!(half.contains_key("d") && half.len() < 42, "{half:?}");
    // Who comes after it is not disturbed.
    let into = here.path().join("tree");
    unpack(&some(), &into, &Limits::default()).unwrap();
    assert_eq!(survey(&into).len(), 42);
}

/// An archive whose reader dies after some reads.
struct Deadly {
    archive: Vec<u8>,
    left: AtomicUsize,
}

impl Deadly {
    fn new(archive: Vec<u8>) -> Self {
        Self {
            archive,
            left: AtomicUsize::new(30),
        }
    }

    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            std::process::abort();
        }
    }
}

impl Source for Deadly {
    type Error = ArchiveError;

    fn length(&self) -> u64 {
        self.archive.len() as u64
    }

    fn read<'a>(
        &'a self,
        range: Range<u64>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ArchiveError> {
        self.step();
        self.archive.read(range, buffer)
    }

    fn stream(&self, range: Range<u64>, each: Each<'_, ArchiveError>) -> Result<(), ArchiveError> {
        self.step();
        self.archive.stream(range, each)
    }
}
