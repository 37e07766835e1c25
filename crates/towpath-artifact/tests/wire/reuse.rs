//! A tree of inputs is published again: what nobody has changed is copied in the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use towpath_artifact::{ArtifactError, Encryption, Location, Origins, Published, Source, Store};

use crate::server::{Answer, Request, Server};
use crate::{ARTIFACT, noise, packed, settings, store};

const SOURCE: Location<'_> = Location {
    bucket: "artifacts",
    key: "pipeline/Source/it s",
};
const LAYER: Location<'_> = Location {
    bucket: "artifacts",
    key: "pipeline/Dependencies/def",
};

const LAYER_PATH: &str = "/artifacts/pipeline/Dependencies/def";

/// Some megabytes that cannot be made smaller, in files of 700 kB.
fn plant(root: &Path, files: std::ops::Range<usize>) {
    for n in files {
        let path = root.join(format!("modules/{n:03}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, noise(700_000 + n)).unwrap();
    }
}

/// A source and a layer that were published here, laid over each other.
async fn inputs(server: &Server, here: &Path) -> (PathBuf, Arc<Origins>) {
    let store = store(server);
    for (name, location, files) in [("one", SOURCE, 0..12), ("two", LAYER, 12..40)] {
        let root = here.join(name);
        plant(&root, files);
        fs::write(root.join(name), name).unwrap();
        let source = Source::Directory(&root);
        store
            .publish(source, location, &Encryption::Kms)
            .await
            .unwrap();
    }
    let tree = here.join("tree");
    let mut origins = Origins::default();
    for location in [SOURCE, LAYER] {
        store
            .overlay_noting(location, &tree, &mut origins)
            .await
            .unwrap();
    }
    age(here);
    (tree.clone(), origins.settle(&tree).await)
}

/// Until the file system's clock has gone on: files of this very moment count as changed.
fn age(place: &Path) {
    let changed = || {
        let file = tempfile::tempfile_in(place).unwrap();
        file.metadata().unwrap().modified().unwrap()
    };
    let before = changed();
    while changed() == before {
        std::thread::yield_now();
    }
}

async fn publish(
    server: &Server,
    tree: &Path,
    origins: &Arc<Origins>,
) -> Result<Published, ArtifactError> {
    let source = Source::Directory(tree);
    Store::new(server.client(), settings())
        .publish_reusing(source, ARTIFACT, &Encryption::Kms, origins)
        .await
}

/// What was asked for since there were so many requests.
fn since(server: &Server, before: usize) -> Vec<Request> {
    server.requests().split_off(before)
}

fn count(requests: &[Request], operation: &str) -> usize {
    let same = |request: &&Request| request.operation() == operation;
    requests.iter().filter(same).count()
}

fn stored(server: &Server) -> Vec<u8> {
    server.object("/artifacts/pipeline/Source/abc").unwrap()
}

#[tokio::test]
async fn what_nobody_changed_is_copied_and_the_object_is_the_same() {
    let server = Server::start();
    let here = tempfile::tempdir().unwrap();
    let (tree, origins) = inputs(&server, here.path()).await;
    fs::write(tree.join("modules/020"), "changed").unwrap();
    fs::write(tree.join("modules/new"), "new").unwrap();

    let before = server.requests().len();
    let published = publish(&server, &tree, &origins).await.unwrap();
    assert!(stored(&server) == packed(&tree), "another archive");
    assert_eq!(published.bytes, stored(&server).len() as u64);
    assert_eq!(published.sha256, None, "not all of it was seen");
    let requests = since(&server, before);
    // One of the source, and of the layer one before the change and one after it.
    assert_eq!(count(&requests, "UploadPartCopy"), 3);
    let sent: usize = requests.iter().map(|request| request.body.len()).sum();
    assert!(
        sent < 12 << 20,
        "{sent} bytes of {} were sent",
        published.bytes
    );
    let source = Some("artifacts/pipeline/Source/it%20s");
    let encoded = |request: &Request| request.header("x-amz-copy-source") == source;
    assert!(requests.iter().any(encoded));
    assert_eq!(server.unfinished(), 0);
}

#[tokio::test]
async fn a_store_that_does_not_copy_is_read() {
    for (status, code) in [
        (403, "AccessDenied"),
        (501, "NotImplemented"),
        (404, "NoSuchKey"),
    ] {
        let server = Server::scripted(move |request| match request.operation() {
            "UploadPartCopy" => Answer::Error(status, code, "no"),
            _ => Answer::Serve,
        });
        let here = tempfile::tempdir().unwrap();
        let (tree, origins) = inputs(&server, here.path()).await;
        publish(&server, &tree, &origins).await.unwrap();
        assert!(stored(&server) == packed(&tree), "{code}: another archive");
        assert_eq!(server.unfinished(), 0, "{code}");
    }
}

#[tokio::test]
async fn an_input_that_is_no_longer_there_is_packed_anew() {
    type Change = fn(&Server);
    let changes: [(&str, Change); 2] = [
        ("replaced", |server| {
            server.keep(LAYER_PATH, &noise(30 << 20));
        }),
        ("deleted", |server| server.forget(LAYER_PATH)),
    ];
    for (what, change) in changes {
        let server = Server::start();
        let here = tempfile::tempdir().unwrap();
        let (tree, origins) = inputs(&server, here.path()).await;
        change(&server);
        let published = publish(&server, &tree, &origins).await.unwrap();
        assert!(stored(&server) == packed(&tree), "{what}: another archive");
        assert!(published.sha256.is_some(), "{what}");
        assert_eq!(server.unfinished(), 0, "{what}");
    }
}

#[tokio::test]
async fn a_failure_of_the_upload_itself_is_not_tried_anew() {
    let server = Server::scripted(|request| match request.operation() {
        "CompleteMultipartUpload" if request.target.contains("abc") => {
            Answer::Error(403, "AccessDenied", "no")
        }
        _ => Answer::Serve,
    });
    let here = tempfile::tempdir().unwrap();
    let (tree, origins) = inputs(&server, here.path()).await;
    let before = server.requests().len();
    let error = publish(&server, &tree, &origins).await.unwrap_err();
    assert!(matches!(error, ArtifactError::Denied { .. }), "{error}");
    let requests = since(&server, before);
    assert_eq!(count(&requests, "CreateMultipartUpload"), 1);
    assert_eq!(server.unfinished(), 0);
}

#[tokio::test]
async fn of_archives_of_others_nothing_is_copied() {
    let server = Server::start();
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("one");
    plant(&root, 0..12);
    // The same bytes, but nobody says who packed them, or how.
    server.keep(LAYER_PATH, &packed(&root));
    let tree = here.path().join("tree");
    let mut origins = Origins::default();
    store(&server)
        .overlay_noting(LAYER, &tree, &mut origins)
        .await
        .unwrap();
    age(here.path());
    let origins = origins.settle(&tree).await;
    publish(&server, &tree, &origins).await.unwrap();
    assert_eq!(count(&server.requests(), "UploadPartCopy"), 0);
    assert!(stored(&server) == packed(&tree), "another archive");
}

#[tokio::test]
async fn a_part_of_a_tree_is_not_taken_for_the_whole() {
    let server = Server::start();
    let here = tempfile::tempdir().unwrap();
    let (tree, origins) = inputs(&server, here.path()).await;
    // Other names, so other headers.
    let part = tree.join("modules");
    publish(&server, &part, &origins).await.unwrap();
    assert!(stored(&server) == packed(&part), "another archive");
}
