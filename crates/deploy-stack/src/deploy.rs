//! `action=deploy`: plan, execute, wait, tell. `action=plan` stops after the first of these, `action=execute` begins after
//! it.

mod executing;
mod recovering;

use std::time::{Duration, SystemTime};

use aws_sdk_cloudformation::Client;
use serde::{Deserialize, Serialize};
use towpath_job::{Job, Outcome, Progress as Told};
use towpath_stack::cause::{self, Cause, Ending};
use towpath_stack::change_set::{self, Execution, Making, Verdict};
use towpath_stack::plan::{self, Plan};
use towpath_stack::progress::Watch;
use towpath_stack::step::{self, Goal, Kind, Preparation, STALE_READS, Sign};
use towpath_stack::{Observed, Stack, StackError, StackStatus, describe, gate};

use crate::{DeployError, DeployStack, Operation, Parameters, delete, inputs, published, settings};

/// How often a plan may turn out obsolete before we give up.
const PLANS: u32 = 5;

/// How far two clocks may differ: events that are older than our attempt by less are still read.
const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// What this attempt has done so far: the state of the continuation token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// How many plans turned out obsolete.
    plans: u32,
    #[serde(flatten)]
    phase: Phase,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
enum Phase {
    /// Nothing is under way.
    #[default]
    Prepare,
    /// The remains of a creation that was rolled back are being deleted.
    Clearing { stack: String, asked: u32 },
    /// An update that stopped half way is being rolled back, or a rollback that got stuck continued.
    Recovering { stack: String, asked: u32 },
    /// A change set is being computed.
    Planning(Planned),
    /// The change set is being executed.
    Executing {
        plan: Planned,
        #[serde(flatten)]
        carried: Carried,
    },
}

impl Phase {
    /// What a change set is being executed of, from its beginning.
    fn executing(plan: &Planned, found: &Plan) -> Self {
        Self::Executing {
            plan: plan.clone(),
            carried: Carried {
                changes: found.counts().to_string(),
                of: found.own(),
                drops: found.drops(),
                ..Carried::default()
            },
        }
    }
}

/// What is carried from one look at an execution to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Carried {
    /// What it changes, in words.
    changes: String,
    /// How often the stack has looked as if it had not begun.
    stale: u32,
    /// How many of the stack's own resources it changes. A token of an earlier version does not say.
    #[serde(default)]
    of: usize,
    /// Whether resources are to be deleted.
    #[serde(default)]
    drops: bool,
    /// How far it was when it was looked at last.
    #[serde(default)]
    watch: Watch,
}

/// A change set of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Planned {
    stack: String,
    change_set: String,
    create: bool,
    /// There was no stack before: an empty shell that is left is ours to delete.
    shell: bool,
    /// The time of the stack's last update before us.
    before: Option<String>,
    /// How often it looked as if it could be executed, and could not.
    #[serde(default)]
    refused: u32,
}

impl Planned {
    fn kind(&self) -> Kind {
        if self.create {
            Kind::Create
        } else {
            Kind::Update
        }
    }

    fn sign(&self, stack: Option<&Stack>) -> Sign {
        stack.map_or(Sign::NotYet, |stack| {
            let moved = stack.last_updated != self.before;
            step::sign(stack.change_set.as_deref(), &self.change_set, moved)
        })
    }
}

/// A change set that came to its end.
pub(crate) struct Executed {
    pub(crate) change_set: String,
    pub(crate) changes: String,
    /// The token of the operation, if resources were to be deleted in it.
    pub(crate) drops: Option<String>,
}

/// Where a phase leads.
enum Next {
    /// On, at once.
    Go(Phase),
    /// Plan again in the next invocation: the old plan is worth nothing.
    Replan,
    /// Look again in the next invocation.
    Wait(Phase, Told),
    /// The stack is what it should be.
    Done {
        stack: Box<Stack>,
        /// What was executed for that, if anything was.
        executed: Option<Executed>,
    },
    /// The plan is made, and that was all.
    Planned { change_set: String, plan: Plan },
    /// Nothing needs to be changed, and nobody asked to change it.
    NothingPlanned,
}

