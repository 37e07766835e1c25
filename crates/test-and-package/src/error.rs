//! Why the action failed, and what CodePipeline is told.

use std::io;
use std::path::PathBuf;

use towpath_artifact::{ArtifactError, Content};
use towpath_job::{Failure, JobError, Limit, chain};
use towpath_report::{ReportError, Tests};
use towpath_template::TemplateError;
use towpath_tool::ToolError;
use towpath_tool::installed::InstalledError;
use towpath_tool::task::TaskError;

use crate::parameters::Release;

/// Why the action failed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The job has not what the action needs, or an artifact could not be moved.
    #[error(transparent)]
    Job(#[from] JobError),
    /// No directory for the job.
    #[error("no room for the job: {0}")]
    Workspace(#[source] io::Error),
    /// Code could not be stored in the release bucket.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// `dir` is not in the source.
    #[error("the source has no directory `{}`; {present}", .directory.display())]
    NoDirectory {
        /// As given.
        directory: PathBuf,
        /// What is there instead.
        present: String,
    },
    /// A task is not one of the project's.
    #[error(transparent)]
    Detect(#[from] TaskError),
    /// A task failed.
    #[error("task `{task}` failed: {}{}", tests.as_deref().map(Tests::prelude).unwrap_or_default(), .source.cause())]
    Task {
        /// Its name.
        task: String,
        /// What the reports say that the tasks have written until then.
        tests: Option<Box<Tests>>,
        /// How its program ended; part of the text already.
        source: ToolError,
    },
    /// The tasks passed, and their reports say otherwise, or nothing.
    #[error(transparent)]
    Gate(#[from] ReportError),
    /// The time was up before a task could start.
    #[error("no time was left for task `{task}` after {done}")]
    NoTime {
        /// Its name.
        task: String,
        /// The tasks before it.
        done: String,
    },
    /// The tasks passed, but did not make what the action declares.
    #[error("output artifact `{artifact}` was not produced: there is no `{}`; {present}", .path.display())]
    NotProduced {
        /// The artifact's name.
        artifact: String,
        /// As given.
        path: PathBuf,
        /// What is there instead.
        present: String,
    },
    /// A file is called `.zip`, and is none.
    #[error("output artifact `{artifact}` would be `{}`, which is not a zip archive: it is {content}", .path.display())]
    NotArchive {
        /// The output artifact.
        artifact: String,
        /// The file, as it was asked for.
        path: PathBuf,
        /// What it is instead.
        content: Content,
    },
    /// A link that leads elsewhere.
    #[error("`{}` is a link out of the source tree, to {}", .path.display(), .target.display())]
    Outside {
        /// In the source tree.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// No such template.
    #[error("there is no template `{}`; {present}", .path.display())]
    NoTemplate {
        /// As given.
        path: PathBuf,
        /// What is there instead.
        present: String,
    },
    /// The template cannot be read as one.
    #[error("template `{}` cannot be packaged", .path.display())]
    Template {
        /// As given.
        path: PathBuf,
        /// Why.
        source: TemplateError,
    },
    /// Nested templates that go in a circle.
    #[error("a template is nested in itself: {}", .chain.join(" -> "))]
    NestedInItself {
        /// Each names the next one; the first is repeated at the end.
        chain: Vec<String>,
    },
    /// Local code, and nowhere to put it.
    #[error("there is no release bucket for the template's local code ({})", .code.join(", "))]
    NoReleaseBucket {
        /// Resource, property and path of each.
        code: Vec<String>,
    },
    /// Its package manager would not take out what only development needs.
    #[error("failed to leave the development dependencies of `{}` out: {}", .lock_file.display(), .source.cause())]
    Prune {
        /// Of the manager, in the source tree.
        lock_file: PathBuf,
        /// How its program ended; part of the text already.
        source: ToolError,
    },
    /// Its package manager cannot take it out again.
    #[error("`omit-dev` cannot be done for `{}`: its package manager has to install anew for that", .lock_file.display())]
    DevelopmentStays {
        /// Of the manager, in the source tree.
        lock_file: PathBuf,
        /// What to do.
        instead: &'static str,
    },
    /// The file system failed.
    #[error("failed to {doing} {}", .path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        let message = match &error {
            // Its text has what there is to say of its source, whose own text has all of the output.
            ActionError::Task { .. } | ActionError::Prune { .. } => error.to_string(),
            error => chain(error),
        };
        match error {
            ActionError::Job(error) => error.into(),
            ActionError::Workspace(error) | ActionError::Io { source: error, .. } => {
                let full = matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                );
                let hint = full.then(|| "raise the function's EphemeralStorage".to_owned());
                hinted(Self::job(message), hint)
            }
            ActionError::Store(error) => error.into(),
            ActionError::NoDirectory { .. } => Self::configuration(message)
                .with_hint("`dir` is relative to the root of the source artifact"),
            ActionError::Detect(TaskError::Installed(InstalledError::Portable { .. })) => {
                Self::job(message)
            }
            ActionError::Detect(TaskError::Installed(_)) => Self::configuration(message)
                .with_hint("run install-deps again, in the image that runs this action"),
            ActionError::Detect(_) => Self::configuration(message)
                .with_hint("name one of the project's own tasks, or give `command=…`"),
            ActionError::Task { tests, source, .. } => {
                let message = match tests {
                    Some(tests) => tests.below(&message, LISTING_BESIDE_OUTPUT),
                    None => message,
                };
                let failure = Self::job(message)
                    .with_output(source.tail())
                    .at_limit(source.is_late().then_some(Limit::Time));
                hinted(failure, source.hint())
            }
            ActionError::Prune { source, .. } => {
                hinted(Self::job(message).with_output(source.tail()), source.hint())
            }
            ActionError::DevelopmentStays { instead, .. } => {
                Self::configuration(message).with_hint(instead)
            }
            ActionError::Gate(error) => {
                hinted(Self::job(error.in_full()), error.hint().map(str::to_owned))
            }
            ActionError::NoTime { .. } => Self::job(message).at_limit(Some(Limit::Time)).with_hint(
                "raise the function's Timeout and the action's `timeout`, or divide the tasks \
                     among several actions",
            ),
            ActionError::NotProduced { artifact, .. } => Self::job(message).with_hint(format!(
                "let a task make it, or correct `{artifact}=` in the action's UserParameters; \
                 paths are relative to `dir`"
            )),
            ActionError::NotArchive { .. } => Self::job(message).with_hint(
                "let the task make a zip archive, or give the file another name: it is zipped then",
            ),
            ActionError::Outside { .. } => Self::job(message)
                .with_hint("put the file itself there: nothing outside the source is published"),
            ActionError::NoTemplate { .. } => {
                Self::configuration(message).with_hint("`template` is relative to `dir`")
            }
            ActionError::Template { source, .. } => {
                // Most often it is what the tasks should have made.
                let is_code = matches!(source, TemplateError::LocalCode { .. });
                let hint = is_code.then(|| {
                    "code has to be there when the tasks are done; paths in a template are \
                     relative to it"
                        .to_owned()
                });
                hinted(Self::job(message), hint)
            }
            ActionError::NestedInItself { .. } => Self::configuration(message)
                .with_hint("a nested stack would have itself as a part: name another template"),
            ActionError::NoReleaseBucket { .. } => Self::configuration(message).with_hint(format!(
                "give the function the environment variable {}, or the action `release-bucket=…`",
                Release::VARIABLE
            )),
        }
    }
}

/// How many characters the failures of tests may take, if the end of the tool's output is to follow.
const LISTING_BESIDE_OUTPUT: usize = 2_000;

fn hinted(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use towpath_job::FailureType;

    use super::*;

    #[test]
    fn each_cause_has_its_failure_type_and_a_hint() {
        let exit = |code| ToolError::Exit {
            command: "npm run test".into(),
            code,
            tail: "1 failing\n  greets in German".into(),
        };
        let mut failed = Tests::default();
        let report = b"<testsuite><testcase name='a'/><testcase name='greets in German'>\
            <failure message='expected Hallo'/></testcase></testsuite>";
        failed.read(report, "").unwrap();
        for (error, kind, message, hint) in [
            (
                ActionError::Task {
                    task: "test".into(),
                    tests: None,
                    source: exit(1),
                },
                FailureType::JobFailed,
                "task `test` failed: `npm run test` failed with exit code 1\n1 failing\n  greets in German",
                "",
            ),
            (
                ActionError::Task {
                    task: "test".into(),
                    tests: None,
                    source: exit(137),
                },
                FailureType::JobFailed,
                "task `test` failed: `npm run test` failed with exit code 137",
                "memory",
            ),
            (
                ActionError::Task {
                    task: "test".into(),
                    tests: Some(Box::new(failed.clone())),
                    source: exit(1),
                },
                FailureType::JobFailed,
                "task `test` failed: 1 of 2 tests failed; `npm run test` failed with exit code 1\n- greets in German\n    expected Hallo\n1 failing\n",
                "",
            ),
            (
                ActionError::Gate(ReportError::Failed(Box::new(failed))),
                FailureType::JobFailed,
                "1 of 2 tests failed, though every task ended with exit code 0\n- greets in German\n    expected Hallo",
                "",
            ),
            (
                ActionError::Gate(ReportError::Stale {
                    file: "r/a.xml".into(),
                }),
                FailureType::JobFailed,
                "`r/a.xml` was there before the tasks ran",
                "hint: let a task write it",
            ),
            (
                ActionError::NotProduced {
                    artifact: "Site".into(),
                    path: "dist/site.zip".into(),
                    present: "in `dist` is index.html".into(),
                },
                FailureType::JobFailed,
                "output artifact `Site` was not produced: there is no `dist/site.zip`; in `dist` is index.html",
                "correct `Site=`",
            ),
            (
                ActionError::NoReleaseBucket {
                    code: vec!["Hello.CodeUri: dist".into()],
                },
                FailureType::ConfigurationError,
                "there is no release bucket for the template's local code (Hello.CodeUri: dist)",
                "RELEASE_BUCKET",
            ),
            (
                ActionError::Workspace(io::ErrorKind::StorageFull.into()),
                FailureType::JobFailed,
                "no room for the job: no storage space",
                "EphemeralStorage",
            ),
            (
                ActionError::NoTime {
                    task: "package".into(),
                    done: "test (800.0 s)".into(),
                },
                FailureType::JobFailed,
                "no time was left for task `package` after test (800.0 s)",
                "Timeout",
            ),
            (
                TaskError::Empty.into(),
                FailureType::ConfigurationError,
                "the task has no name",
                "command=",
            ),
            (
                JobError::NoArtifacts { direction: "input" }.into(),
                FailureType::ConfigurationError,
                "the action has no input artifact",
                "InputArtifacts",
            ),
        ] {
            let failure = Failure::from(error);
            assert_eq!(failure.kind, kind, "{failure:?}");
            assert!(
                failure.render().starts_with(message),
                "{}",
                failure.render()
            );
            assert!(failure.render().contains(hint), "{}", failure.render());
        }
    }
}
