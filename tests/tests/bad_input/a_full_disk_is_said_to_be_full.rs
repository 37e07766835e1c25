//! No room left: the message says so, and where, whoever met it first.

use towpath_tests::{Action, Tree, World, namespace};

use crate::{script, setup};

/// A function that sees a disk of a few megabytes where its temporary files go. The disk is in a mount namespace of
/// the function's own, and goes with its process.
async fn cramped() -> Option<World> {
    let unshare = namespace()?;
    let functions = ["install-deps", "test-and-package", "run-e2e"];
    let setup = functions.into_iter().fold(setup(), |setup, name| {
        let program = env!("CARGO_BIN_EXE_towpath-under-test");
        setup.function(
            name,
            &format!(
                "exec {unshare} sh -c 'mount -t tmpfs -o size=6m tmpfs \"$TMPDIR\" && exec \"{program}\" function {name}'"
            ),
        )
    });
    Some(setup.start().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_says_that_there_is_no_room() {
    let Some(world) = cramped().await else {
        println!("skipped: no disk can be mounted here, neither as root nor in a user namespace");
        return;
    };
    let large = Tree::new().file("large.bin", noise(8_000_000));
    for (function, parameters) in [
        ("install-deps", ""),
        ("test-and-package", "command=true"),
        ("run-e2e", "command=true"),
    ] {
        let action = Action::of(function, parameters);
        let action = if function == "install-deps" {
            action.makes("Dependencies")
        } else {
            action
        };
        let done = world.act(&large, action).await;
        done.failed(
            "JobFailed",
            &[
                "unpacks to 8.0 MB, and there are ",
                " free in ",
                "hint: ",
                "EphemeralStorage",
            ],
        );
    }
    let filling = script("head -c 20000000 /dev/zero > zeros.bin");
    let action = Action::of("test-and-package", "command=sh+script.sh");
    let done = world.act(&filling, action).await;
    done.failed("JobFailed", &["exit code 1", "No space left on device"]);

    let fine = Action::of("test-and-package", "command=true");
    world.act(&script("true"), fine).await.succeeded();
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}
