//! What a program takes: time, processor, memory, system calls, instructions.
//!
//! A program is run by this one, started anew for the purpose: of its children a process learns only the sum of
//! their times and the largest of their memories, so it must have one child.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

/// What one run took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Used {
    pub(crate) wall_s: f64,
    /// User and system time together.
    pub(crate) cpu_s: f64,
    pub(crate) peak_mb: f64,
}

/// The first argument that makes this program run another one and measure it.
pub(crate) const MEASURED: &str = "measured";

/// Runs a command and measures it; its output is dropped, unless it fails.
pub(crate) fn measure(command: &Command) -> anyhow::Result<Used> {
    let shown = format!("{command:?}");
    let mut wrapper = Command::new(std::env::current_exe()?);
    wrapper
        .arg(MEASURED)
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    if let Some(directory) = command.get_current_dir() {
        wrapper.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    let output = wrapper
        .output()
        .with_context(|| format!("failed to start {shown}"))?;
    ensure!(
        output.status.success(),
        "{shown} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().context("no measurement")?;
    serde_json::from_str(line).with_context(|| format!("no measurement: {line}"))
}

/// What the wrapper does: runs its arguments, and says on its last line what they took.
pub(crate) fn wrapper(arguments: &[std::ffi::OsString]) -> ExitCode {
    let Some((program, arguments)) = arguments.split_first() else {
        return ExitCode::FAILURE;
    };
    let began = Instant::now();
    let ended = Command::new(program).args(arguments).status();
    let wall_s = began.elapsed().as_secs_f64();
    match ended {
        Ok(status) if status.success() => {}
        Ok(status) => {
            eprintln!("{status}");
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return ExitCode::FAILURE;
    };
    let used = Used {
        wall_s,
        cpu_s: seconds(usage.user_time()) + seconds(usage.system_time()),
        // Kilobytes on Linux, bytes on macOS.
        peak_mb: usage.max_rss() as f64
            / if cfg!(target_os = "macos") {
                1e6
            } else {
                1e6 / 1024.0
            },
    };
    let line = serde_json::to_string(&used).expect("numbers");
    // After whatever the program printed, on a line of its own.
    let _ = writeln!(std::io::stdout(), "\n{line}");
    ExitCode::SUCCESS
}

/// The processor time that this process has used so far.
pub(crate) fn own_cpu() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(f64::NAN, |usage| {
        seconds(usage.user_time()) + seconds(usage.system_time())
    })
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// Whether a program is installed.
pub(crate) fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

/// System calls of a program and all its threads; `None` without strace.
pub(crate) fn system_calls(command: &Command, scratch: &Path) -> anyhow::Result<Option<u64>> {
    let Some(log) = trace(command, &["-c"], scratch)? else {
        return Ok(None);
    };
    let total = log
        .lines()
        .find(|line| line.ends_with(" total"))
        .context("strace gives no total")?;
    let calls = total.split_whitespace().nth(3).context("no calls")?;
    Ok(Some(calls.parse()?))
}

/// Bytes that a program writes to files that do not lie beneath `beneath`; `None` without strace.
pub(crate) fn bytes_beside(
    command: &Command,
    beneath: &Path,
    scratch: &Path,
) -> anyhow::Result<Option<u64>> {
    let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,copy_file_range,ftruncate,sendfile";
    let Some(log) = trace(command, &["-y", "-s", "0", "-e", calls], scratch)? else {
        return Ok(None);
    };
    let mut beside = 0;
    for line in log.lines() {
        // PID call(3</path>, …) = bytes
        let Some((_, rest)) = line.split_once('<') else {
            continue;
        };
        let Some((path, rest)) = rest.split_once('>') else {
            continue;
        };
        let is_file =
            path.starts_with('/') && !path.starts_with("/dev/") && !path.starts_with("/proc/");
        if is_file && !Path::new(path).starts_with(beneath) {
            let written = rest
                .rsplit("= ")
                .next()
                .and_then(|bytes| bytes.trim().parse::<u64>().ok());
            beside += written.unwrap_or(0);
        }
    }
    Ok(Some(beside))
}

fn trace(command: &Command, options: &[&str], scratch: &Path) -> anyhow::Result<Option<String>> {
    if !is_installed("strace") {
        return Ok(None);
    }
    let log = scratch.join("strace.log");
    let mut traced = Command::new("strace");
    traced.arg("-f").args(options).arg("-o").arg(&log);
    under(&mut traced, command)?;
    Ok(Some(std::fs::read_to_string(log)?))
}

/// Instructions of a program, in millions; `None` without valgrind.
pub(crate) fn instructions(command: &Command, scratch: &Path) -> anyhow::Result<Option<f64>> {
    if !is_installed("valgrind") {
        return Ok(None);
    }
    let out: PathBuf = scratch.join("callgrind.out");
    let mut counted = Command::new("valgrind");
    counted
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()));
    under(&mut counted, command)?;
    let text = std::fs::read_to_string(&out)?;
    let line = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("summary:")
                .or(line.strip_prefix("totals:"))
        })
        .context("callgrind gives no total")?;
    Ok(Some(line.trim().parse::<f64>()? / 1e6))
}

/// Runs a command under another one that takes it as its last arguments.
fn under(wrapper: &mut Command, command: &Command) -> anyhow::Result<()> {
    wrapper.arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        wrapper.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapper.env(name, value);
        }
    }
    crate::programs::run(wrapper)
}
