//! Why a tool did not succeed, in words for the person who reads the failure.

use std::{io, path::PathBuf, time::Duration};

/// Why [`run`](crate::run) did not succeed. The text starts with the cause and ends with the end of the tool's output.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The program is not there.
    #[error("`{program}` was not found on the search path {path}")]
    NotFound {
        /// What was looked for.
        program: String,
        /// The `PATH` of the child.
        path: String,
    },
    /// The directory to start in is not there.
    #[error("`{command}` cannot start in `{directory}`: there is no such directory")]
    Directory {
        /// The command as one would type it.
        command: String,
        /// The directory that does not exist.
        directory: PathBuf,
    },
    /// The system refused to start the program.
    #[error("failed to start `{command}`: {}", start_reason(source))]
    Start {
        /// The command as one would type it.
        command: String,
        /// What the system said; part of the text already.
        source: io::Error,
    },
    /// The system failed while the program ran; the program has been killed.
    #[error("lost track of `{command}`: {source}")]
    Wait {
        /// The command as one would type it.
        command: String,
        /// What the system said; part of the text already.
        source: io::Error,
    },
    /// It ended with an exit code other than 0.
    #[error("`{command}` failed with exit code {code}{}", end_of_output(tail))]
    Exit {
        /// The command as one would type it.
        command: String,
        /// 1 to 255.
        code: i32,
        /// The end of its output.
        tail: String,
    },
    /// It was ended by a signal that Towpath did not send.
    #[error("`{command}` was killed by {}{}", signal_name(*signal), end_of_output(tail))]
    Signal {
        /// The command as one would type it.
        command: String,
        /// The number of the signal, as on this system.
        signal: i32,
        /// The end of its output.
        tail: String,
    },
    /// It was still running when its time was up, and has been killed.
    #[error("`{command}` did not end within {} and was stopped{}", seconds(*after), end_of_output(tail))]
    Deadline {
        /// The command as one would type it.
        command: String,
        /// The time from its start to its end.
        after: Duration,
        /// The end of its output.
        tail: String,
    },
}

impl ToolError {
    /// The end of the tool's output; empty if it never ran or printed nothing.
    pub fn tail(&self) -> &str {
        match self {
            Self::NotFound { .. }
            | Self::Directory { .. }
            | Self::Start { .. }
            | Self::Wait { .. } => "",
            Self::Exit { tail, .. } | Self::Signal { tail, .. } | Self::Deadline { tail, .. } => {
                tail
            }
        }
    }

    /// Whether more time is what was missing.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Deadline { .. })
    }

    /// The first line of the text: the cause without the output.
    pub fn cause(&self) -> String {
        let text = self.to_string();
        let end = text.len() - end_of_output(self.tail()).len();
        text[..end].to_owned()
    }

    /// What to do about it, where that can be told.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotFound { program, .. } => {
                return Some(format!(
                    "install `{program}` in the function's image (or on this machine), or name another runner"
                ));
            }
            Self::Directory { .. } => {
                "check the `dir` parameter and that the source artifact holds that folder"
            }
            Self::Start { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "make the file executable (`git update-index --chmod=+x`)"
                }
                io::ErrorKind::NotFound => "the program's interpreter (its `#!` line) is missing",
                _ => return None,
            },
            Self::Wait { .. } => return None,
            Self::Deadline { .. } => {
                "raise the function's or the action's `timeout`, or look for a server or a watcher that never ends"
            }
            Self::Exit { code, tail, .. } => {
                return from_output(tail)
                    .or_else(|| from_code(*code))
                    .map(Into::into);
            }
            Self::Signal { signal, tail, .. } => {
                return from_output(tail)
                    .or_else(|| from_signal(*signal))
                    .map(Into::into);
            }
        };
        Some(hint.to_owned())
    }
}

const MEMORY: &str =
    "SIGKILL that nobody sent is nearly always memory: raise the function's memory size";

fn from_signal(signal: i32) -> Option<&'static str> {
    (signal == SIGKILL).then_some(MEMORY)
}

