//! `towpath release diff`: the same, what differs, or no release; each with its exit code.

use towpath_tests::{CommandLine, Tree};

/// A release as `test-and-package` stores it.
const RELEASE: &str = r#"{"artifacts":[{"bytes":3,"place":"Resources.One.Properties.CodeUri","sha256":"0a","template":"app.yaml"}],"configuration":[],"schema":"towpath.release/2","source":{"commit":"c0ffee"},"template":{"bytes":1,"path":"app.yaml","sha256":"0b"}}"#;

#[test]
fn by_the_part_that_differs() {
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).with(
        &Tree::new()
            .file("a.json", RELEASE)
            .file("same.json", RELEASE.replace(':', ": "))
            .file("b.json", RELEASE.replace("0a", "0c"))
            .file("newer.json", RELEASE.replace("release/2", "release/3"))
            .file(
                "altered.json",
                format!(r#"{{"id":"00","identity":{RELEASE},"made":{{"by":"x","tasks":[],"figures":{{}}}}}}"#),
            ),
    );
    let diff = |first, second| towpath.run(&["release", "diff", first, second]);

    let same = diff("a.json", "same.json");
    same.exited(0, &[]);
    assert!(same.stdout.starts_with("the same release, "), "{same:?}");

    let other = diff("a.json", "b.json");
    other.exited(1, &[]);
    let lines: Vec<&str> = other.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{other:?}");
    assert!(lines[0].starts_with("first:  ") && lines[1].starts_with("second: "));
    assert_eq!(
        lines[2..4],
        [
            "artifact `Resources.One.Properties.CodeUri` of `app.yaml`: 0a (3 bytes) -> 0c (3 bytes)",
            "  the files of the first are not recorded here",
        ]
    );
    assert!(lines[4].starts_with("why: the commit is the same"));

    let shown = towpath.run(&["release", "show", "a.json"]);
    shown.exited(0, &[]);
    assert!(shown.stdout.contains("commit        c0ffee"), "{shown:?}");
    let id = "0".repeat(64);
    towpath
        .run(&["release", "show", &id])
        .exited(2, &["say with --bucket"]);

    for (file, words) in [
        ("none.json", ["there is no release none.json", ""]),
        (
            "newer.json",
            ["newer.json is no release", "towpath.release/3"],
        ),
        (
            "altered.json",
            ["altered.json is no release", "its id is 00"],
        ),
    ] {
        let refused = diff("a.json", file);
        refused.exited(2, &words);
        assert_eq!(refused.stdout, "", "stdout is for data");
    }
}
