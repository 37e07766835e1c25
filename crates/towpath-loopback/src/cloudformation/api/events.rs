//! What happened, as `DescribeStackEvents` and `DescribeEvents` tell it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::change_sets;
use super::request::{Absent, stack_id};
use crate::cloudformation::hooks::HookResult;
use crate::cloudformation::operations::Wanted;
use crate::cloudformation::wire::{Object, page, validation};
use crate::{AwsError, World, input};

/// How many events a page holds.
const PAGE: usize = 100;

/// Newest first. The token counts from the oldest, so that new events do not shift the pages.
pub(super) fn of_stack(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let end = end(request)?;
    world
        .cloudformation
        .stack(&id, |stack| {
            let events = stack.history.events();
            let end = end.min(events.len());
            let start = end.saturating_sub(PAGE);
            let shown: Vec<Value> = events[start..end]
                .iter()
                .rev()
                .map(|event| event.describe(stack))
                .collect();
            json!({ "StackEvents": shown }).with("NextToken", (start > 0).then(|| token(start)))
        })
        .ok_or_else(|| AwsError::internal("the stack is gone"))
}

/// Of a stack, or of one operation, which a change set may stand for.
pub(super) fn of_operation(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let end = end(request)?;
    let (id, operation) = place(world, request)?;
    let filters = request.get("Filters").cloned().unwrap_or_default();
    let wanted = Wanted {
        operation,
        failed: input::flag(&filters, "FailedEvents"),
    };
    world
        .cloudformation
        .stack(&id, |stack| {
            let (events, next) = stack.history.describe(stack, &wanted, end, PAGE);
            json!({ "OperationEvents": events }).with("NextToken", next.map(token))
        })
        .ok_or_else(|| AwsError::internal("the stack is gone"))
}

/// The stack, and which of its operations. What is said of an operation that is not there, and of a request
/// that names nothing, is the loopback's own: neither is documented.
fn place(world: &Arc<World>, request: &Value) -> Result<(String, Option<String>), AwsError> {
    if let Some(operation) = input::text(request, "OperationId") {
        return world
            .cloudformation
            .owner(&operation)
            .map(|id| (id, Some(operation.clone())))
            .ok_or_else(|| validation(format!("Operation [{operation}] does not exist")));
    }
    if input::text(request, "ChangeSetName").is_some() {
        let (stack, id) = change_sets::locate(world, request)?;
        let operation = world
            .cloudformation
            .stack(&stack, |stack| change_sets::operation(stack, &id))
            .flatten();
        return Ok((stack, operation));
    }
    if input::text(request, "StackName").is_none() {
        return Err(validation(
            "One of StackName, ChangeSetName or OperationId must be specified",
        ));
    }
    Ok((stack_id(world, request, Absent::Brackets)?, None))
}

/// What hooks refused, newest first: the only results there are, since no hook runs here.
pub(super) fn hook_results(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let kind = input::text(request, "TargetType");
    let target = input::text(request, "TargetId");
    let asked = |hook: &HookResult| {
        kind.as_deref()
            .is_none_or(|kind| kind == hook.target.kind())
            && target.as_deref().is_none_or(|id| id == hook.target.id())
    };
    let mut results: Vec<Value> = world.cloudformation.with(|stacks| {
        stacks
            .iter()
            .flat_map(|stack| stack.history.hooks())
            .filter(|hook| asked(hook))
            .map(HookResult::summary)
            .collect()
    });
    results.reverse();
    let (results, next) = page(results, request, PAGE)?;
    Ok(json!({ "HookResults": results })
        .with("TargetType", kind)
        .with("TargetId", target)
        .with("NextToken", next))
}

/// Where the page ends.
fn end(request: &Value) -> Result<usize, AwsError> {
    let Some(token) = input::text(request, "NextToken") else {
        return Ok(usize::MAX);
    };
    token
        .strip_prefix("before-")
        .and_then(|before| before.parse().ok())
        .ok_or_else(|| validation(format!("Invalid NextToken: {token}")))
}

fn token(end: usize) -> String {
    format!("before-{end}")
}
