//! Change sets of nested stacks: made with that of the stack around them, executed and thrown away with it.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Value, json};

use super::making::{Making, finish, propose};
use crate::cloudformation::api::request::principal;
use crate::cloudformation::change_set::{ChangeSetStatus, Lineage, NO_CHANGES, NO_UPDATES};
use crate::cloudformation::plan::{Change, UNKNOWN};
use crate::cloudformation::resources::{self, Scene, SharedWorld};
use crate::cloudformation::stack::{Declared, Resource, STACK_TYPE};
use crate::cloudformation::status::StackStatus;
use crate::{World, input};

/// Makes the change sets of the stacks that are nested in what is proposed, and names them in its changes.
/// `Err` says why the outer change set fails with one of them.
pub(super) fn make<'a>(
    world: &'a Arc<World>,
    making: &'a Making,
    declared: &'a Declared,
    changes: &'a mut Vec<Change>,
) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
    Box::pin(async move {
        for (logical_id, current) in nested_stacks(world, &making.stack_id, declared) {
            let place = changes
                .iter()
                .position(|change| change.logical_id == logical_id);
            let properties = match (place, &current) {
                (Some(place), _) => changes[place]
                    .after
                    .as_ref()
                    .map(|after| after["Properties"].clone()),
                (None, Some(resource)) => Some(resource.properties.clone()),
                (None, None) => None,
            };
            let Some(properties) = properties else {
                continue;
            };
            let made = one(
                world,
                making,
                declared,
                &logical_id,
                current.as_ref(),
                &properties,
            );
            let Some(id) = made.await? else { continue };
            match (place, current) {
                (Some(place), _) => changes[place].inner = Some(id),
                (None, Some(resource)) => {
                    let mut change = Change::automatic(&resource);
                    change.inner = Some(id);
                    changes.push(change);
                }
                (None, None) => {}
            }
        }
        Ok(())
    })
}

/// The change that is shown of every nested stack that is not looked into: it may change, and nobody knows.
pub(super) fn not_looked_into(
    world: &World,
    stack_id: &str,
    declared: &Declared,
    changes: &mut Vec<Change>,
) {
    for (logical_id, current) in nested_stacks(world, stack_id, declared) {
        let shown = changes.iter().any(|change| change.logical_id == logical_id);
        if let Some(resource) = current.filter(|_| !shown) {
            changes.push(Change::automatic(&resource));
        }
    }
}

/// The nested stacks that are declared, and those of them that exist.
fn nested_stacks(
    world: &World,
    stack_id: &str,
    declared: &Declared,
) -> Vec<(String, Option<Resource>)> {
    let current = world
        .cloudformation
        .stack(stack_id, |stack| stack.resources.clone())
        .unwrap_or_default();
    declared
        .blueprint
        .resources
        .values()
        .filter(|planned| planned.resource_type == STACK_TYPE)
        .map(|planned| {
            let existing = current
                .get(&planned.logical_id)
                .filter(|resource| !resource.status.gone() && resource.physical_id.is_some());
            (planned.logical_id.clone(), existing.cloned())
        })
        .collect()
}

/// Makes the change set of one nested stack. `None` if it would change nothing, or cannot be known yet.
async fn one(
    world: &Arc<World>,
    making: &Making,
    declared: &Declared,
    logical_id: &str,
    current: Option<&Resource>,
    properties: &Value,
) -> Result<Option<String>, String> {
    let url = input::text(properties, "TemplateURL").unwrap_or_default();
    if url.contains(UNKNOWN) {
        return Ok(None);
    }
    let Some((stack_name, root_stack, name, root)) = place(world, making) else {
        return Ok(None);
    };
    let caller = principal(world, &making.caller, declared.role_arn.as_deref())
        .map_err(|error| error.message)?;
    let scene = Scene {
        world: SharedWorld(Arc::clone(world)),
        stack_name,
        stack_id: making.stack_id.clone(),
        logical_id: logical_id.to_owned(),
        caller,
        tags: declared.tags.clone(),
    };
    let existing = current.and_then(|resource| resource.physical_id.clone());
    let kind = if existing.is_some() {
        "UPDATE"
    } else {
        "CREATE"
    };
    let mut request = resources::nested_request(&scene, properties, existing)
        .map_err(|trouble| trouble.reason)?;
    request["ChangeSetName"] = json!(nested_name(&name, logical_id));
    request["ChangeSetType"] = json!(kind);
    request["IncludeNestedStacks"] = json!(true);
    let lineage = Lineage {
        parent: making.id.clone(),
        root,
        parent_stack: making.stack_id.clone(),
        root_stack,
        logical_id: logical_id.to_owned(),
    };
    let nested = match propose(world, &scene.caller, &request, Some(lineage)).await {
        Ok(nested) => nested,
        // A value that only the deployment will know may not pass for one of its type.
        Err(_) if properties.to_string().contains(UNKNOWN) => return Ok(None),
        Err(error) => return Err(error.message),
    };
    finish(world, &nested).await;
    let outcome = world
        .cloudformation
        .stack(&nested.stack_id, |stack| {
            let made = super::find(stack, &nested.id)?;
            Some((made.status, made.reason.clone().unwrap_or_default()))
        })
        .flatten();
    match outcome {
        Some((ChangeSetStatus::CreateComplete, _)) => Ok(Some(nested.id)),
        Some((ChangeSetStatus::Failed, reason)) if reason == NO_CHANGES || reason == NO_UPDATES => {
            Ok(None)
        }
        Some(_) => Err(format!(
            "Nested change set {} was not successfully created: Currently in FAILED.",
            nested.id
        )),
        // It has been thrown away meanwhile, and so has the outer one.
        None => Ok(None),
    }
}

/// The name and the root of the stack, and the name and the root of the change set, that is being made.
fn place(world: &World, making: &Making) -> Option<(String, String, String, String)> {
    world
        .cloudformation
        .stack(&making.stack_id, |stack| {
            let outer = super::find(stack, &making.id)?;
            let root = outer
                .lineage
                .as_ref()
                .map_or(&outer.id, |lineage| &lineage.root);
            let root_stack = stack.root_id.as_ref().unwrap_or(&stack.id);
            Some((
                stack.name.clone(),
                root_stack.clone(),
                outer.name.clone(),
                root.clone(),
            ))
        })
        .flatten()
}

/// Like AWS's: made of the outer one's name and the logical id, and never twice the same.
fn nested_name(outer: &str, logical_id: &str) -> String {
    let mut name: String = format!("{outer}-{logical_id}").chars().take(115).collect();
    name.push('-');
    name.extend(
        uuid::Uuid::new_v4()
            .simple()
            .to_string()
            .to_uppercase()
            .chars()
            .take(12),
    );
    name
}

/// Throws away the change sets that were made with these roots, and the stacks that exist for them alone.
pub(crate) fn forget(world: &World, roots: &[String]) {
    world.cloudformation.with(|stacks| {
        for stack in stacks.iter_mut() {
            let before = stack.change_sets.len();
            stack.change_sets.retain(|change_set| {
                change_set
                    .lineage
                    .as_ref()
                    .is_none_or(|lineage| !roots.contains(&lineage.root))
            });
            if stack.change_sets.len() < before
                && stack.change_sets.is_empty()
                && stack.status == StackStatus::ReviewInProgress
            {
                stack.enter(super::now(), StackStatus::DeleteComplete, None);
            }
        }
    });
}
