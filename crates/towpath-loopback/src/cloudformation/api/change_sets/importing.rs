//! What a change set of the type `IMPORT` takes in, and what it may not be mixed with.
//!
//! The rules are those of CloudFormation's user guide ("Import AWS resources into a CloudFormation stack"): every
//! resource is in the template, has a `DeletionPolicy` and belongs to no stack, and nothing else changes. The
//! wordings are from memory of AWS and not sourced.

use serde_json::Value;

use crate::cloudformation::blueprint::Blueprint;
use crate::cloudformation::change_set::{ChangeSetType, Import};
use crate::cloudformation::plan::{Action, Change};
use crate::cloudformation::resources;
use crate::cloudformation::wire::{required, validation};
use crate::{AwsError, World, input};

/// The resources that the request wants to have imported.
pub(super) fn wanted(
    world: &World,
    kind: ChangeSetType,
    request: &Value,
    blueprint: &Blueprint,
) -> Result<Vec<Import>, AwsError> {
    let listed = input::list(request, "ResourcesToImport");
    if kind != ChangeSetType::Import {
        return if listed.is_empty() {
            Ok(Vec::new())
        } else {
            Err(validation(
                "ResourcesToImport can only be specified with the change set type IMPORT.",
            ))
        };
    }
    if listed.is_empty() {
        return Err(validation(
            "At least one resource to import must be specified in ResourcesToImport.",
        ));
    }
    listed
        .iter()
        .map(|resource| one(world, resource, blueprint))
        .collect()
}

fn one(world: &World, resource: &Value, blueprint: &Blueprint) -> Result<Import, AwsError> {
    let logical_id = required(resource, "LogicalResourceId")?;
    let resource_type = required(resource, "ResourceType")?;
    let identifier: Vec<&str> = resource
        .get("ResourceIdentifier")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(_, value)| value.as_str())
        .collect();
    let &[physical_id] = identifier.as_slice() else {
        return Err(validation(format!(
            "ResourceIdentifier of [{logical_id}] must have exactly one property: the loopback imports no type that needs more."
        )));
    };
    let Some(planned) = blueprint.resources.get(&logical_id) else {
        return Err(validation(format!(
            "Resources [{logical_id}] to import are not in the template."
        )));
    };
    if planned.resource_type != resource_type {
        return Err(validation(format!(
            "[{logical_id}] is {} in the template, and {resource_type} in ResourcesToImport.",
            planned.resource_type
        )));
    }
    if planned.deletion_policy.is_none() {
        return Err(validation(format!(
            "Following resources to import [{logical_id}] must have DeletionPolicy attribute specified in the template."
        )));
    }
    if !resources::importable(&resource_type) {
        return Err(validation(format!(
            "ResourceTypes [{resource_type}] are not supported for Import by the loopback."
        )));
    }
    if let Some(stack) = resources::owner(world, &resource_type, physical_id) {
        return Err(validation(format!(
            "{physical_id} already exists in stack {stack}"
        )));
    }
    Ok(Import {
        logical_id,
        resource_type,
        physical_id: physical_id.to_owned(),
    })
}

/// Tells the imports among the changes. `Err` if there is anything else among them.
pub(super) fn mark(imports: &[Import], changes: &mut [Change]) -> Result<(), String> {
    let mut others = Vec::new();
    for change in changes {
        let import = imports
            .iter()
            .find(|import| import.logical_id == change.logical_id);
        match import {
            Some(import) if change.action == Action::Add => {
                change.action = Action::Import;
                change.physical_id = Some(import.physical_id.clone());
            }
            _ => others.push(change.logical_id.as_str()),
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    Err(format!(
        "You have modified resources [{}] in your template that are not being imported. Update, create or delete operations cannot be executed during import operations.",
        others.join(", ")
    ))
}
