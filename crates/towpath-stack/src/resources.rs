//! What a stack is made of, as `ListStackResources` shows it.

use aws_sdk_cloudformation::Client;

use crate::StackError;
use crate::teardown::Leftover;

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name in the template.
    pub logical_id: String,
    /// Its own id, once it has one.
    pub physical_id: Option<String>,
    /// Such as `AWS::S3::Bucket`.
    pub resource_type: String,
    /// Such as `DELETE_FAILED`.
    pub status: String,
    /// AWS's words.
    pub reason: Option<String>,
}

impl Resource {
    /// It is there still, as far as CloudFormation knows.
    pub fn exists(&self) -> bool {
        self.status != "DELETE_COMPLETE" && self.physical_id.is_some()
    }

    /// The stack went, or goes, without it.
    pub fn stays_behind(&self) -> bool {
        matches!(self.status.as_str(), "DELETE_SKIPPED" | "DELETE_FAILED")
    }

    /// What could not be deleted, if this could not.
    pub fn leftover(&self) -> Option<Leftover> {
        (self.status == "DELETE_FAILED").then(|| Leftover {
            logical_id: self.logical_id.clone(),
            resource_type: self.resource_type.clone(),
            reason: self.reason.clone().unwrap_or_default(),
        })
    }
}

/// Every resource of a stack. A deleted stack answers by ARN, for 90 days.
pub async fn list(client: &Client, stack: &str) -> Result<Vec<Resource>, StackError> {
    let all = client
        .list_stack_resources()
        .stack_name(stack)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| StackError::call("list the resources of stack", stack, &error))?;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(all
        .iter()
        .map(|seen| Resource {
            logical_id: text(seen.logical_resource_id()),
            physical_id: seen
                .physical_resource_id()
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
            resource_type: text(seen.resource_type()),
            status: text(
                seen.resource_status()
                    .map(aws_sdk_cloudformation::types::ResourceStatus::as_str),
            ),
            reason: seen.resource_status_reason().map(str::to_owned),
        })
        .collect())
}
