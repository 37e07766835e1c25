//! Change sets: proposed, looked at, executed or thrown away.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::request::{Absent, principal, token};
use super::stacks::{begin_creation, begin_update, check_updatable, parse_on_failure, used};
use crate::cloudformation::change_set::{
    ChangeSet, ChangeSetStatus, ChangeSetType, ExecutionStatus, Lineage,
};
use crate::cloudformation::deployer::OnFailure;
use crate::cloudformation::stack::Stack;
use crate::cloudformation::status::StackStatus;
use crate::cloudformation::wire::{Object, page, required, validation};
use crate::{AwsError, Caller, World, input};

mod importing;
mod making;
pub(crate) mod nested;

pub(super) use making::create;

/// How many changes a page of `DescribeChangeSet` holds.
const PAGE: usize = 100;

/// The ids of the stack and of the change set that the request names.
pub(super) fn locate(world: &World, request: &Value) -> Result<(String, String), AwsError> {
    let name = required(request, "ChangeSetName")?;
    let unknown = || {
        AwsError::client(
            "ChangeSetNotFound",
            format!("ChangeSet [{name}] does not exist"),
        )
        .with_status(404)
    };
    if name.starts_with("arn:") {
        return world
            .cloudformation
            .with(|stacks| {
                stacks.iter().find_map(|stack| {
                    stack
                        .change_sets
                        .iter()
                        .any(|change_set| change_set.id == name)
                        .then(|| (stack.id.clone(), name.clone()))
                })
            })
            .ok_or_else(unknown);
    }
    let Some(stack_name) = input::text(request, "StackName") else {
        return Err(validation(
            "StackName must be specified if ChangeSetName is not specified as an ARN.",
        ));
    };
    let stack_id = super::request::stack_id(world, request, Absent::Brackets)
        .map_err(|_| validation(format!("Stack [{stack_name}] does not exist")))?;
    let id = world
        .cloudformation
        .stack(&stack_id, |stack| {
            stack
                .change_sets
                .iter()
                .find(|change_set| change_set.name == name)
                .map(|change_set| change_set.id.clone())
        })
        .flatten()
        .ok_or_else(unknown)?;
    Ok((stack_id, id))
}

pub(super) fn describe(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let (stack_id, id) = locate(world, request)?;
    let with_values = input::flag(request, "IncludePropertyValues");
    let (answer, changes) = world
        .cloudformation
        .stack(&stack_id, |stack| {
            let change_set = stack
                .change_sets
                .iter()
                .find(|change_set| change_set.id == id)?;
            let blueprint = &change_set.declared.blueprint;
            let changes: Vec<Value> = change_set
                .changes
                .iter()
                .map(|change| {
                    stack.mask_attributes(blueprint.mask_value(change.describe(with_values)))
                })
                .collect();
            Some((change_set.describe(stack), changes))
        })
        .flatten()
        .ok_or_else(|| AwsError::internal("the change set is gone"))?;
    let (changes, next) = page(changes, request, PAGE)?;
    Ok(answer
        .with("Changes", Some(changes))
        .with("NextToken", next))
}

pub(super) fn list(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let stack_id = super::request::stack_id(world, request, Absent::Brackets)?;
    let summaries: Vec<Value> = world
        .cloudformation
        .stack(&stack_id, |stack| {
            stack
                .change_sets
                .iter()
                .map(|change_set| change_set.summary(stack))
                .collect()
        })
        .unwrap_or_default();
    let (summaries, next) = page(summaries, request, PAGE)?;
    Ok(json!({ "Summaries": summaries }).with("NextToken", next))
}

