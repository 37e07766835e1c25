//! `action=delete`: climbs the ladder of `towpath_stack::teardown`, one rung an invocation.

use std::collections::BTreeSet;
use std::time::SystemTime;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{DeletionMode, TemplateStage};
use serde::{Deserialize, Serialize};
use towpath_job::{Job, Outcome, Progress, Variables};
use towpath_stack::cause::Cause;
use towpath_stack::resources::{self, Resource};
use towpath_stack::step::STALE_READS;
use towpath_stack::teardown::{self, Chosen, Done, How, Leftover, Rules, Step};
use towpath_stack::{
    Fault, NESTED_DEPTH, Observed, STACK_TYPE, Stack, StackError, StackStatus, describe, importers,
};
use towpath_template::Template;

use crate::bucket::{self, Emptied};
use crate::{DeployError, DeployStack, Pace, Parameters, deploy};

/// What this attempt has done so far: the state of the continuation token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The stack's ARN, once it has been seen.
    stack: Option<String>,
    /// The bucket that is being emptied, by logical id; those before it are empty.
    bucket: Option<String>,
    #[serde(flatten)]
    done: Done,
}

impl State {
    /// Where the deletion of a stack begins that is known already.
    pub(crate) fn of(arn: &str) -> Self {
        Self {
            stack: Some(arn.to_owned()),
            ..Self::default()
        }
    }

    /// The stack's ARN; nothing before it was seen.
    pub(crate) fn arn(&self) -> &str {
        self.stack.as_deref().unwrap_or_default()
    }

    /// Something has been done to the stack.
    fn has_begun(&self) -> bool {
        self.done.asks > 0 || self.done.emptied > 0 || self.bucket.is_some()
    }
}

/// What a step of a deletion came to.
pub(crate) enum Turn {
    /// There is more to do, later.
    Wait(String),
    /// The stack is gone.
    Gone {
        /// It was there before.
        was_there: bool,
        /// What it left behind.
        left: Vec<Resource>,
    },
}

pub(crate) async fn step(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
) -> Result<Outcome, DeployError> {
    let mut state = job.state::<State>()?.unwrap_or_default();
    let name = &job.parameters.stack;
    let ending = Ending::new(action, client, job, "delete".to_owned());
    match ending.step(name, &mut state).await? {
        Turn::Wait(told) => Ok(Outcome::Continue {
            state: serde_json::to_value(&state).expect("the state is plain data"),
            progress: Progress::new(told),
        }),
        Turn::Gone { was_there, left } => done(name, &state, was_there, &left),
    }
}

fn done(
    name: &str,
    state: &State,
    was_there: bool,
    left: &[Resource],
) -> Result<Outcome, DeployError> {
    let left = left.iter().map(words).collect::<Vec<_>>().join(", ");
    let summary = match (was_there, left.as_str()) {
        (false, _) => format!("stack `{name}` does not exist"),
        (true, "") => format!("stack `{name}` is deleted"),
        (true, left) => format!("stack `{name}` is deleted, and left behind: {left}"),
    };
    let mut variables = Variables::new();
    variables
        .insert("Leftovers", &left)
        .map_err(DeployError::Variable)?;
    Ok(Outcome::Done {
        summary,
        variables,
        receipts: Vec::new(),
        external_id: state.stack.clone(),
    })
}

/// A resource that stayed behind, as it is told.
pub(crate) fn words(resource: &Resource) -> String {
    let physical = resource.physical_id.as_deref().unwrap_or("without an id");
    format!(
        "{} ({} {physical})",
        resource.logical_id, resource.resource_type
    )
}

/// What the deletion of one stack needs at hand.
pub(crate) struct Ending<'a> {
    client: &'a Client,
    s3: aws_sdk_s3::Client,
    rules: &'a Rules,
    role: Option<&'a str>,
    origin: &'a str,
    /// Part of the requests' names: two stacks of one attempt have two.
    operation: String,
    since: f64,
    pace: Pace,
}

impl<'a> Ending<'a> {
    pub(crate) fn new(
        action: &DeployStack,
        client: &'a Client,
        job: &'a Job<Parameters>,
        operation: String,
    ) -> Self {
        Self {
            client,
            s3: action.s3(job.parameters.region.as_deref()),
            rules: &job.parameters.ending.teardown,
            role: job.parameters.role.as_deref(),
            origin: job.origin().as_str(),
            operation,
            since: deploy::since(job),
            pace: Pace::until(job.work_deadline()),
        }
    }

