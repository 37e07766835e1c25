//! The `run-e2e` action: runs a project's end-to-end tests against a deployed stack.
//!
//! In: the source, the action's first input artifact, and what is to be laid over it, such as its
//! dependencies. The outputs of the stack become environment variables of the tests. Out: the
//! tests' report, where the action declares an output artifact for it.
//!
//! In a build of CodeBuild the stack is looked at from there, under the role of the build's project.
//!
//! The tests run without any credentials: what they know of the deployment is in their environment.

mod environment;
mod error;
mod parameters;
mod stack;
mod tasks;

use std::collections::BTreeMap;

use towpath_job::{Action, Artifact, Job, Outcome, Receipt, Source, Variables};
use towpath_tool::Workspace;

pub use error::E2eError;
pub use parameters::{Parameters, StackSource, Work};

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunE2e;

impl Action for RunE2e {
    const NAME: &'static str = "run-e2e";
    const MOVABLE: bool = true;
    type Parameters = Parameters;
    type Error = E2eError;

    async fn step(&self, job: &Job<Parameters>) -> Result<Outcome, E2eError> {
        let source = job.first_input()?;
        // The cheapest question first: without its stack there is nothing to test.
        let outputs = match &job.parameters.stack {
            Some(stack) => stack::outputs(job.aws(), stack).await?,
            None => BTreeMap::new(),
        };
        let workspace = Workspace::create().map_err(E2eError::Workspace)?;
        let outcome = test(job, source, &outputs, &workspace).await;
        if let Err(error) = workspace.close().await {
            tracing::warn!("failed to remove the job's directory: {error}");
        }
        outcome
    }
}

/// Lays out the tree, runs the tests in it and publishes their report.
async fn test(
    job: &Job<Parameters>,
    source: &Artifact,
    outputs: &BTreeMap<String, String>,
    workspace: &Workspace,
) -> Result<Outcome, E2eError> {
    let tree = workspace.path("source");
    job.fetch(source, &tree).await?;
    for input in &job.inputs[1..] {
        job.overlay(input, &tree).await?;
    }

    let project = tree.join(&job.parameters.directory);
    let gate = job.parameters.gate();
    let before = gate.before(&project);
    let environment = environment::compose(outputs, &job.parameters.environment);
    let ran = tasks::run(
        &tree,
        &job.parameters,
        &environment,
        workspace,
        job.work_deadline(),
    )
    .await;
    let judged = match ran {
        Ok(ran) => gate
            .judge(&tree, &project, &before)
            .map(|verdict| (ran, verdict))
            .map_err(E2eError::from),
        Err(E2eError::Tool { source, .. }) => Err(E2eError::Tool {
            tests: gate.after_failure(&tree, &project, &before).map(Box::new),
            source,
        }),
        Err(error) => Err(error),
    };
    let published = report(job, &tree).await;
    match (judged, published) {
        (Ok((ran, verdict)), Ok(receipts)) => {
            let mut summary = vec![match &job.parameters.stack {
                Some(stack) => format!("{ran} against stack `{}`", stack.name),
                None => ran.to_string(),
            }];
            summary.extend(verdict.summary());
            let mut variables = Variables::new();
            for (name, figure) in verdict.figures() {
                if let Err(error) = variables.insert(name, figure) {
                    tracing::warn!("{error}");
                }
            }
            Ok(Outcome::Done {
                summary: summary.join("; "),
                variables,
                receipts,
                external_id: None,
            })
        }
        (Ok(_), Err(error)) => Err(error),
        (Err(error), published) => {
            // A report of failed tests is the one that is read; without it the failure still counts.
            if let Err(missing) = published {
                tracing::warn!("there is no report of the failed tests: {missing}");
            }
            Err(error)
        }
    }
}

/// Publishes the report, when one is declared.
async fn report(job: &Job<Parameters>, tree: &std::path::Path) -> Result<Vec<Receipt>, E2eError> {
    let (Some(report), Some(output)) = (&job.parameters.report, job.outputs.first()) else {
        return Ok(Vec::new());
    };
    let path = tree.join(&job.parameters.directory).join(report);
    let report = tasks::inside(tree, &path).ok_or_else(|| E2eError::NoReport {
        path: report.clone(),
        output: output.name.clone(),
    })?;
    let source = if report.is_dir() {
        Source::Directory(&report)
    } else {
        Source::File(&report)
    };
    Ok(vec![job.publish(output, source).await?])
}

/// Serves the Lambda Runtime API until the environment ends. The process is to be sealed before.
pub async fn run() -> Result<(), towpath_job::RunError> {
    towpath_job::run(RunE2e).await
}
