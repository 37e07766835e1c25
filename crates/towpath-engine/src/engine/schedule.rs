//! Who goes where: stages are entered and left, actions begun and ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::{Phase, Position};
use super::{
    ActionRun, ActionStatus, Approval, ApprovalRequest, Artifact, CONCURRENT_PARALLEL_ACTIONS,
    Effect, Engine, Execution, ExecutionStatus, Failure, Fetch, Job, JobStatus, StageStatus, Turn,
};
use crate::definition::{Action, ExecutionMode, Provider, RetryMode};
use crate::{ActionExecutionId, ApprovalToken, JobId, id, variables};

/// A configuration may grow to this size when its variables are resolved (User Guide, variables).
const RESOLVED_CONFIGURATION: usize = 100 * 1024;

impl Engine {
    /// An execution comes to the door of a stage.
    pub(super) fn arrive(&mut self, execution: usize, stage: usize, turn: &mut Turn<'_>) {
        let mode = self.mode();
        let open = self.is_open(stage);
        let slot = &mut self.slots[stage];
        let free = slot.holder.is_none() && slot.waiters.is_empty();
        if open && (free || mode == ExecutionMode::Parallel) {
            self.enter(execution, stage, turn);
            return;
        }
        self.executions[execution].position = Position::Waiting(stage);
        if mode != ExecutionMode::Superseded {
            slot.waiters.push_back(execution);
            return;
        }
        // One waits; the newer of two stays. Executions are numbered in order of their start.
        let Some(other) = slot.waiters.pop_front() else {
            slot.waiters.push_back(execution);
            return;
        };
        slot.waiters.push_back(execution.max(other));
        let older = execution.min(other);
        let newer = self.executions[execution.max(other)].id.clone();
        self.executions[older].summary = Some(format!("superseded by execution {newer}"));
        self.end(older, ExecutionStatus::Superseded, turn);
    }

    pub(super) fn enter(&mut self, execution: usize, stage: usize, turn: &mut Turn<'_>) {
        let slot = &mut self.slots[stage];
        slot.latest = Some(execution);
        if self.definition.mode != ExecutionMode::Parallel {
            slot.holder = Some(execution);
        }
        let entered = &mut self.executions[execution];
        entered.position = Position::In(stage);
        entered.stages[stage].status = Some(StageStatus::InProgress);
        entered.updated = turn.now;
        turn.pending.push_back(execution);
    }

    /// Takes the lock of a stage again, for a retry. Whoever calls has seen that it is free.
    pub(super) fn enter_again(&mut self, execution: usize, stage: usize, turn: &mut Turn<'_>) {
        self.enter(execution, stage, turn);
    }

    /// An execution leaves a stage, and the next one comes in if the stage is open.
    fn release(&mut self, execution: usize, stage: usize, turn: &mut Turn<'_>) {
        let slot = &mut self.slots[stage];
        if slot.holder != Some(execution) {
            return;
        }
        slot.holder = None;
        self.admit(stage, turn);
    }

    /// Gives an execution its terminal status and takes it off every list.
    pub(super) fn end(&mut self, execution: usize, status: ExecutionStatus, turn: &mut Turn<'_>) {
        let ended = &mut self.executions[execution];
        let position = std::mem::replace(&mut ended.position, Position::Ended);
        ended.status = status;
        ended.updated = turn.now;
        turn.effects.push(Effect::ExecutionEnded {
            execution: ended.id.clone(),
            status,
        });
        self.live.retain(|&other| other != execution);
        match position {
            Position::In(stage) => self.release(execution, stage, turn),
            Position::Waiting(stage) => {
                self.slots[stage]
                    .waiters
                    .retain(|&other| other != execution);
            }
            Position::Ended => {}
        }
    }

