//! Lambda: install a source tree's dependencies.
//!
//! In: the source, the action's first input artifact. Out: what the installation added to it and nothing else, at the
//! paths where it was added, so that a consumer lays it over the source: every `node_modules`, a virtual environment, a
//! directory of packages; the lock file if there was none; whatever the project's own install scripts made.
//!
//! The way: the files of each `dir` are read ([`Facts`]); they decide who installs ([`detect`]), which makes a [`Plan`];
//! the programs for it are found ([`Toolchain`]); what was installed before is taken from the [`cache`]; else they run;
//! what they added is moved out of the source and freed of what holds on one machine or at one time only. What a tool
//! may do is `towpath-tool`'s matter, and so is what the consumers put back ([`towpath_tool::installed`]). The
//! parameters are listed at [`Parameters`].

pub mod cache;
mod collect;
mod deciding;
pub mod detect;
mod error;
mod facts;
mod install;
mod manager;
mod mismatch;
mod parameters;
mod plan;
mod portable;
pub mod secret;
mod toolchain;

use towpath_job::{Action, Artifact, Job, Outcome, Receipt, Source};
use towpath_tool::Workspace;

use cache::Cache;
pub use deciding::Deciding;
pub use error::InstallError;
pub use facts::Facts;
pub use install::{Installed, Part, Prepared, install, plans, prepare};
pub use manager::{Manager, Runtime};
pub use parameters::{Parameters, Scripts};
pub use plan::Plan;
pub use toolchain::Toolchain;

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstallDeps;

impl Action for InstallDeps {
    const NAME: &'static str = "install-deps";
    const MOVABLE: bool = true;
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
    let deadline = job.work_deadline();
    let prepared = prepare(&tree, &job.parameters, workspace, deadline).await?;
    let cache = Cache::of(job, &tree, &prepared, workspace).await;
    if let Some(cache) = &cache
        && let Some((receipt, summary)) = cache.restore(job, output).await
    {
        return Ok(done(format!("{summary}, from the cache"), receipt));
    }
    let secrets = secret::fetch(job, &job.parameters.secrets).await?;
    let installed = install(
        &prepared,
        &tree,
        &added,
        &job.parameters,
        &secrets,
        workspace,
        deadline,
    )
    .await?;
    let receipt = job.publish(output, Source::Directory(&added)).await?;
    let summary = installed.to_string();
    if let Some(cache) = &cache {
        cache.keep(job, output, &receipt, &added, &summary).await;
    }
    Ok(done(summary, receipt))
}

fn done(summary: String, receipt: Receipt) -> Outcome {
    Outcome::Done {
        summary,
        variables: towpath_job::Variables::default(),
        receipts: vec![receipt],
        external_id: None,
    }
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
