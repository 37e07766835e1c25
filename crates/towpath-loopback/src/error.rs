//! The one error a service answers with, shaped as AWS shapes it.

/// An error as it crosses the wire: a code, a message and an HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The error code of the service model, such as `ValidationException`.
    pub code: String,
    /// What a person reads.
    pub message: String,
    /// The HTTP status; 400 for what the caller did wrong.
    pub status: u16,
}

impl AwsError {
    /// An error that the caller can mend.
    pub fn client(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status: 400,
        }
    }

    /// The same error with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The loopback itself failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            code: "InternalFailure".into(),
            message: message.into(),
            status: 500,
        }
    }

    /// The caller's credentials do not allow `action` on `resource`.
    pub fn access_denied(principal: &str, action: &str, resource: &str) -> Self {
        Self {
            code: "AccessDenied".into(),
            message: format!(
                "User: {principal} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
            ),
            status: 403,
        }
    }

    /// The loopback does not serve this operation.
    pub fn unknown_operation(service: &str, operation: &str) -> Self {
        Self {
            code: "UnknownOperationException".into(),
            message: format!("the loopback does not serve {service}:{operation}"),
            status: 400,
        }
    }
}
