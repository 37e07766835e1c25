//! Watches an execution to its end, and answers its approvals.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{
    ActionExecutionFilter, ActionExecutionOutput, ApprovalResult, ApprovalStatus,
};

use crate::run::approval::{Answer, Approvals};
use crate::run::progress::{Event, Reporter};
use crate::run::provision::Pipeline;
use crate::run::view::{ActionView, NOT_STARTED, StageView, View, events, is_over};

/// How often the execution is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What is watched, and how.
pub(crate) struct Watch<'a> {
    pub(crate) client: &'a Client,
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) execution: &'a str,
    /// Stop after this stage.
    pub(crate) until: Option<&'a str>,
    pub(crate) approvals: Approvals,
    pub(crate) reporter: &'a Reporter,
}

/// How the watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The execution succeeded.
    Succeeded,
    /// The stage that `--until` names succeeded.
    Reached,
    /// An action failed.
    Failed,
    /// The execution was stopped by somebody.
    Stopped,
    /// A person rejected it.
    Rejected,
    /// An approval waits, and nobody can give it.
    Unattended,
}

/// What was last seen, and how it ended.
pub(crate) struct Watched {
    pub(crate) view: View,
    pub(crate) ending: Ending,
}

/// Looks until the execution ends.
pub(crate) async fn watch(watch: &Watch<'_>) -> anyhow::Result<Watched> {
    let mut seen = View::default();
    let mut rejected = false;
    let mut answered = Vec::new();
    loop {
        let view = look(watch).await?;
        for event in events(&seen, &view) {
            watch.reporter.event(&event);
        }
        seen = view;
        if let Some(ending) = ending(&seen, watch.until, rejected) {
            if ending == Ending::Reached {
                stop(watch, "the stage that --until names has ended").await?;
            }
            return Ok(Watched { view: seen, ending });
        }
        for Waiting {
            stage,
            action,
            token,
            about,
        } in waiting(&seen)
        {
            if answered.contains(&token) {
                continue;
            }
            match answer(watch, &stage, &action, about).await? {
                Answer::Nobody => {
                    watch.reporter.event(&Event::Note(format!(
                        "{stage}/{action} waits for an approval that nobody can give here; run again with --approve {action}, or at a terminal"
                    )));
                    stop(watch, "nobody can approve").await?;
                    return Ok(Watched {
                        view: seen,
                        ending: Ending::Unattended,
                    });
                }
                verdict => {
                    rejected |= verdict == Answer::Reject;
                    put(watch, &stage, &action, &token, &verdict).await?;
                    answered.push(token);
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How the execution has ended, if it has.
fn ending(view: &View, until: Option<&str>, rejected: bool) -> Option<Ending> {
    let reached = until.is_some_and(|name| {
        view.stages
            .iter()
            .any(|stage| stage.name == name && stage.status() == "Succeeded")
    });
    match view.status.as_str() {
        "Succeeded" => Some(Ending::Succeeded),
        _ if reached => Some(Ending::Reached),
        "Failed" if rejected => Some(Ending::Rejected),
        "Failed" => Some(Ending::Failed),
        "Stopped" | "Cancelled" | "Superseded" => Some(Ending::Stopped),
        _ => None,
    }
}

/// A manual approval that waits.
struct Waiting {
    stage: String,
    action: String,
    token: String,
    /// What it asks, in the pipeline's words.
    about: Option<String>,
}

fn waiting(view: &View) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for stage in &view.stages {
        for action in stage
            .actions
            .iter()
            .filter(|action| !is_over(&action.status))
        {
            if let Some(token) = &action.token {
                waiting.push(Waiting {
                    stage: stage.name.clone(),
                    action: action.name.clone(),
                    token: token.clone(),
                    about: action.configuration.get("CustomData").cloned(),
                });
            }
        }
    }
    waiting
}

async fn answer(
    watch: &Watch<'_>,
    stage: &str,
    action: &str,
    about: Option<String>,
) -> anyhow::Result<Answer> {
    // A log that nobody was asked in still says what was approved, or what waits.
    if let Some(about) = about {
        let question = format!("{stage}/{action} asks: {about}");
        watch.reporter.event(&Event::Note(question));
    }
    if watch.approvals.given(stage, action) {
        return Ok(Answer::Approve);
    }
    watch.reporter.clear();
    let (stage, action) = (stage.to_owned(), action.to_owned());
    // The prompt blocks; on Ctrl-C the thread is left behind and ends with the program.
    let (told, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = told.send(Approvals::ask(&stage, &action));
    });
    answered.await.context("the prompt ended without an answer")
}

async fn put(
    watch: &Watch<'_>,
    stage: &str,
    action: &str,
    token: &str,
    verdict: &Answer,
) -> anyhow::Result<()> {
    let (status, word) = match verdict {
        Answer::Approve => (ApprovalStatus::Approved, "approved"),
        Answer::Reject | Answer::Nobody => (ApprovalStatus::Rejected, "rejected"),
    };
    watch
        .reporter
        .event(&Event::Note(format!("{stage}/{action} {word}")));
    watch
        .client
        .put_approval_result()
        .pipeline_name(&watch.pipeline.name)
        .stage_name(stage)
        .action_name(action)
        .token(token)
        .result(
            ApprovalResult::builder()
                .status(status)
                .summary(format!("{word} on the command line of towpath run"))
                .build()?,
        )
        .send()
        .await
        .map_err(|error| anyhow!(aws_sdk_codepipeline::Error::from(error)))
        .with_context(|| format!("failed to answer approval {stage}/{action}"))?;
    Ok(())
}

async fn stop(watch: &Watch<'_>, reason: &str) -> anyhow::Result<()> {
    let stopped = watch
        .client
        .stop_pipeline_execution()
        .pipeline_name(&watch.pipeline.name)
        .pipeline_execution_id(watch.execution)
        .abandon(true)
        .reason(reason)
        .send()
        .await;
    match stopped.map_err(aws_sdk_codepipeline::Error::from) {
        // It has come to its end meanwhile.
        Ok(_) | Err(aws_sdk_codepipeline::Error::PipelineExecutionNotStoppableException(_)) => {
            Ok(())
        }
        Err(error) => Err(error).context("failed to stop the execution"),
    }
}

/// One look at the execution: its status, its actions, and what only the pipeline's state tells.
async fn look(watch: &Watch<'_>) -> anyhow::Result<View> {
    let name = &watch.pipeline.name;
    let execution = watch
        .client
        .get_pipeline_execution()
        .pipeline_name(name)
        .pipeline_execution_id(watch.execution)
        .send()
        .await
        .map_err(|error| anyhow!(aws_sdk_codepipeline::Error::from(error)))
        .context("failed to look at the execution")?;
    let status = execution
        .pipeline_execution()
        .and_then(|execution| execution.status())
        .map(|status| status.as_str().to_owned())
        .unwrap_or_default();
    let mut actions = executed(watch).await?;
    state(watch, &mut actions).await?;
    let stages = watch
        .pipeline
        .stages
        .iter()
        .map(|stage| StageView {
            name: stage.name.clone(),
            actions: stage
                .actions
                .iter()
                .map(|action| {
                    actions
                        .remove(&(stage.name.clone(), action.clone()))
                        .unwrap_or_else(|| ActionView {
                            name: action.clone(),
                            status: NOT_STARTED.to_owned(),
                            ..ActionView::default()
                        })
                })
                .collect(),
        })
        .collect();
    Ok(View { status, stages })
}

type Actions = BTreeMap<(String, String), ActionView>;

async fn executed(watch: &Watch<'_>) -> anyhow::Result<Actions> {
    let mut actions = Actions::new();
    let mut pages = watch
        .client
        .list_action_executions()
        .pipeline_name(&watch.pipeline.name)
        .filter(
            ActionExecutionFilter::builder()
                .pipeline_execution_id(watch.execution)
                .build(),
        )
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page
            .map_err(|error| anyhow!(aws_sdk_codepipeline::Error::from(error)))
            .context("failed to list the execution's actions")?;
        for detail in page.action_execution_details() {
            let (Some(stage), Some(action)) = (detail.stage_name(), detail.action_name()) else {
                continue;
            };
            let output = detail.output();
            let result = output.and_then(|output| output.execution_result());
            let view = ActionView {
                name: action.to_owned(),
                status: detail
                    .status()
                    .map(|status| status.as_str().to_owned())
                    .unwrap_or_default(),
                summary: result
                    .and_then(|result| result.external_execution_summary())
                    .map(str::to_owned),
                error: result
                    .and_then(|result| result.error_details())
                    .and_then(|details| details.message())
                    .map(str::to_owned),
                started: detail
                    .start_time()
                    .map(aws_sdk_codepipeline::primitives::DateTime::as_secs_f64),
                updated: detail
                    .last_update_time()
                    .map(aws_sdk_codepipeline::primitives::DateTime::as_secs_f64),
                percent: None,
                token: None,
                configuration: detail
                    .input()
                    .and_then(|input| input.resolved_configuration())
                    .map(|all| all.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
                    .unwrap_or_default(),
                variables: output
                    .and_then(|output| output.output_variables())
                    .map(|all| all.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
                    .unwrap_or_default(),
                artifacts: output
                    .map(ActionExecutionOutput::output_artifacts)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|artifact| {
                        let location = artifact.s3_location()?;
                        Some((
                            artifact.name()?.to_owned(),
                            location.bucket()?.to_owned(),
                            location.key()?.to_owned(),
                        ))
                    })
                    .collect(),
            };
            // The newest comes first: an older attempt does not hide it.
            actions
                .entry((stage.to_owned(), action.to_owned()))
                .or_insert(view);
        }
    }
    Ok(actions)
}

/// What only the pipeline's state tells: tokens of approvals, percent and summary on the way.
async fn state(watch: &Watch<'_>, actions: &mut Actions) -> anyhow::Result<()> {
    let state = watch
        .client
        .get_pipeline_state()
        .name(&watch.pipeline.name)
        .send()
        .await
        .map_err(|error| anyhow!(aws_sdk_codepipeline::Error::from(error)))
        .context("failed to look at the pipeline's state")?;
    for stage in state.stage_states() {
        let ours = stage
            .latest_execution()
            .is_some_and(|latest| latest.pipeline_execution_id() == watch.execution);
        if !ours {
            continue;
        }
        for action in stage.action_states() {
            let key = (
                stage.stage_name().unwrap_or_default().to_owned(),
                action.action_name().unwrap_or_default().to_owned(),
            );
            let (Some(latest), Some(view)) = (action.latest_execution(), actions.get_mut(&key))
            else {
                continue;
            };
            view.token = latest.token().map(str::to_owned);
            view.percent = latest.percent_complete();
            if view.summary.is_none() {
                view.summary = latest.summary().map(str::to_owned);
            }
            if view.error.is_none() {
                view.error = latest
                    .error_details()
                    .and_then(|details| details.message())
                    .map(str::to_owned);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_ends_in_one_of_six_ways() {
        let view = |status: &str, acceptance: &str| View {
            status: status.into(),
            stages: vec![StageView {
                name: "Acceptance".into(),
                actions: vec![ActionView {
                    status: acceptance.into(),
                    ..ActionView::default()
                }],
            }],
        };
        for (status, acceptance, until, rejected, expected) in [
            ("InProgress", "InProgress", None, false, None),
            (
                "Succeeded",
                "Succeeded",
                None,
                false,
                Some(Ending::Succeeded),
            ),
            (
                "InProgress",
                "Succeeded",
                Some("Acceptance"),
                false,
                Some(Ending::Reached),
            ),
            ("InProgress", "InProgress", Some("Acceptance"), false, None),
            (
                "Failed",
                "Failed",
                Some("Acceptance"),
                false,
                Some(Ending::Failed),
            ),
            ("Failed", "Failed", None, true, Some(Ending::Rejected)),
            ("Stopped", "Abandoned", None, false, Some(Ending::Stopped)),
            (
                "Superseded",
                "NotStarted",
                None,
                false,
                Some(Ending::Stopped),
            ),
        ] {
            assert_eq!(
                ending(&view(status, acceptance), until, rejected),
                expected,
                "{status}"
            );
        }
    }
}
