//! What `run` promises, with real processes.

#[path = "run/runners.rs"]
mod runners;

use std::{
    fs,
    time::{Duration, Instant},
};

use towpath_tool::{Command, Finished, Limits, ToolError, Workspace, run};

/// Long enough for anything here on a busy machine.
const AMPLE: Duration = Duration::from_mins(2);

async fn sh(script: &str, time: Duration) -> Result<Finished, ToolError> {
    let parent = tempfile::tempdir().unwrap();
    let workspace = Workspace::create_in(parent.path()).unwrap();
    let limits = Limits {
        grace: Duration::from_secs(1),
        ..Limits::until(Instant::now() + time)
    };
    run(&Command::shell(script, parent.path()), &workspace, &limits).await
}

/// Waits until no process has this id or only its remains do.
fn wait_for_end(pid: &str) {
    let give_up = Instant::now() + AMPLE;
    let is_running = |pid: &str| {
        let listed = std::process::Command::new("ps")
            .args(["-o", "stat=", "-p", pid])
            .output()
            .unwrap();
        let state = String::from_utf8(listed.stdout).unwrap();
        !state.trim().is_empty() && !state.trim().starts_with('Z')
    };
    while is_running(pid) {
        assert!(Instant::now() < give_up, "process {pid} goes on");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn success_keeps_output_and_error_output_in_order() {
    let finished = sh(
        "echo one; echo two >&2; printf three; printf ' four\n' >&2",
        AMPLE,
    )
    .await
    .unwrap();
    assert_eq!(finished.tail, "one\ntwo\nthree four");
}

#[tokio::test]
async fn an_exit_code_is_a_failure_with_the_end_of_the_output() {
    match sh("echo doing; echo broken >&2; exit 3", AMPLE).await {
        Err(ToolError::Exit { code: 3, tail, .. }) => assert_eq!(tail, "doing\nbroken"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn death_by_signal_is_a_failure_that_names_the_signal() {
    for (signal, name) in [
        ("KILL", "SIGKILL (signal 9)"),
        ("TERM", "SIGTERM"),
        ("SEGV", "SIGSEGV"),
    ] {
        let error = sh(&format!("echo so far; kill -{signal} $$"), AMPLE)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ToolError::Signal { tail, .. } if tail == "so far"),
            "{error:?}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = sh("sh -c 'kill -KILL $$'; exit $?", AMPLE)
        .await
        .unwrap_err();
    assert!(
        matches!(error, ToolError::Exit { code: 137, .. }),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("memory"), "{error:?}");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let parent = tempfile::tempdir().unwrap();
    let workspace = Workspace::create_in(parent.path()).unwrap();
    // Made by another process: had this one a file open for writing while another test forks, it could not be
    // executed ("text file busy").
    let script = r"echo '#!/bin/sh' > plain
        echo '#!/no/such/interpreter' > no-interpreter; chmod +x no-interpreter
        printf '\0\0\0\0' > no-program; chmod +x no-program";
    let mut shell = std::process::Command::new("sh");
    let made = shell
        .args(["-c", script])
        .current_dir(parent.path())
        .status();
    assert!(made.unwrap().success());
    let directory = parent.path();
    let missing = directory.join("missing");
    for (command, expected, hint) in [
        (
            Command::new("no-such-program", directory),
            "`no-such-program` was not found on the search path /",
            "install",
        ),
        (
            Command::new("./gradlew", directory),
            "`./gradlew` was not found",
            "install",
        ),
        (
            Command::new("true", &missing),
            "there is no such directory",
            "`dir`",
        ),
        (
            Command::new("./plain", directory),
            "Permission denied",
            "executable",
        ),
        (
            Command::new("./no-interpreter", directory),
            "No such file",
            "`#!`",
        ),
        (
            Command::new("./no-program", directory),
            "neither a program",
            "",
        ),
    ] {
        let error = run(&command, &workspace, &Limits::until(Instant::now() + AMPLE))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{command}: {error}");
        assert!(
            error.hint().unwrap_or_default().contains(hint),
            "{command}: {:?}",
            error.hint()
        );
        assert_eq!(error.tail(), "");
    }
}

#[tokio::test]
async fn input_is_empty() {
    assert_eq!(sh("cat; echo end", AMPLE).await.unwrap().tail, "end");
}

#[tokio::test]
async fn a_tool_that_hangs_is_ended_and_may_clean_up_first() {
    // Long enough to have started; only what happens then is looked at.
    let check = async |script: &str, expected: &str| match sh(script, Duration::from_secs(4)).await
    {
        Err(ToolError::Deadline { tail, .. }) => assert_eq!(tail, expected, "{script}"),
        other => panic!("{script}: {other:?}"),
    };
    tokio::join!(
        check("echo started; sleep 1000", "started"),
        check(
            "trap 'echo cleaned up; exit 0' TERM; echo started; sleep 1000 & wait",
            "started\ncleaned up"
        ),
        check(
            "trap '' TERM; echo started; while :; do sleep 1000; done",
            "started"
        ),
        check(
            "trap '' TERM; echo started; kill -STOP $$; sleep 1000",
            "started"
        ),
        check("exec >/dev/null 2>&1; sleep 1000", ""),
    );
}

#[tokio::test]
async fn a_deadline_that_has_passed_ends_a_tool_at_once() {
    match sh("sleep 1000", Duration::ZERO).await {
        Err(ToolError::Deadline { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_run_ends_with_the_program_though_a_child_holds_its_output_and_the_child_is_killed() {
    let finished = sh("sleep 1000 & echo $!", AMPLE).await.unwrap();
    wait_for_end(&finished.tail);
}

#[cfg(target_os = "linux")] // elsewhere a daemon that leaves the process group is not found
#[tokio::test]
async fn a_daemon_that_forks_twice_and_leaves_the_group_is_killed() {
    let script =
        "(setsid sh -c 'echo $$ > pid; exec sleep 1000' &) ; until [ -s pid ]; do :; done; cat pid";
    let finished = sh(script, AMPLE).await.unwrap();
    wait_for_end(&finished.tail);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_run_s_end_leaves_another_run_s_processes_alone() {
    let directory = tempfile::tempdir().unwrap();
    let go_on = directory.path().join("go-on");
    let long = format!(
        "(setsid sh -c 'until [ -e {0} ]; do sleep 0.01; done; echo done > result' &); until [ -s result ]; do sleep 0.01; done; cat result",
        go_on.display()
    );
    let short = async {
        sh("sleep 1000 & true", AMPLE).await.unwrap();
        fs::write(&go_on, "").unwrap();
    };
    let (long, ()) = tokio::join!(sh(&long, AMPLE), short);
    assert_eq!(long.unwrap().tail, "done");
}

#[tokio::test]
async fn dropping_the_run_kills_the_tool_with_its_children() {
    let parent = tempfile::tempdir().unwrap();
    let workspace = Workspace::create_in(parent.path()).unwrap();
    let command = Command::shell(
        "sleep 1000 & echo $! > pid; mv pid ready; wait",
        parent.path(),
    );
    let limits = Limits::until(Instant::now() + AMPLE);
    let ready = parent.path().join("ready");
    let until_ready = async {
        while !ready.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        finished = run(&command, &workspace, &limits) => panic!("{finished:?}"),
        () = until_ready => {}
    }
    wait_for_end(fs::read_to_string(&ready).unwrap().trim());
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_grow_nothing() {
    let finished = sh(
        "yes 'a line of some length' | head -c 100000000; echo; echo the end",
        AMPLE,
    )
    .await
    .unwrap();
    assert!(finished.tail.len() <= 3010, "{}", finished.tail.len());
    assert!(
        finished.tail.starts_with("…\na line of some length\n")
            && finished.tail.ends_with("\nthe end")
    );
    #[cfg(target_os = "linux")]
    {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < 60_000, "{peak} kB");
    }
}
