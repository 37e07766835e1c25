//! AWS::IAM::Role, AWS::IAM::Policy and AWS::IAM::ManagedPolicy, into the loopback's own identities.

use serde_json::{Value, json};

use super::names::{self, Rules};
use super::{Made, Scene, Trouble};
use crate::cloudformation::plan::changed_properties;
use crate::cloudformation::stack::Resource;
use crate::cloudformation::wire::strings;
use crate::identity::RoleDefinition;
use crate::identity::policy::Context;
use crate::input;

pub(super) fn create_role(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "RoleName", Rules::IAM);
    let arn = iam_arn(scene, "role", properties, &name);
    scene.authorize_with("Iam", "iam:CreateRole", &arn, &bounded(properties))?;
    if scene.world.identity.role(&name).is_some() {
        return Err(Trouble::handler(
            &format!("Resource of type 'AWS::IAM::Role' with identifier '{name}' already exists."),
            "AlreadyExists",
        ));
    }
    let trust = trust_policy(properties)?;
    may_attach(scene, &arn, properties)?;
    scene.world.identity.put_role(
        &name,
        RoleDefinition {
            arn: arn.clone(),
            trust,
            policies: role_policies(properties),
        },
    );
    Ok(role(name, arn))
}

/// Whether the role's own policies may be put on it.
fn may_attach(scene: &Scene, arn: &str, properties: &Value) -> Result<(), Trouble> {
    for property in ["Policies", "ManagedPolicyArns"] {
        may_change(scene, arn, properties, property)?;
    }
    if properties.get("PermissionsBoundary").is_some() {
        // Kept in the record only: the role may do what its policies allow.
        scene.world.fidelity.simulated("IAM permissions boundaries");
    }
    Ok(())
}

/// Whether a property of the role may be set to what it is in `properties`.
fn may_change(scene: &Scene, arn: &str, properties: &Value, property: &str) -> Result<(), Trouble> {
    let action = match property {
        "AssumeRolePolicyDocument" => "iam:UpdateAssumeRolePolicy",
        "Policies" if input::list(properties, property).is_empty() => return Ok(()),
        "Policies" => "iam:PutRolePolicy",
        "ManagedPolicyArns" => {
            for policy in strings(input::list(properties, property)) {
                let mut context = bounded(properties);
                context.insert("iam:PolicyARN".to_owned(), vec![policy]);
                scene.authorize_with("Iam", "iam:AttachRolePolicy", arn, &context)?;
            }
            return Ok(());
        }
        "PermissionsBoundary" => "iam:PutRolePermissionsBoundary",
        "Tags" => "iam:TagRole",
        _ => "iam:UpdateRole",
    };
    scene.authorize_with("Iam", action, arn, &bounded(properties))
}

/// The condition key that tells the role's boundary.
fn bounded(properties: &Value) -> Context {
    input::text(properties, "PermissionsBoundary")
        .map(|boundary| ("iam:PermissionsBoundary".to_owned(), vec![boundary]))
        .into_iter()
        .collect()
}

pub(super) fn update_role(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = iam_arn(scene, "role", properties, &name);
    for property in changed_properties(&resource.properties, properties) {
        may_change(scene, &arn, properties, &property)?;
    }
    let attached = scene
        .world
        .identity
        .role(&name)
        .map(|role| role.policies)
        .unwrap_or_default();
    let policies = exchange(
        attached,
        &role_policies(&resource.properties),
        role_policies(properties),
    );
    let trust = trust_policy(properties)?;
    scene.world.identity.put_role(
        &name,
        RoleDefinition {
            arn: arn.clone(),
            trust,
            policies,
        },
    );
    Ok(role(name, arn))
}

pub(super) fn delete_role(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = iam_arn(scene, "role", &resource.properties, &name);
    scene.authorize("Iam", "iam:DeleteRole", &arn)?;
    scene.world.identity.delete_role(&name);
    Ok(())
}

pub(super) fn create_policy(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let document = document(properties)?;
    for role in targets(properties) {
        change_role(scene, &role, &[], vec![document.clone()])?;
    }
    let id = names::generated(scene, Rules::IAM);
    Ok(Made::new(id.clone()).attribute("Id", id))
}

pub(super) fn update_policy(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let new = document(properties)?;
    delete_policy(scene, resource)?;
    for role in targets(properties) {
        change_role(scene, &role, &[], vec![new.clone()])?;
    }
    Ok(Made::unchanged(resource))
}

pub(super) fn delete_policy(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let Ok(document) = document(&resource.properties) else {
        return Ok(());
    };
    for role in targets(&resource.properties) {
        if scene.world.identity.role(&role).is_some() {
            change_role(scene, &role, std::slice::from_ref(&document), Vec::new())?;
        }
    }
    Ok(())
}