    /// One step. That a service does not answer says nothing about the stack, and a deletion that
    /// was asked for goes on without us.
    pub(crate) async fn step(&self, name: &str, state: &mut State) -> Result<Turn, DeployError> {
        let begun = state.has_begun();
        self.advance(name, state).await.or_else(|error| {
            let told = error.passing(begun).ok_or(error)?;
            Ok(Turn::Wait(told.to_owned()))
        })
    }

    async fn advance(&self, name: &str, state: &mut State) -> Result<Turn, DeployError> {
        loop {
            let arn = state.stack.clone();
            let observed = describe(self.client, arn.as_deref().unwrap_or(name)).await?;
            let Some(stack) = observed.stack() else {
                return self.gone(state).await;
            };
            state.stack.get_or_insert_with(|| stack.arn.clone());
            let leftovers = if stack.status == StackStatus::DeleteFailed {
                let all = resources::list(self.client, &stack.arn).await?;
                all.iter().filter_map(Resource::leftover).collect()
            } else {
                Vec::new()
            };
            let now = milliseconds_now();
            match teardown::next(&observed, &leftovers, &state.done, self.rules, now) {
                Step::Gone => return self.gone(state).await,
                Step::Wait => {
                    state.done.looks = state.done.looks.map(|seen| looks(&observed, seen));
                    return Ok(Turn::Wait(format!(
                        "deleting stack `{name}`, which is {}",
                        stack.status
                    )));
                }
                Step::Rest(until) => {
                    failed_now(&mut state.done, now);
                    state.done.rest_until = Some(until);
                    let seconds = until.saturating_sub(now) / 1_000;
                    return Ok(Turn::Wait(format!(
                        "{} lets go slowly; trying to delete stack `{name}` again in {seconds} s",
                        leftovers
                            .first()
                            .map_or("something", |left| &left.logical_id)
                    )));
                }
                Step::Protected => return Err(DeployError::Protected(name.to_owned())),
                Step::Empty => {
                    self.first(stack, &state.done).await?;
                    if !self.empty(stack, state).await? {
                        return Ok(Turn::Wait(format!(
                            "emptying bucket {} of stack `{name}`",
                            state.bucket.as_deref().unwrap_or_default()
                        )));
                    }
                    // What was asked for before is answered by then: the next look begins anew.
                    state.done.looks = None;
                }
                Step::Ask(how) => {
                    self.first(stack, &state.done).await?;
                    self.ask(stack, &how, state, now).await?;
                    return Ok(Turn::Wait(format!("deleting stack `{name}`")));
                }
                Step::Failed => return Err(self.failed(stack, &leftovers, state).await),
                Step::Refused => {
                    return Err(DeployError::Operation {
                        verb: "delete",
                        stack: name.to_owned(),
                        arn: stack.arn.clone(),
                        status: Some(stack.status),
                        cause: Cause::of_stack(stack).map(Box::new),
                    });
                }
            }
        }
    }

    /// What is checked before anything is deleted.
    async fn first(&self, stack: &Stack, done: &Done) -> Result<(), DeployError> {
        if done.asks > 0 || done.emptied > 0 {
            return Ok(());
        }
        match importers(self.client, stack).await {
            Ok(found) if found.is_empty() => {}
            Ok(importers) => {
                return Err(DeployError::Imported {
                    stack: stack.name.clone(),
                    importers,
                });
            }
            // CloudFormation looks too, and then refuses. Ours only comes before anything is gone.
            Err(error) if error.fault() == Fault::Denied => {
                tracing::warn!(%error, "who imports what the stack exports is not known");
            }
            Err(error) => return Err(error.into()),
        }
        let Chosen::Named(names) = &self.rules.retain else {
            return Ok(());
        };
        // It has no resource yet, so none that a name could be wrong about.
        if stack.status == StackStatus::ReviewInProgress {
            return Ok(());
        }
        let all = resources::list(self.client, &stack.arn).await?;
        match names
            .iter()
            .find(|name| !all.iter().any(|resource| resource.logical_id == **name))
        {
            None => Ok(()),
            Some(name) => Err(DeployError::NoResource {
                stack: stack.name.clone(),
                key: "retain",
                name: name.clone(),
                what: "resource",
            }),
        }
    }

