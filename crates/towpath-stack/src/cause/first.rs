//! Causes and consequences among the events of an operation.

use std::collections::{BTreeMap, BTreeSet};

use super::events::{is_failed, is_own, is_stack};
use super::{Cause, Ending, Event, Leftover, place};

/// The earliest failed resource that did not fail because of another.
///
/// Cancelled siblings and the rows of stacks are consequences. When nothing else is left, the
/// stack's own reason is the cause: an export in use, an alarm, a missing permission.
pub fn first_cause(events: &[Event]) -> Option<Cause> {
    let mut failures: Vec<&Event> = events
        .iter()
        .filter(|event| is_failed(event) && !event.reason.is_empty())
        .collect();
    failures.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut told = BTreeSet::new();
    let mut causes = failures
        .iter()
        .filter(|event| !is_stack(event) && !is_cancelled(event))
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
            .find(|event| is_failed(event) || event.status.ends_with("ROLLBACK_IN_PROGRESS"))
    };
    let event = first.or_else(own)?;
    let more = event
        .service_token
        .as_deref()
        .and_then(|function| place::custom_resource(function, &event.reason))
        .or_else(|| place::alias_shift(&event.stack, &event.reason));
    Some(Cause {
        stack: event.stack.clone(),
        logical_id: event.logical_id.clone(),
        resource_type: event.resource_type.clone(),
        status: event.status.clone(),
        reason: with_hooks(event, events),
        others,
        more,
    })
}

/// The reason; where it only names the hooks that refused the resource, with what they said in events of their own.
fn with_hooks(event: &Event, events: &[Event]) -> String {
    let mut reason = event.reason.clone();
    let Some((_, named)) = event.reason.split_once("hook(s) failed: [") else {
        return reason;
    };
    let named = named.split(']').next().unwrap_or_default();
    for hook in named.split(", ") {
        let said = format!("hook {hook}: ");
        let words = events
            .iter()
            .filter(|other| (&other.stack, &other.logical_id) == (&event.stack, &event.logical_id))
            .find(|other| other.reason.starts_with(&said));
        if let Some(words) = words
            && !reason.contains(&words.reason)
        {
            reason.push_str("; ");
            reason.push_str(&words.reason);
        }
    }
    reason
}

/// `Resource update cancelled`, `Resource creation cancelled`: another one failed.
fn is_cancelled(event: &Event) -> bool {
    event.reason.to_lowercase().contains("cancelled")
}

/// The last settled status among the stack's own events of our operation.
pub(super) fn last_own_status(events: &[Event], token: &str) -> Ending {
    let ours = || {
        events
            .iter()
            .filter(|event| event.token.as_deref() == Some(token))
    };
    let ended = ours()
        .filter(|event| is_own(event))
        .filter(|event| !event.status.ends_with("_IN_PROGRESS"))
        .max_by(|a, b| a.at.total_cmp(&b.at))
        .and_then(|event| event.status.parse().ok());
    match ended {
        Some(status) => Ending::Was(status),
        None if ours().next().is_some() => Ending::NotYet,
        None => Ending::Unstamped,
    }
}

/// The resources whose deletion was tried and never came through, by the last that was heard of each. CloudFormation
/// tries up to three times.
pub(super) fn leftovers(events: &[Event]) -> Vec<Leftover> {
    let mut last: BTreeMap<(&str, &str), &Event> = BTreeMap::new();
    for event in events.iter().filter(|event| {
        !is_own(event)
            && event.status.starts_with("DELETE_")
            && !event.status.ends_with("_IN_PROGRESS")
    }) {
        let known = last
            .entry((&event.logical_id, &event.physical_id))
            .or_insert(event);
        if event.at > known.at {
            *known = event;
        }
    }
    last.into_values()
        .filter(|event| is_failed(event))
        .map(|event| Leftover {
            logical_id: event.logical_id.clone(),
            physical_id: event.physical_id.clone(),
            resource_type: event.resource_type.clone(),
            reason: event.reason.clone(),
        })
        .collect()
}

