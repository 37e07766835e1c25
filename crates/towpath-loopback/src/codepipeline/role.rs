//! On whose behalf an action acts: the pipeline's role, or the action's own, assumed through it.

use serde_json::{Value, json};
use towpath_engine::{Artifact, Definition, Failure};

use crate::identity::Credentials;
use crate::{AwsError, Caller, World};

const SERVICE: &str = "codepipeline.amazonaws.com";

/// A session of a role.
pub(super) struct Session {
    pub(super) credentials: Credentials,
    pub(super) caller: Caller,
}

/// Whether CodePipeline may act in the roles that a definition names. Asked before the pipeline exists, as AWS does.
pub(super) fn check(world: &World, definition: &Definition) -> Result<(), AwsError> {
    if trusted(world, &definition.name, &definition.role_arn) {
        return Ok(());
    }
    Err(AwsError::client(
        "InvalidStructureException",
        format!(
            "CodePipeline is not authorized to perform AssumeRole on role {}",
            definition.role_arn
        ),
    ))
}

/// Begins a session for an action. `name` is the session's; `policy` narrows what it may do.
pub(super) fn assume(
    world: &World,
    pipeline: &str,
    role: &str,
    name: &str,
    policy: Option<Value>,
) -> Result<Session, Failure> {
    let of_pipeline = world.codepipeline.role_of(pipeline).unwrap_or_default();
    if !trusted(world, pipeline, &of_pipeline) {
        return Err(not_assumable(&of_pipeline));
    }
    if role != of_pipeline {
        let bridge = begin(world, &of_pipeline, name, None)?;
        world
            .identity
            .authorize(&bridge.caller, "sts:AssumeRole", role)
            .map_err(|error| permission(&error))?;
        if !world.identity.trusts_caller(role, &bridge.caller) {
            return Err(not_assumable(role));
        }
    }
    begin(world, role, name, policy)
}

fn begin(world: &World, role: &str, name: &str, policy: Option<Value>) -> Result<Session, Failure> {
    let credentials = world
        .identity
        .assume(role, name, policy)
        .map_err(|_| not_assumable(role))?;
    let caller = world
        .identity
        .known(&credentials.access_key_id)
        .map(|known| known.caller)
        .ok_or_else(|| not_assumable(role))?;
    Ok(Session {
        credentials,
        caller,
    })
}

/// Whether the role's trust policy names CodePipeline, which states for whom it acts.
fn trusted(world: &World, pipeline: &str, role: &str) -> bool {
    let source = world.arn("codepipeline", pipeline);
    world.identity.trusts_service(role, SERVICE, Some(&source))
}

fn not_assumable(role: &str) -> Failure {
    Failure::new(
        "PermissionError",
        format!("CodePipeline is not authorized to perform AssumeRole on role {role}"),
    )
}

/// What an action fails with when its role may not do what the action needs.
pub(super) fn permission(error: &AwsError) -> Failure {
    Failure::new(
        "PermissionError",
        format!(
            "The provided role does not have permissions to perform this action. Underlying error: {}",
            error.message
        ),
    )
}

/// What a job's credentials may do: read and write in the buckets of its artifacts, with their keys.
pub(super) fn artifact_policy<'a>(artifacts: impl IntoIterator<Item = &'a Artifact>) -> Value {
    let mut buckets: Vec<&str> = artifacts
        .into_iter()
        .map(|artifact| artifact.bucket.as_str())
        .collect();
    buckets.sort_unstable();
    buckets.dedup();
    let resources: Vec<String> = buckets
        .iter()
        .flat_map(|bucket| {
            [
                format!("arn:aws:s3:::{bucket}"),
                format!("arn:aws:s3:::{bucket}/*"),
            ]
        })
        .collect();
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:ListBucket",
                    "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads",
                ],
                "Resource": resources,
            },
            {
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                "Resource": "*",
            },
        ],
    })
}
