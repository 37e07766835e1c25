//! A stack as the service keeps it: what was declared, what exists, and what happened.
//!
//! Nothing here does I/O; the deployer and the operations change stacks through these methods, so
//! that every change of status leaves its event.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::blueprint::Blueprint;
use super::change_set::ChangeSet;
use super::events::Event;
use super::hooks::HookResult;
use super::operations::{History, OperationType};
use super::status::{Phase, ResourceOperation, ResourceStatus, StackStatus};

/// The type of a stack, as its own events and a nested stack's resource name it.
pub(crate) const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

/// What somebody asked for: a template with its parameters, and what goes with it.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) notification_arns: Vec<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) rollback_configuration: Value,
}

/// A resource of a stack, as it was last touched.
#[derive(Debug, Clone)]
#[allow(clippy::struct_field_names, reason = "as the API names it")]
pub(crate) struct Resource {
    pub(crate) logical_id: String,
    pub(crate) resource_type: String,
    pub(crate) physical_id: Option<String>,
    /// What `Ref` gives.
    pub(crate) reference: String,
    /// What `Fn::GetAtt` gives.
    pub(crate) attributes: Map<String, Value>,
    /// The attributes are secret, and masked wherever the API would show them.
    pub(crate) no_echo: bool,
    /// As they were evaluated when they last took effect.
    pub(crate) properties: Value,
    /// Those of a change that did not come through, which a rollback starts from.
    pub(crate) attempted: Option<Value>,
    pub(crate) metadata: Value,
    pub(crate) deletion_policy: Option<String>,
    pub(crate) update_replace_policy: Option<String>,
    /// Logical ids that must outlive this resource.
    pub(crate) depends_on: Vec<String>,
    pub(crate) status: ResourceStatus,
    pub(crate) reason: Option<String>,
    pub(crate) changed: OffsetDateTime,
}

/// An output after evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<String>,
}

/// The last state known to work, to which a rollback returns.
#[derive(Debug, Clone)]
pub(crate) struct Baseline {
    pub(crate) declared: Declared,
    pub(crate) resources: IndexMap<String, Resource>,
    pub(crate) outputs: Vec<Output>,
}

/// An operation on a stack that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Tells this operation from the one that replaced it.
    pub(crate) serial: u64,
    pub(crate) token: Option<String>,
    /// Cancelled to make the operation stop and roll back, or give way to a delete.
    pub(crate) abort: CancellationToken,
    /// Cancelled when the operation has stopped touching the world.
    pub(crate) finished: CancellationToken,
}

/// One stack.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: StackStatus,
    pub(crate) reason: Option<String>,
    pub(crate) created: OffsetDateTime,
    pub(crate) updated: Option<OffsetDateTime>,
    pub(crate) deleted: Option<OffsetDateTime>,
    pub(crate) declared: Declared,
    pub(crate) resources: IndexMap<String, Resource>,
    /// Physical resources that no record names any more and that the next cleanup deletes.
    pub(crate) strays: Vec<Resource>,
    pub(crate) outputs: Vec<Output>,
    /// The names of the exports that this stack reads.
    pub(crate) imports: Vec<String>,
    pub(crate) baseline: Option<Baseline>,
    pub(crate) disable_rollback: bool,
    pub(crate) timeout_minutes: Option<i64>,
    pub(crate) termination_protection: bool,
    pub(crate) policy: Option<String>,
    /// What stands in for the policy while one update is under way.
    pub(crate) policy_during_update: Option<String>,
    /// A creation that is rolled back removes even what is to be retained.
    pub(crate) retain_except_on_create: bool,
    pub(crate) parent_id: Option<String>,
    pub(crate) root_id: Option<String>,
    pub(crate) change_set_id: Option<String>,
    pub(crate) change_sets: Vec<ChangeSet>,
    pub(crate) history: History,
    pub(crate) operation: Option<Operation>,
    /// Client request tokens that have been used, with the request each was used for.
    pub(crate) tokens: Vec<(String, String)>,
    serial: u64,
}

