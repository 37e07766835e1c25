//! A tool that hangs, leaves a daemon behind or is killed: nothing of it goes on, and the message says what happened.

use std::time::{Duration, Instant};

use towpath_tests::{Action, processes};

use crate::{script, setup, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_hangs_is_stopped_when_its_time_is_up() {
    let world = world().await;
    let nap = processes::nap();
    let start = Instant::now();
    let done = world
        .act(
            &script(&format!("echo waiting for the database\n{nap}")),
            Action::of("test-and-package", "command=sh+script.sh&timeout=4s"),
        )
        .await;
    done.failed(
        "JobFailed",
        &[
            "`sh script.sh` did not end within",
            "waiting for the database",
            "hint: ",
            "`timeout`",
        ],
    );
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "it took {:?}",
        start.elapsed()
    );
    assert_eq!(processes::marked(&nap), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_the_function_has_no_time_for_is_sent_to_where_there_is_more() {
    let world = setup().timeout_seconds("test-and-package", 4).start().await;
    let action = Action::of("test-and-package", "command=sh+script.sh");
    let done = world
        .act(&script("echo building\nsleep 1000"), action)
        .await;
    done.failed(
        "JobFailed",
        &[
            "`sh script.sh` did not end within",
            "building",
            "in CodeBuild it may take longer: compute=codebuild&project=NAME",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_a_tool_leaves_behind_is_gone() {
    let world = world().await;
    // In a session of its own, an orphan, and with neither input nor output: as a database does it.
    let nap = processes::nap();
    let tree = script(&format!(
        "mkdir out
        setsid sh -c 'echo $$ > out/pid; exec {nap}' < /dev/null > /dev/null 2>&1 &
        until test -s out/pid; do sleep 0.01; done",
    ));
    let action = Action::of("test-and-package", "command=sh+script.sh&Out=out").makes("Out");
    let done = world.act(&tree, action).await;
    let pid = world.file(done.succeeded(), "Out", "pid").await;
    assert!(!pid.is_empty(), "the daemon was there");
    assert_eq!(processes::marked(&nap), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_killed_has_failed() {
    let world = world().await;
    let tree = script("echo almost done\nkill -9 $$");
    for (command, words) in [
        ("kill+-9+$$", &["was killed by SIGKILL", "memory"][..]),
        ("kill+-SEGV+$$", &["was killed by SIGSEGV"]),
        (
            "sh+script.sh",
            &["exit code 137", "almost done", "SIGKILL", "memory"],
        ),
        ("exit+77", &["exit code 77"]),
        (
            "no-such-tool+--version",
            &["exit code 127", "no-such-tool", "not found"],
        ),
    ] {
        let action = Action::of("test-and-package", &format!("command={command}"));
        let done = world.act(&tree, action).await;
        done.failed("JobFailed", words);
    }
}
