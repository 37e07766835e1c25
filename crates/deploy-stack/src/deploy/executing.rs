//! While a change set is being executed: whose doing the stack's state is, and whether it is the end.

use towpath_job::Progress as Told;
use towpath_stack::cause::{self, Ending};
use towpath_stack::change_set::Verdict;
use towpath_stack::plan::{self, Plan};
use towpath_stack::progress::{self, Glance, Watch, Way};
use towpath_stack::step::{self, Progress, STALE_READS, Sign};
use towpath_stack::{Observed, StackStatus, describe};

use super::{Attempt, Carried, Executed, Next, Phase, Planned, State, since};
use crate::DeployError;
use crate::delete::milliseconds_now;

/// What is done, and how far it is.
fn with_glance(text: String, glance: &Glance) -> Told {
    let summary = if glance.is_empty() {
        text
    } else {
        format!("{text}: {glance}")
    };
    Told {
        percent: glance.percent,
        ..Told::new(summary)
    }
}

impl Attempt<'_> {
    pub(super) async fn executing(
        &self,
        state: &State,
        plan: &Planned,
        carried: &Carried,
    ) -> Result<Next, DeployError> {
        let Carried { changes, stale, .. } = carried;
        let stale = *stale;
        let name = self.name();
        let token = self.token(state, "execute");
        let observed = describe(self.client, &plan.stack).await?;
        let sign = plan.sign(observed.stack());
        let mut progress = step::execution(plan.kind(), observed.status(), sign);
        let settled = matches!(progress, Progress::Succeeded | Progress::Failed);
        if progress == Progress::Superseded || sign == Sign::Unnamed && settled {
            progress =
                match cause::ending(self.client, &plan.stack, &token, since(self.job)).await? {
                    Ending::Was(status) => step::ended(status),
                    Ending::NotYet => Progress::Stale,
                    Ending::Unstamped if progress == Progress::Superseded => Progress::Failed,
                    Ending::Unstamped => progress,
                };
        }
        let wait = |stale, watch, told: Told| {
            let phase = Phase::Executing {
                plan: plan.clone(),
                carried: Carried {
                    stale,
                    watch,
                    ..carried.clone()
                },
            };
            Ok(Next::Wait(phase, told))
        };
        match (progress, &observed) {
            (Progress::Succeeded, Observed::Present(stack)) => Ok(Next::Done {
                stack: stack.clone(),
                executed: Some(Executed {
                    change_set: plan.change_set.clone(),
                    changes: changes.clone(),
                    drops: carried.drops.then_some(token),
                }),
            }),
            (Progress::Wait, _) => {
                let doing = match observed.status() {
                    Some(StackStatus::UpdateCompleteCleanupInProgress) => "cleaning up after",
                    _ if plan.create => "creating",
                    _ => "updating",
                };
                let way = Way::Forward(carried.of);
                let (watch, told) = self.glance(plan, carried.watch, &observed, way).await;
                let text = format!("{doing} stack `{name}` ({changes})");
                wait(0, watch, with_glance(text, &told))
            }
            (Progress::RollingBack, _) => {
                let (watch, told) = self.glance(plan, carried.watch, &observed, Way::Back).await;
                let text = format!("stack `{name}` failed and is rolling back");
                wait(0, watch, with_glance(text, &told))
            }
            (Progress::Stale, _) if stale < STALE_READS => wait(
                stale + 1,
                carried.watch,
                Told::new(format!("waiting for stack `{name}` to begin")),
            ),
            (Progress::Stale, _) => self.stale(state, plan, &observed).await,
            (Progress::Succeeded | Progress::Failed | Progress::Superseded, _) => {
                Err(self.failed("deploy", &plan.stack, &observed, &token).await)
            }
        }
    }

    /// How far the stack is. That this cannot be read takes nothing from the deployment, nor does it delay it.
    async fn glance(
        &self,
        plan: &Planned,
        watch: Watch,
        observed: &Observed,
        way: Way,
    ) -> (Watch, Glance) {
        let began = observed
            .stack()
            .and_then(|stack| progress::began(stack, plan.create, plan.before.as_deref()));
        let Some(began) = began else {
            return (watch, Glance::default());
        };
        match progress::rows(self.client, &plan.stack).await {
            Ok(rows) => watch.look(&rows, way, began, milliseconds_now().cast_signed()),
            Err(error) => {
                tracing::info!(%error, "how far the stack is cannot be told for now");
                (watch, Glance::default())
            }
        }
    }

    /// The stack has looked unmoved for too long: the change set says whether its execution began.
    async fn stale(
        &self,
        state: &State,
        plan: &Planned,
        observed: &Observed,
    ) -> Result<Next, DeployError> {
        let (verdict, found) = plan::read(self.client, &plan.change_set, &plan.stack).await?;
        match verdict {
            Verdict::Ready => Ok(Next::Go(Phase::Planning(plan.clone()))),
            Verdict::Obsolete if self.change_set().is_some() => Err(self.obsolete(plan)),
            Verdict::Obsolete => Ok(Next::Replan),
            Verdict::ExecutionFailed(reason) | Verdict::Failed(reason) => {
                Err(DeployError::ChangeSet {
                    stack: self.name().to_owned(),
                    reason,
                })
            }
            Verdict::Executed => self.unsigned(state, plan, observed, &found).await,
            Verdict::Pending | Verdict::Executing | Verdict::Empty => Ok(Next::Wait(
                Phase::executing(plan, &found),
                Told::new(format!(
                    "waiting for stack `{}` to begin, plan {}",
                    self.name(),
                    state.plans + 1
                )),
            )),
        }
    }

    /// The change set was executed to its end, and the stack does not show by whom: another service than AWS's may
    /// never do so. Its events may tell; if not, a plan that was reviewed is not taken for one that was carried out now.
    async fn unsigned(
        &self,
        state: &State,
        plan: &Planned,
        observed: &Observed,
        found: &Plan,
    ) -> Result<Next, DeployError> {
        let token = self.token(state, "execute");
        let progress =
            match cause::ending(self.client, &plan.stack, &token, since(self.job)).await? {
                Ending::Was(status) => step::ended(status),
                Ending::NotYet => Progress::Wait,
                Ending::Unstamped => step::unsigned(plan.kind(), observed.stack()),
            };
        let changes = found.counts().to_string();
        match (progress, observed) {
            (Progress::Succeeded, Observed::Present(stack)) => Ok(Next::Done {
                stack: stack.clone(),
                executed: Some(Executed {
                    change_set: plan.change_set.clone(),
                    changes,
                    drops: found.drops().then_some(token),
                }),
            }),
            (Progress::Failed, _) => {
                Err(self.failed("deploy", &plan.stack, observed, &token).await)
            }
            (Progress::Stale, _) if self.change_set().is_some() => Err(self.obsolete(plan)),
            _ => Ok(Next::Wait(
                Phase::executing(plan, found),
                Told::new(format!(
                    "waiting for stack `{}` to show its update",
                    self.name()
                )),
            )),
        }
    }
}
