//! Who is left when a tool has ended, and the end of them.
//!
//! A process belongs to a run if it is in the run's process group, carries the run's mark in its environment, or
//! descends from one that does. A daemon that leaves the group *and* clears its environment carries neither; in a
//! [sealed](crate::seal_process) process it is known as an orphan that has become our child although we never
//! started it. (In a process that is not sealed that proves nothing: somebody else here may have started it.)
//!
//! Only Linux shows other processes' environments. Elsewhere the group alone is found.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Signal, WaitOptions, kill_process_group, waitpid};

use crate::tree::{self, Pid, Process};

static SEALED: AtomicBool = AtomicBool::new(false);

/// The runs of this process, by mark, with the direct child of each. Held while a child is started, so that nobody
/// takes it for an orphan before it is written down.
static RUNS: Mutex<BTreeMap<String, Option<Pid>>> = Mutex::new(BTreeMap::new());

pub(crate) fn process_is_sealed() {
    SEALED.store(true, Ordering::SeqCst);
}

fn runs() -> MutexGuard<'static, BTreeMap<String, Option<Pid>>> {
    RUNS.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One run of a tool: its mark and, once started, its direct child. Dropped early, it takes its processes along.
#[derive(Debug)]
pub(crate) struct Run {
    mark: String,
    child: Option<Pid>,
    is_over: bool,
}

impl Run {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{count}-{}", std::process::id(), now.as_nanos());
        runs().insert(mark.clone(), None);
        Self {
            mark,
            child: None,
            is_over: false,
        }
    }

    /// What the environment of each process of the run says.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// Starts the direct child.
    pub(crate) fn start<C, E>(
        &mut self,
        spawn: impl FnOnce() -> Result<(C, Option<Pid>), E>,
    ) -> Result<C, E> {
        let mut runs = runs();
        let (child, pid) = spawn()?;
        self.child = pid;
        runs.insert(self.mark.clone(), pid);
        Ok(child)
    }

    /// Asks the process group to end, also if it has been stopped.
    pub(crate) fn terminate(&self) {
        self.send_group(Signal::TERM);
        self.send_group(Signal::CONT);
    }

    /// Kills the process group, at once; [`Run::kill`] is to follow.
    pub(crate) fn kill_group(&self) {
        self.send_group(Signal::KILL);
    }

    fn send_group(&self, signal: Signal) {
        if let Some(group) = self.child.and_then(tree::raw) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Kills whatever is left of the run, and reaps those that have become our children. May block for a moment.
    ///
    /// The direct child, if it still lives, is killed too, but is its starter's to reap.
    pub(crate) fn kill(&self) -> usize {
        const ROUNDS: usize = 10;
        let mut killed = BTreeSet::new();
        for _ in 0..ROUNDS {
            self.kill_group();
            let found = tree::stop_all(|| self.survivors(&tree::processes()));
            for &pid in &found {
                tree::send(pid, Signal::KILL);
            }
            let is_last = found.is_empty();
            killed.extend(found);
            reap(&Self::orphans(&killed));
            if is_last {
                break;
            }
        }
        self.child.map(|child| killed.remove(&child));
        killed.len()
    }

    /// The living processes of the run that are there by evidence of their own; their descendants belong to it too.
    fn survivors(&self, processes: &[Process]) -> BTreeSet<Pid> {
        // Held to the end: what is started meanwhile is either written down or not there yet.
        let runs = runs();
        let us = std::process::id();
        let seen = Seen {
            us,
            our_group: processes
                .iter()
                .find(|process| process.pid == us)
                .map(|process| process.group),
            is_sealed: SEALED.load(Ordering::SeqCst),
            runs: &runs,
        };
        processes
            .iter()
            .filter(|process| !process.is_zombie && process.pid != us)
            .filter(|process| {
                belongs(process, &seen, &self.mark, self.child, || {
                    mark_of(process.pid)
                })
            })
            .map(|process| process.pid)
            .collect()
    }

    /// Those of the `killed`, and in a sealed process every ended child that nobody waits for, that are ours to reap.
    fn orphans(killed: &BTreeSet<Pid>) -> Vec<Pid> {
        let awaited: BTreeSet<_> = runs().values().flatten().copied().collect();
        let us = std::process::id();
        let is_sealed = SEALED.load(Ordering::SeqCst);
        tree::processes()
            .into_iter()
            .filter(|process| process.parent == us && !awaited.contains(&process.pid))
            .filter(|process| killed.contains(&process.pid) || (is_sealed && process.is_zombie))
            .map(|process| process.pid)
            .collect()
    }

    /// The run is over and nothing of it is left.
    pub(crate) fn finish(mut self) {
        self.is_over = true;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_over {
            self.kill();
        }
        runs().remove(&self.mark);
    }
}