/// A shell reports the death of its child by signal N as exit code 128 + N.
fn from_code(code: i32) -> Option<&'static str> {
    match code {
        126 => Some("exit code 126 from a shell: the file is there but is not executable"),
        127 => Some(
            "exit code 127 from a shell: a command was not found; is it installed in the function's image?",
        ),
        137 => Some(
            "exit code 137 is SIGKILL within the tool, nearly always memory: raise the function's memory size",
        ),
        139 => Some("exit code 139 is a segmentation fault within the tool"),
        _ => None,
    }
}

fn from_output(tail: &str) -> Option<&'static str> {
    let signs = [
        (
            "ENOSPC",
            "the disk is full: raise the function's ephemeral storage",
        ),
        (
            "No space left on device",
            "the disk is full: raise the function's ephemeral storage",
        ),
        (
            "EROFS",
            "only the temporary directory can be written to in Lambda: write below $TMPDIR, $HOME or the source tree",
        ),
        (
            "Read-only file system",
            "only the temporary directory can be written to in Lambda: write below $TMPDIR, $HOME or the source tree",
        ),
        (
            "heap out of memory",
            "node ran out of heap: raise the function's memory size, or set NODE_OPTIONS=--max-old-space-size",
        ),
        (
            "MemoryError",
            "python ran out of memory: raise the function's memory size",
        ),
        (
            "EAI_AGAIN",
            "a host name could not be resolved: has the function a way to the internet, or a registry of its own?",
        ),
        (
            "ENOTFOUND",
            "a host name could not be resolved: has the function a way to the internet, or a registry of its own?",
        ),
    ];
    signs
        .iter()
        .find(|(sign, _)| tail.contains(sign))
        .map(|(_, hint)| *hint)
}

fn start_reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        // 8 is ENOEXEC on every Unix.
        Some(8) => "it is neither a program of this machine's kind nor a script with a `#!` line"
            .to_owned(),
        _ => error.to_string(),
    }
}

fn end_of_output(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!("; its output ends with:\n{tail}")
    }
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} s", duration.as_secs())
    }
}

const SIGKILL: i32 = 9; // the same on every Unix

fn signal_name(signal: i32) -> String {
    use rustix::process::Signal;
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    names
        .iter()
        .find(|(known, _)| known.as_raw() == signal)
        .map_or_else(
            || format!("signal {signal}"),
            |(_, name)| format!("{name} (signal {signal})"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32, tail: &str) -> ToolError {
        ToolError::Exit {
            command: "npm test".into(),
            code,
            tail: tail.into(),
        }
    }

    #[test]
    fn the_text_starts_with_the_cause_and_ends_with_the_output() {
        let signal = ToolError::Signal {
            command: "npm test".into(),
            signal: 9,
            tail: String::new(),
        };
        let deadline = ToolError::Deadline {
            command: "npm test".into(),
            after: Duration::from_millis(1500),
            tail: "x".into(),
        };
        for (error, expected) in [
            (
                exit(1, "1 failing"),
                "`npm test` failed with exit code 1; its output ends with:\n1 failing",
            ),
            (exit(2, ""), "`npm test` failed with exit code 2"),
            (signal, "`npm test` was killed by SIGKILL (signal 9)"),
            (
                deadline,
                "`npm test` did not end within 1.5 s and was stopped; its output ends with:\nx",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
            assert!(expected.starts_with(&error.cause()), "{}", error.cause());
            assert!(!error.cause().contains('\n'));
        }
    }

    #[test]
    fn the_hint_comes_from_the_output_before_the_code() {
        for (error, expected) in [
            (exit(1, "npm error code ENOSPC"), Some("disk is full")),
            (exit(137, ""), Some("memory")),
            (exit(127, "sh: 1: vitest: not found"), Some("not found")),
            (exit(1, "1 failing"), None),
            (
                ToolError::Signal {
                    command: "x".into(),
                    signal: 9,
                    tail: String::new(),
                },
                Some("memory"),
            ),
            (
                ToolError::Signal {
                    command: "x".into(),
                    signal: 15,
                    tail: String::new(),
                },
                None,
            ),
        ] {
            let hint = error.hint();
            match expected {
                Some(part) => assert!(
                    hint.as_deref().is_some_and(|hint| hint.contains(part)),
                    "{error}: {hint:?}"
                ),
                None => assert_eq!(hint, None, "{error}"),
            }
        }
    }
}
