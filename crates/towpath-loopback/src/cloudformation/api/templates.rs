//! GetTemplate, GetTemplateSummary and ValidateTemplate.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use towpath_template::Template;

use super::change_sets;
use super::request::{Absent, needed_capabilities, stack_id, template_text};
use crate::cloudformation::blueprint::Draft;
use crate::cloudformation::status::StackStatus;
use crate::cloudformation::wire::{Object, validation};
use crate::{AwsError, Caller, World, input};

pub(super) fn get(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let blueprint = if input::text(request, "ChangeSetName").is_some() {
        let (stack_id, id) = change_sets::locate(world, request)?;
        world
            .cloudformation
            .stack(&stack_id, |stack| {
                stack
                    .change_sets
                    .iter()
                    .find(|change_set| change_set.id == id)
                    .map(|change_set| Arc::clone(&change_set.declared.blueprint))
            })
            .flatten()
    } else {
        let id = stack_id(world, request, Absent::WithId)?;
        world
            .cloudformation
            .stack(&id, |stack| Arc::clone(&stack.declared.blueprint))
    };
    let blueprint = blueprint.ok_or_else(|| AwsError::internal("the stack is gone"))?;
    if blueprint.original.is_empty() {
        return Err(validation(
            "The stack is in REVIEW_IN_PROGRESS state and has no template yet: name one of its change sets",
        ));
    }
    let body = match input::text(request, "TemplateStage").as_deref() {
        Some("Processed") => blueprint.template.to_json(),
        _ => blueprint.original.clone(),
    };
    Ok(json!({ "TemplateBody": body, "StagesAvailable": ["Original", "Processed"] }))
}

pub(super) async fn summary(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let draft = if input::text(request, "StackName").is_some() {
        let id = stack_id(world, request, Absent::WithId)?;
        let text = world
            .cloudformation
            .stack(&id, |stack| {
                if stack.status == StackStatus::ReviewInProgress {
                    return Err(validation(
                        "GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.",
                    ));
                }
                Ok(stack.declared.blueprint.original.clone())
            })
            .unwrap_or_else(|| Err(AwsError::internal("the stack is gone")))?;
        Draft::read(text)?
    } else {
        read(world, caller, request).await?
    };
    let template = draft.template();
    let mut types: Vec<String> = Vec::new();
    let mut identifiers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, resource) in template.resources() {
        if let Some(kind) = input::text(resource, "Type") {
            identifiers
                .entry(kind.clone())
                .or_default()
                .push(id.clone());
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
    }
    let identifiers: Vec<Value> = identifiers
        .into_iter()
        .map(|(kind, ids)| json!({ "ResourceType": kind, "LogicalResourceIds": ids }))
        .collect();
    let parameters: Vec<Value> = template
        .parameters()
        .iter()
        .map(|(key, declaration)| {
            let allowed = declaration.get("AllowedValues").and_then(Value::as_array);
            let constraints = json!({}).with("AllowedValues", allowed.cloned());
            json!({
                "ParameterKey": key,
                "ParameterType": input::text(declaration, "Type"),
                "NoEcho": input::flag(declaration, "NoEcho"),
                "ParameterConstraints": constraints,
            })
            .with("DefaultValue", default(declaration))
            .with("Description", input::text(declaration, "Description"))
        })
        .collect();
    let version = input::text(template.value(), "AWSTemplateFormatVersion");
    let metadata = template.value().get("Metadata").map(Value::to_string);
    let answer = json!({
        "Parameters": parameters,
        "ResourceTypes": types,
        "ResourceIdentifierSummaries": identifiers,
        "DeclaredTransforms": draft.transforms(),
    })
    .with("Description", template.description())
    .with("Version", version)
    .with("Metadata", metadata);
    with_capabilities(world, answer, &draft)
}

pub(super) async fn validate(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let draft = read(world, caller, request).await?;
    let template = draft.template();
    let parameters: Vec<Value> = template
        .parameters()
        .iter()
        .map(|(key, declaration)| {
            json!({ "ParameterKey": key, "NoEcho": input::flag(declaration, "NoEcho") })
                .with("DefaultValue", default(declaration))
                .with("Description", input::text(declaration, "Description"))
        })
        .collect();
    let answer = json!({
        "Parameters": parameters,
        "DeclaredTransforms": draft.transforms(),
    })
    .with("Description", template.description());
    with_capabilities(world, answer, &draft)
}

async fn read(world: &Arc<World>, caller: &Caller, request: &Value) -> Result<Draft, AwsError> {
    let text = template_text(world, caller, request)
        .await?
        .ok_or_else(|| validation("Either Template URL or Template Body must be specified."))?;
    Draft::read(text)
}

fn default(declaration: &Value) -> Option<String> {
    input::text(declaration, "Default")
}

/// Adds what the processed template needs, and checks it by the way.
fn with_capabilities(world: &World, answer: Value, draft: &Draft) -> Result<Value, AwsError> {
    let processed: Template = draft.processed(&world.settings.region, BTreeMap::new())?;
    let (mut capabilities, types) = needed_capabilities(&processed);
    let mut reasons = Vec::new();
    if !types.is_empty() {
        reasons.push(format!(
            "The following resource(s) require capabilities: [{}]",
            types.join(", ")
        ));
    }
    if !draft.transforms().is_empty() {
        capabilities.push("CAPABILITY_AUTO_EXPAND");
        reasons.push(format!(
            "The following transform(s) require capabilities: [{}]",
            draft.transforms().join(", ")
        ));
    }
    Ok(answer
        .with(
            "Capabilities",
            (!capabilities.is_empty()).then(|| json!(capabilities)),
        )
        .with(
            "CapabilitiesReason",
            (!reasons.is_empty()).then(|| reasons.join(" ")),
        ))
}
