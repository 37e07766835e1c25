//! An archive that would write where it should not, or more than it should, is refused; nothing of it is unpacked.

use towpath_tests::archive::{Entry, bomb, file, link, zip};
use towpath_tests::{Action, Done, Pipeline, World};

use crate::world;

async fn unpack(world: &World, archive: Vec<u8>) -> Done {
    let action = Action::of("test-and-package", "command=true");
    world.act_on(Pipeline::of_object(archive), action).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_leaves_the_tree_is_named() {
    let world = world().await;
    let mark = format!("towpath-escape-{}", std::process::id());
    let outside = std::env::temp_dir().join(&mark);
    let climbing = format!("../../../../../../../../../../../../{}", outside.display());
    let absolute = outside.display().to_string();
    let cases: [(&[Entry], &str); 5] = [
        (&[file(&climbing, "out")], "climbs with `..`"),
        (&[file(&absolute, "out")], "is an absolute path"),
        (
            &[link("etc", "/etc")],
            "is a link that leaves the tree, to `/etc`",
        ),
        (
            &[link("up", "../.."), file("up/passwd", "root")],
            "`up/passwd` would be written through the link `up`",
        ),
        (
            &[file("a.txt", "one"), file("a.txt", "two")],
            "is there twice",
        ),
    ];
    for (entries, words) in cases {
        let done = unpack(&world, zip(entries)).await;
        done.failed("JobFailed", &["refused s3://artifacts/", words, "hint: "]);
    }
    assert!(!outside.exists(), "{} was written", outside.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_not_unpacked() {
    let world = world().await;
    let done = unpack(&world, bomb(60, 200)).await;
    done.failed(
        "JobFailed",
        &["unpacks to ", "at most 10737418240 are allowed", "hint: "],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_is_corrupt() {
    let world = world().await;
    let whole = zip(&[file("a.txt", "0123456789".repeat(100)), file("b.txt", "b")]);
    let mut flipped = whole.clone();
    flipped[500] ^= 1;
    let cut = whole[..whole.len() / 2].to_vec();
    let mut shifted = whole.clone();
    let last = shifted.len() - 6;
    shifted[last] ^= 0xff; // the offset of the directory
    for (case, archive) in [
        ("a flipped bit", flipped),
        ("cut", cut),
        ("shifted", shifted),
    ] {
        let done = unpack(&world, archive).await;
        let message = done.failed("JobFailed", &["hint: "]);
        assert!(message.contains("corrupt"), "{case}: {message}");
    }
    unpack(&world, whole).await.succeeded();
}
