//! An input that is something else than a zip archive is a configuration error that says what it is.

use towpath_tests::{Action, Pipeline};

use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn text_tar_and_a_reference_to_a_clone_are_recognised() {
    let world = world().await;
    // What `tar cz` begins with: enough to be recognised.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].repeat(20);
    let clone = br#"{"ConnectionArn":"arn:aws:codestar-connections:us-east-1:000000000000:connection/1","FullRepositoryId":"a/b","BranchName":"main","CommitId":"c0ffee"}"#;
    let text = b"hello, this is no archive\n";
    // What the pipeline's definition is to blame for is told from what the artifact is.
    for (kind, bytes, words) in [
        ("JobFailed", text.to_vec(), &["a plain text file"][..]),
        ("JobFailed", gzip, &["gzip"]),
        ("JobFailed", Vec::new(), &["empty"]),
        (
            "ConfigurationError",
            clone.to_vec(),
            &["CODE_ZIP", "OutputArtifactFormat"],
        ),
    ] {
        for (function, parameters) in [
            ("test-and-package", "command=true"),
            ("run-e2e", "command=true"),
            ("deploy-stack", "stack=app&template=Source::template.yaml"),
        ] {
            let source = Pipeline::of_object(bytes.clone());
            let done = world.act_on(source, Action::of(function, parameters)).await;
            done.failed(kind, words);
            done.failed(kind, &["is not a zip archive", "hint: "]);
        }
    }
}