pub(crate) async fn step(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
) -> Result<Outcome, DeployError> {
    let mut state = job.state::<State>()?.unwrap_or_default();
    let attempt = Attempt {
        action,
        client,
        job,
    };
    loop {
        let begun = state.phase != Phase::Prepare;
        let next = match attempt.advance(&state).await {
            Ok(next) => next,
            Err(error) => match (error.passing(begun), &error) {
                (Some(told), _) => Next::Wait(state.phase.clone(), Told::new(told)),
                (None, DeployError::Stack(conflict)) if conflict.is_conflict() => {
                    tracing::info!(%error, "the stack has changed meanwhile; planning afresh");
                    Next::Replan
                }
                (None, _) => return Err(error),
            },
        };
        let (phase, progress) = match next {
            Next::Go(phase) => {
                state.phase = phase;
                continue;
            }
            Next::Replan => {
                state.plans += 1;
                if state.plans >= PLANS {
                    return Err(DeployError::Unsettled {
                        stack: job.parameters.stack.clone(),
                        times: state.plans,
                    });
                }
                (
                    Phase::Prepare,
                    Told::new("the stack has changed meanwhile; planning afresh"),
                )
            }
            Next::Wait(phase, progress) => (phase, progress),
            Next::Done { stack, executed } => {
                return published::deployed(client, job, &stack, executed).await;
            }
            Next::Planned { change_set, plan } => {
                return published::planned(job, &change_set, &plan).await;
            }
            Next::NothingPlanned => {
                return published::planned(job, plan::NOTHING, &Plan::default()).await;
            }
        };
        state.phase = phase;
        let state = serde_json::to_value(&state).expect("the state is plain data");
        return Ok(Outcome::Continue { state, progress });
    }
}

/// What every phase needs at hand.
struct Attempt<'a> {
    action: &'a DeployStack,
    client: &'a Client,
    job: &'a Job<Parameters>,
}

