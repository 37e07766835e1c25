//! Lambda: run a project's own checks and package what it makes.
//!
//! In: the source, then whatever is to lie over it, in the pipeline's order. The project's tasks
//! run there one after the other; the first that fails ends the action. Out: a file or directory
//! for each output artifact that a parameter names; and, with `template=`, one with the packaged
//! template: local code it refers to has been stored in the release bucket under the name that
//! its content gives it, and is referred to there. Beside it is the release's document
//! (`towpath-release`).
//!
//! Where parameters ask for it, the tasks' reports of tests and coverage decide beside their exit
//! codes (`towpath-report`).
//!
//! Tasks run in a clean room without credentials (`towpath-tool`). Artifacts are read and written
//! with the job's credentials, the release bucket with the function's own. The parameters are
//! listed at [`Parameters`].

mod error;
mod omit_dev;
mod package;
mod parameters;
mod place;
mod release;
mod tasks;

use towpath_artifact::{ArchiveError, ArtifactError, Origins, Source};
use towpath_job::{Action, Job, JobError, Outcome, Variables};
use towpath_tool::Workspace;
use towpath_tool::installed::make_portable;
use towpath_tool::task::TaskError;

use release::Build;

pub use error::ActionError;
pub use package::{Packaged, package};
pub use parameters::{Output, Parameters, Release, Work};
pub use tasks::run_tasks;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestAndPackage;

impl Action for TestAndPackage {
    const NAME: &'static str = "test-and-package";
    const MOVABLE: bool = true;
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
    let tree = workspace.path("source");
    let mut origins = Origins::default();
    for input in &job.inputs {
        job.overlay_noting(input, &tree, &mut origins).await?;
    }
    let origins = origins.settle(&tree).await;
    let project = place::directory(&tree, &parameters.directory)?;
    let before = parameters.gate.before(&project);
    let done = run_tasks(&project, parameters, workspace, job.work_deadline())
        .await
        .map_err(|error| match error {
            ActionError::Task { task, source, .. } => {
                let tests = parameters.gate.after_failure(&tree, &project, &before);
                ActionError::Task {
                    task,
                    tests: tests.map(Box::new),
                    source,
                }
            }
            error => error,
        })?;
    let verdict = parameters.gate.judge(&tree, &project, &before)?;

    if parameters.omit_dev {
        omit_dev::prune(&tree, workspace, job.work_deadline()).await?;
    }

    // Whatever holds here only is not published: links to this machine's Python, the tree's path.
    make_portable(&tree).map_err(|error| ActionError::Detect(TaskError::Installed(error)))?;

    // All of them are looked for before the first is published.
    let mut ready = Vec::new();
    for output in &parameters.outputs {
        let artifact = job.output(&output.artifact)?;
        ready.push((artifact, place::produced(&tree, &project, output)?));
    }
    let mut variables = Variables::new();
    let figures = verdict.figures();
    let mut summary = vec![done.to_string()];
    summary.extend(verdict.summary());
    if let Some(template) = &parameters.template {
        let artifact = job.output(&template.artifact)?;
        let store = job.own_store();
        let staged = workspace.path("package");
        let scratch = workspace.path("nested");
        let places = (staged.as_path(), scratch.as_path());
        let packaged = package(&tree, &project, template, parameters, &store, places).await?;
        summary.extend(packaged.summary());
        let build = Build {
            parameters,
            figures: &figures,
            tools: release::tools(&project, workspace, job.work_deadline()).await,
        };
        let id = release::record(&packaged, build, &store, places).await?;
        insert(&mut variables, "ReleaseId", id.to_string());
        ready.push((artifact, staged));
    }

    let mut receipts = Vec::new();
    for (artifact, path) in ready {
        let source = if path.is_dir() {
            Source::Directory(&path)
        } else {
            Source::File(&path)
        };
        let published = job.publish_reusing(artifact, source, &origins).await;
        let receipt = published.map_err(|error| match error {
            JobError::Artifact {
                source: ArtifactError::Archive(ArchiveError::NotZip { content, .. }),
                ..
            } => ActionError::NotArchive {
                artifact: artifact.name.clone(),
                path: path.strip_prefix(&project).unwrap_or(&path).to_owned(),
                content,
            },
            error => error.into(),
        })?;
        summary.push(format!("{} ({})", artifact.name, size(receipt.bytes())));
        receipts.push(receipt);
    }
    for (name, figure) in figures {
        insert(&mut variables, name, figure);
    }
    Ok(Outcome::Done {
        summary: summary.join("; "),
        variables,
        receipts,
        external_id: None,
    })
}

/// A variable that does not fit fails no job.
fn insert(variables: &mut Variables, name: &str, value: String) {
    if let Err(error) = variables.insert(name, value) {
        tracing::warn!("{error}");
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
