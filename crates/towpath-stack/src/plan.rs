//! What a change set would do, resource by resource: read whole, with nested stacks, and shown to people.
//!
//! `DescribeChangeSet` leaves changes out when it is asked for the values of properties, and says so in its reason only
//! sometimes. So it is asked twice: the plain answer says what changes, the other one adds the values.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Change, ChangeSetStatus, ExecutionStatus, Replacement, RequiresRecreation, ResourceChange,
    ResourceChangeDetail,
};
use serde::Serialize;

use crate::StackError;
use crate::change_set::{self, Verdict};

mod render;

pub use render::Document;

/// How deep nested stacks are followed.
const DEPTH: usize = 5;

/// What stands for a value that nobody may see.
const HIDDEN: &str = "****";

/// All that a change set changes. Of a stack that changes in its outputs or settings alone, nothing is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Each resource, the stack's own before those of nested stacks.
    pub changes: Vec<Planned>,
}

/// What becomes of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The logical ids of the nested stacks that lead to it, the outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
    /// Its name in the template.
    pub logical_id: String,
    /// Its own id, once it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_id: Option<String>,
    /// Such as `AWS::Lambda::Function`.
    pub resource_type: String,
    /// What is done with it.
    pub action: Action,
    /// What becomes of the physical resource that goes, in AWS's words: `Delete`, `Retain`, `ReplaceAndDelete` and so
    /// on. Absent where AWS does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The properties and attributes that change it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Cause>,
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It goes.
    Remove,
    /// Another one takes its place.
    Replace,
    /// Another one may take its place; what decides is known only when it is done.
    MayReplace,
    /// It is made.
    Add,
    /// It is taken over.
    Import,
    /// It is changed where it is.
    Modify,
    /// What becomes of it is known only when it is done.
    Unknown,
}

/// Why a resource changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The property, such as `Code.S3Key`, or the attribute, such as `Tags`.
    pub what: String,
    /// Its value now, if it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its value then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether this change makes a new resource: `never`, `maybe`, `always`.
    pub recreates: Recreates,
    /// Whether its value is known only when it is done.
    pub dynamic: bool,
    /// The parameter, resource or attribute that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Whether a change makes a new resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recreates {
    /// It does not.
    Never,
    /// It depends.
    Maybe,
    /// It does.
    Always,
}

/// How many resources a plan changes, by what is done with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Made or taken over.
    pub added: usize,
    /// Changed in place, or nobody knows.
    pub changed: usize,
    /// Replaced, or perhaps.
    pub replaced: usize,
    /// Removed.
    pub removed: usize,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = [
            (self.added, "added"),
            (self.changed, "changed"),
            (self.replaced, "replaced"),
            (self.removed, "removed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        if parts.is_empty() {
            f.write_str("outputs or settings only")
        } else {
            f.write_str(&parts.join(", "))
        }
    }
}

impl Planned {
    /// The name that says which resource it is: `Nested.Table`.
    pub fn name(&self) -> String {
        let mut parts: Vec<&str> = self.within.iter().map(String::as_str).collect();
        parts.push(&self.logical_id);
        parts.join(".")
    }
}

impl Plan {
    /// How many of each kind.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for planned in &self.changes {
            match planned.action {
                Action::Add | Action::Import => counts.added += 1,
                Action::Modify | Action::Unknown => counts.changed += 1,
                Action::Replace | Action::MayReplace => counts.replaced += 1,
                Action::Remove => counts.removed += 1,
            }
        }
        counts
    }
}

/// Reads a change set by ARN: what has become of it, and, when it can be executed, what it would do.
pub async fn read(
    client: &Client,
    change_set: &str,
    stack: &str,
) -> Result<(Verdict, Plan), StackError> {
    let mut plan = Plan::default();
    let Some(answer) = pages(client, change_set, Some(stack), false).await? else {
        return Ok((Verdict::Obsolete, plan));
    };
    if answer.stack != stack && answer.stack.starts_with("arn:") && stack.starts_with("arn:") {
        return Err(StackError::Unreadable {
            stack: stack.to_owned(),
            what: format!("change set `{change_set}` is one of `{}`", answer.stack),
        });
    }
    let verdict = answer.verdict();
    // What was executed is still told, so that it can be published when it is done.
    if matches!(verdict, Verdict::Ready | Verdict::Executed) {
        follow(
            client,
            change_set,
            Some(stack),
            answer,
            Vec::new(),
            &mut plan,
        )
        .await?;
    }
    Ok((verdict, plan))
}

/// Lists the changes of one change set, and those of the nested ones that it names.
async fn follow(
    client: &Client,
    change_set: &str,
    stack: Option<&str>,
    plain: Answer,
    within: Vec<String>,
    plan: &mut Plan,
) -> Result<(), StackError> {
    // An engine without these values is still one that can deploy.
    let valued = match pages(client, change_set, stack, true).await {
        Ok(valued) => valued.unwrap_or_default(),
        Err(error) => {
            tracing::debug!(%error, "no values of properties");
            Answer::default()
        }
    };
    let hidden = plain.hidden();
    let mut nested = Vec::new();
    for change in &plain.changes {
        let id = change.logical_resource_id();
        let better = valued
            .changes
            .iter()
            .find(|other| other.logical_resource_id() == id);
        plan.changes
            .push(planned(better.unwrap_or(change), within.clone(), &hidden));
        if let (Some(inner), Some(id)) = (change.change_set_id(), id) {
            nested.push((inner.to_owned(), id.to_owned()));
        }
    }
    if within.len() >= DEPTH {
        return Ok(());
    }
    for (inner, id) in nested {
        if let Some(answer) = pages(client, &inner, None, false).await? {
            let mut path = within.clone();
            path.push(id);
            Box::pin(follow(client, &inner, None, answer, path, plan)).await?;
        }
    }
    Ok(())
}

