//! What stacks, their resources and their events look like from outside.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Absent, stack_id};
use crate::cloudformation::change_set::describe_tags;
use crate::cloudformation::stack::{Resource, Stack};
use crate::cloudformation::wire::{
    Object, optional_list, page, required, strings, timestamp, validation,
};
use crate::{AwsError, World, input};

/// How many entries a page holds.
const PAGE: usize = 100;

pub(super) fn stacks(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    if input::text(request, "StackName").is_some() {
        let id = stack_id(world, request, Absent::WithId)?;
        let found = world.cloudformation.stack(&id, |stack| describe(stack));
        return Ok(json!({ "Stacks": found.into_iter().collect::<Vec<_>>() }));
    }
    let all: Vec<Value> = world.cloudformation.with(|stacks| {
        stacks
            .iter()
            .rev()
            .filter(|stack| !stack.status.is_gone())
            .map(describe)
            .collect()
    });
    let (stacks, next) = page(all, request, PAGE)?;
    Ok(json!({ "Stacks": stacks }).with("NextToken", next))
}

fn describe(stack: &Stack) -> Value {
    let declared = &stack.declared;
    let outputs: Vec<Value> = stack
        .outputs
        .iter()
        .map(|output| {
            json!({ "OutputKey": output.key, "OutputValue": output.value })
                .with("Description", output.description.clone())
                .with("ExportName", output.export.clone())
        })
        .collect();
    json!({
        "StackId": stack.id,
        "StackName": stack.name,
        "Parameters": declared.blueprint.describe_parameters(),
        "CreationTime": timestamp(stack.created),
        "RollbackConfiguration": declared.rollback_configuration,
        "StackStatus": stack.status.as_str(),
        "DisableRollback": stack.disable_rollback,
        "NotificationARNs": declared.notification_arns,
        "Capabilities": declared.capabilities,
        "Outputs": outputs,
        "Tags": describe_tags(&declared.tags),
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": { "StackDriftStatus": "NOT_CHECKED" },
    })
    .with("StackStatusReason", stack.reason.clone())
    .with("Description", declared.blueprint.template.description())
    .with("LastUpdatedTime", stack.updated.map(timestamp))
    .with("DeletionTime", stack.deleted.map(timestamp))
    .with("ChangeSetId", stack.change_set_id.clone())
    .with("TimeoutInMinutes", stack.timeout_minutes)
    .with("RoleARN", declared.role_arn.clone())
    .with("ParentId", stack.parent_id.clone())
    .with("RootId", stack.root_id.clone())
    .with("LastOperations", last_operations(stack))
}

fn last_operations(stack: &Stack) -> Option<Vec<Value>> {
    Some(stack.history.latest()).filter(|latest| !latest.is_empty())
}

pub(super) fn list(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let filter = strings(optional_list(request, "StackStatusFilter").unwrap_or_default());
    let all: Vec<Value> = world.cloudformation.with(|stacks| {
        stacks
            .iter()
            .rev()
            .filter(|stack| {
                filter.is_empty() || filter.iter().any(|status| status == stack.status.as_str())
            })
            .map(|stack| {
                json!({
                    "StackId": stack.id,
                    "StackName": stack.name,
                    "CreationTime": timestamp(stack.created),
                    "StackStatus": stack.status.as_str(),
                    "DriftInformation": { "StackDriftStatus": "NOT_CHECKED" },
                })
                .with("StackStatusReason", stack.reason.clone())
                .with(
                    "TemplateDescription",
                    stack.declared.blueprint.template.description(),
                )
                .with("LastUpdatedTime", stack.updated.map(timestamp))
                .with("DeletionTime", stack.deleted.map(timestamp))
                .with("ParentId", stack.parent_id.clone())
                .with("RootId", stack.root_id.clone())
                .with("LastOperations", last_operations(stack))
            })
            .collect()
    });
    let (summaries, next) = page(all, request, PAGE)?;
    Ok(json!({ "StackSummaries": summaries }).with("NextToken", next))
}

pub(super) fn resources(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let logical_id = input::text(request, "LogicalResourceId");
    let id = match input::text(request, "PhysicalResourceId") {
        Some(physical_id) if input::text(request, "StackName").is_none() => {
            owner(world, &physical_id)?
        }
        _ => stack_id(world, request, Absent::WithId)?,
    };
    let found: Vec<Value> = world
        .cloudformation
        .stack(&id, |stack| {
            stack
                .resources
                .values()
                .filter(|resource| {
                    logical_id
                        .as_ref()
                        .is_none_or(|wanted| *wanted == resource.logical_id)
                })
                .map(|resource| {
                    summary(resource, "Timestamp")
                        .with("StackName", Some(stack.name.clone()))
                        .with("StackId", Some(stack.id.clone()))
                })
                .collect()
        })
        .unwrap_or_default();
    Ok(json!({ "StackResources": found }))
}

/// The stack that a physical resource belongs to.
fn owner(world: &World, physical_id: &str) -> Result<String, AwsError> {
    world
        .cloudformation
        .with(|stacks| {
            stacks
                .iter()
                .find(|stack| {
                    stack.resources.values().any(|resource| {
                        !resource.status.gone()
                            && resource.physical_id.as_deref() == Some(physical_id)
                    })
                })
                .map(|stack| stack.id.clone())
        })
        .ok_or_else(|| validation(format!("Stack for {physical_id} does not exist")))
}

pub(super) fn resource(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let name = required(request, "StackName")?;
    let logical_id = required(request, "LogicalResourceId")?;
    let id = world
        .cloudformation
        .find(&name)
        .ok_or_else(|| validation(format!("Stack '{name}' does not exist")))?;
    let detail = world
        .cloudformation
        .stack(&id, |stack| {
            let resource = stack.resources.get(&logical_id)?;
            let metadata = resource
                .metadata
                .is_object()
                .then(|| resource.metadata.to_string());
            Some(
                summary(resource, "LastUpdatedTimestamp")
                    .with("StackName", Some(stack.name.clone()))
                    .with("StackId", Some(stack.id.clone()))
                    .with("Metadata", metadata),
            )
        })
        .flatten()
        .ok_or_else(|| {
            validation(format!(
                "Resource {logical_id} does not exist for stack {name}"
            ))
        })?;
    Ok(json!({ "StackResourceDetail": detail }))
}

pub(super) fn list_resources(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::WithId)?;
    let all: Vec<Value> = world
        .cloudformation
        .stack(&id, |stack| {
            stack
                .resources
                .values()
                .map(|resource| summary(resource, "LastUpdatedTimestamp"))
                .collect()
        })
        .unwrap_or_default();
    let (summaries, next) = page(all, request, PAGE)?;
    Ok(json!({ "StackResourceSummaries": summaries }).with("NextToken", next))
}

fn summary(resource: &Resource, time_member: &str) -> Value {
    json!({
        "LogicalResourceId": resource.logical_id,
        "ResourceType": resource.resource_type,
        "ResourceStatus": resource.status.as_str(),
        "DriftInformation": { "StackResourceDriftStatus": "NOT_CHECKED" },
    })
    .with("PhysicalResourceId", resource.physical_id.clone())
    .with("ResourceStatusReason", resource.reason.clone())
    .with(time_member, Some(timestamp(resource.changed)))
}
