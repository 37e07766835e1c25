//! What a deployment is made of: the template, the configuration file, and what both come to.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use towpath_job::{ArtifactPath, Job};
use towpath_stack::change_set::{BODY_LIMIT, Desired, TemplateSource};
use towpath_stack::step::{Kind, OnFailure};
use towpath_stack::summary::summarise;
use towpath_template::Template;

use crate::{DeployError, DeployStack, Parameters, TemplateAt, triggers, values};

/// CloudFormation's template configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(crate) struct Configuration {
    #[serde(default)]
    parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// What updates may do to which resources (AWS: "Prevent updates to stack resources").
    pub(crate) stack_policy: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Reads the inputs and makes of them what the stack is to become. `existing` are the parameters that it has.
pub(crate) async fn desired(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
    kind: Kind,
    existing: &[String],
) -> Result<Desired, DeployError> {
    let parameters = &job.parameters;
    let template = template(action, job).await?;
    let configuration = configured(job).await?;
    let mut given = BTreeMap::new();
    for (name, value) in configuration.parameters {
        given.insert(name, scalar(value));
    }
    given.extend(parameters.values.clone());
    let mut tags = configuration.tags;
    tags.extend(parameters.tags.clone());
    if let Some(ttl) = parameters.ending.ttl {
        tags.extend(towpath_stack::sweep::tags(job.started_at(), ttl));
    }
    tags.extend(parameters.ending.origin.clone());
    let existing = match kind {
        Kind::Create => &[],
        Kind::Update => existing,
    };
    let asked = summarise(client, &parameters.stack, &template).await?;
    let values = values::resolve(&asked.parameters, &given, &parameters.previous, existing)?;
    let capabilities =
        asked
            .grant(&parameters.capabilities)
            .map_err(|missing| DeployError::Capabilities {
                allowed: parameters.capabilities.clone(),
                missing,
                reason: asked.reason.clone(),
            })?;
    Ok(Desired {
        template,
        parameters: values,
        tags,
        capabilities,
        role: parameters.role.clone(),
        nested: parameters.nested && asked.may_nest(),
        notify: parameters.notify.clone(),
        rollback: triggers::rollback(action, parameters).await?,
        // With `fail` what went wrong is left as it is, for people to look at.
        fleeting: parameters.ephemeral && parameters.on_failure != OnFailure::Fail,
    })
}

/// The template as the request carries it. One from an artifact is read here first: a mistake in it is told with its
/// line.
async fn template(
    action: &DeployStack,
    job: &Job<Parameters>,
) -> Result<TemplateSource, DeployError> {
    let at = job.parameters.template.as_ref();
    match at.ok_or(DeployError::NoTemplate)? {
        TemplateAt::Artifact(path) => {
            let text = read(job, path).await?;
            Template::parse(&text).map_err(|source| DeployError::Template {
                path: path.to_string(),
                source,
            })?;
            source(action, text).await
        }
        TemplateAt::S3 { bucket, key } => {
            let region = job.parameters.region.as_deref();
            Ok(TemplateSource::Url(address(action, region, bucket, key)?))
        }
        TemplateAt::Address(address) => Ok(TemplateSource::Url(address.clone())),
    }
}

async fn read(job: &Job<Parameters>, path: &ArtifactPath) -> Result<String, DeployError> {
    let artifact = job.input(&path.artifact)?;
    let bytes = job.fetch_file(artifact, &path.path).await?;
    String::from_utf8(bytes).map_err(|_| DeployError::NotText(path.to_string()))
}

/// The configuration file, if there is one.
pub(crate) async fn configured(job: &Job<Parameters>) -> Result<Configuration, DeployError> {
    match &job.parameters.config {
        Some(path) => configuration(path, &read(job, path).await?),
        None => Ok(Configuration::default()),
    }
}

fn configuration(path: &ArtifactPath, text: &str) -> Result<Configuration, DeployError> {
    let refused = |reason| DeployError::Configuration {
        path: path.to_string(),
        reason,
    };
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    // The AWS CLI's form, a list of keys and values, would be read as members by their places.
    if !value.is_object() {
        return Err(refused("it is not a JSON object".to_owned()));
    }
    serde_json::from_value(value).map_err(|error| refused(error.to_string()))
}

/// CloudFormation takes every parameter as text; a file may hold numbers and flags.
fn scalar(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The template as the request carries it: in its body, or uploaded when it is too long for that.
async fn source(action: &DeployStack, text: String) -> Result<TemplateSource, DeployError> {
    if text.len() <= BODY_LIMIT {
        return Ok(TemplateSource::Body(text));
    }
    let bucket = action
        .release_bucket
        .as_deref()
        .ok_or(DeployError::NoReleaseBucket(text.len()))?;
    let key = format!(
        "templates/{}.template",
        hex::encode(Sha256::digest(text.as_bytes()))
    );
    towpath_aws::s3(&action.config)
        .put_object()
        .bucket(bucket)
        .key(&key)
        .body(text.into_bytes().into())
        .send()
        .await
        .map_err(|error| {
            DeployError::Upload(towpath_job::Failure::aws(
                format!("upload the template to `s3://{bucket}/{key}`"),
                &error,
            ))
        })?;
    Ok(TemplateSource::Url(address(action, None, bucket, &key)?))
}

/// Where an object is for CloudFormation, in the function's Region or another one.
fn address(
    action: &DeployStack,
    region: Option<&str>,
    bucket: &str,
    key: &str,
) -> Result<String, DeployError> {
    let own = action.config.region().map(AsRef::as_ref);
    let region = region.or(own).ok_or(DeployError::NoRegion)?;
    let suffix = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Ok(format!("https://{bucket}.s3.{region}.{suffix}/{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_file_is_read_or_its_fault_is_named() {
        let path: ArtifactPath = "Package::config/qa.json".parse().expect("a path");
        let read =
            configuration(&path, r#"{"Parameters": {"Size": 3, "Stage": "qa"}}"#).expect("valid");
        assert_eq!(scalar(read.parameters["Size"].clone()), "3");
        assert_eq!(scalar(read.parameters["Stage"].clone()), "qa");
        for (text, words) in [
            ("{", "EOF"),
            (
                r#"[{"ParameterKey": "Stage", "ParameterValue": "qa"}]"#,
                "it is not a JSON object",
            ),
            (r#"{"parameters": {}}"#, "unknown field `parameters`"),
            (r#"{"StackPolicy": "{}"}"#, "expected a map"),
        ] {
            let error = configuration(&path, text).expect_err(text).to_string();
            assert!(
                error.contains(words) && error.contains("Package::config/qa.json"),
                "{error}"
            );
        }
    }
}
