//! What runs on this machine. Seen through `/proc`; elsewhere there is nothing to see.

use std::collections::BTreeSet;
use std::fs;

/// A process, told from a later one with the same id by the moment of its start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    parent: u32,
    started: u64,
    /// Its command line, as far as one may see it.
    pub command: String,
}

/// A command that sleeps for a day, different from that of any other test.
pub fn nap() -> String {
    let unique = uuid::Uuid::new_v4().as_u128() % 1_000_000_000_000;
    format!("sleep 86400.{unique:012}")
}

/// Every process that has not ended.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

/// All that descend from a process.
pub fn family(pid: u32) -> Vec<Process> {
    let all = all();
    let mut members = BTreeSet::from([pid]);
    loop {
        let before = members.len();
        for process in &all {
            if members.contains(&process.parent) {
                members.insert(process.pid);
            }
        }
        if members.len() == before {
            break;
        }
    }
    members.remove(&pid);
    all.into_iter()
        .filter(|process| members.contains(&process.pid))
        .collect()
}

/// Those of the processes that still run.
pub fn alive(processes: &[Process]) -> Vec<Process> {
    let now = all();
    let is_same = |old: &&Process| {
        now.iter()
            .any(|new| new.pid == old.pid && new.started == old.started)
    };
    processes.iter().filter(is_same).cloned().collect()
}

/// Processes that have `mark` in their command line or their environment, as far as one may see those.
pub fn marked(mark: &str) -> Vec<Process> {
    let has_mark = |process: &Process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        process.command.contains(mark) || String::from_utf8_lossy(&environment).contains(mark)
    };
    let us = std::process::id();
    all()
        .into_iter()
        .filter(|process| process.pid != us && has_mark(process))
        .collect()
}

fn look(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets, and may have brackets and spaces of its own.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    if matches!(fields[0], "Z" | "X") {
        return None;
    }
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Some(Process {
        pid,
        parent: fields[1].parse().ok()?,
        started: fields[19].parse().ok()?,
        command: String::from_utf8_lossy(&command).replace('\0', " "),
    })
}
