//! Start a command, follow it, end it in time, and leave nothing of it behind.

use std::{
    collections::BTreeMap,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    process::Child,
    time::{sleep_until, timeout},
};

use towpath_secret::Secrets;

use crate::{Command, ToolError, Workspace, environment, output::Output, survivors::Run};

/// What a run may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// At this moment nothing of the tool runs any more: SIGTERM comes `grace` before it, SIGKILL at it.
    pub deadline: Instant,
    /// Between SIGTERM and SIGKILL; at most half of the time there is.
    pub grace: Duration,
    /// How much of the end of the output is kept, in bytes.
    pub tail_bytes: usize,
}

impl Limits {
    /// Five seconds of grace, and a tail that leaves room for a sentence in CodePipeline's 5,000 characters.
    pub fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            grace: Duration::from_secs(5),
            tail_bytes: 3000,
        }
    }
}

/// A tool that ended with exit code 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// From its start to its end.
    pub duration: Duration,
    /// The end of what it printed, as text for people.
    pub tail: String,
}

/// Runs a command to its end.
///
/// Its input is empty. Its output and error output are one pipe, so that their order is kept, and go line by line
/// to the log (target `tool`). After 20,000 lines or 4 MiB the log leaves out the rest but for the end, and says how
/// much; a line is cut at 8 KiB. Colours are taken out.
///
/// The command's secrets, and what they become in addresses, headers and the like, are taken out of both.
///
/// The run ends when the program itself ends, also if it has left something running that holds the pipe open. What
/// is left is killed: the process group, everything that carries the run's mark in its environment, and in a
/// [sealed](crate::seal_process) process every orphan (on Linux; elsewhere only the group). This also happens when
/// the future is dropped.
pub async fn run(
    command: &Command,
    workspace: &Workspace,
    limits: &Limits,
) -> Result<Finished, ToolError> {
    let host: BTreeMap<_, _> = std::env::vars_os().collect();
    let mut run = Run::new();
    let environment = environment::build(&host, workspace, command, run.mark());
    let secrets = Secrets::new(command.secrets.values().map(|value| value.expose().clone()));
    let started = Instant::now();
    tracing::info!(target: "tool", "$ {command}");
    let (mut child, mut pipe) = start(command, environment, &mut run)?;

    let lost = |source| ToolError::Wait {
        command: command.to_string(),
        source,
    };
    let mut output = Output::new(limits.tail_bytes, secrets);
    let ended = follow(&mut child, &mut pipe, &mut output, &run, started, limits).await;
    let left = kill(run).await;
    if left > 0 {
        tracing::warn!(target: "tool", "killed {left} processes that `{command}` had left running");
    }
    let ended = ended.map_err(lost)?;
    drain(&mut pipe, &mut output).await;
    let duration = started.elapsed();
    let tail = output.finish(log);

    let command = command.to_string();
    match ended {
        Ended::Late => Err(ToolError::Deadline {
            command,
            after: duration,
            tail,
        }),
        Ended::ByItself(status) => match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Finished { duration, tail }),
            (Some(code), _) => Err(ToolError::Exit {
                command,
                code,
                tail,
            }),
            (None, Some(signal)) => Err(ToolError::Signal {
                command,
                signal,
                tail,
            }),
            (None, None) => Err(lost(io::Error::other(format!("it ended as {status}")))),
        },
    }
}

enum Ended {
    ByItself(ExitStatus),
    Late,
}

fn start(
    command: &Command,
    environment: BTreeMap<std::ffi::OsString, std::ffi::OsString>,
    run: &mut Run,
) -> Result<(Child, pipe::Receiver), ToolError> {
    let failed = |source| ToolError::Start {
        command: command.to_string(),
        source,
    };
    if !command.directory.is_dir() {
        let directory = command.directory.clone();
        return Err(ToolError::Directory {
            command: command.to_string(),
            directory,
        });
    }
    let path = environment
        .get(std::ffi::OsStr::new("PATH"))
        .cloned()
        .unwrap_or_default();
    let (reader, writer) = io::pipe().map_err(failed)?;
    let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
    // The command holds our ends for writing; it goes with this block, lest the pipe never ends.
    let child = {
        let mut process = tokio::process::Command::new(&command.program);
        process
            .args(&command.arguments)
            .current_dir(&command.directory)
            .env_clear()
            .envs(environment)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer)
            .kill_on_drop(true);
        run.start(|| {
            process.spawn().map(|child| {
                let pid = child.id();
                (child, pid)
            })
        })
    };
    let child = child.map_err(|source| {
        let is_name = !command.program.to_string_lossy().contains('/');
        let is_absent = if is_name {
            !std::env::split_paths(&path).any(|directory| directory.join(&command.program).exists())
        } else {
            !command.directory.join(&command.program).exists()
        };
        if source.kind() == io::ErrorKind::NotFound && is_absent {
            let program = command.program.to_string_lossy().into_owned();
            ToolError::NotFound {
                program,
                path: path.to_string_lossy().into_owned(),
            }
        } else {
            failed(source)
        }
    })?;
    Ok((child, pipe))
}

/// Reads until the program ends, in time or not.
async fn follow(
    child: &mut Child,
    pipe: &mut pipe::Receiver,
    output: &mut Output,
    run: &Run,
    started: Instant,
    limits: &Limits,
) -> io::Result<Ended> {
    /// A killed process that does not end hangs in the kernel.
    const STUCK: Duration = Duration::from_secs(5);
    enum Phase {
        Running,
        Terminated,
        Killed,
    }
    let grace = limits
        .grace
        .min(limits.deadline.saturating_duration_since(started) / 2);
    let mut phase = Phase::Running;
    let mut alarm = limits
        .deadline
        .checked_sub(grace)
        .unwrap_or(limits.deadline);
    let mut buffer = vec![0; 64 * 1024];
    let mut is_open = true;
    loop {
        tokio::select! {
            read = pipe.read(&mut buffer), if is_open => match read {
                Ok(0) | Err(_) => is_open = false,
                Ok(count) => output.feed(&buffer[..count], log),
            },
            status = child.wait() => {
                return status.map(|status| match phase {
                    Phase::Running => Ended::ByItself(status),
                    Phase::Terminated | Phase::Killed => Ended::Late,
                });
            }
            () = sleep_until(alarm.into()) => match phase {
                Phase::Running => {
                    tracing::warn!(target: "tool", "time is up: sent SIGTERM");
                    run.terminate();
                    (phase, alarm) = (Phase::Terminated, limits.deadline);
                }
                Phase::Terminated => {
                    tracing::warn!(target: "tool", "it goes on after SIGTERM: sent SIGKILL");
                    run.kill_group();
                    (phase, alarm) = (Phase::Killed, Instant::now() + STUCK);
                }
                Phase::Killed => return Err(io::Error::other("it does not end after SIGKILL")),
            },
        }
    }
}

/// Kills what is left, on a thread that may block.
async fn kill(run: Run) -> usize {
    let killed = tokio::task::spawn_blocking(move || {
        let killed = run.kill();
        run.finish();
        killed
    });
    killed.await.unwrap_or(0)
}

/// What the pipe still holds. All who could write to it are dead, or hide so well that they are not waited for.
async fn drain(pipe: &mut pipe::Receiver, output: &mut Output) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let mut buffer = vec![0; 64 * 1024];
    let rest = async {
        while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
            output.feed(&buffer[..count], log);
        }
    };
    if timeout(PATIENCE, rest).await.is_err() {
        tracing::warn!(target: "tool", "something still holds the output open; it is not waited for");
    }
}

fn log(line: &str) {
    tracing::info!(target: "tool", "{line}");
}
