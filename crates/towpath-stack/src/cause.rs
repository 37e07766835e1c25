//! Why a stack failed: the first event that is a cause and not a consequence.

use std::collections::BTreeSet;

use aws_sdk_cloudformation::Client;

use crate::{Fault, StackError, StackStatus};

/// A failed event of a stack, as far as it tells a cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The event's id: the same event can be delivered by two pages.
    pub id: String,
    /// The stack's ARN.
    pub stack: String,
    /// The resource's name in the template.
    pub logical_id: String,
    /// The resource's own id, once it has one.
    pub physical_id: String,
    /// Such as `AWS::Lambda::Function`.
    pub resource_type: String,
    /// Such as `CREATE_FAILED`.
    pub status: String,
    /// AWS's words.
    pub reason: String,
    /// Seconds since 1970, with fractions.
    pub at: f64,
    /// The token of the operation that the event belongs to.
    pub token: Option<String>,
}

/// What a deployment failed of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The resource's name in the template.
    pub logical_id: String,
    /// Such as `AWS::Lambda::Function`.
    pub resource_type: String,
    /// Such as `CREATE_FAILED`.
    pub status: String,
    /// AWS's words.
    pub reason: String,
    /// Others that failed by themselves, as `LogicalId: reason`.
    pub others: Vec<String>,
    /// What kind of trouble the reason tells of.
    pub fault: Fault,
}

/// How many pages of events are read of one stack. A page has a hundred.
const PAGES: usize = 20;

/// How deep nested stacks are followed.
const DEPTH: usize = 5;

/// Reads the events of our operation and of the nested stacks that failed in it, and tells the cause.
///
/// Our events carry `token`; of an engine that does not stamp them, those since `since` (seconds
/// since 1970) are taken. Nested stacks are read from the moment that ours began.
pub async fn find(
    client: &Client,
    stack: &str,
    token: &str,
    since: f64,
) -> Result<Option<Cause>, StackError> {
    let all = read_events(client, stack, since).await?;
    let mut events: Vec<Event> = all
        .iter()
        .filter(|event| event.token.as_deref() == Some(token))
        .cloned()
        .collect();
    if events.is_empty() {
        events = all;
    }
    let began = events
        .iter()
        .map(|event| event.at)
        .fold(f64::INFINITY, f64::min);
    let mut seen = BTreeSet::from([stack.to_owned()]);
    let mut level = failed_nested_stacks(&events, &seen);
    for _ in 0..DEPTH {
        let mut below = Vec::new();
        for nested in level {
            if !seen.insert(nested.clone()) {
                continue;
            }
            match read_events(client, &nested, began).await {
                Ok(events) => below.extend(events),
                // What is known of the stacks above is better than nothing.
                Err(error) => tracing::warn!(%error, "a nested stack's events could not be read"),
            }
        }
        level = failed_nested_stacks(&below, &seen);
        events.extend(below);
        if level.is_empty() {
            break;
        }
    }
    Ok(first_cause(&events))
}

/// How an operation ended, by the stack's own events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this status.
    Was(StackStatus),
    /// There are events of it, and none of its end.
    NotYet,
    /// No event bears its token: the engine does not stamp them.
    Unstamped,
}

/// How the operation with our token ended.
pub async fn ending(
    client: &Client,
    stack: &str,
    token: &str,
    since: f64,
) -> Result<Ending, StackError> {
    let events = read_events(client, stack, since).await?;
    Ok(last_own_status(&events, token))
}

/// The last settled status among the stack's own events of our operation.
fn last_own_status(events: &[Event], token: &str) -> Ending {
    let ours = || {
        events
            .iter()
            .filter(|event| event.token.as_deref() == Some(token))
    };
    let ended = ours()
        .filter(|event| is_stack(event) && event.physical_id == event.stack)
        .filter(|event| !event.status.ends_with("_IN_PROGRESS"))
        .max_by(|a, b| a.at.total_cmp(&b.at))
        .and_then(|event| event.status.parse().ok());
    match ended {
        Some(status) => Ending::Was(status),
        None if ours().next().is_some() => Ending::NotYet,
        None => Ending::Unstamped,
    }
}

fn failed_nested_stacks(events: &[Event], seen: &BTreeSet<String>) -> Vec<String> {
    events
        .iter()
        .filter(|event| is_stack(event) && is_failure(event))
        .filter(|event| event.physical_id.starts_with("arn:") && event.physical_id != event.stack)
        .map(|event| event.physical_id.clone())
        .filter(|arn| !seen.contains(arn))
        .collect()
}

