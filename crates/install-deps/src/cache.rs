//! Outputs that were installed before, kept in S3.
//!
//! An entry is the output artifact itself, under a name that follows from all that the installation depends on
//! (`key`); what has to be known of it is kept beside it (`entry`). It is one object, so it is there as a whole or
//! not at all. Its place begins with the trust level, and the function's role reaches no other: that is what keeps a
//! pull request's build from writing what a protected branch reads.
//!
//! The cache saves time and has no other effect: whatever goes wrong with it is a warning in the log, and the
//! installation happens.

mod entry;
mod inputs;
mod key;
mod requirements;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use towpath_job::{Artifact, ArtifactError, Job, Location, Receipt};
use towpath_tool::{Command, Workspace};

use crate::{Deciding, InstallError, Manager, Parameters, Prepared};
use inputs::Uncacheable;
use key::{Description, Key};

/// Names the bucket. Without it nothing is cached.
pub const BUCKET: &str = "CACHE_BUCKET";
/// What the keys begin with; `cache` without it.
pub const PREFIX: &str = "CACHE_PREFIX";

/// Variables of the function that say where packages come from; tools get them as they are.
const REGISTRIES: &[&str] = &[
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "YARN_REGISTRY",
    "YARN_NPM_REGISTRY_SERVER",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "GOPROXY",
];

/// A place for one installation's output.
#[derive(Debug)]
pub(crate) struct Cache {
    bucket: String,
    object: String,
    key: Key,
}

