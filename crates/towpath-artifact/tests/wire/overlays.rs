//! Artifacts laid over each other: later ones win, directories join, and no two of them together
//! reach what neither could alone.

use std::fs;

use towpath_artifact::ArtifactError;

use crate::server::Server;
use crate::{ARTIFACT, PATH, names, store, zipped};

/// Lays archives of these files over each other; the tree, and the first error.
async fn layers(layers: &[&[(&str, &str)]]) -> (tempfile::TempDir, Result<(), ArtifactError>) {
    let server = Server::start();
    let job = tempfile::tempdir().unwrap();
    let onto = job.path().join("work");
    for layer in layers {
        server.keep(PATH, &zipped(layer));
        let laid = store(&server).overlay(ARTIFACT, &onto).await;
        if let Err(error) = laid {
            return (job, Err(error));
        }
    }
    (job, Ok(()))
}

#[tokio::test]
async fn later_layers_win_and_directories_join() {
    let (job, laid) = layers(&[
        &[
            ("package.json", "{}"),
            ("src/a.js", "1"),
            ("src/b.js", "1"),
            ("link ->", "src/a.js"),
        ],
        &[
            ("node_modules/x/i.js", "x"),
            ("src/b.js", "2"),
            ("node_modules/.bin/x ->", "../x/i.js"),
        ],
        &[("link", "a file now"), ("src/c.js ->", "a.js")],
    ])
    .await;
    laid.unwrap();
    assert_eq!(names(job.path()), ["work"], "nothing is left beside it");
    let read = |path: &str| fs::read_to_string(job.path().join("work").join(path)).unwrap();
    for (path, expected) in [
        ("package.json", "{}"),
        ("src/a.js", "1"),
        ("src/b.js", "2"),
        ("src/c.js", "1"),
        ("node_modules/.bin/x", "x"),
        ("link", "a file now"),
    ] {
        assert_eq!(read(path), expected, "{path}");
    }
}

#[tokio::test]
async fn layers_that_do_not_fit_are_refused_before_anything_is_moved() {
    for (what, lower, upper, expected) in [
        (
            "a directory over a file",
            [("a", "x")],
            [("a/b", "x"), ("c", "x")],
            "`a` is a directory in it and a file below",
        ),
        (
            "a file over a directory",
            [("d/a/b", "x")],
            [("d/a", "x"), ("c", "x")],
            "`d/a` is no directory in it, and one below",
        ),
        (
            "a directory through a link",
            [("a ->", "elsewhere")],
            [("a/b", "x"), ("c", "x")],
            "`a` is a directory in it and a link below",
        ),
        (
            "links that lead out only together",
            [("up ->", "here/..")],
            [("here ->", "."), ("c", "x")],
            "the link `up` would then lead out of the tree",
        ),
    ] {
        let (job, laid) = layers(&[&lower, &upper]).await;
        let error = laid.expect_err(what).to_string();
        assert_eq!(
            error,
            format!(
                "cannot lay s3://artifacts/pipeline/Source/abc over the files that are there: {expected}"
            ),
            "{what}"
        );
        assert!(!job.path().join("work/c").exists(), "{what}");
        assert_eq!(names(job.path()), ["work"], "{what}");
    }
}