    /// Moves an execution on as far as it goes by itself.
    pub(super) fn progress(&mut self, execution: usize, turn: &mut Turn<'_>) {
        let Position::In(stage) = self.executions[execution].position else {
            return;
        };
        let definition = Arc::clone(&self.executions[execution].definition);
        let declared = &definition.stages[stage];
        let current = &self.executions[execution];
        let statuses: Vec<Option<ActionStatus>> = current
            .current(&current.stages[stage])
            .map(|run| run.map(|run| run.status))
            .collect();
        let count = |status| statuses.iter().filter(|s| **s == Some(status)).count();
        let running = count(ActionStatus::InProgress);
        let failed = count(ActionStatus::Failed) > 0;
        let complete = count(ActionStatus::Succeeded) == declared.actions.len();

        if failed || current.stop.is_some() {
            // Siblings run to their end; no later run order begins.
            if running == 0 && failed {
                self.stage_failed(execution, stage, turn);
            } else if running == 0 {
                let status = if complete {
                    StageStatus::Succeeded
                } else {
                    StageStatus::Stopped
                };
                self.executions[execution].stages[stage].status = Some(status);
                self.end(execution, ExecutionStatus::Stopped, turn);
            }
            return;
        }
        if complete {
            self.executions[execution].stages[stage].status = Some(StageStatus::Succeeded);
            if stage + 1 == definition.stages.len() {
                self.end(execution, ExecutionStatus::Succeeded, turn);
            } else {
                self.executions[execution].position = Position::Waiting(stage + 1);
                self.release(execution, stage, turn);
                self.arrive(execution, stage + 1, turn);
            }
            return;
        }
        let unfinished = |index: &usize| statuses[*index] != Some(ActionStatus::Succeeded);
        let order = (0..declared.actions.len())
            .filter(unfinished)
            .map(|index| declared.actions[index].run_order)
            .min();
        let room = match self.mode() {
            ExecutionMode::Parallel => CONCURRENT_PARALLEL_ACTIONS.saturating_sub(running),
            ExecutionMode::Superseded | ExecutionMode::Queued => usize::MAX,
        };
        let next: Vec<usize> = (0..declared.actions.len())
            .filter(|&index| {
                statuses[index].is_none() && Some(declared.actions[index].run_order) == order
            })
            .take(room)
            .collect();
        for action in next {
            self.begin(execution, stage, action, turn);
        }
    }

    fn stage_failed(&mut self, execution: usize, stage: usize, turn: &mut Turn<'_>) {
        let failed = &mut self.executions[execution];
        let retry = failed.definition.stages[stage].retry;
        // One automatic attempt (User Guide, stage retry).
        if let Some(mode) = retry
            && failed.stages[stage].automatic_retries == 0
            && failed.stop.is_none()
        {
            failed.stages[stage].automatic_retries = 1;
            self.forget_runs(execution, stage, mode);
            turn.pending.push_back(execution);
            return;
        }
        failed.stages[stage].status = Some(StageStatus::Failed);
        self.end(execution, ExecutionStatus::Failed, turn);
    }

    /// Makes room for new attempts. The old ones stay in the log.
    pub(super) fn forget_runs(&mut self, execution: usize, stage: usize, mode: RetryMode) {
        let Execution { stages, log, .. } = &mut self.executions[execution];
        for run in &mut stages[stage].runs {
            let keep = run.is_some_and(|run| match log[run].status {
                ActionStatus::InProgress => true,
                ActionStatus::Succeeded => mode == RetryMode::FailedActions,
                ActionStatus::Failed | ActionStatus::Abandoned => false,
            });
            if !keep {
                *run = None;
            }
        }
    }

