//! What is known of an execution: statuses, attempts, jobs, artifacts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::definition::{Action, Definition, Provider};
use crate::{ActionExecutionId, ApprovalToken, ExecutionId, JobId, Time};

macro_rules! status {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// As the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant)),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

status! {
    /// How an execution stands.
    ExecutionStatus {
        /// It runs, or waits between stages.
        InProgress,
        /// It was stopped, and running actions are awaited.
        Stopping,
        /// Every stage succeeded.
        Succeeded,
        /// A stage failed.
        Failed,
        /// It was stopped.
        Stopped,
        /// A newer execution took its place between stages.
        Superseded,
        /// The pipeline's structure changed under it.
        Cancelled,
    }
}

status! {
    /// How an execution stands in a stage that it has entered.
    StageStatus {
        /// Actions run.
        InProgress,
        /// Stopped, and running actions are awaited.
        Stopping,
        /// Every action succeeded.
        Succeeded,
        /// An action failed.
        Failed,
        /// Stopped before every action had succeeded.
        Stopped,
        /// The pipeline's structure changed.
        Cancelled,
    }
}

status! {
    /// How an attempt at an action stands.
    ActionStatus {
        /// It runs.
        InProgress,
        /// It succeeded.
        Succeeded,
        /// It failed.
        Failed,
        /// It was left to itself when its execution was stopped.
        Abandoned,
    }
}

status! {
    /// How a job stands.
    JobStatus {
        /// The function has it.
        InProgress,
        /// Success was reported, with or without a continuation token.
        Succeeded,
        /// Failure was reported, or the job was abandoned.
        Failed,
        /// Nothing was reported in time.
        TimedOut,
    }
}

impl ExecutionStatus {
    /// Whether it is the last one.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::InProgress | Self::Stopping)
    }
}

impl ActionStatus {
    /// Whether it is the last one.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::InProgress)
    }
}

/// An artifact and the place it was given, before anything is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// As the definition names it.
    pub name: String,
    /// The artifact store's bucket.
    pub bucket: String,
    /// `pipelineName[..20]/artifactName[..10]/` and seven letters or digits.
    pub key: String,
    /// Of a source artifact: the commit or version. `None` for any other.
    pub revision: Option<String>,
}

/// What a source action, or a report, says about a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// A commit id, a version id.
    pub id: String,
    /// The change's own id, of a report.
    pub change: Option<String>,
    /// A commit message.
    pub summary: Option<String>,
    /// When it was made.
    pub created: Option<Time>,
    /// Where it can be looked at.
    pub url: Option<String>,
}

/// A revision to take instead of the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOverride {
    /// `COMMIT_ID`, `S3_OBJECT_VERSION_ID`, …
    pub kind: String,
    /// The revision.
    pub value: String,
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `JobFailed`, `ConfigurationError`, `PermissionError`, …
    pub code: String,
    /// For people.
    pub message: String,
    /// The id of the work in another system.
    pub external_execution_id: Option<String>,
}

impl Failure {
    /// A failure of that code.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            external_execution_id: None,
        }
    }
}

/// Who or what started an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// `StartPipelineExecution`, …
    pub kind: String,
    /// The caller's ARN, …
    pub detail: String,
}

/// How an execution was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Running actions were left to themselves.
    pub abandon: bool,
    /// As given.
    pub reason: Option<String>,
}

/// One execution.
#[derive(Debug, Clone)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// The definition it follows to its end.
    pub definition: Arc<Definition>,
    /// That definition's version.
    pub version: u32,
    /// How it stands.
    pub status: ExecutionStatus,
    /// Why it stands so, where the status alone does not say.
    pub summary: Option<String>,
    /// When it started.
    pub started: Time,
    /// When anything last happened to it.
    pub updated: Time,
    /// Who or what started it.
    pub trigger: Trigger,
    /// How it was stopped.
    pub stop: Option<Stop>,
    /// The pipeline's variables as this execution resolved them.
    pub variables: BTreeMap<String, String>,
    /// The stages, those not entered included.
    pub stages: Vec<StageRun>,
    /// Every attempt at every action, in order of their start.
    pub log: Vec<ActionRun>,
    pub(super) sources: BTreeMap<String, SourceOverride>,
    pub(super) artifacts: BTreeMap<String, Artifact>,
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) position: Position,
}

impl Execution {
    /// The action's role, else the pipeline's.
    pub(super) fn role(&self, action: &Action) -> String {
        action
            .role_arn
            .clone()
            .unwrap_or_else(|| self.definition.role_arn.clone())
    }

