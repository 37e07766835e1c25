//! Stacks that were only ever planned: what their change sets tell of them.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{ChangeSetStatus, ChangeSetSummary, ExecutionStatus};

use crate::StackError;
use crate::change_set::{self, Verdict};

/// A stack in `REVIEW_IN_PROGRESS`, as its change sets show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shell {
    /// How many of them can still be executed, or may come to be.
    pub live: usize,
    /// The tags that the newest one would give the stack.
    pub tags: BTreeMap<String, String>,
}

impl Shell {
    /// Looks at the change sets of a stack, by ARN. That the stack itself shows the tags of a change set which was never
    /// executed is documented nowhere, so they are read where they surely are.
    pub async fn look(client: &Client, stack: &str) -> Result<Self, StackError> {
        let sets = list(client, stack).await?;
        let live = sets.iter().filter(|set| is_live(set)).count();
        let newest = sets
            .iter()
            .max_by_key(|set| set.creation_time().map(|at| (at.secs(), at.subsec_nanos())))
            .and_then(ChangeSetSummary::change_set_id);
        let tags = match newest {
            Some(change_set) => tags(client, stack, change_set).await?,
            None => BTreeMap::new(),
        };
        Ok(Self { live, tags })
    }
}

async fn list(client: &Client, stack: &str) -> Result<Vec<ChangeSetSummary>, StackError> {
    let mut all = Vec::new();
    let mut next = None;
    loop {
        let page = client
            .list_change_sets()
            .stack_name(stack)
            .set_next_token(next.take())
            .send()
            .await
            .map_err(|error| StackError::call("list the change sets of stack", stack, &error))?;
        all.extend_from_slice(page.summaries());
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            return Ok(all);
        }
    }
}

async fn tags(
    client: &Client,
    stack: &str,
    change_set: &str,
) -> Result<BTreeMap<String, String>, StackError> {
    let answer = client
        .describe_change_set()
        .stack_name(stack)
        .change_set_name(change_set)
        .send()
        .await
        .map_err(|error| StackError::call("describe change set", change_set, &error))?;
    Ok(answer
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
        .collect())
}

/// Whether a change set can be executed, is, or may come to be. What this version does not know may.
fn is_live(set: &ChangeSetSummary) -> bool {
    let status = set.status().map_or("", ChangeSetStatus::as_str);
    let execution = set.execution_status().map_or("", ExecutionStatus::as_str);
    if status.starts_with("DELETE_") || execution == "OBSOLETE" {
        return false;
    }
    match change_set::verdict(status, execution, set.status_reason().unwrap_or_default()) {
        Verdict::Empty | Verdict::Failed(_) | Verdict::ExecutionFailed(_) => false,
        Verdict::Pending
        | Verdict::Ready
        | Verdict::Executing
        | Verdict::Executed
        | Verdict::Obsolete => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_set_is_live_unless_nothing_can_come_of_it() {
        for (status, execution, live) in [
            ("CREATE_PENDING", "UNAVAILABLE", true),
            ("CREATE_IN_PROGRESS", "UNAVAILABLE", true),
            ("CREATE_COMPLETE", "UNAVAILABLE", true),
            ("CREATE_COMPLETE", "AVAILABLE", true),
            ("CREATE_COMPLETE", "EXECUTE_IN_PROGRESS", true),
            ("CREATE_COMPLETE", "EXECUTE_COMPLETE", true),
            ("CREATE_COMPLETE", "EXECUTE_FAILED", false),
            ("CREATE_COMPLETE", "OBSOLETE", false),
            ("FAILED", "UNAVAILABLE", false),
            ("DELETE_PENDING", "UNAVAILABLE", false),
            ("DELETE_COMPLETE", "UNAVAILABLE", false),
            ("DELETE_FAILED", "AVAILABLE", false),
            ("REVIEWED_ANEW", "AVAILABLE", true),
        ] {
            let set = ChangeSetSummary::builder()
                .status(status.into())
                .execution_status(execution.into())
                .build();
            assert_eq!(is_live(&set), live, "{status} {execution}");
        }
    }
}
