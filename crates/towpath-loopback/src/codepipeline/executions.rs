//! Executions: start, stop, retry, look at.

use std::sync::Arc;

use serde_json::{Value, json};
use towpath_engine::constraint::{Rule, VARIABLE_PATTERN, is_variable_character};
use towpath_engine::definition::RetryMode;
use towpath_engine::{
    Execution, ExecutionId, Input, RetryRequest, SourceOverride, StageStatus, StartExecution,
    Trigger,
};
use uuid::Uuid;

use super::answer::{object, seconds, text};
use super::request::{Request, page};
use super::{CodePipeline, Pipeline, driver, find, find_mut};
use crate::{AwsError, Caller, World, input};

const VARIABLE: Rule = Rule::length(1, 128).of(VARIABLE_PATTERN, is_variable_character);
const VARIABLE_VALUE: Rule = Rule::length(1, 1000);
const REVISION: Rule = Rule::length(1, 1500);
const CLIENT_TOKEN: Rule =
    Rule::length(1, 128).of("^[a-zA-Z0-9-]+$", |c| c.is_ascii_alphanumeric() || c == '-');
const REASON: Rule = Rule::length(0, 200);

impl CodePipeline {
    pub(super) fn start_execution(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("name");
        let client_token = request.text("clientRequestToken", &CLIENT_TOKEN);
        let variables = request.list("variables", |variable| {
            (
                variable.required("name", &VARIABLE),
                variable.required("value", &VARIABLE_VALUE),
            )
        });
        let sources = request.list("sourceRevisions", |source| {
            let action = source.name("actionName");
            let kind = source.one_of(
                "revisionType",
                &[
                    "COMMIT_ID",
                    "IMAGE_DIGEST",
                    "S3_OBJECT_VERSION_ID",
                    "S3_OBJECT_KEY",
                ],
            );
            let value = source.required("revisionValue", &REVISION);
            (action, SourceOverride { kind, value })
        });
        request.finish()?;

        let execution = ExecutionId::new(Uuid::new_v4().to_string());
        let effects = {
            let mut state = self.lock();
            let pipeline = find_mut(&mut state, &name)?;
            if let Some(started) = client_token
                .as_ref()
                .and_then(|token| pipeline.starts.get(token))
            {
                return Ok(json!({"pipelineExecutionId": started.as_str()}));
            }
            let effects = self.handle(
                pipeline,
                Input::Start(StartExecution {
                    execution: execution.clone(),
                    variables: variables.into_iter().collect(),
                    sources: sources.into_iter().collect(),
                    trigger: Trigger {
                        kind: "StartPipelineExecution".into(),
                        detail: caller.arn(&world.settings.account),
                    },
                }),
            )?;
            if let Some(token) = client_token {
                pipeline.starts.insert(token, execution.clone());
            }
            effects
        };
        driver::perform(world, &name, effects);
        Ok(json!({"pipelineExecutionId": execution.as_str()}))
    }

    pub(super) fn stop_execution(
        &self,
        world: &Arc<World>,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("pipelineName");
        let execution = request.uuid("pipelineExecutionId");
        let reason = request.text("reason", &REASON);
        request.finish()?;
        let stop = Input::Stop {
            execution: ExecutionId::new(&*execution),
            abandon: input::flag(input, "abandon"),
            reason,
        };
        self.feed(world, &name, stop)?;
        Ok(json!({"pipelineExecutionId": execution}))
    }

