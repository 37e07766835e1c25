//! What a stack has beside its template, and no change set carries: its policy and its protection.

use aws_sdk_cloudformation::Client;
use towpath_job::Job;
use towpath_stack::{Stack, StackError};

use crate::{DeployError, Parameters, inputs};

/// Gives the stack the policy that the configuration file has, if it has one. Before an update it already guards that
/// update.
pub(crate) async fn guard(
    client: &Client,
    job: &Job<Parameters>,
    stack: &str,
) -> Result<(), DeployError> {
    let Some(policy) = inputs::configured(job).await?.stack_policy else {
        return Ok(());
    };
    client
        .set_stack_policy()
        .stack_name(stack)
        .stack_policy_body(serde_json::Value::from(policy).to_string())
        .send()
        .await
        .map_err(|error| StackError::call("set the policy of stack", stack, &error))?;
    Ok(())
}

/// Brings a stack that stands to the policy and the protection that it is to have. A new stack has no resources to guard
/// before, and one that needs no change may need these.
pub(crate) async fn settle(
    client: &Client,
    job: &Job<Parameters>,
    stack: &Stack,
) -> Result<(), DeployError> {
    guard(client, job, &stack.arn).await?;
    match job.parameters.protect {
        Some(protect) if protect != stack.termination_protection => {
            client
                .update_termination_protection()
                .stack_name(&stack.arn)
                .enable_termination_protection(protect)
                .send()
                .await
                .map_err(|error| {
                    StackError::call("set the protection of stack", &stack.arn, &error)
                })?;
            Ok(())
        }
        _ => Ok(()),
    }
}
