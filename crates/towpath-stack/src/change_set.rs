//! Change sets: made, read, executed and discarded by ARN.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{
    Capability, ChangeSetType, OnStackFailure, Parameter, RollbackConfiguration, RollbackTrigger,
    Tag,
};

use crate::step::Kind;
use crate::{Fault, StackError};

/// What a stack is to become.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The template, in its body or at an address.
    pub template: TemplateSource,
    /// Each parameter's value.
    pub parameters: BTreeMap<String, ParameterValue>,
    /// Each tag's value; empty leaves the stack's tags as they are.
    pub tags: BTreeMap<String, String>,
    /// The capabilities that the caller acknowledges.
    pub capabilities: Vec<String>,
    /// The role that CloudFormation assumes.
    pub role: Option<String>,
    /// Whether change sets are made of nested stacks, too, so that a plan shows what becomes of their resources.
    pub nested: bool,
    /// The topics that hear of the stack's events; `None` leaves the stack's as they are, and an empty list takes them
    /// away.
    pub notify: Option<Vec<String>>,
    /// What rolls an operation back beside failures; `None` leaves the stack's as it is.
    pub rollback: Option<Rollback>,
    /// Whether nothing is to be left of a stack whose creation fails. Of an update it says nothing: there CloudFormation
    /// takes no such word.
    pub fleeting: bool,
}

/// What rolls an operation back beside failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollback {
    /// Alarms; `None` leaves the stack's as they are, and an empty list takes them away.
    pub triggers: Option<Vec<Trigger>>,
    /// For how many minutes after the last resource they are watched.
    pub minutes: Option<u16>,
}

/// An alarm that rolls an operation back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The alarm's ARN.
    pub arn: String,
    /// Whether it is made of other alarms.
    pub composite: bool,
}

/// Where the template is.
#[derive(Debug, Clone)]
pub enum TemplateSource {
    /// Its text, at most [`BODY_LIMIT`] bytes.
    Body(String),
    /// An S3 address.
    Url(String),
}

impl Default for TemplateSource {
    fn default() -> Self {
        Self::Body(String::new())
    }
}

/// The longest template that travels in a request, in bytes
/// (AWS: CloudFormation quotas, "template body size in a request").
pub const BODY_LIMIT: usize = 51_200;

/// Where a parameter's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// It is given.
    Given(String),
    /// The stack keeps the one it has.
    Previous,
}

/// A change set that was made, by its ARN and that of its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The change set.
    pub change_set: String,
    /// The stack.
    pub stack: String,
}

/// How making a change set ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Making {
    /// It is being computed.
    Made(Created),
    /// The service found at once that nothing changes, as some engines do.
    NothingToDo,
    /// A change set of that name was made of something else: plan afresh under another name.
    Clash,
}

/// Asks for a change set. With a `name` that exists already, because an earlier delivery of the
/// same job made it, that one is taken.
pub async fn create(
    client: &Client,
    stack: &str,
    name: &str,
    kind: Kind,
    desired: &Desired,
) -> Result<Making, StackError> {
    let mut request = client
        .create_change_set()
        .stack_name(stack)
        .change_set_name(name)
        .client_token(name)
        .change_set_type(match kind {
            Kind::Create => ChangeSetType::Create,
            Kind::Update => ChangeSetType::Update,
        })
        .set_role_arn(desired.role.clone())
        .set_include_nested_stacks(desired.nested.then_some(true))
        // `None` is left out of the request; an empty list would take away what there is.
        .set_notification_arns(desired.notify.clone())
        .set_rollback_configuration(desired.rollback.as_ref().map(rollback))
        .set_on_stack_failure(
            (desired.fleeting && kind == Kind::Create).then_some(OnStackFailure::Delete),
        );
    request = match &desired.template {
        TemplateSource::Body(text) => request.template_body(text),
        TemplateSource::Url(url) => request.template_url(url),
    };
    for (key, value) in &desired.parameters {
        let parameter = Parameter::builder().parameter_key(key);
        request = request.parameters(match value {
            ParameterValue::Given(value) => parameter.parameter_value(value).build(),
            ParameterValue::Previous => parameter.use_previous_value(true).build(),
        });
    }
    for (key, value) in &desired.tags {
        request = request.tags(Tag::builder().key(key).value(value).build());
    }
    for capability in &desired.capabilities {
        request = request.capabilities(Capability::from(capability.as_str()));
    }
    match request.send().await {
        Ok(answer) => Ok(Making::Made(Created {
            change_set: answer.id().unwrap_or(name).to_owned(),
            stack: answer.stack_id().unwrap_or(stack).to_owned(),
        })),
        Err(error) => {
            let error = StackError::call("create change set for stack", stack, &error);
            if error.code() == Some("AlreadyExistsException") {
                // The same name with the same content is ours; with other content the service says so.
                if error.message().contains("mismatch") {
                    return Ok(Making::Clash);
                }
                return adopt(client, stack, name).await.map(Making::Made);
            }
            if error.fault() == Fault::Refused && is_empty_reason(error.message()) {
                return Ok(Making::NothingToDo);
            }
            Err(error)
        }
    }
}

