//! A change set: what was proposed, what it would change, and whether it may be executed.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::plan::Change;
use super::stack::{Declared, Stack};
use super::wire::{Object, timestamp};

/// What follows when there is nothing to do, in a template without transforms.
pub(crate) const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different information to create a change set.";

/// The same, in a template with transforms; also what `UpdateStack` answers.
pub(crate) const NO_UPDATES: &str = "No updates are to be performed.";

/// What executing the change set does to its stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeSetType {
    Create,
    Update,
    Import,
}

/// A resource that is there already, and is to belong to the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) logical_id: String,
    pub(crate) resource_type: String,
    pub(crate) physical_id: String,
}

/// How far the making of the change set has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeSetStatus {
    CreatePending,
    CreateInProgress,
    CreateComplete,
    Failed,
}

impl ChangeSetStatus {
    /// As the API spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CreatePending => "CREATE_PENDING",
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::Failed => "FAILED",
        }
    }
}

/// Whether the change set may be executed, or has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExecutionStatus {
    Unavailable,
    Available,
    ExecuteInProgress,
    ExecuteComplete,
    ExecuteFailed,
    Obsolete,
}

impl ExecutionStatus {
    /// As the API spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "UNAVAILABLE",
            Self::Available => "AVAILABLE",
            Self::ExecuteInProgress => "EXECUTE_IN_PROGRESS",
            Self::ExecuteComplete => "EXECUTE_COMPLETE",
            Self::ExecuteFailed => "EXECUTE_FAILED",
            Self::Obsolete => "OBSOLETE",
        }
    }
}

/// Where a nested change set belongs: it was made with another, and is executed and thrown away with it.
#[derive(Debug, Clone)]
pub(crate) struct Lineage {
    /// The id of the change set of the stack around it.
    pub(crate) parent: String,
    /// The id of the outermost one.
    pub(crate) root: String,
    pub(crate) parent_stack: String,
    pub(crate) root_stack: String,
    /// What the stack is called in the one around it.
    pub(crate) logical_id: String,
}

/// One change set.
#[derive(Debug, Clone)]
pub(crate) struct ChangeSet {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: ChangeSetType,
    pub(crate) status: ChangeSetStatus,
    pub(crate) reason: Option<String>,
    pub(crate) execution: ExecutionStatus,
    pub(crate) created: OffsetDateTime,
    pub(crate) description: Option<String>,
    pub(crate) client_token: Option<String>,
    /// The id of the operation that makes it.
    pub(crate) operation: String,
    pub(crate) declared: Declared,
    pub(crate) changes: Vec<Change>,
    pub(crate) on_stack_failure: Option<String>,
    pub(crate) include_nested: bool,
    pub(crate) import_existing: bool,
    /// What it takes in, if that is what it does.
    pub(crate) imports: Vec<Import>,
    pub(crate) lineage: Option<Lineage>,
}

impl ChangeSet {
    /// As `DescribeChangeSet` shows it, without its changes.
    pub(crate) fn describe(&self, stack: &Stack) -> Value {
        let declared = &self.declared;
        json!({
            "ChangeSetName": self.name,
            "ChangeSetId": self.id,
            "StackId": stack.id,
            "StackName": stack.name,
            "CreationTime": timestamp(self.created),
            "ExecutionStatus": self.execution.as_str(),
            "Status": self.status.as_str(),
            "Parameters": declared.blueprint.describe_parameters(),
            "NotificationARNs": declared.notification_arns,
            "RollbackConfiguration": declared.rollback_configuration,
            "Capabilities": declared.capabilities,
            "Tags": describe_tags(&declared.tags),
            "IncludeNestedStacks": self.include_nested,
        })
        .with("StatusReason", self.reason.clone())
        .with("Description", self.description.clone())
        .with("OnStackFailure", self.on_stack_failure.clone())
        .with(
            "ImportExistingResources",
            self.import_existing.then_some(true),
        )
        .with("ParentChangeSetId", self.parent())
        .with("RootChangeSetId", self.root())
    }

    fn parent(&self) -> Option<&str> {
        self.lineage.as_ref().map(|lineage| lineage.parent.as_str())
    }

    fn root(&self) -> Option<&str> {
        self.lineage.as_ref().map(|lineage| lineage.root.as_str())
    }

    /// As `ListChangeSets` shows it.
    pub(crate) fn summary(&self, stack: &Stack) -> Value {
        json!({
            "StackId": stack.id,
            "StackName": stack.name,
            "ChangeSetId": self.id,
            "ChangeSetName": self.name,
            "ExecutionStatus": self.execution.as_str(),
            "Status": self.status.as_str(),
            "CreationTime": timestamp(self.created),
            "IncludeNestedStacks": self.include_nested,
        })
        .with("ParentChangeSetId", self.parent())
        .with("RootChangeSetId", self.root())
        .with("StatusReason", self.reason.clone())
        .with("Description", self.description.clone())
    }
}

/// `[{Key, Value}]`.
pub(crate) fn describe_tags(tags: &[(String, String)]) -> Value {
    tags.iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }))
        .collect()
}