    async fn ask(
        &self,
        stack: &Stack,
        how: &How,
        state: &mut State,
        now: u64,
    ) -> Result<(), StackError> {
        let done = &mut state.done;
        let (retain, mode) = match how {
            How::Plain => (BTreeSet::new(), None),
            How::Retaining(ids) => (ids.clone(), None),
            How::Forced => (BTreeSet::new(), Some(DeletionMode::ForceDeleteStack)),
        };
        tracing::info!(
            stack = stack.arn,
            ?how,
            asks = done.asks,
            "asking for the deletion"
        );
        self.client
            .delete_stack()
            .stack_name(&stack.arn)
            .client_request_token(deploy::token(self.origin, done.asks, &self.operation))
            .set_role_arn(self.role.map(str::to_owned))
            .set_retain_resources((!retain.is_empty()).then(|| retain.iter().cloned().collect()))
            .set_deletion_mode(mode.clone())
            .send()
            .await
            .map_err(|error| StackError::call("delete stack", &stack.arn, &error))?;
        done.asks += 1;
        done.looks = Some(0);
        done.rest_until = None;
        done.failed_before = stack.status == StackStatus::DeleteFailed;
        if done.failed_before && done.asks > 1 {
            failed_now(done, now);
        }
        done.forced = mode.is_some();
        done.retained = retain;
        Ok(())
    }

    /// Empties the buckets that the rules choose, as far as the time goes. Tells whether all are.
    async fn empty(&self, stack: &Stack, state: &mut State) -> Result<bool, DeployError> {
        for (logical_id, bucket) in self.buckets(stack).await? {
            if state.bucket.as_ref().is_some_and(|done| logical_id < *done) {
                continue;
            }
            state.bucket = Some(logical_id);
            match bucket::empty(&self.s3, &bucket, &self.pace).await? {
                Emptied::Wholly => {}
                Emptied::Partly => return Ok(false),
            }
        }
        state.bucket = None;
        state.done.emptied += 1;
        Ok(true)
    }

