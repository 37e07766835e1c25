//! What a deployment is made of: the template, the configuration file, and what both come to.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use towpath_job::{ArtifactPath, Job};
use towpath_stack::change_set::{BODY_LIMIT, Desired, TemplateSource};
use towpath_stack::step::Kind;
use towpath_template::Template;

use crate::values::{self, Declared};
use crate::{DeployError, DeployStack, Parameters};

/// CloudFormation's template configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Configuration {
    #[serde(default)]
    parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// Reads the inputs and makes of them what the stack is to become.
pub(crate) async fn desired(
    action: &DeployStack,
    job: &Job<Parameters>,
    kind: Kind,
    existing: &[String],
) -> Result<Desired, DeployError> {
    let parameters = &job.parameters;
    let path = parameters
        .template
        .as_ref()
        .ok_or(DeployError::NoTemplate)?;
    let text = read(job, path).await?;
    let template = Template::parse(&text).map_err(|source| DeployError::Template {
        path: path.to_string(),
        source,
    })?;
    let configuration = match &parameters.config {
        Some(path) => configuration(path, &read(job, path).await?)?,
        None => Configuration::default(),
    };
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
    let existing = match kind {
        Kind::Create => &[],
        Kind::Update => existing,
    };
    let values = values::resolve(&declared(&template), &given, existing)?;
    Ok(Desired {
        template: source(action, text).await?,
        parameters: values,
        tags,
        capabilities: parameters.capabilities.clone(),
        role: parameters.role.clone(),
        nested: parameters.nested && has_nested_stacks(&template),
    })
}

/// Whether stacks are nested in it. A transform may make some that are not to be seen yet.
fn has_nested_stacks(template: &Template) -> bool {
    template.value().get("Transform").is_some()
        || template.resources().values().any(|resource| {
            resource
                .get("Type")
                .and_then(serde_json::Value::as_str)
                .is_some_and(|name| name == "AWS::CloudFormation::Stack")
        })
}

async fn read(job: &Job<Parameters>, path: &ArtifactPath) -> Result<String, DeployError> {
    let artifact = job.input(&path.artifact)?;
    let bytes = job.fetch_file(artifact, &path.path).await?;
    String::from_utf8(bytes).map_err(|_| DeployError::NotText(path.to_string()))
}

fn configuration(path: &ArtifactPath, text: &str) -> Result<Configuration, DeployError> {
    serde_json::from_str(text).map_err(|source| DeployError::Configuration {
        path: path.to_string(),
        reason: source.to_string(),
    })
}

/// CloudFormation takes every parameter as text; a file may hold numbers and flags.
fn scalar(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

fn declared(template: &Template) -> Vec<Declared> {
    let section = template
        .value()
        .get("Parameters")
        .and_then(serde_json::Value::as_object);
    section
        .into_iter()
        .flatten()
        .map(|(name, declaration)| Declared {
            name: name.clone(),
            has_default: declaration.get("Default").is_some(),
        })
        .collect()
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
    let region = action
        .config
        .region()
        .ok_or(DeployError::NoRegion)?
        .as_ref();
    let suffix = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Ok(TemplateSource::Url(format!(
        "https://{bucket}.s3.{region}.{suffix}/{key}"
    )))
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
            (r#"{"parameters": {}}"#, "unknown field `parameters`"),
            (r#"{"StackPolicy": {}}"#, "unknown field `StackPolicy`"),
        ] {
            let error = configuration(&path, text).expect_err(text).to_string();
            assert!(
                error.contains(words) && error.contains("Package::config/qa.json"),
                "{error}"
            );
        }
    }
}