impl Stack {
    /// A stack that has just been asked for.
    pub(crate) fn new(id: String, name: String, declared: Declared, now: OffsetDateTime) -> Self {
        Self {
            id,
            name,
            status: StackStatus::ReviewInProgress,
            reason: None,
            created: now,
            updated: None,
            deleted: None,
            declared,
            resources: IndexMap::new(),
            strays: Vec::new(),
            outputs: Vec::new(),
            imports: Vec::new(),
            baseline: None,
            disable_rollback: false,
            timeout_minutes: None,
            termination_protection: false,
            policy: None,
            policy_during_update: None,
            retain_except_on_create: false,
            parent_id: None,
            root_id: None,
            change_set_id: None,
            change_sets: Vec::new(),
            history: History::default(),
            operation: None,
            tokens: Vec::new(),
            serial: 0,
        }
    }

    /// A value in which nothing appears that must not be echoed: neither of a parameter nor of an attribute.
    pub(crate) fn mask(&self, value: Value) -> Value {
        self.mask_attributes(self.declared.blueprint.mask_value(value))
    }

    /// A value in which no attribute appears that must not be echoed.
    pub(crate) fn mask_attributes(&self, value: Value) -> Value {
        let secrets: Vec<&str> = self
            .resources
            .values()
            .filter(|resource| resource.no_echo)
            .flat_map(|resource| resource.attributes.values())
            .filter_map(Value::as_str)
            .filter(|secret| !secret.is_empty())
            .collect();
        masked(value, &secrets)
    }

    /// Starts an operation; a former one that is still running is told to stop, and is returned.
    pub(crate) fn begin(
        &mut self,
        kind: OperationType,
        token: Option<String>,
        now: OffsetDateTime,
    ) -> (Operation, Option<Operation>) {
        self.history.begin(kind, token.clone(), now);
        self.serial += 1;
        let operation = Operation {
            serial: self.serial,
            token,
            abort: CancellationToken::new(),
            finished: CancellationToken::new(),
        };
        let former = self.operation.replace(operation.clone());
        if let Some(former) = &former {
            former.abort.cancel();
        }
        (operation, former)
    }

    /// Whether the operation with this serial is still the stack's own.
    pub(crate) fn is_current(&self, serial: u64) -> bool {
        self.serial == serial
    }

    /// Moves the stack to a status and records the event.
    pub(crate) fn enter(
        &mut self,
        now: OffsetDateTime,
        status: StackStatus,
        reason: Option<String>,
    ) {
        self.status = status;
        self.reason.clone_from(&reason);
        match status {
            StackStatus::DeleteInProgress | StackStatus::DeleteComplete => {
                self.deleted = Some(now);
            }
            StackStatus::UpdateInProgress => self.updated = Some(now),
            _ => {}
        }
        let event = Event::of_stack(self, now, status.as_str(), reason);
        self.history.turn(event, status, now);
    }

    /// Moves a resource to a status and records the event.
    pub(crate) fn resource_enter(
        &mut self,
        now: OffsetDateTime,
        logical_id: &str,
        operation: ResourceOperation,
        phase: Phase,
        reason: Option<String>,
    ) {
        let status = ResourceStatus::new(operation, phase);
        let Some(resource) = self.resources.get_mut(logical_id) else {
            return;
        };
        resource.status = status;
        resource.reason.clone_from(&reason);
        resource.changed = now;
        let resource = resource.clone();
        self.record(now, &resource, status, reason);
    }

    /// Records an event of a resource that no record names, such as the old one after a replacement.
    pub(crate) fn record(
        &mut self,
        now: OffsetDateTime,
        resource: &Resource,
        status: ResourceStatus,
        reason: Option<String>,
    ) {
        let event = Event::of_resource(self, now, resource, status, reason);
        self.history.push(event);
    }

    /// Records what a hook said of the resource that is about to be touched.
    pub(crate) fn refused(&mut self, now: OffsetDateTime, logical_id: &str, hook: HookResult) {
        if let Some(resource) = self.resources.get(logical_id) {
            let mut event = Event::of_resource(self, now, resource, resource.status, None);
            event.hook = Some(hook);
            self.history.push(event);
        }
    }
}

fn masked(value: Value, secrets: &[&str]) -> Value {
    match value {
        Value::String(text) => Value::String(secrets.iter().fold(text, |text, secret| {
            // Five asterisks, where a parameter has four.
            text.replace(secret, "*****")
        })),
        Value::Array(items) => items
            .into_iter()
            .map(|item| masked(item, secrets))
            .collect(),
        Value::Object(object) => object
            .into_iter()
            .map(|(key, value)| (key, masked(value, secrets)))
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}
