//! Ending a process with all that it started, however that tried to get away.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// A line of output longer than this is cut into several.
pub(crate) const LINE: u64 = 64 * 1024;

/// How long output may still come after a process and its group are gone.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// Kills a process that runs and all that descends from it. Whoever started it has to wait for it.
pub(crate) async fn kill(pid: Option<u32>) {
    blocking(move || {
        if let Some(pid) = pid {
            towpath_tool::tree::kill_tree(pid);
        }
    })
    .await;
}

/// Kills what a process that has ended left behind: its group, and daemons that left the group but
/// still have `mark` (`NAME=value`) in the environment that they were started with.
///
/// A group outlives its leader, and its id is not given to another as long as it does. Other
/// systems than Linux do not tell how a process was started.
pub(crate) async fn kill_left_behind(pid: Option<u32>, mark: String) {
    blocking(move || {
        if let Some(group) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for survivor in marked(&mark) {
            towpath_tool::tree::kill_tree(survivor);
        }
    })
    .await;
}

async fn blocking(act: impl FnOnce() + Send + 'static) {
    let _ = tokio::task::spawn_blocking(act).await;
}

/// Processes that were started with this variable.
fn marked(variable: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let us = std::process::id();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != us)
        .filter(|pid| {
            std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|block| {
                block
                    .split(|byte| *byte == 0)
                    .any(|given| given == variable.as_bytes())
            })
        })
        .collect()
}
