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
use super::change_set::{ExecutionStatus, Import};
use super::known::Known;
use super::stack::{Operation, Stack};
use super::status::StackStatus;
use crate::{Caller, World};
use graph::{AfterFailure, Nodes};

mod conclude;
mod graph;
mod import;
mod removal;
mod resource;
mod undo;
pub(crate) mod values;

pub(crate) use conclude::text_of;
pub(crate) use removal::Delete;

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

    /// Makes the stack, within the time that is allowed.
    pub(crate) fn spawn_create(self, on_failure: OnFailure, timeout: Option<Duration>) {
        self.spawn(move |run| async move { run.create(on_failure, timeout).await });
    }

    /// Updates the stack from its baseline to its declared blueprint.
    pub(crate) fn spawn_update(self, disable_rollback: bool) {
        self.spawn(move |run| async move { run.update(disable_rollback).await });
    }

    /// Takes resources in that are there already.
    pub(crate) fn spawn_import(self, imports: Vec<Import>) {
        self.spawn(move |run| async move { run.import(&imports).await });
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
            // Also when the work panics: who waits for it must not wait for ever.
            let _finished = run.operation.finished.clone().drop_guard();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = work(Arc::clone(&run)) => {}
            }
        });
    }

    /// Acts on the stack, if it is still there, and tells its topics what has happened since.
    fn stack<T>(&self, act: impl FnOnce(&mut Stack) -> T) -> Option<T> {
        let (answer, notices) = self.world.cloudformation.stack(&self.stack_id, |stack| {
            let answer = act(stack);
            (answer, self.notices(stack))
        })?;
        for (topic, notice) in notices {
            let request = json!({
                "TopicArn": topic,
                "Subject": "AWS CloudFormation Notification",
                "Message": notice,
            });
            // What AWS does about a topic that is gone is not documented; here the stack goes on.
            if let Err(error) = self.world.sns.publish(&self.world, &request) {
                tracing::warn!(%topic, %error, "failed to tell a topic of a stack's event");
            }
        }
        Some(answer)
    }

    /// What the stack's topics are yet to be told.
    fn notices(&self, stack: &mut Stack) -> Vec<(String, String)> {
        let (id, name) = (&stack.id, &stack.name);
        let account = &self.world.settings.account;
        let topics = &stack.declared.notification_arns;
        stack
            .history
            .untold()
            .iter()
            .map(|event| event.notice(id, name, account))
            .flat_map(|notice| {
                topics
                    .iter()
                    .map(move |topic| (topic.clone(), notice.clone()))
            })
            .collect()
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

    async fn update(&self, disable_rollback: bool) {
        let kept = self.kept_by_policy();
        let applied = if kept.is_empty() {
            self.apply_all().await
        } else {
            let names: Vec<&str> = kept.iter().map(String::as_str).collect();
            Err(Failure {
                reason: failed_to("update", &names),
            })
        };
        let outcome = match applied {
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

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