impl Attempt<'_> {
    fn name(&self) -> &str {
        &self.job.parameters.stack
    }

    /// The name of one of the attempt's requests: the same when the same step is taken twice,
    /// another for each operation.
    fn token(&self, state: &State, operation: &str) -> String {
        token(self.job.origin().as_str(), state.plans, operation)
    }

    async fn advance(&self, state: &State) -> Result<Next, DeployError> {
        let next = match &state.phase {
            Phase::Prepare => self.prepare(state).await,
            Phase::Clearing { stack, asked } => self.clearing(state, stack, *asked).await,
            Phase::Recovering { stack, asked } => self.recovering(state, stack, *asked).await,
            Phase::Planning(plan) => self.planning(state, plan).await,
            Phase::Executing { plan, carried } => self.executing(state, plan, carried).await,
        }?;
        if let Next::Done { stack, .. } = &next {
            settings::settle(self.client, self.job, stack).await?;
        }
        Ok(next)
    }

    async fn prepare(&self, state: &State) -> Result<Next, DeployError> {
        let parameters = &self.job.parameters;
        let name = self.name();
        if self.change_set() == Some(plan::NOTHING) {
            return self.unchanged(name).await;
        }
        let observed = describe(self.client, name).await?;
        let arn = observed.stack().map_or(name, |stack| &stack.arn).to_owned();
        match step::prepare(observed.status(), self.goal()) {
            Preparation::Wait => Ok(Next::Wait(
                Phase::Prepare,
                Told::new(format!(
                    "waiting for stack `{name}`, which is {}",
                    words(&observed)
                )),
            )),
            Preparation::Refuse(why) => Err(DeployError::Refused {
                stack: name.to_owned(),
                status: words(&observed),
                why,
            }),
            Preparation::DeleteFirst => {
                let token = self.token(state, "clear");
                delete::ask(self.client, &arn, parameters.role.as_deref(), &token).await?;
                Ok(Next::Wait(
                    Phase::Clearing {
                        stack: arn,
                        asked: 0,
                    },
                    Told::new(format!("deleting what is left of stack `{name}`")),
                ))
            }
            Preparation::ContinueRollback => {
                self.client
                    .continue_update_rollback()
                    .stack_name(&arn)
                    .client_request_token(self.token(state, "continue"))
                    .set_role_arn(parameters.role.clone())
                    .set_resources_to_skip(
                        (!parameters.skip.is_empty()).then(|| parameters.skip.clone()),
                    )
                    .send()
                    .await
                    .map_err(|error| {
                        StackError::call("continue the rollback of stack", name, &error)
                    })?;
                Ok(Next::Wait(
                    Phase::Recovering {
                        stack: arn,
                        asked: 0,
                    },
                    Told::new(format!("continuing the rollback of stack `{name}`")),
                ))
            }
            Preparation::RollBack => {
                self.client
                    .rollback_stack()
                    .stack_name(&arn)
                    .client_request_token(self.token(state, "rollback"))
                    .set_role_arn(parameters.role.clone())
                    // What the update made and nobody has used goes, too, whatever its deletion policy says.
                    .retain_except_on_create(true)
                    .send()
                    .await
                    .map_err(|error| StackError::call("roll back stack", name, &error))?;
                Ok(Next::Wait(
                    Phase::Recovering {
                        stack: arn,
                        asked: 0,
                    },
                    Told::new(format!("rolling back stack `{name}`")),
                ))
            }
            Preparation::Proceed(kind) => match (self.change_set(), observed.stack()) {
                (Some(change_set), Some(stack)) => self.adopt(change_set, kind, stack).await,
                (_, stack) => self.plan(state, kind, stack).await,
            },
        }
    }

    /// What the parameters ask for.
    fn goal(&self) -> Goal {
        match self.job.parameters.operation {
            Operation::Plan => Goal::Plan,
            Operation::Execute => Goal::Execute,
            Operation::Deploy | Operation::Delete | Operation::Sweep | Operation::Site => {
                Goal::Deploy(self.job.parameters.on_failure)
            }
        }
    }

    /// The plan that somebody made before, and that is to be carried out.
    fn change_set(&self) -> Option<&str> {
        self.job.parameters.change_set.as_deref()
    }

    /// Takes a plan over that was made before. One that was carried out already is not carried out again: it has come
    /// to its end, or has failed.
    async fn adopt(
        &self,
        change_set: &str,
        kind: Kind,
        stack: &Stack,
    ) -> Result<Next, DeployError> {
        let plan = Planned {
            stack: stack.arn.clone(),
            change_set: change_set.to_owned(),
            create: kind == Kind::Create,
            shell: false,
            before: stack.last_updated.clone(),
            refused: 0,
        };
        if stack.change_set.as_deref() != Some(change_set) || kind == Kind::Create {
            return Ok(Next::Go(Phase::Planning(plan)));
        }
        match stack.status {
            StackStatus::CreateComplete | StackStatus::UpdateComplete => {
                let (_, found) = plan::read(self.client, change_set, &stack.arn).await?;
                Ok(Next::Done {
                    stack: Box::new(stack.clone()),
                    executed: Some(Executed {
                        change_set: plan.change_set,
                        changes: found.counts().to_string(),
                        drops: None,
                    }),
                })
            }
            _ => Err(self.obsolete(&plan)),
        }
    }

    async fn plan(
        &self,
        state: &State,
        kind: Kind,
        stack: Option<&Stack>,
    ) -> Result<Next, DeployError> {
        let existing = stack.map_or(&[][..], |stack| &stack.parameters);
        let desired = inputs::desired(self.action, self.client, self.job, kind, existing).await?;
        let token = self.token(state, "plan");
        match change_set::create(self.client, self.name(), &token, kind, &desired).await? {
            Making::Made(made) => Ok(Next::Go(Phase::Planning(Planned {
                stack: made.stack,
                change_set: made.change_set,
                create: kind == Kind::Create,
                shell: stack.is_none(),
                before: stack.and_then(|stack| stack.last_updated.clone()),
                refused: 0,
            }))),
            Making::NothingToDo => self.unchanged(self.name()).await,
            Making::Clash => Ok(Next::Replan),
        }
    }

    async fn planning(&self, state: &State, plan: &Planned) -> Result<Next, DeployError> {
        let (verdict, found) = plan::read(self.client, &plan.change_set, &plan.stack).await?;
        let operation = self.job.parameters.operation;
        let executing = || Phase::executing(plan, &found);
        match verdict {
            Verdict::Pending => Ok(Next::Wait(
                state.phase.clone(),
                Told::new(format!("planning the change of stack `{}`", self.name())),
            )),
            Verdict::Ready if operation == Operation::Plan => Ok(Next::Planned {
                change_set: plan.change_set.clone(),
                plan: found,
            }),
            Verdict::Ready => {
                self.pass(state, plan, &found).await?;
                if plan.kind() == Kind::Update {
                    settings::guard(self.client, self.job, &plan.stack).await?;
                }
                published::keep(self.job, &plan.change_set, &found).await?;
                let changes = found.counts();
                tracing::info!(stack = plan.stack, change_set = plan.change_set, %changes, "executing the change set");
                let token = self.token(state, "execute");
                let settled = found.on_stack_failure.is_some();
                let (set, stack) = (&plan.change_set, &plan.stack);
                match change_set::execute(self.client, set, stack, &token, settled).await? {
                    Execution::Started => Ok(Next::Go(executing())),
                    Execution::LookAgain if plan.refused >= STALE_READS => {
                        self.worthless(operation, plan)
                    }
                    Execution::LookAgain => Ok(Next::Wait(
                        Phase::Planning(Planned {
                            refused: plan.refused + 1,
                            ..plan.clone()
                        }),
                        Told::new(format!(
                            "looking again at the plan for stack `{}`",
                            self.name()
                        )),
                    )),
                }
            }
            Verdict::Executing | Verdict::Executed | Verdict::ExecutionFailed(_) => {
                Ok(Next::Go(executing()))
            }
            Verdict::Empty => {
                change_set::discard(self.client, &plan.change_set, &plan.stack).await?;
                self.unchanged(&plan.stack).await
            }
            Verdict::Obsolete => {
                let observed = describe(self.client, &plan.stack).await?;
                let began = match plan.sign(observed.stack()) {
                    _ if observed.status() == Some(StackStatus::ReviewInProgress) => false,
                    Sign::Ours => true,
                    Sign::Unnamed => {
                        let token = self.token(state, "execute");
                        let since = since(self.job);
                        let ending = cause::ending(self.client, &plan.stack, &token, since).await?;
                        ending != Ending::Unstamped
                    }
                    Sign::NotYet | Sign::Superseded => false,
                };
                if began {
                    Ok(Next::Go(executing()))
                } else {
                    self.worthless(operation, plan)
                }
            }
            Verdict::Failed(reason) => {
                // Asked before the set is tidied away, and its events with it.
                let reason = cause::why_refused(self.client, &plan.change_set, &reason).await;
                // That it cannot be tidied up must not hide why it failed.
                if let Err(error) = self.tidy(state, plan).await {
                    tracing::warn!(%error, "the failed plan could not be cleaned up");
                }
                Err(DeployError::ChangeSet {
                    stack: self.name().to_owned(),
                    reason,
                })
            }
        }
    }

    /// The gate: a plan that would lose data is executed only where that was allowed. One that was reviewed was
    /// allowed by whoever reviewed it.
    async fn pass(&self, state: &State, plan: &Planned, found: &Plan) -> Result<(), DeployError> {
        let policy = &self.job.parameters.loss;
        if self.job.parameters.operation == Operation::Execute {
            return Ok(());
        }
        let losses = gate::judge(&gate::losses(found, &policy.stateful), policy);
        let unjudged = gate::unjudged(found, policy);
        if losses.is_empty() && unjudged.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.tidy(state, plan).await {
            tracing::warn!(%error, "the plan that was stopped could not be cleaned up");
        }
        let stack = self.name().to_owned();
        Err(if losses.is_empty() {
            DeployError::Unjudged {
                stack,
                nested: unjudged,
            }
        } else {
            DeployError::Stopped { stack, losses }
        })
    }

    /// A plan that cannot be carried out any more: another is made, unless it was this one that people have reviewed.
    fn worthless(&self, operation: Operation, plan: &Planned) -> Result<Next, DeployError> {
        match operation {
            Operation::Execute => Err(self.obsolete(plan)),
            Operation::Deploy
            | Operation::Plan
            | Operation::Delete
            | Operation::Sweep
            | Operation::Site => Ok(Next::Replan),
        }
    }

    fn obsolete(&self, plan: &Planned) -> DeployError {
        DeployError::ObsoletePlan {
            stack: self.name().to_owned(),
            change_set: plan.change_set.clone(),
        }
    }

    /// Takes a failed change set away, and with it the empty shell of a stack if we made that.
    async fn tidy(&self, state: &State, plan: &Planned) -> Result<(), StackError> {
        if plan.shell {
            let observed = describe(self.client, &plan.stack).await?;
            if observed.status() == Some(StackStatus::ReviewInProgress) {
                let token = self.token(state, "tidy");
                return delete::ask(self.client, &plan.stack, None, &token).await;
            }
        }
        change_set::discard(self.client, &plan.change_set, &plan.stack).await
    }

    /// The stack needs no change: that is success if it stands, and not if it is on its way
    /// elsewhere.
    async fn unchanged(&self, stack: &str) -> Result<Next, DeployError> {
        let observed = describe(self.client, stack).await?;
        match (step::prepare(observed.status(), Goal::Plan), observed) {
            (Preparation::Proceed(Kind::Update), Observed::Present(stack)) => {
                Ok(match self.job.parameters.operation {
                    Operation::Plan => Next::NothingPlanned,
                    Operation::Deploy
                    | Operation::Execute
                    | Operation::Delete
                    | Operation::Sweep
                    | Operation::Site => Next::Done {
                        stack,
                        executed: None,
                    },
                })
            }
            _ => Ok(Next::Replan),
        }
    }

    async fn failed(
        &self,
        verb: &'static str,
        arn: &str,
        observed: &Observed,
        token: &str,
    ) -> DeployError {
        let cause = cause(self.client, arn, token, since(self.job)).await;
        DeployError::Operation {
            verb,
            stack: self.name().to_owned(),
            arn: arn.to_owned(),
            status: observed.status(),
            cause: cause.map(Box::new),
        }
    }
}

