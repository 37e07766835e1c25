//! What happened to a stack and to its resources, in the order in which it happened.

use serde_json::{Value, json};
use time::OffsetDateTime;

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
        }
    }

    /// As `DescribeStackEvents` shows it.
    pub(crate) fn describe(&self, stack: &Stack) -> Value {
        json!({
            "StackId": stack.id,
            "EventId": self.id,
            "StackName": stack.name,
            "LogicalResourceId": self.logical_id,
            "ResourceType": self.resource_type,
            "Timestamp": timestamp(self.at),
            "ResourceStatus": self.status,
        })
        .with("PhysicalResourceId", self.physical_id.clone())
        .with("ResourceStatusReason", self.reason.clone())
        .with("ResourceProperties", self.properties.clone())
        .with("ClientRequestToken", self.token.clone())
    }
}

fn token(stack: &Stack) -> Option<String> {
    stack
        .operation
        .as_ref()
        .and_then(|operation| operation.token.clone())
}
