//! What happened to a stack and to its resources, in the order in which it happened.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::hooks::HookResult;
use super::stack::{Resource, STACK_TYPE, Stack};
use super::status::{ResourceOperation, ResourceStatus};
use super::wire::{Object, timestamp};

/// One event of a stack.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) resource_type: String,
    pub(crate) at: OffsetDateTime,
    pub(crate) status: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) properties: Option<String>,
    pub(crate) token: Option<String>,
    /// The id of the operation that it belongs to.
    pub(crate) operation: Option<String>,
    /// What a hook made of it.
    pub(crate) hook: Option<HookResult>,
}

impl Event {
    /// The stack itself changed its status.
    pub(crate) fn of_stack(
        stack: &Stack,
        at: OffsetDateTime,
        status: &'static str,
        reason: Option<String>,
    ) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            logical_id: stack.name.clone(),
            physical_id: Some(stack.id.clone()),
            resource_type: STACK_TYPE.to_owned(),
            at,
            status,
            reason,
            properties: None,
            token: token(stack),
            operation: None,
            hook: None,
        }
    }

    /// A resource changed its status.
    pub(crate) fn of_resource(
        stack: &Stack,
        at: OffsetDateTime,
        resource: &Resource,
        status: ResourceStatus,
        reason: Option<String>,
    ) -> Self {
        let properties = (status.operation != ResourceOperation::Delete
            && resource.properties.is_object())
        .then(|| stack.mask(resource.properties.clone()).to_string());
        Self {
            id: format!(
                "{}-{}-{}",
                resource.logical_id,
                status.as_str(),
                // AWS puts the time here; ours may repeat within a millisecond, an id must not.
                uuid::Uuid::new_v4().simple()
            ),
            logical_id: resource.logical_id.clone(),
            physical_id: Some(resource.physical_id.clone().unwrap_or_default()),
            resource_type: resource.resource_type.clone(),
            at,
            status: status.as_str(),
            reason,
            properties,
            token: token(stack),
            operation: None,
            hook: None,
        }
    }

    /// As `DescribeStackEvents` shows it.
    pub(crate) fn describe(&self, stack: &Stack) -> Value {
        self.tell(json!({
            "StackId": stack.id,
            "StackName": stack.name,
            "Timestamp": timestamp(self.at),
        }))
        .with("OperationId", self.operation.clone())
        .with("ClientRequestToken", self.token.clone())
        .with(
            "HookInvocationId",
            self.hook.as_ref().map(|hook| hook.id.clone()),
        )
    }

    /// What the stack's topics are told: a line for each member, as CloudFormation writes them.
    pub(crate) fn notice(&self, stack_id: &str, stack_name: &str, account: &str) -> String {
        let null = || "null".to_owned();
        let mut notice = String::new();
        for (member, value) in [
            ("StackId", stack_id.to_owned()),
            ("Timestamp", timestamp(self.at)),
            ("EventId", self.id.clone()),
            ("LogicalResourceId", self.logical_id.clone()),
            ("Namespace", account.to_owned()),
            (
                "PhysicalResourceId",
                self.physical_id.clone().unwrap_or_default(),
            ),
            // Who asked for it by an id of IAM's, which nobody has here.
            ("PrincipalId", account.to_owned()),
            (
                "ResourceProperties",
                self.properties.clone().unwrap_or_else(null),
            ),
            ("ResourceStatus", self.status.to_owned()),
            (
                "ResourceStatusReason",
                self.reason.clone().unwrap_or_default(),
            ),
            ("ResourceType", self.resource_type.clone()),
            ("StackName", stack_name.to_owned()),
            (
                "ClientRequestToken",
                self.token.clone().unwrap_or_else(null),
            ),
        ] {
            notice.push_str(member);
            notice.push_str("='");
            notice.push_str(&value);
            notice.push_str("'\n");
        }
        notice
    }

    /// As `DescribeEvents` shows it, added to a row that says whose and when.
    pub(crate) fn show(&self, row: Value) -> Value {
        // A stack's own statuses are longer than those the model gives to `OperationEvent`; AWS's own
        // clients take what they do not know as text.
        self.tell(row).with("EventType", Some(self.kind()))
    }

    /// What `DescribeEvents` counts it as.
    pub(crate) fn kind(&self) -> &'static str {
        if self.hook.is_some() {
            "HOOK_INVOCATION_ERROR"
        } else if self.status.ends_with("_FAILED") && self.resource_type != STACK_TYPE {
            "PROVISIONING_ERROR"
        } else {
            "PROGRESS_EVENT"
        }
    }

    fn tell(&self, row: Value) -> Value {
        let row = match &self.hook {
            Some(hook) => hook.tell(row),
            None => row,
        };
        row.with("EventId", Some(self.id.clone()))
            .with("LogicalResourceId", Some(self.logical_id.clone()))
            .with("ResourceType", Some(self.resource_type.clone()))
            .with("ResourceStatus", Some(self.status))
            .with("PhysicalResourceId", self.physical_id.clone())
            .with("ResourceStatusReason", self.reason.clone())
            .with("ResourceProperties", self.properties.clone())
    }
}

fn token(stack: &Stack) -> Option<String> {
    stack
        .operation
        .as_ref()
        .and_then(|operation| operation.token.clone())
}
