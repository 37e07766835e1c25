//! Reading a plan: a change set twice, the nested ones behind it, and the templates that tell what must not be shown.
//!
//! `DescribeChangeSet` leaves changes out when it is asked for the values of properties, and says so in its reason only
//! sometimes. So it is asked twice, and both answers are laid together.

use std::collections::{BTreeSet, VecDeque};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    Change, ChangeSetStatus, ExecutionStatus, ResourceChange, ResourceChangeDetail, TemplateStage,
};
use serde_json::Value;
use towpath_template::Template;

use super::secrets::{self, Hidden};
use super::{Plan, planned};
use crate::change_set::{self, Verdict};
use crate::{Fault, NESTED_DEPTH, STACK_TYPE, StackError};

/// Reads a change set by ARN: what has become of it, and, when it can be executed, what it would do.
///
/// Of one that was executed already the changes are told without any value: the template that it replaced, which would
/// tell the secrets among them, is gone. An error that passes by itself is one, for the whole plan can be read again;
/// what else cannot be read is a gap of the plan.
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
        let name = |arn: &str| arn.split('/').nth(1).unwrap_or(arn).to_owned();
        return Err(StackError::Foreign {
            change_set: change_set.to_owned(),
            stack: name(stack),
            owner: name(&answer.stack),
        });
    }
    let verdict = answer.verdict();
    plan.on_stack_failure.clone_from(&answer.on_stack_failure);
    // What was executed is still told, so that it can be published when it is done.
    let values = match verdict {
        Verdict::Ready => true,
        Verdict::Executing | Verdict::Executed => false,
        _ => return Ok((verdict, plan)),
    };
    let root = Place {
        change_set: change_set.to_owned(),
        stack: None,
        adds: false,
        within: Vec::new(),
        secrets: Some(BTreeSet::new()),
    };
    let mut queue = VecDeque::from([(root, Some(answer))]);
    while let Some((place, answer)) = queue.pop_front() {
        let stack = place.stack.as_deref();
        let answer = match answer {
            Some(answer) => Some(answer),
            None => optional(pages(client, &place.change_set, stack, false).await)?.flatten(),
        };
        let Some(answer) = answer else {
            let name = place.within.join(".");
            plan.gaps.push(format!(
                "the change set of nested stack `{name}` cannot be read"
            ));
            // What is only made has nothing to lose.
            if !place.adds {
                plan.unread.push(name);
            }
            continue;
        };
        let nested = one(client, &place, answer, values, &mut plan).await?;
        queue.extend(nested.into_iter().map(|place| (place, None)));
    }
    Ok((verdict, plan))
}

/// A change set, and where it belongs.
struct Place {
    change_set: String,
    /// The nested stack's ARN, once it has one. A policy may allow what is asked of stacks by their names, so the
    /// request says it.
    stack: Option<String>,
    /// The nested stack is made by this very plan, or the one around it is.
    adds: bool,
    /// The logical ids of the nested stacks that lead to it.
    within: Vec<String>,
    /// The parameters that it is handed secrets by; `None` when nobody knows.
    secrets: Option<BTreeSet<String>>,
}

/// Adds what one change set changes to the plan; the nested ones that it names are what is left to read.
async fn one(
    client: &Client,
    place: &Place,
    answer: Answer,
    values: bool,
    plan: &mut Plan,
) -> Result<Vec<Place>, StackError> {
    let Answer { stack, changes, .. } = answer;
    let has_details = changes.iter().any(|change| !change.details().is_empty());
    let changes = if values && has_details {
        // An engine without these values is still one that can deploy.
        let valued = optional(pages(client, &place.change_set, Some(&stack), true).await)?;
        merge(changes, valued.flatten().unwrap_or_default().changes)
    } else {
        changes
    };
    let hidden = hidden(client, place, &stack, &changes, plan).await?;
    let mut nested = Vec::new();
    for change in &changes {
        let shown = planned(change, place.within.clone(), &hidden.0);
        if let Some(change_set) = inner(change) {
            let mut within = place.within.clone();
            within.push(shown.logical_id.clone());
            if within.len() <= NESTED_DEPTH {
                nested.push(Place {
                    change_set: change_set.to_owned(),
                    stack: shown
                        .physical_id
                        .clone()
                        .filter(|id| id.starts_with("arn:")),
                    adds: place.adds || shown.action == super::Action::Add,
                    secrets: secrets::handed_down(&hidden.1, &shown.logical_id, &hidden.0),
                    within,
                });
            } else {
                let name = within.join(".");
                plan.gaps.push(format!(
                    "nested stack `{name}` is not looked into, because it is too deep"
                ));
                if !place.adds && shown.action != super::Action::Add {
                    plan.unread.push(name);
                }
            }
        } else if shown.resource_type == STACK_TYPE {
            plan.gaps.push(format!(
                "nested stack `{}` is not looked into",
                shown.name()
            ));
        }
        plan.changes.push(shown);
    }
    Ok(nested)
}