/// What is known of the machine and of this process when survivors are told from strangers.
struct Seen<'a> {
    us: Pid,
    our_group: Option<Pid>,
    is_sealed: bool,
    runs: &'a BTreeMap<String, Option<Pid>>,
}

/// Whether `process` is of the run with this `mark` and direct `child`.
///
/// `mark_of` is asked last, as it reads a file: it answers `None` where the environment cannot be read, and an empty
/// text where it holds no mark.
fn belongs(
    process: &Process,
    seen: &Seen<'_>,
    mark: &str,
    child: Option<Pid>,
    mark_of: impl FnOnce() -> Option<String>,
) -> bool {
    let is_of = |child: Pid| process.pid == child || process.group == child;
    if child.is_some_and(is_of) {
        return true;
    }
    if seen.runs.values().flatten().copied().any(is_of) {
        return false;
    }
    match mark_of() {
        Some(found) if found == mark => true,
        Some(found) if seen.runs.contains_key(&found) => false,
        Some(_) | None => {
            seen.is_sealed && process.parent == seen.us && Some(process.group) != seen.our_group
        }
    }
}

/// The mark in a process's environment: `None` if that cannot be read, else empty or a mark.
#[cfg(target_os = "linux")]
fn mark_of(pid: Pid) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{}=", crate::environment::RUN);
    let mark = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(prefix.as_bytes()));
    Some(
        mark.map(|mark| String::from_utf8_lossy(mark).into_owned())
            .unwrap_or_default(),
    )
}

#[cfg(not(target_os = "linux"))]
fn mark_of(_pid: Pid) -> Option<String> {
    None
}

/// Collects ended children by their ids, never "any child": that one may be somebody's who waits for it.
fn reap(pids: &[Pid]) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let give_up = Instant::now() + PATIENCE;
    for pid in pids.iter().filter_map(|pid| tree::raw(*pid)) {
        // A killed process ends in no time unless the kernel itself is stuck in it; then init will have it one day.
        while let Ok(None) = waitpid(Some(pid), WaitOptions::NOHANG) {
            if Instant::now() > give_up {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_is_told_from_a_stranger() {
        const US: Pid = 10;
        let runs = BTreeMap::from([
            ("ours".to_owned(), Some(20)),
            ("theirs".to_owned(), Some(30)),
        ]);
        for (case, is_sealed, (pid, parent, group), mark, expected) in [
            ("the direct child", false, (20, US, 20), Some("ours"), true),
            (
                "in the group, environment cleared",
                false,
                (21, 1, 20),
                Some(""),
                true,
            ),
            (
                "left the group, marked",
                false,
                (22, 1, 22),
                Some("ours"),
                true,
            ),
            (
                "left the group, environment cleared",
                false,
                (23, US, 23),
                Some(""),
                false,
            ),
            (
                "the same in a sealed process",
                true,
                (23, US, 23),
                Some(""),
                true,
            ),
            ("the same, unreadable", true, (23, US, 23), None, true),
            (
                "another run's child",
                true,
                (30, US, 30),
                Some("theirs"),
                false,
            ),
            (
                "in another run's group, environment cleared",
                true,
                (31, US, 30),
                Some(""),
                false,
            ),
            (
                "another run's daemon",
                true,
                (32, US, 32),
                Some("theirs"),
                false,
            ),
            ("a helper of our own", true, (40, US, US), Some(""), false),
            ("somebody else's", true, (50, 1, 50), Some(""), false),
        ] {
            let seen = Seen {
                us: US,
                our_group: Some(US),
                is_sealed,
                runs: &runs,
            };
            let process = Process {
                pid,
                parent,
                group,
                is_zombie: false,
            };
            assert_eq!(
                belongs(&process, &seen, "ours", Some(20), || mark
                    .map(str::to_owned)),
                expected,
                "{case}"
            );
        }
    }
}
