//! IAM: roles and their policies, as far as a script that sets up a test needs them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::identity::RoleDefinition;
use crate::input::{required, text};
use crate::{AwsError, Caller, World};

/// The names of inline policies: the role itself knows only their documents.
#[derive(Default)]
pub(crate) struct Iam {
    inline: Mutex<BTreeMap<String, BTreeMap<String, Value>>>,
}

impl Iam {
    /// Answers one operation.
    #[expect(clippy::unused_async, reason = "every service is called alike")]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        if operation == "ListRoles" {
            let roles: Vec<Value> = world
                .identity
                .roles()
                .iter()
                .map(|(name, role)| shown(name, role))
                .collect();
            return Ok(json!({"Roles": roles, "IsTruncated": false}));
        }
        let served = [
            "CreateRole",
            "GetRole",
            "DeleteRole",
            "PutRolePolicy",
            "DeleteRolePolicy",
            "AttachRolePolicy",
            "DetachRolePolicy",
            "UpdateAssumeRolePolicy",
        ];
        if !served.contains(&operation) {
            return Err(AwsError::unknown_operation("iam", operation));
        }
        let name = required(&input, "RoleName")?;
        if operation == "CreateRole" {
            return create(world, &name, &input);
        }
        let mut role = world.identity.role(&name).ok_or_else(|| {
            AwsError::client(
                "NoSuchEntity",
                format!("The role with name {name} cannot be found."),
            )
            .with_status(404)
        })?;
        match operation {
            "GetRole" => return Ok(json!({"Role": shown(&name, &role)})),
            "DeleteRole" => {
                self.with(|inline| inline.remove(&name));
                world.identity.delete_role(&name);
                return Ok(json!({}));
            }
            "UpdateAssumeRolePolicy" => role.trust = document(&input, "PolicyDocument")?,
            "PutRolePolicy" => {
                let policy = required(&input, "PolicyName")?;
                let document = document(&input, "PolicyDocument")?;
                let old = self.with(|inline| {
                    let own = inline.entry(name.clone()).or_default();
                    own.insert(policy, document.clone())
                });
                remove(&mut role, old.as_ref());
                role.policies.push(document);
            }
            "DeleteRolePolicy" => {
                let policy = required(&input, "PolicyName")?;
                let old = self.with(|inline| inline.get_mut(&name)?.remove(&policy));
                remove(&mut role, old.as_ref());
            }
            "AttachRolePolicy" => {
                let arn = Value::String(required(&input, "PolicyArn")?);
                if !role.policies.contains(&arn) {
                    role.policies.push(arn);
                }
            }
            _ => remove(
                &mut role,
                Some(&Value::String(required(&input, "PolicyArn")?)),
            ),
        }
        world.identity.put_role(&name, role);
        Ok(json!({}))
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, BTreeMap<String, Value>>) -> T) -> T {
        act(&mut self.inline.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn create(world: &World, name: &str, input: &Value) -> Result<Value, AwsError> {
    if world.identity.role(name).is_some() {
        return Err(AwsError::client(
            "EntityAlreadyExists",
            format!("Role with name {name} already exists."),
        )
        .with_status(409));
    }
    let path = text(input, "Path").unwrap_or_else(|| "/".into());
    let role = RoleDefinition {
        arn: format!("arn:aws:iam::{}:role{path}{name}", world.settings.account),
        trust: document(input, "AssumeRolePolicyDocument")?,
        policies: Vec::new(),
    };
    let answer = json!({"Role": shown(name, &role)});
    world.identity.put_role(name, role);
    Ok(answer)
}

fn shown(name: &str, role: &RoleDefinition) -> Value {
    let resource = role.arn.split(":role").nth(1).unwrap_or_default();
    json!({
        "RoleName": name,
        "RoleId": role_id(name),
        "Arn": role.arn,
        "Path": resource.strip_suffix(name).unwrap_or("/"),
        "CreateDate": "2026-01-01T00:00:00Z",
        // IAM answers documents percent-encoded.
        "AssumeRolePolicyDocument":
            utf8_percent_encode(&role.trust.to_string(), NON_ALPHANUMERIC).to_string(),
    })
}

/// A role's unique id, of the length that IAM's have: `AROA` and seventeen letters or digits, told by the name.
pub(crate) fn role_id(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("AROA{hash:017X}")
}

fn document(input: &Value, member: &str) -> Result<Value, AwsError> {
    serde_json::from_str(&required(input, member)?).map_err(|error| {
        AwsError::client(
            "MalformedPolicyDocument",
            format!("{member} is not JSON: {error}"),
        )
    })
}

fn remove(role: &mut RoleDefinition, policy: Option<&Value>) {
    if let Some(policy) = policy
        && let Some(at) = role.policies.iter().position(|own| own == policy)
    {
        role.policies.remove(at);
    }
}