/// What of a stack's values must not be shown, and the templates that tell it. They are asked for only where there are
/// values to show or to hand down.
async fn hidden(
    client: &Client,
    place: &Place,
    stack: &str,
    changes: &[ResourceChange],
    plan: &mut Plan,
) -> Result<(Hidden, Vec<Value>), StackError> {
    let has_values = changes.iter().any(has_values);
    if !has_values && !changes.iter().any(|change| inner(change).is_some()) {
        return Ok((Hidden::Everything, Vec::new()));
    }
    let Some(secrets) = &place.secrets else {
        return Ok((Hidden::Everything, Vec::new()));
    };
    let creates = changes.iter().all(|change| {
        change
            .action()
            .is_some_and(|action| matches!(action.as_str(), "Add" | "Import"))
    });
    if let Some(templates) = templates(client, &place.change_set, stack, creates).await? {
        return Ok((secrets::hidden(&templates, secrets), templates));
    }
    if has_values {
        plan.gaps.push(format!(
            "the values of stack `{stack}` are hidden, because its template cannot be read to find the secrets among them"
        ));
    }
    Ok((Hidden::Everything, Vec::new()))
}

fn inner(change: &ResourceChange) -> Option<&str> {
    change.change_set_id().filter(|id| !id.is_empty())
}

fn has_values(change: &ResourceChange) -> bool {
    let targets = change.details().iter().filter_map(|detail| detail.target());
    targets
        .into_iter()
        .any(|target| target.before_value().is_some() || target.after_value().is_some())
}

/// The templates that the values come from: the change set's and, unless all is new, the stack's own, because a value
/// that goes may be the secret. `None` when one of them cannot be read.
async fn templates(
    client: &Client,
    change_set: &str,
    stack: &str,
    creates: bool,
) -> Result<Option<Vec<Value>>, StackError> {
    let mut templates = Vec::new();
    let old = (!creates).then_some(None);
    for of in [Some(Some(change_set.to_owned())), old]
        .into_iter()
        .flatten()
    {
        let answer = client
            .get_template()
            .stack_name(stack)
            .set_change_set_name(of)
            .template_stage(TemplateStage::Processed)
            .send()
            .await
            .map_err(|error| StackError::call("get the template of stack", stack, &error));
        let Some(answer) = optional(answer)? else {
            return Ok(None);
        };
        match Template::parse(answer.template_body().unwrap_or_default()) {
            Ok(template) => templates.push(template.value().clone()),
            Err(error) => {
                tracing::warn!(%error, stack, "the template of the stack cannot be read");
                return Ok(None);
            }
        }
    }
    Ok(Some(templates))
}

/// What a plan can do without: `None` when the service refuses it.
fn optional<T>(answer: Result<T, StackError>) -> Result<Option<T>, StackError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if matches!(error.fault(), Fault::Throttled | Fault::Unavailable) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "a part of the plan cannot be read");
            Ok(None)
        }
    }
}

/// Lays the answer with values over the plain one: neither need be whole. The plain one says what is done; a reason
/// comes with its values where there are any.
pub(super) fn merge(
    plain: Vec<ResourceChange>,
    valued: Vec<ResourceChange>,
) -> Vec<ResourceChange> {
    let mut valued: Vec<Option<ResourceChange>> = valued.into_iter().map(Some).collect();
    let mut merged = Vec::with_capacity(plain.len());
    for mut change in plain {
        let twin = valued.iter_mut().find(|other| {
            other
                .as_ref()
                .is_some_and(|other| other.logical_resource_id() == change.logical_resource_id())
        });
        if let Some(twin) = twin.and_then(Option::take) {
            let mut details = twin.details.unwrap_or_default();
            for detail in change.details.take().unwrap_or_default() {
                if !details.iter().any(|other| target(other) == target(&detail)) {
                    details.push(detail);
                }
            }
            change.details = Some(details);
        }
        merged.push(change);
    }
    merged.extend(valued.into_iter().flatten());
    merged
}

/// What a detail is about, apart from its values. The cause belongs to it, because a secret is told by its cause.
fn target(detail: &ResourceChangeDetail) -> Option<(&str, Option<&str>, Option<&str>)> {
    let target = detail.target()?;
    let attribute = target
        .attribute()
        .map_or("", |attribute| attribute.as_str());
    Some((attribute, target.name(), detail.causing_entity()))
}

/// A change set with all of its pages.
#[derive(Default)]
struct Answer {
    /// The stack's ARN.
    stack: String,
    status: String,
    execution: String,
    reason: String,
    on_stack_failure: Option<String>,
    changes: Vec<ResourceChange>,
}

impl Answer {
    fn verdict(&self) -> Verdict {
        change_set::verdict(&self.status, &self.execution, &self.reason)
    }

    fn add(&mut self, page: &DescribeChangeSetOutput) {
        let word = |word: Option<&str>| word.unwrap_or_default().to_owned();
        self.stack = word(page.stack_id());
        self.status = word(page.status().map(ChangeSetStatus::as_str));
        self.execution = word(page.execution_status().map(ExecutionStatus::as_str));
        self.reason = word(page.status_reason());
        self.on_stack_failure = page.on_stack_failure().map(|word| word.as_str().to_owned());
        let changes = page.changes().iter().filter_map(Change::resource_change);
        self.changes.extend(changes.cloned());
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