    /// The stage that it is in.
    pub fn stage(&self) -> Option<usize> {
        match self.position {
            Position::In(stage) => Some(stage),
            Position::Waiting(_) | Position::Ended => None,
        }
    }

    /// The stage that it waits to enter.
    pub fn waiting_for(&self) -> Option<usize> {
        match self.position {
            Position::Waiting(stage) => Some(stage),
            Position::In(_) | Position::Ended => None,
        }
    }

    /// The last attempts at the actions of a stage, in the order of the definition.
    pub fn current<'a>(
        &'a self,
        stage: &'a StageRun,
    ) -> impl Iterator<Item = Option<&'a ActionRun>> {
        stage.runs.iter().map(|run| run.map(|run| &self.log[run]))
    }

    /// The revisions of its sources: the attempt, the artifact it made, the revision.
    pub fn revisions(&self) -> impl Iterator<Item = (&ActionRun, &Artifact, &Revision)> {
        self.log.iter().filter_map(|run| {
            let provider = self.definition.stages[run.stage].actions[run.action].provider;
            let source = matches!(provider, Provider::Connection | Provider::S3Source);
            let succeeded = run.status == ActionStatus::Succeeded;
            match (&run.revision, run.outputs.first()) {
                (Some(revision), Some(artifact)) if source && succeeded => {
                    Some((run, artifact, revision))
                }
                _ => None,
            }
        })
    }
}

/// Where an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Waiting(usize),
    In(usize),
    Ended,
}

/// How an execution stands in one stage.
#[derive(Debug, Clone, Default)]
pub struct StageRun {
    /// `None` before it is entered.
    pub status: Option<StageStatus>,
    /// Retries that the stage's `onFailure` asked for.
    pub automatic_retries: u32,
    /// Retries that people asked for.
    pub manual_retries: u32,
    /// The last attempt at each action: its place in the execution's log.
    pub(super) runs: Vec<Option<usize>>,
}

/// One attempt at an action.
#[derive(Debug, Clone)]
pub struct ActionRun {
    /// Its id.
    pub id: ActionExecutionId,
    /// The place of its stage in the definition.
    pub stage: usize,
    /// The place of its action in the stage.
    pub action: usize,
    /// How it stands.
    pub status: ActionStatus,
    /// When it started.
    pub started: Time,
    /// When anything last happened to it.
    pub updated: Time,
    /// Who last changed it: the ARN of an approver.
    pub updated_by: Option<String>,
    /// Its configuration, variables resolved.
    pub configuration: BTreeMap<String, String>,
    /// Input artifacts.
    pub inputs: Vec<Artifact>,
    /// Output artifacts, there or yet to come.
    pub outputs: Vec<Artifact>,
    /// The jobs handed out for it, in order.
    pub jobs: Vec<Job>,
    /// Output variables.
    pub variables: BTreeMap<String, String>,
    /// As last reported.
    pub summary: Option<String>,
    /// As last reported.
    pub percent_complete: Option<u8>,
    /// As last reported; of an approval in `PARALLEL` mode, its token.
    pub external_execution_id: Option<String>,
    /// The revision fetched, or reported.
    pub revision: Option<Revision>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// What an approval waits for.
    pub approval: Option<Approval>,
    pub(super) phase: Phase,
    pub(super) deadline: Time,
}

/// A job: one invocation of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it carries on.
    pub continuation: Option<String>,
    /// How it stands.
    pub status: JobStatus,
    /// When it was handed out.
    pub created: Time,
}

/// An approval that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What an answer must present.
    pub token: ApprovalToken,
    /// When it counts as rejected.
    pub expires: Time,
    /// Whether it was answered.
    pub answered: bool,
}

/// What an attempt waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// The source.
    Fetching,
    /// A report on its last job.
    Replying { by: Time },
    /// The interval before its next job.
    Resting { until: Time, token: String },
    /// A person.
    Deciding,
    /// Nothing any more.
    Ended,
}

impl ActionRun {
    /// When something is to happen to it by itself.
    pub(super) fn timer(&self) -> Option<Time> {
        match &self.phase {
            Phase::Fetching | Phase::Deciding => Some(self.deadline),
            Phase::Replying { by } => Some((*by).min(self.deadline)),
            Phase::Resting { until, .. } => Some((*until).min(self.deadline)),
            Phase::Ended => None,
        }
    }
}
