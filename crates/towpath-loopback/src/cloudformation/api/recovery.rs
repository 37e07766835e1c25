//! The ways out of a stack that is stuck: cancel, continue, roll back.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::request::{Absent, pass_role, principal, stack_id, token};
use super::stacks::{USER_INITIATED, remember, used, with_operation};
use crate::cloudformation::deployer::Run;
use crate::cloudformation::operations::OperationType;
use crate::cloudformation::status::StackStatus;
use crate::cloudformation::wire::{optional_list, strings, validation};
use crate::{AwsError, Caller, World, input};

pub(super) fn cancel_update(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let _ = token(request)?;
    world
        .cloudformation
        .stack(&id, |stack| {
            if stack.status != StackStatus::UpdateInProgress {
                return Err(validation(
                    "CancelUpdateStack cannot be called from current stack status",
                ));
            }
            if let Some(operation) = &stack.operation {
                operation.abort.cancel();
            }
            Ok(json!({}))
        })
        .unwrap_or_else(|| Ok(json!({})))
}

pub(super) fn continue_rollback(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let token = token(request)?;
    if used(world, &id, token.as_deref(), "ContinueUpdateRollback")? {
        return Ok(json!({}));
    }
    let skip = strings(optional_list(request, "ResourcesToSkip").unwrap_or_default());
    let role = role_for(world, caller, request, &id)?;
    let principal = principal(world, caller, role.as_deref())?;
    let run = world
        .cloudformation
        .stack(&id, |stack| {
            if stack.status != StackStatus::UpdateRollbackFailed {
                return Err(validation(format!(
                    "Stack [{id}] is in {} state, and only a stack in UPDATE_ROLLBACK_FAILED state can continue its rollback",
                    stack.status.as_str()
                )));
            }
            if let Some(unknown) = skip.iter().find(|skipped| {
                stack
                    .resources
                    .get(*skipped)
                    .is_none_or(|resource| !resource.status.failed())
            }) {
                return Err(validation(format!(
                    "The following resource(s) cannot be skipped: [{unknown}]. Only resources in UPDATE_FAILED state can be skipped"
                )));
            }
            remember(stack, token.as_deref(), "ContinueUpdateRollback");
            let (operation, _) = stack.begin(OperationType::ContinueRollback, token, now());
            stack.enter(
                now(),
                StackStatus::UpdateRollbackInProgress,
                Some(USER_INITIATED.to_owned()),
            );
            Ok(Run::new(world, stack, operation, principal))
        })
        .unwrap_or_else(|| Err(validation(format!("Stack [{id}] does not exist"))))?;
    run.spawn_rollback(skip);
    Ok(json!({}))
}

pub(super) fn roll_back(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let token = token(request)?;
    let answer = || with_operation(world, &id, OperationType::Rollback, token.as_deref());
    if used(world, &id, token.as_deref(), "RollbackStack")? {
        return Ok(answer());
    }
    let role = role_for(world, caller, request, &id)?;
    let principal = principal(world, caller, role.as_deref())?;
    let (run, of_creation) = world
        .cloudformation
        .stack(&id, |stack| {
            let of_creation = match stack.status {
                StackStatus::CreateFailed => true,
                StackStatus::UpdateFailed => false,
                other => {
                    return Err(validation(format!(
                        "Stack [{id}] is in {} state, and only a stack in CREATE_FAILED or UPDATE_FAILED state can be rolled back",
                        other.as_str()
                    )));
                }
            };
            remember(stack, token.as_deref(), "RollbackStack");
            stack.retain_except_on_create |= input::flag(request, "RetainExceptOnCreate");
            let (operation, _) = stack.begin(OperationType::Rollback, token.clone(), now());
            let status = if of_creation {
                StackStatus::RollbackInProgress
            } else {
                StackStatus::UpdateRollbackInProgress
            };
            stack.enter(now(), status, Some(USER_INITIATED.to_owned()));
            Ok((Run::new(world, stack, operation, principal), of_creation))
        })
        .unwrap_or_else(|| Err(validation(format!("Stack [{id}] does not exist"))))?;
    if of_creation {
        run.spawn_rollback_of_creation();
    } else {
        run.spawn_rollback(Vec::new());
    }
    Ok(answer())
}

/// The role of the request, which the stack keeps, or the one it has.
fn role_for(
    world: &World,
    caller: &Caller,
    request: &Value,
    id: &str,
) -> Result<Option<String>, AwsError> {
    let given = input::text(request, "RoleARN");
    if let Some(role) = &given {
        pass_role(world, caller, role)?;
    }
    Ok(world
        .cloudformation
        .stack(id, |stack| {
            if given.is_some() {
                stack.declared.role_arn = given;
            }
            stack.declared.role_arn.clone()
        })
        .flatten())
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