    /// Begins an attempt at an action. It may fail at once.
    fn begin(&mut self, execution: usize, stage: usize, action: usize, turn: &mut Turn<'_>) {
        let definition = Arc::clone(&self.executions[execution].definition);
        let declared = &definition.stages[stage].actions[action];
        let owner = &self.executions[execution];
        let resolved = resolve(owner, declared);
        let store = definition.store(declared.region.as_deref());
        let outputs = declared
            .outputs
            .iter()
            .map(|name| Artifact {
                name: name.clone(),
                bucket: store.bucket.clone(),
                key: format!(
                    "{}/{}/{}",
                    &definition.name[..definition.name.len().min(20)],
                    &name[..name.len().min(10)],
                    id::suffix((turn.bits)())
                ),
                revision: None,
            })
            .collect();
        let inputs = declared
            .inputs
            .iter()
            .filter_map(|name| owner.artifacts.get(name).cloned())
            .collect();
        let limit = match declared.provider {
            Provider::Lambda => self.settings.invoke_timeout,
            Provider::Connection | Provider::S3Source => self.settings.source_timeout,
            Provider::Approval => declared.timeout.unwrap_or(self.settings.approval_timeout),
        };
        let run = ActionRun {
            id: ActionExecutionId::from_bits((turn.bits)()),
            stage,
            action,
            status: ActionStatus::InProgress,
            started: turn.now,
            updated: turn.now,
            updated_by: None,
            configuration: BTreeMap::new(),
            inputs,
            outputs,
            jobs: Vec::new(),
            variables: BTreeMap::new(),
            summary: None,
            percent_complete: None,
            external_execution_id: None,
            revision: None,
            error: None,
            approval: None,
            phase: Phase::Ended,
            deadline: turn.now + limit,
        };
        let place = self.executions[execution].log.len();
        self.runs.insert(run.id.clone(), (execution, place));
        self.latest_runs.insert(
            (definition.stages[stage].name.clone(), declared.name.clone()),
            (execution, place),
        );
        let owner = &mut self.executions[execution];
        owner.log.push(run);
        owner.stages[stage].runs[action] = Some(place);
        owner.updated = turn.now;
        match resolved {
            Err(message) => {
                let failure = Failure::new("ConfigurationError", message);
                self.settle_run((execution, place), Err(failure), turn);
            }
            Ok(configuration) => {
                owner.log[place].configuration = configuration;
                match declared.provider {
                    Provider::Lambda => self.invoke((execution, place), None, turn),
                    Provider::Connection | Provider::S3Source => {
                        self.fetch((execution, place), declared, turn);
                    }
                    Provider::Approval => self.ask((execution, place), declared, turn),
                }
            }
        }
    }

    /// Hands out a job.
    pub(super) fn invoke(
        &mut self,
        (execution, place): (usize, usize),
        continuation: Option<String>,
        turn: &mut Turn<'_>,
    ) {
        let run = &mut self.executions[execution].log[place];
        let job = JobId::from_bits((turn.bits)());
        run.phase = Phase::Replying {
            by: turn.now + self.settings.reply_timeout,
        };
        run.updated = turn.now;
        run.jobs.push(Job {
            id: job.clone(),
            continuation,
            status: JobStatus::InProgress,
            created: turn.now,
        });
        self.jobs.insert(job.clone(), (execution, place));
        if let Some(invocation) = self.invocation(&job) {
            turn.effects
                .push(Effect::InvokeFunction(Box::new(invocation)));
        }
    }

    fn fetch(&mut self, (execution, place): (usize, usize), action: &Action, turn: &mut Turn<'_>) {
        let owner = &mut self.executions[execution];
        let role_arn = owner.role(action);
        let run = &mut owner.log[place];
        run.phase = Phase::Fetching;
        turn.effects.push(Effect::FetchSource(Box::new(Fetch {
            execution: owner.id.clone(),
            action_execution: run.id.clone(),
            stage: owner.definition.stages[run.stage].name.clone(),
            action: action.clone(),
            role_arn,
            configuration: run.configuration.clone(),
            // A source action declares exactly one output: the definition was checked.
            output: run.outputs[0].clone(),
            revision: owner.sources.get(&action.name).cloned(),
        })));
    }

    fn ask(&mut self, (execution, place): (usize, usize), action: &Action, turn: &mut Turn<'_>) {
        let owner = &mut self.executions[execution];
        let role_arn = owner.role(action);
        let token = ApprovalToken::from_bits((turn.bits)());
        let parallel = owner.definition.mode == ExecutionMode::Parallel;
        let run = &mut owner.log[place];
        run.phase = Phase::Deciding;
        run.approval = Some(Approval {
            token: token.clone(),
            expires: run.deadline,
            answered: false,
        });
        if parallel {
            run.external_execution_id = Some(token.as_str().to_owned());
        }
        turn.effects
            .push(Effect::RequestApproval(Box::new(ApprovalRequest {
                execution: owner.id.clone(),
                action_execution: run.id.clone(),
                stage: owner.definition.stages[run.stage].name.clone(),
                action: action.name.clone(),
                role_arn,
                token: token.clone(),
                expires: run.deadline,
                configuration: run.configuration.clone(),
            })));
        self.approvals.insert(token, (execution, place));
    }

