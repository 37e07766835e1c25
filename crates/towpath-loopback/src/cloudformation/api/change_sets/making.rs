//! How a change set comes to be: accepted at once, worked out afterwards, and refused where it would not come
//! through.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{find, importing, nested, now, operation};
use crate::cloudformation::api::request::{Submission, check_name, template_text};
use crate::cloudformation::api::stacks::{difference, new_stack_id, parse_on_failure, updatable};
use crate::cloudformation::blueprint::{Blueprint, Draft};
use crate::cloudformation::change_set::{
    ChangeSet, ChangeSetStatus, ChangeSetType, ExecutionStatus, Lineage,
};
use crate::cloudformation::early_validation;
use crate::cloudformation::hooks::{HookResult, Target};
use crate::cloudformation::operations::OperationType;
use crate::cloudformation::plan::Change;
use crate::cloudformation::stack::{Declared, Stack};
use crate::cloudformation::status::StackStatus;
use crate::cloudformation::wire::{optional_list, required, tags, validation};
use crate::{AwsError, Caller, World, input};

/// How many change sets one stack may have: a documented quota's order of size, known from issue threads.
const LIMIT: usize = 1000;

pub(crate) async fn create(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Value, AwsError> {
    let stack_name = required(request, "StackName")?;
    let name = required(request, "ChangeSetName")?;
    check_name("changeSetName", &name)?;
    let client_token = input::text(request, "ClientToken");
    if let Some(id) = world.cloudformation.find(&stack_name)
        && let Some(same) = repeated(world, &id, &name, client_token.as_deref())?
    {
        return Ok(same);
    }
    let making = propose(world, caller, request, None).await?;
    let answer = json!({ "Id": making.id, "StackId": making.stack_id });
    let task_world = Arc::clone(world);
    world.tasks.spawn(async move {
        finish(&task_world, &making).await;
    });
    Ok(answer)
}

/// A change set that has been accepted, and whose changes are still to be worked out.
pub(super) struct Making {
    pub(super) stack_id: String,
    pub(super) id: String,
    pub(super) caller: Caller,
    /// What the stack has; `None` if it is to be created.
    pub(super) former: Option<Declared>,
    /// Why it will fail.
    pub(super) trouble: Option<String>,
}

/// Accepts a change set, also of a nested stack.
pub(super) async fn propose(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
    lineage: Option<Lineage>,
) -> Result<Making, AwsError> {
    let stack_name = required(request, "StackName")?;
    let name = required(request, "ChangeSetName")?;
    let kind = kind(request)?;
    let existing = world.cloudformation.find(&stack_name);
    let on_stack_failure = input::text(request, "OnStackFailure");
    if let Some(text) = &on_stack_failure {
        parse_on_failure(text)?;
    }
    let status = existing.as_ref().and_then(|id| {
        world
            .cloudformation
            .stack(id, |stack| (stack.status, stack.name.clone()))
    });
    let former = match (kind, &status) {
        (ChangeSetType::Create, None) => {
            check_name("stackName", &stack_name)?;
            None
        }
        (ChangeSetType::Create, Some((StackStatus::ReviewInProgress, _))) => None,
        (ChangeSetType::Create, Some((_, stack))) => {
            return Err(validation(format!(
                "Stack [{stack}] already exists and cannot be created again with the changeSet [{name}]."
            )));
        }
        (ChangeSetType::Update, _) => {
            let Some(id) = &existing else {
                return Err(validation(format!("Stack [{stack_name}] does not exist")));
            };
            // A stack that stopped half way may be proposed to; executing needs rollback off.
            Some(updatable(world, id, true)?)
        }
        (ChangeSetType::Import, None) => {
            check_name("stackName", &stack_name)?;
            None
        }
        (ChangeSetType::Import, Some((StackStatus::ReviewInProgress, _))) => None,
        (ChangeSetType::Import, Some(_)) => match &existing {
            Some(id) => Some(updatable(world, id, false)?),
            None => None,
        },
    };
    let text = match (input::flag(request, "UsePreviousTemplate"), &former) {
        (true, Some(former)) => former.blueprint.original.clone(),
        (true, None) => {
            return Err(validation(
                "When creating a new stack with a change set, UsePreviousTemplate cannot be true.",
            ));
        }
        (false, _) => template_text(world, caller, request)
            .await?
            .ok_or_else(|| validation("Either Template URL or Template Body must be specified."))?,
    };
    let stack_name = status.map_or(stack_name, |(_, name)| name);
    let stack_id = existing
        .clone()
        .unwrap_or_else(|| new_stack_id(world, &stack_name));
    let submission = Submission {
        world,
        request,
        former: former.as_ref(),
        stack_id: &stack_id,
        stack_name: &stack_name,
        expand_needs_capability: false,
    };
    let (declared, trouble) = match submission.declare(caller, Draft::read(text)?).await {
        Ok(declared) => (declared, None),
        // What a transform refuses is found out after the change set has been accepted.
        Err(error) if error.message.starts_with("Transform ") => {
            let declared = Declared {
                tags: optional_list(request, "Tags").map_or_else(Vec::new, tags),
                ..nothing_declared()
            };
            (declared, Some(error.message))
        }
        Err(error) => return Err(error),
    };
    let imports = importing::wanted(world, kind, request, &declared.blueprint)?;
    let id = world.arn(
        "cloudformation",
        &format!("changeSet/{name}/{}", uuid::Uuid::new_v4()),
    );
    let change_set = ChangeSet {
        id: id.clone(),
        name: name.clone(),
        kind,
        status: ChangeSetStatus::CreatePending,
        reason: None,
        execution: ExecutionStatus::Unavailable,
        created: now(),
        description: input::text(request, "Description"),
        client_token: input::text(request, "ClientToken"),
        operation: String::new(),
        declared,
        changes: Vec::new(),
        on_stack_failure,
        include_nested: input::flag(request, "IncludeNestedStacks"),
        import_existing: input::flag(request, "ImportExistingResources"),
        imports,
        lineage,
    };
    accept(world, &stack_id, stack_name, change_set)?;
    Ok(Making {
        stack_id,
        id,
        caller: caller.clone(),
        former,
        trouble,
    })
}

fn kind(request: &Value) -> Result<ChangeSetType, AwsError> {
    match input::text(request, "ChangeSetType").as_deref() {
        None | Some("UPDATE") => Ok(ChangeSetType::Update),
        Some("CREATE") => Ok(ChangeSetType::Create),
        Some("IMPORT") => Ok(ChangeSetType::Import),
        Some(other) => Err(validation(format!(
            "1 validation error detected: Value '{other}' at 'changeSetType' failed to satisfy constraint: Member must satisfy enum value set: [IMPORT, CREATE, UPDATE]"
        ))),
    }
}

/// A change set of that name: the same one if the client says so by its token, else an error.
fn repeated(
    world: &World,
    stack_id: &str,
    name: &str,
    client_token: Option<&str>,
) -> Result<Option<Value>, AwsError> {
    world
        .cloudformation
        .stack(stack_id, |stack| {
            let Some(former) = stack.change_sets.iter().find(|other| other.name == name) else {
                return Ok(None);
            };
            if client_token.is_some() && former.client_token.as_deref() == client_token {
                return Ok(Some(json!({ "Id": former.id, "StackId": stack.id })));
            }
            Err(AwsError::client(
                "AlreadyExistsException",
                format!("ChangeSet {name} already exists"),
            ))
        })
        .unwrap_or(Ok(None))
}

/// Keeps the change set, with the shell of a stack if there is none yet.
fn accept(
    world: &World,
    stack_id: &str,
    stack_name: String,
    mut change_set: ChangeSet,
) -> Result<(), AwsError> {
    world.cloudformation.with(|stacks| {
        if !stacks.iter().any(|stack| stack.id == stack_id) {
            let mut shell = Stack::new(stack_id.to_owned(), stack_name, nothing_declared(), now());
            if let Some(lineage) = &change_set.lineage {
                shell.parent_id = Some(lineage.parent_stack.clone());
                shell.root_id = Some(lineage.root_stack.clone());
            }
            change_set.operation =
                shell
                    .history
                    .begin_beside(OperationType::CreateChangeSet, None, now());
            shell.enter(
                now(),
                StackStatus::ReviewInProgress,
                Some("User Initiated".to_owned()),
            );
            stacks.push(shell);
        }
        let Some(stack) = stacks.iter_mut().find(|stack| stack.id == stack_id) else {
            return Err(AwsError::internal("the stack is gone"));
        };
        if stack.change_sets.len() >= LIMIT {
            return Err(AwsError::client(
                "LimitExceededException",
                "ChangeSet limit exceeded",
            ));
        }
        if change_set.operation.is_empty() {
            change_set.operation =
                stack
                    .history
                    .begin_beside(OperationType::CreateChangeSet, None, now());
        }
        stack.change_sets.push(change_set);
        Ok(())
    })
}

/// Works the changes out, as AWS does after it has answered.
pub(super) async fn finish(world: &Arc<World>, making: &Making) {
    let Making { stack_id, id, .. } = making;
    change(world, stack_id, id, |change_set| {
        change_set.status = ChangeSetStatus::CreateInProgress;
    });
    tokio::select! {
        () = world.stopping.cancelled() => return,
        () = tokio::time::sleep(world.settings.resource_delay) => {}
    }
    if let Some(trouble) = &making.trouble {
        fail(world, making, trouble.clone());
        return;
    }
    let proposed = world
        .cloudformation
        .stack(stack_id, |stack| {
            find(stack, id).map(|change_set| {
                (
                    change_set.declared.clone(),
                    change_set.include_nested,
                    (change_set.kind == ChangeSetType::Import).then(|| change_set.imports.clone()),
                )
            })
        })
        .flatten();
    let Some((declared, include_nested, imports)) = proposed else {
        return;
    };
    let before = making.former.clone().unwrap_or_else(nothing_declared);
    let mut difference = difference(world, stack_id, &before, &declared);
    if include_nested {
        let made = nested::make(world, making, &declared, &mut difference.changes);
        if let Err(reason) = made.await {
            fail(world, making, reason);
            return;
        }
    } else {
        nested::not_looked_into(world, stack_id, &declared, &mut difference.changes);
    }
    if let Some(imports) = imports
        && let Err(reason) = importing::mark(&imports, &mut difference.changes)
    {
        fail(world, making, reason);
        return;
    }
    if making.former.is_some() && difference.is_nothing() {
        fail(world, making, declared.blueprint.nothing_to_do().to_owned());
        return;
    }
    if let Err(reason) = validate(world, making, &declared, &difference.changes) {
        fail(world, making, reason);
        return;
    }
    conclude(world, making, |change_set| {
        change_set.status = ChangeSetStatus::CreateComplete;
        change_set.execution = ExecutionStatus::Available;
        change_set.changes = difference.changes;
    });
}

/// What validation and hooks have to say of the changes. `Err` is why the change set fails.
fn validate(
    world: &World,
    making: &Making,
    declared: &Declared,
    changes: &[Change],
) -> Result<(), String> {
    let findings = early_validation::findings(world, &declared.blueprint, changes);
    let refusal = early_validation::refusal(&findings);
    world.cloudformation.stack(&making.stack_id, |stack| {
        if let Some(operation) = operation(stack, &making.id) {
            for finding in findings {
                stack.history.found(&operation, finding, now());
            }
        }
    });
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    let hooked = world.cloudformation.stack(&making.stack_id, |stack| {
        let (hook, reason) = world.cloudformation.scripts.refusal(&stack.name)?;
        let operation = operation(stack, &making.id)?;
        let target = Target::ChangeSet(making.id.clone());
        let refused = HookResult::refused(&hook, &reason, target, now());
        let consequence = refused.consequence();
        stack.history.refused(&operation, refused, now());
        Some(consequence)
    });
    hooked.flatten().map_or(Ok(()), Err)
}

fn fail(world: &World, making: &Making, reason: String) {
    conclude(world, making, |change_set| {
        change_set.status = ChangeSetStatus::Failed;
        change_set.reason = Some(reason);
    });
}

/// The change set is made, or has failed.
fn conclude(world: &World, making: &Making, act: impl FnOnce(&mut ChangeSet)) {
    world.cloudformation.stack(&making.stack_id, |stack| {
        if let Some(change_set) = stack
            .change_sets
            .iter_mut()
            .find(|change_set| change_set.id == making.id)
        {
            act(change_set);
            let succeeded = change_set.status == ChangeSetStatus::CreateComplete;
            stack.history.end(&change_set.operation, succeeded, now());
        }
    });
}

fn change(world: &World, stack_id: &str, id: &str, act: impl FnOnce(&mut ChangeSet)) {
    world.cloudformation.stack(stack_id, |stack| {
        if let Some(change_set) = stack
            .change_sets
            .iter_mut()
            .find(|change_set| change_set.id == id)
        {
            act(change_set);
        }
    });
}

fn nothing_declared() -> Declared {
    Declared {
        blueprint: Arc::new(Blueprint::empty()),
        capabilities: Vec::new(),
        tags: Vec::new(),
        notification_arns: Vec::new(),
        role_arn: None,
        rollback_configuration: json!({}),
    }
}
