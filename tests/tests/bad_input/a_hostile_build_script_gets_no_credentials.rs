//! A package's install script and a test that try everything they can to get at the function's credentials: its
//! environment, its memory, its files, by whatever way Linux has. docs/security.md says what they can reach still.
//!
//! The functions run as an ordinary user, as in Lambda: root reads every process.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use towpath_tests::{Action, Tree, World};

use crate::setup;

const HOSTILE: &str = include_str!("hostile.py");

/// A world in which two functions are nobody's, if they would be root's otherwise. Their files lie in the directory.
async fn world() -> (World, TempDir) {
    let place = tempfile::tempdir().expect("a directory");
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    open(place.path(), 0o755);
    let temporary = place.path().join("tmp");
    fs::create_dir(&temporary).expect("a directory");
    open(&temporary, 0o777);
    // Nobody may not reach the program where it was built. A copy by another process, which nobody has open.
    let program = place.path().join("towpath");
    let built = env!("CARGO_BIN_EXE_towpath-under-test");
    let copied = std::process::Command::new("cp")
        .arg(built)
        .arg(&program)
        .status();
    assert!(copied.expect("cp").success());
    let (program, temporary) = (program.display(), temporary.display());
    let ordinary = if rustix::process::geteuid().is_root() {
        "setpriv --reuid=65534 --regid=65534 --clear-groups --"
    } else {
        ""
    };
    let mut setup = setup();
    for name in ["install-deps", "test-and-package"] {
        let script = format!(
            "export TMPDIR='{temporary}'\ncd '{temporary}'\nexec {ordinary} '{program}' function {name}"
        );
        setup = setup.function(name, &script);
    }
    (setup.start().await, place)
}

/// What the script tells of its attempts: the function was among its ancestors, and gave nothing away.
fn assert_nothing_was_found(found: &str, way: &str) {
    let told: Vec<&str> = found.lines().collect();
    let distance = told
        .iter()
        .find_map(|line| line.strip_prefix("function: "))
        .unwrap_or_else(|| {
            panic!("{way}: the function was not found, which proves nothing:\n{found}")
        });
    for (attempt, refusal) in [
        ("environment of", "Permission denied"),
        ("environment of a thread of", "Permission denied"),
        ("memory of", "Permission denied"),
        ("memory map of", "Permission denied"),
        ("attaching to", "Operation not permitted"),
        ("peeking into", "Operation not permitted"),
        ("files of", "Permission denied"),
    ] {
        let made = format!("{attempt} {distance}: ");
        let results: Vec<&str> = told
            .iter()
            .filter_map(|line| line.strip_prefix(&made))
            .collect();
        assert!(
            !results.is_empty(),
            "{way}: {attempt} was not tried:\n{found}"
        );
        assert!(
            results.iter().all(|it| *it == refusal),
            "{way}: {made}{results:?}"
        );
    }
    // The function's own, and those of the job; the loopback's credentials begin as AWS's do.
    for secret in [
        "AWS_ACCESS_KEY",
        "AWS_SECRET",
        "AWS_SESSION",
        "RUNTIME_API",
        "ASIA",
        "AKIA",
    ] {
        assert!(!found.contains(secret), "{way}: {secret}:\n{found}");
    }
    assert!(!found.contains("user: 0\n"), "{way}: root proves nothing");
    // What cannot be prevented, and is said in docs/security.md. Should this fail, that is to be corrected.
    assert!(found.contains("Runtime API: got reached"), "{way}: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_finds_none() {
    let (world, _place) = world().await;
    let tree = Tree::new().file("hostile.py", HOSTILE);
    let action = Action::of(
        "test-and-package",
        "command=python3+hostile.py>found.txt&Env.GREETING=hello&Out=found.txt",
    );
    let done = world.act(&tree, action.makes("Out")).await;
    let found = world.file(done.succeeded(), "Out", "found.txt").await;
    let found = String::from_utf8(found).expect("text");
    assert_nothing_was_found(&found, "a test");
    assert!(found.contains("  GREETING=hello\n"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_install_script_finds_none() {
    let (world, _place) = world().await;
    let tree = Tree::new()
        .file("hostile.py", HOSTILE)
        .file(
            "package.json",
            r#"{"name": "a", "version": "1.0.0", "scripts":
                {"postinstall": "mkdir -p node_modules && python3 hostile.py > node_modules/found.txt"}}"#,
        )
        .file(
            "package-lock.json",
            r#"{"name": "a", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
                "packages": {"": {"name": "a", "version": "1.0.0", "hasInstallScript": true}}}"#,
        );
    let action = Action::of("install-deps", "scripts=on").makes("Dependencies");
    let done = world.act(&tree, action).await;
    let path = "node_modules/found.txt";
    let found = world.file(done.succeeded(), "Dependencies", path).await;
    let found = String::from_utf8(found).expect("text");
    assert_nothing_was_found(&found, "an install script");
}
