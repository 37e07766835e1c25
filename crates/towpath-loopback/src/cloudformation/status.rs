//! The states that stacks and resources pass through, and what is legal in each.
//!
//! The names and the legality are CloudFormation's ("Understand stack creation events" and
//! "Stack failure options" in its user guide).

/// Where a stack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StackStatus {
    ReviewInProgress,
    CreateInProgress,
    CreateComplete,
    CreateFailed,
    RollbackInProgress,
    RollbackComplete,
    RollbackFailed,
    UpdateInProgress,
    UpdateCompleteCleanupInProgress,
    UpdateComplete,
    UpdateFailed,
    UpdateRollbackInProgress,
    UpdateRollbackCompleteCleanupInProgress,
    UpdateRollbackComplete,
    UpdateRollbackFailed,
    DeleteInProgress,
    DeleteComplete,
    DeleteFailed,
    ImportInProgress,
    ImportComplete,
    ImportRollbackInProgress,
    ImportRollbackComplete,
    ImportRollbackFailed,
}

impl StackStatus {
    /// As the API spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ReviewInProgress => "REVIEW_IN_PROGRESS",
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::CreateFailed => "CREATE_FAILED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Self::UpdateCompleteCleanupInProgress => "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::UpdateRollbackInProgress => "UPDATE_ROLLBACK_IN_PROGRESS",
            Self::UpdateRollbackCompleteCleanupInProgress => {
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
            }
            Self::UpdateRollbackComplete => "UPDATE_ROLLBACK_COMPLETE",
            Self::UpdateRollbackFailed => "UPDATE_ROLLBACK_FAILED",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
            Self::DeleteComplete => "DELETE_COMPLETE",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::ImportInProgress => "IMPORT_IN_PROGRESS",
            Self::ImportComplete => "IMPORT_COMPLETE",
            Self::ImportRollbackInProgress => "IMPORT_ROLLBACK_IN_PROGRESS",
            Self::ImportRollbackComplete => "IMPORT_ROLLBACK_COMPLETE",
            Self::ImportRollbackFailed => "IMPORT_ROLLBACK_FAILED",
        }
    }

    /// Whether `UpdateStack`, or an UPDATE change set, may start here. `rollback_disabled` is the new
    /// operation's: a stack that stopped half way may only be retried with rollback off.
    pub(crate) fn may_update(self, rollback_disabled: bool) -> bool {
        match self {
            Self::CreateComplete
            | Self::UpdateComplete
            | Self::UpdateRollbackComplete
            | Self::ImportComplete
            | Self::ImportRollbackComplete => true,
            Self::CreateFailed | Self::UpdateFailed => rollback_disabled,
            Self::ReviewInProgress
            | Self::CreateInProgress
            | Self::RollbackInProgress
            | Self::RollbackComplete
            | Self::RollbackFailed
            | Self::UpdateInProgress
            | Self::UpdateCompleteCleanupInProgress
            | Self::UpdateRollbackInProgress
            | Self::UpdateRollbackCompleteCleanupInProgress
            | Self::UpdateRollbackFailed
            | Self::DeleteInProgress
            | Self::DeleteComplete
            | Self::DeleteFailed
            | Self::ImportInProgress
            | Self::ImportRollbackInProgress
            | Self::ImportRollbackFailed => false,
        }
    }

    /// Whether `DeleteStack` is accepted; while another operation cleans up it is not. Of imports AWS documents
    /// nothing here: they are left to come to their end.
    pub(crate) fn may_delete(self) -> bool {
        !matches!(
            self,
            Self::UpdateCompleteCleanupInProgress
                | Self::UpdateRollbackInProgress
                | Self::UpdateRollbackCompleteCleanupInProgress
                | Self::ImportInProgress
                | Self::ImportRollbackInProgress
        )
    }

    /// Whether nothing is under way in this status.
    pub(crate) fn is_settled(self) -> bool {
        !self.as_str().ends_with("_IN_PROGRESS")
    }

    /// Whether the stack is only a memory: it answers by ARN, exports nothing and has lost its name.
    pub(crate) fn is_gone(self) -> bool {
        self == Self::DeleteComplete
    }
}

