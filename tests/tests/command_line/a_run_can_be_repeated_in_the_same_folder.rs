//! The state directory is used again, and two folders do not know of each other.

use crate::{SOUND, arguments, project};

#[test]
fn a_second_run_passes_and_gives_the_same_artifacts() {
    let towpath = project(SOUND);
    let run = || {
        let finished = towpath.run(&arguments(&["--approve", "all", "--json"]));
        finished.exited(0, &["[Production/Ship] succeeded"]);
        finished.json()
    };
    let (first, second) = (run(), run());
    let of_result = |document: &serde_json::Value| {
        let artifacts = document["artifacts"].as_array().expect("a list").clone();
        artifacts
            .into_iter()
            .find(|artifact| artifact["name"] == "Result")
            .expect("the artifact")
    };
    assert_eq!(of_result(&first)["sha256"], of_result(&second)["sha256"]);
    assert_ne!(first["execution"], second["execution"]);
    for document in [&first, &second] {
        let path = of_result(document)["path"]
            .as_str()
            .expect("a path")
            .to_owned();
        assert!(std::fs::exists(&path).expect("a look"), "{path} is kept");
    }
    assert_eq!(towpath.temporary_files(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn a_failed_run_is_exit_code_one_and_a_mended_one_passes() {
    let towpath = project("echo it is broken; exit 4");
    let finished = towpath.run(&arguments(&["--approve", "all", "--json"]));
    finished.exited(1, &["[Commit/Check] failed", "exit code 4", "it is broken"]);
    let document = finished.json();
    assert_eq!(document["status"], "Failed");
    assert_eq!(document["stages"][3]["status"], "NotStarted");
    std::fs::write(towpath.directory().join("app/check.sh"), SOUND).expect("a file");
    towpath
        .run(&arguments(&["--approve", "all"]))
        .exited(0, &[]);
}

#[test]
fn two_folders_run_at_once() {
    let (left, right) = (project(SOUND), project(SOUND));
    let running = [&left, &right].map(|towpath| towpath.start(&arguments(&["--approve", "all"])));
    for one in running {
        one.finish().exited(0, &["[Production/Ship] succeeded"]);
    }
}
