//! The second job with the same lock file publishes the very archive that the first one made, and says so.

use towpath_tests::{World, assert_says};

use crate::{TRUSTED, entries, install, installations, project, setup, setup_with_copies, started};

#[tokio::test(flavor = "multi_thread")]
async fn s3_copies_it_where_the_role_may_have_it_do_so() {
    let world = started(setup_with_copies()).await;
    hits(&world).await;
    let log = world.log();
    assert_eq!(
        log.matches("copied an object in the store").count(),
        2,
        "{log}"
    );
    assert!(!log.contains("passed an object on"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_passes_through_the_function_where_the_role_may_not() {
    let world = started(setup()).await;
    hits(&world).await;
    assert_says(
        &world.log(),
        &["could not be copied in the store", "passed an object on"],
    );
}

async fn hits(world: &World) {
    let first = install(world, &project(), TRUSTED).await;
    assert_eq!(
        first.succeeded().summary.as_deref(),
        Some("npm ci: 1 package, 0.0 MB")
    );
    let second = install(world, &project(), TRUSTED).await;
    assert_eq!(
        second.succeeded().summary.as_deref(),
        Some("npm ci: 1 package, 0.0 MB, from the cache"),
        "{}",
        world.log()
    );
    assert_eq!(installations(world), 1);
    let (one, two) = (
        world.artifact(&first, "Dependencies").await,
        world.artifact(&second, "Dependencies").await,
    );
    assert!(one == two, "another archive");
    assert_eq!(entries(world).await.len(), 1);
    let greet = world
        .file(&second, "Dependencies", "node_modules/greet/greet.js")
        .await;
    assert!(greet.starts_with(b"#!/usr/bin/env node"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lock_file_argument_or_script_is_another_entry() {
    let world = started(setup()).await;
    let scripted = project().file(
        "tools/package.json",
        r#"{"name": "tools", "scripts": {"postinstall": "true"}}"#,
    );
    let edited = scripted.clone().file("src/schema.txt", "two");
    for (number, (tree, parameters)) in [
        (project(), "trust=protected"),
        (project(), "trust=protected&args=--omit%3Ddev"),
        (project(), "trust=protected&scripts=off"),
        (project().file(".npmrc", "fund=false\n"), "trust=protected"),
        (scripted, "trust=protected"),
        // What a script of the project reads may be anything.
        (edited, "trust=protected"),
    ]
    .into_iter()
    .enumerate()
    {
        install(&world, &tree, parameters).await.succeeded();
        assert_eq!(installations(&world), number + 1, "{parameters}");
        assert_eq!(entries(&world).await.len(), number + 1, "{parameters}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_come_out_differently_tomorrow_is_not_kept() {
    let world = started(setup()).await;
    let floating = towpath_tests::Tree::new().file("package.json", r#"{"name": "app"}"#);
    install(&world, &floating, TRUSTED).await.succeeded();
    install(&world, &project(), "trust=protected&cache=off")
        .await
        .succeeded();
    assert_eq!(entries(&world).await, [""; 0]);
    assert_says(&world.log(), &["not cached: there is no lock file"]);
}