/// The events since a moment. They come newest first, so the first older one ends the reading.
async fn read_events(client: &Client, stack: &str, since: f64) -> Result<Vec<Event>, StackError> {
    let mut events = Vec::new();
    let mut next = None;
    for _ in 0..PAGES {
        let answer = client
            .describe_stack_events()
            .stack_name(stack)
            .set_next_token(next.take())
            .send()
            .await
            .map_err(|error| StackError::call("read events of stack", stack, &error))?;
        for seen in answer.stack_events() {
            let event = event(seen);
            if event.at < since {
                return Ok(events);
            }
            events.push(event);
        }
        next = answer.next_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    Ok(events)
}

fn event(seen: &aws_sdk_cloudformation::types::StackEvent) -> Event {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Event {
        id: text(seen.event_id()),
        stack: text(seen.stack_id()),
        logical_id: text(seen.logical_resource_id()),
        physical_id: text(seen.physical_resource_id()),
        resource_type: text(seen.resource_type()),
        status: seen
            .resource_status()
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        reason: text(seen.resource_status_reason()),
        at: seen.timestamp().map_or(
            0.0,
            aws_sdk_cloudformation::primitives::DateTime::as_secs_f64,
        ),
        token: seen.client_request_token().map(str::to_owned),
    }
}

fn is_stack(event: &Event) -> bool {
    event.resource_type == "AWS::CloudFormation::Stack"
}

fn is_failure(event: &Event) -> bool {
    event.status.ends_with("_FAILED")
}

/// The earliest failed resource that did not fail because of another.
///
/// Cancelled siblings and the rows of stacks are consequences. When nothing else is left, the
/// stack's own reason is the cause: an export in use, an alarm, a missing permission.
pub fn first_cause(events: &[Event]) -> Option<Cause> {
    let mut failures: Vec<&Event> = events
        .iter()
        .filter(|event| is_failure(event) && !event.reason.is_empty())
        .collect();
    failures.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut told = BTreeSet::new();
    let mut causes = failures
        .iter()
        .filter(|event| !is_stack(event) && !event.reason.to_lowercase().contains("cancelled"))
        .filter(|event| told.insert((&event.stack, &event.logical_id)));
    let first = causes.next().copied();
    let others = causes
        .map(|event| format!("{}: {}", event.logical_id, event.reason))
        .collect::<Vec<_>>();
    let own = || {
        let mut rows: Vec<&Event> = events
            .iter()
            .filter(|event| is_stack(event) && !event.reason.is_empty())
            .collect();
        rows.sort_by(|a, b| a.at.total_cmp(&b.at));
        rows.into_iter()
            .find(|event| is_failure(event) || event.status.ends_with("ROLLBACK_IN_PROGRESS"))
    };
    let event = first.or_else(own)?;
    Some(Cause {
        logical_id: event.logical_id.clone(),
        resource_type: event.resource_type.clone(),
        status: event.status.clone(),
        reason: event.reason.clone(),
        others,
        fault: fault(&event.reason),
    })
}

/// What kind of trouble a reason tells of. Resource handlers put a code of their own into it.
fn fault(reason: &str) -> Fault {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(&[
        "HandlerErrorCode: AccessDenied",
        "HandlerErrorCode: UnauthorizedTaggingOperation",
        "AccessDenied",
        "not authorized to perform",
        "is invalid or cannot be assumed",
    ]) {
        Fault::Denied
    } else if says(&["HandlerErrorCode: Throttling", "Rate exceeded"]) {
        Fault::Throttled
    } else if says(&[
        "HandlerErrorCode: ServiceInternalError",
        "HandlerErrorCode: ServiceTimeout",
        "HandlerErrorCode: NetworkFailure",
    ]) {
        Fault::Unavailable
    } else {
        Fault::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: f64, id: &str, kind: &str, status: &str, reason: &str) -> Event {
        Event {
            id: format!("{id}-{at}"),
            stack: "arn:stack".into(),
            logical_id: id.into(),
            physical_id: String::new(),
            resource_type: kind.into(),
            status: status.into(),
            reason: reason.into(),
            at,
            token: None,
        }
    }

    const STACK: &str = "AWS::CloudFormation::Stack";

    #[test]
    fn the_first_failure_is_the_cause_and_its_consequences_are_not() {
        let events = [
            // As the service delivers them: the newest first.
            event(9.0, "app", STACK, "ROLLBACK_COMPLETE", ""),
            event(
                4.0,
                "app",
                STACK,
                "ROLLBACK_IN_PROGRESS",
                "The following resource(s) failed to create: [Table, Queue, Topic]. Rollback requested by user.",
            ),
            event(
                3.0,
                "Topic",
                "AWS::SNS::Topic",
                "CREATE_FAILED",
                "Resource creation cancelled",
            ),
            event(
                2.5,
                "Queue",
                "AWS::SQS::Queue",
                "CREATE_FAILED",
                "Invalid request provided",
            ),
            event(
                2.0,
                "Table",
                "AWS::DynamoDB::Table",
                "CREATE_FAILED",
                "app-table already exists",
            ),
            event(
                1.0,
                "Table",
                "AWS::DynamoDB::Table",
                "CREATE_IN_PROGRESS",
                "",
            ),
        ];
        let cause = first_cause(&events).expect("a cause");
        assert_eq!(cause.logical_id, "Table");
        assert_eq!(cause.reason, "app-table already exists");
        assert_eq!(cause.others, ["Queue: Invalid request provided"]);
        assert_eq!(cause.fault, Fault::Refused);
    }

    #[test]
    fn a_nested_stacks_own_resource_is_the_cause() {
        let mut inner = event(2.0, "Bucket", "AWS::S3::Bucket", "CREATE_FAILED", "taken");
        inner.stack = "arn:nested".into();
        let outer = event(
            3.0,
            "Nested",
            STACK,
            "CREATE_FAILED",
            "Embedded stack was not created",
        );
        assert_eq!(
            first_cause(&[outer, inner]).expect("a cause").logical_id,
            "Bucket"
        );
    }

    #[test]
    fn a_stack_that_failed_by_itself_tells_its_own_reason() {
        let events = [
            event(
                2.0,
                "Nested",
                "AWS::SNS::Topic",
                "UPDATE_FAILED",
                "Resource update cancelled",
            ),
            event(
                1.0,
                "app",
                STACK,
                "UPDATE_ROLLBACK_IN_PROGRESS",
                "Alarm arn:x is in ALARM state",
            ),
        ];
        let cause = first_cause(&events).expect("a cause");
        assert_eq!(
            (cause.logical_id.as_str(), cause.reason.as_str()),
            ("app", "Alarm arn:x is in ALARM state")
        );
    }

    #[test]
    fn how_our_operation_ended_is_told_by_our_own_events() {
        let row = |at: f64, status: &str, token: &str| Event {
            physical_id: "arn:stack".into(),
            token: Some(token.into()),
            ..event(at, "app", STACK, status, "")
        };
        let events = [
            row(5.0, "UPDATE_COMPLETE", "theirs"),
            row(4.0, "UPDATE_IN_PROGRESS", "theirs"),
            row(3.0, "UPDATE_ROLLBACK_COMPLETE", "ours"),
            row(2.0, "UPDATE_ROLLBACK_IN_PROGRESS", "ours"),
            row(1.0, "UPDATE_IN_PROGRESS", "ours"),
        ];
        assert_eq!(
            last_own_status(&events, "ours"),
            Ending::Was(StackStatus::UpdateRollbackComplete)
        );
        assert_eq!(
            last_own_status(&events, "theirs"),
            Ending::Was(StackStatus::UpdateComplete)
        );
        assert_eq!(
            last_own_status(&events[3..], "ours"),
            Ending::NotYet,
            "still under way"
        );
    }

    #[test]
    fn nothing_failed_is_no_cause() {
        let events = [event(1.0, "app", STACK, "CREATE_COMPLETE", "")];
        assert_eq!(first_cause(&events), None);
    }

    #[test]
    fn a_reason_tells_its_kind_of_trouble() {
        for (reason, expected) in [
            (
                "User: arn:x is not authorized to perform: lambda:CreateFunction",
                Fault::Denied,
            ),
            (
                "Rate exceeded (HandlerErrorCode: Throttling)",
                Fault::Throttled,
            ),
            (
                "oops (HandlerErrorCode: ServiceInternalError)",
                Fault::Unavailable,
            ),
            (
                "already exists (HandlerErrorCode: AlreadyExists)",
                Fault::Refused,
            ),
        ] {
            assert_eq!(fault(reason), expected, "{reason}");
        }
    }
}