fn rollback(desired: &Rollback) -> RollbackConfiguration {
    let triggers = desired.triggers.as_ref().map(|triggers| {
        triggers
            .iter()
            .map(|Trigger { arn, composite }| {
                RollbackTrigger::builder()
                    .arn(arn)
                    .r#type(if *composite {
                        "AWS::CloudWatch::CompositeAlarm"
                    } else {
                        "AWS::CloudWatch::Alarm"
                    })
                    .build()
            })
            .collect()
    });
    RollbackConfiguration::builder()
        .set_rollback_triggers(triggers)
        .set_monitoring_time_in_minutes(desired.minutes.map(i32::from))
        .build()
}

async fn adopt(client: &Client, stack: &str, name: &str) -> Result<Created, StackError> {
    let answer = client
        .describe_change_set()
        .stack_name(stack)
        .change_set_name(name)
        .send()
        .await
        .map_err(|error| StackError::call("describe change set", name, &error))?;
    Ok(Created {
        change_set: answer.change_set_id().unwrap_or(name).to_owned(),
        stack: answer.stack_id().unwrap_or(stack).to_owned(),
    })
}

/// What has become of a change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Still being computed.
    Pending,
    /// It can be executed.
    Ready,
    /// It changes nothing.
    Empty,
    /// It is being executed.
    Executing,
    /// It was executed, to the end that it was made for.
    Executed,
    /// Its execution failed, for this reason if one was given.
    ExecutionFailed(String),
    /// The stack has changed since, or the change set is gone: plan afresh.
    Obsolete,
    /// It could not be computed, for this reason.
    Failed(String),
}

/// Reads a change set's `Status`, `ExecutionStatus` and `StatusReason`.
///
/// Emptiness is told by status and reason together: a change of outputs alone has no resource
/// changes and can be executed.
pub fn verdict(status: &str, execution: &str, reason: &str) -> Verdict {
    match (status, execution) {
        (_, "EXECUTE_IN_PROGRESS") => Verdict::Executing,
        (_, "EXECUTE_COMPLETE") => Verdict::Executed,
        (_, "EXECUTE_FAILED") => Verdict::ExecutionFailed(reason.to_owned()),
        ("CREATE_PENDING" | "CREATE_IN_PROGRESS", _) => Verdict::Pending,
        ("CREATE_COMPLETE", "AVAILABLE") => Verdict::Ready,
        // Complete and not yet available: it becomes so by itself.
        ("CREATE_COMPLETE", "UNAVAILABLE") => Verdict::Pending,
        ("FAILED", _) if is_empty_reason(reason) => Verdict::Empty,
        ("FAILED", _) => Verdict::Failed(reason.to_owned()),
        _ => Verdict::Obsolete,
    }
}

/// The texts by which CloudFormation says that nothing changes.
fn is_empty_reason(reason: &str) -> bool {
    reason.starts_with("The submitted information didn't contain changes.")
        || reason.starts_with("No updates are to be performed")
}

pub(crate) fn is_gone(error: &StackError) -> bool {
    matches!(
        error.code(),
        Some("ChangeSetNotFound" | "ChangeSetNotFoundException")
    )
}

/// How the request to execute a change set was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// It has begun.
    Started,
    /// The change set is not to be executed any more: an earlier request took effect, or the stack
    /// has changed meanwhile. What it is now has to be read.
    LookAgain,
}

