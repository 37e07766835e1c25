//! A pull request's build never writes what a protected branch reads: the level is part of the key, and the role
//! reaches no other than its own.

use towpath_tests::assert_says;

use crate::{CACHE, TRUSTED, entries, install, installations, project, setup_with_copies, started};

#[tokio::test(flavor = "multi_thread")]
async fn each_level_has_entries_of_its_own() {
    let world = started(setup_with_copies().allow(
        &["s3:GetObject", "s3:PutObject"],
        &format!("arn:aws:s3:::{CACHE}/cache/app/pull-request/*"),
    ))
    .await;
    for (parameters, expected) in [
        ("trust=pull-request", 1),
        (TRUSTED, 2),
        ("trust=pull-request", 2),
        (TRUSTED, 2),
    ] {
        install(&world, &project(), parameters).await.succeeded();
        assert_eq!(installations(&world), expected, "{parameters}");
    }
    let entries = entries(&world).await;
    assert_eq!(entries.len(), 2, "{entries:?}");
    let names: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry.rsplit('/').next())
        .collect();
    assert_ne!(names[0], names[1], "copied there, it would be no entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_reaches_no_other_level() {
    let world = started(setup_with_copies()).await;
    for _ in 0..2 {
        install(&world, &project(), "trust=pull-request")
            .await
            .succeeded();
    }
    assert_eq!(installations(&world), 2);
    assert_eq!(entries(&world).await, [""; 0]);
    assert_says(
        &world.log(),
        &[
            "the cache cannot be read: not allowed to read s3://cache-bucket/cache/app/pull-request/",
            "the output was not kept in the cache: not allowed to write s3://cache-bucket/cache/app/pull-request/",
        ],
    );
}
