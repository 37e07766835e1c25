//! Lambda: run a project's own checks and package what it makes.
//!
//! In: the source, then whatever is to lie over it, in the pipeline's order. The project's tasks
//! run there one after the other; the first that fails ends the action. Out: a file or directory
//! for each output artifact that a parameter names; and, with `template=`, one with the packaged
//! template: local code it refers to has been stored in the release bucket under the name that
//! its content gives it, and is referred to there.
//!
//! Tasks run in a clean room without credentials (`towpath-tool`). Artifacts are read and written
//! with the job's credentials, the release bucket with the function's own. The parameters are
//! listed at [`Parameters`].

mod error;
mod package;
mod parameters;
mod place;
mod tasks;

use std::path::Path;

use towpath_artifact::{ArtifactError, Encryption, Limits, Location, Source};
use towpath_job::{Action, Artifact, Job, Outcome, Receipt, Variables};
use towpath_tool::Workspace;

pub use error::ActionError;
pub use package::{Packaged, package};
pub use parameters::{Output, Parameters, Release, Work};
pub use tasks::run_tasks;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestAndPackage;

impl Action for TestAndPackage {
    const NAME: &'static str = "test-and-package";
    type Parameters = Parameters;
    type Error = ActionError;

    async fn step(&self, job: &Job<Parameters>) -> Result<Outcome, ActionError> {
        job.first_input()?;
        let workspace = Workspace::create().map_err(ActionError::Workspace)?;
        let outcome = step(job, &workspace).await;
        if let Err(error) = workspace.close().await {
            tracing::warn!("failed to remove the job's directory: {error}");
        }
        outcome
    }
}

async fn step(job: &Job<Parameters>, workspace: &Workspace) -> Result<Outcome, ActionError> {
    let parameters = &job.parameters;
    let (tree, store) = (workspace.path("source"), job.artifact_store());
    for input in &job.inputs {
        towpath_artifact::overlay(&store, location(input), &tree, &Limits::default()).await?;
    }
    let project = place::directory(&tree, &parameters.directory)?;
    let done = run_tasks(&project, parameters, workspace, job.work_deadline()).await?;

    // All of them are looked for before the first is published.
    let mut ready = Vec::new();
    for output in &parameters.outputs {
        let artifact = job.output(&output.artifact)?;
        ready.push((artifact, place::produced(&tree, &project, output)?));
    }
    let mut summary = vec![done.to_string()];
    if let Some(template) = &parameters.template {
        let artifact = job.output(&template.artifact)?;
        let release = towpath_aws::s3(job.aws());
        let staged = workspace.path("package");
        let packaged = package(&tree, &project, template, parameters, &release, &staged).await?;
        summary.extend(packaged.summary());
        ready.push((artifact, staged));
    }

    let mut receipts = Vec::new();
    for (artifact, path) in ready {
        let published = publish(job, &store, artifact, &path).await;
        let (receipt, bytes) = published.map_err(|error| match error {
            ArtifactError::NotZip { content, .. } => ActionError::NotArchive {
                artifact: artifact.name.clone(),
                path: path.strip_prefix(&project).unwrap_or(&path).to_owned(),
                content,
            },
            error => error.into(),
        })?;
        summary.push(format!("{} ({})", artifact.name, size(bytes)));
        receipts.push(receipt);
    }
    Ok(Outcome::Done {
        summary: summary.join("; "),
        variables: Variables::default(),
        receipts,
    })
}

async fn publish(
    job: &Job<Parameters>,
    store: &aws_sdk_s3::Client,
    artifact: &Artifact,
    path: &Path,
) -> Result<(Receipt, u64), ArtifactError> {
    let source = if path.is_dir() {
        Source::Directory(path)
    } else {
        Source::File(path)
    };
    let encryption = match job.sse() {
        towpath_job::Encryption::KmsDefault => Encryption::Kms,
        towpath_job::Encryption::KmsKey(key) => Encryption::KmsKey(key),
    };
    let published =
        towpath_artifact::publish(store, source, location(artifact), &encryption).await?;
    Ok((Receipt::published(&artifact.name), published.bytes))
}

fn location(artifact: &Artifact) -> Location<'_> {
    Location {
        bucket: &artifact.location.bucket,
        key: &artifact.location.key,
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