/// What is being done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceOperation {
    Create,
    Update,
    Delete,
    Import,
    ImportRollback,
}

impl ResourceOperation {
    /// What is said of a resource that was stopped because a sibling failed.
    pub(crate) fn cancelled(self) -> &'static str {
        match self {
            Self::Create => "Resource creation cancelled",
            Self::Update => "Resource update cancelled",
            Self::Delete => "Resource deletion cancelled",
            Self::Import | Self::ImportRollback => "Resource import cancelled",
        }
    }
}

/// How far the operation on a resource has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    InProgress,
    Complete,
    Failed,
    Skipped,
}

/// Where a resource stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResourceStatus {
    pub(crate) operation: ResourceOperation,
    pub(crate) phase: Phase,
}

impl ResourceStatus {
    pub(crate) fn new(operation: ResourceOperation, phase: Phase) -> Self {
        Self { operation, phase }
    }

    /// As the API spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match (self.operation, self.phase) {
            (ResourceOperation::Create, Phase::InProgress) => "CREATE_IN_PROGRESS",
            (ResourceOperation::Create, Phase::Complete | Phase::Skipped) => "CREATE_COMPLETE",
            (ResourceOperation::Create, Phase::Failed) => "CREATE_FAILED",
            (ResourceOperation::Update, Phase::InProgress) => "UPDATE_IN_PROGRESS",
            (ResourceOperation::Update, Phase::Complete | Phase::Skipped) => "UPDATE_COMPLETE",
            (ResourceOperation::Update, Phase::Failed) => "UPDATE_FAILED",
            (ResourceOperation::Delete, Phase::InProgress) => "DELETE_IN_PROGRESS",
            (ResourceOperation::Delete, Phase::Complete) => "DELETE_COMPLETE",
            (ResourceOperation::Delete, Phase::Failed) => "DELETE_FAILED",
            (ResourceOperation::Delete, Phase::Skipped) => "DELETE_SKIPPED",
            (ResourceOperation::Import, Phase::InProgress) => "IMPORT_IN_PROGRESS",
            (ResourceOperation::Import, Phase::Complete | Phase::Skipped) => "IMPORT_COMPLETE",
            (ResourceOperation::Import, Phase::Failed) => "IMPORT_FAILED",
            (ResourceOperation::ImportRollback, Phase::InProgress) => "IMPORT_ROLLBACK_IN_PROGRESS",
            (ResourceOperation::ImportRollback, Phase::Complete | Phase::Skipped) => {
                "IMPORT_ROLLBACK_COMPLETE"
            }
            (ResourceOperation::ImportRollback, Phase::Failed) => "IMPORT_ROLLBACK_FAILED",
        }
    }

    /// The last operation on the resource went wrong.
    pub(crate) fn failed(self) -> bool {
        self.phase == Phase::Failed
    }

    /// The resource has been deleted, or left behind on purpose.
    pub(crate) fn gone(self) -> bool {
        self.operation == ResourceOperation::Delete
            && matches!(self.phase, Phase::Complete | Phase::Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_may_start_only_where_cloudformation_allows_it() {
        for (status, plain, without_rollback) in [
            (StackStatus::CreateComplete, true, true),
            (StackStatus::UpdateComplete, true, true),
            (StackStatus::UpdateRollbackComplete, true, true),
            (StackStatus::CreateFailed, false, true),
            (StackStatus::UpdateFailed, false, true),
            (StackStatus::RollbackComplete, false, false),
            (StackStatus::ReviewInProgress, false, false),
            (StackStatus::UpdateRollbackFailed, false, false),
            (StackStatus::ImportComplete, true, true),
            (StackStatus::ImportRollbackComplete, true, true),
            (StackStatus::ImportRollbackFailed, false, false),
            (StackStatus::DeleteInProgress, false, false),
            (StackStatus::DeleteFailed, false, false),
        ] {
            assert_eq!(status.may_update(false), plain, "{status:?}");
            assert_eq!(status.may_update(true), without_rollback, "{status:?}");
        }
    }
}
