//! What holds in a sealed process, and in one with a hostile environment. Each test starts its own executable again,
//! since both concern a whole process; as root, it starts it as nobody, since root reads every process.

#![cfg(target_os = "linux")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command as Process,
    time::{Duration, Instant},
};

use towpath_tool::{Command, Limits, ToolError, Workspace, run, seal_process};

const ROLE: &str = "TOWPATH_TEST_INNER";
const NOBODY: u32 = 65534;

/// Runs `inner` in a process of its own: the test `name` of this executable, started again with a changed environment.
fn in_own_process(name: &str, inner: impl FnOnce()) {
    if std::env::var_os(ROLE).is_some() {
        return inner();
    }
    let directory = tempfile::tempdir().unwrap();
    let open =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(directory.path(), 0o755);
    let temporary = directory.path().join("only-writable");
    fs::create_dir(&temporary).unwrap();
    open(&temporary, 0o777);
    let executable = directory.path().join("test");
    // Copied by another process: had this one the copy open for writing while another test forks, it could not be
    // executed ("text file busy").
    let current = std::env::current_exe().unwrap();
    let copied = Process::new("cp").args([&current, &executable]).status();
    assert!(copied.unwrap().success());
    open(&executable, 0o755);

    let mut process = Process::new(&executable);
    process
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env(ROLE, "1")
        .env("TMPDIR", &temporary)
        .env("HOME", "/home/sbx_user1051")
        .env("AWS_SECRET_ACCESS_KEY", "hidden-secret")
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .env("GITHUB_TOKEN", "hidden-secret")
        .env("LANG", "C.UTF-8")
        .env("https_proxy", "http://127.0.0.1:1");
    if rustix::process::geteuid().is_root() {
        process.uid(NOBODY).gid(NOBODY);
    }
    let output = process.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    let left: Vec<_> = fs::read_dir(&temporary).unwrap().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn sh(script: &str) -> Result<String, ToolError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let workspace = Workspace::create().unwrap();
    let command = Command::shell(script, workspace.root()).env("EXTRA", "1");
    let limits = Limits {
        tail_bytes: 100_000,
        ..Limits::until(Instant::now() + Duration::from_mins(2))
    };
    runtime
        .block_on(run(&command, &workspace, &limits))
        .map(|finished| finished.tail)
}

#[test]
fn a_child_cannot_read_the_environment_of_a_sealed_process() {
    in_own_process(
        "a_child_cannot_read_the_environment_of_a_sealed_process",
        || {
            let read = "tr '\\0' '\\n' < /proc/$PPID/environ";
            let before = sh(read).unwrap();
            assert!(
                before.contains("AWS_SECRET_ACCESS_KEY=hidden-secret"),
                "otherwise this test proves nothing: {before}"
            );
            seal_process().unwrap();
            let after = sh(read).unwrap_err().to_string();
            assert!(
                after.contains("Permission denied") && !after.contains("hidden"),
                "{after}"
            );
            let memory = sh("exec 3< /proc/$PPID/mem").unwrap_err().to_string();
            assert!(memory.contains("Permission denied"), "{memory}");
            assert_eq!(sh("ulimit -c").unwrap(), "0");
        },
    );
}

#[test]
fn a_daemon_without_a_mark_is_killed_and_reaped_in_a_sealed_process() {
    in_own_process(
        "a_daemon_without_a_mark_is_killed_and_reaped_in_a_sealed_process",
        || {
            seal_process().unwrap();
            // It leaves the group, clears its environment and keeps the output open; its parent ends.
            let daemon = "(env -i PATH=\"$PATH\" setsid sh -c 'echo $$ > pid; exec sleep 1000' &)";
            let pid = sh(&format!("{daemon}; until [ -s pid ]; do :; done; cat pid")).unwrap();
            assert!(
                !Path::new(&format!("/proc/{pid}")).exists(),
                "process {pid} is there"
            );
            // One that has ended by then must not stay a zombie.
            let pid = sh("(setsid sh -c 'echo $$ > pid' &); until [ -s pid ]; do :; done; sleep 0.1; cat pid").unwrap();
            assert!(
                !Path::new(&format!("/proc/{pid}")).exists(),
                "process {pid} is there"
            );
        },
    );
}

#[test]
fn the_environment_is_what_is_allowed_and_what_was_asked_for() {
    in_own_process(
        "the_environment_is_what_is_allowed_and_what_was_asked_for",
        || {
            let text = sh("exec env").unwrap();
            let names: BTreeSet<_> = text
                .lines()
                .filter_map(|line| line.split_once('='))
                .map(|(name, _)| name)
                .collect();
            let expected = "CARGO_HOME CI COREPACK_ENABLE_DOWNLOAD_PROMPT COREPACK_HOME CYPRESS_CACHE_FOLDER EXTRA \
            GIT_CONFIG_GLOBAL GIT_TERMINAL_PROMPT GOCACHE GOMODCACHE GOPATH HOME LANG PATH PIP_CACHE_DIR \
            PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT PIP_ROOT_USER_ACTION PNPM_HOME POETRY_CACHE_DIR PWD \
            PYTHONUSERBASE TMPDIR TOWPATH_TOOL_RUN UV_CACHE_DIR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME \
            XDG_STATE_HOME YARN_CACHE_FOLDER YARN_ENABLE_MIRROR YARN_GLOBAL_FOLDER https_proxy npm_config_audit \
            npm_config_cache npm_config_fund npm_config_update_notifier pnpm_config_verify_deps_before_run";
            let shells_own = ["_", "SHLVL", "OLDPWD"]; // some shells set these
            let names: Vec<_> = names
                .into_iter()
                .filter(|name| !shells_own.contains(name))
                .collect();
            assert_eq!(
                names.join(" "),
                expected.split_whitespace().collect::<Vec<_>>().join(" ")
            );
            assert!(
                !text.contains("hidden-secret") && !text.contains("AWS_"),
                "{text}"
            );
        },
    );
}

#[test]
fn a_tool_works_where_only_the_temporary_directory_can_be_written_to() {
    in_own_process(
        "a_tool_works_where_only_the_temporary_directory_can_be_written_to",
        || {
            assert!(
                fs::create_dir_all("/home/sbx_user1051").is_err(),
                "otherwise this test proves nothing"
            );
            sh("touch \"$HOME/a\" \"$TMPDIR/b\" && mkdir -p \"$npm_config_cache\" \"$XDG_CONFIG_HOME\"").unwrap();
            let npm = sh(
                "echo '{\"name\":\"a\",\"version\":\"1.0.0\"}' > package.json && npm install --offline",
            );
            match npm {
                Err(ToolError::Exit { code: 127, .. }) => {} // a machine without npm
                other => assert!(other.is_ok(), "{other:?}"),
            }
        },
    );
}
