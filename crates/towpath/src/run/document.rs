//! How a run is reported at its end: one JSON document, or a page for a person.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_cloudformation::types::Stack;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use towpath_aws::SdkConfig;
use towpath_loopback::Loopback;

use crate::run::progress::{Tone, duration, style};
use crate::run::provision::{Pipeline, STACK};
use crate::run::watch::{Ending, Watched};
use crate::state::State;

/// The document. Its schema's name changes when a member changes its meaning.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    execution: String,
    status: &'static str,
    stages: Vec<StageReport>,
    artifacts: Vec<ArtifactReport>,
    outputs: BTreeMap<String, String>,
    fidelity: Value,
    /// The wall time from start to end: for the page, not for the document.
    #[serde(skip)]
    elapsed_ms: u64,
}

#[derive(Debug, Serialize)]
struct StageReport {
    name: String,
    status: &'static str,
    actions: Vec<ActionReport>,
}

#[derive(Debug, Serialize)]
struct ActionReport {
    name: String,
    status: String,
    summary: Option<String>,
    error: Option<String>,
    duration_ms: Option<u64>,
    invocations: u64,
    variables: BTreeMap<String, String>,
    /// The function that it calls: for the page, not for the document.
    #[serde(skip)]
    function: Option<String>,
}

#[derive(Debug, Serialize)]
struct ArtifactReport {
    name: String,
    path: PathBuf,
    sha256: String,
    bytes: u64,
}

