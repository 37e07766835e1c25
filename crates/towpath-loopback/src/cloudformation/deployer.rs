//! Deployments: what runs in the background after an operation has been accepted.
//!
//! Each takes a stack from one settled status to another, resource by resource, and records every
//! step as an event. A deployment stops when the loopback stops, and gives way when the stack is deleted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::blueprint::Blueprint;
use super::change_set::ExecutionStatus;
use super::known::Known;
use super::stack::{Baseline, Operation, Output, Resource, Stack};
use super::status::StackStatus;
use crate::{Caller, World, input};
use graph::{AfterFailure, Nodes};
use resource::Removal;

pub(crate) mod graph;
mod resource;
pub(crate) mod values;

/// What is done when a stack cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    Rollback,
    DoNothing,
    Delete,
}

/// One deployment.
pub(crate) struct Run {
    pub(crate) world: Arc<World>,
    pub(crate) stack_id: String,
    pub(crate) stack_name: String,
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) operation: Operation,
    /// Whose permissions count for the resources.
    pub(crate) caller: Caller,
    /// The exports that were read on the way.
    imports: Mutex<BTreeSet<String>>,
}

/// Why a deployment did not come through.
struct Failure {
    reason: String,
}

impl Run {
    /// A deployment of the stack's declared blueprint.
    pub(crate) fn new(
        world: &Arc<World>,
        stack: &Stack,
        operation: Operation,
        caller: Caller,
    ) -> Self {
        Self {
            world: Arc::clone(world),
            stack_id: stack.id.clone(),
            stack_name: stack.name.clone(),
            blueprint: Arc::clone(&stack.declared.blueprint),
            operation,
            caller,
            imports: Mutex::default(),
        }
    }

    /// Makes the stack. A former operation that is still running is waited for.
    pub(crate) fn spawn_create(self, on_failure: OnFailure, timeout: Option<Duration>) {
        self.spawn(move |run| async move { run.create(on_failure, timeout).await });
    }

    /// Updates the stack from its baseline to its declared blueprint.
    pub(crate) fn spawn_update(self, disable_rollback: bool) {
        self.spawn(move |run| async move { run.update(disable_rollback).await });
    }

    /// Brings the stack back to its baseline; resources in `skip` are taken as they are.
    pub(crate) fn spawn_rollback(self, skip: Vec<String>) {
        self.spawn(move |run| async move { run.restore_all(&skip).await });
    }

    /// Removes everything that a creation made.
    pub(crate) fn spawn_rollback_of_creation(self) {
        self.spawn(move |run| async move { run.undo_creation().await });
    }

    /// Deletes the stack.
    pub(crate) fn spawn_delete(self, delete: Delete) {
        self.spawn(move |run| async move { run.delete(delete).await });
    }

