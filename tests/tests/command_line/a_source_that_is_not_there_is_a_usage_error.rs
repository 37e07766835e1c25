//! Without a source tree nothing is started: exit code 2, and the folder by its name.

use towpath_tests::{CommandLine, Tree};

#[test]
fn a_missing_or_empty_folder_is_named() {
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).with(
        &Tree::new()
            .file("plain.txt", "no folder")
            .file("ignored/.gitignore", "*\n"),
    );
    std::fs::create_dir(towpath.directory().join("empty")).expect("a directory");
    for (source, words) in [
        (
            "nowhere",
            &[
                "error: ",
                "nowhere does not exist",
                "name the folder of the application",
            ][..],
        ),
        ("empty", &["error: ", "empty has no files"]),
        ("ignored", &["error: ", "ignored has no files"]),
        ("plain.txt", &["error: ", "plain.txt is a file"]),
    ] {
        let finished = towpath.run(&["run", source]);
        let stderr = finished.exited(2, words);
        assert_eq!(finished.stdout, "", "stdout is for data");
        assert!(!stderr.contains("AWS is"), "nothing was started: {stderr}");
    }
    assert_eq!(towpath.state_files(), [] as [std::path::PathBuf; 0]);
    assert_eq!(towpath.temporary_files(), [] as [std::path::PathBuf; 0]);
}
