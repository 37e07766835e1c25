//! How far an operation on a stack has come, and what it is waiting for, by the rows of `ListStackResources`.
//!
//! It is told to people while they wait and decides nothing: what cannot be read is left out.

use std::fmt;
use std::time::Duration;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::config::timeout::TimeoutConfig;
use aws_sdk_cloudformation::primitives::{DateTime, DateTimeFormat};
use aws_sdk_cloudformation::types::ResourceStatus;
use serde::{Deserialize, Serialize};

use crate::{Stack, StackError};

/// How long a page of rows is waited for: a summary may not keep anybody waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many pages are read at most; a page has a hundred rows, a stack five hundred resources.
const PAGES: usize = 5;

/// A resource of the stack, as far as it tells how far the stack is. A nested stack is one of its parent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::CloudFront::Distribution`.
    pub resource_type: String,
    /// Such as `UPDATE_IN_PROGRESS`.
    pub status: String,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
}

impl Row {
    fn is_under_way(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS")
    }

    fn is_done(&self) -> bool {
        self.status.ends_with("_COMPLETE") || self.status.ends_with("_SKIPPED")
    }

    fn has_failed(&self) -> bool {
        self.status.ends_with("_FAILED")
    }
}

/// Which way the stack goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To what the change set says, which changes so many of the stack's own resources.
    Forward(usize),
    /// Back to where it was.
    Back,
}

/// What was told before: a part of what is carried from one look to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The percent that was told last, in this direction.
    #[serde(default)]
    percent: u8,
    /// The way back, once it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    back: Option<Turn>,
}

/// Where the way back begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    /// What was done until then was done on the way there, in milliseconds since 1970.
    at: i64,
    /// How many resources have to go back.
    of: usize,
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glance {
    /// Less than 100; absent where nothing is known to count.
    pub percent: Option<u8>,
    done: usize,
    of: usize,
    slowest: Option<Slowest>,
}

/// The resource that has been under way for longest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slowest {
    logical_id: String,
    resource_type: String,
    for_seconds: u64,
}

impl fmt::Display for Glance {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(percent) = self.percent {
            write!(to, "{percent}% ({} of {})", self.done, self.of)?;
        }
        if let Some(slowest) = &self.slowest {
            let comma = if self.percent.is_some() { ", " } else { "" };
            let Slowest {
                logical_id,
                resource_type,
                for_seconds,
            } = slowest;
            let age = age(*for_seconds);
            write!(to, "{comma}slowest: {logical_id} ({resource_type}), {age}")?;
        }
        Ok(())
    }
}

impl Glance {
    /// There is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.percent.is_none() && self.slowest.is_none()
    }
}

impl Watch {
    /// Looks at the rows of the stack. `began` is when the operation did, and `now` is the moment of the look, both in
    /// milliseconds since 1970.
    ///
    /// What the stack did earlier does not count. The percent never falls on the way there, begins anew on the way
    /// back and never falls there, and stays below 100: the end is the stack's own to tell. How a resource that is
    /// removed shows among the rows while an update cleans up is not documented, so the count may stop short of it.
    pub fn look(self, rows: &[Row], way: Way, began: i64, now: i64) -> (Self, Glance) {
        let touched = || rows.iter().filter(|row| row.since >= began);
        let (back, last) = match (way, self.back) {
            (Way::Forward(_), _) => (None, self.percent),
            (Way::Back, Some(turn)) => (Some(turn), self.percent),
            (Way::Back, None) => (Some(turn(rows, began)), 0),
        };
        let (of, since) = match (way, back) {
            (Way::Forward(changes), _) => (changes, began),
            (Way::Back, turn) => turn.map_or((0, began), |turn| (turn.of, turn.at + 1)),
        };
        let done = touched()
            .filter(|row| row.is_done() && row.since >= since)
            .count()
            .min(of);
        let percent = (of > 0).then(|| {
            let percent = u8::try_from(done * 100 / of).unwrap_or(99);
            percent.max(last).min(99)
        });
        let slowest = touched()
            .filter(|row| row.is_under_way())
            .min_by_key(|row| row.since)
            .map(|row| Slowest {
                logical_id: row.logical_id.clone(),
                resource_type: row.resource_type.clone(),
                // Two clocks may differ.
                for_seconds: u64::try_from((now - row.since) / 1_000).unwrap_or(0),
            });
        let watch = Self {
            percent: percent.unwrap_or(last),
            back,
        };
        let glance = Glance {
            percent,
            done,
            of,
            slowest,
        };
        (watch, glance)
    }
}

