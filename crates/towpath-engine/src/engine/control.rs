//! What people do to a pipeline: start, stop, retry, update. For transitions see `transition`.

use std::sync::Arc;

use super::state::Position;
use super::{
    ActionStatus, CONCURRENT_EXECUTIONS, Engine, Execution, ExecutionStatus, Refused, RetryRequest,
    StageRun, StageStatus, StartExecution, Stop, Turn,
};
use crate::ExecutionId;
use crate::definition::{Definition, ExecutionMode, RetryMode};

impl Engine {
    pub(super) fn start(
        &mut self,
        start: StartExecution,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        if self.by_id.contains_key(&start.execution) {
            return Err(Refused::ExecutionExists(start.execution));
        }
        if self.live.len() >= CONCURRENT_EXECUTIONS {
            return Err(Refused::TooManyExecutions(self.live.len()));
        }
        let definition = Arc::clone(&self.definition);
        if let Some(unknown) = start
            .variables
            .keys()
            .find(|name| definition.variables.iter().all(|v| v.name != **name))
        {
            return Err(Refused::UnknownVariable(unknown.clone()));
        }
        if let Some(unknown) = start.sources.keys().find(|name| {
            definition.stages[0]
                .actions
                .iter()
                .all(|action| action.name != **name)
        }) {
            return Err(Refused::UnknownSource(unknown.clone()));
        }
        let variables = definition
            .variables
            .iter()
            .map(|variable| {
                let value = start
                    .variables
                    .get(&variable.name)
                    .or(variable.default.as_ref())
                    .ok_or_else(|| Refused::MissingVariable(variable.name.clone()))?;
                Ok((variable.name.clone(), value.clone()))
            })
            .collect::<Result<_, Refused>>()?;

        let index = self.executions.len();
        let stages = definition
            .stages
            .iter()
            .map(|stage| StageRun {
                runs: vec![None; stage.actions.len()],
                ..StageRun::default()
            })
            .collect();
        self.by_id.insert(start.execution.clone(), index);
        self.live.push(index);
        self.executions.push(Execution {
            id: start.execution,
            definition,
            version: self.version,
            status: ExecutionStatus::InProgress,
            summary: None,
            started: turn.now,
            updated: turn.now,
            trigger: start.trigger,
            stop: None,
            variables,
            stages,
            log: Vec::new(),
            sources: start.sources,
            artifacts: std::collections::BTreeMap::new(),
            namespaces: std::collections::BTreeMap::new(),
            position: Position::Waiting(0),
        });
        self.arrive(index, 0, turn);
        Ok(())
    }

    fn find(&self, id: &ExecutionId) -> Result<usize, Refused> {
        self.by_id
            .get(id)
            .copied()
            .ok_or_else(|| Refused::ExecutionNotFound(id.clone()))
    }

    pub(super) fn stop(
        &mut self,
        id: &ExecutionId,
        stop: Stop,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let index = self.find(id)?;
        let execution = &mut self.executions[index];
        if execution.status.is_terminal() {
            return Err(Refused::NotStoppable {
                execution: id.clone(),
                status: execution.status,
            });
        }
        if execution.stop.is_some() && !stop.abandon {
            return Err(Refused::StoppingAlready(id.clone()));
        }
        let abandon = stop.abandon;
        execution.stop = Some(stop);
        execution.status = ExecutionStatus::Stopping;
        execution.updated = turn.now;
        match execution.position {
            Position::In(stage) if abandon => {
                execution.stages[stage].status = Some(StageStatus::Stopped);
                self.abandon_runs(index, turn);
                self.end(index, ExecutionStatus::Stopped, turn);
            }
            Position::In(stage) => {
                execution.stages[stage].status = Some(StageStatus::Stopping);
                turn.pending.push_back(index);
            }
            Position::Waiting(_) | Position::Ended => {
                self.end(index, ExecutionStatus::Stopped, turn);
            }
        }
        Ok(())
    }

    pub(super) fn retry(
        &mut self,
        request: &RetryRequest,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let stage = self
            .definition
            .stage(&request.stage)
            .ok_or_else(|| Refused::StageNotFound(request.stage.clone()))?;
        let index = self.find(&request.execution)?;
        let refuse = |why| {
            Err(Refused::NotRetryable {
                stage: request.stage.clone(),
                why,
            })
        };
        let execution = &self.executions[index];
        if execution.version != self.version {
            return refuse("the pipeline has been changed since the execution began");
        }
        let running = execution.status == ExecutionStatus::InProgress;
        if running && execution.position != Position::In(stage) {
            return refuse("the execution is not in this stage");
        }
        if !running
            && !matches!(
                execution.status,
                ExecutionStatus::Failed | ExecutionStatus::Stopped
            )
        {
            return refuse("the execution neither failed nor was stopped");
        }
        if !running
            && !matches!(
                execution.stages[stage].status,
                Some(StageStatus::Failed | StageStatus::Stopped)
            )
        {
            return refuse("the execution neither failed nor was stopped in this stage");
        }
        let runs: Vec<_> = execution.current(&execution.stages[stage]).collect();
        let in_progress = runs
            .iter()
            .flatten()
            .any(|run| run.status == ActionStatus::InProgress);
        if in_progress && request.mode == RetryMode::AllActions {
            return refuse("all actions can be retried only when none is in progress");
        }
        let failed = runs
            .iter()
            .flatten()
            .any(|run| run.status == ActionStatus::Failed);
        if running && !failed {
            return refuse("the stage contains no failed actions");
        }
        if !running && self.mode() != ExecutionMode::Parallel {
            let slot = &self.slots[stage];
            if slot.latest != Some(index) || slot.holder.is_some() {
                return Err(Refused::NotLatest(request.stage.clone()));
            }
        }
        if !running && self.live.len() >= CONCURRENT_EXECUTIONS {
            return Err(Refused::TooManyExecutions(self.live.len()));
        }

        self.forget_runs(index, stage, request.mode);
        let execution = &mut self.executions[index];
        execution.stages[stage].manual_retries += 1;
        execution.updated = turn.now;
        if running {
            turn.pending.push_back(index);
        } else {
            execution.status = ExecutionStatus::InProgress;
            execution.stop = None;
            execution.summary = None;
            let at = self.live.partition_point(|&other| other < index);
            self.live.insert(at, index);
            self.enter_again(index, stage, turn);
        }
        Ok(())
    }

    pub(super) fn update(&mut self, definition: Definition, turn: &mut Turn<'_>) {
        self.cancel_all(turn);
        // What was last in a stage stays on show while a stage of that name exists, and so do its
        // transitions; holders and waiters are gone.
        let mut slots = std::mem::take(&mut self.slots);
        self.slots = definition
            .stages
            .iter()
            .map(|stage| {
                self.definition
                    .stage(&stage.name)
                    .map(|old| std::mem::take(&mut slots[old]))
                    .unwrap_or_default()
            })
            .collect();
        self.definition = Arc::new(definition);
        self.version += 1;
    }

    /// Cancels every execution that runs. None of them may move up into a stage that another leaves.
    pub(super) fn cancel_all(&mut self, turn: &mut Turn<'_>) {
        for slot in &mut self.slots {
            slot.holder = None;
            slot.waiters.clear();
        }
        for index in self.live.clone() {
            self.abandon_runs(index, turn);
            let execution = &mut self.executions[index];
            execution.summary = Some("the pipeline was changed".into());
            if let Position::In(stage) = execution.position {
                execution.stages[stage].status = Some(StageStatus::Cancelled);
            }
            self.end(index, ExecutionStatus::Cancelled, turn);
        }
    }
}
