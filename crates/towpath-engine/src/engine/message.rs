//! What goes into the engine and what comes out of it.

use std::collections::BTreeMap;

use super::state::{
    ActionStatus, Artifact, ExecutionStatus, Failure, JobStatus, Revision, SourceOverride, Trigger,
};
use super::transition::TransitionEnd;
use crate::definition::{Action, Definition, RetryMode};
use crate::{ActionExecutionId, ApprovalToken, ExecutionId, JobId, Time};

/// What happens to a pipeline.
#[derive(Debug, Clone)]
pub enum Input {
    /// Someone starts an execution.
    Start(StartExecution),
    /// A source action has its artifact in place.
    SourceFetched(SourceFetched),
    /// What the driver was to do for an action cannot be done: fetch its source, publish its notification.
    ActionFailed {
        /// Which attempt.
        action_execution: ActionExecutionId,
        /// Why.
        failure: Failure,
    },
    /// A function reports success, or progress.
    JobSucceeded {
        /// Which job.
        job: JobId,
        /// The report.
        report: JobSuccess,
    },
    /// A function reports failure, or could not be invoked.
    JobFailed {
        /// Which job.
        job: JobId,
        /// Why.
        failure: Failure,
    },
    /// Someone answers a manual approval.
    Answer(ApprovalAnswer),
    /// Someone stops an execution.
    Stop {
        /// Which.
        execution: ExecutionId,
        /// Leave running actions to themselves, rather than wait for them.
        abandon: bool,
        /// Shown with the execution.
        reason: Option<String>,
    },
    /// Someone retries a stage.
    Retry(RetryRequest),
    /// Someone disables or enables a link between stages.
    ChangeTransition(TransitionChange),
    /// Time has passed. Harmless at any moment.
    Tick,
    /// The definition is replaced; executions that run are cancelled.
    Update(Box<Definition>),
    /// The pipeline goes away; executions that run are cancelled.
    Delete,
}

/// The start of an execution.
#[derive(Debug, Clone)]
pub struct StartExecution {
    /// Its id, from outside.
    pub execution: ExecutionId,
    /// Values for the pipeline's variables.
    pub variables: BTreeMap<String, String>,
    /// Revisions to take instead of the newest, by source action.
    pub sources: BTreeMap<String, SourceOverride>,
    /// Who or what started it.
    pub trigger: Trigger,
}

/// The result of a source action.
#[derive(Debug, Clone)]
pub struct SourceFetched {
    /// Which attempt.
    pub action_execution: ActionExecutionId,
    /// What was fetched.
    pub revision: Revision,
    /// Output variables.
    pub variables: BTreeMap<String, String>,
}

/// A function's report of success.
#[derive(Debug, Clone, Default)]
pub struct JobSuccess {
    /// With a token the action goes on in a new job.
    pub continuation: Option<String>,
    /// Output variables; none with a token.
    pub variables: BTreeMap<String, String>,
    /// Shown with the action.
    pub summary: Option<String>,
    /// Shown with the action.
    pub percent_complete: Option<u8>,
    /// The id of the work in another system.
    pub external_execution_id: Option<String>,
    /// The revision that the action worked on.
    pub revision: Option<Revision>,
}

/// An answer to a manual approval.
#[derive(Debug, Clone)]
pub struct ApprovalAnswer {
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// From the request.
    pub token: ApprovalToken,
    /// Approved or rejected.
    pub approved: bool,
    /// Why.
    pub summary: String,
    /// Who.
    pub by: Option<String>,
}

/// A manual retry.
#[derive(Debug, Clone)]
pub struct RetryRequest {
    /// Which execution.
    pub execution: ExecutionId,
    /// The stage's name.
    pub stage: String,
    /// Which actions.
    pub mode: RetryMode,
}

/// One end of a link between stages, disabled or enabled.
#[derive(Debug, Clone)]
pub struct TransitionChange {
    /// The stage's name.
    pub stage: String,
    /// Which end.
    pub end: TransitionEnd,
    /// Why it is disabled. `None` enables it.
    pub disabled: Option<String>,
    /// Who wants it.
    pub by: Option<String>,
}

/// What is to be done in the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hand a job to a function. An answer comes as `JobSucceeded` or `JobFailed`, or not at all.
    InvokeFunction(Box<Invocation>),
    /// Bring a source into the artifact store. The answer is `SourceFetched` or `ActionFailed`.
    FetchSource(Box<Fetch>),
    /// Tell people that an approval waits.
    RequestApproval(Box<ApprovalRequest>),
    /// Deliver a `Tick` at that time, instead of any set before.
    SetTimer {
        /// When.
        at: Time,
    },
    /// An action reached its terminal status.
    ActionEnded {
        /// Whose.
        execution: ExecutionId,
        /// Which attempt.
        action_execution: ActionExecutionId,
        /// Which status.
        status: ActionStatus,
    },
    /// An execution reached its terminal status.
    ExecutionEnded {
        /// Which.
        execution: ExecutionId,
        /// Which status.
        status: ExecutionStatus,
    },
}