    pub(super) fn retry_stage(&self, world: &Arc<World>, input: &Value) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("pipelineName");
        let stage = request.name("stageName");
        let execution = request.uuid("pipelineExecutionId");
        let mode = request.one_of("retryMode", &["FAILED_ACTIONS", "ALL_ACTIONS"]);
        request.finish()?;
        let retry = Input::Retry(RetryRequest {
            execution: ExecutionId::new(&*execution),
            stage,
            // One of the two: it was checked.
            mode: RetryMode::parse(&mode).unwrap_or(RetryMode::FailedActions),
        });
        self.feed(world, &name, retry)?;
        Ok(json!({"pipelineExecutionId": execution}))
    }

    pub(super) fn get_execution(&self, input: &Value) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("pipelineName");
        let id = request.uuid("pipelineExecutionId");
        request.finish()?;
        let state = self.lock();
        let pipeline = find(&state, &name)?;
        let execution = find_execution(pipeline, &name, &id)?;
        let revisions: Vec<Value> = execution
            .revisions()
            .map(|(_, artifact, revision)| {
                object(json!({
                    "name": artifact.name,
                    "revisionId": revision.id,
                    "revisionChangeIdentifier": revision.change,
                    "revisionSummary": text(revision.summary.as_ref()),
                    "created": revision.created.map(seconds),
                    "revisionUrl": revision.url,
                }))
            })
            .collect();
        let variables: Vec<Value> = execution
            .variables
            .iter()
            .map(|(name, value)| json!({"name": name, "resolvedValue": value}))
            .collect();
        Ok(json!({"pipelineExecution": object(json!({
            "pipelineName": name,
            "pipelineVersion": execution.version,
            "pipelineExecutionId": id,
            "status": execution.status.as_str(),
            "statusSummary": execution.summary,
            "artifactRevisions": revisions,
            "variables": variables,
            "trigger": trigger(execution),
            "executionMode": execution.definition.mode.as_str(),
            "executionType": "STANDARD",
        }))}))
    }

    pub(super) fn list_executions(&self, input: &Value) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("pipelineName");
        let most = request.integer("maxResults", 1, 100);
        let token = request.text("nextToken", &Rule::length(1, 2048));
        let stage = request.below("filter", |filter| {
            filter.below("succeededInStage", |filter| filter.name("stageName"))
        });
        request.finish()?;
        let stage = stage.flatten();
        let state = self.lock();
        let pipeline = find(&state, &name)?;
        let newest_first = pipeline
            .engine
            .executions()
            .iter()
            .rev()
            .filter(|execution| {
                stage.as_ref().is_none_or(|stage| {
                    execution.definition.stage(stage).is_some_and(|stage| {
                        execution.stages[stage].status == Some(StageStatus::Succeeded)
                    })
                })
            })
            .collect();
        let id = |execution: &&Execution| execution.id.as_str().to_owned();
        let (executions, next) = page(newest_first, id, most, token.as_deref())?;
        let summaries: Vec<Value> = executions.into_iter().map(summary).collect();
        Ok(object(json!({
            "pipelineExecutionSummaries": summaries,
            "nextToken": next,
        })))
    }
}

pub(super) fn find_execution<'a>(
    pipeline: &'a Pipeline,
    name: &str,
    id: &str,
) -> Result<&'a Execution, AwsError> {
    pipeline
        .engine
        .execution(&ExecutionId::new(id))
        .ok_or_else(|| {
            AwsError::client(
                "PipelineExecutionNotFoundException",
                format!("execution {id} does not exist in pipeline `{name}`"),
            )
        })
}

fn trigger(execution: &Execution) -> Value {
    json!({
        "triggerType": execution.trigger.kind,
        "triggerDetail": execution.trigger.detail,
    })
}

fn summary(execution: &Execution) -> Value {
    let revisions: Vec<Value> = execution
        .revisions()
        .map(|(run, _, revision)| {
            let stage = &execution.definition.stages[run.stage];
            object(json!({
                "actionName": stage.actions[run.action].name,
                "revisionId": revision.id,
                "revisionSummary": text(revision.summary.as_ref()),
                "revisionUrl": revision.url,
            }))
        })
        .collect();
    let stop = execution
        .stop
        .as_ref()
        .map(|stop| object(json!({"reason": stop.reason})));
    object(json!({
        "pipelineExecutionId": execution.id.as_str(),
        "status": execution.status.as_str(),
        "statusSummary": execution.summary,
        "startTime": seconds(execution.started),
        "lastUpdateTime": seconds(execution.updated),
        "sourceRevisions": revisions,
        "trigger": trigger(execution),
        "stopTrigger": stop,
        "executionMode": execution.definition.mode.as_str(),
        "executionType": "STANDARD",
    }))
}
