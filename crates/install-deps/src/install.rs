//! The installation itself: from a source tree to the tree of what was added. Knows nothing of S3 or of jobs.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Instant,
};

use towpath_tool::{Limits, ToolError, Workspace, run};

use crate::{
    Facts, InstallError, Parameters, Plan, Toolchain, collect,
    detect::{self, DetectError},
    mismatch, plan, portable,
    secret::{self, Values},
};

/// A plan, and the programs that can carry it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// What is to be done.
    pub plan: Plan,
    /// By which programs.
    pub tools: Toolchain,
}

/// What was installed. Its text is the action's summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// For each plan, what came of it.
    pub parts: Vec<Part>,
    /// The size of all files that were added.
    pub bytes: u64,
}

/// What one plan came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How: `npm ci`.
    pub name: &'static str,
    /// Where, relative to the root of the source.
    pub directory: PathBuf,
    /// How many packages there are now.
    pub packages: usize,
    /// What the reader should know.
    pub warnings: Vec<String>,
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        for (at, part) in self.parts.iter().enumerate() {
            let plural = if part.packages == 1 { "" } else { "s" };
            f.write_str(if at == 0 { "" } else { "; " })?;
            f.write_str(part.name)?;
            if self.parts.len() > 1 {
                write!(f, " in {}", plan::shown(&part.directory))?;
            }
            write!(f, ": {} package{plural}", part.packages)?;
        }
        write!(f, ", {megabytes:.1} MB")?;
        let warnings: Vec<&str> = self
            .parts
            .iter()
            .flat_map(|part| part.warnings.iter().map(String::as_str))
            .collect();
        if warnings.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", warnings.join("; "))
    }
}

/// Finds out what is to be done in `source`, says so, and finds the programs for it.
pub async fn prepare(
    source: &Path,
    parameters: &Parameters,
    workspace: &Workspace,
    deadline: Instant,
) -> Result<Vec<Prepared>, InstallError> {
    let plans = plans(source, parameters)?;
    for plan in &plans {
        tracing::info!(
            manager = plan.manager().name(),
            "{} in {}, because {}",
            plan.recipe.name(),
            plan.shown(),
            plan.recipe.reason
        );
    }
    let mut prepared = Vec::new();
    for plan in plans {
        let directory = source.join(&plan.directory);
        let tools = Toolchain::find(&plan, &directory, workspace, deadline).await?;
        prepared.push(Prepared { plan, tools });
    }
    Ok(prepared)
}