/// The way back begins with the failure; where that does not show any more, with the last that came through.
fn turn(rows: &[Row], began: i64) -> Turn {
    let touched = || rows.iter().filter(|row| row.since >= began);
    let latest = |which: fn(&Row) -> bool| {
        let times = touched().filter(|row| which(row)).map(|row| row.since);
        times.max()
    };
    Turn {
        at: latest(Row::has_failed)
            .or_else(|| latest(Row::is_done))
            .unwrap_or(began),
        of: touched().count(),
    }
}

/// In steps of ten seconds, so that who prints each new line prints fewer.
fn age(seconds: u64) -> String {
    let seconds = seconds / 10 * 10;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

/// When the operation began that the stack is at, if the stack shows it: `before` is the time of its last update before
/// that. All that a stack shows which is being made belongs to that.
pub fn began(stack: &Stack, creates: bool, before: Option<&str>) -> Option<i64> {
    if creates {
        return Some(0);
    }
    let updated = stack.last_updated.as_deref();
    if updated == before {
        return None;
    }
    let at = DateTime::from_str(updated?, DateTimeFormat::DateTimeWithOffset).ok()?;
    at.to_millis().ok()
}

/// The rows of a stack. It is asked for once: a service that has no time for us now is not asked again, because this
/// only serves to tell people how far the stack is.
pub async fn rows(client: &Client, stack: &str) -> Result<Vec<Row>, StackError> {
    let once = aws_sdk_cloudformation::config::Builder::new()
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(PATIENCE).build());
    let mut rows = Vec::new();
    let mut next = None;
    for _ in 0..PAGES {
        let page = client
            .list_stack_resources()
            .stack_name(stack)
            .set_next_token(next.take())
            .customize()
            .config_override(once.clone())
            .send()
            .await
            .map_err(|error| StackError::call("list the resources of stack", stack, &error))?;
        rows.extend(page.stack_resource_summaries().iter().map(|seen| {
            let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
            Row {
                logical_id: text(seen.logical_resource_id()),
                resource_type: text(seen.resource_type()),
                status: text(seen.resource_status().map(ResourceStatus::as_str)),
                since: seen
                    .last_updated_timestamp()
                    .and_then(|at| at.to_millis().ok())
                    .unwrap_or(0),
            }
        }));
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, status: &str, since: i64) -> Row {
        Row {
            logical_id: id.to_owned(),
            resource_type: "AWS::SNS::Topic".to_owned(),
            status: status.to_owned(),
            since,
        }
    }

    #[test]
    fn what_is_told_by_table() {
        let before = |percent| Watch {
            percent,
            back: None,
        };
        let cases: [(&str, Vec<Row>, Way, u8, &str); 9] = [
            ("nothing is known", vec![], Way::Forward(0), 0, ""),
            (
                "nothing has begun",
                vec![],
                Way::Forward(4),
                0,
                "0% (0 of 4)",
            ),
            (
                "what was there before does not count",
                vec![
                    row("Old", "CREATE_COMPLETE", 10),
                    row("Stuck", "UPDATE_IN_PROGRESS", 20),
                    row("New", "CREATE_COMPLETE", 100_000),
                ],
                Way::Forward(2),
                0,
                "50% (1 of 2)",
            ),
            (
                "the one that has been under way for longest",
                vec![
                    row("A", "CREATE_COMPLETE", 100_000),
                    row("B", "CREATE_IN_PROGRESS", 150_000),
                    row("C", "UPDATE_IN_PROGRESS", 110_000),
                ],
                Way::Forward(3),
                0,
                "33% (1 of 3), slowest: C (AWS::SNS::Topic), 4m 10s",
            ),
            (
                "it never falls",
                vec![row("A", "CREATE_COMPLETE", 100_000)],
                Way::Forward(3),
                62,
                "62% (1 of 3)",
            ),
            (
                "never the whole before the end",
                vec![
                    row("A", "CREATE_COMPLETE", 100_000),
                    row("B", "DELETE_SKIPPED", 100_000),
                    row("C", "UPDATE_COMPLETE", 100_000),
                ],
                Way::Forward(2),
                0,
                "99% (2 of 2)",
            ),
            (
                "outputs alone are no resources",
                vec![row("A", "UPDATE_IN_PROGRESS", 100_000)],
                Way::Forward(0),
                0,
                "slowest: A (AWS::SNS::Topic), 4m 20s",
            ),
            (
                "a clock that is ahead of ours",
                vec![row("A", "UPDATE_IN_PROGRESS", 999_000)],
                Way::Forward(1),
                0,
                "0% (0 of 1), slowest: A (AWS::SNS::Topic), 0s",
            ),
            (
                "a rollback begins anew",
                vec![
                    row("Failed", "CREATE_FAILED", 200_000),
                    row("There", "UPDATE_COMPLETE", 150_000),
                    row("Back", "UPDATE_COMPLETE", 250_000),
                    row("Going", "DELETE_IN_PROGRESS", 300_000),
                ],
                Way::Back,
                75,
                "25% (1 of 4), slowest: Going (AWS::SNS::Topic), 1m 0s",
            ),
        ];
        for (case, rows, way, percent, expected) in cases {
            let (_, glance) = before(percent).look(&rows, way, 100_000, 360_000);
            assert_eq!(glance.to_string(), expected, "{case}");
            assert_eq!(glance.is_empty(), expected.is_empty(), "{case}");
        }
    }

    #[test]
    fn the_way_back_keeps_where_it_began() {
        let there = Watch::default();
        let mut rows = vec![
            row("Failed", "UPDATE_FAILED", 300),
            row("Other", "UPDATE_COMPLETE", 200),
        ];
        let (watch, glance) = there.look(&rows, Way::Back, 100, 400);
        assert_eq!(glance.to_string(), "0% (0 of 2)");
        rows[0] = row("Failed", "UPDATE_COMPLETE", 400);
        let (watch, glance) = watch.look(&rows, Way::Back, 100, 500);
        assert_eq!(glance.to_string(), "50% (1 of 2)");
        // A row that is gone takes nothing from what was told.
        let (watch, glance) = watch.look(&[], Way::Back, 100, 600);
        assert_eq!(glance.percent, Some(50));
        let text = serde_json::to_string(&watch).expect("plain data");
        assert_eq!(serde_json::from_str::<Watch>(&text).expect("it"), watch);
    }

    #[test]
    fn ages() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "50s"),
            (250, "4m 10s"),
            (259, "4m 10s"),
            (3_900, "1h 5m"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn when_an_operation_began() {
        let mut stack = Stack::named("app", crate::StackStatus::UpdateInProgress);
        assert_eq!(began(&stack, true, None), Some(0), "all of it is new");
        assert_eq!(began(&stack, false, None), None, "it does not show yet");
        stack.last_updated = Some("2026-01-01T00:00:00.5Z".to_owned());
        assert_eq!(began(&stack, false, None), Some(1_767_225_600_500));
        let same = stack.last_updated.clone();
        assert_eq!(began(&stack, false, same.as_deref()), None, "an older one");
    }
}
