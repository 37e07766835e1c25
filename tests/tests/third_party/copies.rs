//! An object is brought to a second place, by whatever store: it is the same there, and says what was asked for.

use std::collections::HashMap;
use std::fs;

use aws_sdk_s3::Client;
use towpath_artifact::{Copy, Encryption, Location, Settings, Source, Store};

const BUCKET: &str = "copies";

fn at(key: &str) -> Location<'_> {
    Location {
        bucket: BUCKET,
        key,
    }
}

/// Publishes a tree, has it copied by the store and through here, and looks at both.
pub(crate) async fn are_the_same(client: Client, encryption: &Encryption) {
    let made = client.create_bucket().bucket(BUCKET).send().await;
    made.expect("a bucket");
    let store = Store::new(client, Settings::for_memory(1_024));
    let here = tempfile::tempdir().expect("a directory");
    let tree = here.path().join("tree");
    fs::create_dir_all(tree.join("modules")).expect("a directory");
    for n in 0..50 {
        fs::write(tree.join(format!("modules/{n}")), format!("{n}").repeat(n)).expect("a file");
    }
    let first = store
        .publish(
            Source::Directory(&tree),
            at("a key with + and \u{fc}"),
            encryption,
        )
        .await
        .expect("it is published");
    let sha256 = first.sha256.expect("all of it passed through here");
    let found = store
        .look(at("a key with + and \u{fc}"))
        .await
        .expect("it is there");
    assert_eq!(found.bytes, first.bytes);
    let metadata = HashMap::from([("note".to_owned(), "kept".to_owned())]);
    for (key, by_store) in [("copied", true), ("passed on", false)] {
        let copy = Copy {
            from: at("a key with + and \u{fc}"),
            found: &found,
            sha256: &sha256,
            to: at(key),
            encryption,
            metadata: &metadata,
        };
        let published = if by_store {
            let copied = store.copy(&copy).await.expect("a copy");
            copied.expect("it copies for who may do everything")
        } else {
            store.pass_on(&store, &copy).await.expect("a copy")
        };
        assert_eq!(published.bytes, first.bytes, "{key}");
        let second = store.look(at(key)).await.expect("it is there");
        assert_eq!(
            second.metadata.get("note").map(String::as_str),
            Some("kept"),
            "{key}"
        );
        assert_eq!(second.sha256(), Some(&*sha256), "{key}");
        let unpacked = here.path().join(key);
        store.fetch(at(key), &unpacked).await.expect("an archive");
        assert_eq!(
            fs::read_dir(unpacked.join("modules"))
                .expect("a folder")
                .count(),
            50
        );
    }
}