/// Why an installation is not looked up, nor kept.
#[derive(Debug, thiserror::Error)]
enum Unused {
    #[error(transparent)]
    Uncacheable(#[from] Uncacheable),
    #[error(transparent)]
    Deciding(#[from] InstallError),
    #[error("the source cannot be read")]
    Source(#[from] std::io::Error),
}

impl Cache {
    /// The place for what `prepared` makes of `source`. `None`, and a line in the log, if there is none.
    pub(crate) async fn of(
        job: &Job<Parameters>,
        source: &Path,
        prepared: &[Prepared],
        workspace: &Workspace,
    ) -> Option<Self> {
        if !job.parameters.cache {
            return None;
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(bucket) = variable(BUCKET) else {
            tracing::info!("nothing is cached: the function has no {BUCKET}");
            return None;
        };
        let prefix = variable(PREFIX).unwrap_or_else(|| "cache".to_owned());
        match describe(job, source, prepared, workspace).await {
            Ok(description) => {
                let key = description.key();
                let object = format!(
                    "{}/{}/{key}.zip",
                    prefix.trim_matches('/'),
                    job.parameters.trust
                );
                tracing::debug!(?description, %key, "what the installation depends on");
                Some(Self {
                    bucket,
                    object,
                    key,
                })
            }
            Err(Unused::Uncacheable(reason)) => {
                tracing::info!("not cached: {reason}");
                None
            }
            Err(error) => {
                let error = towpath_job::chain(&error);
                tracing::warn!("not cached: {error}");
                None
            }
        }
    }

    fn location(&self) -> Location<'_> {
        Location {
            bucket: &self.bucket,
            key: &self.object,
        }
    }

    /// Publishes what was kept, if there is something: with its receipt, what was said of it.
    pub(crate) async fn restore(
        &self,
        job: &Job<Parameters>,
        output: &Artifact,
    ) -> Option<(Receipt, String)> {
        // What is left has to do for the installation.
        let patience = job.budget() / 3;
        let Ok(restored) = tokio::time::timeout(patience, self.published(job, output)).await else {
            tracing::warn!(at = %self.location(), "the cached output took too long to publish");
            return None;
        };
        restored
    }

    async fn published(
        &self,
        job: &Job<Parameters>,
        output: &Artifact,
    ) -> Option<(Receipt, String)> {
        let found = match job.own_store().look(self.location()).await {
            Ok(found) => found,
            Err(ArtifactError::Missing { .. }) => {
                tracing::info!(at = %self.location(), "not in the cache");
                return None;
            }
            Err(error) => {
                self.warn(&error, "the cache cannot be read");
                return None;
            }
        };
        let entry = match entry::read(&found, &self.key) {
            Ok(entry) => entry,
            Err(unfit) => {
                self.warn(&unfit, "what lies in the cache is no entry");
                return None;
            }
        };
        let published = job
            .publish_copy(output, self.location(), &found, &entry.sha256)
            .await;
        match published {
            Ok(receipt) => {
                tracing::info!(at = %self.location(), bytes = found.bytes, "taken from the cache");
                Some((receipt, entry.summary))
            }
            Err(error) => {
                self.warn(&error, "the cached output cannot be used");
                None
            }
        }
    }

    /// Keeps what was just published from `added`.
    pub(crate) async fn keep(
        &self,
        job: &Job<Parameters>,
        output: &Artifact,
        receipt: &Receipt,
        added: &Path,
        summary: &str,
    ) {
        let Some(sha256) = receipt.sha256() else {
            return;
        };
        let metadata = entry::metadata(&self.key, receipt.bytes(), summary);
        let archive = (receipt.bytes(), sha256);
        let kept = job.keep_copy(output, archive, added, self.location(), metadata);
        let patience = job.budget() / 2;
        match tokio::time::timeout(patience, kept).await {
            Ok(Ok(_)) => tracing::info!(at = %self.location(), "kept in the cache"),
            Ok(Err(error)) => self.warn(&error, "the output was not kept in the cache"),
            Err(_) => {
                tracing::warn!(at = %self.location(), "keeping the output in the cache took too long");
            }
        }
    }

    fn warn(&self, error: &dyn std::error::Error, what: &str) {
        tracing::warn!(at = %self.location(), "{what}: {}", towpath_job::chain(error));
    }
}

async fn describe(
    job: &Job<Parameters>,
    source: &Path,
    prepared: &[Prepared],
    workspace: &Workspace,
) -> Result<Description, Unused> {
    let parameters = &job.parameters;
    let (root, plans, own) = (source.to_owned(), prepared.to_vec(), parameters.clone());
    let read = tokio::task::spawn_blocking(move || deciding(&root, &plans, &own));
    let (because, files) = read
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    if let Some(because) = because {
        tracing::info!("the cache's key is made from the whole source, because {because}");
    }
    let (mut commands, mut tools) = (Vec::new(), BTreeMap::new());
    for Prepared { plan, tools: found } in prepared {
        let manager = plan.manager();
        tools.insert(manager.to_string(), found.version.clone());
        tools.insert(
            manager.runtime().question().0.to_owned(),
            found.runtime.clone(),
        );
        for command in plan.commands(found, parameters, &source.join(&plan.directory)) {
            commands.push((
                plan.directory.display().to_string(),
                shown(&command, workspace),
            ));
        }
    }
    Ok(Description {
        trust: parameters.trust.clone(),
        commands,
        tools,
        platform: platform(),
        files,
        registries: registries(|name| std::env::var(name).ok()),
        secrets: parameters
            .secrets
            .iter()
            .map(|(name, reference)| (name.clone(), reference.to_string()))
            .collect(),
        archive: job.packing_mark(),
        program: env!("CARGO_PKG_VERSION"),
    })
}

/// A command with what is set for it; the job's own directory, another one each time, is left out.
fn shown(command: &Command, workspace: &Workspace) -> String {
    let variables = command.environment.iter().map(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        format!("{name}={value} ")
    });
    let text = variables.collect::<String>() + &command.to_string();
    text.replace(&*workspace.root().to_string_lossy(), "<job>")
}

/// The files that decide, with their digests; also why, if those are all of them.
fn deciding(
    source: &Path,
    prepared: &[Prepared],
    parameters: &Parameters,
) -> Result<(Option<String>, BTreeMap<String, String>), Unused> {
    let (mut named, mut because) = (BTreeSet::new(), None);
    for Prepared { plan, .. } in prepared {
        let locked = plan.recipe.lock.is_some();
        match plan.manager() {
            Manager::Pip => {
                named.extend(inputs::requirements(
                    source,
                    &plan.directory,
                    &plan.recipe.manifests,
                )?);
            }
            // A module without dependencies has no go.sum.
            Manager::Go => {}
            Manager::Maven => inputs::fixed_versions(source, &plan.directory)?,
            Manager::Npm
            | Manager::Yarn
            | Manager::YarnClassic
            | Manager::Pnpm
            | Manager::Uv
            | Manager::Poetry
            | Manager::Cargo => {
                if !locked {
                    return Err(Uncacheable::NoLock.into());
                }
            }
        }
        match plan.deciding(source, parameters.scripts)? {
            Deciding::Files(files) => named.extend(files),
            Deciding::Everything { because: reason } => {
                because.get_or_insert(reason);
            }
        }
        match inputs::of_arguments(source, &plan.directory, &parameters.arguments) {
            Ok(files) => named.extend(files),
            Err(reason) => {
                because.get_or_insert(reason);
            }
        }
    }
    let files = match because {
        None => named.into_iter().collect(),
        Some(_) => inputs::files(source)?,
    };
    Ok((because, inputs::digests(source, &files)?))
}

fn registries(variable: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    REGISTRIES
        .iter()
        .filter_map(|name| {
            let value = key::without_credentials(&variable(name)?);
            Some(((*name).to_owned(), value))
        })
        .collect()
}

/// The machine, as far as packages may be built for it.
fn platform() -> BTreeMap<&'static str, String> {
    [
        ("system", std::env::consts::OS.to_owned()),
        ("architecture", std::env::consts::ARCH.to_owned()),
        ("libc", libc().to_owned()),
    ]
    .into()
}

/// Told by the loader that programs of this machine are started by.
fn libc() -> &'static str {
    let has = |folder: &str, beginning: &str| {
        std::fs::read_dir(folder).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                name.to_str()
                    .is_some_and(|name| name.starts_with(beginning))
            })
        })
    };
    if has("/lib64", "ld-linux") || has("/lib", "ld-linux") {
        "glibc"
    } else if has("/lib", "ld-musl") {
        "musl"
    } else {
        "the system's"
    }
}
