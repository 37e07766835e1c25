//! Lambda: install a source tree's dependencies.
//!
//! In: the source, the action's first input artifact. Out: what the installation added to it and nothing else, at the
//! paths where it was added, so that a consumer lays it over the source: every `node_modules`, or the
//! `.python-packages` directory; the lock file if there was none; whatever the project's own install scripts made.
//!
//! Which package manager it is, is told by the files in `dir` ([`detect`]); what it may do there is
//! `towpath-tool`'s matter. The parameters are listed at [`Parameters`].

mod collect;
pub mod detect;
mod error;
mod install;
mod parameters;

use towpath_job::{Action, Artifact, Job, Outcome, Source};
use towpath_tool::Workspace;

pub use error::InstallError;
pub use install::{Installed, install};
pub use parameters::Parameters;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstallDeps;

impl Action for InstallDeps {
    const NAME: &'static str = "install-deps";
    type Parameters = Parameters;
    type Error = InstallError;

    async fn step(&self, job: &Job<Parameters>) -> Result<Outcome, InstallError> {
        let source = job.first_input()?;
        let output = the_output(&job.outputs)?;
        let workspace = Workspace::create().map_err(InstallError::Workspace)?;
        let outcome = step(job, source, output, &workspace).await;
        if let Err(error) = workspace.close().await {
            tracing::warn!("failed to remove the job's directory: {error}");
        }
        outcome
    }
}

async fn step(
    job: &Job<Parameters>,
    source: &Artifact,
    output: &Artifact,
    workspace: &Workspace,
) -> Result<Outcome, InstallError> {
    let (tree, added) = (workspace.path("source"), workspace.path("added"));
    job.fetch(source, &tree).await?;
    let installed = install(
        &tree,
        &added,
        &job.parameters,
        workspace,
        job.work_deadline(),
    )
    .await?;
    let receipt = job.publish(output, Source::Directory(&added)).await?;
    Ok(Outcome::Done {
        summary: installed.to_string(),
        variables: towpath_job::Variables::default(),
        receipts: vec![receipt],
    })
}

/// There is one thing to publish.
fn the_output(outputs: &[Artifact]) -> Result<&Artifact, InstallError> {
    match outputs {
        [output] => Ok(output),
        others => Err(InstallError::Outputs(
            others.iter().map(|output| output.name.clone()).collect(),
        )),
    }
}
