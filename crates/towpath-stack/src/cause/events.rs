//! The events of a stack: newest first, page by page, no further back than our operation reaches.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::StackEvent;

use super::Event;
use crate::{STACK_TYPE, StackError};

/// How many pages of events are read of one stack. A page has a hundred; a stack of 500 resources that is made and
/// rolled back leaves about 3,000 events, and the cause is among the oldest.
const PAGES: usize = 100;

/// The events of the operation that was asked for with `token`.
pub(super) async fn of_operation(
    client: &Client,
    stack: &str,
    token: &str,
    since: f64,
) -> Result<Vec<Event>, StackError> {
    let all = read(client, stack, since, |events| is_past(events, token)).await?;
    Ok(operation(all, token))
}

/// The events since a moment, in seconds since 1970.
pub(super) async fn since(
    client: &Client,
    stack: &str,
    since: f64,
) -> Result<Vec<Event>, StackError> {
    read(client, stack, since, |_| false).await
}

/// They come newest first, so the first older one ends the reading; so does a page after which `enough` says so.
async fn read(
    client: &Client,
    stack: &str,
    since: f64,
    enough: impl Fn(&[Event]) -> bool,
) -> Result<Vec<Event>, StackError> {
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
        if next.is_none() || enough(&events) {
            break;
        }
    }
    Ok(events)
}

/// Whether the reading has passed our operation: there are events of ours, and older ones of another.
fn is_past(newest_first: &[Event], token: &str) -> bool {
    let ours = |event: &Event| event.token.as_deref() == Some(token);
    newest_first.iter().any(ours) && newest_first.last().is_some_and(|oldest| !ours(oldest))
}

/// Those of the operation with our token. Without such, those of the stack's last operation: back to where it began,
/// across the one boundary between it and its rollback.
pub(super) fn operation(newest_first: Vec<Event>, token: &str) -> Vec<Event> {
    let ours = |event: &Event| event.token.as_deref() == Some(token);
    if newest_first.iter().any(ours) {
        return newest_first.into_iter().filter(ours).collect();
    }
    let start = newest_first
        .iter()
        .position(|event| is_own(event) && is_beginning(event));
    let kept = start.map_or(newest_first.len(), |start| start + 1);
    newest_first.into_iter().take(kept).collect()
}

/// A row by which a stack begins an operation that somebody asked for, and not the way back from one.
fn is_beginning(event: &Event) -> bool {
    match event.status.as_str() {
        "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "IMPORT_IN_PROGRESS" => true,
        // The other reason for it is a creation that failed: `... Delete requested by user.`
        "DELETE_IN_PROGRESS" => !event.reason.contains("requested by user"),
        _ => false,
    }
}

/// A row of the stack itself. Its physical id is the stack's ARN, whatever name or alias it has.
pub(super) fn is_own(event: &Event) -> bool {
    is_stack(event) && event.physical_id == event.stack
}

pub(super) fn is_stack(event: &Event) -> bool {
    event.resource_type == STACK_TYPE
}

pub(super) fn is_failed(event: &Event) -> bool {
    event.status.ends_with("_FAILED")
}

fn event(seen: &StackEvent) -> Event {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut reason = text(seen.resource_status_reason());
    // A hook that stops a resource says why in fields of its own.
    if let (Some(hook), Some(why)) = (seen.hook_type(), seen.hook_status_reason())
        && !reason.contains(why)
    {
        if !reason.is_empty() {
            reason.push_str("; ");
        }
        reason.push_str("hook ");
        reason.push_str(hook);
        reason.push_str(": ");
        reason.push_str(why);
    }
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
        reason,
        at: seen.timestamp().map_or(0.0, DateTime::as_secs_f64),
        token: seen.client_request_token().map(str::to_owned),
        service_token: seen.resource_properties().and_then(service_token),
    }
}

/// The function behind a custom resource.
fn service_token(properties: &str) -> Option<String> {
    let properties: serde_json::Value = serde_json::from_str(properties).ok()?;
    properties["ServiceToken"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::first::tests::{event, own, token};
    use super::*;

    #[test]
    fn only_the_last_operation_counts_across_its_rollback() {
        let rows = |events: Vec<Event>, token: &str| -> Vec<String> {
            let kept = operation(events, token);
            kept.into_iter().map(|event| event.status).collect()
        };
        let history = vec![
            own(9.0, "UPDATE_ROLLBACK_COMPLETE", ""),
            own(
                8.0,
                "UPDATE_ROLLBACK_IN_PROGRESS",
                "failed to create: [Table]",
            ),
            event(
                7.0,
                "Table",
                "AWS::DynamoDB::Table",
                "CREATE_FAILED",
                "taken",
            ),
            own(6.0, "UPDATE_IN_PROGRESS", "User Initiated"),
            own(5.0, "UPDATE_COMPLETE", ""),
            event(
                4.0,
                "Old",
                "AWS::SNS::Topic",
                "DELETE_FAILED",
                "an older trouble",
            ),
            own(3.0, "UPDATE_IN_PROGRESS", "User Initiated"),
        ];
        assert_eq!(
            rows(history.clone(), "ours").len(),
            4,
            "back to our own beginning"
        );
        let deleted = vec![
            own(4.0, "DELETE_COMPLETE", ""),
            own(
                3.0,
                "DELETE_IN_PROGRESS",
                "The following resource(s) failed to create: [A]. Delete requested by user.",
            ),
            event(2.0, "A", "AWS::SNS::Topic", "CREATE_FAILED", "no"),
            own(1.0, "CREATE_IN_PROGRESS", "User Initiated"),
        ];
        assert_eq!(
            rows(deleted, "ours").len(),
            4,
            "the deletion is the way back"
        );
        let stamped: Vec<Event> = history
            .into_iter()
            .map(|event| {
                let ours = event.at < 4.0 + 1.5 && event.at > 2.0;
                token(event, if ours { "ours" } else { "theirs" })
            })
            .collect();
        assert_eq!(
            rows(stamped.clone(), "ours"),
            ["UPDATE_COMPLETE", "DELETE_FAILED", "UPDATE_IN_PROGRESS"]
        );
        assert!(
            !is_past(&stamped, "ours"),
            "ours may go on on the next page"
        );
        assert!(is_past(&stamped, "theirs"), "the rest is older than ours");
    }

    #[test]
    fn of_the_properties_only_the_function_is_kept() {
        for (properties, expected) in [
            (
                r#"{"ServiceToken":"arn:aws:lambda:eu-west-1:1:function:seed","Password":"x"}"#,
                Some("arn:aws:lambda:eu-west-1:1:function:seed"),
            ),
            (r#"{"Password":"x"}"#, None),
            ("cut off {", None),
        ] {
            assert_eq!(
                service_token(properties).as_deref(),
                expected,
                "{properties}"
            );
        }
    }
}
