//! What can go wrong between us and CloudFormation.

use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};

/// What kind of trouble an error is, by which a caller decides whether to wait, to mend or to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Too many calls: the same call may succeed later.
    Throttled,
    /// The credentials do not allow the call.
    Denied,
    /// The request is wrong, or does not fit the stack's state.
    Refused,
    /// The service could not be reached, or failed by itself.
    Unavailable,
}

/// A failure to read or change a stack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// A call was answered with an error, or not at all.
    #[error("failed to {operation} `{subject}`: {message} ({code})")]
    Call {
        /// What was being done, such as `describe stack`.
        operation: &'static str,
        /// The stack or change set.
        subject: String,
        /// AWS's error code, or `NoAnswer`.
        code: String,
        /// AWS's own words.
        message: String,
        /// What kind of trouble it is.
        fault: Fault,
    },
    /// A change set that was named for one stack is another's.
    #[error("the change set is one of stack `{owner}`, and not of stack `{stack}`: {change_set}")]
    Foreign {
        /// The change set, by ARN.
        change_set: String,
        /// The stack that it was named for.
        stack: String,
        /// The stack that it belongs to.
        owner: String,
    },
    /// The service answered with something that this version cannot read.
    #[error("failed to understand stack `{stack}`: {what}")]
    Unreadable {
        /// The stack.
        stack: String,
        /// What was not understood.
        what: String,
    },
}

impl StackError {
    /// An SDK error in our words. Takes what `operation` was being done to `subject`.
    pub fn call<E>(operation: &'static str, subject: &str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let metadata = error.as_service_error();
        let code = metadata.and_then(ProvideErrorMetadata::code);
        let message = metadata
            .and_then(ProvideErrorMetadata::message)
            .map_or_else(|| no_answer(error), str::to_owned);
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        Self::Call {
            operation,
            subject: subject.to_owned(),
            code: code.unwrap_or("NoAnswer").to_owned(),
            message,
            fault: fault(code, status),
        }
    }

    /// What kind of trouble it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Call { fault, .. } => *fault,
            Self::Foreign { .. } | Self::Unreadable { .. } => Fault::Refused,
        }
    }

    /// Whether the stack came to be in another state between our looking and our asking, so that
    /// looking again helps.
    pub fn is_conflict(&self) -> bool {
        match self.code() {
            Some("OperationInProgressException") => true,
            // An object that is not there says nothing about the stack.
            Some("ValidationError") if self.message().starts_with("S3 error:") => false,
            Some("ValidationError") => [
                "can not be updated",
                "cannot be updated",
                "already exists and cannot be created again",
                "does not exist",
            ]
            .iter()
            .any(|text| self.message().contains(text)),
            _ => false,
        }
    }

    /// AWS's error code, when the service answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Call { code, .. } => Some(code),
            Self::Foreign { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// AWS's own words, or ours.
    pub fn message(&self) -> &str {
        match self {
            Self::Call { message, .. } => message,
            Self::Foreign { change_set, .. } => change_set,
            Self::Unreadable { what, .. } => what,
        }
    }
}

fn no_answer<E>(error: &SdkError<E>) -> String {
    match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(failure) => failure.as_connector_error().map_or_else(
            || "the request could not be sent".to_owned(),
            |cause| format!("the request could not be sent: {cause}"),
        ),
        SdkError::ConstructionFailure(_) => "the request could not be built".to_owned(),
        SdkError::ServiceError(_) | SdkError::ResponseError(_) | _ => {
            "the answer could not be read".to_owned()
        }
    }
}

fn fault(code: Option<&str>, status: Option<u16>) -> Fault {
    match code {
        Some(
            "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "SlowDown",
        ) => Fault::Throttled,
        Some(
            "AccessDenied"
            | "AccessDeniedException"
            | "UnauthorizedOperation"
            | "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "ExpiredToken"
            | "SignatureDoesNotMatch",
        ) => Fault::Denied,
        Some(_) if status.is_some_and(|status| status < 500) => Fault::Refused,
        _ => Fault::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, StackError, fault};

    #[test]
    fn a_conflict_is_told_by_its_exact_texts() {
        for (code, message, expected) in [
            (
                "ValidationError",
                "Stack:arn is in UPDATE_IN_PROGRESS state and can not be updated.",
                true,
            ),
            (
                "ValidationError",
                "Stack:arn is in DELETE_IN_PROGRESS state and can not be updated.",
                true,
            ),
            ("ValidationError", "Stack with id a does not exist", true),
            ("ValidationError", "No updates are to be performed.", false),
            (
                "InsufficientCapabilitiesException",
                "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
                false,
            ),
            (
                "ValidationError",
                "Stack [a] already exists and cannot be created again with the changeSet [b].",
                true,
            ),
            ("ValidationError", "Stack [a] does not exist", true),
            (
                "ValidationError",
                "S3 error: The specified key does not exist.",
                false,
            ),
            ("OperationInProgressException", "", true),
            (
                "ValidationError",
                "Template format error: unsupported structure.",
                false,
            ),
            ("AccessDenied", "does not exist", false),
        ] {
            let error = StackError::Call {
                operation: "x",
                subject: "a".into(),
                code: code.into(),
                message: message.into(),
                fault: Fault::Refused,
            };
            assert_eq!(error.is_conflict(), expected, "{code} {message}");
        }
    }

    #[test]
    fn a_code_and_a_status_tell_the_kind_of_trouble() {
        for (code, status, expected) in [
            (Some("Throttling"), Some(400), Fault::Throttled),
            (Some("AccessDenied"), Some(403), Fault::Denied),
            (Some("ValidationError"), Some(400), Fault::Refused),
            (Some("InternalFailure"), Some(500), Fault::Unavailable),
            (None, Some(503), Fault::Unavailable),
            (None, None, Fault::Unavailable),
        ] {
            assert_eq!(fault(code, status), expected, "{code:?} {status:?}");
        }
    }
}
