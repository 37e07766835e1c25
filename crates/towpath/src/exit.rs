//! How the program ends: its exit codes, and the error that precedes them.

use std::process::ExitCode;

/// The exit codes, as the README documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Succeeded,
    /// The pipeline failed.
    Failed,
    /// What was compared is not the same.
    Different,
    /// The command line, the source or the template is wrong: nothing was run.
    Usage,
    /// The execution was stopped, or a person rejected it.
    Stopped,
    /// An approval is waited for that nobody can give.
    Unattended,
    /// Interrupted by Ctrl-C or SIGTERM.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed | Self::Different => 1,
            Self::Usage => 2,
            Self::Stopped => 3,
            Self::Unattended => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error with the code that it ends the program with.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

/// Without more knowledge an error is a failure, not a usage error.
impl<E: Into<anyhow::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        Self {
            exit: Exit::Failed,
            error: error.into(),
        }
    }
}

/// Gives an error the exit code 2.
pub(crate) trait Usage<T> {
    /// The command line, the source or the template is to blame.
    fn usage(self) -> Result<T, Error>;
}

impl<T, E: Into<anyhow::Error>> Usage<T> for Result<T, E> {
    fn usage(self) -> Result<T, Error> {
        self.map_err(|error| Error {
            exit: Exit::Usage,
            error: error.into(),
        })
    }
}

/// Says an error on stderr, with its causes.
pub(crate) fn complain(error: &anyhow::Error, exit: Exit) -> ExitCode {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    anstream::eprintln!(
        "{} {text}",
        crate::run::progress::style("error:", crate::run::progress::Tone::Bad)
    );
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn every_ending_has_its_documented_code() {
        for (exit, code) in [
            (Exit::Succeeded, 0),
            (Exit::Failed, 1),
            (Exit::Different, 1),
            (Exit::Usage, 2),
            (Exit::Stopped, 3),
            (Exit::Unattended, 5),
            (Exit::Interrupted, 130),
        ] {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
