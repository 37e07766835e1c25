//! What comes back: reports on jobs, fetched sources, answers to approvals.

use super::state::Phase;
use super::{
    ApprovalAnswer, Engine, Failure, JobStatus, JobSuccess, Place, Refused, SourceFetched, Turn,
};
use crate::{ActionExecutionId, JobId};

impl Engine {
    /// The attempt that waits for a report on this very job.
    fn waiting_job(&self, job: &JobId) -> Result<Place, Refused> {
        let view = self
            .job(job)
            .ok_or_else(|| Refused::JobNotFound(job.clone()))?;
        let waiting = view.job.status == JobStatus::InProgress
            && matches!(view.run.phase, Phase::Replying { .. });
        if waiting {
            Ok(self.jobs[job])
        } else {
            Err(Refused::JobSettled {
                job: job.clone(),
                status: view.job.status,
            })
        }
    }

    fn set_job(&mut self, (execution, run): Place, status: JobStatus) {
        // The job that is waited for is always the last one.
        if let Some(job) = self.executions[execution].log[run].jobs.last_mut() {
            job.status = status;
        }
    }

    pub(super) fn job_succeeded(
        &mut self,
        job: &JobId,
        report: JobSuccess,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let place = self.waiting_job(job)?;
        self.set_job(place, JobStatus::Succeeded);
        let owner = &mut self.executions[place.0];
        let run = &mut owner.log[place.1];
        run.updated = turn.now;
        owner.updated = turn.now;
        // What a later report leaves out stays as an earlier one said it.
        if report.summary.is_some() {
            run.summary = report.summary;
        }
        if report.percent_complete.is_some() {
            run.percent_complete = report.percent_complete;
        }
        if report.external_execution_id.is_some() {
            run.external_execution_id = report.external_execution_id;
        }
        if report.revision.is_some() {
            run.revision = report.revision;
        }
        if let Some(token) = report.continuation {
            run.phase = Phase::Resting {
                until: turn.now + self.settings.reinvocation_interval,
                token,
            };
        } else {
            run.variables = report.variables;
            self.settle_run(place, Ok(()), turn);
        }
        Ok(())
    }

    pub(super) fn job_failed(
        &mut self,
        job: &JobId,
        failure: Failure,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let place = self.waiting_job(job)?;
        self.set_job(place, JobStatus::Failed);
        self.settle_run(place, Err(failure), turn);
        Ok(())
    }

    /// The attempt of that id, if it waits for what `phase` holds for.
    fn waiting_run(
        &self,
        id: &ActionExecutionId,
        phase: impl Fn(&Phase) -> bool,
    ) -> Result<Place, Refused> {
        self.runs
            .get(id)
            .copied()
            .filter(|&(execution, run)| phase(&self.executions[execution].log[run].phase))
            .ok_or_else(|| Refused::NotWaiting(id.clone()))
    }

    pub(super) fn source_fetched(
        &mut self,
        fetched: SourceFetched,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let place = self.waiting_run(&fetched.action_execution, |phase| {
            matches!(phase, Phase::Fetching)
        })?;
        let run = &mut self.executions[place.0].log[place.1];
        for artifact in &mut run.outputs {
            artifact.revision = Some(fetched.revision.id.clone());
        }
        run.summary.clone_from(&fetched.revision.summary);
        run.external_execution_id = Some(fetched.revision.id.clone());
        run.revision = Some(fetched.revision);
        run.variables = fetched.variables;
        self.settle_run(place, Ok(()), turn);
        Ok(())
    }

    pub(super) fn action_failed(
        &mut self,
        id: &ActionExecutionId,
        failure: Failure,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let place = self.waiting_run(id, |phase| {
            matches!(phase, Phase::Fetching | Phase::Deciding)
        })?;
        self.settle_run(place, Err(failure), turn);
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        answer: ApprovalAnswer,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let stage = self
            .definition
            .stage(&answer.stage)
            .ok_or_else(|| Refused::StageNotFound(answer.stage.clone()))?;
        if !self.definition.stages[stage]
            .actions
            .iter()
            .any(|action| action.name == answer.action)
        {
            return Err(Refused::ActionNotFound {
                stage: answer.stage,
                action: answer.action,
            });
        }
        let &place = self
            .approvals
            .get(&answer.token)
            .ok_or(Refused::InvalidToken)?;
        let owner = &mut self.executions[place.0];
        let run = &mut owner.log[place.1];
        let declared = &owner.definition.stages[run.stage];
        let named =
            declared.name == answer.stage && declared.actions[run.action].name == answer.action;
        let approval = run
            .approval
            .as_mut()
            .filter(|_| named)
            .ok_or(Refused::InvalidToken)?;
        if approval.answered {
            return Err(Refused::AlreadyAnswered);
        }
        if run.phase != Phase::Deciding || approval.expires <= turn.now {
            return Err(Refused::InvalidToken);
        }
        approval.answered = true;
        run.updated_by = answer.by;
        let result = if answer.approved {
            Ok(())
        } else if answer.summary.is_empty() {
            Err(Failure::new("Rejected", "the approval was rejected"))
        } else {
            Err(Failure::new(
                "Rejected",
                format!("the approval was rejected: {}", answer.summary),
            ))
        };
        run.summary = Some(answer.summary).filter(|summary| !summary.is_empty());
        self.settle_run(place, result, turn);
        Ok(())
    }
}
