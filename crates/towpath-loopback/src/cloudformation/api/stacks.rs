//! CreateStack, UpdateStack and DeleteStack.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::request::{
    Absent, Submission, check_name, pass_role, principal, stack_id, template_text, token,
};
use crate::cloudformation::blueprint::{Blueprint, Draft};
use crate::cloudformation::change_set::{ExecutionStatus, NO_UPDATES};
use crate::cloudformation::deployer::{Delete, OnFailure, Run, text_of};
use crate::cloudformation::known::Known;
use crate::cloudformation::operations::OperationType;
use crate::cloudformation::plan::{self, Change};
use crate::cloudformation::stack::{Baseline, Declared, Output, Stack};
use crate::cloudformation::status::StackStatus;
use crate::cloudformation::wire::{Object, optional_list, strings, validation};
use crate::{AwsError, Caller, World, input};

/// What the first event of every operation says.
pub(super) const USER_INITIATED: &str = "User Initiated";

/// The stack that a nested stack belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Parent {
    pub(crate) stack_id: String,
    /// The nested change set by which the stack was proposed, whose shell becomes the stack.
    pub(crate) change_set_id: Option<String>,
}

pub(super) async fn create(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let id = create_within(world, caller, request, None).await?;
    let token = token(request)?;
    let kind = OperationType::CreateStack;
    Ok(with_operation(world, &id, kind, token.as_deref()))
}

/// The stack's id, with that of the operation that the request began.
pub(super) fn with_operation(
    world: &World,
    id: &str,
    kind: OperationType,
    token: Option<&str>,
) -> Value {
    let operation = world
        .cloudformation
        .stack(id, |stack| {
            stack.history.last(kind, token).map(str::to_owned)
        })
        .flatten();
    json!({ "StackId": id }).with("OperationId", operation)
}

/// `CreateStack`, also for a stack within another. Returns the id.
pub(crate) async fn create_within(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
    parent: Option<Parent>,
) -> Result<String, AwsError> {
    let name = crate::cloudformation::wire::required(request, "StackName")?;
    check_name("stackName", &name)?;
    let token = token(request)?;
    let change_set_id = parent
        .as_ref()
        .and_then(|parent| parent.change_set_id.clone());
    let shell = world
        .cloudformation
        .find(&name)
        .filter(|_| change_set_id.is_some());
    if shell.is_none()
        && let Some(existing) = world.cloudformation.find(&name)
    {
        if used(world, &existing, token.as_deref(), "CreateStack")? {
            return Ok(existing);
        }
        return Err(AwsError::client(
            "AlreadyExistsException",
            format!("Stack [{name}] already exists"),
        ));
    }
    let on_failure = on_failure(request)?;
    let draft = Draft::read(require_template(world, caller, request).await?)?;
    let id = shell.unwrap_or_else(|| new_stack_id(world, &name));
    let submission = Submission {
        world,
        request,
        former: None,
        stack_id: &id,
        stack_name: &name,
        expand_needs_capability: true,
    };
    let declared = submission.declare(caller, draft).await?;
    let principal = principal(world, caller, declared.role_arn.as_deref())?;
    let mut stack = Stack::new(id.clone(), name, declared, now());
    stack.disable_rollback = on_failure == OnFailure::DoNothing;
    stack.termination_protection = input::flag(request, "EnableTerminationProtection");
    stack.policy = input::text(request, "StackPolicyBody");
    stack.retain_except_on_create = input::flag(request, "RetainExceptOnCreate");
    if let Some(parent) = parent {
        stack.root_id = world
            .cloudformation
            .stack(&parent.stack_id, |parent| parent.root_id.clone())
            .flatten()
            .or_else(|| Some(parent.stack_id.clone()));
        stack.parent_id = Some(parent.stack_id);
    }
    stack.timeout_minutes = input::integer(request, "TimeoutInMinutes");
    let run = world.cloudformation.with(|stacks| {
        // Somebody else may have been faster while the template was read.
        if stacks.iter().any(|other| {
            other.name == stack.name && other.id != stack.id && !other.status.is_gone()
        }) {
            return Err(AwsError::client(
                "AlreadyExistsException",
                format!("Stack [{}] already exists", stack.name),
            ));
        }
        if let Some(place) = stacks.iter().position(|other| other.id == stack.id) {
            let shell = stacks.remove(place);
            stack.created = shell.created;
            stack.history = shell.history;
            stack.change_sets = shell.change_sets;
        }
        if let Some(change_set_id) = change_set_id {
            begin_execution(&mut stack, change_set_id);
        }
        let run = begin_creation(world, &mut stack, token, "CreateStack", principal);
        stacks.push(stack);
        Ok(run)
    })?;
    let timeout = timeout(request);
    run.spawn_create(on_failure, timeout);
    Ok(id)
}

