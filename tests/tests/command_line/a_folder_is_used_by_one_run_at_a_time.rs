//! A run that would share its state directory with another is refused, and the other goes on.

use crate::{SOUND, arguments, project};

#[test]
fn the_second_run_is_told_of_the_first() {
    // The first waits for a file that only this test can make.
    let directory = tempfile::tempdir().expect("a directory");
    let gate = directory.path().join("go");
    let waiting = format!("until test -e '{}'; do sleep 0.02; done", gate.display());
    let towpath = project(&format!("{waiting}\n{SOUND}"));
    let mut first = towpath.start(&arguments(&["--approve", "all"]));
    first.says("[Commit/Check] started");
    towpath.run(&arguments(&[])).exited(
        2,
        &[
            "another run is using",
            ".towpath",
            "run from another folder",
        ],
    );
    std::fs::write(&gate, "").expect("a file");
    first.finish().exited(0, &[]);
}
