//! CloudFormation: stacks that take time, pass through every real status, and roll back when a resource fails.
//!
//! - `api` answers operations; what it accepts, the `deployer` carries out in the background.
//! - `blueprint` is what a template comes to, `plan` what it would change, `known` what evaluation may know.
//! - `resources` turns resource types into calls of the loopback's other services.
//!
//! Only this service knows what a stack is; the other services are called as any client would call them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::server::{Request, Response};
use crate::{AwsError, Caller, World};
use replies::Replies;
use script::Scripts;
use stack::Stack;

mod api;
mod blueprint;
mod change_set;
mod deployer;
mod early_validation;
mod events;
mod hooks;
mod known;
mod operations;
mod plan;
mod policy;
mod references;
mod replies;
mod resources;
mod script;
mod stack;
mod status;
mod wire;

pub(crate) use replies::PATH as CUSTOM_RESOURCES;
pub(crate) use wire::timestamp;

#[cfg(test)]
mod tests;

pub use script::{ResourceRule, ResourceScript, ScriptedOperation};

/// The service's state.
#[derive(Default)]
pub(crate) struct CloudFormation {
    /// In the order of their creation; deleted ones stay, and answer by ARN only.
    stacks: Mutex<Vec<Stack>>,
    pub(crate) scripts: Scripts,
    replies: Replies,
}

impl CloudFormation {
    /// Answers one operation.
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        api::answer(world, caller, operation, &input).await
    }

    /// Takes the answer of a custom resource's provider.
    pub(crate) fn answered(&self, request: &Request) -> Response {
        self.replies.respond(request)
    }

    /// Acts on the stack with this id. The other stacks wait meanwhile, so the act is short.
    fn stack<T>(&self, id: &str, act: impl FnOnce(&mut Stack) -> T) -> Option<T> {
        self.with(|stacks| stacks.iter_mut().find(|stack| stack.id == id).map(act))
    }

    /// Acts on the list of all stacks.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Vec<Stack>) -> T) -> T {
        act(&mut self.stacks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The id of the stack with this name or ARN. A deleted stack has lost its name.
    fn find(&self, name_or_id: &str) -> Option<String> {
        self.with(|stacks| {
            stacks
                .iter()
                .rev()
                .find(|stack| {
                    stack.id == name_or_id || (stack.name == name_or_id && !stack.status.is_gone())
                })
                .map(|stack| stack.id.clone())
        })
    }

    /// The id of the stack that has the change set of this ARN, or the operation of this id.
    pub(crate) fn owner(&self, part: &str) -> Option<String> {
        self.with(|stacks| {
            stacks
                .iter()
                .find(|stack| {
                    stack.history.has(part) || stack.change_sets.iter().any(|made| made.id == part)
                })
                .map(|stack| stack.id.clone())
        })
    }

    /// Every export that a stack may read: those of all stacks but its own.
    fn exports(&self, reader: &str) -> BTreeMap<String, String> {
        self.with(|stacks| {
            stacks
                .iter()
                .filter(|stack| stack.id != reader && !stack.status.is_gone())
                .flat_map(|stack| &stack.outputs)
                .filter_map(|output| Some((output.export.clone()?, output.value.clone())))
                .collect()
        })
    }

    /// The name of the stack, other than `except`, that has this export.
    fn exporter(&self, export: &str, except: &str) -> Option<String> {
        self.with(|stacks| {
            stacks
                .iter()
                .find(|stack| {
                    stack.id != except
                        && !stack.status.is_gone()
                        && stack
                            .outputs
                            .iter()
                            .any(|output| output.export.as_deref() == Some(export))
                })
                .map(|stack| stack.name.clone())
        })
    }

    /// The names of the stacks, other than `except`, that read this export.
    fn importers(&self, export: &str, except: &str) -> Vec<String> {
        self.with(|stacks| {
            stacks
                .iter()
                .filter(|stack| stack.id != except && !stack.status.is_gone())
                .filter(|stack| stack.imports.iter().any(|name| name == export))
                .map(|stack| stack.name.clone())
                .collect()
        })
    }
}
