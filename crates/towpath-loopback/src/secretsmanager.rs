//! Secrets Manager: secrets by name or ARN, with their versions' stages as far as rotation needs none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::identity::now_ms;
use crate::input::{required, text};
use crate::{AwsError, Caller, World};

/// The secrets, by their names.
#[derive(Default)]
pub(crate) struct SecretsManager {
    secrets: Mutex<BTreeMap<String, Stored>>,
}

/// A secret. Its values are in memory only, and in no log.
#[derive(Clone)]
struct Stored {
    arn: String,
    created_ms: i64,
    current: Version,
    previous: Option<Version>,
}

#[derive(Clone)]
struct Version {
    id: String,
    created_ms: i64,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Text(String),
    /// In base64, as it came.
    Binary(String),
}

impl SecretsManager {
    /// Answers one operation.
    #[expect(clippy::unused_async, reason = "every service is called alike")]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "CreateSecret" => self.create(world, &input),
            "PutSecretValue" | "UpdateSecret" => self.put(&input),
            "GetSecretValue" => self.value(&input),
            "DescribeSecret" => {
                let (name, secret) = self.find(&required(&input, "SecretId")?)?;
                Ok(json!({
                    "ARN": secret.arn,
                    "Name": name,
                    "CreatedDate": seconds(secret.created_ms),
                    "LastChangedDate": seconds(secret.current.created_ms),
                    "VersionIdsToStages": {secret.current.id: ["AWSCURRENT"]},
                }))
            }
            "DeleteSecret" => {
                let (name, secret) = self.find(&required(&input, "SecretId")?)?;
                self.with(|secrets| secrets.remove(&name));
                Ok(json!({"ARN": secret.arn, "Name": name, "DeletionDate": seconds(now_ms())}))
            }
            _ => Err(AwsError::unknown_operation("secretsmanager", operation)),
        }
    }

    /// The ARN that a policy knows the secret by: its own, or that of one which could be.
    pub(crate) fn arn(&self, world: &World, id: &str) -> String {
        match self.find(id) {
            Ok((_, secret)) => secret.arn,
            Err(_) if id.starts_with("arn:") => id.to_owned(),
            Err(_) => world.arn("secretsmanager", &format!("secret:{id}")),
        }
    }

    /// The text of a secret, as Parameter Store hands it on.
    pub(crate) fn text(&self, id: &str) -> Option<String> {
        match self.find(id).ok()?.1.current.content {
            Content::Text(text) => Some(text),
            Content::Binary(_) => None,
        }
    }

    fn create(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let name = required(input, "Name")?;
        let version = version(input)?;
        world
            .fidelity
            .simulated("Secrets Manager encryption (kept in memory as it is)");
        // AWS adds six characters, so that a secret made anew is not what a policy allowed before.
        let random = Uuid::new_v4().simple().to_string();
        let arn = world.arn("secretsmanager", &format!("secret:{name}-{}", &random[..6]));
        self.with(|secrets| {
            if secrets.contains_key(&name) {
                return Err(AwsError::client(
                    "ResourceExistsException",
                    format!("The operation failed because the secret {name} already exists."),
                ));
            }
            let answer = json!({"ARN": arn, "Name": name, "VersionId": version.id});
            let secret = Stored {
                arn,
                created_ms: version.created_ms,
                current: version,
                previous: None,
            };
            secrets.insert(name, secret);
            Ok(answer)
        })
    }

    fn put(&self, input: &Value) -> Result<Value, AwsError> {
        let (name, _) = self.find(&required(input, "SecretId")?)?;
        let version = version(input)?;
        self.with(|secrets| {
            let secret = secrets.get_mut(&name).ok_or_else(not_found)?;
            let answer = json!({
                "ARN": secret.arn,
                "Name": name,
                "VersionId": version.id,
                "VersionStages": ["AWSCURRENT"],
            });
            secret.previous = Some(std::mem::replace(&mut secret.current, version));
            Ok(answer)
        })
    }

    fn value(&self, input: &Value) -> Result<Value, AwsError> {
        let (name, secret) = self.find(&required(input, "SecretId")?)?;
        let stage = text(input, "VersionStage").unwrap_or_else(|| "AWSCURRENT".to_owned());
        let wanted = text(input, "VersionId");
        let version = match stage.as_str() {
            "AWSCURRENT" => Some(&secret.current),
            "AWSPREVIOUS" => secret.previous.as_ref(),
            _ => None,
        };
        let version = version
            .filter(|version| wanted.as_ref().is_none_or(|wanted| *wanted == version.id))
            .ok_or_else(|| {
                let which = wanted.clone().map_or_else(
                    || format!("staging label: {stage}"),
                    |id| format!("VersionId: {id}"),
                );
                AwsError::client(
                    "ResourceNotFoundException",
                    format!("Secrets Manager can't find the specified secret value for {which}"),
                )
            })?;
        let mut answer = json!({
            "ARN": secret.arn,
            "Name": name,
            "VersionId": version.id,
            "VersionStages": [stage],
            "CreatedDate": seconds(version.created_ms),
        });
        match &version.content {
            Content::Text(text) => answer["SecretString"] = json!(text),
            Content::Binary(base64) => answer["SecretBinary"] = json!(base64),
        }
        Ok(answer)
    }

    /// A secret by its name, its ARN, or its ARN without the six characters at the end.
    fn find(&self, id: &str) -> Result<(String, Stored), AwsError> {
        let partial = format!("{id}-");
        self.with(|secrets| {
            let found = secrets.iter().find(|(name, secret)| {
                *name == id
                    || secret.arn == id
                    || (id.starts_with("arn:")
                        && secret
                            .arn
                            .strip_prefix(&partial)
                            .is_some_and(|rest| rest.len() == 6))
            });
            found
                .map(|(name, secret)| (name.clone(), secret.clone()))
                .ok_or_else(not_found)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Stored>) -> T) -> T {
        act(&mut self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn version(input: &Value) -> Result<Version, AwsError> {
    let content = match (text(input, "SecretString"), text(input, "SecretBinary")) {
        (Some(text), None) => Content::Text(text),
        (None, Some(base64)) => Content::Binary(base64),
        (Some(_), Some(_)) => {
            return Err(AwsError::client(
                "InvalidParameterException",
                "You can't specify both a binary secret value and a string secret value in the same secret.",
            ));
        }
        (None, None) => {
            return Err(AwsError::client(
                "InvalidParameterException",
                "You must provide either SecretString or SecretBinary.",
            ));
        }
    };
    let id = text(input, "ClientRequestToken").unwrap_or_else(|| Uuid::new_v4().to_string());
    Ok(Version {
        id,
        created_ms: now_ms(),
        content,
    })
}

fn not_found() -> AwsError {
    AwsError::client(
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    )
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