/// Why an operation failed, when that can be read; that it cannot must not hide the failure itself.
pub(crate) async fn cause(client: &Client, stack: &str, token: &str, since: f64) -> Option<Cause> {
    let found = cause::find(client, stack, token, since).await;
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, "the stack's events could not be read");
        None
    })
}

/// The moment from which events can be ours, in seconds since 1970.
pub(crate) fn since(job: &Job<Parameters>) -> f64 {
    job.started_at()
        .checked_sub(CLOCK_SKEW)
        .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0.0, |at| at.as_secs_f64())
}

/// The name of one of an attempt's requests: letters, digits and hyphens, at most 128.
pub(crate) fn token(attempt: &str, plans: u32, operation: &str) -> String {
    format!("towpath-{attempt}-{plans}-{operation}")
}

fn words(observed: &Observed) -> String {
    observed
        .status()
        .map_or_else(|| "absent".to_owned(), |status| status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_survives_a_token() {
        let plan = Planned {
            stack: "arn:stack".into(),
            change_set: "arn:set".into(),
            create: false,
            shell: false,
            before: Some("2026-01-01T00:00:00Z".into()),
            refused: 1,
        };
        for phase in [
            Phase::Prepare,
            Phase::Clearing {
                stack: "arn:stack".into(),
                asked: 2,
            },
            Phase::Recovering {
                stack: "arn:stack".into(),
                asked: 0,
            },
            Phase::Planning(plan.clone()),
            Phase::Executing {
                plan,
                carried: Carried {
                    changes: "1 changed".into(),
                    stale: 1,
                    of: 500,
                    drops: true,
                    watch: Watch::default(),
                },
            },
        ] {
            let state = State { plans: 1, phase };
            let text = serde_json::to_string(&state).expect("plain data");
            assert!(text.len() < 1_000, "fits in a token: {text}");
            assert_eq!(
                serde_json::from_str::<State>(&text).expect("reads back"),
                state
            );
        }
    }

    #[test]
    fn each_operation_has_a_request_token_of_its_own_that_the_service_takes() {
        let attempt = "11111111-2222-3333-4444-555555555555";
        let tokens = ["plan", "execute", "clear", "continue", "tidy"]
            .map(|operation| token(attempt, 4, operation));
        for token in &tokens {
            assert!(token.len() <= 128, "{token}");
            assert!(token.starts_with("towpath-"), "{token}");
            assert!(
                token
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
                "{token}"
            );
        }
        let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len());
    }
}