/// Moves a stack into creation, and gives the deployment that is to be spawned.
pub(super) fn begin_creation(
    world: &Arc<World>,
    stack: &mut Stack,
    token: Option<String>,
    request: &str,
    principal: Caller,
) -> Run {
    remember(stack, token.as_deref(), request);
    let (operation, _) = stack.begin(OperationType::CreateStack, token, now());
    stack.enter(
        now(),
        StackStatus::CreateInProgress,
        Some(USER_INITIATED.to_owned()),
    );
    Run::new(world, stack, operation, principal)
}

pub(super) async fn update(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let id = update_within(world, caller, request, None).await?;
    let token = token(request)?;
    let kind = OperationType::UpdateStack;
    Ok(with_operation(world, &id, kind, token.as_deref()))
}

/// `UpdateStack`, also for a stack within another, which may execute a change set. Returns the id.
pub(crate) async fn update_within(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
    change_set_id: Option<String>,
) -> Result<String, AwsError> {
    let id = stack_id(world, request, Absent::Brackets)?;
    let token = token(request)?;
    if used(world, &id, token.as_deref(), "UpdateStack")? {
        return Ok(id);
    }
    let disable_rollback = input::flag(request, "DisableRollback");
    let former = updatable(world, &id, disable_rollback)?;
    let text = if input::flag(request, "UsePreviousTemplate") {
        former.blueprint.original.clone()
    } else {
        require_template(world, caller, request).await?
    };
    let name = world
        .cloudformation
        .stack(&id, |stack| stack.name.clone())
        .unwrap_or_default();
    let submission = Submission {
        world,
        request,
        former: Some(&former),
        stack_id: &id,
        stack_name: &name,
        expand_needs_capability: true,
    };
    let declared = submission.declare(caller, Draft::read(text)?).await?;
    let difference = difference(world, &id, &former, &declared);
    if difference.is_nothing() {
        return Err(validation(NO_UPDATES));
    }
    let principal = principal(world, caller, declared.role_arn.as_deref())?;
    let run = world
        .cloudformation
        .stack(&id, |stack| {
            check_updatable(stack, disable_rollback)?;
            for change_set in &mut stack.change_sets {
                if change_set.execution == ExecutionStatus::Available {
                    change_set.execution = ExecutionStatus::Obsolete;
                }
            }
            if let Some(policy) = input::text(request, "StackPolicyBody") {
                stack.policy = Some(policy);
            }
            stack.policy_during_update = input::text(request, "StackPolicyDuringUpdateBody");
            stack.change_set_id = None;
            if let Some(change_set_id) = change_set_id {
                begin_execution(stack, change_set_id);
            }
            stack.disable_rollback = disable_rollback;
            Ok(begin_update(
                world,
                stack,
                StackStatus::UpdateInProgress,
                declared,
                token,
                "UpdateStack",
                principal,
            ))
        })
        .unwrap_or_else(|| Err(validation(format!("Stack [{name}] does not exist"))))?;
    run.spawn_update(disable_rollback);
    Ok(id)
}

/// Moves a stack into an update or an import, by the `status` that it begins with, and gives the deployment that is to be
/// spawned.
pub(super) fn begin_update(
    world: &Arc<World>,
    stack: &mut Stack,
    status: StackStatus,
    declared: Declared,
    token: Option<String>,
    request: &str,
    principal: Caller,
) -> Run {
    remember(stack, token.as_deref(), request);
    // The service's model has no type of operation for an import; it changes what the stack has.
    let (operation, _) = stack.begin(OperationType::UpdateStack, token, now());
    // A stack that stopped half way keeps the baseline of the last time when all was well.
    if stack.baseline.is_none() {
        stack.baseline = Some(Baseline {
            declared: stack.declared.clone(),
            resources: stack.resources.clone(),
            outputs: stack.outputs.clone(),
        });
    }
    stack.declared = declared;
    stack.enter(now(), status, Some(USER_INITIATED.to_owned()));
    Run::new(world, stack, operation, principal)
}

