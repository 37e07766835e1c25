//! The processes of this machine as a tree: who descends from whom, and how to end a whole branch.
//!
//! Linux is read from `/proc`. Elsewhere `ps` is asked, which is slower.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

/// A process id, as [`std::process::Child::id`] gives it.
pub type Pid = u32;

/// One process at the moment of looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) group: Pid,
    /// It has ended; its parent has not yet asked how.
    pub(crate) is_zombie: bool,
}

/// All that descend from `pid` at the moment, `pid` itself excepted. Those that have ended are left out.
pub fn descendants(pid: Pid) -> Vec<Pid> {
    let processes = processes();
    let zombies: BTreeSet<_> = processes
        .iter()
        .filter(|process| process.is_zombie)
        .map(|process| process.pid)
        .collect();
    below(&processes, [pid])
        .into_iter()
        .filter(|pid| !zombies.contains(pid))
        .collect()
}

/// Kills all that descend from `pid`, but not `pid` itself, which is held still meanwhile.
pub fn kill_descendants(pid: Pid) {
    let found = stop_all(|| BTreeSet::from([pid]));
    for &descendant in found.iter().filter(|found| **found != pid) {
        send(descendant, Signal::KILL);
    }
    send(pid, Signal::CONT);
}

/// Kills `pid` and all that descend from it.
///
/// They are stopped first and killed then, so that none can start another between looking and killing. Answers when
/// they are gone, which takes a moment; this blocks. Whoever started `pid` still has to wait for it.
pub fn kill_tree(pid: Pid) {
    let found = stop_all(|| BTreeSet::from([pid]));
    for &found in &found {
        send(found, Signal::KILL);
    }
    await_end(&found);
}

/// Waits until none of the killed runs any more. Not for ever: one may hang in the kernel.
fn await_end(killed: &BTreeSet<Pid>) {
    const PATIENCE: Duration = Duration::from_secs(1);
    const LOOK: Duration = Duration::from_millis(1);
    let runs = |process: &Process| killed.contains(&process.pid) && !process.is_zombie;
    let start = Instant::now();
    while start.elapsed() < PATIENCE && processes().iter().any(runs) {
        std::thread::sleep(LOOK);
    }
}

/// Stops the `roots` with all that descend from them, until no look finds another; answers whom it stopped.
///
/// A parent that stands still cannot lose its children to init or start more of them. The calling process is never
/// among those stopped.
pub(crate) fn stop_all(roots: impl Fn() -> BTreeSet<Pid>) -> BTreeSet<Pid> {
    let mut stopped = BTreeSet::new();
    loop {
        let roots = roots();
        let mut found = below(&processes(), roots.iter().copied());
        found.extend(roots);
        found.remove(&std::process::id());
        let fresh: Vec<_> = found.difference(&stopped).copied().collect();
        if fresh.is_empty() {
            return stopped;
        }
        for pid in fresh {
            send(pid, Signal::STOP);
            stopped.insert(pid);
        }
    }
}

/// Sends a signal; that there is nobody to receive it is no error.
pub(crate) fn send(pid: Pid, signal: Signal) {
    if let Some(pid) = raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Init and "no process" are never meant.
pub(crate) fn raw(pid: Pid) -> Option<rustix::process::Pid> {
    i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .and_then(rustix::process::Pid::from_raw)
}

/// All below the `roots`, without these.
pub(crate) fn below(processes: &[Process], roots: impl IntoIterator<Item = Pid>) -> BTreeSet<Pid> {
    let mut children: BTreeMap<Pid, Vec<Pid>> = BTreeMap::new();
    for process in processes {
        children
            .entry(process.parent)
            .or_default()
            .push(process.pid);
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = roots.into_iter().collect();
    while let Some(pid) = open.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            if found.insert(child) {
                open.push(child);
            }
        }
    }
    found
}

/// Every process that can be seen.
#[cfg(target_os = "linux")]
pub(crate) fn processes() -> Vec<Process> {
    // `/proc/<pid>/task/<tid>/children` would be shorter, but not every kernel is built with it.
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: Pid| parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// `1234 (any name) S 1 1234 ...`: the name may hold spaces and parentheses, the last one ends it.
#[cfg(any(target_os = "linux", test))]
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let stat = String::from_utf8_lossy(stat);
    let (pid, rest) = stat.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse().ok();
    Some(Process {
        pid: pid.parse().ok()?,
        parent: number()?,
        group: number()?,
        is_zombie,
    })
}

/// Every process that can be seen.
#[cfg(not(target_os = "linux"))]
pub(crate) fn processes() -> Vec<Process> {
    let listed = std::process::Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,pgid=,stat="])
        .output();
    let Ok(listed) = listed else {
        return Vec::new();
    };
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(parse_ps)
        .collect()
}

#[cfg(any(not(target_os = "linux"), test))]
fn parse_ps(line: &str) -> Option<Process> {
    let mut fields = line.split_ascii_whitespace();
    let mut number = || fields.next()?.parse().ok();
    let (pid, parent, group) = (number()?, number()?, number()?);
    Some(Process {
        pid,
        parent,
        group,
        is_zombie: fields.next()?.starts_with('Z'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let process = |pid, parent, group, is_zombie| {
            Some(Process {
                pid,
                parent,
                group,
                is_zombie,
            })
        };
        for (given, expected) in [
            ("12 (sh) S 1 12 9 0 -1", process(12, 1, 12, false)),
            ("13 (a) b) (c) Z 12 12 9 0 -1", process(13, 12, 12, true)),
            ("14 (sh", None),
            ("", None),
        ] {
            assert_eq!(parse_stat(given.as_bytes()), expected, "{given}");
        }
        for (given, expected) in [
            ("  12     1    12 Ss", process(12, 1, 12, false)),
            ("13 12 12 Z+", process(13, 12, 12, true)),
            ("PID PPID PGID STAT", None),
        ] {
            assert_eq!(parse_ps(given), expected, "{given}");
        }
    }

    #[test]
    fn descendants_are_followed_through_every_generation() {
        let tree = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)].map(|(pid, parent)| Process {
            pid,
            parent,
            group: 1,
            is_zombie: false,
        });
        for (roots, expected) in [
            (vec![2], vec![3, 4]),
            (vec![4], vec![]),
            (vec![2, 5], vec![3, 4, 6]),
            (vec![9], vec![]),
        ] {
            assert_eq!(
                below(&tree, roots.clone()).into_iter().collect::<Vec<_>>(),
                expected,
                "{roots:?}"
            );
        }
    }

    #[test]
    fn a_tree_of_real_processes_is_killed_whole() {
        use std::{
            io::{BufRead, BufReader, Read},
            process::{Command, Stdio},
        };
        // The pipe ends only when each of the three that hold it is gone.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "(sh -c 'echo deep; sleep 1000; :' ; :) & sleep 1000; :",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "deep\n");
        assert!(
            descendants(child.id()).len() >= 2,
            "{:?}",
            descendants(child.id())
        );
        kill_tree(child.id());
        assert!(!child.wait().unwrap().success());
        assert_eq!(output.read_to_string(&mut line).unwrap(), 0);
    }
}
