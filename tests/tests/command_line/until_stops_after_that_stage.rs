//! `--until` runs the pipeline to the end of a stage, and no approval behind it is asked for.

use crate::{SOUND, arguments, project};

#[test]
fn what_comes_later_is_not_started() {
    let towpath = project(SOUND);
    let finished = towpath.run(&arguments(&["--until", "Commit", "--json"]));
    let stderr = finished.exited(0, &["[Commit/Check] succeeded"]);
    assert!(!stderr.contains("Production/Ship"), "{stderr}");
    let document = finished.json();
    let statuses: Vec<&str> = document["stages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|stage| stage["status"].as_str().expect("a status"))
        .collect();
    assert_eq!(statuses[..2], ["Succeeded", "Succeeded"]);
    assert_eq!(statuses[3], "NotStarted");
    let names: Vec<&str> = document["artifacts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|artifact| artifact["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["Source", "Result"]);
}
