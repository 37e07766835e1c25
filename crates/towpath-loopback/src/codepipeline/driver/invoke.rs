//! Hands a job to a Lambda function, in the shape that CodePipeline documents.

use std::sync::Arc;

use serde_json::{Value, json};
use towpath_engine::{Failure, Input, Invocation};

use super::super::answer::{job_artifact, object};
use super::super::role;
use super::tell;
use crate::{AwsError, World};

pub(super) async fn invoke(world: &Arc<World>, pipeline: &str, job: &Invocation) {
    world.fidelity.executed("CodePipeline action Invoke/Lambda");
    if let Err(failure) = hand_over(world, pipeline, job).await {
        tell(
            world,
            pipeline,
            Input::JobFailed {
                job: job.job.clone(),
                failure,
            },
        );
    }
}

async fn hand_over(world: &Arc<World>, pipeline: &str, job: &Invocation) -> Result<(), Failure> {
    let function = job
        .configuration
        .get("FunctionName")
        .map_or("", String::as_str);
    let session = role::assume(world, pipeline, &job.role_arn, job.job.as_str(), None)?;
    let event = json!({"CodePipeline.job": {
        "id": job.job.as_str(),
        "accountId": world.settings.account,
        "data": job_data(world, pipeline, job)?,
    }});
    let request = json!({
        "FunctionName": function,
        "InvocationType": "Event",
        "Payload": event.to_string(),
    });
    world
        .lambda
        .call(world, &session.caller, "Invoke", request)
        .await
        .map(|_| ())
        .map_err(|error| {
            let mut failure = refused(function, &error);
            if let Some(there) = world.lambda.missing(world, function) {
                failure.message.push_str(&no_such_function(&there));
            }
            failure
        })
}

/// The `data` of a job, with fresh credentials for its artifacts: a session of the action's role, narrowed to their buckets.
pub(in crate::codepipeline) fn job_data(
    world: &Arc<World>,
    pipeline: &str,
    job: &Invocation,
) -> Result<Value, Failure> {
    let policy = role::artifact_policy(job.inputs.iter().chain(&job.outputs));
    let session = role::assume(
        world,
        pipeline,
        &job.role_arn,
        job.job.as_str(),
        Some(policy),
    )?;
    let inputs: Vec<Value> = job.inputs.iter().map(job_artifact).collect();
    let outputs: Vec<Value> = job.outputs.iter().map(job_artifact).collect();
    let credentials = session.credentials;
    Ok(object(json!({
        "actionConfiguration": {"configuration": job.configuration},
        "inputArtifacts": inputs,
        "outputArtifacts": outputs,
        "artifactCredentials": {
            "accessKeyId": credentials.access_key_id,
            "secretAccessKey": credentials.secret_access_key,
            "sessionToken": credentials.session_token,
            "expirationTime": credentials.expiration_ms,
        },
        "continuationToken": job.continuation,
        "encryptionKey": job.encryption_key.as_ref().map(|id| json!({"id": id, "type": "KMS"})),
    })))
}

/// What AWS does not tell, for it would tell a role what it may not see: that the function is not there.
fn no_such_function(there: &[String]) -> String {
    let first = there.get(..5).unwrap_or(there).join(", ");
    let names = match there.len() {
        0 => "none".to_owned(),
        1..=5 => first,
        more => format!("{first} and {} more", more - 5),
    };
    format!("; there is no such function here: {names}")
}

/// Why Lambda did not take the event.
fn refused(function: &str, error: &AwsError) -> Failure {
    if error.code.starts_with("AccessDenied") {
        return role::permission(error);
    }
    let code = if error.status >= 500 {
        "SystemUnavailable"
    } else {
        "ConfigurationError"
    };
    Failure::new(
        code,
        format!(
            "The AWS Lambda function {function} could not be invoked: {} ({})",
            error.message, error.code
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::no_such_function;

    #[test]
    fn the_functions_that_exist_are_named() {
        let named = |count: usize| -> Vec<String> { (0..count).map(|n| format!("f{n}")).collect() };
        for (count, expected) in [
            (0, "none"),
            (2, "f0, f1"),
            (5, "f0, f1, f2, f3, f4"),
            (7, "f0, f1, f2, f3, f4 and 2 more"),
        ] {
            assert_eq!(
                no_such_function(&named(count)),
                format!("; there is no such function here: {expected}")
            );
        }
    }
}