/// Marks a nested change set as the one that is being executed.
fn begin_execution(stack: &mut Stack, change_set_id: String) {
    stack
        .change_sets
        .retain(|change_set| change_set.id == change_set_id);
    for change_set in &mut stack.change_sets {
        change_set.execution = ExecutionStatus::ExecuteInProgress;
    }
    stack.change_set_id = Some(change_set_id);
}

/// What an update would change.
pub(super) struct Difference {
    pub(super) changes: Vec<Change>,
    /// Outputs, tags, topics or alarms differ.
    beside_resources: bool,
}

impl Difference {
    /// The update has nothing to do.
    pub(super) fn is_nothing(&self) -> bool {
        self.changes.is_empty() && !self.beside_resources
    }
}

/// The difference between what a stack has and what is declared.
pub(super) fn difference(
    world: &Arc<World>,
    id: &str,
    former: &Declared,
    declared: &Declared,
) -> Difference {
    let (current, outputs) = world
        .cloudformation
        .stack(id, |stack| (stack.resources.clone(), stack.outputs.clone()))
        .unwrap_or_default();
    let mut known = Known::now(world, id);
    let blueprint = &declared.blueprint;
    let changes = plan::changes(
        &current,
        Some(&former.blueprint),
        blueprint,
        |planned, unknown| known.project(blueprint, planned, unknown),
    );
    let beside_resources = former.tags != declared.tags
        || former.notification_arns != declared.notification_arns
        || former.rollback_configuration != declared.rollback_configuration
        || !former.blueprint.same_outputs(blueprint)
        || projected_outputs(&known, blueprint).is_none_or(|projected| projected != outputs);
    Difference {
        changes,
        beside_resources,
    }
}

/// The outputs as far as they are known; `None` if one is not.
fn projected_outputs(known: &Known, blueprint: &Blueprint) -> Option<Vec<Output>> {
    blueprint
        .outputs()
        .into_iter()
        .map(|(key, planned)| {
            let value = known.evaluate(blueprint, "", &planned.value).ok()?;
            let export = match &planned.export {
                None => None,
                Some(name) => Some(text_of(&known.evaluate(blueprint, "", name).ok()?)),
            };
            Some(Output {
                key,
                value: text_of(&value),
                description: planned.description,
                export,
            })
        })
        .collect()
}

pub(crate) fn delete(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let name = crate::cloudformation::wire::required(request, "StackName")?;
    let token = token(request)?;
    // Deleting what is not there is what was wanted.
    let Some(id) = world.cloudformation.find(&name) else {
        return Ok(json!({}));
    };
    if used(world, &id, token.as_deref(), "DeleteStack")? {
        return Ok(json!({}));
    }
    let given_role = input::text(request, "RoleARN");
    if let Some(role) = &given_role {
        pass_role(world, caller, role)?;
    }
    let role = given_role.clone().or_else(|| {
        world
            .cloudformation
            .stack(&id, |stack| stack.declared.role_arn.clone())
            .flatten()
    });
    let principal = principal(world, caller, role.as_deref())?;
    let retain = strings(optional_list(request, "RetainResources").unwrap_or_default());
    let force = input::text(request, "DeletionMode").as_deref() == Some("FORCE_DELETE_STACK");
    let begun = world
        .cloudformation
        .stack(&id, |stack| {
            if matches!(
                stack.status,
                StackStatus::DeleteInProgress | StackStatus::DeleteComplete
            ) {
                return Ok(None);
            }
            check_deletable(stack, &retain, force)?;
            if let Some(role) = given_role {
                stack.declared.role_arn = Some(role);
            }
            remember(stack, token.as_deref(), "DeleteStack");
            let before = stack.status;
            let (operation, former) = stack.begin(OperationType::DeleteStack, token, now());
            stack.enter(
                now(),
                StackStatus::DeleteInProgress,
                Some(USER_INITIATED.to_owned()),
            );
            let run = Run::new(world, stack, operation, principal);
            let delete = Delete {
                retain,
                force,
                before,
                former,
            };
            Ok(Some((run, delete)))
        })
        .unwrap_or(Ok(None))?;
    if let Some((run, delete)) = begun {
        run.spawn_delete(delete);
    }
    Ok(json!({}))
}

