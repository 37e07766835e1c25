//! A run that would share its state directory with another is refused, and the other goes on.

use crate::{SOUND, arguments, project};

#[test]
fn the_second_run_is_told_of_the_first() {
    let towpath = project("until test -e go; do sleep 0.02; done; cd app");
    // The first waits for a file that only this test can make, in a directory that only it knows.
    let gate = tempfile::tempdir().expect("a directory");
    let gate = gate.path().join("go");
    let script = format!(
        "until test -e '{}'; do sleep 0.02; done\n{SOUND}",
        gate.display()
    );
    std::fs::write(towpath.directory().join("app/check.sh"), script).expect("a file");
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
    std::fs::create_dir_all(gate.parent().expect("a parent")).expect("a directory");
    std::fs::write(&gate, "").expect("a file");
    first.finish().exited(0, &[]);
}
