//! AWS::CloudFormation::Stack: a stack within a stack, deployed by the very same code.

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{Made, Scene, Trouble};
use crate::cloudformation::api::stacks::{self, Parent};
use crate::cloudformation::change_set::{ExecutionStatus, NO_UPDATES};
use crate::cloudformation::stack::Resource;
use crate::cloudformation::status::StackStatus;
use crate::cloudformation::wire::Object;
use crate::input;

use super::names::{self, Rules};

pub(super) async fn create(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let proposed = proposed(scene);
    let name = proposed
        .as_ref()
        .map(|proposed| proposed.stack_name.clone());
    let request = request(scene, properties, name)?;
    let parent = Parent {
        stack_id: scene.stack_id.clone(),
        change_set_id: proposed.map(|proposed| proposed.change_set_id),
    };
    // Boxed, since a stack's resource is here a stack whose resources may be stacks.
    let id = Box::pin(stacks::create_within(
        &scene.world,
        &scene.caller,
        &request,
        Some(parent),
    ))
    .await
    .map_err(|error| Trouble::from_service("CloudFormation", &error))?;
    Ok(Made::new(id))
}

pub(super) async fn update(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let id = resource.physical_id.clone().unwrap_or_default();
    let request = request(scene, properties, Some(id))?;
    let change_set = proposed(scene).map(|proposed| proposed.change_set_id);
    let updated = stacks::update_within(&scene.world, &scene.caller, &request, change_set);
    match Box::pin(updated).await {
        Ok(_) => Ok(Made::unchanged(resource)),
        Err(error) if error.message == NO_UPDATES => Ok(Made::unchanged(resource)),
        Err(error) => Err(Trouble::from_service("CloudFormation", &error)),
    }
}

/// A change set of the nested stack that was made with the one that its parent is executing.
pub(super) struct Proposed {
    stack_name: String,
    change_set_id: String,
}

pub(super) fn proposed(scene: &Scene) -> Option<Proposed> {
    let service = &scene.world.cloudformation;
    let executed = service
        .stack(&scene.stack_id, |stack| stack.change_set_id.clone())
        .flatten()?;
    service.with(|stacks| {
        stacks.iter().find_map(|stack| {
            let change_set = stack.change_sets.iter().find(|change_set| {
                change_set.execution == ExecutionStatus::Available
                    && change_set.lineage.as_ref().is_some_and(|lineage| {
                        lineage.parent == executed && lineage.logical_id == scene.logical_id
                    })
            })?;
            Some(Proposed {
                stack_name: stack.name.clone(),
                change_set_id: change_set.id.clone(),
            })
        })
    })
}

/// Waits for the nested stack, and takes its outputs as attributes.
pub(super) async fn settle(
    scene: &Scene,
    made: Made,
    stop: &CancellationToken,
) -> Result<Made, Trouble> {
    let service = &scene.world.cloudformation;
    let id = made.physical_id.clone();
    if let Some(operation) = service
        .stack(&id, |stack| stack.operation.clone())
        .flatten()
    {
        tokio::select! {
            () = operation.finished.cancelled() => {}
            () = stop.cancelled() => {
                operation.abort.cancel();
                operation.finished.cancelled().await;
            }
        }
    }
    let (status, reason, outputs) = service
        .stack(&id, |stack| {
            let outputs: Map<String, Value> = stack
                .outputs
                .iter()
                .map(|output| (format!("Outputs.{}", output.key), json!(output.value)))
                .collect();
            (stack.status, first_failure(stack), outputs)
        })
        .ok_or_else(|| Trouble::told(format!("Embedded stack {id} does not exist")))?;
    match status {
        StackStatus::CreateComplete | StackStatus::UpdateComplete => Ok(Made {
            attributes: outputs,
            ..made
        }),
        StackStatus::UpdateRollbackComplete | StackStatus::UpdateRollbackFailed => {
            Err(Trouble::told(format!(
                "Embedded stack {id} was not successfully updated: {reason}"
            )))
        }
        _ => Err(Trouble::told(format!(
            "Embedded stack {id} was not successfully created: {reason}"
        ))),
    }
}

/// The sentence with which the stack's last operation began to fail.
fn first_failure(stack: &crate::cloudformation::stack::Stack) -> String {
    stack
        .history
        .events()
        .iter()
        .rev()
        .find(|event| {
            event.logical_id == stack.name
                && event
                    .reason
                    .as_deref()
                    .is_some_and(|reason| reason.starts_with("The following resource(s)"))
        })
        .and_then(|event| event.reason.clone())
        .or_else(|| stack.reason.clone())
        .unwrap_or_default()
}

pub(super) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let id = resource.physical_id.clone().unwrap_or_default();
    let service = &scene.world.cloudformation;
    let request = json!({ "StackName": id });
    stacks::delete(&scene.world, &scene.caller, &request)
        .map_err(|error| Trouble::from_service("CloudFormation", &error))?;
    if let Some(operation) = service
        .stack(&id, |stack| stack.operation.clone())
        .flatten()
    {
        operation.finished.cancelled().await;
    }
    let failed = service
        .stack(&id, |stack| {
            (stack.status != StackStatus::DeleteComplete)
                .then(|| stack.reason.clone().unwrap_or_default())
        })
        .flatten();
    match failed {
        None => Ok(()),
        Some(reason) => Err(Trouble::told(format!(
            "Embedded stack {id} was not successfully deleted: {reason}"
        ))),
    }
}

/// The request that the properties come to, for a stack with this name or id, else for a new one. What the
/// parent was allowed, the child is.
pub(super) fn request(
    scene: &Scene,
    properties: &Value,
    stack: Option<String>,
) -> Result<Value, Trouble> {
    let name = stack.unwrap_or_else(|| names::generated(scene, Rules::PLAIN));
    let request = json!({ "StackName": name });
    let Some(url) = input::text(properties, "TemplateURL") else {
        return Err(Trouble::invalid(
            "Model validation failed (#: required key [TemplateURL] not found)",
        ));
    };
    let empty = Map::new();
    let parameters: Vec<Value> = properties
        .get("Parameters")
        .and_then(Value::as_object)
        .unwrap_or(&empty)
        .iter()
        .map(|(key, value)| {
            let text = match value {
                Value::Array(items) => items
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(","),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            json!({ "ParameterKey": key, "ParameterValue": text })
        })
        .collect();
    Ok(request
        .with("TemplateURL", Some(url))
        .with("Parameters", Some(parameters))
        .with(
            "Capabilities",
            Some(json!([
                "CAPABILITY_IAM",
                "CAPABILITY_NAMED_IAM",
                "CAPABILITY_AUTO_EXPAND"
            ])),
        )
        .with(
            "Tags",
            Some(super::properties::tag_list(&scene.tags, properties)),
        )
        .with(
            "NotificationARNs",
            properties.get("NotificationARNs").cloned(),
        ))
}
