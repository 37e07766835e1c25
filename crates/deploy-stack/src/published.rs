//! What a deployment or a plan tells: variables, and files in the output artifact.

use aws_sdk_cloudformation::Client;
use towpath_job::{Job, Outcome, Receipt, Source, Variables};
use towpath_stack::cause::{self, Leftover};
use towpath_stack::plan::{self, Document, Plan};
use towpath_stack::{Stack, gate};

use crate::deploy::{Executed, since};
use crate::{DeployError, Parameters};

/// Of a stack that is what it should be. An output of the stack is the application's word, and wins over ours.
pub(crate) async fn deployed(
    client: &Client,
    job: &Job<Parameters>,
    stack: &Stack,
    executed: Option<Executed>,
) -> Result<Outcome, DeployError> {
    let left = match &executed {
        Some(executed) => left_behind(client, job, stack, executed).await,
        None => Vec::new(),
    };
    let own = [
        ("StackName", stack.name.clone()),
        ("StackArn", stack.arn.clone()),
        ("Changed", executed.is_some().to_string()),
        ("Leftovers", names(&left)),
    ];
    let outputs = stack
        .outputs
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()));
    let variables = variables(own.into_iter().chain(outputs))?;
    let mut files = vec![(
        "outputs.json",
        serde_json::to_string_pretty(&stack.outputs).expect("text by text"),
    )];
    let summary = match &executed {
        Some(Executed { changes, .. }) => {
            let left = told_of(&left);
            format!(
                "stack `{}` is {}: {changes}{left}",
                stack.name, stack.status
            )
        }
        None => format!("stack `{}` is up to date", stack.name),
    };
    if let (Some(executed), false) = (executed, job.outputs.is_empty()) {
        let change_set = &executed.change_set;
        if let Some(kept) = kept(job, change_set).await {
            files.extend(kept);
        } else {
            // It is done; that it cannot be shown any more takes nothing from that.
            match plan::read(client, change_set, &stack.arn).await {
                Ok((_, plan)) => files.extend(documents(job, change_set, &plan)),
                Err(error) => {
                    tracing::warn!(%error, "the change set that was executed cannot be read");
                }
            }
        }
    }
    Ok(Outcome::Done {
        summary,
        variables,
        receipts: publish(job, &files).await?,
        external_id: Some(stack.arn.clone()),
    })
}

/// Publishes the plan before it is carried out: once it is, the values that it replaces cannot be read any more. Where
/// this cannot be published, neither can what comes after, and nothing has been changed yet.
pub(crate) async fn keep(
    job: &Job<Parameters>,
    change_set: &str,
    plan: &Plan,
) -> Result<(), DeployError> {
    let _ = publish(job, &documents(job, change_set, plan)).await?;
    Ok(())
}

