//! The installation itself: from a source tree to the tree of what was added. Knows nothing of S3 or of jobs.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use towpath_tool::{Limits, Workspace, run};

use crate::{
    InstallError, Parameters, collect,
    detect::{self, DetectError, Plan},
};

/// What was installed. Its text is the action's summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// How.
    pub plan: Plan,
    /// How many packages there are now.
    pub packages: usize,
    /// The size of all files that were added.
    pub bytes: u64,
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.bytes as f64 / 1e6;
        let plural = if self.packages == 1 { "" } else { "s" };
        write!(
            f,
            "{}: {} package{plural}, {megabytes:.1} MB",
            self.plan.name(),
            self.packages
        )?;
        self.plan
            .warning()
            .map_or(Ok(()), |warning| write!(f, " ({warning})"))
    }
}

/// Installs the dependencies of `source` and moves what was added to `added`, which must not exist.
pub async fn install(
    source: &Path,
    added: &Path,
    parameters: &Parameters,
    workspace: &Workspace,
    deadline: Instant,
) -> Result<Installed, InstallError> {
    let directory = source.join(&parameters.directory);
    let plan = plan(source, &directory, parameters)?;
    let shown = shown(&parameters.directory);
    tracing::info!(
        manager = plan.name(),
        "{} in {shown}, because {}",
        plan.name(),
        plan.reason()
    );
    if let Some(warning) = plan.warning() {
        tracing::warn!("{warning}");
    }
    let destination = directory.join(plan.destination());
    if destination.exists() {
        tracing::warn!("the source holds a {}; it is replaced", plan.destination());
    }
    let before = collect::Before::list(source, &destination)?;

    let limits = Limits {
        tail_bytes: TAIL_BYTES,
        ..Limits::until(deadline)
    };
    run(&plan.command(&directory, parameters), workspace, &limits).await?;

    let (source, into) = (source.to_owned(), added.to_owned());
    tokio::task::spawn_blocking(move || {
        let packages = collect::packages(&destination);
        before.move_added(&source, &into)?;
        let bytes = collect::size(&into);
        Ok(Installed {
            plan,
            packages,
            bytes,
        })
    })
    .await
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// npm may end a failure with more than a hundred lines on how to use it; the cause stands before them.
const TAIL_BYTES: usize = 16 * 1024;

fn plan(source: &Path, directory: &Path, parameters: &Parameters) -> Result<Plan, InstallError> {
    if !directory.is_dir() {
        let directory = parameters.directory.display().to_string();
        return Err(DetectError::NoDirectory { directory }.into());
    }
    let plan = detect::plan(
        &names(directory)?,
        parameters.manager,
        &shown(&parameters.directory),
    );
    Ok(plan.map_err(|error| match error {
        DetectError::Nothing {
            directory: shown,
            sought,
            ..
        } => DetectError::Nothing {
            directory: shown,
            sought,
            elsewhere: elsewhere(source, directory),
        },
        other => other,
    })?)
}

/// The names of the files in a directory.
fn names(directory: &Path) -> Result<BTreeSet<String>, InstallError> {
    let failed = |source| InstallError::Tree {
        path: directory.to_owned(),
        source,
    };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
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

fn shown(directory: &Path) -> String {
    if directory.as_os_str().is_empty() {
        "the root of the source".to_owned()
    } else {
        format!("`{}`", directory.display())
    }
}
