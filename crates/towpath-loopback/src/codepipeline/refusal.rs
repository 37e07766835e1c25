//! The engine's refusals as CodePipeline's errors.

use towpath_engine::{DefinitionError, Refused};

use crate::AwsError;

/// A definition that is refused.
pub(super) fn of_definition(error: DefinitionError) -> AwsError {
    let code = match error {
        DefinitionError::Constraint(_) => "ValidationException",
        DefinitionError::Structure(_) => "InvalidStructureException",
        DefinitionError::Stage { .. } => "InvalidStageDeclarationException",
        DefinitionError::Action { .. } => "InvalidActionDeclarationException",
    };
    AwsError::client(code, error.to_string())
}

/// An input that is refused. The service's own texts are known for the approval only; see the engine.
pub(super) fn of_input(refused: Refused) -> AwsError {
    let code = match refused {
        Refused::ExecutionExists(_) => "ConflictException",
        Refused::TooManyExecutions(_) => "ConcurrentPipelineExecutionsLimitExceededException",
        Refused::MissingVariable(_)
        | Refused::UnknownVariable(_)
        | Refused::UnknownSource(_)
        | Refused::NotWaiting(_) => "ValidationException",
        Refused::ExecutionNotFound(_) => "PipelineExecutionNotFoundException",
        Refused::StageNotFound(_) => "StageNotFoundException",
        Refused::ActionNotFound { .. } => "ActionNotFoundException",
        Refused::JobNotFound(_) => "JobNotFoundException",
        Refused::JobSettled { .. } => "InvalidJobStateException",
        Refused::InvalidToken => "InvalidApprovalTokenException",
        Refused::AlreadyAnswered => "ApprovalAlreadyCompletedException",
        Refused::NotStoppable { .. } => "PipelineExecutionNotStoppableException",
        Refused::StoppingAlready(_) => "DuplicatedStopRequestException",
        Refused::NotRetryable { .. } => "StageNotRetryableException",
        Refused::NotLatest(_) => "NotLatestPipelineExecutionException",
    };
    AwsError::client(code, refused.to_string())
}