    /// The buckets that are to be emptied, by logical id: those of the stack itself, and as
    /// `Nested.Bucket` those of its nested stacks. One that its template keeps is not among them.
    async fn buckets(&self, stack: &Stack) -> Result<Vec<(String, String)>, DeployError> {
        let mut found = Vec::new();
        let mut kept = BTreeSet::new();
        let mut all = BTreeSet::new();
        let mut level = vec![(String::new(), stack.arn.clone())];
        for _ in 0..NESTED_DEPTH {
            let mut below = Vec::new();
            for (path, arn) in std::mem::take(&mut level) {
                let resources = resources::list(self.client, &arn).await?;
                let of_interest = |kind: &str| matches!(kind, "AWS::S3::Bucket" | STACK_TYPE);
                if !resources.iter().any(|one| of_interest(&one.resource_type)) {
                    continue;
                }
                let retained = self.retained(&arn).await?;
                for one in resources {
                    let id = format!("{path}{}", one.logical_id);
                    let Some(physical_id) = one.physical_id.clone().filter(|_| one.exists()) else {
                        all.insert(id);
                        continue;
                    };
                    match (
                        one.resource_type.as_str(),
                        retained.contains(&one.logical_id),
                    ) {
                        ("AWS::S3::Bucket", true) => {
                            kept.insert(id);
                        }
                        ("AWS::S3::Bucket", false) => {
                            all.insert(id.clone());
                            if self.rules.empty.has(&id) {
                                found.push((id, physical_id));
                            }
                        }
                        (STACK_TYPE, false) => {
                            below.push((format!("{id}."), physical_id));
                        }
                        _ => {}
                    }
                }
            }
            level = below;
        }
        if let Chosen::Named(names) = &self.rules.empty {
            for name in names {
                if kept.contains(name) {
                    return Err(DeployError::KeptBucket {
                        stack: stack.name.clone(),
                        name: name.clone(),
                    });
                }
                if !all.contains(name) {
                    return Err(DeployError::NoResource {
                        stack: stack.name.clone(),
                        key: "empty-buckets",
                        name: name.clone(),
                        what: "bucket",
                    });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The resources that the template wants to outlive the stack. Whatever it says but `Delete`
    /// counts as that.
    async fn retained(&self, stack: &str) -> Result<BTreeSet<String>, DeployError> {
        let answer = self
            .client
            .get_template()
            .stack_name(stack)
            .template_stage(TemplateStage::Processed)
            .send()
            .await
            .map_err(|error| StackError::call("read the template of stack", stack, &error))?;
        let text = answer.template_body().unwrap_or_default();
        let template = Template::parse(text).map_err(|source| DeployError::Template {
            path: stack.to_owned(),
            source,
        })?;
        Ok(retained(template.value()))
    }

    async fn gone(&self, state: &State) -> Result<Turn, DeployError> {
        let Some(arn) = &state.stack else {
            return Ok(Turn::Gone {
                was_there: false,
                left: Vec::new(),
            });
        };
        // What it left is told when it can be read; that it cannot must not fail what succeeded.
        let all = resources::list(self.client, arn).await;
        let left = all.unwrap_or_else(|error| {
            tracing::warn!(%error, "what the stack left behind is not known");
            Vec::new()
        });
        Ok(Turn::Gone {
            was_there: true,
            left: left.into_iter().filter(Resource::stays_behind).collect(),
        })
    }

    async fn failed(&self, stack: &Stack, leftovers: &[Leftover], state: &State) -> DeployError {
        let asks = state.done.asks.saturating_sub(1);
        let token = deploy::token(self.origin, asks, &self.operation);
        let cause = deploy::cause(self.client, &stack.arn, &token, self.since).await;
        DeployError::Remains {
            operation: Box::new(DeployError::Operation {
                verb: "delete",
                stack: stack.name.clone(),
                arn: stack.arn.clone(),
                status: Some(stack.status),
                cause: cause.or_else(|| Cause::of_stack(stack)).map(Box::new),
            }),
            hint: hint(leftovers),
        }
    }
}

/// The logical ids whose `DeletionPolicy` is another than `Delete`.
fn retained(template: &serde_json::Value) -> BTreeSet<String> {
    template
        .get("Resources")
        .and_then(serde_json::Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, resource)| {
            resource
                .get("DeletionPolicy")
                .is_some_and(|policy| policy != "Delete")
        })
        .map(|(id, _)| id.clone())
        .collect()
}

/// What can be done about what could not be deleted.
fn hint(leftovers: &[Leftover]) -> String {
    let ids = |full: bool| {
        let ids: Vec<&str> = leftovers
            .iter()
            .filter(|left| left.is_full_bucket() == full)
            .map(|left| left.logical_id.as_str())
            .collect();
        ids.join(",")
    };
    match (ids(true).as_str(), ids(false).as_str()) {
        ("", "") => "look at the stack's events, then retry the stage".to_owned(),
        ("", others) => format!("mend what is in the way, or let it stay: retain={others}"),
        (full, _) => format!(
            "what is in the buckets is deleted with empty-buckets={full}; or let them stay: retain={full}"
        ),
    }
}

fn failed_now(done: &mut Done, now: u64) {
    done.failed_at.get_or_insert(now / 1_000);
}

pub(crate) fn milliseconds_now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

/// How often the stack was looked at since its deletion was asked for. Once the deletion was seen
/// under way, what comes after is no late read.
pub(crate) fn looks(observed: &Observed, asked: u32) -> u32 {
    match observed.status() {
        Some(StackStatus::DeleteInProgress) => STALE_READS,
        _ => asked + 1,
    }
}

/// Asks for a stack's deletion. `token` marks every event of the operation.
pub(crate) async fn ask(
    client: &Client,
    stack: &str,
    role: Option<&str>,
    token: &str,
) -> Result<(), StackError> {
    client
        .delete_stack()
        .stack_name(stack)
        .client_request_token(token)
        .set_role_arn(role.map(str::to_owned))
        .send()
        .await
        .map(drop)
        .map_err(|error| StackError::call("delete stack", stack, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_template_keeps_is_not_emptied() {
        let template = serde_json::json!({"Resources": {
            "Plain": {"Type": "AWS::S3::Bucket"},
            "Deleted": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete"},
            "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
            "KeptOnceMade": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "RetainExceptOnCreate"},
            "Computed": {"Type": "AWS::S3::Bucket", "DeletionPolicy": {"Ref": "Policy"}},
        }});
        let kept: Vec<String> = retained(&template).into_iter().collect();
        assert_eq!(kept, ["Computed", "Kept", "KeptOnceMade"]);
    }

    #[test]
    fn the_hint_says_what_to_write() {
        let left = |id: &str, kind: &str, reason: &str| Leftover {
            logical_id: id.into(),
            resource_type: kind.into(),
            reason: reason.into(),
        };
        let bucket = left("Site", "AWS::S3::Bucket", "the bucket is not empty");
        let topic = left("Topic", "AWS::SNS::Topic", "no");
        for (leftovers, words) in [
            (vec![bucket.clone()], "empty-buckets=Site"),
            (vec![topic.clone()], "retain=Topic"),
            (vec![topic, bucket], "empty-buckets=Site"),
            (vec![], "events"),
        ] {
            let hint = hint(&leftovers);
            assert!(hint.contains(words), "{hint}");
        }
    }

    #[test]
    fn the_state_survives_a_token_and_an_older_one_is_understood() {
        let mut state = State::of("arn:stack");
        state.bucket = Some("Site".into());
        state.done.asks = 3;
        state.done.retained.insert("Site".into());
        let text = serde_json::to_string(&state).expect("plain data");
        assert_eq!(
            serde_json::from_str::<State>(&text).expect("reads back"),
            state
        );
        let older: State =
            serde_json::from_str(r#"{"stack": "arn:stack", "asked": 2}"#).expect("reads");
        assert_eq!(older, State::of("arn:stack"));
    }
}
