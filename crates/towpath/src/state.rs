//! `.towpath/`, the one directory that a run leaves behind: runs, and the tools' caches.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use time::OffsetDateTime;
use time::macros::format_description;

/// The directory's name, below the working directory.
const NAME: &str = ".towpath";

/// How many runs are kept.
const KEPT: usize = 5;

/// A run's place in the state directory. The directory is locked as long as this lives.
#[derive(Debug)]
pub(crate) struct State {
    root: PathBuf,
    run: PathBuf,
    lock: File,
}

impl State {
    /// Makes a fresh run below `directory`, and removes the oldest ones.
    pub(crate) fn open(directory: &Path) -> anyhow::Result<Self> {
        let root = directory.join(NAME);
        let doing = || format!("failed to prepare {}", root.display());
        std::fs::create_dir_all(root.join("runs")).with_context(doing)?;
        std::fs::create_dir_all(root.join("cache")).with_context(doing)?;
        // Ignored by git wherever it lies, and so by the source artifact too.
        std::fs::write(root.join(".gitignore"), "*\n").with_context(doing)?;
        let lock = File::create(root.join("lock")).with_context(doing)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another run is using {}; wait for it, or run from another folder",
                root.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).with_context(doing),
        }
        prune(&root.join("runs")).with_context(doing)?;
        let run = fresh(&root.join("runs")).with_context(doing)?;
        Ok(Self { root, run, lock })
    }

    /// This run's own directory.
    pub(crate) fn run(&self) -> &Path {
        &self.run
    }

    /// Where tools keep what outlives a run: npm's cache and the like.
    pub(crate) fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Where what was installed is kept for later runs.
    pub(crate) fn dependencies(&self) -> PathBuf {
        self.cache().join("dependencies")
    }

    /// Where the loopback keeps its world.
    pub(crate) fn world(&self) -> PathBuf {
        self.run.join("aws")
    }

    /// Where the functions' logs lie.
    pub(crate) fn logs(&self) -> PathBuf {
        self.world().join("logs")
    }

    /// Where the execution's artifacts are put.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.run.join("artifacts")
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Closing is not enough: a process that is just being started still holds a copy of the file.
        let _ = self.lock.unlock();
    }
}

/// Makes a directory named by the time, which sorts.
fn fresh(runs: &Path) -> io::Result<PathBuf> {
    let now = OffsetDateTime::now_utc();
    let format = format_description!("[year][month][day]T[hour][minute][second]");
    let name = now.format(format).map_err(io::Error::other)?;
    for suffix in std::iter::once(String::new()).chain((2..100).map(|n| format!("-{n}"))) {
        let path = runs.join(format!("{name}{suffix}"));
        match std::fs::create_dir(&path) {
            Ok(()) => return path.canonicalize(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many runs in one second"))
}

/// Leaves room for one more run.
fn prune(runs: &Path) -> io::Result<()> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(runs)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    names.sort();
    let old = names.len().saturating_sub(KEPT - 1);
    for path in &names[..old] {
        std::fs::remove_dir_all(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_in_the_same_folder_waits_its_turn() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = State::open(directory.path()).expect("the first");
        let error = State::open(directory.path())
            .expect_err("the second")
            .to_string();
        assert!(error.contains("another run is using"), "{error}");
        drop(first);
        State::open(directory.path()).expect("after the first has ended");
    }

    #[test]
    fn only_the_newest_runs_are_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        for _ in 0..KEPT + 3 {
            State::open(directory.path()).expect("a run");
        }
        let left = std::fs::read_dir(directory.path().join(NAME).join("runs"))
            .expect("runs")
            .count();
        assert_eq!(left, KEPT);
    }
}
