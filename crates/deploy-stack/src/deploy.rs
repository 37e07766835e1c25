//! `action=deploy`: plan, execute, wait, tell.

use serde::{Deserialize, Serialize};
use towpath_artifact::{Encryption as Sse, Location, Source};
use towpath_job::{Encryption, Job, Outcome, Progress as Told, Receipt, Variables};
use towpath_stack::change_set::{self, Making, Verdict};
use towpath_stack::step::{self, Deletion, Kind, Preparation, Progress};
use towpath_stack::{Fault, Observed, Stack, StackError, cause, describe};

use aws_sdk_cloudformation::Client;

use crate::{DeployError, DeployStack, Parameters, inputs};

/// How often a plan may turn out obsolete before we give up.
const PLANS: u32 = 5;

/// What this attempt has done so far: the state of the continuation token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The job that began the attempt. Names of change sets and request tokens are made from it,
    /// so that the same step taken twice makes the same thing.
    attempt: String,
    /// How many plans were made.
    plans: u32,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
enum Phase {
    /// Nothing is under way.
    Prepare,
    /// The remains of a creation that never succeeded are being deleted.
    Clearing { stack: String, asked: u32 },
    /// A rollback that got stuck is being continued.
    Recovering { stack: String },
    /// A change set is being computed.
    Planning {
        stack: String,
        change_set: String,
        create: bool,
        before: Option<String>,
    },
    /// The change set is being executed.
    Executing {
        stack: String,
        change_set: String,
        create: bool,
        before: Option<String>,
        changes: String,
    },
}

/// Where a phase leads.
enum Next {
    /// On, at once.
    Go(Phase),
    /// Plan again: the old plan is worth nothing.
    Replan,
    /// Look again in the next invocation.
    Wait(Phase, Told),
    /// The stack is what it should be.
    Done {
        stack: Box<Stack>,
        changes: Option<String>,
    },
}

pub(crate) async fn step(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
) -> Result<Outcome, DeployError> {
    let mut state = job.state::<State>()?.unwrap_or_else(|| State {
        attempt: job.id.to_string(),
        plans: 0,
        phase: Phase::Prepare,
    });
    loop {
        let next = match advance(action, client, job, &state).await {
            // Throttling says nothing about the stack: come back later.
            Err(DeployError::Stack(error)) if error.fault() == Fault::Throttled => Next::Wait(
                state.phase.clone(),
                Told::new("CloudFormation asks to slow down"),
            ),
            other => other?,
        };
        match next {
            Next::Go(phase) => state.phase = phase,
            Next::Replan => {
                state.plans += 1;
                if state.plans >= PLANS {
                    return Err(DeployError::Unsettled {
                        stack: job.parameters.stack.clone(),
                        times: state.plans,
                    });
                }
                state.phase = Phase::Prepare;
            }
            Next::Wait(phase, progress) => {
                state.phase = phase;
                let state = serde_json::to_value(&state).expect("the state is plain data");
                return Ok(Outcome::Continue { state, progress });
            }
            Next::Done { stack, changes } => return done(job, &stack, changes.as_deref()).await,
        }
    }
}

async fn advance(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
    state: &State,
) -> Result<Next, DeployError> {
    let name = &job.parameters.stack;
    match &state.phase {
        Phase::Prepare => prepare(action, client, job, state).await,
        Phase::Clearing { stack, asked } => {
            let observed = describe(client, stack).await?;
            match step::deletion(&observed, Some(*asked)) {
                Deletion::Done => Ok(Next::Go(Phase::Prepare)),
                Deletion::Wait => Ok(Next::Wait(
                    Phase::Clearing {
                        stack: stack.clone(),
                        asked: asked + 1,
                    },
                    Told::new(format!("deleting what is left of stack `{name}`")),
                )),
                Deletion::Start | Deletion::Failed => Err(failed(
                    client,
                    "delete the remains of",
                    name,
                    stack,
                    &observed,
                    &token(state),
                )
                .await),
            }
        }
        Phase::Recovering { stack } => {
            let observed = describe(client, stack).await?;
            match step::prepare(observed.status(), job.parameters.on_failure) {
                Preparation::Plan(_) => Ok(Next::Go(Phase::Prepare)),
                Preparation::Wait => Ok(Next::Wait(
                    state.phase.clone(),
                    Told::new(format!("continuing the rollback of stack `{name}`")),
                )),
                _ => Err(failed(client, "roll back", name, stack, &observed, &token(state)).await),
            }
        }
        Phase::Planning {
            stack,
            change_set,
            create,
            before,
        } => {
            planning(
                client,
                job,
                state,
                stack,
                change_set,
                *create,
                before.as_deref(),
            )
            .await
        }
        Phase::Executing {
            stack,
            change_set,
            create,
            before,
            changes,
        } => {
            let observed = describe(client, stack).await?;
            let ours = is_ours(observed.stack(), change_set, before.as_deref());
            match step::execution(kind(*create), observed.status(), ours) {
                Progress::Succeeded => match observed {
                    Observed::Present(stack) => Ok(Next::Done {
                        stack,
                        changes: Some(changes.clone()),
                    }),
                    Observed::Absent => {
                        Err(failed(client, "deploy", name, stack, &observed, &token(state)).await)
                    }
                },
                Progress::Wait => Ok(Next::Wait(
                    state.phase.clone(),
                    Told::new(format!("stack `{name}`: {changes}, {}", words(&observed))),
                )),
                Progress::RollingBack => Ok(Next::Wait(
                    state.phase.clone(),
                    Told::new(format!("stack `{name}` failed and is rolling back")),
                )),
                Progress::Failed => {
                    Err(failed(client, "deploy", name, stack, &observed, &token(state)).await)
                }
            }
        }
    }
}

