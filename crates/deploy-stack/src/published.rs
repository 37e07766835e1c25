//! What a deployment or a plan tells: variables, and files in the output artifact.

use aws_sdk_cloudformation::Client;
use towpath_job::{Job, Outcome, Receipt, Source, Variables};
use towpath_stack::plan::{self, Document, Plan};
use towpath_stack::{Stack, gate};

use crate::deploy::Executed;
use crate::{DeployError, Parameters};

/// Of a stack that is what it should be. An output of the stack is the application's word, and wins over ours.
pub(crate) async fn deployed(
    client: &Client,
    job: &Job<Parameters>,
    stack: &Stack,
    executed: Option<Executed>,
) -> Result<Outcome, DeployError> {
    let own = [
        ("StackName", stack.name.clone()),
        ("StackArn", stack.arn.clone()),
        ("Changed", executed.is_some().to_string()),
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
            format!("stack `{}` is {}: {changes}", stack.name, stack.status)
        }
        None => format!("stack `{}` is up to date", stack.name),
    };
    if let (Some(executed), false) = (executed, job.outputs.is_empty()) {
        // It is done; that it cannot be shown any more takes nothing from that.
        match plan::read(client, &executed.change_set, &stack.arn).await {
            Ok((_, plan)) => files.extend(documents(job, &executed.change_set, &plan)),
            Err(error) => tracing::warn!(%error, "the change set that was executed cannot be read"),
        }
    }
    Ok(Outcome::Done {
        summary,
        variables,
        receipts: publish(job, &files).await?,
        external_id: Some(stack.arn.clone()),
    })
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
