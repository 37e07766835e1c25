//! `action=delete`: ask once, wait, tell.

use aws_sdk_cloudformation::Client;
use serde::{Deserialize, Serialize};
use towpath_job::{Job, Outcome, Progress};
use towpath_stack::step::{self, Deletion};
use towpath_stack::{Fault, Observed, StackError, cause, describe};

use crate::{DeployError, Parameters};

/// What this attempt has done so far: the state of the continuation token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    /// The job that began the attempt.
    attempt: String,
    /// The stack's ARN, once it has been seen.
    stack: Option<String>,
    /// How often the stack was looked at since we asked for its deletion.
    asked: Option<u32>,
}

pub(crate) async fn step(client: &Client, job: &Job<Parameters>) -> Result<Outcome, DeployError> {
    let mut state = job.state::<State>()?.unwrap_or_else(|| State {
        attempt: job.id.to_string(),
        ..State::default()
    });
    match advance(client, job, &mut state).await {
        Err(DeployError::Stack(error)) if error.fault() == Fault::Throttled => {
            Ok(wait(&state, "CloudFormation asks to slow down".to_owned()))
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
    let token = format!("towpath-{}", state.attempt);
    loop {
        let observed = describe(client, state.stack.as_deref().unwrap_or(name)).await?;
        if let Observed::Present(stack) = &observed {
            state.stack.get_or_insert_with(|| stack.arn.clone());
        }
        match step::deletion(&observed, state.asked) {
            Deletion::Done => {
                return Ok(Outcome::done(match state.asked {
                    Some(_) => format!("stack `{name}` is deleted"),
                    None => format!("stack `{name}` does not exist"),
                }));
            }
            Deletion::Wait => {
                state.asked = state.asked.map(|seen| seen + 1);
                let status = observed
                    .status()
                    .map_or("gone", towpath_stack::StackStatus::as_str);
                return Ok(wait(
                    state,
                    format!("deleting stack `{name}`, which is {status}"),
                ));
            }
            Deletion::Start => {
                if observed
                    .stack()
                    .is_some_and(|stack| stack.termination_protection)
                {
                    return Err(DeployError::Protected(name.clone()));
                }
                let arn = state.stack.as_deref().unwrap_or(name);
                ask(client, arn, job.parameters.role.as_deref(), &token).await?;
                state.asked = Some(0);
            }
            Deletion::Failed => {
                let arn = state.stack.clone().unwrap_or_else(|| name.clone());
                let cause = cause::find(client, &arn, &token).await.ok().flatten();
                // A refused deletion leaves no failed resource: the stack itself says why.
                let cause = cause.or_else(|| own_reason(&observed));
                return Err(DeployError::Operation {
                    verb: "delete",
                    stack: name.clone(),
                    arn,
                    status: observed.status(),
                    cause: cause.map(Box::new),
                });
            }
        }
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

/// Asks for a stack's deletion. A second request with the same token is harmless.
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