pub(super) fn execute(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let (stack_id, id) = locate(world, request)?;
    let token = token(request)?;
    let this = format!("ExecuteChangeSet of {id}");
    if used(world, &stack_id, token.as_deref(), &this)? {
        return Ok(json!({}));
    }
    let role = world
        .cloudformation
        .stack(&stack_id, |stack| {
            find(stack, &id)?.declared.role_arn.clone()
        })
        .flatten();
    let principal = principal(world, caller, role.as_deref())?;
    let disable_rollback = input::flag(request, "DisableRollback");
    let says_rollback = request.get("DisableRollback").is_some();
    let (run, kind, imports, on_failure, ended) = world
        .cloudformation
        .stack(&stack_id, |stack| {
            let change_set = find(stack, &id)
                .cloned()
                .ok_or_else(|| AwsError::internal("the change set is gone"))?;
            check_executable(&change_set)?;
            check_is_root(&change_set, "executed")?;
            let on_failure = match &change_set.on_stack_failure {
                // Whatever it says. The rule is documented; how AWS words the refusal is not.
                Some(_) if says_rollback => {
                    return Err(validation(
                        "DisableRollback cannot be specified for a change set with OnStackFailure.",
                    ));
                }
                Some(text) => parse_on_failure(text)?,
                None if disable_rollback => OnFailure::DoNothing,
                None => OnFailure::Rollback,
            };
            let into_a_shell = stack.status == StackStatus::ReviewInProgress;
            match change_set.kind {
                ChangeSetType::Update => {
                    check_updatable(stack, on_failure == OnFailure::DoNothing)?;
                }
                ChangeSetType::Import if !into_a_shell => check_updatable(stack, false)?,
                ChangeSetType::Create | ChangeSetType::Import => {}
            }
            // Executing one change set ends all others of the stack.
            let ended: Vec<String> = stack
                .change_sets
                .iter()
                .map(|other| other.id.clone())
                .filter(|other| *other != id)
                .collect();
            stack.change_sets.retain(|other| other.id == id);
            for executed in &mut stack.change_sets {
                executed.execution = ExecutionStatus::ExecuteInProgress;
            }
            stack.change_set_id = Some(id.clone());
            stack.disable_rollback = on_failure == OnFailure::DoNothing;
            stack.retain_except_on_create = input::flag(request, "RetainExceptOnCreate");
            stack.policy_during_update = None;
            let declared = change_set.declared;
            let run = match change_set.kind {
                ChangeSetType::Create => {
                    stack.declared = declared;
                    begin_creation(world, stack, token, &this, principal)
                }
                ChangeSetType::Update | ChangeSetType::Import => {
                    let status = if change_set.kind == ChangeSetType::Import {
                        StackStatus::ImportInProgress
                    } else {
                        StackStatus::UpdateInProgress
                    };
                    begin_update(world, stack, status, declared, token, &this, principal)
                }
            };
            Ok((run, change_set.kind, change_set.imports, on_failure, ended))
        })
        .unwrap_or_else(|| Err(validation(format!("Stack [{stack_id}] does not exist"))))?;
    nested::forget(world, &ended);
    match kind {
        ChangeSetType::Create => run.spawn_create(on_failure, None),
        ChangeSetType::Update => run.spawn_update(on_failure == OnFailure::DoNothing),
        ChangeSetType::Import => run.spawn_import(imports),
    }
    Ok(json!({}))
}

/// The id of the operation that made a change set.
pub(super) fn operation(stack: &Stack, id: &str) -> Option<String> {
    find(stack, id).map(|change_set| change_set.operation.clone())
}

fn find<'a>(stack: &'a Stack, id: &str) -> Option<&'a ChangeSet> {
    stack
        .change_sets
        .iter()
        .find(|change_set| change_set.id == id)
}

fn check_executable(change_set: &ChangeSet) -> Result<(), AwsError> {
    let refuse = |what: &str, status: &str| {
        Err(AwsError::client(
            "InvalidChangeSetStatus",
            format!(
                "ChangeSet [{}] cannot be executed in its current {what} of [{status}]",
                change_set.id
            ),
        ))
    };
    if change_set.status != ChangeSetStatus::CreateComplete {
        return refuse("status", change_set.status.as_str());
    }
    if change_set.execution != ExecutionStatus::Available {
        return refuse("execution status", change_set.execution.as_str());
    }
    Ok(())
}

/// A nested change set is a part of another, with which alone it is acted on.
fn check_is_root(change_set: &ChangeSet, what: &str) -> Result<(), AwsError> {
    match &change_set.lineage {
        None => Ok(()),
        Some(Lineage { root, .. }) => Err(validation(format!(
            "ChangeSet [{}] is nested and cannot be {what} by itself, but only with its root change set [{root}]",
            change_set.id
        ))),
    }
}

pub(super) fn delete(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let (stack_id, id) = match locate(world, request) {
        Ok(found) => found,
        // Deleting what is not there is what was wanted, as long as its stack exists.
        Err(error) if error.code == "ChangeSetNotFound" => return Ok(json!({})),
        Err(error) => return Err(error),
    };
    world
        .cloudformation
        .stack(&stack_id, |stack| {
            if let Some(found) = find(stack, &id) {
                check_is_root(found, "deleted")?;
            }
            if find(stack, &id)
                .is_some_and(|found| found.execution == ExecutionStatus::ExecuteInProgress)
            {
                return Err(AwsError::client(
                    "InvalidChangeSetStatus",
                    format!("ChangeSet [{id}] cannot be deleted while it is being executed"),
                ));
            }
            stack.change_sets.retain(|change_set| change_set.id != id);
            Ok(())
        })
        .unwrap_or(Ok(()))?;
    nested::forget(world, &[id]);
    Ok(json!({}))
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
