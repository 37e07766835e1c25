//! The README's first command, on the sample application, with the template that goes to AWS.

use std::fs::File;

use serde_json::Value;
use towpath_tests::CommandLine;
use zip::ZipArchive;

use crate::the_document_has_the_documented_members::check;

#[test]
fn from_source_to_production() {
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test"));
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/hello");
    let finished = towpath.run(&["run", sample, "--approve", "all", "--json"]);
    finished.exited(0, &["[Production/EndToEnd] succeeded"]);
    let document = finished.json();
    check(&document);
    let actions: Vec<String> = document["stages"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|stage| {
            let name = stage["name"].as_str().expect("a name");
            stage["actions"]
                .as_array()
                .expect("a list")
                .iter()
                .map(move |action| {
                    assert_eq!(action["status"], "Succeeded", "{action}");
                    format!("{name}/{}", action["name"].as_str().expect("a name"))
                })
        })
        .collect();
    assert_eq!(
        actions,
        [
            "Source/Source",
            "Commit/InstallDependencies",
            "Commit/TestAndPackage",
            "Acceptance/Deploy",
            "Acceptance/EndToEnd",
            "Acceptance/Delete",
            "Approve/Policy",
            "Approve/Approve",
            "Production/Deploy",
            "Production/EndToEnd",
        ]
    );
    let release = release(&document);
    let packaging = &document["stages"][1]["actions"][1];
    assert_eq!(packaging["variables"]["ReleaseId"], release["id"]);
    let source = &release["identity"]["source"];
    for what in ["commit", "repository"] {
        let known = source[what].as_str().unwrap_or_default();
        assert!(!known.is_empty() && !known.contains('#'), "{source}");
    }
    let url = document["outputs"]["ApiUrl"].as_str().expect("a URL");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert_eq!(document["fidelity"]["refused"], serde_json::json!([]));
    assert_eq!(towpath.temporary_files(), [] as [std::path::PathBuf; 0]);
}

/// The document beside the packaged template.
fn release(document: &Value) -> Value {
    let artifacts = document["artifacts"].as_array().expect("a list");
    let package = artifacts.iter().find(|it| it["name"] == "Package");
    let path = package.expect("an artifact")["path"].as_str();
    let file = File::open(path.expect("a path")).expect("the artifact is kept");
    let mut package = ZipArchive::new(file).expect("a zip archive");
    let document = package.by_name("release.json").expect("a release");
    serde_json::from_reader(document).expect("JSON")
}