fn check_deletable(stack: &Stack, retain: &[String], force: bool) -> Result<(), AwsError> {
    let Stack {
        id, name, status, ..
    } = stack;
    if stack.termination_protection {
        return Err(validation(format!(
            "Stack [{name}] cannot be deleted while TerminationProtection is enabled"
        )));
    }
    if !status.may_delete() {
        return Err(validation(format!(
            "Stack [{id}] cannot be deleted while in status {}",
            status.as_str()
        )));
    }
    if (!retain.is_empty() || force) && *status != StackStatus::DeleteFailed {
        let what = if force {
            "DeletionMode FORCE_DELETE_STACK"
        } else {
            "RetainResources"
        };
        return Err(validation(format!(
            "Invalid operation on stack [{id}]. {what} can only be specified on stacks in DELETE_FAILED state"
        )));
    }
    if let Some(unknown) = retain.iter().find(|id| !stack.resources.contains_key(*id)) {
        return Err(validation(format!(
            "Resource {unknown} does not exist for stack {name}"
        )));
    }
    Ok(())
}

/// What a stack has now, if it may be updated.
pub(super) fn updatable(
    world: &World,
    id: &str,
    disable_rollback: bool,
) -> Result<Declared, AwsError> {
    world
        .cloudformation
        .stack(id, |stack| {
            check_updatable(stack, disable_rollback).map(|()| stack.declared.clone())
        })
        .unwrap_or_else(|| Err(validation(format!("Stack [{id}] does not exist"))))
}

pub(super) fn check_updatable(stack: &Stack, disable_rollback: bool) -> Result<(), AwsError> {
    if stack.status.may_update(disable_rollback) {
        return Ok(());
    }
    Err(validation(format!(
        "Stack:{} is in {} state and can not be updated.",
        stack.id,
        stack.status.as_str()
    )))
}

async fn require_template(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<String, AwsError> {
    template_text(world, caller, request)
        .await?
        .ok_or_else(|| validation("Either Template URL or Template Body must be specified."))
}

pub(super) fn new_stack_id(world: &World, name: &str) -> String {
    world.arn(
        "cloudformation",
        &format!("stack/{name}/{}", uuid::Uuid::new_v4()),
    )
}

/// `DisableRollback` and `OnFailure` say the same in two ways, and must not both be there.
fn on_failure(request: &Value) -> Result<OnFailure, AwsError> {
    let disabled = request.get("DisableRollback").is_some();
    match input::text(request, "OnFailure") {
        Some(_) if disabled => Err(validation(
            "Either DisableRollback or OnFailure can be specified, not both.",
        )),
        Some(text) => parse_on_failure(&text),
        None if input::flag(request, "DisableRollback") => Ok(OnFailure::DoNothing),
        None => Ok(OnFailure::Rollback),
    }
}

/// The values of `OnFailure` and `OnStackFailure`.
pub(super) fn parse_on_failure(text: &str) -> Result<OnFailure, AwsError> {
    match text {
        "ROLLBACK" => Ok(OnFailure::Rollback),
        "DO_NOTHING" => Ok(OnFailure::DoNothing),
        "DELETE" => Ok(OnFailure::Delete),
        other => Err(validation(format!(
            "1 validation error detected: Value '{other}' at 'onFailure' failed to satisfy constraint: Member must satisfy enum value set: [DELETE, DO_NOTHING, ROLLBACK]"
        ))),
    }
}

fn timeout(request: &Value) -> Option<Duration> {
    let minutes = input::integer(request, "TimeoutInMinutes")?;
    Some(Duration::from_secs(u64::try_from(minutes).ok()? * 60))
}

/// Whether the token has been used for this very request (an action, and what it acts on beside the
/// stack), which makes it a repetition.
pub(super) fn used(
    world: &World,
    id: &str,
    token: Option<&str>,
    request: &str,
) -> Result<bool, AwsError> {
    let Some(token) = token else { return Ok(false) };
    let former = world
        .cloudformation
        .stack(id, |stack| {
            stack
                .tokens
                .iter()
                .find(|(known, _)| known == token)
                .map(|(_, request)| request.clone())
        })
        .flatten();
    match former {
        None => Ok(false),
        Some(former) if former == request => Ok(true),
        Some(former) => Err(AwsError::client(
            "TokenAlreadyExistsException",
            format!("The client request token {token} has already been used for {former}"),
        )),
    }
}

pub(super) fn remember(stack: &mut Stack, token: Option<&str>, request: &str) {
    if let Some(token) = token {
        stack.tokens.push((token.to_owned(), request.to_owned()));
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