pub(super) fn create_managed_policy(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "ManagedPolicyName", Rules::PLAIN);
    let arn = iam_arn(scene, "policy", properties, &name);
    scene.authorize("Iam", "iam:CreatePolicy", &arn)?;
    scene.world.identity.put_policy(&arn, document(properties)?);
    for role in targets(properties) {
        change_role(scene, &role, &[], vec![json!(arn)])?;
    }
    Ok(Made::new(arn.clone()).attribute("PolicyArn", arn))
}

pub(super) fn update_managed_policy(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("Iam", "iam:CreatePolicyVersion", &arn)?;
    scene.world.identity.put_policy(&arn, document(properties)?);
    let before = targets(&resource.properties);
    let after = targets(properties);
    for role in before.iter().filter(|role| !after.contains(role)) {
        if scene.world.identity.role(role).is_some() {
            change_role(scene, role, &[json!(arn)], Vec::new())?;
        }
    }
    for role in after.iter().filter(|role| !before.contains(role)) {
        change_role(scene, role, &[], vec![json!(arn)])?;
    }
    Ok(Made::unchanged(resource))
}

pub(super) fn delete_managed_policy(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("Iam", "iam:DeletePolicy", &arn)?;
    for role in targets(&resource.properties) {
        if scene.world.identity.role(&role).is_some() {
            change_role(scene, &role, &[json!(arn)], Vec::new())?;
        }
    }
    scene.world.identity.delete_policy(&arn);
    Ok(())
}

/// Takes policies from a role and gives it others.
fn change_role(scene: &Scene, name: &str, out: &[Value], into: Vec<Value>) -> Result<(), Trouble> {
    let Some(mut role) = scene.world.identity.role(name) else {
        return Err(Trouble::handler(
            &format!("The role with name {name} cannot be found. (Service: Iam, Status Code: 404)"),
            "NotFound",
        ));
    };
    scene.authorize("Iam", "iam:PutRolePolicy", &role.arn)?;
    role.policies = exchange(role.policies, out, into);
    scene.world.identity.put_role(name, role);
    Ok(())
}

/// `policies` without one copy of each in `out`, and with those in `into`.
fn exchange(mut policies: Vec<Value>, out: &[Value], into: Vec<Value>) -> Vec<Value> {
    for old in out {
        if let Some(at) = policies.iter().position(|policy| policy == old) {
            policies.remove(at);
        }
    }
    policies.extend(into);
    policies
}

/// The inline documents and the ARNs of managed policies, as the role's own properties give them.
fn role_policies(properties: &Value) -> Vec<Value> {
    input::list(properties, "Policies")
        .iter()
        .filter_map(|policy| policy.get("PolicyDocument").cloned())
        .chain(input::list(properties, "ManagedPolicyArns").iter().cloned())
        .collect()
}

/// The roles that a policy is put on. Users and groups do not exist in the loopback.
fn targets(properties: &Value) -> Vec<String> {
    strings(input::list(properties, "Roles"))
}

fn trust_policy(properties: &Value) -> Result<Value, Trouble> {
    match properties.get("AssumeRolePolicyDocument") {
        Some(document @ Value::Object(_)) => Ok(document.clone()),
        Some(Value::String(text)) => serde_json::from_str(text)
            .map_err(|_| Trouble::invalid("AssumeRolePolicyDocument is not a policy document")),
        _ => Err(Trouble::invalid(
            "Model validation failed (#: required key [AssumeRolePolicyDocument] not found)",
        )),
    }
}

fn document(properties: &Value) -> Result<Value, Trouble> {
    properties
        .get("PolicyDocument")
        .filter(|document| document.is_object())
        .cloned()
        .ok_or_else(|| {
            Trouble::invalid("Model validation failed (#: required key [PolicyDocument] not found)")
        })
}

fn iam_arn(scene: &Scene, kind: &str, properties: &Value, name: &str) -> String {
    let path = input::text(properties, "Path").unwrap_or_else(|| "/".to_owned());
    format!(
        "arn:aws:iam::{}:{kind}{path}{name}",
        scene.world.settings.account
    )
}

fn role(name: String, arn: String) -> Made {
    let id = crate::iam::role_id(&name);
    Made::new(name)
        .attribute("Arn", arn)
        .attribute("RoleId", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roles_own_policies_change_and_attached_ones_stay() {
        let attached = vec![json!("own-1"), json!("attached"), json!("own-2")];
        assert_eq!(
            exchange(
                attached,
                &[json!("own-1"), json!("own-2")],
                vec![json!("own-3")]
            ),
            vec![json!("attached"), json!("own-3")]
        );
    }
}
