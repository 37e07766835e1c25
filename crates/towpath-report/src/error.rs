//! Why a gate stays closed, in words for the person who reads the failure.

use std::io;

use crate::coverage::{Minimum, Share};
use crate::tested::Tests;

/// Why a gate stays closed.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Tests failed, whatever the task's exit code was.
    #[error("{}", .0.failed_sentence())]
    Failed(Box<Tests>),
    /// There are reports, and no test in them.
    #[error("no test ran: {found}")]
    NoTest {
        /// What is in them, as a phrase.
        found: String,
    },
    /// Not enough of the code ran.
    #[error("{measured} of the lines are covered ({} of {}), and {minimum} is the least", measured.covered, measured.total)]
    Uncovered {
        /// What was measured.
        measured: Share,
        /// What was asked for.
        minimum: Minimum,
    },
    /// There is a coverage report, and no line of code in it.
    #[error("no line was measured: {files} has none in it")]
    NoLine {
        /// The files, as a phrase.
        files: String,
    },
    /// The tasks have written no such file.
    #[error("the tasks wrote no file that `{key}={pattern}` matches; {present}")]
    Absent {
        /// The parameter.
        key: &'static str,
        /// As given.
        pattern: String,
        /// What is there instead.
        present: String,
    },
    /// There is one, and it is from before.
    #[error("`{file}` was there before the tasks ran, and they did not write it anew")]
    Stale {
        /// The file.
        file: String,
    },
    /// A pattern matches more than reports.
    #[error("`{key}={pattern}` matches more than {limit} files")]
    TooMany {
        /// The parameter.
        key: &'static str,
        /// As given.
        pattern: String,
        /// What is read.
        limit: usize,
    },
    /// A file that is no report.
    #[error("`{file}` is not {expected}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A report that leads elsewhere.
    #[error("`{file}` is a link out of the source tree")]
    Outside {
        /// The file.
        file: String,
    },
    /// The file system failed.
    #[error("failed to read `{file}`: {source}")]
    Io {
        /// The file or directory.
        file: String,
        /// Why; part of the text already.
        source: io::Error,
    },
}

/// How many characters the failures of tests may take: a message has 5,000 in all.
const LISTING: usize = 4_000;

impl ReportError {
    /// The text, with the failures by name where that is what it is about.
    pub fn in_full(&self) -> String {
        match self {
            Self::Failed(tests) => {
                let message = format!("{self}, though every task ended with exit code 0");
                tests.below(&message, LISTING)
            }
            error => error.to_string(),
        }
    }

    /// What to do about it, where that can be told.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Failed(_) => return None,
            Self::NoTest { .. } => {
                "check that the task selects the tests that it should: a filter or a path that matches nothing passes in \
                 most test runners"
            }
            Self::Uncovered { .. } => "cover more, or lower `min-coverage` on purpose",
            Self::NoLine { .. } => "check what the coverage tool is told to include",
            Self::Absent { .. } => {
                "let a task write the report there; patterns are relative to `dir`, and `**` stands for any folders"
            }
            Self::Stale { .. } => {
                "let a task write it, and keep reports out of the repository: one that was committed says nothing of this run"
            }
            Self::TooMany { .. } | Self::Unreadable { .. } => "let the pattern match reports only",
            Self::Outside { .. } => "let the task write the file itself there",
            Self::Io { .. } => return None,
        })
    }
}