impl Report {
    /// Collects what there is to say, and brings the artifacts to where a person looks for them.
    pub(crate) async fn gather(
        config: &SdkConfig,
        loopback: &Loopback,
        pipeline: &Pipeline,
        execution: &str,
        watched: &Watched,
        state: &State,
        elapsed: Duration,
    ) -> anyhow::Result<Self> {
        let invocations = invocations(&loopback.jobs(&pipeline.name, execution)?);
        let mut artifacts = Vec::new();
        let store = towpath_aws::s3(config);
        std::fs::create_dir_all(state.artifacts())?;
        for action in watched.view.stages.iter().flat_map(|stage| &stage.actions) {
            if action.status != "Succeeded" {
                continue;
            }
            for (name, bucket, key) in &action.artifacts {
                let object = store
                    .get_object()
                    .bucket(bucket)
                    .key(key)
                    .send()
                    .await
                    .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))
                    .with_context(|| format!("failed to fetch artifact {name}"))?;
                let bytes = object.body.collect().await?.into_bytes();
                let path = state.artifacts().join(format!("{name}.zip"));
                std::fs::write(&path, &bytes)
                    .with_context(|| format!("failed to write {}", path.display()))?;
                artifacts.push(ArtifactReport {
                    name: name.clone(),
                    path,
                    sha256: hex::encode(Sha256::digest(&bytes)),
                    bytes: bytes.len() as u64,
                });
            }
        }
        let stages = watched
            .view
            .stages
            .iter()
            .map(|stage| StageReport {
                name: stage.name.clone(),
                status: stage.status(),
                actions: stage
                    .actions
                    .iter()
                    .map(|action| ActionReport {
                        name: action.name.clone(),
                        status: action.status.clone(),
                        summary: action.summary.clone(),
                        error: action.error.clone(),
                        duration_ms: action.duration_ms(),
                        invocations: invocations
                            .get(&(stage.name.clone(), action.name.clone()))
                            .copied()
                            .unwrap_or(0),
                        variables: action.variables.clone(),
                        function: action.configuration.get("FunctionName").cloned(),
                    })
                    .collect(),
            })
            .collect();
        Ok(Self {
            schema: "towpath.run/1",
            execution: execution.to_owned(),
            status: match watched.ending {
                Ending::Succeeded => "Succeeded",
                Ending::Failed => "Failed",
                Ending::Reached | Ending::Stopped | Ending::Unattended => "Stopped",
                Ending::Rejected => "Rejected",
            },
            stages,
            artifacts,
            outputs: outputs(config).await?,
            fidelity: loopback.fidelity(),
            elapsed_ms: elapsed.as_millis() as u64,
        })
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("the report is plain data")
    }

    /// The page for a person.
    pub(crate) fn to_text(&self, state: &State, endpoint: &str, hold: bool) -> String {
        let mut text = String::new();
        let tone = match self.status {
            "Succeeded" => Tone::Good,
            "Stopped" => Tone::Strong,
            _ => Tone::Bad,
        };
        let _ = writeln!(
            text,
            "\n{} {}",
            style(self.status, tone),
            style(&format!("in {}", duration(self.elapsed_ms)), Tone::Quiet)
        );
        for stage in &self.stages {
            let _ = writeln!(text, "  {:<12} {}", stage.name, stage.status);
        }
        let _ = writeln!(text);
        for (name, value) in &self.outputs {
            let _ = writeln!(text, "{name}: {value}");
        }
        if !self.outputs.is_empty() && !hold {
            let _ = writeln!(
                text,
                "{}",
                style(
                    "(the application went down with this run; --hold keeps it up)",
                    Tone::Quiet
                )
            );
        }
        if hold {
            let _ = writeln!(text, "AWS:       {endpoint}");
        }
        let _ = writeln!(text, "Logs:      {}", near(&state.logs()));
        let _ = writeln!(text, "Artifacts: {}", near(&state.artifacts()));
        let _ = writeln!(
            text,
            "\n{}",
            style("How faithful this run was", Tone::Strong)
        );
        for word in ["executed", "simulated", "refused"] {
            let _ = writeln!(text, "  {word}:");
            let list = self.fidelity[word]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            if list.is_empty() {
                let _ = writeln!(text, "    nothing");
            }
            for entry in list.iter().filter_map(Value::as_str) {
                let _ = writeln!(text, "    {entry}");
            }
        }
        // Last, where the eye ends on a short terminal.
        for stage in &self.stages {
            for action in stage
                .actions
                .iter()
                .filter(|action| action.status == "Failed")
            {
                let error = action.error.as_deref().unwrap_or("no reason was given");
                let first = error.lines().next().unwrap_or_default();
                let place = format!("{}/{} failed:", stage.name, action.name);
                let _ = writeln!(text, "\n{} {first}", style(&place, Tone::Bad));
                if let Some(function) = &action.function {
                    let log = state.logs().join("aws/lambda").join(function);
                    let _ = writeln!(text, "its whole log: {}", near(&log));
                }
            }
        }
        text
    }
}

/// The path as it is shortest from here.
fn near(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let near = here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    near.as_deref().unwrap_or(path).display().to_string()
}

/// How often a function was called for each action, by stage and action.
fn invocations(jobs: &Value) -> BTreeMap<(String, String), u64> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    jobs.as_array()
        .into_iter()
        .flatten()
        .map(|job| {
            (
                (text(&job["stage"]), text(&job["action"])),
                job["invocations"].as_u64().unwrap_or(0),
            )
        })
        .collect()
}

/// The outputs of the application's stack: the one that was deployed last and still exists.
async fn outputs(config: &SdkConfig) -> anyhow::Result<BTreeMap<String, String>> {
    let stacks = CloudFormation::new(config)
        .describe_stacks()
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .map_err(|error| anyhow!(aws_sdk_cloudformation::Error::from(error)))
        .context("failed to list the stacks")?;
    let last = stacks
        .into_iter()
        .filter(|stack| stack.stack_name() != Some(STACK))
        .max_by_key(|stack| {
            stack
                .last_updated_time()
                .or(stack.creation_time())
                .copied()
                .map(|at| at.as_nanos())
        });
    Ok(last
        .iter()
        .flat_map(Stack::outputs)
        .filter_map(|output| {
            Some((
                output.output_key()?.to_owned(),
                output.output_value()?.to_owned(),
            ))
        })
        .collect())
}
