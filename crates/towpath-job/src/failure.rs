//! How an action fails: one of CodePipeline's six types, and words an operator can act on.

use std::error::Error;
use std::fmt::Display;

use aws_sdk_codepipeline::error::{ProvideErrorMetadata, SdkError};

use crate::limits;
use crate::text;
use towpath_secret::Secrets;

/// CodePipeline's types of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureType {
    /// The work itself failed: a test, a build, a deployment.
    JobFailed,
    /// The action or its inputs are set up wrongly.
    ConfigurationError,
    /// A permission is missing.
    PermissionError,
    /// The revision is not the one expected any more.
    RevisionOutOfSync,
    /// The revision cannot be had.
    RevisionUnavailable,
    /// A service does not answer; trying again may help.
    SystemUnavailable,
}

impl FailureType {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobFailed => "JobFailed",
            Self::ConfigurationError => "ConfigurationError",
            Self::PermissionError => "PermissionError",
            Self::RevisionOutOfSync => "RevisionOutOfSync",
            Self::RevisionUnavailable => "RevisionUnavailable",
            Self::SystemUnavailable => "SystemUnavailable",
        }
    }
}

/// A failure as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// CodePipeline's type.
    pub kind: FailureType,
    /// The cause, first things first.
    pub message: String,
    /// The output of the tool that failed; its end is kept.
    pub output: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What failed, in the other system's terms: a stack's ARN, a build's id.
    pub external_id: Option<String>,
    /// What of the machine was not enough, if that is why.
    pub limit: Option<Limit>,
}

/// Something of a machine of which there was not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Room on its disk.
    Disk,
    /// Time.
    Time,
}

impl Failure {
    /// A failure of a given type.
    pub fn new(kind: FailureType, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            output: None,
            hint: None,
            external_id: None,
            limit: None,
        }
    }

    /// The work failed.
    pub fn job(message: impl Into<String>) -> Self {
        Self::new(FailureType::JobFailed, message)
    }

    /// The action is set up wrongly.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(FailureType::ConfigurationError, message)
    }

    /// A permission is missing.
    pub fn permission(message: impl Into<String>) -> Self {
        Self::new(FailureType::PermissionError, message)
    }

    /// A service does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureType::SystemUnavailable, message)
    }

    /// An AWS call failed. `doing` says what it was for, as in "failed to {doing}"; the type
    /// follows from the service's error code.
    pub fn aws<E, R>(doing: impl Display, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug,
        SdkError<E, R>: Error,
    {
        let message = format!("failed to {doing}: {}", aws_cause(error));
        Self::new(aws_kind(error), message)
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The output of the tool that failed.
    #[must_use]
    pub fn with_output(mut self, output: impl Into<String>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// What failed, in the other system's terms.
    #[must_use]
    pub fn with_external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// What of the machine was not enough.
    #[must_use]
    pub fn at_limit(mut self, limit: Option<Limit>) -> Self {
        self.limit = limit;
        self
    }

    /// The failure with every secret taken out of its texts. This comes before [`Failure::render`],
    /// which may cut a secret in two.
    #[must_use]
    pub(crate) fn redacted(self, secrets: &Secrets) -> Self {
        let clean = |text: String| secrets.redact(&text);
        Self {
            kind: self.kind,
            message: clean(self.message),
            output: self.output.map(clean),
            hint: self.hint.map(clean),
            external_id: self.external_id.map(clean),
            limit: self.limit,
        }
    }

    /// The message as reported: the cause first, the end of the output, the hint last, never
    /// more than the service takes.
    pub fn render(&self) -> String {
        let cause = text::plain(&self.message);
        let cause = match cause.trim() {
            "" => "the action failed without saying why",
            cause => cause,
        };
        let hint = self
            .hint
            .as_deref()
            .map(|hint| text::plain(hint).trim().to_owned())
            .filter(|hint| !hint.is_empty())
            .map(|hint| format!("\nhint: {}", text::head(&hint, 1_000)))
            .unwrap_or_default();
        let room = limits::MESSAGE - text::length(&hint);
        let output = self
            .output
            .as_deref()
            .map(|output| text::plain(output).trim().to_owned())
            .filter(|output| !output.is_empty());
        let Some(output) = output else {
            return text::ends(cause, room) + &hint;
        };
        // The output gets what the cause leaves, and half of the room at least.
        let cause = text::ends(cause, room / 2);
        let output = text::tail(&output, room - text::length(&cause) - 1);
        format!("{cause}\n{output}{hint}")
    }
}

/// An error with its causes, each said once: `failed to x: y: z`.
pub fn chain(error: &dyn Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = cause.source();
    }
    out
}

/// What the service said, or why it could not be asked.
pub fn aws_cause<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
    SdkError<E, R>: Error,
{
    match error.as_service_error() {
        Some(service) => match (service.code(), service.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            (None, Some(message)) => message.to_owned(),
            (None, None) => chain(service),
        },
        None => chain(error),
    }
}

/// The failure type an AWS error stands for.
pub fn aws_kind<E, R>(error: &SdkError<E, R>) -> FailureType
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(context) => context
            .err()
            .code()
            .map_or(FailureType::JobFailed, kind_of_code),
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            FailureType::SystemUnavailable
        }
        _ => FailureType::JobFailed,
    }
}

