//! One pipeline at work: inputs in, effects out.
//!
//! [`Engine::handle`] is the only way to change anything. A refused input changes nothing, save
//! that it is refused again.

mod control;
mod report;
mod schedule;
mod state;
mod timers;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::definition::{Action, Definition, ExecutionMode, RetryMode, Stage};
use crate::{ActionExecutionId, ApprovalToken, ExecutionId, JobId, Time};

pub use state::{
    ActionRun, ActionStatus, Approval, Artifact, Execution, ExecutionStatus, Failure, Job,
    JobStatus, Revision, SourceOverride, StageRun, StageStatus, Stop, Trigger,
};

/// At most this many executions of a pipeline run at once (CodePipeline User Guide, quotas).
const CONCURRENT_EXECUTIONS: usize = 50;
/// At most this many actions of one execution run at once in `PARALLEL` mode (the same page).
const CONCURRENT_PARALLEL_ACTIONS: usize = 5;

/// The times that CodePipeline keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Between a report with a continuation token and the next job. AWS publishes no number.
    pub reinvocation_interval: Duration,
    /// How long a function may stay silent; each report begins it anew.
    pub reply_timeout: Duration,
    /// How long an invoke action may take in all.
    pub invoke_timeout: Duration,
    /// How long a source action may take.
    pub source_timeout: Duration,
    /// How long an approval waits, unless its action says otherwise.
    pub approval_timeout: Duration,
}

impl Default for Settings {
    /// The quotas of the User Guide, and five seconds between continuations.
    fn default() -> Self {
        Self {
            reinvocation_interval: Duration::from_secs(5),
            reply_timeout: Duration::from_mins(20),
            invoke_timeout: Duration::from_hours(24),
            source_timeout: Duration::from_hours(1),
            approval_timeout: Duration::from_hours(7 * 24),
        }
    }
}

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

/// How an execution, a stage and its waiters stand: what `GetPipelineState` asks for.
#[derive(Debug, Clone, Copy)]
pub struct StageState<'a> {
    /// Whoever is in the stage.
    pub holder: Option<&'a Execution>,
    /// Whoever was in it last, or still is.
    pub latest: Option<&'a Execution>,
    slot: &'a Slot,
    executions: &'a [Execution],
}

impl<'a> StageState<'a> {
    /// The executions that wait to enter, the next one first.
    pub fn waiters(&self) -> impl Iterator<Item = &'a Execution> + use<'a> {
        let executions = self.executions;
        self.slot
            .waiters
            .iter()
            .map(move |&index| &executions[index])
    }
}

/// A job with all that belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct JobView<'a> {
    /// The job.
    pub job: &'a Job,
    /// Its attempt.
    pub run: &'a ActionRun,
    /// Its execution.
    pub execution: &'a Execution,
    /// Its stage, as declared when the execution began.
    pub stage: &'a Stage,
    /// Its action, as declared when the execution began.
    pub action: &'a Action,
}

/// Who is in a stage, and who waits for it.
#[derive(Debug, Default)]
struct Slot {
    holder: Option<usize>,
    waiters: VecDeque<usize>,
    latest: Option<usize>,
}

/// Where an attempt is found: execution, then place in its log.
type Place = (usize, usize);

/// One pipeline with every execution it has had.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    definition: Arc<Definition>,
    version: u32,
    executions: Vec<Execution>,
    /// Executions that have not ended, in order of their start.
    live: Vec<usize>,
    slots: Vec<Slot>,
    by_id: HashMap<ExecutionId, usize>,
    jobs: HashMap<JobId, Place>,
    runs: HashMap<ActionExecutionId, Place>,
    approvals: HashMap<ApprovalToken, Place>,
    /// The last attempt at each action, by the names of its stage and itself.
    latest_runs: HashMap<(String, String), Place>,
    announced: Option<Time>,
}

/// What one call of `handle` gathers.
struct Turn<'a> {
    now: Time,
    bits: &'a mut dyn FnMut() -> u128,
    effects: Vec<Effect>,
    /// Executions to look at again before the turn ends.
    pending: VecDeque<usize>,
}

