//! From references to values: one call for each secret, with the function's role.

use aws_sdk_secretsmanager::Client as SecretsManager;
use aws_sdk_ssm::Client as Ssm;
use serde_json::Value;
use towpath_job::{Failure, FailureType, Job, Secrets, aws_cause, aws_kind};

use super::{Reference, Values};

/// Why a secret is not to be had. None of these has its value in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The service did not hand it out.
    #[error("failed to read secret `{name}` from {reference}: {cause}")]
    Service {
        /// The name after `Secret.`.
        name: String,
        /// Where it should be.
        reference: Reference,
        /// What that is to CodePipeline.
        kind: FailureType,
        /// The service's code and message.
        cause: String,
    },
    /// The value is not what it should be.
    #[error("secret `{name}`: {reference} {problem}")]
    Unfit {
        /// The name after `Secret.`.
        name: String,
        /// Where it was found.
        reference: Reference,
        /// As in "is not a JSON object".
        problem: String,
    },
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let message = error.to_string();
        match error {
            SecretError::Service {
                kind: FailureType::PermissionError,
                reference,
                ..
            } => {
                let action = match reference {
                    Reference::Parameter(_) => "ssm:GetParameter",
                    Reference::Secret { .. } => "secretsmanager:GetSecretValue",
                };
                Self::permission(message).with_hint(format!(
                    "the function's role needs {action} on it, and kms:Decrypt on its key if that is not the account's \
                     own; template.yaml has the parameter SecretArns for that"
                ))
            }
            SecretError::Service {
                kind: FailureType::SystemUnavailable,
                ..
            } => Self::unavailable(message),
            SecretError::Service { .. } => Self::configuration(message).with_hint(
                "check the name, and that it is in the function's account and Region; in a local run, give it with --secrets",
            ),
            SecretError::Unfit { .. } => Self::configuration(message),
        }
    }
}

/// Fetches the secrets of a job, and has them hidden from whatever is reported of it.
pub(crate) async fn fetch<P>(
    job: &Job<P>,
    references: &[(String, Reference)],
) -> Result<Values, SecretError> {
    if references.is_empty() {
        return Ok(Values::default());
    }
    let config = towpath_aws::control_plane(job.aws());
    let mut values = Vec::new();
    for (name, reference) in references {
        let raw = match reference {
            Reference::Parameter(parameter) => Ssm::new(&config)
                .get_parameter()
                .name(parameter)
                .with_decryption(true)
                .send()
                .await
                .map(|answer| answer.parameter.and_then(|parameter| parameter.value))
                .map_err(|error| (aws_kind(&error), aws_cause(&error))),
            Reference::Secret { id, .. } => SecretsManager::new(&config)
                .get_secret_value()
                .secret_id(id)
                .send()
                .await
                .map(|answer| answer.secret_string)
                .map_err(|error| (aws_kind(&error), aws_cause(&error))),
        };
        let raw = raw.map_err(|(kind, cause)| service(name, reference, kind, cause))?;
        // Before anything is said of it.
        job.hide(raw.clone());
        let value = value(reference, raw).map_err(|problem| SecretError::Unfit {
            name: name.clone(),
            reference: reference.clone(),
            problem,
        })?;
        job.hide([value.clone()]);
        values.push((name.clone(), value));
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    tracing::info!("secrets for the installation: {}", names.join(", "));
    Ok(Values::new(values))
}

fn service(name: &str, reference: &Reference, kind: FailureType, cause: String) -> SecretError {
    SecretError::Service {
        name: name.to_owned(),
        reference: reference.clone(),
        kind,
        cause,
    }
}

/// What a reference means of what lies there; else what is wrong with that.
fn value(reference: &Reference, raw: Option<String>) -> Result<String, String> {
    let raw = raw.ok_or("has no text: a binary secret cannot be a variable")?;
    let value = match reference {
        Reference::Parameter(_) | Reference::Secret { member: None, .. } => raw,
        Reference::Secret {
            member: Some(member),
            ..
        } => {
            let object: Value = serde_json::from_str(&raw)
                .ok()
                .filter(Value::is_object)
                .ok_or("is not a JSON object: leave out what follows the #")?;
            match object.get(member) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(_) => return Err("is neither a text nor a number".to_owned()),
                None => {
                    let members = object.as_object().into_iter().flatten();
                    let names: Vec<&str> = members.map(|(name, _)| name.as_str()).collect();
                    return Err(format!("does not exist: there is {}", names.join(", ")));
                }
            }
        }
    };
    // An editor's line end is not part of a token.
    let value = value.trim_end_matches(['\r', '\n']);
    if value.contains('\0') {
        return Err("has a NUL in it, which no variable can hold".to_owned());
    }
    if value.len() < Secrets::SHORTEST {
        return Err(format!(
            "has fewer than {} characters: it could not be told from other text, and so not be hidden",
            Secrets::SHORTEST
        ));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reference_means_by_table() {
        let object = r#"{"token": "npm_4f8a90", "port": 123456789, "more": {}}"#;
        for (reference, raw, expected) in [
            ("ssm:/a", Some("npm_4f8a90"), Ok("npm_4f8a90")),
            ("ssm:/a", Some("npm_4f8a90\r\n"), Ok("npm_4f8a90")),
            ("secretsmanager:a", Some(object), Ok(object)),
            ("secretsmanager:a#token", Some(object), Ok("npm_4f8a90")),
            ("secretsmanager:a#port", Some(object), Ok("123456789")),
            (
                "secretsmanager:a#user",
                Some(object),
                Err("does not exist: there is token, port, more"),
            ),
            (
                "secretsmanager:a#more",
                Some(object),
                Err("is neither a text nor a number"),
            ),
            (
                "secretsmanager:a#token",
                Some("npm_4f8a90"),
                Err("is not a JSON object"),
            ),
            ("secretsmanager:a", None, Err("has no text")),
            ("ssm:/a", Some("short"), Err("has fewer than 8 characters")),
            ("ssm:/a", Some("a\0bcdefghi"), Err("has a NUL")),
        ] {
            let found = value(&reference.parse().unwrap(), raw.map(str::to_owned));
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                _ => panic!("{reference}: {found:?}"),
            }
        }
    }

    #[test]
    fn each_refusal_has_its_type_and_a_hint() {
        let refused = |kind| {
            Failure::from(service(
                "NPM_TOKEN",
                &Reference::Parameter("/app/npm".into()),
                kind,
                "Code: message".into(),
            ))
        };
        for (kind, expected, hint) in [
            (
                FailureType::PermissionError,
                FailureType::PermissionError,
                Some("ssm:GetParameter"),
            ),
            (
                FailureType::SystemUnavailable,
                FailureType::SystemUnavailable,
                None,
            ),
            (
                FailureType::JobFailed,
                FailureType::ConfigurationError,
                Some("Region"),
            ),
            (
                FailureType::ConfigurationError,
                FailureType::ConfigurationError,
                Some("--secrets"),
            ),
        ] {
            let failure = refused(kind);
            assert_eq!(failure.kind, expected);
            assert_eq!(
                failure.message,
                "failed to read secret `NPM_TOKEN` from ssm:/app/npm: Code: message"
            );
            assert_eq!(
                failure
                    .hint
                    .is_some_and(|text| hint.is_some_and(|hint| text.contains(hint))),
                hint.is_some()
            );
        }
    }
}
