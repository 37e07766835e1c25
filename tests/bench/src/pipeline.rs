//! What the pipeline adds: `towpath run` of the sample application against its npm commands by hand.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::Figure;
use crate::figure::{median, ratios};
use crate::programs::{self, run};

pub(crate) fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let rounds = if quick { 1 } else { 7 };
    let towpath = programs::build(&["towpath"])?.join("towpath");
    let hello = programs::repository().join("tests/apps/hello");
    let ours = tempfile::tempdir()?;
    let theirs = tempfile::tempdir()?;
    // Both sides use the same warm npm cache. The first run warms it, and holds the application up
    // so that the end-to-end tests by hand have something to talk to.
    let held = tempfile::tempdir()?;
    std::fs::create_dir_all(ours.path().join(".towpath"))?;
    let (holding, api) = hold(&towpath, &hello, held.path())?;
    let cache = held.path().join(".towpath/cache");
    std::os::unix::fs::symlink(&cache, ours.path().join(".towpath/cache"))?;
    let npm_cache = npm_cache(&cache)?;

    let (mut with, mut by_hand) = (Vec::new(), Vec::new());
    for counted in std::iter::once(false).chain(std::iter::repeat_n(true, rounds)) {
        let began = Instant::now();
        run(Command::new(&towpath)
            .arg("run")
            .arg(&hello)
            .args(["--approve", "all"])
            .current_dir(ours.path()))?;
        let pipeline = began.elapsed().as_secs_f64();
        let hand = hand(&hello, theirs.path(), &npm_cache, &api)?;
        if counted {
            with.push(pipeline);
            by_hand.push(hand);
        }
    }
    drop(holding);
    Ok(vec![
        Figure::median(
            "pipeline_wall_over_npm_by_hand",
            "×",
            "≤ 1.5, better 1.2",
            ratios(&with, &by_hand),
        )
        .against("npm by hand", 1.0),
        Figure::median("pipeline_wall_s", "s", "", with).against("npm by hand", median(&by_hand)),
    ])
}

/// The commands that the pipeline runs, in a fresh copy of the application.
fn hand(hello: &Path, scratch: &Path, cache: &Path, api: &str) -> anyhow::Result<f64> {
    let app = scratch.join("app");
    if app.exists() {
        std::fs::remove_dir_all(&app)?;
    }
    run(Command::new("cp").arg("-R").arg(hello).arg(&app))?;
    for left in ["node_modules", "dist"] {
        let left = app.join(left);
        if left.exists() {
            std::fs::remove_dir_all(left)?;
        }
    }
    let began = Instant::now();
    for arguments in [
        &["ci"][..],
        &["run", "lint"],
        &["run", "test"],
        &["run", "package"],
        &["run", "e2e"],
        &["run", "e2e"],
    ] {
        run(Command::new("npm")
            .args(arguments)
            .current_dir(&app)
            .env("npm_config_cache", cache)
            .env("API_URL", api)
            .env("CI", "true"))?;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// npm's cache below the tools' caches: the directory that has `_cacache`.
fn npm_cache(cache: &Path) -> anyhow::Result<std::path::PathBuf> {
    for entry in std::fs::read_dir(cache)? {
        let path = entry?.path();
        if path.join("_cacache").is_dir() {
            return Ok(path);
        }
    }
    if cache.join("_cacache").is_dir() {
        return Ok(cache.to_owned());
    }
    anyhow::bail!("there is no npm cache below {}", cache.display())
}

/// A run that stays up, and its API's address.
fn hold(towpath: &Path, hello: &Path, directory: &Path) -> anyhow::Result<(Running, String)> {
    let mut process = Command::new(towpath)
        .arg("run")
        .arg(hello)
        .args(["--approve", "all", "--hold"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = process.stdout.take().context("no output")?;
    let running = Running(process);
    let mut reader = BufReader::new(output);
    let mut line = String::new();
    let api = loop {
        line.clear();
        ensure!(
            reader.read_line(&mut line)? > 0,
            "the run ended before the application was up"
        );
        if let Some(url) = line.trim().strip_prefix("ApiUrl: ") {
            break url.to_owned();
        }
    };
    // The rest of the report must not fill the pipe.
    std::thread::spawn(move || {
        let _ = reader.read_to_string(&mut String::new());
    });
    Ok((running, api))
}

/// Interrupted, so that it ends its own processes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}