async fn prepare(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
    state: &State,
) -> Result<Next, DeployError> {
    let parameters = &job.parameters;
    let name = &parameters.stack;
    let observed = describe(client, name).await?;
    match step::prepare(observed.status(), parameters.on_failure) {
        Preparation::Wait => Ok(Next::Wait(
            Phase::Prepare,
            Told::new(format!(
                "waiting for stack `{name}`, which is {}",
                words(&observed)
            )),
        )),
        Preparation::Refuse(why) => Err(DeployError::Refused {
            stack: name.clone(),
            status: words(&observed),
            why,
        }),
        Preparation::DeleteFirst => {
            let arn = observed.stack().map_or(name, |stack| &stack.arn).clone();
            crate::delete::ask(client, &arn, parameters.role.as_deref(), &token(state)).await?;
            Ok(Next::Go(Phase::Clearing {
                stack: arn,
                asked: 0,
            }))
        }
        Preparation::ContinueRollback => {
            let arn = observed.stack().map_or(name, |stack| &stack.arn).clone();
            client
                .continue_update_rollback()
                .stack_name(&arn)
                .client_request_token(token(state))
                .set_role_arn(parameters.role.clone())
                .send()
                .await
                .map_err(|error| {
                    StackError::call("continue the rollback of stack", name, &error)
                })?;
            Ok(Next::Wait(
                Phase::Recovering { stack: arn },
                Told::new(format!("continuing the rollback of stack `{name}`")),
            ))
        }
        Preparation::Plan(kind) => {
            let existing = observed.stack().map_or(&[][..], |stack| &stack.parameters);
            let desired = inputs::desired(action, job, kind, existing).await?;
            let before = observed
                .stack()
                .and_then(|stack| stack.last_updated.clone());
            match change_set::create(client, name, &token(state), kind, &desired).await? {
                Making::Made(made) => Ok(Next::Go(Phase::Planning {
                    stack: made.stack,
                    change_set: made.change_set,
                    create: kind == Kind::Create,
                    before,
                })),
                Making::NothingToDo => unchanged(client, name).await,
            }
        }
    }
}

async fn planning(
    client: &Client,
    job: &Job<Parameters>,
    state: &State,
    stack: &str,
    change_set: &str,
    create: bool,
    before: Option<&str>,
) -> Result<Next, DeployError> {
    let (verdict, changes) = change_set::read(client, change_set, stack).await?;
    let executing = |changes: String| Phase::Executing {
        stack: stack.to_owned(),
        change_set: change_set.to_owned(),
        create,
        before: before.map(str::to_owned),
        changes,
    };
    match verdict {
        Verdict::Pending => Ok(Next::Wait(
            state.phase.clone(),
            Told::new(format!(
                "planning the change of stack `{}`",
                job.parameters.stack
            )),
        )),
        Verdict::Ready => {
            tracing::info!(stack, change_set, %changes, "executing the change set");
            change_set::execute(client, change_set, stack, &token(state)).await?;
            Ok(Next::Go(executing(changes.to_string())))
        }
        Verdict::Executed => Ok(Next::Go(executing(changes.to_string()))),
        Verdict::Empty => {
            change_set::discard(client, change_set, stack).await?;
            unchanged(client, stack).await
        }
        Verdict::Obsolete => {
            let observed = describe(client, stack).await?;
            if is_ours(observed.stack(), change_set, None) {
                return Ok(Next::Go(executing(changes.to_string())));
            }
            Ok(Next::Replan)
        }
        Verdict::Failed(reason) => {
            change_set::discard(client, change_set, stack).await?;
            if create {
                // What is left of a stack that never was: an empty shell that counts as a stack.
                crate::delete::ask(client, stack, None, &token(state)).await?;
            }
            Err(DeployError::ChangeSet {
                stack: job.parameters.stack.clone(),
                reason,
            })
        }
    }
}

async fn unchanged(client: &Client, stack: &str) -> Result<Next, DeployError> {
    match describe(client, stack).await? {
        Observed::Present(stack) => Ok(Next::Done {
            stack,
            changes: None,
        }),
        Observed::Absent => Ok(Next::Replan),
    }
}

