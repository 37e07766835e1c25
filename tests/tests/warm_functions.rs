//! A function's process serves one job after the other. Whatever those do, it is afterwards as it was after the first:
//! the disk, open files, threads and memory.
//!
//! A program of its own: a function's process is told from others by being this one's only child of its kind.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use towpath_tests::{Action, Pipeline, Setup, Tree, World, processes, wait_for};

/// Jobs after the first of each kind.
const JOBS: usize = 50;

/// What memory may differ by: what the allocator keeps differs from job to job, and is not given back at once.
const MEMORY_KIB: u64 = 24 * 1024;

/// What a process has.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    /// Files and directories below the function's TMPDIR.
    on_disk: usize,
    /// Open files; where another user's may not be looked at, the room in their table.
    open: u64,
    threads: u64,
    memory_kib: u64,
}

impl Footprint {
    fn of(world: &World, pid: u32) -> Self {
        let status =
            fs::read_to_string(format!("/proc/{pid}/status")).expect("the function is there");
        let number = |name: &str| -> u64 {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect(name);
            line.trim_start_matches(':')
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .expect(name)
        };
        Self {
            on_disk: temporary(&world.state().join("environments")),
            open: fs::read_dir(format!("/proc/{pid}/fd"))
                .map_or_else(|_| number("FDSize"), |open| open.count() as u64),
            threads: number("Threads"),
            memory_kib: number("VmRSS"),
        }
    }
}

/// What lies in the temporary directories of all environments.
fn temporary(environments: &Path) -> usize {
    let environments: Vec<_> = fs::read_dir(environments)
        .expect("environments")
        .flatten()
        .collect();
    assert!(!environments.is_empty(), "a function has an environment");
    environments
        .iter()
        .map(|it| below(&it.path().join("tmp")))
        .sum()
}

fn below(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => 1 + below(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// The one process of a function.
fn process(function: &str) -> processes::Process {
    let ends = format!(" function {function}");
    let mut found = processes::family(std::process::id());
    found.retain(|it| it.command.trim_end().ends_with(&ends));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Runs jobs of all kinds, then fifty more, all in one process; each kind with the status that it ends with.
async fn wear(function: &str, kinds: &[(Pipeline, &str, &str)]) {
    let world = Setup::new(env!("CARGO_BIN_EXE_towpath-under-test"))
        .start()
        .await;
    world.one_at_a_time(function).await;
    let mut first = None;
    let started = |world: &World| {
        let process = process(function);
        (Footprint::of(world, process.pid), process)
    };
    for number in 0..kinds.len() + JOBS {
        // The slow ones come first, and then seldom.
        let kind = match number {
            number if number < kinds.len() => number,
            number if number % 17 == 0 => number / 17 % 2,
            number => 2 + number % (kinds.len() - 2),
        };
        let (source, parameters, status) = &kinds[kind];
        let mut action = Action::of(function, parameters);
        if function == "install-deps" || parameters.contains("Out=") {
            action = action.makes("Out");
        }
        let done = world.act_on(source.clone(), action).await;
        assert_eq!(done.status, *status, "{parameters}: {done:?}");
        if number + 1 == kinds.len() {
            first = Some(started(&world));
        }
    }
    let (before, process) = first.expect("there are kinds");
    let mut last = before;
    // A thread for what blocks is kept for ten seconds, a connection until somebody closes it.
    wait_for("the process is as it was", || {
        let (now, same) = started(&world);
        assert_eq!(same, process, "another process has taken over");
        last = now;
        (now.open <= before.open && now.threads <= before.threads).then_some(())
    });
    assert_eq!(last.on_disk, before.on_disk, "{last:?}, {before:?}");
    assert!(
        last.memory_kib <= before.memory_kib + MEMORY_KIB,
        "{last:?}, {before:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn test_and_package_is_after_fifty_jobs_as_after_the_first() {
    let nap = processes::nap();
    let daemon = format!("setsid {nap} > /dev/null 2>&1 < /dev/null & exit");
    let source = Pipeline::of(
        &Tree::new()
            .file("daemon.sh", format!("{daemon} 0"))
            .file("failing.sh", format!("{daemon} 3"))
            .file("waits.sh", format!("touch $HOME/x $TMPDIR/y\n{nap}"))
            .file(
                "makes.sh",
                "touch $HOME/x $TMPDIR/y; mkdir out; head -c 3000000 /dev/urandom > out/z",
            ),
    );
    let kinds = [
        ("command=sh+waits.sh&timeout=2s", "Failed"),
        ("command=sh+makes.sh&Out=out", "Succeeded"),
        ("command=true", "Succeeded"),
        ("command=sh+daemon.sh", "Succeeded"),
        ("command=sh+failing.sh&report=*.xml", "Failed"),
        ("command=true&report=*.xml", "Failed"),
        ("task=none", "Failed"),
    ]
    .map(|(parameters, status)| (source.clone(), parameters, status));
    wear("test-and-package", &kinds).await;
    assert_eq!(processes::marked(&nap), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn install_deps_is_after_fifty_jobs_as_after_the_first() {
    let nap = processes::nap();
    let project = |script: &str| {
        let manifest = serde_json::json!({"name": "a", "version": "1.0.0", "scripts": {"postinstall": script}});
        let lock = serde_json::json!({"name": "a", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
            "packages": {"": {"name": "a", "version": "1.0.0", "hasInstallScript": true}}});
        let tree = Tree::new()
            .file("package.json", manifest.to_string())
            .file("package-lock.json", lock.to_string());
        Pipeline::of(&tree)
    };
    let daemon = format!(
        "mkdir -p node_modules && touch node_modules/x && (setsid {nap} > /dev/null 2>&1 < /dev/null &)"
    );
    let kinds = [
        (project(&nap), "timeout=3s", "Failed"),
        (project(&daemon), "", "Succeeded"),
        (Pipeline::of(&Tree::new().file("a.txt", "a")), "", "Failed"),
        (Pipeline::of_object("no archive"), "", "Failed"),
        (
            Pipeline::of(&Tree::new().file("package.json", "{")),
            "",
            "Failed",
        ),
        (
            Pipeline::of(&Tree::new().file("a.txt", "a")),
            "dir=none",
            "Failed",
        ),
    ];
    wear("install-deps", &kinds).await;
    assert_eq!(processes::marked(&nap), []);
}
