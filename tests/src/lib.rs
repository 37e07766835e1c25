//! Shared set-up of the tests of the whole.
//!
//! - [`World`] is a loopback in the test's own process, with the suite's functions deployed into it as real
//!   processes. A test describes a [`Pipeline`], runs it, and looks at what its actions came to.
//! - [`CommandLine`] is the `towpath` program in a directory of its own, for what only the program promises.
//! - [`Tree`] and [`archive`] make source trees and archives, well-formed and not.
//! - [`processes`] sees what is left running.

pub mod archive;
mod command_line;
mod deployment;
mod invoke;
mod pipeline;
pub mod processes;
mod run;
mod tree;
mod world;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use command_line::{CommandLine, Finished, Running};
pub use pipeline::{Action, Pipeline};
pub use run::{Done, Run};
pub use tree::Tree;
pub use world::{Setup, World, files as files_below};

/// How long anything in a test may take. Reached only when something hangs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(15);

/// Looks until there is something to see. Panics, naming `what`, when there is nothing for too long.
#[track_caller]
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_long_for(what, PATIENCE, look)
}

/// The same, for what may take as long as this.
#[track_caller]
pub fn wait_long_for<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < patience, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// The words before a command that let it mount a disk that nobody else sees; `None` where that cannot be.
pub fn namespace() -> Option<&'static str> {
    ["unshare -m", "unshare -rm"].into_iter().find(|unshare| {
        let mut attempt = Command::new("sh");
        attempt
            .args([
                "-c",
                &format!("{unshare} mount -t tmpfs -o size=1m tmpfs /tmp"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        attempt.status().is_ok_and(|status| status.success())
    })
}

/// That `text` has each of the `words`, and in what else there is.
#[track_caller]
pub fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "lacks `{word}`:\n{text}");
    }
}