/// Carries out what was prepared in `source` and moves what was added to `added`, which must not exist.
pub async fn install(
    prepared: &[Prepared],
    source: &Path,
    added: &Path,
    parameters: &Parameters,
    secrets: &Values,
    workspace: &Workspace,
    deadline: Instant,
) -> Result<Installed, InstallError> {
    let destinations: Vec<PathBuf> = prepared
        .iter()
        .flat_map(|prepared| prepared.plan.destinations())
        .collect();
    for destination in &destinations {
        if portable::remove(&source.join(destination))? {
            tracing::warn!("the source holds {}; it is replaced", destination.display());
        }
    }
    let before = collect::Before::list(source)?;
    for prepared in prepared {
        carry_out(prepared, source, parameters, secrets, workspace, deadline).await?;
    }

    let (source, into) = (source.to_owned(), added.to_owned());
    let job = workspace.root().to_owned();
    let (prepared, secrets) = (prepared.to_vec(), secrets.clone());
    tokio::task::spawn_blocking(move || {
        before.move_added(&source, &into)?;
        // The inner ones first: what lies in the directory of one may be another's, who knows it better.
        let mut plans: Vec<&Plan> = prepared.iter().map(|prepared| &prepared.plan).collect();
        plans.sort_by_key(|plan| std::cmp::Reverse(plan.directory.components().count()));
        for plan in plans {
            portable::make(plan, &source, &job, &into)?;
        }
        secret::check(&into, &secrets)?;
        let parts = prepared.iter().map(|prepared| part(prepared, &into));
        Ok(Installed {
            parts: parts.collect(),
            bytes: collect::size(&into),
        })
    })
    .await
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn part(Prepared { plan, tools }: &Prepared, added: &Path) -> Part {
    let warnings = [&plan.recipe.warning, &tools.warning];
    Part {
        name: plan.recipe.name(),
        directory: plan.directory.clone(),
        packages: collect::packages(plan.manager(), &added.join(&plan.directory)),
        warnings: warnings.into_iter().flatten().cloned().collect(),
    }
}

async fn carry_out(
    Prepared { plan, tools }: &Prepared,
    source: &Path,
    parameters: &Parameters,
    secrets: &Values,
    workspace: &Workspace,
    deadline: Instant,
) -> Result<(), InstallError> {
    for warning in [&plan.recipe.warning, &tools.warning].into_iter().flatten() {
        tracing::warn!("{warning}");
    }
    let limits = Limits {
        tail_bytes: TAIL_BYTES,
        ..Limits::until(deadline)
    };
    let directory = source.join(&plan.directory);
    let disagree = |output: &str| InstallError::Mismatch {
        manifest: plan.recipe.manifests[0].clone(),
        lock: plan
            .recipe
            .lock
            .clone()
            .unwrap_or_else(|| detect::lock_of(plan.manager()).to_owned()),
        directory: plan.shown(),
        mend: mismatch::mend(plan.manager()),
        output: output.to_owned(),
    };
    for command in plan.commands(tools, parameters, &directory) {
        match run(&secrets.given_to(command), workspace, &limits).await {
            Ok(finished) if mismatch::is_told(plan.manager(), &finished.tail, true) => {
                return Err(disagree(&finished.tail));
            }
            Ok(_) => {}
            Err(ToolError::Exit { tail, .. })
                if mismatch::is_told(plan.manager(), &tail, false) =>
            {
                return Err(disagree(&tail));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// npm may end a failure with more than a hundred lines on how to use it; the cause stands before them.
const TAIL_BYTES: usize = 16 * 1024;

/// What is to be done, one plan for each directory and in the order of `dir`.
pub fn plans(source: &Path, parameters: &Parameters) -> Result<Vec<Plan>, InstallError> {
    let mut plans: Vec<Plan> = Vec::new();
    for directory in parameters.places() {
        let plan = plan_for(source, &directory, parameters)?;
        // Two members of one workspace are one installation.
        if !plans.iter().any(|known| known.directory == plan.directory) {
            plans.push(plan);
        }
    }
    Ok(plans)
}

fn plan_for(
    source: &Path,
    directory: &Path,
    parameters: &Parameters,
) -> Result<Plan, InstallError> {
    let path = source.join(directory);
    if !path.is_dir() {
        let directory = directory.display().to_string();
        return Err(DetectError::NoDirectory { directory }.into());
    }
    let facts = Facts::read(&path)?;
    let recipe = match detect::recipe(&facts, parameters.manager, &plan::shown(directory)) {
        Ok(recipe) => recipe,
        Err(DetectError::Nothing {
            directory,
            sought,
            has_pyproject,
            ..
        }) => {
            return Err(DetectError::Nothing {
                directory,
                sought,
                has_pyproject,
                elsewhere: elsewhere(source, &path),
            }
            .into());
        }
        Err(error) => return Err(error.into()),
    };
    let mut above = Vec::new();
    if recipe.lock.is_none() {
        for ancestor in directory.ancestors().skip(1) {
            above.push((plan::shown(ancestor), Facts::read(&source.join(ancestor))?));
        }
    }
    Ok(match detect::workspace_above(&recipe, directory, &above) {
        Some((at, recipe)) => Plan {
            directory: directory
                .ancestors()
                .nth(at + 1)
                .unwrap_or(Path::new(""))
                .to_owned(),
            recipe,
        },
        None => Plan {
            directory: directory.to_owned(),
            recipe,
        },
    })
}

/// Other directories of the source that could be installed, the nearest first.
fn elsewhere(source: &Path, directory: &Path) -> Vec<String> {
    const DEPTH: usize = 3;
    const MOST: usize = 5;
    let is_searched = |entry: &walkdir::DirEntry| {
        entry.depth() == 0
            || !entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with('.') || name == "node_modules")
    };
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(source)
        .max_depth(DEPTH)
        .into_iter()
        .filter_entry(is_searched)
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(detect::is_manifest))
        .filter_map(|entry| Some(entry.path().parent()?.to_owned()))
        .filter(|parent| parent != directory)
        .filter_map(|parent| Some(parent.strip_prefix(source).ok()?.to_owned()))
        .collect();
    found.sort_by_key(|path| (path.components().count(), path.clone()));
    found.dedup();
    let shown = |path: &PathBuf| {
        if path.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            path.display().to_string()
        }
    };
    found.iter().take(MOST).map(shown).collect()
}