/// The failure type an AWS error code stands for.
fn kind_of_code(code: &str) -> FailureType {
    let bare = code.strip_suffix("Exception").unwrap_or(code);
    match bare {
        "AccessDenied"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "AuthorizationError"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "KMS.AccessDenied"
        | "KMSAccessDenied"
        | "Forbidden" => FailureType::PermissionError,
        "Throttling"
        | "Throttled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "ServiceUnavailable"
        | "Unavailable"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalService"
        | "RequestTimeout"
        | "PriorRequestNotComplete"
        | "RequestThrottled" => FailureType::SystemUnavailable,
        "NoSuchBucket" | "ResourceNotFound" | "NoSuchKey" => FailureType::ConfigurationError,
        _ => FailureType::JobFailed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rendering_by_table() {
        for (case, failure, expected) in [
            ("message only", Failure::job("boom"), "boom"),
            (
                "hint last",
                Failure::job("boom").with_hint("try x"),
                "boom\nhint: try x",
            ),
            (
                "output between",
                Failure::job("npm test failed")
                    .with_hint("look")
                    .with_output("1 failing\n"),
                "npm test failed\n1 failing\nhint: look",
            ),
            (
                "nothing said",
                Failure::job("  "),
                "the action failed without saying why",
            ),
            (
                "colours and blank parts",
                Failure::job("\u{1b}[31mbad\u{1b}[0m")
                    .with_hint(" ")
                    .with_output("\n"),
                "bad",
            ),
        ] {
            assert_eq!(failure.render(), expected, "{case}");
        }
    }

    #[test]
    fn long_output_keeps_its_end_and_the_hint() {
        let output = format!("{}\nthe last line", "noise\n".repeat(10_000));
        let rendered = Failure::job("`npm test` failed with exit code 1")
            .with_output(output)
            .with_hint("run it locally")
            .render();
        assert_eq!(text::length(&rendered), limits::MESSAGE);
        assert!(rendered.starts_with("`npm test` failed with exit code 1\n…"));
        assert!(rendered.ends_with("the last line\nhint: run it locally"));
    }

    #[test]
    fn a_long_message_keeps_both_ends() {
        let message = format!("cause {} end", "x".repeat(9_000));
        let rendered = Failure::job(message).render();
        assert_eq!(text::length(&rendered), limits::MESSAGE);
        assert!(rendered.starts_with("cause xx"));
        assert!(rendered.ends_with("xx end"));
    }

    #[test]
    fn a_secret_is_taken_out_before_the_text_is_cut() {
        let secret = "abcdefgh".repeat(8);
        let secrets = Secrets::new([secret.clone()]);
        // Wherever the output is cut, a secret lies across the cut.
        let failure = Failure::job(&secret)
            .with_output(secret.repeat(1_000))
            .with_hint(&secret)
            .with_external_id(&secret)
            .redacted(&secrets);
        let rendered = failure.render();
        assert!(!rendered.contains("abc"), "{rendered}");
        assert!(rendered.starts_with("***\n"), "{rendered}");
        assert!(rendered.ends_with("\nhint: ***"), "{rendered}");
        assert_eq!(failure.external_id.as_deref(), Some("***"));
    }

    #[test]
    fn codes_by_table() {
        for (code, expected) in [
            ("AccessDenied", FailureType::PermissionError),
            ("AccessDeniedException", FailureType::PermissionError),
            ("ExpiredToken", FailureType::PermissionError),
            ("ThrottlingException", FailureType::SystemUnavailable),
            ("SlowDown", FailureType::SystemUnavailable),
            ("NoSuchBucket", FailureType::ConfigurationError),
            ("ValidationError", FailureType::JobFailed),
        ] {
            assert_eq!(kind_of_code(code), expected, "{code}");
        }
    }

    #[test]
    fn a_chain_says_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed to read `a`")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk full"));
        assert_eq!(chain(&error), "failed to read `a`: disk full");
    }

    proptest! {
        #[test]
        fn a_rendered_failure_always_fits(
            message in "\\PC{0,40}", repeat in 0usize..400, output in "[\\PC\n]{0,60}",
            times in 0usize..300, hint in proptest::option::of("\\PC{0,50}"), more in 0usize..60,
        ) {
            let mut failure = Failure::job(message.repeat(repeat)).with_output(output.repeat(times));
            failure.hint = hint.map(|hint| hint.repeat(more));
            let rendered = failure.render();
            prop_assert!(!rendered.is_empty());
            prop_assert!(text::length(&rendered) <= limits::MESSAGE);
        }
    }
}
