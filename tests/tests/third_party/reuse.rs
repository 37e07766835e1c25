//! A tree of inputs is published once more, by whatever store: what nobody has changed is copied there.

use std::fs;
use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::ChecksumMode;
use towpath_artifact::{Encryption, Location, Origins, Published, Settings, Source, Store};

const BUCKET: &str = "reuse";

fn at(key: &str) -> Location<'_> {
    Location {
        bucket: BUCKET,
        key,
    }
}

/// Some 14 MB that hardly deflate, so that parts of them can be copied; and the same for everybody.
fn plant(root: &Path) {
    let mut state = 88_172_645_463_325_252_u64;
    for n in 0..20 {
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let content: Vec<u8> = words.take(90_000).flatten().collect();
        let path = root.join(format!("modules/{}/{n:02}.bin", n % 3));
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(path, content).expect("a file");
    }
}

/// Publishes, lays out, changes and publishes again.
pub(crate) async fn is_the_same_as_packed_anew(client: Client, encryption: &Encryption) {
    let made = client.create_bucket().bucket(BUCKET).send().await;
    made.expect("a bucket");
    let store = Store::new(client.clone(), Settings::for_memory(1_024));
    let here = tempfile::tempdir().expect("a directory");
    let (input, tree) = (here.path().join("input"), here.path().join("tree"));
    plant(&input);
    let first = publish(&store, &input, "a key with + and \u{fc}", encryption).await;
    assert!(first.sha256.is_some());

    let mut origins = Origins::default();
    store
        .overlay_noting(at("a key with + and \u{fc}"), &tree, &mut origins)
        .await
        .expect("it is laid out");
    wait_for_the_clock(here.path());
    let origins = origins.settle(&tree).await;
    fs::write(tree.join("modules/1/added.txt"), "added").expect("a file");

    let reused = store
        .publish_reusing(Source::Directory(&tree), at("reused"), encryption, &origins)
        .await
        .expect("it is published");
    assert_eq!(reused.sha256, None, "nothing was copied");
    let anew = publish(&store, &tree, "anew", encryption).await;
    assert_eq!(reused.bytes, anew.bytes);
    let (one, two) = (body(&client, "reused").await, body(&client, "anew").await);
    assert!(one == two, "another archive than packed anew");
}

async fn publish(store: &Store, tree: &Path, key: &str, encryption: &Encryption) -> Published {
    let source = Source::Directory(tree);
    let published = store.publish(source, at(key), encryption);
    published.await.expect("it is published")
}

async fn body(client: &Client, key: &str) -> Vec<u8> {
    let object = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .expect("an object");
    let body = object.body.collect().await;
    body.expect("all of it").into_bytes().into()
}

/// Files of this very moment count as changed.
fn wait_for_the_clock(place: &Path) {
    let now = || {
        let file = tempfile::tempfile_in(place).expect("a file");
        let metadata = file.metadata().expect("its times");
        metadata.modified().expect("a time")
    };
    let before = now();
    while now() == before {
        std::thread::yield_now();
    }
}
