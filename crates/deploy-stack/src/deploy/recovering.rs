//! Before a plan can be made: what is left of a stack is deleted, or the stack is brought back.

use towpath_job::Progress as Told;
use towpath_stack::step::{self, Deletion, Goal, OnFailure, Preparation, STALE_READS};
use towpath_stack::{Observed, StackStatus, describe, resources};

use super::{Attempt, Next, Phase, State};
use crate::{DeployError, delete};

impl Attempt<'_> {
    pub(super) async fn clearing(
        &self,
        state: &State,
        stack: &str,
        asked: u32,
    ) -> Result<Next, DeployError> {
        let observed = describe(self.client, stack).await?;
        match step::deletion(&observed, asked) {
            Deletion::Done => Ok(Next::Go(Phase::Prepare)),
            Deletion::Wait => Ok(Next::Wait(
                Phase::Clearing {
                    stack: stack.to_owned(),
                    asked: delete::looks(&observed, asked),
                },
                Told::new(format!("deleting what is left of stack `{}`", self.name())),
            )),
            Deletion::Failed => {
                let token = self.token(state, "clear");
                Err(self
                    .failed("delete the remains of", stack, &observed, &token)
                    .await)
            }
        }
    }

    pub(super) async fn recovering(
        &self,
        state: &State,
        stack: &str,
        asked: u32,
    ) -> Result<Next, DeployError> {
        let observed = describe(self.client, stack).await?;
        let wait = |asked| {
            Next::Wait(
                Phase::Recovering {
                    stack: stack.to_owned(),
                    asked,
                },
                Told::new(format!("rolling back stack `{}`", self.name())),
            )
        };
        match step::prepare(observed.status(), Goal::Deploy(OnFailure::Recover)) {
            Preparation::Proceed(_) => Ok(Next::Go(Phase::Prepare)),
            // Seen under way: what comes after is no late read.
            Preparation::Wait => Ok(wait(STALE_READS)),
            Preparation::ContinueRollback | Preparation::RollBack if asked < STALE_READS => {
                Ok(wait(asked + 1))
            }
            Preparation::ContinueRollback
            | Preparation::RollBack
            | Preparation::DeleteFirst
            | Preparation::Refuse(_) => {
                let token = self.token(state, "continue");
                let failed = self.failed("roll back", stack, &observed, &token).await;
                Err(self.stuck(stack, &observed, failed).await)
            }
        }
    }

    /// A rollback that does not end, with the resources that it could leave out.
    async fn stuck(&self, stack: &str, observed: &Observed, failed: DeployError) -> DeployError {
        if observed.status() != Some(StackStatus::UpdateRollbackFailed) {
            return failed;
        }
        let all = resources::list(self.client, stack).await;
        let candidates: Vec<String> = all
            .unwrap_or_default()
            .into_iter()
            .filter(|resource| resource.status == "UPDATE_FAILED")
            .map(|resource| resource.logical_id)
            .collect();
        if candidates.is_empty() {
            return failed;
        }
        DeployError::Stuck {
            failed: Box::new(failed),
            candidates,
        }
    }
}