    fn spawn<Work, Done>(self, work: Work)
    where
        Work: FnOnce(Arc<Self>) -> Done + Send + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        let run = Arc::new(self);
        let world = Arc::clone(&run.world);
        world.tasks.spawn(async move {
            let stopping = run.world.stopping.clone();
            let finished = run.operation.finished.clone();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = work(Arc::clone(&run)) => {}
            }
            finished.cancel();
        });
    }

    /// Acts on the stack, if it is still there.
    fn stack<T>(&self, act: impl FnOnce(&mut Stack) -> T) -> Option<T> {
        self.world.cloudformation.stack(&self.stack_id, act)
    }

    /// Moves the stack on, unless another operation has taken it over. `false` in that case.
    fn advance(&self, status: StackStatus, reason: Option<String>) -> bool {
        self.stack(|stack| {
            let current = stack.is_current(self.operation.serial);
            if current {
                stack.enter(now(), status, reason);
            }
            current
        })
        .unwrap_or(false)
    }

    fn superseded(&self) -> bool {
        !self
            .stack(|stack| stack.is_current(self.operation.serial))
            .unwrap_or(false)
    }

    /// Evaluates a value of the template with what is known now.
    fn evaluate(&self, path: &str, raw: &Value) -> Result<Value, String> {
        let known = Known::now(&self.world, &self.stack_id);
        let value = known.evaluate(&self.blueprint, path, raw);
        self.imports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(known.imported());
        value
    }

    async fn create(&self, on_failure: OnFailure, timeout: Option<Duration>) {
        let outcome = match timeout {
            None => self.apply_all().await,
            Some(limit) => match tokio::time::timeout(limit, self.apply_all()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure {
                    reason: "Stack creation time exceeded the specified timeout. ".to_owned(),
                }),
            },
        };
        let outcome = match outcome {
            Ok(()) => self.conclude().await,
            Err(failure) => Err(failure),
        };
        if self.superseded() {
            return;
        }
        let Err(Failure { reason }) = outcome else {
            self.stack(|stack| {
                stack.baseline = None;
                settle_change_set(stack, ExecutionStatus::ExecuteComplete);
            });
            self.advance(StackStatus::CreateComplete, None);
            return;
        };
        self.stack(|stack| settle_change_set(stack, ExecutionStatus::ExecuteFailed));
        match on_failure {
            OnFailure::DoNothing => {
                self.advance(StackStatus::CreateFailed, Some(reason));
            }
            OnFailure::Rollback => {
                let reason = format!("{reason}Rollback requested by user.");
                if self.advance(StackStatus::RollbackInProgress, Some(reason)) {
                    self.undo_creation().await;
                }
            }
            OnFailure::Delete => {
                let reason = format!("{reason}Delete requested by user.");
                if self.advance(StackStatus::DeleteInProgress, Some(reason)) {
                    self.delete_all(&Delete::default(), true).await;
                }
            }
        }
    }

    async fn undo_creation(&self) {
        let removal = Removal::Stack {
            rolling_back_creation: true,
        };
        let resources = self.existing();
        let failed = self.remove_all(resources, removal).await;
        if failed.is_empty() {
            self.advance(StackStatus::RollbackComplete, None);
        } else {
            self.advance(StackStatus::RollbackFailed, Some(failed_to_delete(&failed)));
        }
    }

    async fn update(&self, disable_rollback: bool) {
        let outcome = match self.apply_all().await {
            Ok(()) => self.conclude().await,
            failure => failure,
        };
        if self.superseded() {
            return;
        }
        let Err(Failure { reason }) = outcome else {
            self.stack(|stack| settle_change_set(stack, ExecutionStatus::ExecuteComplete));
            if self.advance(StackStatus::UpdateCompleteCleanupInProgress, None) {
                self.clean_up_after_update().await;
                self.advance(StackStatus::UpdateComplete, None);
            }
            return;
        };
        self.stack(|stack| settle_change_set(stack, ExecutionStatus::ExecuteFailed));
        if disable_rollback {
            self.advance(StackStatus::UpdateFailed, Some(reason));
        } else if self.advance(StackStatus::UpdateRollbackInProgress, Some(reason)) {
            self.restore_all(&[]).await;
        }
    }

    /// Brings every resource to what the blueprint asks for.
    async fn apply_all(&self) -> Result<(), Failure> {
        let nodes: Nodes = self
            .blueprint
            .resources
            .iter()
            .map(|(id, planned)| (id.clone(), planned.depends_on.iter().cloned().collect()))
            .collect();
        let stop = self.operation.abort.child_token();
        let failed = graph::run(
            nodes,
            AfterFailure::Stop,
            |id| {
                let stop = stop.clone();
                async move { self.apply(&id, &stop).await }
            },
            || stop.cancel(),
        )
        .await;
        if failed.is_empty() {
            if self.operation.abort.is_cancelled() {
                return Err(Failure {
                    reason: "User Initiated".to_owned(),
                });
            }
            return Ok(());
        }
        let created: BTreeSet<String> = self
            .stack(|stack| {
                failed
                    .iter()
                    .filter(|id| {
                        stack.resources.get(*id).is_some_and(|resource| {
                            resource.status.operation == super::status::ResourceOperation::Create
                        })
                    })
                    .cloned()
                    .collect()
            })
            .unwrap_or_default();
        let mut reason = String::new();
        for (verb, of_created) in [("create", true), ("update", false)] {
            let names: Vec<&str> = failed
                .iter()
                .filter(|id| created.contains(*id) == of_created)
                .map(String::as_str)
                .collect();
            if !names.is_empty() {
                reason.push_str(&failed_to(verb, &names));
            }
        }
        Err(Failure { reason })
    }

    /// After the resources: outputs, exports and the alarms that may still undo everything.
    async fn conclude(&self) -> Result<(), Failure> {
        let outputs = self.outputs().await.map_err(|reason| Failure {
            reason: sentence(&reason),
        })?;
        self.check_exports(&outputs).map_err(|reason| Failure {
            reason: sentence(&reason),
        })?;
        self.watch_alarms().await?;
        let imports: Vec<String> = self
            .imports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect();
        self.stack(|stack| {
            stack.outputs = outputs;
            stack.imports = imports;
        });
        Ok(())
    }

    async fn outputs(&self) -> Result<Vec<Output>, String> {
        let mut outputs = Vec::new();
        for (key, planned) in self.blueprint.outputs() {
            let path = format!("Outputs.{key}");
            let value = self.evaluate(&path, &planned.value)?;
            let value = values::resolve_dynamic(&self.world, value).await?;
            let export = match &planned.export {
                None => None,
                Some(name) => Some(text_of(&self.evaluate(&path, name)?)),
            };
            outputs.push(Output {
                key,
                value: text_of(&value),
                description: planned.description,
                export,
            });
        }
        Ok(outputs)
    }

    /// No export may be taken twice, and none that another stack reads may change or go.
    fn check_exports(&self, outputs: &[Output]) -> Result<(), String> {
        let before = self
            .stack(|stack| stack.outputs.clone())
            .unwrap_or_default();
        let service = &self.world.cloudformation;
        for output in outputs {
            let Some(name) = &output.export else { continue };
            if let Some(owner) = service.exporter(name, &self.stack_id) {
                return Err(format!(
                    "Export with name {name} is already exported by stack {owner}"
                ));
            }
        }
        for former in &before {
            let Some(name) = &former.export else { continue };
            let kept = outputs
                .iter()
                .any(|output| output.export.as_ref() == Some(name) && output.value == former.value);
            let importers = service.importers(name, &self.stack_id);
            if kept || importers.is_empty() {
                continue;
            }
            let gone = !outputs
                .iter()
                .any(|output| output.export.as_ref() == Some(name));
            let importers = importers.join(", ");
            return Err(if gone {
                format!("Export {name} cannot be deleted as it is in use by {importers}")
            } else {
                format!("Export {name} cannot be updated as it is in use by {importers}")
            });
        }
        Ok(())
    }

    /// The rollback triggers: an alarm that is missing, or fires before the monitoring time is over.
    async fn watch_alarms(&self) -> Result<(), Failure> {
        let configuration = self
            .stack(|stack| stack.declared.rollback_configuration.clone())
            .unwrap_or_default();
        let minutes = input::integer(&configuration, "MonitoringTimeInMinutes").unwrap_or(0);
        let alarms: Vec<String> = input::list(&configuration, "RollbackTriggers")
            .iter()
            .filter_map(|trigger| input::text(trigger, "Arn"))
            .collect();
        let end = tokio::time::Instant::now()
            + Duration::from_secs(u64::try_from(minutes).unwrap_or(0) * 60);
        loop {
            for arn in &alarms {
                let name = arn.rsplit(':').next().unwrap_or(arn);
                let state = self.alarm_state(name).await;
                match state.as_deref() {
                    None => {
                        return Err(Failure {
                            reason: format!("Rollback trigger {arn} does not exist. "),
                        });
                    }
                    Some("ALARM") => {
                        return Err(Failure {
                            reason: format!("Rollback trigger {arn} is in state ALARM. "),
                        });
                    }
                    Some(_) => {}
                }
            }
            if tokio::time::Instant::now() >= end {
                return Ok(());
            }
            let pause = self
                .world
                .settings
                .resource_delay
                .max(Duration::from_millis(50));
            tokio::select! {
                () = self.operation.abort.cancelled() => {
                    return Err(Failure { reason: "User Initiated".to_owned() });
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn alarm_state(&self, name: &str) -> Option<String> {
        let answer = self
            .world
            .cloudwatch
            .call(
                &self.world,
                &Caller::Root,
                "DescribeAlarms",
                json!({ "AlarmNames": [name] }),
            )
            .await
            .ok()?;
        let alarm = ["MetricAlarms", "CompositeAlarms"]
            .iter()
            .find_map(|list| input::list(&answer, list).first())?;
        input::text(alarm, "StateValue")
    }

    /// Removes what the update no longer needs. A failure here leaks a resource and does not fail the update.
    async fn clean_up_after_update(&self) {
        let doomed = self
            .stack(|stack| {
                let mut doomed = Vec::new();
                let former = stack
                    .baseline
                    .take()
                    .map(|baseline| baseline.resources)
                    .unwrap_or_default();
                for resource in former
                    .into_values()
                    .filter(|resource| !resource.status.gone())
                {
                    match stack.resources.get(&resource.logical_id) {
                        Some(current) if current.physical_id == resource.physical_id => {}
                        _ => doomed.push((resource, Removal::Replaced)),
                    }
                }
                doomed.extend(
                    std::mem::take(&mut stack.strays)
                        .into_iter()
                        .map(|resource| (resource, Removal::Replaced)),
                );
                for resource in stack.resources.values() {
                    if !resource.status.gone()
                        && !self.blueprint.resources.contains_key(&resource.logical_id)
                    {
                        doomed.push((resource.clone(), Removal::Dropped));
                    }
                }
                doomed
            })
            .unwrap_or_default();
        self.remove_each(doomed, AfterFailure::GoOn).await;
        self.stack(|stack| {
            stack
                .resources
                .retain(|id, _| self.blueprint.resources.contains_key(id));
        });
    }

    /// Brings every resource back to the baseline, and removes what the update had made.
    async fn restore_all(&self, skip: &[String]) {
        let Some(Some(baseline)) = self.stack(|stack| stack.baseline.clone()) else {
            self.advance(StackStatus::UpdateRollbackComplete, None);
            return;
        };
        self.stack(|stack| {
            let strays = strays(stack, &baseline);
            stack.strays.extend(strays);
        });
        let former: Vec<&Resource> = baseline
            .resources
            .values()
            .filter(|resource| !resource.status.gone() && !skip.contains(&resource.logical_id))
            .collect();
        let nodes: Nodes = former
            .iter()
            .map(|resource| {
                (
                    resource.logical_id.clone(),
                    resource.depends_on.iter().cloned().collect(),
                )
            })
            .collect();
        let failed = graph::run(
            nodes,
            AfterFailure::GoOn,
            |id| {
                let baseline = &baseline;
                async move {
                    match baseline.resources.get(&id) {
                        Some(resource) => self.restore(resource).await,
                        None => true,
                    }
                }
            },
            || {},
        )
        .await;
        if !failed.is_empty() {
            let names: Vec<&str> = failed.iter().map(String::as_str).collect();
            self.advance(
                StackStatus::UpdateRollbackFailed,
                Some(failed_to("update", &names)),
            );
            return;
        }
        if !self.advance(StackStatus::UpdateRollbackCompleteCleanupInProgress, None) {
            return;
        }
        let doomed = self
            .stack(|stack| {
                std::mem::take(&mut stack.strays)
                    .into_iter()
                    .map(|resource| (resource, Removal::Undone))
                    .collect::<Vec<_>>()
            })
            .unwrap_or_default();
        self.remove_each(doomed, AfterFailure::GoOn).await;
        self.stack(|stack| {
            stack
                .resources
                .retain(|id, _| baseline.resources.contains_key(id));
            stack.declared = baseline.declared.clone();
            stack.outputs.clone_from(&baseline.outputs);
            stack.baseline = None;
        });
        self.advance(StackStatus::UpdateRollbackComplete, None);
    }

    async fn delete(&self, delete: Delete) {
        if let Some(former) = &delete.former {
            former.finished.cancelled().await;
        }
        let exports = self
            .stack(|stack| {
                stack
                    .outputs
                    .iter()
                    .filter_map(|output| output.export.clone())
                    .collect::<Vec<_>>()
            })
            .unwrap_or_default();
        for export in exports {
            let importers = self.world.cloudformation.importers(&export, &self.stack_id);
            if !importers.is_empty() {
                let reason = format!(
                    "Export {export} cannot be deleted as it is in use by {}",
                    importers.join(", ")
                );
                // AWS settles back to where the stack was: nothing has been deleted.
                self.advance(delete.before, Some(reason));
                self.stack(|stack| stack.deleted = None);
                return;
            }
        }
        self.delete_all(&delete, false).await;
    }

    async fn delete_all(&self, delete: &Delete, rolling_back_creation: bool) {
        let removal = Removal::Stack {
            rolling_back_creation,
        };
        let (mut doomed, retained): (Vec<_>, Vec<_>) = self
            .existing()
            .into_iter()
            .partition(|resource| !delete.retain.contains(&resource.logical_id));
        // A former update may have left physical resources that no record names.
        let strays = self
            .stack(|stack| {
                let mut left = std::mem::take(&mut stack.strays);
                if let Some(baseline) = stack.baseline.take() {
                    left.extend(baseline.resources.into_values().filter(|resource| {
                        !resource.status.gone()
                            && stack
                                .resources
                                .get(&resource.logical_id)
                                .is_none_or(|current| current.physical_id != resource.physical_id)
                    }));
                }
                left
            })
            .unwrap_or_default();
        doomed.extend(strays);
        for resource in retained {
            self.stack(|stack| {
                stack.resource_enter(
                    now(),
                    &resource.logical_id,
                    super::status::ResourceOperation::Delete,
                    super::status::Phase::Skipped,
                    None,
                );
            });
        }
        let failed = self.remove_all(doomed, removal).await;
        if failed.is_empty() || delete.force {
            self.stack(|stack| stack.change_sets.clear());
            self.advance(StackStatus::DeleteComplete, None);
        } else {
            self.advance(StackStatus::DeleteFailed, Some(failed_to_delete(&failed)));
        }
    }

    /// The stack's resources that have not been removed.
    fn existing(&self) -> Vec<Resource> {
        self.stack(|stack| {
            stack
                .resources
                .values()
                .filter(|resource| !resource.status.gone())
                .cloned()
                .collect()
        })
        .unwrap_or_default()
    }

    async fn remove_all(&self, resources: Vec<Resource>, removal: Removal) -> Vec<String> {
        let doomed = resources
            .into_iter()
            .map(|resource| (resource, removal))
            .collect();
        self.remove_each(doomed, AfterFailure::GoOn).await
    }

    /// Removes physical resources, dependants first. Returns the logical ids that failed.
    async fn remove_each(
        &self,
        doomed: Vec<(Resource, Removal)>,
        after_failure: AfterFailure,
    ) -> Vec<String> {
        // Two physical resources may go by one logical id, so a node is an index.
        let key = |at: usize| format!("{at:06}");
        let needs: Nodes = doomed
            .iter()
            .enumerate()
            .map(|(at, (resource, _))| {
                let needs = doomed
                    .iter()
                    .enumerate()
                    .filter(|(_, (other, _))| resource.depends_on.contains(&other.logical_id))
                    .map(|(other, _)| key(other))
                    .collect();
                (key(at), needs)
            })
            .collect();
        let failed = graph::run(
            graph::reversed(&needs),
            after_failure,
            |at| {
                let entry = at.parse::<usize>().ok().and_then(|at| doomed.get(at));
                async move {
                    match entry {
                        Some((resource, removal)) => self.remove(resource, *removal).await,
                        None => true,
                    }
                }
            },
            || {},
        )
        .await;
        failed
            .iter()
            .filter_map(|at| doomed.get(at.parse::<usize>().ok()?))
            .map(|(resource, _)| resource.logical_id.clone())
            .collect()
    }
}

/// How a stack is to be deleted.
#[derive(Debug, Clone)]
pub(crate) struct Delete {
    /// Logical ids that stay behind.
    pub(crate) retain: Vec<String>,
    /// The stack goes even if resources do not.
    pub(crate) force: bool,
    /// The status to settle back to when the delete is refused.
    pub(crate) before: StackStatus,
    /// What was under way when the delete was asked for.
    pub(crate) former: Option<Operation>,
}

impl Default for Delete {
    fn default() -> Self {
        Self {
            retain: Vec::new(),
            force: false,
            before: StackStatus::CreateFailed,
            former: None,
        }
    }
}

/// Physical resources that exist now and did not in the baseline.
fn strays(stack: &Stack, baseline: &Baseline) -> Vec<Resource> {
    stack
        .resources
        .values()
        .filter(|resource| !resource.status.gone() && resource.physical_id.is_some())
        .filter(|resource| {
            baseline
                .resources
                .get(&resource.logical_id)
                .is_none_or(|former| former.physical_id != resource.physical_id)
        })
        .cloned()
        .collect()
}

/// Marks the change set that is being executed.
fn settle_change_set(stack: &mut Stack, status: ExecutionStatus) {
    let executed = stack.change_set_id.clone();
    for change_set in &mut stack.change_sets {
        if Some(&change_set.id) == executed.as_ref()
            && change_set.execution == ExecutionStatus::ExecuteInProgress
        {
            change_set.execution = status;
        }
    }
}

/// `The following resource(s) failed to create: [A, B]. `, with the space that AWS leaves at its end.
fn failed_to(verb: &str, names: &[&str]) -> String {
    format!(
        "The following resource(s) failed to {verb}: [{}]. ",
        names.join(", ")
    )
}

fn failed_to_delete(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    failed_to("delete", &names)
}

fn sentence(reason: &str) -> String {
    format!("{}. ", reason.trim_end_matches(['.', ' ']))
}

/// An output's value is always text.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
