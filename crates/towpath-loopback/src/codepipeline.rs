//! CodePipeline: `towpath-engine` behind the service's own API.
//!
//! Every operation is a short piece of code under one lock: read the request, ask or feed the
//! engine, write the answer. What the engine then wants done in the world is done by [`driver`],
//! in tasks, without the lock.
//!
//! Not as in AWS: no execution starts by itself (neither when a pipeline is created nor when its
//! source changes), an execution that waits for a disabled transition waits however long it takes
//! rather than 30 days, and conditions and rollback are carried along without effect.

mod answer;
mod driver;
mod executions;
mod jobs;
mod pipelines;
mod refusal;
mod request;
mod role;
mod sources;
#[cfg(test)]
mod tests;
mod transitions;
mod views;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use towpath_engine::{Effect, Engine, ExecutionId, Input, Time};
use uuid::Uuid;

use crate::{AwsError, Caller, World};
use sources::Sources;

/// The service's state.
pub(crate) struct CodePipeline {
    clock: Clock,
    state: Mutex<State>,
    sources: Sources,
}

struct State {
    account: String,
    pipelines: BTreeMap<String, Pipeline>,
}

struct Pipeline {
    engine: Engine,
    /// `GetPipeline`'s document of every version, the first one first.
    documents: Vec<Value>,
    created: Time,
    updated: Time,
    tags: BTreeMap<String, String>,
    /// Starts by their client request token.
    starts: HashMap<String, ExecutionId>,
    /// When the engine wants its next tick.
    timer: watch::Sender<Option<Time>>,
}

/// Time that does not jump: the system's at the start, and what has passed since.
struct Clock {
    epoch: std::time::Duration,
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            epoch: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            start: Instant::now(),
        }
    }
}

impl Clock {
    fn now(&self) -> Time {
        Time::from_millis(0) + self.epoch + self.start.elapsed()
    }

    /// The moment of this clock's time on the timer's clock.
    fn instant(&self, at: Time) -> Instant {
        self.start + at.since(Time::from_millis(0)).saturating_sub(self.epoch)
    }
}

impl CodePipeline {
    /// The service of an account that has no pipeline yet.
    pub(crate) fn new(account: &str) -> Self {
        Self {
            clock: Clock::default(),
            state: Mutex::new(State {
                account: account.to_owned(),
                pipelines: BTreeMap::new(),
            }),
            sources: Sources::default(),
        }
    }

    /// Answers one operation.
    #[expect(
        clippy::unused_async,
        reason = "every service is called in the same way, and some wait"
    )]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "CreatePipeline" => self.create_pipeline(world, &input),
            "UpdatePipeline" => self.update_pipeline(world, &input),
            "GetPipeline" => self.get_pipeline(world, &input),
            "DeletePipeline" => self.delete_pipeline(world, &input),
            "ListPipelines" => self.list_pipelines(&input),
            "TagResource" => self.tag_resource(world, &input),
            "UntagResource" => self.untag_resource(world, &input),
            "ListTagsForResource" => self.list_tags(world, &input),
            "StartPipelineExecution" => self.start_execution(world, caller, &input),
            "StopPipelineExecution" => self.stop_execution(world, &input),
            "RetryStageExecution" => self.retry_stage(world, &input),
            "DisableStageTransition" => self.disable_transition(world, caller, &input),
            "EnableStageTransition" => self.enable_transition(world, caller, &input),
            "GetPipelineExecution" => self.get_execution(&input),
            "ListPipelineExecutions" => self.list_executions(&input),
            "GetPipelineState" => self.get_state(world, &input),
            "ListActionExecutions" => self.list_actions(&input),
            "GetJobDetails" => self.get_job_details(world, &input),
            "PutJobSuccessResult" => self.put_job_success(world, &input),
            "PutJobFailureResult" => self.put_job_failure(world, &input),
            "PutApprovalResult" => self.put_approval(world, caller, &input),
            other => Err(AwsError::unknown_operation("codepipeline", other)),
        }
    }

    /// Feeds a pipeline's engine, and sees to it that what it asks for is done.
    fn feed(&self, world: &Arc<World>, pipeline: &str, input: Input) -> Result<(), AwsError> {
        let effects = {
            let mut state = self.lock();
            let found = find_mut(&mut state, pipeline)?;
            self.handle(found, input)?
        };
        driver::perform(world, pipeline, effects);
        Ok(())
    }

    /// Under the lock, so that the timer is never set to an older wish after a newer one.
    fn handle(&self, pipeline: &mut Pipeline, input: Input) -> Result<Vec<Effect>, AwsError> {
        let mut bits = || Uuid::new_v4().as_u128();
        let effects = pipeline
            .engine
            .handle(input, self.clock.now(), &mut bits)
            .map_err(refusal::of_input)?;
        for effect in &effects {
            if let Effect::SetTimer { at } = effect {
                pipeline.timer.send_replace(Some(*at));
            }
        }
        Ok(effects)
    }

    /// The name of the pipeline that holds what `look` finds.
    fn search<T>(&self, look: impl Fn(&Engine) -> Option<T>) -> Option<(String, T)> {
        self.lock()
            .pipelines
            .iter()
            .find_map(|(name, pipeline)| Some((name.clone(), look(&pipeline.engine)?)))
    }

    /// The role of a pipeline.
    fn role_of(&self, pipeline: &str) -> Option<String> {
        let state = self.lock();
        let pipeline = state.pipelines.get(pipeline)?;
        Some(pipeline.engine.definition().role_arn.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<'a>(state: &'a State, name: &str) -> Result<&'a Pipeline, AwsError> {
    state
        .pipelines
        .get(name)
        .ok_or_else(|| not_found(&state.account, name))
}

fn find_mut<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Pipeline, AwsError> {
    let State { account, pipelines } = state;
    pipelines
        .get_mut(name)
        .ok_or_else(|| not_found(account, name))
}

fn not_found(account: &str, name: &str) -> AwsError {
    AwsError::client(
        "PipelineNotFoundException",
        format!(
            "The account with id '{account}' does not include a pipeline with the name '{name}'"
        ),
    )
}
