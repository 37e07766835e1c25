//! Fetching: whole, taken up again after a cut, or not at all and with a reason.

use std::fs;

use towpath_artifact::{ArchiveError, ArtifactError, Blame};

use crate::server::{Answer, Server};
use crate::{ARTIFACT, PATH, names, store, zipped};

#[tokio::test]
async fn an_artifact_becomes_a_tree_and_nothing_else_is_left() {
    let server = Server::start();
    server.keep(PATH, &zipped(&[("a/b.txt", "hello")]));
    let job = tempfile::tempdir().unwrap();
    let into = job.path().join("deep/source");
    let tree = store(&server).fetch(ARTIFACT, &into).await.unwrap();
    assert_eq!((tree.entries, tree.bytes), (2, 5));
    assert_eq!(fs::read_to_string(into.join("a/b.txt")).unwrap(), "hello");
    assert_eq!(names(&job.path().join("deep")), ["source"]);
}

#[tokio::test]
async fn an_answer_that_is_no_object_says_what_to_check() {
    for (answer, blame, message, hint) in [
        (
            (
                403,
                "AccessDenied",
                "User: arn:aws:sts::1:assumed-role/R is not authorized to perform: s3:GetObject",
            ),
            Blame::Permission,
            "not allowed to read s3://artifacts/pipeline/Source/abc: User: arn:aws:sts::1:assumed-role/R is not authorized to perform: s3:GetObject (AccessDenied)",
            "s3:GetObject on arn:aws:s3:::artifacts/pipeline/Source/abc",
        ),
        (
            (400, "KMS.DisabledException", "key is disabled"),
            Blame::Permission,
            "not allowed to read s3://artifacts/pipeline/Source/abc: key is disabled (KMS.DisabledException)",
            "kms:Decrypt on the key",
        ),
        (
            (404, "NoSuchKey", "The specified key does not exist."),
            Blame::Revision,
            "s3://artifacts/pipeline/Source/abc does not exist: The specified key does not exist. (NoSuchKey)",
            "start a new execution",
        ),
        (
            (503, "SlowDown", "Reduce your request rate."),
            Blame::Service,
            "failed to read s3://artifacts/pipeline/Source/abc: Reduce your request rate. (SlowDown)",
            "",
        ),
    ] {
        let (status, code, text) = answer;
        let server = Server::scripted(move |_| Answer::Error(status, code, text));
        let job = tempfile::tempdir().unwrap();
        let into = job.path().join("source");
        let error = store(&server).fetch(ARTIFACT, &into).await.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.blame(), blame, "{code}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{code}");
        assert_eq!(names(job.path()), [""; 0], "{code}");
    }
}

#[tokio::test]
async fn an_object_that_is_no_zip_is_named_with_what_it_is() {
    let server = Server::start();
    server.keep(
        PATH,
        br#"{"cloneUrl":"https://example.com/a.git","commitId":"1"}"#,
    );
    let job = tempfile::tempdir().unwrap();
    let into = job.path().join("source");
    let error = store(&server).fetch(ARTIFACT, &into).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "s3://artifacts/pipeline/Source/abc is not a zip archive: it is a reference to a \
         repository (CODEBUILD_CLONE_REF), not its files"
    );
    assert!(error.hint().unwrap().contains("CODE_ZIP"));
    assert_eq!(error.blame(), Blame::Definition);
    assert_eq!(names(job.path()), [""; 0]);
}

#[tokio::test]
async fn one_file_is_read_from_an_artifact() {
    let server = Server::start();
    server.keep(
        PATH,
        &zipped(&[("template.yaml", "Resources: {}"), ("b", "")]),
    );
    let read = async |path| store(&server).fetch_file(ARTIFACT, path).await;
    assert_eq!(read("template.yaml").await.unwrap(), b"Resources: {}");
    let error = read("templte.yaml").await.unwrap_err();
    assert!(matches!(
        error,
        ArtifactError::Archive(ArchiveError::NoSuchFile { .. })
    ));
    assert_eq!(
        error.to_string(),
        "s3://artifacts/pipeline/Source/abc has no file `templte.yaml`; it has `b`, `template.yaml`"
    );
}
