//! Why the end-to-end tests did not pass, and how that is told to CodePipeline.

use std::io;
use std::path::{Path, PathBuf};

use towpath_job::{Failure, FailureType, JobError, Limit, chain};
use towpath_report::{ReportError, Tests};
use towpath_stack::{Fault, StackError};
use towpath_tool::ToolError;
use towpath_tool::task::TaskError;

/// Why the action failed.
#[derive(Debug, thiserror::Error)]
pub enum E2eError {
    /// The job has not what the action needs, or an artifact could not be moved.
    #[error(transparent)]
    Job(#[from] JobError),
    /// No directory for the job.
    #[error("no room for the job: {0}")]
    Workspace(io::Error),
    /// There is nothing to test.
    #[error("there is no stack `{stack}`{}", region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default())]
    NoStack {
        /// Its name.
        stack: String,
        /// Where it was looked for.
        region: Option<String>,
    },
    /// The stack is there, but what it describes is not.
    #[error("stack `{stack}` is in {status}: there is nothing deployed to test")]
    NotDeployed {
        /// Its name.
        stack: String,
        /// AWS's word for how it is.
        status: &'static str,
    },
    /// The stack could not be looked at.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The role to look at the stack with could not be assumed.
    #[error("failed to assume role {role}: {cause}")]
    Role {
        /// Its ARN.
        role: String,
        /// What STS said.
        cause: String,
    },
    /// `dir` is not in the source.
    #[error("the source has no directory `{}`", .0.display())]
    NoDirectory(PathBuf),
    /// It is not clear what is to be run.
    #[error("{0}")]
    Task(String),
    /// The tests failed, or could not be run.
    #[error("{}{}", tests.as_deref().map(Tests::prelude).unwrap_or_default(), .source.cause())]
    Tool {
        /// What their report says, where there is one.
        tests: Option<Box<Tests>>,
        /// How their program ended; part of the text already.
        source: ToolError,
    },
    /// The tests ended well, and their report says otherwise, or nothing.
    #[error(transparent)]
    Gate(#[from] ReportError),
    /// The tests passed, and left no report.
    #[error("the tests left no report at `{path}` for output artifact `{output}`")]
    NoReport {
        /// Where it should be.
        path: String,
        /// What it was to become.
        output: String,
    },
}

impl E2eError {
    /// A task that cannot be run, said without the name of the job's directory, which is gone when
    /// somebody reads it.
    pub(crate) fn task(error: &TaskError, tree: &Path) -> Self {
        let mut text = error.to_string();
        for tree in [tree.canonicalize().ok(), Some(tree.to_owned())]
            .into_iter()
            .flatten()
        {
            let tree = tree.display().to_string();
            text = text.replace(&format!("{tree}/"), "").replace(&tree, ".");
        }
        Self::Task(text)
    }
}

impl From<E2eError> for Failure {
    fn from(error: E2eError) -> Self {
        let message = match &error {
            // Its text has what there is to say of its source, whose own text has all of the output.
            E2eError::Tool { .. } => error.to_string(),
            error => chain(error),
        };
        match error {
            E2eError::Job(error) => error.into(),
            E2eError::Workspace(error) => {
                let failure = Self::job(message);
                match error.kind() {
                    io::ErrorKind::StorageFull => failure
                        .at_limit(Some(Limit::Disk))
                        .with_hint("raise the function's EphemeralStorage"),
                    _ => failure,
                }
            }
            E2eError::NoStack { .. } => Self::configuration(message)
                .with_hint("check `stack=` and `region=`, and that the stack is deployed by an earlier action"),
            E2eError::NotDeployed { .. } => Self::configuration(message).with_hint(
                "let an earlier action deploy the stack and wait for it, then retry the stage",
            ),
            E2eError::Stack(error) => {
                let failure = Self::new(kind_of_fault(error.fault()), message);
                match error.fault() {
                    Fault::Denied => failure.with_hint(
                        "allow cloudformation:DescribeStacks on the stack in the role of the run-e2e function (in CodeBuild, of the build project), or name a role that may with `stack-role=`",
                    ),
                    Fault::Throttled | Fault::Unavailable => failure.with_hint("retry the stage"),
                    Fault::Refused => failure,
                }
            }
            E2eError::Role { .. } => Self::permission(message).with_hint(
                "the role must trust the role of the run-e2e function (in CodeBuild, of the build project), and that must be allowed sts:AssumeRole on it",
            ),
            E2eError::NoDirectory(_) => {
                Self::configuration(message).with_hint("check `dir=`")
            }
            E2eError::Task(_) => Self::configuration(message).with_hint(
                "name one of the project's own tasks with `task=`, or a shell command with `command=`",
            ),
            E2eError::Tool { tests, source } => {
                // Half of the 5,000 characters is for the end of the output.
                let message = match tests {
                    Some(tests) => tests.below(&message, 2_000),
                    None => message,
                };
                let failure = Self::new(kind_of_tool(&source), message)
                    .with_output(source.tail())
                    .at_limit(source.is_late().then_some(Limit::Time));
                with_hint(failure, source.hint())
            }
            E2eError::Gate(error) => {
                with_hint(Self::job(error.in_full()), error.hint().map(str::to_owned))
            }
            E2eError::NoReport { .. } => Self::job(message)
                .with_hint("check `report=`, which is relative to `dir=`, and that the tests write it"),
        }
    }
}

fn with_hint(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

fn kind_of_fault(fault: Fault) -> FailureType {
    match fault {
        Fault::Denied => FailureType::PermissionError,
        Fault::Refused => FailureType::ConfigurationError,
        Fault::Throttled | Fault::Unavailable => FailureType::SystemUnavailable,
    }
}

/// A missing program is a matter of the function's image, the rest is the project's.
fn kind_of_tool(error: &ToolError) -> FailureType {
    match error {
        ToolError::NotFound { .. } => FailureType::ConfigurationError,
        ToolError::Directory { .. }
        | ToolError::Start { .. }
        | ToolError::Wait { .. }
        | ToolError::Exit { .. }
        | ToolError::Signal { .. }
        | ToolError::Deadline { .. } => FailureType::JobFailed,
    }
}
