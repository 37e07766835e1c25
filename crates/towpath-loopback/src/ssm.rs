//! SSM: parameters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::identity::now_ms;
use crate::input::{flag, list, required, text};
use crate::{AwsError, Caller, World};

/// The type of a parameter that is kept encrypted.
const SECURE: &str = "SecureString";

/// The parameters, by their names.
#[derive(Default)]
pub(crate) struct Ssm {
    parameters: Mutex<BTreeMap<String, Parameter>>,
}

#[derive(Clone)]
struct Parameter {
    kind: String,
    value: String,
    version: u64,
    modified_ms: i64,
}

impl Ssm {
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
            "PutParameter" => self.put(world, &input),
            "GetParameter" => {
                let name = required(&input, "Name")?;
                let decrypted = flag(&input, "WithDecryption");
                let plain = plain_name(&name);
                if let Some(id) = secret(plain) {
                    return handed_on(world, plain, id, decrypted);
                }
                let found = self.with(|parameters| parameters.get(plain).cloned());
                let parameter = found.ok_or_else(|| not_found(&name))?;
                Ok(json!({"Parameter": parameter.shown(world, plain, decrypted)}))
            }
            "GetParameters" => {
                let decrypted = flag(&input, "WithDecryption");
                let (mut found, mut invalid) = (Vec::new(), Vec::new());
                self.with(|parameters| {
                    for name in list(&input, "Names").iter().filter_map(Value::as_str) {
                        match parameters.get(plain_name(name)) {
                            Some(parameter) => {
                                found.push(parameter.shown(world, plain_name(name), decrypted));
                            }
                            None => invalid.push(name.to_owned()),
                        }
                    }
                });
                Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
            }
            "GetParametersByPath" => {
                let path = required(&input, "Path")?;
                let folder = format!("{}/", path.trim_end_matches('/'));
                let deep = flag(&input, "Recursive");
                let decrypted = flag(&input, "WithDecryption");
                let found: Vec<Value> = self.with(|parameters| {
                    parameters
                        .iter()
                        .filter(|(name, _)| {
                            name.strip_prefix(&folder)
                                .is_some_and(|rest| deep || !rest.contains('/'))
                        })
                        .map(|(name, parameter)| parameter.shown(world, name, decrypted))
                        .collect()
                });
                Ok(json!({"Parameters": found}))
            }
            "DeleteParameter" => {
                let name = required(&input, "Name")?;
                self.with(|parameters| parameters.remove(&name))
                    .map(|_| json!({}))
                    .ok_or_else(|| not_found(&name))
            }
            _ => Err(AwsError::unknown_operation("ssm", operation)),
        }
    }

    fn put(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let name = required(input, "Name")?;
        let value = required(input, "Value")?;
        let kind = text(input, "Type");
        if kind.as_deref() == Some(SECURE) {
            world
                .fidelity
                .simulated("SSM SecureString encryption (kept in memory as it is)");
        }
        self.with(|parameters| {
            let present = parameters.get(&name);
            if present.is_some() && !flag(input, "Overwrite") {
                return Err(AwsError::client(
                    "ParameterAlreadyExists",
                    "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
                ));
            }
            let version = present.map_or(1, |parameter| parameter.version + 1);
            let kind = kind
                .or_else(|| present.map(|parameter| parameter.kind.clone()))
                .unwrap_or_else(|| "String".into());
            parameters.insert(
                name,
                Parameter {
                    kind,
                    value,
                    version,
                    modified_ms: now_ms(),
                },
            );
            Ok(json!({"Version": version, "Tier": "Standard"}))
        })
    }

    /// Whether there is a parameter of that name.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.with(|parameters| parameters.contains_key(plain_name(name)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Parameter>) -> T) -> T {
        act(&mut self
            .parameters
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

impl Parameter {
    /// A secure string is not told but to who asks for it in clear.
    fn shown(&self, world: &World, name: &str, decrypted: bool) -> Value {
        let hidden = self.kind == SECURE && !decrypted;
        let value = if hidden {
            hex::encode(Sha256::digest(&self.value))
        } else {
            self.value.clone()
        };
        json!({
            "Name": name,
            "Type": self.kind,
            "Value": value,
            "Version": self.version,
            "LastModifiedDate": self.modified_ms as f64 / 1000.0,
            "ARN": world.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/'))),
            "DataType": "text",
        })
    }
}

/// The secret of Secrets Manager that a parameter's name stands for.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html>
pub(crate) fn secret(name: &str) -> Option<&str> {
    name.strip_prefix("/aws/reference/secretsmanager/")
}

fn handed_on(world: &World, name: &str, id: &str, decrypted: bool) -> Result<Value, AwsError> {
    if !decrypted {
        return Err(AwsError::client(
            "ValidationException",
            "WithDecryption flag must be True for retrieving a Secret Manager secret.",
        ));
    }
    let value = world
        .secretsmanager
        .text(id)
        .ok_or_else(|| not_found(name))?;
    Ok(json!({"Parameter": {
        "Name": name,
        "Type": SECURE,
        "Value": value,
        "Version": 0,
        "ARN": world.arn("ssm", &format!("parameter{name}")),
        "DataType": "text",
    }}))
}

/// The name in a name, or in a parameter's ARN.
fn plain_name(name: &str) -> &str {
    match name.split_once(":parameter") {
        Some((_, name)) => name,
        None => name,
    }
}

fn not_found(name: &str) -> AwsError {
    AwsError::client(
        "ParameterNotFound",
        format!("the parameter `{name}` does not exist"),
    )
}
