//! `action=site`: puts a tree of files into a bucket of the stack.
//!
//! Every file is under its path, with a content type and a word on caching. Assets come first,
//! then pages, `index.html` last of them, then `config.json`, and only then what is no longer in
//! the tree is removed: at every moment what a page refers to is there. What is unchanged is not
//! sent again, so a step that is repeated, or goes on where another was cut off, just does the
//! whole anew and finds most of it done.

mod error;
mod objects;
mod plan;

use aws_sdk_cloudformation::Client;
use serde::{Deserialize, Serialize};
use towpath_job::parameters::{ParameterError, Query};
use towpath_job::{Job, Outcome, Progress, Variables};
use towpath_stack::step::{self, Goal, Kind, Preparation};
use towpath_stack::{NESTED_DEPTH, Observed, STACK_TYPE, Stack, describe, resources};

pub use error::SiteError;
pub use objects::{Bucket, Counts, Put};
use plan::CONFIG;
pub use plan::{Caching, File, Rank, files};

use crate::{DeployError, DeployStack, Pace, Parameters};

/// What is put where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// `site=Artifact` or `site=Artifact::folder`: the artifact.
    pub artifact: String,
    /// The folder in it; empty for all of it.
    pub folder: String,
    /// `bucket=`: the output of the stack that names the bucket.
    pub bucket: String,
    /// `site-config=`: the outputs of the stack that go into `config.json`.
    pub config: Vec<String>,
    /// `immutable=` and `cache=`: how long what may be kept.
    pub caching: Caching,
}

impl Site {
    pub(crate) fn from_query(query: &mut Query) -> Result<Option<Self>, ParameterError> {
        let site = query.take_filled("site");
        let bucket = query.take_filled("bucket");
        let config = query.take_list("site-config");
        let immutable = query.take_list("immutable");
        let cache = query.take_duration("cache")?;
        let Some(site) = site else {
            let others = bucket.is_some() || !config.is_empty() || !immutable.is_empty();
            return if others || cache.is_some() {
                Err(ParameterError::Missing("site".into()))
            } else {
                Ok(None)
            };
        };
        let (artifact, folder) = if site.contains("::") {
            let path: towpath_job::ArtifactPath = site.parse().map_err(|_| {
                ParameterError::invalid("site", &site, "of the form Artifact or Artifact::folder")
            })?;
            (path.artifact, path.path)
        } else {
            (site, String::new())
        };
        Ok(Some(Self {
            artifact,
            folder,
            bucket: bucket.ok_or_else(|| ParameterError::Missing("bucket".into()))?,
            config,
            caching: Caching {
                immutable,
                others: cache.unwrap_or_default(),
            },
        }))
    }
}

/// What this attempt has done so far: the state of the continuation token.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    counts: Counts,
}

pub(crate) async fn step(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
) -> Result<Outcome, DeployError> {
    let mut state = job.state::<State>()?.unwrap_or_default();
    match advance(action, client, job, &mut state).await {
        Ok(None) => done(job, &state.counts),
        Ok(Some(told)) => Ok(wait(&state, told)),
        // Nothing goes on without us here.
        Err(error) => match error.passing(false) {
            Some(told) => Ok(wait(&state, told.to_owned())),
            None => Err(error),
        },
    }
}

fn wait(state: &State, told: String) -> Outcome {
    Outcome::Continue {
        state: serde_json::to_value(state).expect("the state is plain data"),
        progress: Progress::new(told),
    }
}

/// What there is still to do, in words; nothing when the site is there.
async fn advance(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
    state: &mut State,
) -> Result<Option<String>, DeployError> {
    let parameters = &job.parameters;
    let name = &parameters.stack;
    let site = parameters
        .site
        .as_ref()
        .expect("parameters of a site have one");
    let stack = match describe(client, name).await? {
        Observed::Absent => return Err(SiteError::NoStack(name.clone()).into()),
        Observed::Present(stack) => stack,
    };
    match step::prepare(Some(stack.status), Goal::Plan) {
        Preparation::Proceed(Kind::Update) => {}
        Preparation::Wait => {
            return Ok(Some(format!(
                "waiting for stack `{name}`, which is {}",
                stack.status
            )));
        }
        _ => {
            return Err(SiteError::NotComplete {
                stack: name.clone(),
                status: stack.status,
            }
            .into());
        }
    }
    let bucket = bucket(client, &stack, &site.bucket).await?;
    let config = plan::config(&stack, &site.config)?;
    let scratch = tempfile::tempdir().map_err(SiteError::Disk)?;
    let tree = scratch.path().join("site");
    job.fetch(job.input(&site.artifact)?, &tree).await?;
    let mut files = files(&tree, &site.folder, &site.caching)?;
    if let Some(text) = config {
        if files.iter().any(|file| file.key == CONFIG) {
            return Err(SiteError::TwoConfigs.into());
        }
        files.push(File::config(scratch.path(), &text)?);
    }
    files.sort_by(|a, b| (a.rank, &a.key).cmp(&(b.rank, &b.key)));
    let bucket = Bucket::new(
        action.s3(parameters.region.as_deref()),
        bucket,
        Pace::until(job.work_deadline()),
    );
    match bucket.fill(&files, &mut state.counts).await? {
        Put::Wholly => Ok(None),
        Put::Partly => Ok(Some(format!(
            "{} files are put into bucket `{}`",
            state.counts.sent, bucket.name
        ))),
    }
}

/// The bucket that an output names: one of this stack or of its nested stacks, and no other.
async fn bucket(client: &Client, stack: &Stack, output: &str) -> Result<String, DeployError> {
    let Some(bucket) = stack.outputs.get(output) else {
        return Err(SiteError::NoOutput {
            stack: stack.name.clone(),
            output: output.to_owned(),
            known: stack.outputs.keys().cloned().collect(),
        }
        .into());
    };
    let mut level = vec![stack.arn.clone()];
    for _ in 0..=NESTED_DEPTH {
        let mut below = Vec::new();
        for stack in level {
            for resource in resources::list(client, &stack).await? {
                if !resource.exists() {
                    continue;
                }
                match resource.resource_type.as_str() {
                    "AWS::S3::Bucket" if resource.physical_id.as_ref() == Some(bucket) => {
                        return Ok(bucket.clone());
                    }
                    STACK_TYPE => below.extend(resource.physical_id),
                    _ => {}
                }
            }
        }
        level = below;
    }
    Err(SiteError::ForeignBucket {
        stack: stack.name.clone(),
        output: output.to_owned(),
        bucket: bucket.clone(),
    }
    .into())
}

fn done(job: &Job<Parameters>, counts: &Counts) -> Result<Outcome, DeployError> {
    let mut variables = Variables::new();
    for (name, value) in [
        ("Uploaded", counts.sent),
        ("Unchanged", counts.same),
        ("Removed", counts.removed),
    ] {
        variables
            .insert(name, value.to_string())
            .map_err(DeployError::Variable)?;
    }
    Ok(Outcome::Done {
        summary: format!(
            "the site of stack `{}`: {} uploaded, {} unchanged, {} removed",
            job.parameters.stack, counts.sent, counts.same, counts.removed
        ),
        variables,
        receipts: Vec::new(),
        external_id: None,
    })
}
