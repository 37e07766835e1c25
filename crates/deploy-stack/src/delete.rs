//! `action=delete`: ask once, wait, tell.

use aws_sdk_cloudformation::Client;
use serde::{Deserialize, Serialize};
use towpath_job::{Job, Outcome, Progress};
use towpath_stack::step::{self, Deletion};
use towpath_stack::{Fault, Observed, StackError, StackStatus, cause, describe};

use crate::{DeployError, Parameters, deploy};

/// What this attempt has done so far: the state of the continuation token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// The stack's ARN, once it has been seen.
    stack: Option<String>,
    /// How often the stack was looked at since we asked for its deletion.
    asked: Option<u32>,
}

pub(crate) async fn step(client: &Client, job: &Job<Parameters>) -> Result<Outcome, DeployError> {
    let mut state = job.state::<State>()?.unwrap_or_default();
    match advance(client, job, &mut state).await {
        // Neither says anything about the stack; a deletion that was asked for goes on without us.
        Err(DeployError::Stack(error))
            if error.fault() == Fault::Throttled
                || error.fault() == Fault::Unavailable && state.asked.is_some() =>
        {
            tracing::warn!(%error, "CloudFormation did not answer; looking again later");
            Ok(wait(
                &state,
                "CloudFormation does not answer for now".to_owned(),
            ))
        }
        other => other,
    }
}

async fn advance(
    client: &Client,
    job: &Job<Parameters>,
    state: &mut State,
) -> Result<Outcome, DeployError> {
    let name = &job.parameters.stack;
    let token = deploy::token(job.origin().as_str(), 0, "delete");
    let observed = describe(client, state.stack.as_deref().unwrap_or(name)).await?;
    if let Observed::Present(stack) = &observed {
        state.stack.get_or_insert_with(|| stack.arn.clone());
    }
    let arn = state.stack.clone().unwrap_or_else(|| name.clone());
    match step::deletion(&observed, state.asked) {
        Deletion::Done => Ok(Outcome::done(match state.asked {
            Some(_) => format!("stack `{name}` is deleted"),
            None => format!("stack `{name}` does not exist"),
        })),
        Deletion::Wait => {
            state.asked = state.asked.map(|asked| looks(&observed, asked));
            let status = observed.status().map_or("gone", StackStatus::as_str);
            Ok(wait(
                state,
                format!("deleting stack `{name}`, which is {status}"),
            ))
        }
        Deletion::Start => {
            if observed
                .stack()
                .is_some_and(|stack| stack.termination_protection)
            {
                return Err(DeployError::Protected(name.clone()));
            }
            ask(client, &arn, job.parameters.role.as_deref(), &token).await?;
            state.asked = Some(0);
            Ok(wait(state, format!("deleting stack `{name}`")))
        }
        Deletion::Failed => {
            // A refused deletion leaves no failed resource: the stack itself says why.
            let cause = match observed.status() {
                Some(StackStatus::DeleteFailed) => {
                    let found = cause::find(client, &arn, &token, deploy::since(job)).await;
                    found.unwrap_or_else(|error| {
                        tracing::warn!(%error, "the stack's events could not be read");
                        None
                    })
                }
                _ => None,
            };
            Err(DeployError::Operation {
                verb: "delete",
                stack: name.clone(),
                arn,
                status: observed.status(),
                cause: cause.or_else(|| own_reason(&observed)).map(Box::new),
            })
        }
    }
}

/// How often the stack was looked at since its deletion was asked for. Once the deletion was seen
/// under way, what comes after is no late read.
pub(crate) fn looks(observed: &Observed, asked: u32) -> u32 {
    match observed.status() {
        Some(StackStatus::DeleteInProgress) => step::STALE_READS,
        _ => asked + 1,
    }
}

fn own_reason(observed: &Observed) -> Option<cause::Cause> {
    let stack = observed.stack()?;
    Some(cause::Cause {
        logical_id: stack.name.clone(),
        resource_type: "AWS::CloudFormation::Stack".to_owned(),
        status: stack.status.to_string(),
        reason: stack.reason.clone()?,
        others: Vec::new(),
        fault: Fault::Refused,
    })
}

fn wait(state: &State, summary: String) -> Outcome {
    Outcome::Continue {
        state: serde_json::to_value(state).expect("the state is plain data"),
        progress: Progress::new(summary),
    }
}

/// Asks for a stack's deletion. `token` marks every event of the operation.
pub(crate) async fn ask(
    client: &Client,
    stack: &str,
    role: Option<&str>,
    token: &str,
) -> Result<(), StackError> {
    client
        .delete_stack()
        .stack_name(stack)
        .client_request_token(token)
        .set_role_arn(role.map(str::to_owned))
        .send()
        .await
        .map(drop)
        .map_err(|error| StackError::call("delete stack", stack, &error))
}
