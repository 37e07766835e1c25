//! The passing of time: intervals end, silence is noticed, limits are reached.

use super::state::Phase;
use super::{Effect, Engine, Failure, JobStatus, Place, Turn};
use crate::Time;
use crate::definition::Provider;

impl Engine {
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>) {
        if self.announced.is_some_and(|at| at <= turn.now) {
            self.announced = None;
        }
        let due: Vec<Place> = self
            .running()
            .filter(|&(_, timer)| timer <= turn.now)
            .map(|(place, _)| place)
            .collect();
        for place in due {
            self.due(place, turn);
        }
    }

    fn due(&mut self, place: Place, turn: &mut Turn<'_>) {
        let now = turn.now;
        let owner = &mut self.executions[place.0];
        let run = &mut owner.log[place.1];
        let action = &owner.definition.stages[run.stage].actions[run.action];
        let limit = run.deadline.since(run.started);
        let over = run.deadline <= now;
        let failure = match &mut run.phase {
            Phase::Resting { token, .. } if !over => {
                let token = std::mem::take(token);
                self.invoke(place, Some(token), turn);
                return;
            }
            Phase::Replying { .. } if !over => {
                let function = action
                    .configuration
                    .get("FunctionName")
                    .map_or("", String::as_str);
                // The service's own text.
                Failure::new(
                    "JobFailed",
                    format!(
                        "The AWS Lambda function {function} failed to return a result. Check the function to verify that it has permission to call the PutJobSuccessResult action and that it made a call to PutJobSuccessResult."
                    ),
                )
            }
            Phase::Resting { .. } | Phase::Replying { .. } | Phase::Fetching => Failure::new(
                "JobFailed",
                format!(
                    "the action did not end within its limit of {} minutes",
                    limit.as_secs() / 60
                ),
            ),
            Phase::Deciding => Failure::new(
                "ApprovalExpired",
                format!(
                    "nobody answered the approval within {} minutes",
                    limit.as_secs() / 60
                ),
            ),
            Phase::Ended => return,
        };
        if action.provider == Provider::Lambda
            && matches!(run.phase, Phase::Replying { .. })
            && let Some(job) = run.jobs.last_mut()
        {
            job.status = JobStatus::TimedOut;
        }
        self.settle_run(place, Err(failure), turn);
    }

    /// Every attempt that waits for time to pass, and until when.
    fn running(&self) -> impl Iterator<Item = (Place, Time)> {
        self.live.iter().flat_map(move |&execution| {
            let owner = &self.executions[execution];
            owner.stages.iter().flat_map(move |stage| {
                stage.runs.iter().flatten().filter_map(move |&run| {
                    let timer = owner.log[run].timer()?;
                    Some(((execution, run), timer))
                })
            })
        })
    }

    pub(super) fn earliest(&self) -> Option<Time> {
        self.running().map(|(_, timer)| timer).min()
    }

    /// Asks for a `Tick` when the next one is due at another time than last asked for.
    pub(super) fn announce_timer(&mut self, turn: &mut Turn<'_>) {
        if let Some(at) = self.earliest()
            && self.announced != Some(at)
        {
            self.announced = Some(at);
            turn.effects.push(Effect::SetTimer { at });
        }
    }
}