/// The files that were published of this change set before it was carried out, if they are there.
async fn kept(job: &Job<Parameters>, change_set: &str) -> Option<[(&'static str, String); 2]> {
    let output = job.outputs.first()?;
    let read = async |path| {
        let bytes = job.fetch_file(output, path).await;
        let bytes = bytes
            .inspect_err(|error| tracing::info!(%error, path, "the plan is read once more"))
            .ok()?;
        String::from_utf8(bytes).ok()
    };
    let json = read("plan.json").await?;
    let parsed: serde_json::Value = serde_json::from_str(&json).ok()?;
    if parsed["change_set"] != change_set {
        return None;
    }
    Some([("plan.json", json), ("plan.md", read("plan.md").await?)])
}

/// What the update could not delete. It is asked only where something was to be deleted, and that it cannot be known
/// takes nothing from the success.
async fn left_behind(
    client: &Client,
    job: &Job<Parameters>,
    stack: &Stack,
    executed: &Executed,
) -> Vec<Leftover> {
    let Some(token) = &executed.drops else {
        return Vec::new();
    };
    let left = cause::leftovers(client, &stack.arn, token, since(job)).await;
    let left = left.unwrap_or_else(|error| {
        tracing::warn!(%error, "what the update left behind is not known");
        Vec::new()
    });
    for one in &left {
        tracing::warn!(
            stack = stack.arn,
            left_behind = %one,
            reason = one.reason,
            "the update could not delete a resource that is not the stack's any more"
        );
    }
    left
}

/// How many of what was left behind are in the variable: a success may not fail of too many bytes of variables.
const IN_VARIABLE: usize = 50;

fn names(left: &[Leftover]) -> String {
    let mut names: Vec<String> = left
        .iter()
        .take(IN_VARIABLE)
        .map(ToString::to_string)
        .collect();
    if let Some(more @ 1..) = left.len().checked_sub(IN_VARIABLE) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// How many of what was left behind are named in the summary, which has 2,048 characters.
const NAMED: usize = 5;

/// The end of the summary: what was left behind, and what to do about it.
fn told_of(left: &[Leftover]) -> String {
    if left.is_empty() {
        return String::new();
    }
    let named: Vec<String> = left
        .iter()
        .take(NAMED)
        .map(|one| format!("{one}: {}", one.reason.trim_end_matches('.')))
        .collect();
    let more = match left.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!(
        "; left behind, because CloudFormation could not delete it and no longer knows it: {}{more}. Delete it by hand",
        named.join("; ")
    )
}

/// Of a plan, or of none where nothing changes.
pub(crate) async fn planned(
    job: &Job<Parameters>,
    change_set: &str,
    plan: &Plan,
) -> Result<Outcome, DeployError> {
    let name = &job.parameters.stack;
    let changed = change_set != plan::NOTHING;
    let lost = gate::losses(plan, &job.parameters.loss.stateful).len();
    let summary = match (changed, lost) {
        (false, _) => format!("stack `{name}` is up to date: there is nothing to do"),
        (true, 0) => format!("the plan for stack `{name}`: {}", plan.counts()),
        (true, lost) => format!(
            "the plan for stack `{name}`: {}; {lost} of them would lose data",
            plan.counts()
        ),
    };
    let variables = variables([
        ("StackName", name.clone()),
        ("Changed", changed.to_string()),
        ("ChangeSetArn", change_set.to_owned()),
        ("Losses", lost.to_string()),
        (
            "Plan",
            if changed {
                plan.counts().to_string()
            } else {
                "nothing".to_owned()
            },
        ),
    ])?;
    Ok(Outcome::Done {
        summary,
        variables,
        receipts: publish(job, &documents(job, change_set, plan)).await?,
        external_id: changed.then(|| change_set.to_owned()),
    })
}

fn documents(job: &Job<Parameters>, change_set: &str, plan: &Plan) -> [(&'static str, String); 2] {
    let losses = gate::losses(plan, &job.parameters.loss.stateful);
    let document = Document {
        stack: &job.parameters.stack,
        change_set,
        plan,
        losses: &losses,
    };
    [
        ("plan.json", document.json()),
        ("plan.md", document.markdown()),
    ]
}

fn variables<'a>(
    all: impl IntoIterator<Item = (&'a str, String)>,
) -> Result<Variables, DeployError> {
    let mut variables = Variables::new();
    for (name, value) in all {
        variables
            .insert(name, value)
            .map_err(DeployError::Variable)?;
    }
    Ok(variables)
}

/// Writes the files into every output artifact.
async fn publish(
    job: &Job<Parameters>,
    files: &[(&str, String)],
) -> Result<Vec<Receipt>, DeployError> {
    let mut receipts = Vec::new();
    if job.outputs.is_empty() {
        return Ok(receipts);
    }
    let directory = tempfile::tempdir().map_err(DeployError::NoRoom)?;
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).map_err(DeployError::NoRoom)?;
    }
    for output in &job.outputs {
        let source = Source::Directory(directory.path());
        receipts.push(job.publish(output, source).await?);
    }
    Ok(receipts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_is_named_and_the_rest_is_counted() {
        let left = |count| -> Vec<Leftover> {
            let each = (1..=count).map(|at| Leftover {
                logical_id: format!("Site{at}"),
                physical_id: "b".into(),
                resource_type: "AWS::S3::Bucket".into(),
                reason: "it is not empty.".into(),
            });
            each.collect()
        };
        assert_eq!(names(&left(1)), "Site1 (AWS::S3::Bucket b)");
        let all = names(&left(52));
        assert!(
            all.ends_with(" Site50 (AWS::S3::Bucket b), and 2 more"),
            "{all}"
        );
        assert_eq!(told_of(&[]), "");
        let one = told_of(&left(1));
        assert!(
            one.ends_with(": Site1 (AWS::S3::Bucket b): it is not empty. Delete it by hand"),
            "{one}"
        );
        let many = told_of(&left(7));
        assert!(many.contains("Site5 "), "{many}");
        assert!(!many.contains("Site6 "), "{many}");
        assert!(many.contains("; and 2 more. "), "{many}");
    }
}
