//! Wherever a run meets the end of the disk, it says so, ends with an exit code of its own, and leaves nothing behind.

use towpath_tests::{namespace, processes};

use crate::{SOUND, arguments, project};

#[test]
fn there_is_no_space_left() {
    let Some(unshare) = namespace() else {
        println!("skipped: no disk can be mounted here, neither as root nor in a user namespace");
        return;
    };
    // The first has no room for the packages, the second none for the image, the third none for the job.
    for size in ["4k", "8k", "24k"] {
        let mount = format!(
            "mkdir -p .towpath && mount -t tmpfs -o size={size} tmpfs .towpath && exec \"$@\""
        );
        let wrapper: Vec<&str> = unshare
            .split(' ')
            .chain(["sh", "-c", &mount, "sh"])
            .collect();
        let towpath = project(SOUND).within(&wrapper);
        let finished = towpath.run(&arguments(&["--approve", "all"]));
        assert!(
            matches!(finished.status.code(), Some(1 | 2)),
            "{size}: {finished:#?}"
        );
        let said = finished.stderr.to_lowercase();
        assert!(said.contains("no space left"), "{size}: {finished:#?}");
        assert!(!said.contains("panicked"), "{size}: {finished:#?}");
        assert_eq!(processes::marked(towpath.mark()), []);
    }
}
