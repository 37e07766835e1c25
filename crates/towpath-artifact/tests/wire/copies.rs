//! An object is brought to a second place: by the store, or through here, and never another one than was meant.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use towpath_artifact::{ArtifactError, Copy, Encryption, Found, Location, Store};

use crate::server::{Answer, Server};
use crate::{ARTIFACT, PATH, noise, settings, store, zipped};

const KEPT: Location<'_> = Location {
    bucket: "cache",
    key: "cache/app/entry.zip",
};
const KEPT_PATH: &str = "/cache/cache/app/entry.zip";

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// How an object that is there is to be copied.
struct Scene {
    found: Found,
    sha256: String,
    metadata: HashMap<String, String>,
}

impl Scene {
    async fn of(store: &Store, content: &[u8]) -> Self {
        Self {
            found: store.look(KEPT).await.unwrap(),
            sha256: digest(content),
            metadata: [("note".to_owned(), "kept".to_owned())].into(),
        }
    }

    fn copy(&self) -> Copy<'_> {
        Copy {
            from: KEPT,
            found: &self.found,
            sha256: &self.sha256,
            to: ARTIFACT,
            encryption: &Encryption::Kms,
            metadata: &self.metadata,
        }
    }
}

#[tokio::test]
async fn the_store_copies_and_states_the_digest() {
    let server = Server::start();
    let content = zipped(&[("a", "one"), ("b", "two")]);
    server.keep(KEPT_PATH, &content);
    let store = store(&server);
    let scene = Scene::of(&store, &content).await;
    let published = store.copy(&scene.copy()).await.unwrap().unwrap();
    assert_eq!(published.bytes, content.len() as u64);
    assert_eq!(published.sha256, Some(digest(&content)));
    assert_eq!(server.operations(), ["HeadObject", "CopyObject"]);
    assert_eq!(server.object(PATH).unwrap(), content);
    let request = server.requests().pop().unwrap();
    for (name, expected) in [
        ("x-amz-copy-source", "cache/cache/app/entry.zip"),
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-checksum-algorithm", "SHA256"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-meta-note", "kept"),
        ("x-amz-meta-sha256", &digest(&content)),
    ] {
        assert_eq!(request.header(name), Some(expected), "{name}");
    }
    let tag = scene.found.etag.as_deref();
    assert_eq!(request.header("x-amz-copy-source-if-match"), tag);
}

#[tokio::test]
async fn a_store_that_does_not_copy_is_no_error() {
    for (status, code) in [
        (403, "AccessDenied"),
        (501, "NotImplemented"),
        (500, "InternalError"),
    ] {
        let server = Server::scripted(move |request| match request.operation() {
            "CopyObject" => Answer::Error(status, code, "No"),
            _ => Answer::Serve,
        });
        let content = zipped(&[("a", "one")]);
        server.keep(KEPT_PATH, &content);
        let store = store(&server);
        let scene = Scene::of(&store, &content).await;
        assert_eq!(store.copy(&scene.copy()).await.unwrap(), None, "{code}");
        let published = store.pass_on(&store, &scene.copy()).await.unwrap();
        assert_eq!(published.sha256, Some(digest(&content)), "{code}");
        assert_eq!(server.object(PATH).unwrap(), content, "{code}");
    }
}

#[tokio::test]
async fn what_passes_through_comes_in_ranges_and_goes_in_parts() {
    let server = Server::start();
    let content = noise((12 << 20) + 7);
    server.keep(KEPT_PATH, &content);
    let store = store(&server);
    let scene = Scene::of(&store, &content).await;
    // All connections are used.
    server.answer_together(settings().connections);
    store.pass_on(&store, &scene.copy()).await.unwrap();
    assert!(server.have_met());
    assert!(server.object(PATH).unwrap() == content);
    let parts = server
        .operations()
        .into_iter()
        .filter(|operation| *operation == "UploadPart")
        .count();
    assert_eq!(parts, 3);
}

#[tokio::test]
async fn an_object_of_another_digest_is_not_passed_on() {
    for length in [1_000, 12 << 20] {
        let server = Server::start();
        let content = noise(length);
        server.keep(KEPT_PATH, &content);
        let store = store(&server);
        let mut scene = Scene::of(&store, &content).await;
        scene.sha256 = digest(b"another");
        for error in [
            store.copy(&scene.copy()).await.unwrap_err(),
            store.pass_on(&store, &scene.copy()).await.unwrap_err(),
        ] {
            assert!(
                matches!(&error, ArtifactError::Digest { found, .. } if *found == digest(&content)),
                "{error:?}"
            );
        }
        assert_eq!(server.unfinished(), 0, "{length}");
    }
    // Nothing has been stored but by the store itself, which says so only afterwards.
    let server = Server::start();
    server.keep(KEPT_PATH, b"content");
    let store = store(&server);
    let mut scene = Scene::of(&store, b"content").await;
    scene.sha256 = digest(b"another");
    store.pass_on(&store, &scene.copy()).await.unwrap_err();
    assert_eq!(server.object(PATH), None);
}

#[tokio::test]
async fn an_object_that_was_replaced_since_is_not_the_one_that_is_meant() {
    let server = Server::start();
    server.keep(KEPT_PATH, b"one content");
    let store = store(&server);
    let scene = Scene::of(&store, b"one content").await;
    server.keep(KEPT_PATH, b"two content");
    for error in [
        store.copy(&scene.copy()).await.unwrap_err(),
        store.pass_on(&store, &scene.copy()).await.unwrap_err(),
    ] {
        assert!(matches!(error, ArtifactError::Replaced { .. }), "{error:?}");
    }
    assert_eq!(server.object(PATH), None);
}

#[tokio::test]
async fn a_look_at_nothing_is_said_to_be_one() {
    let server = Server::start();
    let error = store(&server).look(KEPT).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Missing { .. }), "{error:?}");
}

#[tokio::test]
async fn a_tree_is_stored_again_only_as_the_same_archive() {
    let server = Server::start();
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("a"), "one").unwrap();
    let store = store(&server);
    let source = towpath_artifact::Source::Directory(here.path());
    let first = store
        .publish(source, ARTIFACT, &Encryption::Kms)
        .await
        .unwrap();
    let sha256 = first.sha256.unwrap();
    let metadata = || HashMap::from([("note".to_owned(), "kept".to_owned())]);
    let again = store
        .publish_again(here.path(), &sha256, KEPT, &Encryption::Bucket, metadata())
        .await
        .unwrap();
    assert_eq!(again.sha256, Some(sha256.clone()));
    let found = store.look(KEPT).await.unwrap();
    assert_eq!(found.sha256(), Some(&*sha256));
    assert_eq!(found.metadata.get("note").map(String::as_str), Some("kept"));

    server.forget(KEPT_PATH);
    std::fs::write(here.path().join("a"), "two").unwrap();
    let error = store
        .publish_again(here.path(), &sha256, KEPT, &Encryption::Bucket, metadata())
        .await
        .unwrap_err();
    assert!(matches!(error, ArtifactError::Changed { .. }), "{error:?}");
    assert_eq!(server.object(KEPT_PATH), None);
}