impl Engine {
    /// A pipeline at version 1 without executions.
    pub fn new(definition: Definition, settings: Settings) -> Self {
        Self {
            settings,
            slots: definition.stages.iter().map(|_| Slot::default()).collect(),
            definition: Arc::new(definition),
            version: 1,
            executions: Vec::new(),
            live: Vec::new(),
            by_id: HashMap::new(),
            jobs: HashMap::new(),
            runs: HashMap::new(),
            approvals: HashMap::new(),
            latest_runs: HashMap::new(),
            announced: None,
        }
    }

    /// Takes what happened at `now`, and answers what is to be done. `bits` yields random bits for new ids.
    pub fn handle(
        &mut self,
        input: Input,
        now: Time,
        bits: &mut dyn FnMut() -> u128,
    ) -> Result<Vec<Effect>, Refused> {
        let mut turn = Turn {
            now,
            bits,
            effects: Vec::new(),
            pending: VecDeque::new(),
        };
        match input {
            Input::Start(start) => self.start(start, &mut turn)?,
            Input::SourceFetched(fetched) => self.source_fetched(fetched, &mut turn)?,
            Input::ActionFailed {
                action_execution,
                failure,
            } => self.action_failed(&action_execution, failure, &mut turn)?,
            Input::JobSucceeded { job, report } => self.job_succeeded(&job, report, &mut turn)?,
            Input::JobFailed { job, failure } => self.job_failed(&job, failure, &mut turn)?,
            Input::Answer(answer) => self.answer(answer, &mut turn)?,
            Input::Stop {
                execution,
                abandon,
                reason,
            } => self.stop(&execution, Stop { abandon, reason }, &mut turn)?,
            Input::Retry(request) => self.retry(&request, &mut turn)?,
            Input::Tick => self.tick(&mut turn),
            Input::Update(definition) => self.update(*definition, &mut turn),
            Input::Delete => self.cancel_all(&mut turn),
        }
        while let Some(execution) = turn.pending.pop_front() {
            self.progress(execution, &mut turn);
        }
        self.announce_timer(&mut turn);
        Ok(turn.effects)
    }

    /// The definition that new executions follow.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Counts up with every update, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Every execution, in order of their start.
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// One execution.
    pub fn execution(&self, id: &ExecutionId) -> Option<&Execution> {
        self.by_id.get(id).map(|&index| &self.executions[index])
    }

    /// How each stage stands, in order.
    pub fn stages(&self) -> impl Iterator<Item = StageState<'_>> {
        self.slots.iter().map(|slot| StageState {
            holder: slot.holder.map(|index| &self.executions[index]),
            latest: slot.latest.map(|index| &self.executions[index]),
            slot,
            executions: &self.executions,
        })
    }

    /// The last attempt at an action, of whichever execution.
    pub fn latest_run(&self, stage: &str, action: &str) -> Option<&ActionRun> {
        let key = (stage.to_owned(), action.to_owned());
        self.latest_runs
            .get(&key)
            .map(|&(execution, run)| &self.executions[execution].log[run])
    }

    /// A job that was made by this pipeline.
    pub fn job(&self, id: &JobId) -> Option<JobView<'_>> {
        let &(execution, run) = self.jobs.get(id)?;
        let execution = &self.executions[execution];
        let run = &execution.log[run];
        let stage = &execution.definition.stages[run.stage];
        Some(JobView {
            job: run.jobs.iter().find(|job| job.id == *id)?,
            run,
            execution,
            stage,
            action: &stage.actions[run.action],
        })
    }

    /// What a job was invoked with.
    pub fn invocation(&self, id: &JobId) -> Option<Invocation> {
        self.job(id).map(|view| view.invocation())
    }

    /// When the next `Tick` is due.
    pub fn next_timer(&self) -> Option<Time> {
        self.earliest()
    }

    fn mode(&self) -> ExecutionMode {
        self.definition.mode
    }
}

impl JobView<'_> {
    fn invocation(&self) -> Invocation {
        let Self {
            job,
            run,
            execution,
            stage,
            action,
        } = *self;
        Invocation {
            job: job.id.clone(),
            execution: execution.id.clone(),
            action_execution: run.id.clone(),
            stage: stage.name.clone(),
            action: action.name.clone(),
            role_arn: execution.role(action),
            region: action.region.clone(),
            configuration: run.configuration.clone(),
            inputs: run.inputs.clone(),
            outputs: run.outputs.clone(),
            continuation: job.continuation.clone(),
            encryption_key: execution
                .definition
                .store(action.region.as_deref())
                .encryption_key
                .clone(),
        }
    }
}
