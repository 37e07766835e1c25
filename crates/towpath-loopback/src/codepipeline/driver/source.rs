//! Brings a source into the artifact store.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use towpath_engine::definition::Provider;
use towpath_engine::{Failure, Fetch, Input, Revision, SourceFetched, Time};

use super::super::role::{self, Session};
use super::tell;
use crate::{AwsError, World};

/// What a source action found.
struct Found {
    content: Bytes,
    revision: Revision,
    variables: BTreeMap<String, String>,
}

pub(super) async fn fetch(world: &Arc<World>, pipeline: &str, fetch: &Fetch) {
    let input = match bring(world, pipeline, fetch).await {
        Ok((revision, variables)) => Input::SourceFetched(SourceFetched {
            action_execution: fetch.action_execution.clone(),
            revision,
            variables,
        }),
        Err(failure) => Input::ActionFailed {
            action_execution: fetch.action_execution.clone(),
            failure,
        },
    };
    tell(world, pipeline, input);
}

async fn bring(
    world: &Arc<World>,
    pipeline: &str,
    fetch: &Fetch,
) -> Result<(Revision, BTreeMap<String, String>), Failure> {
    let name = fetch.action_execution.as_str();
    let session = role::assume(world, pipeline, &fetch.role_arn, name, None)?;
    let found = match fetch.action.provider {
        Provider::Connection => connection(world, &session, fetch).await?,
        Provider::S3Source => object(world, &session, fetch).await?,
        Provider::Lambda | Provider::Approval => {
            return Err(Failure::new("ConfigurationError", "not a source action"));
        }
    };
    let (bucket, key) = (&fetch.output.bucket, &fetch.output.key);
    let resource = format!("arn:aws:s3:::{bucket}/{key}");
    let stored = match world
        .identity
        .authorize(&session.caller, "s3:PutObject", &resource)
    {
        Ok(()) => world.s3.put(bucket, key, found.content).await,
        Err(denied) => Err(denied),
    };
    stored.map_err(|error| upload(bucket, &error))?;
    Ok((found.revision, found.variables))
}

/// A repository behind a connection: the tree that was handed over in its place.
async fn connection(
    world: &Arc<World>,
    session: &Session,
    fetch: &Fetch,
) -> Result<Found, Failure> {
    let setting = |key: &str| fetch.configuration.get(key).map_or("", String::as_str);
    let (repository, branch) = (setting("FullRepositoryId"), setting("BranchName"));
    let connection = setting("ConnectionArn");
    // The service was renamed; policies say the one or the other.
    let allowed = ["codeconnections", "codestar-connections"]
        .iter()
        .any(|service| {
            let action = format!("{service}:UseConnection");
            world
                .identity
                .authorize(&session.caller, &action, connection)
                .is_ok()
        });
    if !allowed {
        return Err(Failure::new(
            "PermissionError",
            format!(
                "[Connections] Unable to use Connection: {connection}. The provided role does not have sufficient permissions."
            ),
        ));
    }
    let wanted = fetch
        .revision
        .as_ref()
        .map(|revision| revision.value.as_str());
    let source = world.codepipeline.source(repository, branch, wanted)?;
    let content = tokio::fs::read(&source.path).await.map_err(|error| {
        Failure::new(
            "SystemUnavailable",
            format!("failed to read the source tree that was handed over: {error}"),
        )
    })?;
    world.fidelity.simulated(
        "CodePipeline action Source/CodeStarSourceConnection (the tree that was handed over)",
    );
    let variables = BTreeMap::from([
        ("AuthorDate".into(), date(source.registered)),
        ("BranchName".into(), branch.to_owned()),
        ("CommitId".into(), source.revision.clone()),
        ("CommitMessage".into(), source.message.clone()),
        ("ConnectionArn".into(), connection.to_owned()),
        ("FullRepositoryName".into(), repository.to_owned()),
    ]);
    Ok(Found {
        content: content.into(),
        revision: Revision {
            id: source.revision,
            change: None,
            summary: Some(source.message),
            created: Some(source.registered),
            url: None,
        },
        variables,
    })
}

/// An object, as it is.
async fn object(world: &Arc<World>, session: &Session, fetch: &Fetch) -> Result<Found, Failure> {
    let setting = |key: &str| fetch.configuration.get(key).map_or("", String::as_str);
    let bucket = setting("S3Bucket");
    let mut key = setting("S3ObjectKey");
    let mut version = None;
    if let Some(revision) = &fetch.revision {
        match revision.kind.as_str() {
            "S3_OBJECT_VERSION_ID" => version = Some(revision.value.as_str()),
            "S3_OBJECT_KEY" if setting("AllowOverrideForS3ObjectKey") == "true" => {
                key = revision.value.as_str();
            }
            kind => {
                return Err(Failure::new(
                    "ConfigurationError",
                    format!("the source action takes no revision of type {kind}"),
                ));
            }
        }
    }
    let resource = format!("arn:aws:s3:::{bucket}/{key}");
    world
        .identity
        .authorize(&session.caller, "s3:GetObject", &resource)
        .map_err(|error| role::permission(&error))?;
    let object = world.s3.get(bucket, key, version).await.map_err(|error| {
        Failure::new(
            "ConfigurationError",
            format!(
                "The object with key '{key}' could not be read from bucket '{bucket}': {} ({})",
                error.message, error.code
            ),
        )
    })?;
    world.fidelity.executed("CodePipeline action Source/S3");
    let etag = object.etag.trim_matches('"').to_owned();
    let version = object.version_id.unwrap_or_else(|| "null".to_owned());
    let variables = BTreeMap::from([
        ("BucketName".into(), bucket.to_owned()),
        ("ETag".into(), etag),
        ("ObjectKey".into(), key.to_owned()),
        ("VersionId".into(), version.clone()),
    ]);
    Ok(Found {
        content: object.bytes,
        revision: Revision {
            id: version,
            change: None,
            summary: Some(format!("Amazon S3 version of s3://{bucket}/{key}")),
            created: None,
            url: None,
        },
        variables,
    })
}

fn upload(bucket: &str, error: &AwsError) -> Failure {
    let code = if error.code == "AccessDenied" {
        "PermissionError"
    } else {
        "ConfigurationError"
    };
    Failure::new(
        code,
        format!(
            "Upload to S3 bucket {bucket} failed with the following error: {} ({})",
            error.message, error.code
        ),
    )
}

/// `2026-01-31T12:00:00Z`.
fn date(time: Time) -> String {
    let seconds = i64::try_from(time.as_millis() / 1000).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|date| date.format(&Rfc3339).ok())
        .unwrap_or_default()
}
