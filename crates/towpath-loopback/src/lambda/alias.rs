//! Names for versions: `CreateAlias` and its kin.

use serde_json::{Value, json};

use super::function::{Alias, Function};
use super::name::{FunctionName, LATEST, arn};
use super::operations::check_revision;
use crate::{AwsError, World, input};

/// Answers an operation on aliases.
pub(super) fn answer(
    world: &World,
    operation: &str,
    name: &FunctionName,
    function: &mut Function,
    request: &Value,
) -> Result<Value, AwsError> {
    if operation == "ListAliases" {
        let version = input::text(request, "FunctionVersion");
        let aliases: Vec<Value> = function
            .aliases
            .iter()
            .filter(|(_, alias)| {
                version
                    .as_ref()
                    .is_none_or(|version| *version == alias.version)
            })
            .map(|(alias_name, alias)| alias.render(world, &name.name, alias_name))
            .collect();
        return Ok(json!({ "Aliases": aliases }));
    }
    let alias_name = input::required(request, "Name")?;
    let alias_arn = arn(world, &name.name, Some(&alias_name));
    if let Some(version) = input::text(request, "FunctionVersion")
        && version != LATEST
        && !version
            .parse()
            .is_ok_and(|number: u64| function.published.contains_key(&number))
    {
        return Err(AwsError::client(
            "ResourceNotFoundException",
            format!(
                "Function not found: {}",
                arn(world, &name.name, Some(&version))
            ),
        )
        .with_status(404));
    }
    let not_found = || {
        AwsError::client(
            "ResourceNotFoundException",
            format!("Cannot find alias arn: {alias_arn}"),
        )
        .with_status(404)
    };
    match operation {
        "CreateAlias" => {
            if function.aliases.contains_key(&alias_name) {
                return Err(AwsError::client(
                    "ResourceConflictException",
                    format!("Alias already exists: {alias_arn}"),
                )
                .with_status(409));
            }
            let alias = Alias {
                version: input::required(request, "FunctionVersion")?,
                description: input::text(request, "Description").unwrap_or_default(),
                routing: routing(world, request),
                revision: uuid::Uuid::new_v4().to_string(),
            };
            let shown = alias.render(world, &name.name, &alias_name);
            function.aliases.insert(alias_name, alias);
            Ok(shown)
        }
        "UpdateAlias" => {
            let alias = function
                .aliases
                .get_mut(&alias_name)
                .ok_or_else(not_found)?;
            check_revision(request, &alias.revision)?;
            if let Some(version) = input::text(request, "FunctionVersion") {
                alias.version = version;
            }
            if let Some(description) = input::text(request, "Description") {
                alias.description = description;
            }
            if request.get("RoutingConfig").is_some() {
                alias.routing = routing(world, request);
            }
            alias.revision = uuid::Uuid::new_v4().to_string();
            Ok(alias.render(world, &name.name, &alias_name))
        }
        "GetAlias" => {
            let alias = function.aliases.get(&alias_name).ok_or_else(not_found)?;
            Ok(alias.render(world, &name.name, &alias_name))
        }
        _ => {
            function.aliases.remove(&alias_name);
            function.policy.remove(&Some(alias_name));
            Ok(json!({}))
        }
    }
}

fn routing(world: &World, request: &Value) -> Option<Value> {
    let routing = request
        .get("RoutingConfig")
        .filter(|given| !given.is_null())?;
    let weights = routing.get("AdditionalVersionWeights")?.as_object()?;
    if weights.is_empty() {
        return None;
    }
    world
        .fidelity
        .simulated("Lambda weighted aliases: recorded, every event goes to the main version");
    Some(routing.clone())
}