/// Executes a change set. `token` marks every event of the operation; `settled` tells that the change set says itself
/// what becomes of a creation that fails.
pub async fn execute(
    client: &Client,
    change_set: &str,
    stack: &str,
    token: &str,
    settled: bool,
) -> Result<Execution, StackError> {
    let answer = client
        .execute_change_set()
        .change_set_name(change_set)
        .stack_name(stack)
        .client_request_token(token)
        // Said wherever it may be: AWS documents another default here than for updates without a change set, and takes
        // no word of it beside `OnStackFailure`.
        .set_disable_rollback((!settled).then_some(false))
        .send()
        .await;
    match answer {
        Ok(_) => Ok(Execution::Started),
        Err(error) => {
            let error = StackError::call("execute change set", change_set, &error);
            match error.code() {
                Some(
                    "InvalidChangeSetStatus"
                    | "InvalidChangeSetStatusException"
                    | "TokenAlreadyExistsException",
                ) => Ok(Execution::LookAgain),
                _ if is_gone(&error) => Ok(Execution::LookAgain),
                _ => Err(error),
            }
        }
    }
}

/// Deletes a change set that will not be executed. One that is gone already is fine.
pub async fn discard(client: &Client, change_set: &str, stack: &str) -> Result<(), StackError> {
    match client
        .delete_change_set()
        .change_set_name(change_set)
        .stack_name(stack)
        .send()
        .await
    {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = StackError::call("delete change set", change_set, &error);
            if is_gone(&error) { Ok(()) } else { Err(error) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_set_is_judged_by_status_and_reason() {
        let no_changes = "The submitted information didn't contain changes. Submit different \
                          information to create a change set.";
        for (status, execution, reason, expected) in [
            ("CREATE_PENDING", "UNAVAILABLE", "", Verdict::Pending),
            ("CREATE_IN_PROGRESS", "UNAVAILABLE", "", Verdict::Pending),
            ("CREATE_COMPLETE", "UNAVAILABLE", "", Verdict::Pending),
            ("CREATE_COMPLETE", "AVAILABLE", "", Verdict::Ready),
            (
                "CREATE_COMPLETE",
                "AVAILABLE",
                "[WARN] --include-property-values option can return incomplete ChangeSet data",
                Verdict::Ready,
            ),
            ("FAILED", "UNAVAILABLE", no_changes, Verdict::Empty),
            (
                "FAILED",
                "UNAVAILABLE",
                "No updates are to be performed.",
                Verdict::Empty,
            ),
            (
                "FAILED",
                "UNAVAILABLE",
                "ChangeSet limit exceeded",
                Verdict::Failed("ChangeSet limit exceeded".into()),
            ),
            (
                "FAILED",
                "UNAVAILABLE",
                "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
                Verdict::Failed("Requires capabilities : [CAPABILITY_AUTO_EXPAND]".into()),
            ),
            (
                "FAILED",
                "UNAVAILABLE",
                "Transform failed: No updates are to be performed.",
                Verdict::Failed("Transform failed: No updates are to be performed.".into()),
            ),
            ("CREATE_COMPLETE", "OBSOLETE", "", Verdict::Obsolete),
            (
                "CREATE_COMPLETE",
                "EXECUTE_IN_PROGRESS",
                "",
                Verdict::Executing,
            ),
            ("CREATE_COMPLETE", "EXECUTE_COMPLETE", "", Verdict::Executed),
            (
                "CREATE_COMPLETE",
                "EXECUTE_FAILED",
                "why",
                Verdict::ExecutionFailed("why".into()),
            ),
            ("DELETE_COMPLETE", "UNAVAILABLE", "", Verdict::Obsolete),
        ] {
            assert_eq!(
                verdict(status, execution, reason),
                expected,
                "{status} {execution}"
            );
        }
    }

    #[test]
    fn a_change_set_that_is_gone_is_told_by_its_code() {
        for (code, message, expected) in [
            ("ChangeSetNotFound", "ChangeSet [x] does not exist", true),
            (
                "ChangeSetNotFoundException",
                "ChangeSet [x] does not exist",
                true,
            ),
            ("ValidationError", "Stack [x] does not exist", false),
            ("AccessDenied", "ChangeSet [x] does not exist", false),
        ] {
            let error = StackError::Call {
                operation: "describe change set",
                subject: "x".into(),
                code: code.into(),
                message: message.into(),
                fault: Fault::Refused,
            };
            assert_eq!(is_gone(&error), expected, "{code} {message}");
        }
    }
}