async fn done(
    job: &Job<Parameters>,
    stack: &Stack,
    changes: Option<&str>,
) -> Result<Outcome, DeployError> {
    let mut variables = Variables::new();
    let own = [
        ("StackName", stack.name.clone()),
        ("StackArn", stack.arn.clone()),
        ("Changed", changes.is_some().to_string()),
    ];
    // An output of the same name is the application's word, and wins.
    let all = own.iter().map(|(name, value)| (*name, value)).chain(
        stack
            .outputs
            .iter()
            .map(|(name, value)| (name.as_str(), value)),
    );
    for (name, value) in all {
        variables
            .insert(name, value)
            .map_err(DeployError::Variable)?;
    }
    let receipts = publish(job, stack).await?;
    let summary = match changes {
        Some(changes) => format!("stack `{}` is {}: {changes}", stack.name, stack.status),
        None => format!("stack `{}` is up to date", stack.name),
    };
    Ok(Outcome::Done {
        summary,
        variables,
        receipts,
    })
}

/// Writes the stack's outputs as `outputs.json` into every output artifact.
async fn publish(job: &Job<Parameters>, stack: &Stack) -> Result<Vec<Receipt>, DeployError> {
    let mut receipts = Vec::new();
    if job.outputs.is_empty() {
        return Ok(receipts);
    }
    let text = serde_json::to_vec_pretty(&stack.outputs).expect("text by text");
    let file = Source::Bytes {
        name: "outputs.json",
        bytes: &text,
    };
    let store = job.artifact_store();
    let encryption = match job.sse() {
        Encryption::KmsDefault => Sse::Kms,
        Encryption::KmsKey(key) => Sse::KmsKey(key),
    };
    for output in &job.outputs {
        let location = Location {
            bucket: &output.location.bucket,
            key: &output.location.key,
        };
        towpath_artifact::publish(&store, file, location, &encryption)
            .await
            .map_err(|source| DeployError::Artifact {
                name: output.name.clone(),
                source,
            })?;
        receipts.push(Receipt::published(&output.name));
    }
    Ok(receipts)
}

async fn failed(
    client: &Client,
    verb: &'static str,
    name: &str,
    arn: &str,
    observed: &Observed,
    token: &str,
) -> DeployError {
    // The cause is told when it can be read; that it cannot must not hide the failure itself.
    let cause = match cause::find(client, arn, token).await {
        Ok(cause) => cause,
        Err(error) => {
            tracing::warn!(%error, "the stack's events could not be read");
            None
        }
    };
    DeployError::Operation {
        verb,
        stack: name.to_owned(),
        arn: arn.to_owned(),
        status: observed.status(),
        cause: cause.map(Box::new),
    }
}

/// Whether the stack shows signs of our change set: it is the last one, or the time of the last
/// update has moved since we planned.
fn is_ours(stack: Option<&Stack>, change_set: &str, before: Option<&str>) -> bool {
    stack.is_some_and(|stack| {
        stack.change_set.as_deref() == Some(change_set)
            || before.is_some() && stack.last_updated.as_deref() != before
    })
}

fn kind(create: bool) -> Kind {
    if create { Kind::Create } else { Kind::Update }
}

/// The name of the attempt's change set, which is its request token too: letters, digits and
/// hyphens, at most 128.
fn token(state: &State) -> String {
    format!("towpath-{}-{}", state.attempt, state.plans)
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
        let state = State {
            attempt: "11111111-2222-3333-4444-555555555555".into(),
            plans: 1,
            phase: Phase::Executing {
                stack: "arn:stack".into(),
                change_set: "arn:set".into(),
                create: false,
                before: Some("2026-01-01T00:00:00Z".into()),
                changes: "1 changed".into(),
            },
        };
        let text = serde_json::to_string(&state).expect("plain data");
        assert!(text.len() < 1_000, "fits in a token: {text}");
        assert_eq!(
            serde_json::from_str::<State>(&text).expect("reads back"),
            state
        );
    }

    #[test]
    fn a_request_token_is_what_the_service_takes() {
        let state = State {
            attempt: "0a1b-2c".into(),
            plans: 2,
            phase: Phase::Prepare,
        };
        let token = token(&state);
        assert!(
            token.starts_with("towpath-") && token.len() <= 128,
            "{token}"
        );
        assert!(
            token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "{token}"
        );
    }

    #[test]
    fn our_own_operation_leaves_a_sign() {
        let stack = |change_set: Option<&str>, updated: Option<&str>| Stack {
            arn: "arn".into(),
            name: "app".into(),
            status: towpath_stack::StackStatus::UpdateComplete,
            reason: None,
            change_set: change_set.map(str::to_owned),
            last_updated: updated.map(str::to_owned),
            parameters: Vec::new(),
            outputs: std::collections::BTreeMap::new(),
            termination_protection: false,
        };
        for (seen, before, expected) in [
            (stack(Some("ours"), None), None, true),
            (stack(Some("theirs"), Some("t1")), Some("t1"), false),
            (stack(Some("theirs"), Some("t2")), Some("t1"), true),
            (stack(None, None), None, false),
        ] {
            assert_eq!(
                is_ours(Some(&seen), "ours", before),
                expected,
                "{seen:?} {before:?}"
            );
        }
    }
}
