//! Dependencies are installed once for what they depend on, and taken from the cache after that.

mod a_broken_cache_never_fails_a_job;
mod a_build_of_another_trust_level_reads_and_writes_elsewhere;
mod a_private_registry_wants_a_token;
mod what_was_installed_before_is_not_installed_again;

use std::process::Command;
use std::sync::OnceLock;

use towpath_tests::{Action, Done, Setup, Tree, World};

/// The cache's bucket.
const CACHE: &str = "cache-bucket";

/// A world with a cache whose entries pass through the function: its role may not write artifacts.
fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_towpath-under-test"))
        .variable("CACHE_BUCKET", CACHE)
        .variable("CACHE_PREFIX", "cache/app")
        .allow(
            &["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            &format!("arn:aws:s3:::{CACHE}/cache/app/protected/*"),
        )
        .allow(&["s3:ListBucket"], &format!("arn:aws:s3:::{CACHE}"))
}

/// The same, with a role that may have S3 copy from and to the artifact that install-deps makes.
fn setup_with_copies() -> Setup {
    setup().allow(
        &["s3:GetObject", "s3:PutObject"],
        "arn:aws:s3:::artifacts/*/Dependenci/*",
    )
}

async fn started(setup: Setup) -> World {
    let world = setup.start().await;
    let made = world.s3.create_bucket().bucket(CACHE).send().await;
    made.expect("a bucket");
    world
}

/// Runs install-deps as the pipeline does.
async fn install(world: &World, tree: &Tree, parameters: &str) -> Done {
    let action = Action::of("install-deps", parameters).makes("Dependencies");
    world.act(tree, action).await
}

const TRUSTED: &str = "trust=protected";

/// Every object in the cache.
async fn entries(world: &World) -> Vec<String> {
    let listed = world.s3.list_objects_v2().bucket(CACHE).send().await;
    let listed = listed.expect("a bucket");
    let keys = listed.contents().iter().filter_map(|object| object.key());
    keys.map(str::to_owned).collect()
}

/// How often the manager has installed.
fn installations(world: &World) -> usize {
    world.log().matches("$ npm ci").count()
}

/// A project with one dependency that needs no network.
fn project() -> Tree {
    static MADE: OnceLock<Tree> = OnceLock::new();
    let tree = MADE.get_or_init(|| {
        let here = tempfile::tempdir().expect("a directory");
        let manifest = r#"{"name": "app", "version": "1.0.0", "dependencies": {"greet": "file:vendor/greet.tgz"}}"#;
        let tree = Tree::new()
            .file("package.json", manifest)
            .file("package/package.json", r#"{"name": "greet", "version": "2.0.0", "bin": "greet.js"}"#)
            .file("package/greet.js", "#!/usr/bin/env node\nconsole.log('hello')\n");
        tree.write(here.path());
        let script = "mkdir vendor && tar czf vendor/greet.tgz package && \
            npm install --package-lock-only --offline --no-audit --no-fund >&2";
        let made = Command::new("sh")
            .args(["-c", script])
            .env("npm_config_cache", here.path().join("cache"))
            .current_dir(here.path())
            .status();
        assert!(made.expect("a shell").success());
        ["package.json", "package-lock.json", "vendor/greet.tgz"]
            .into_iter()
            .fold(Tree::new(), |tree, name| {
                tree.file(name, std::fs::read(here.path().join(name)).expect("a file"))
            })
    });
    tree.clone()
}