/// A job for a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// New with every invocation.
    pub job: JobId,
    /// Its execution.
    pub execution: ExecutionId,
    /// Its attempt.
    pub action_execution: ActionExecutionId,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The action's role, else the pipeline's.
    pub role_arn: String,
    /// The action's own region.
    pub region: Option<String>,
    /// `FunctionName` and `UserParameters`, variables resolved.
    pub configuration: BTreeMap<String, String>,
    /// Input artifacts.
    pub inputs: Vec<Artifact>,
    /// Where the function is to put its artifacts.
    pub outputs: Vec<Artifact>,
    /// What the job before this one asked to be handed on.
    pub continuation: Option<String>,
    /// The artifact store's customer managed key.
    pub encryption_key: Option<String>,
}

/// A source to fetch.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// Its execution.
    pub execution: ExecutionId,
    /// Its attempt.
    pub action_execution: ActionExecutionId,
    /// The stage's name.
    pub stage: String,
    /// The action, as declared.
    pub action: Action,
    /// The action's role, else the pipeline's.
    pub role_arn: String,
    /// The action's configuration, variables resolved.
    pub configuration: BTreeMap<String, String>,
    /// Where to put it.
    pub output: Artifact,
    /// A revision to take instead of the newest.
    pub revision: Option<SourceOverride>,
}

/// An approval that waits for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRequest {
    /// Its execution.
    pub execution: ExecutionId,
    /// Its attempt.
    pub action_execution: ActionExecutionId,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The action's role, else the pipeline's.
    pub role_arn: String,
    /// What the answer must present.
    pub token: ApprovalToken,
    /// When it counts as rejected.
    pub expires: Time,
    /// `NotificationArn`, `ExternalEntityLink`, `CustomData`, variables resolved.
    pub configuration: BTreeMap<String, String>,
}

/// Why an input is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The execution id was used before.
    #[error("execution {0} exists already")]
    ExecutionExists(ExecutionId),
    /// Too many executions at once.
    #[error("the pipeline has {0} executions in progress, which is the limit")]
    TooManyExecutions(usize),
    /// A variable without default was given no value.
    #[error("pipeline variable `{0}` has no default value and was given none")]
    MissingVariable(String),
    /// A value for a variable that is not declared.
    #[error("the pipeline declares no variable `{0}`")]
    UnknownVariable(String),
    /// A revision for a source action that does not exist.
    #[error("the pipeline has no source action `{0}`")]
    UnknownSource(String),
    /// No such execution.
    #[error("execution {0} does not exist in this pipeline")]
    ExecutionNotFound(ExecutionId),
    /// No such stage.
    #[error("stage `{0}` does not exist in this pipeline")]
    StageNotFound(String),
    /// No such action.
    #[error("action `{action}` does not exist in stage `{stage}`")]
    ActionNotFound {
        /// The stage's name.
        stage: String,
        /// The action's name.
        action: String,
    },
    /// No such job.
    #[error("job {0} does not exist")]
    JobNotFound(JobId),
    /// The job has been reported, timed out or abandoned.
    #[error("job {job} is not in progress any more: its status is {status}")]
    JobSettled {
        /// Which.
        job: JobId,
        /// Its status.
        status: JobStatus,
    },
    /// No such attempt, or it does not wait for this.
    #[error("action execution {0} does not wait for this")]
    NotWaiting(ActionExecutionId),
    /// The token was never given out for this action, has expired or was abandoned.
    #[error("the approval request already received a response or has expired")]
    InvalidToken,
    /// The approval was answered before.
    #[error("the approval action has already been approved or rejected")]
    AlreadyAnswered,
    /// The execution has ended.
    #[error("execution {execution} cannot be stopped: its status is {status}")]
    NotStoppable {
        /// Which.
        execution: ExecutionId,
        /// Its status.
        status: ExecutionStatus,
    },
    /// The execution is stopping already.
    #[error("execution {0} is stopping already; it can only be abandoned")]
    StoppingAlready(ExecutionId),
    /// The stage cannot be retried.
    #[error("stage `{stage}` cannot be retried: {why}")]
    NotRetryable {
        /// The stage's name.
        stage: String,
        /// Why.
        why: &'static str,
    },
    /// A later execution has been in the stage.
    #[error("a later execution has been in stage `{0}`")]
    NotLatest(String),
}
