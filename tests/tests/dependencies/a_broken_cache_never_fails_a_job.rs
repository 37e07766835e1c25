//! Whatever is wrong with the cache, or with what lies in it, the installation happens and the job succeeds.

use std::collections::HashMap;

use towpath_loopback::{Cut, FaultKind, FaultRule, FaultWhen};
use towpath_tests::{Setup, World, assert_says};

use crate::{
    CACHE, TRUSTED, entries, install, installations, project, setup, setup_with_copies, started,
};

/// What becomes of the entry's content and of what is kept beside it.
type Change = fn(&mut Vec<u8>, &mut HashMap<String, String>);

const CHANGES: [(&str, Change, &str); 4] = [
    (
        "truncated",
        |content, _| content.truncate(content.len() / 2),
        "what lies in the cache is no entry: it has ",
    ),
    (
        "foreign",
        |_, metadata| metadata.clear(),
        "it was not put there by install-deps",
    ),
    (
        "moved",
        |_, metadata| {
            metadata.insert("towpath-cache-key".into(), "f00".into());
        },
        "it was kept under another key, f00",
    ),
    (
        "corrupt",
        |content, _| {
            let middle = content.len() / 2;
            content[middle] ^= 1;
        },
        "is not what it says it is: its SHA-256 is ",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_not_what_was_kept_is_installed_anew_when_s3_copies() {
    each_change(setup_with_copies).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_not_what_was_kept_is_installed_anew_when_it_passes_through() {
    each_change(setup).await;
}

async fn each_change(setup: fn() -> Setup) {
    let world = started(setup()).await;
    let first = install(&world, &project(), TRUSTED).await;
    let sound = world.artifact(first.succeeded(), "Dependencies").await;
    for (number, (what, change, warning)) in CHANGES.into_iter().enumerate() {
        alter(&world, change).await;
        let done = install(&world, &project(), TRUSTED).await;
        assert_eq!(
            done.succeeded().summary.as_deref(),
            Some("npm ci: 1 package, 0.0 MB"),
            "{what}"
        );
        assert_eq!(installations(&world), number + 2, "{what}");
        assert_says(&world.log(), &[warning]);
        assert!(
            world.artifact(&done, "Dependencies").await == sound,
            "{what}: another archive"
        );
        // It is mended by that.
        install(&world, &project(), TRUSTED).await.succeeded();
        assert_eq!(installations(&world), number + 2, "{what}, repeated");
    }
}

/// Puts something else where the entry was.
async fn alter(world: &World, change: Change) {
    let key = entries(world).await.pop().expect("an entry");
    let entry = world.s3.get_object().bucket(CACHE).key(&key).send().await;
    let entry = entry.expect("an entry");
    let mut metadata = entry.metadata.clone().unwrap_or_default();
    let mut content = entry.body.collect().await.expect("all of it").to_vec();
    change(&mut content, &mut metadata);
    let put = world.s3.put_object().bucket(CACHE).key(&key);
    let put = put.set_metadata(Some(metadata)).body(content.into());
    put.send().await.expect("it is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_not_there_or_not_allowed_is_a_warning() {
    // There is no such bucket.
    let world = setup().start().await;
    install(&world, &project(), TRUSTED).await.succeeded();
    assert_says(
        &world.log(),
        &["the output was not kept in the cache: s3://cache-bucket"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_call_to_s3_may_be_refused() {
    // Each job looks once and copies once; three attempts are made of each.
    const CALLS: u64 = 2;
    for kind in [FaultKind::Error, FaultKind::Cut(Cut::After)] {
        let world = started(setup_with_copies()).await;
        for call in 1..=CALLS {
            for operation in ["HeadObject", "CopyObject"] {
                world.loopback().inject(FaultRule {
                    service: Some("s3".to_owned()),
                    operation: Some(operation.to_owned()),
                    when: FaultWhen::Nth {
                        first: call,
                        times: 3,
                    },
                    kind,
                });
            }
            install(&world, &project(), TRUSTED).await.succeeded();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_always_fails_costs_no_job() {
    let world = started(setup()).await;
    install(&world, &project(), TRUSTED).await.succeeded();
    for operation in ["HeadObject", "CopyObject"] {
        world.loopback().inject(FaultRule {
            service: Some("s3".to_owned()),
            operation: Some(operation.to_owned()),
            when: FaultWhen::Probability {
                probability: 1.0,
                seed: 1,
            },
            kind: FaultKind::Error,
        });
    }
    install(&world, &project(), TRUSTED).await.succeeded();
    assert_eq!(installations(&world), 2);
}
