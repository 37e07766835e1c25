//! SSM: parameters.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::identity::now_ms;
use crate::input::{flag, list, required, text};
use crate::{AwsError, Caller, World};

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
                let found = self.with(|parameters| parameters.get(plain_name(&name)).cloned());
                let parameter = found.ok_or_else(|| not_found(&name))?;
                Ok(json!({"Parameter": parameter.shown(world, plain_name(&name))}))
            }
            "GetParameters" => {
                let (mut found, mut invalid) = (Vec::new(), Vec::new());
                self.with(|parameters| {
                    for name in list(&input, "Names").iter().filter_map(Value::as_str) {
                        match parameters.get(plain_name(name)) {
                            Some(parameter) => {
                                found.push(parameter.shown(world, plain_name(name)));
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
                let found: Vec<Value> = self.with(|parameters| {
                    parameters
                        .iter()
                        .filter(|(name, _)| {
                            name.strip_prefix(&folder)
                                .is_some_and(|rest| deep || !rest.contains('/'))
                        })
                        .map(|(name, parameter)| parameter.shown(world, name))
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
        if kind.as_deref() == Some("SecureString") {
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

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Parameter>) -> T) -> T {
        act(&mut self
            .parameters
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

impl Parameter {
    fn shown(&self, world: &World, name: &str) -> Value {
        json!({
            "Name": name,
            "Type": self.kind,
            "Value": self.value,
            "Version": self.version,
            "LastModifiedDate": self.modified_ms as f64 / 1000.0,
            "ARN": world.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/'))),
            "DataType": "text",
        })
    }
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
