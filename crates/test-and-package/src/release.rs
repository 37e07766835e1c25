//! The release is written down: beside the packaged template, and in the release bucket for good.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use towpath_artifact::{Encryption, Location, Source, Store};
use towpath_release::{Made, Release, ReleaseId};
use towpath_tool::{Command, Limits, Workspace, run};

use crate::error::ActionError;
use crate::package::{Packaged, stage};
use crate::parameters::{Parameters, Work};

/// The document's path in the output artifact.
pub(crate) const DOCUMENT: &str = "release.json";

/// Beside it: the files in the release's archives.
pub(crate) const CONTENTS: &str = "contents.json";

/// In front of the ids in the release bucket.
const PREFIX: &str = "releases";

/// What a build was: for the document.
pub(crate) struct Build<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) figures: &'a [(&'static str, String)],
    pub(crate) tools: BTreeMap<String, String>,
}

/// Writes the release's document to `staged`, and its identity to the release bucket, under its
/// id. That is the digest of what is stored, so an object there never becomes another one.
pub(crate) async fn record(
    packaged: &Packaged,
    build: Build<'_>,
    store: &Store,
    (staged, scratch): (&Path, &Path),
) -> Result<ReleaseId, ActionError> {
    let figures = build
        .figures
        .iter()
        .map(|(name, figure)| ((*name).to_owned(), figure.clone()));
    let made = Made {
        by: concat!("towpath ", env!("CARGO_PKG_VERSION")).to_owned(),
        execution: build.parameters.execution.clone(),
        bucket: packaged.bucket.clone(),
        template: Some(packaged.template.clone()),
        objects: packaged.stored.clone(),
        tools: build.tools,
        tasks: match &build.parameters.work {
            Work::Tasks { names, .. } => names.clone(),
            // Its text may be long, and is in the pipeline's definition.
            Work::Command(_) => vec!["command".to_owned()],
        },
        figures: figures.collect(),
    };
    let identity = &packaged.identity;
    let release = Release::new(identity.clone(), made);
    stage(staged, Path::new(DOCUMENT), release.text().as_bytes())?;
    let contents = packaged.contents.text();
    stage(staged, Path::new(CONTENTS), contents.as_bytes())?;
    let Some(bucket) = &packaged.bucket else {
        return Ok(release.id);
    };
    let encryption = Encryption::Bucket;
    // A convenience of whoever compares, so that it fails nothing; and there before what it belongs to.
    let key = format!("{PREFIX}/{}.contents.json", release.id);
    let location = Location { bucket, key: &key };
    if store.look(location).await.is_err() {
        let source = scratch.join(CONTENTS);
        stage(scratch, Path::new(CONTENTS), contents.as_bytes())?;
        let stored = store.publish(Source::Verbatim(&source), location, &encryption);
        if let Err(error) = stored.await {
            tracing::warn!(key, %error, "the files of the release's archives are not recorded");
        }
    }
    stage(scratch, Path::new(DOCUMENT), &identity.canonical())?;
    let identity = scratch.join(DOCUMENT);
    let source = Source::Verbatim(&identity);
    let stored = store.deposit(source, bucket, PREFIX, &encryption).await?;
    tracing::info!(
        key = stored.key,
        uploaded = stored.uploaded,
        "the release is in the release bucket"
    );
    Ok(release.id)
}

/// The tools that may have been at work, by files beside which they are used.
const TOOLS: [(&str, &str); 13] = [
    ("package.json", "node"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
    ("yarn.lock", "yarn"),
    ("pnpm-lock.yaml", "pnpm"),
    ("pyproject.toml", "python3"),
    ("requirements.txt", "python3"),
    ("uv.lock", "uv"),
    ("poetry.lock", "poetry"),
    ("Cargo.toml", "cargo"),
    ("go.mod", "go"),
    ("pom.xml", "mvn"),
    ("pom.xml", "java"),
];

/// How long a tool may take to tell its version: some would install another one first, and a job has better things to
/// do with its time.
const TELLING: Duration = Duration::from_secs(10);

/// The versions of the tools that the project's files speak of. One that does not answer is left out: whether it is
/// needed is for the tasks to say.
pub(crate) async fn tools(
    project: &Path,
    workspace: &Workspace,
    deadline: Instant,
) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for (file, program) in TOOLS {
        if versions.contains_key(program) || !project.join(file).is_file() {
            continue;
        }
        let command = Command::new(program, project).arg(if program == "go" {
            "version"
        } else {
            "--version"
        });
        let limits = Limits {
            grace: Duration::ZERO,
            ..Limits::until(deadline.min(Instant::now() + TELLING))
        };
        match run(&command, workspace, &limits).await {
            Ok(finished) => {
                let line = finished.tail.lines().find(|line| !line.trim().is_empty());
                let version = line.unwrap_or_default().trim().to_owned();
                versions.insert(program.to_owned(), version);
            }
            Err(error) => tracing::debug!(program, %error, "no version"),
        }
    }
    versions
}
