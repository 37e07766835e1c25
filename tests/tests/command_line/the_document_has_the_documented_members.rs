//! `--json` prints one document of the schema `towpath.run/1`: these members, no others, of these types.

use serde_json::Value;

use crate::{SOUND, arguments, project};

#[track_caller]
fn members(value: &Value, expected: &[&str]) {
    let mut found: Vec<&str> = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
        .keys()
        .map(String::as_str)
        .collect();
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{value}");
}

/// That a document is one of `towpath.run/1`.
pub(crate) fn check(document: &Value) {
    members(
        document,
        &[
            "schema",
            "execution",
            "status",
            "stages",
            "artifacts",
            "outputs",
            "fidelity",
        ],
    );
    assert_eq!(document["schema"], "towpath.run/1");
    assert_eq!(
        document["execution"].as_str().map(str::len),
        Some(36),
        "a UUID"
    );
    assert!(document["status"].is_string());
    for stage in document["stages"].as_array().expect("a list") {
        members(stage, &["name", "status", "actions"]);
        for action in stage["actions"].as_array().expect("a list") {
            members(
                action,
                &[
                    "name",
                    "status",
                    "summary",
                    "error",
                    "duration_ms",
                    "invocations",
                    "variables",
                ],
            );
            assert!(action["name"].is_string() && action["status"].is_string());
            for text in ["summary", "error"] {
                assert!(
                    action[text].is_string() || action[text].is_null(),
                    "{action}"
                );
            }
            assert!(
                action["duration_ms"].is_u64() || action["duration_ms"].is_null(),
                "{action}"
            );
            assert!(action["invocations"].is_u64(), "{action}");
            assert!(action["variables"].is_object(), "{action}");
        }
    }
    for artifact in document["artifacts"].as_array().expect("a list") {
        members(artifact, &["name", "path", "sha256", "bytes"]);
        let path = artifact["path"].as_str().expect("a path");
        let bytes = std::fs::metadata(path).expect("the artifact").len();
        assert_eq!(artifact["bytes"], bytes, "{path}");
        assert_eq!(artifact["sha256"].as_str().map(str::len), Some(64));
    }
    assert!(document["outputs"].is_object());
    members(&document["fidelity"], &["executed", "simulated", "refused"]);
    for list in ["executed", "simulated", "refused"] {
        let list = document["fidelity"][list].as_array().expect("a list");
        assert!(list.iter().all(Value::is_string), "{list:?}");
    }
}

#[test]
fn of_a_run_that_succeeds_and_of_one_that_fails() {
    for (script, code, status) in [(SOUND, 0, "Succeeded"), ("exit 1", 1, "Failed")] {
        let towpath = project(script);
        let finished = towpath.run(&arguments(&["--approve", "all", "--json"]));
        finished.exited(code, &[]);
        let document = finished.json();
        check(&document);
        assert_eq!(document["status"], status);
        let check = &document["stages"][1]["actions"][0];
        assert_eq!(check["name"], "Check");
        assert_eq!(check["invocations"], 1);
        assert_eq!(check["error"].is_null(), code == 0, "{check}");
        assert_eq!(check["summary"].is_string(), code == 0, "{check}");
    }
}