/// The nested stacks that were updated, by the names that lead to them and by ARN; `within` leads to the one whose events
/// these are.
pub(super) fn updated_nested_stacks(events: &[Event], within: &str) -> Vec<(String, String)> {
    let mut stacks = BTreeMap::new();
    for event in events {
        let is_nested = is_stack(event) && !is_own(event);
        if is_nested && event.status.starts_with("UPDATE_") && event.physical_id.starts_with("arn:")
        {
            let dot = if within.is_empty() { "" } else { "." };
            let name = format!("{within}{dot}{}", event.logical_id);
            stacks.insert(event.physical_id.clone(), name);
        }
    }
    stacks.into_iter().map(|(arn, name)| (name, arn)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::STACK_TYPE;
    use crate::StackStatus;

    pub(crate) fn event(at: f64, id: &str, kind: &str, status: &str, reason: &str) -> Event {
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
            service_token: None,
        }
    }

    pub(crate) fn own(at: f64, status: &str, reason: &str) -> Event {
        Event {
            physical_id: "arn:stack".into(),
            ..event(at, "app", STACK_TYPE, status, reason)
        }
    }

    pub(crate) fn token(event: Event, token: &str) -> Event {
        Event {
            token: Some(token.to_owned()),
            ..event
        }
    }

    #[test]
    fn the_first_failure_is_the_cause_and_its_consequences_are_not() {
        let events = [
            // As the service delivers them: the newest first.
            event(9.0, "app", STACK_TYPE, "ROLLBACK_COMPLETE", ""),
            event(
                4.0,
                "app",
                STACK_TYPE,
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
    }

    #[test]
    fn a_nested_stacks_own_resource_is_the_cause() {
        let mut inner = event(2.0, "Bucket", "AWS::S3::Bucket", "CREATE_FAILED", "taken");
        inner.stack = "arn:nested".into();
        let outer = event(
            3.0,
            "Nested",
            STACK_TYPE,
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
                STACK_TYPE,
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
            ..event(at, "app", STACK_TYPE, status, "")
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
        let events = [event(1.0, "app", STACK_TYPE, "CREATE_COMPLETE", "")];
        assert_eq!(first_cause(&events), None);
    }

    #[test]
    fn a_hook_that_is_only_named_is_told_with_its_words() {
        let site = |at, status, reason| event(at, "Site", "AWS::S3::Bucket", status, reason);
        let named = "The following hook(s) failed: [Acme::Guard::Public]";
        let passed = site(1.0, "CREATE_IN_PROGRESS", "hook Acme::Other::Passed: fine");
        let said = site(
            2.0,
            "CREATE_IN_PROGRESS",
            "hook Acme::Guard::Public: it is public",
        );
        let failed = site(3.0, "CREATE_FAILED", named);
        let cause = first_cause(&[failed, said, passed]).expect("a cause");
        let expected = format!("{named}; hook Acme::Guard::Public: it is public");
        assert_eq!(cause.reason, expected);
    }

    #[test]
    fn a_custom_resource_tells_where_its_log_is() {
        let mut seed = event(
            2.0,
            "Seed",
            "Custom::Seed",
            "CREATE_FAILED",
            "no such database",
        );
        seed.service_token = Some("arn:aws:lambda:eu-west-1:1:function:seed".into());
        let more = first_cause(&[seed]).expect("a cause").more.expect("a log");
        assert!(more.contains("/aws/lambda/seed"), "{more}");
    }

    #[test]
    fn what_could_not_be_deleted_after_all_is_left_over() {
        let row = |at, id: &str, status, reason| Event {
            physical_id: format!("app-{}", id.to_lowercase()),
            ..event(at, id, "AWS::S3::Bucket", status, reason)
        };
        let events = [
            row(5.0, "Second", "DELETE_COMPLETE", ""),
            row(4.0, "Site", "DELETE_FAILED", "not empty"),
            row(3.0, "Second", "DELETE_FAILED", "busy"),
            row(2.0, "Site", "DELETE_FAILED", "not empty"),
            row(1.0, "Third", "CREATE_FAILED", "no"),
        ];
        assert_eq!(
            leftovers(&events),
            [Leftover {
                logical_id: "Site".into(),
                physical_id: "app-site".into(),
                resource_type: "AWS::S3::Bucket".into(),
                reason: "not empty".into(),
            }]
        );
    }

    #[test]
    fn nested_stacks_that_were_updated_are_looked_into() {
        let row = |id: &str, status, arn: &str| Event {
            physical_id: arn.into(),
            ..event(1.0, id, STACK_TYPE, status, "")
        };
        let events = [
            own(2.0, "UPDATE_COMPLETE", ""),
            row("Data", "UPDATE_COMPLETE", "arn:data"),
            row("Data", "UPDATE_IN_PROGRESS", "arn:data"),
            row("New", "CREATE_COMPLETE", "arn:new"),
            row("Gone", "DELETE_COMPLETE", "arn:gone"),
        ];
        let stack = |name: &str| (name.to_owned(), "arn:data".to_owned());
        assert_eq!(updated_nested_stacks(&events, ""), [stack("Data")]);
        assert_eq!(
            updated_nested_stacks(&events, "Outer"),
            [stack("Outer.Data")]
        );
    }
}
