//! A tool may print as much as it likes: neither the function's memory nor its log nor the message grows with it.

use towpath_tests::Action;

use crate::{script, world};

/// What the function may take at its peak. It is a debug build, and holds nothing of what the tool prints.
const MEMORY_KB: u64 = 80_000;

/// The loopback's log of the function: four megabytes of output, with JSON around them.
const LOG_BYTES: usize = 16_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_leave_memory_log_and_message_small() {
    let world = world().await;
    // At the end the script tells its function's peak memory, found by going up from itself.
    let tree = script(
        "yes 'a line of forty characters, over and over' | head -c 100000000
        function=$PPID
        until grep -q '^Name:.towpath-under' /proc/$function/status; do
            function=$(sed -n 's/^PPid:.//p' /proc/$function/status)
        done
        echo
        grep VmHWM /proc/$function/status
        exit 1",
    );
    let action = Action::of("test-and-package", "command=sh+script.sh");
    let done = world.act(&tree, action).await;
    let message = done.failed("JobFailed", &["exit code 1", "over and over", "VmHWM"]);
    let words: Vec<&str> = message.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "VmHWM:");
    let peak: u64 = place
        .and_then(|place| words[place + 1].parse().ok())
        .expect("a number of kilobytes");
    assert!(peak < MEMORY_KB, "the function took {peak} KB");
    let log = world.log();
    assert!(log.len() < LOG_BYTES, "the log has {} bytes", log.len());
    assert!(log.contains("lines left out of the log"));
}
