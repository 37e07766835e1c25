//! `towpath release diff`: the same, what differs, or no release; each with its exit code.

use towpath_tests::{CommandLine, Tree};

/// A release as `test-and-package` stores it.
const RELEASE: &str = r#"{"artifacts":[{"bytes":3,"key":"code/0a.zip","place":"Resources.One.Properties.CodeUri","sha256":"0a","template":"app.yaml"}],"configuration":[],"schema":"towpath.release/1","source":{"commit":"c0ffee"},"template":{"bytes":1,"path":"app.yaml","sha256":"0b"}}"#;

#[test]
fn by_the_part_that_differs() {
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).with(
        &Tree::new()
            .file("a.json", RELEASE)
            .file("same.json", RELEASE.replace(':', ": "))
            .file("b.json", RELEASE.replace("0a", "0c"))
            .file("newer.json", RELEASE.replace("release/1", "release/2"))
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
    assert_eq!(lines.len(), 3, "{other:?}");
    assert!(lines[0].starts_with("first:  ") && lines[1].starts_with("second: "));
    assert_eq!(
        lines[2],
        "artifact `Resources.One.Properties.CodeUri` of `app.yaml`: \
         `code/0a.zip`, sha256 0a, 3 bytes -> `code/0c.zip`, sha256 0c, 3 bytes"
    );

    for (file, words) in [
        ("none.json", ["failed to read none.json", "No such file"]),
        (
            "newer.json",
            ["newer.json is no release", "towpath.release/2"],
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