/// A change set with all of its pages.
#[derive(Default)]
struct Answer {
    /// The stack's ARN.
    stack: String,
    status: String,
    execution: String,
    reason: String,
    changes: Vec<ResourceChange>,
    /// Parameters by name, with values as they are shown.
    parameters: BTreeMap<String, String>,
}

impl Answer {
    fn verdict(&self) -> Verdict {
        change_set::verdict(&self.status, &self.execution, &self.reason)
    }

    /// The parameters whose values nobody may see.
    fn hidden(&self) -> Vec<String> {
        let shown = self.parameters.iter();
        let hidden = shown.filter(|(_, value)| value.as_str() == HIDDEN);
        hidden.map(|(name, _)| name.clone()).collect()
    }

    fn add(&mut self, page: &DescribeChangeSetOutput) {
        let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
        self.stack = word(page.stack_id());
        self.status = word(page.status().map(ChangeSetStatus::as_str));
        self.execution = word(page.execution_status().map(ExecutionStatus::as_str));
        self.reason = word(page.status_reason());
        let changes = page.changes().iter().filter_map(Change::resource_change);
        self.changes.extend(changes.cloned());
        for parameter in page.parameters() {
            if let (Some(name), Some(value)) =
                (parameter.parameter_key(), parameter.parameter_value())
            {
                self.parameters.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// All pages; nothing if there is no such change set any more.
async fn pages(
    client: &Client,
    change_set: &str,
    stack: Option<&str>,
    values: bool,
) -> Result<Option<Answer>, StackError> {
    let mut answer = Answer::default();
    let mut next = None;
    loop {
        let page = client
            .describe_change_set()
            .change_set_name(change_set)
            .set_stack_name(stack.map(str::to_owned))
            .set_include_property_values(values.then_some(true))
            .set_next_token(next.take())
            .send()
            .await;
        match page {
            Ok(page) => {
                answer.add(&page);
                next = page.next_token().map(str::to_owned);
                if next.is_none() {
                    return Ok(Some(answer));
                }
            }
            Err(error) => {
                let error = StackError::call("describe change set", change_set, &error);
                return if change_set::is_gone(&error) {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
        }
    }
}

fn planned(change: &ResourceChange, within: Vec<String>, hidden: &[String]) -> Planned {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let action = change.action().map_or("", |action| action.as_str());
    Planned {
        within,
        logical_id: text(change.logical_resource_id()).unwrap_or_default(),
        physical_id: text(change.physical_resource_id()),
        resource_type: text(change.resource_type()).unwrap_or_default(),
        action: match (action, change.replacement()) {
            ("Add", _) => Action::Add,
            ("Remove", _) => Action::Remove,
            ("Import", _) => Action::Import,
            (_, Some(Replacement::True)) => Action::Replace,
            (_, Some(Replacement::Conditional)) => Action::MayReplace,
            ("Dynamic", _) => Action::Unknown,
            _ => Action::Modify,
        },
        policy: change
            .policy_action()
            .map(|policy| policy.as_str().to_owned()),
        because: causes(change.details(), hidden),
    }
}

/// One for each property, the static reason before a dynamic one.
fn causes(details: &[ResourceChangeDetail], hidden: &[String]) -> Vec<Cause> {
    let mut found: Vec<Cause> = Vec::new();
    for detail in details {
        let Some(target) = detail.target() else {
            continue;
        };
        let attribute = target.attribute().map_or("", |it| it.as_str());
        let what = target
            .path()
            .map(|path| path.trim_start_matches("/Properties/").replace('/', "."))
            .filter(|path| !path.is_empty() && !path.starts_with('.'))
            .or_else(|| target.name().map(str::to_owned))
            .unwrap_or_else(|| attribute.to_owned());
        let from = detail.causing_entity().map(str::to_owned);
        let secret = from.as_ref().is_some_and(|from| hidden.contains(from));
        let value = |value: Option<&str>| {
            value.map(|value| {
                if secret {
                    HIDDEN.to_owned()
                } else {
                    value.to_owned()
                }
            })
        };
        let cause = Cause {
            before: value(target.before_value()),
            after: value(target.after_value()),
            recreates: match target.requires_recreation() {
                Some(RequiresRecreation::Always) => Recreates::Always,
                Some(RequiresRecreation::Conditionally) => Recreates::Maybe,
                _ => Recreates::Never,
            },
            dynamic: detail
                .evaluation()
                .is_some_and(|evaluation| evaluation.as_str() == "Dynamic"),
            from,
            what,
        };
        match found.iter_mut().find(|other| other.what == cause.what) {
            // AWS lists a property once for the template and once for the parameter in it.
            Some(other) => {
                let hides = [&other.before, &other.after, &cause.before, &cause.after]
                    .into_iter()
                    .any(|value| value.as_deref() == Some(HIDDEN));
                if other.dynamic && !cause.dynamic {
                    *other = cause;
                } else {
                    other.recreates = other.recreates.max(cause.recreates);
                    other.from = other.from.take().or(cause.from);
                }
                if hides {
                    for value in [&mut other.before, &mut other.after].into_iter().flatten() {
                        HIDDEN.clone_into(value);
                    }
                }
            }
            None => found.push(cause),
        }
    }
    found
}

#[cfg(test)]
mod tests;
