//! What a stack has beside its resources: termination protection and a stack policy.

use std::sync::Arc;

use serde_json::{Value, json};

use super::request::{Absent, stack_id};
use crate::cloudformation::wire::{Object, validation};
use crate::{AwsError, World, input};

pub(super) fn termination_protection(
    world: &Arc<World>,
    request: &Value,
) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let enable = input::flag(request, "EnableTerminationProtection");
    world
        .cloudformation
        .stack(&id, |stack| stack.termination_protection = enable);
    Ok(json!({ "StackId": id }))
}

pub(super) fn set_policy(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let Some(policy) = input::text(request, "StackPolicyBody") else {
        return Err(validation(
            "the loopback takes a stack policy by StackPolicyBody only",
        ));
    };
    if serde_json::from_str::<Value>(&policy).is_err() {
        return Err(validation(
            "Error validating stack policy: Invalid stack policy",
        ));
    }
    world
        .cloudformation
        .stack(&id, |stack| stack.policy = Some(policy));
    Ok(json!({}))
}

pub(super) fn policy(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let policy = world
        .cloudformation
        .stack(&id, |stack| stack.policy.clone())
        .flatten();
    Ok(json!({}).with("StackPolicyBody", policy))
}