    /// Gives an attempt its terminal status. On success its variables and artifacts become visible.
    pub(super) fn settle_run(
        &mut self,
        (execution, place): (usize, usize),
        result: Result<(), Failure>,
        turn: &mut Turn<'_>,
    ) {
        let owner = &mut self.executions[execution];
        let run = &mut owner.log[place];
        match result {
            Ok(()) => {
                run.status = ActionStatus::Succeeded;
                let action = &owner.definition.stages[run.stage].actions[run.action];
                for artifact in &run.outputs {
                    owner
                        .artifacts
                        .insert(artifact.name.clone(), artifact.clone());
                }
                if let Some(namespace) = &action.namespace {
                    owner
                        .namespaces
                        .insert(namespace.clone(), run.variables.clone());
                }
            }
            Err(failure) => {
                run.status = ActionStatus::Failed;
                if failure.external_execution_id.is_some() {
                    run.external_execution_id
                        .clone_from(&failure.external_execution_id);
                }
                run.error = Some(failure);
            }
        }
        run.phase = Phase::Ended;
        run.updated = turn.now;
        owner.updated = turn.now;
        turn.effects.push(Effect::ActionEnded {
            execution: owner.id.clone(),
            action_execution: run.id.clone(),
            status: run.status,
        });
        turn.pending.push_back(execution);
    }

    /// Leaves every running action of an execution to itself.
    pub(super) fn abandon_runs(&mut self, execution: usize, turn: &mut Turn<'_>) {
        let owner = &mut self.executions[execution];
        for run in &mut owner.log {
            if run.status != ActionStatus::InProgress {
                continue;
            }
            if matches!(run.phase, Phase::Replying { .. })
                && let Some(job) = run.jobs.last_mut()
            {
                job.status = JobStatus::Failed;
            }
            run.status = ActionStatus::Abandoned;
            run.phase = Phase::Ended;
            run.updated = turn.now;
            turn.effects.push(Effect::ActionEnded {
                execution: owner.id.clone(),
                action_execution: run.id.clone(),
                status: ActionStatus::Abandoned,
            });
        }
    }
}

/// The action's configuration with every variable in its place.
fn resolve(execution: &Execution, action: &Action) -> Result<BTreeMap<String, String>, String> {
    let mut resolved = BTreeMap::new();
    for (key, value) in &action.configuration {
        let text = variables::resolve(value, |reference| {
            match reference.namespace {
                "codepipeline" => (reference.key == "PipelineExecutionId")
                    .then(|| execution.id.as_str().to_owned()),
                "variables" => execution.variables.get(reference.key).cloned(),
                namespace => execution
                    .namespaces
                    .get(namespace)
                    .and_then(|variables| variables.get(reference.key))
                    .cloned(),
            }
        })
        .map_err(|reference| {
            let known = execution
                .namespaces
                .get(reference.namespace)
                .map(|variables| variables.keys().cloned().collect::<Vec<_>>())
                .filter(|known| !known.is_empty())
                .map_or_else(|| "nothing".to_owned(), |known| known.join(", "));
            format!(
                "configuration `{key}` refers to `{}`, but the action with namespace `{}` set no variable `{}`; it set: {known}",
                reference.text, reference.namespace, reference.key
            )
        })?;
        resolved.insert(key.clone(), text);
    }
    let size: usize = resolved
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if size > RESOLVED_CONFIGURATION {
        return Err(format!(
            "the configuration has {size} bytes once its variables are resolved; the limit is {RESOLVED_CONFIGURATION}"
        ));
    }
    Ok(resolved)
}
