//! One pipeline at work: inputs in, effects out.
//!
//! [`Engine::handle`] is the only way to change anything. A refused input changes nothing, save
//! that it is refused again.

mod control;
mod message;
mod report;
mod schedule;
mod state;
mod timers;
mod transition;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::definition::{Action, Definition, ExecutionMode, Stage};
use crate::{ActionExecutionId, ApprovalToken, ExecutionId, JobId, Time};

pub use message::{
    ApprovalAnswer, ApprovalRequest, Effect, Fetch, Input, Invocation, JobSuccess, Refused,
    RetryRequest, SourceFetched, StartExecution, TransitionChange,
};
pub use state::{
    ActionRun, ActionStatus, Approval, Artifact, Execution, ExecutionStatus, Failure, Job,
    JobStatus, Revision, SourceOverride, StageRun, StageStatus, Stop, Trigger,
};
pub use transition::{Transition, TransitionEnd};

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

/// How an execution, a stage and its waiters stand: what `GetPipelineState` asks for.
#[derive(Debug, Clone, Copy)]
pub struct StageState<'a> {
    /// Whoever is in the stage.
    pub holder: Option<&'a Execution>,
    /// Whoever was in it last, or still is.
    pub latest: Option<&'a Execution>,
    /// How the way into it stands: the end of the link that is disabled, else the one that was
    /// changed last. `None` when nobody ever changed it: it is enabled.
    pub transition: Option<&'a Transition>,
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

/// Who is in a stage, who waits for it, and how the links to its neighbours stand.
#[derive(Debug, Default)]
struct Slot {
    holder: Option<usize>,
    waiters: VecDeque<usize>,
    latest: Option<usize>,
    /// `None` when nobody ever changed it, as is the other.
    inbound: Option<Transition>,
    outbound: Option<Transition>,
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
            Input::ChangeTransition(change) => self.change_transition(change, &mut turn)?,
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
        self.slots
            .iter()
            .enumerate()
            .map(|(stage, slot)| StageState {
                holder: slot.holder.map(|index| &self.executions[index]),
                latest: slot.latest.map(|index| &self.executions[index]),
                transition: self.transition_into(stage),
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
