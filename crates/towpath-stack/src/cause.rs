//! Why a stack failed: the first event that is a cause and not a consequence.
//!
//! - `events` reads what happened to a stack, as far back as our operation reaches;
//! - `first` tells causes from consequences;
//! - `advice` knows what a reason means and what to do about it;
//! - `place` knows where more is to be read: in a function's log, in a deployment of CodeDeploy, in the console;
//! - `refused` asks why a change set could not be made.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_cloudformation::Client;

use crate::{NESTED_DEPTH, STACK_TYPE, Stack, StackError, StackStatus};
use events::{is_failed, is_stack};

mod advice;
mod events;
mod first;
mod place;
mod refused;

pub use advice::{Advice, Blame, advise};
pub use first::first_cause;
pub use place::{console, function_log};
pub use refused::why_refused;

/// An event of a stack, as far as it tells a cause.
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
    /// The function that answers for a custom resource, by ARN. Nothing else of a resource's properties is kept, because
    /// they may hold what is secret.
    pub service_token: Option<String>,
}

/// What a deployment failed of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The stack that the resource belongs to, by ARN: ours, or one nested in it.
    pub stack: String,
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
    /// Where more is to be read than AWS's words say, as a sentence's fragment with an address.
    pub more: Option<String>,
}

impl Cause {
    /// What the stack says of itself, where no resource of it failed: a refused deletion, for example.
    pub fn of_stack(stack: &Stack) -> Option<Self> {
        Some(Self {
            stack: stack.arn.clone(),
            logical_id: stack.name.clone(),
            resource_type: STACK_TYPE.to_owned(),
            status: stack.status.to_string(),
            reason: stack.reason.clone()?,
            others: Vec::new(),
            more: None,
        })
    }

    /// What the reason means, and what to do about it.
    pub fn advice(&self) -> Advice {
        advise(&self.reason)
    }
}

/// Reads the events of our operation and of the nested stacks that failed in it, and tells the cause.
///
/// Our events carry `token`; of an engine that does not stamp them, those since `since` (seconds
/// since 1970) are taken, back to where the stack's last operation began. Nested stacks are read from the moment that
/// ours began.
pub async fn find(
    client: &Client,
    stack: &str,
    token: &str,
    since: f64,
) -> Result<Option<Cause>, StackError> {
    let mut all = events::of_operation(client, stack, token, since).await?;
    let began = began(&all);
    let mut seen = BTreeSet::from([stack.to_owned()]);
    let mut level = failed_nested_stacks(&all, &seen);
    for _ in 0..NESTED_DEPTH {
        let mut below = Vec::new();
        for nested in level {
            if !seen.insert(nested.clone()) {
                continue;
            }
            match events::since(client, &nested, began).await {
                Ok(events) => below.extend(events),
                // What is known of the stacks above is better than nothing.
                Err(error) => tracing::warn!(%error, "a nested stack's events could not be read"),
            }
        }
        level = failed_nested_stacks(&below, &seen);
        all.extend(below);
        if level.is_empty() {
            break;
        }
    }
    Ok(first_cause(&all))
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
    let events = events::since(client, stack, since).await?;
    Ok(first::last_own_status(&events, token))
}

/// A resource that an update could not delete, and that CloudFormation does not know any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its name in the template.
    pub logical_id: String,
    /// Its own id.
    pub physical_id: String,
    /// Such as `AWS::S3::Bucket`.
    pub resource_type: String,
    /// AWS's words.
    pub reason: String,
}

impl fmt::Display for Leftover {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            logical_id,
            physical_id,
            resource_type,
            ..
        } = self;
        write!(to, "{logical_id} ({resource_type} {physical_id})")
    }
}

/// What an update that came through could not delete any more: CloudFormation tries, gives up, and calls the update
/// complete. Of nested stacks that were updated with it, too: by the names that lead there, such as `Data.Site`.
pub async fn leftovers(
    client: &Client,
    stack: &str,
    token: &str,
    since: f64,
) -> Result<Vec<Leftover>, StackError> {
    let events = events::of_operation(client, stack, token, since).await?;
    let mut left = first::leftovers(&events);
    let began = began(&events);
    let mut seen = BTreeSet::from([stack.to_owned()]);
    let mut level = first::updated_nested_stacks(&events, "");
    for _ in 0..NESTED_DEPTH {
        let mut below = Vec::new();
        for (name, nested) in level {
            if !seen.insert(nested.clone()) {
                continue;
            }
            match events::since(client, &nested, began).await {
                Ok(events) => {
                    left.extend(first::leftovers(&events).into_iter().map(|one| Leftover {
                        logical_id: format!("{name}.{}", one.logical_id),
                        ..one
                    }));
                    below.extend(first::updated_nested_stacks(&events, &name));
                }
                // What is known of the stacks above is better than nothing.
                Err(error) => tracing::warn!(%error, "a nested stack's events could not be read"),
            }
        }
        level = below;
    }
    Ok(left)
}

/// When the first of these happened.
fn began(events: &[Event]) -> f64 {
    let times = events.iter().map(|event| event.at);
    times.fold(f64::INFINITY, f64::min)
}

fn failed_nested_stacks(events: &[Event], seen: &BTreeSet<String>) -> Vec<String> {
    events
        .iter()
        .filter(|event| is_stack(event) && is_failed(event))
        // The first events of a nested stack have no id of it yet.
        .filter(|event| event.physical_id.starts_with("arn:") && event.physical_id != event.stack)
        .map(|event| event.physical_id.clone())
        .filter(|arn| !seen.contains(arn))
        .collect()
}
