//! What can be seen of stages, actions and jobs.

use serde_json::{Value, json};
use towpath_engine::constraint::Rule;
use towpath_engine::definition::{Action, ExecutionMode, Provider, Stage};
use towpath_engine::{ActionRun, Engine, Execution, Failure, StageRun, StageState, StageStatus};

use super::answer::{action_type, listed_artifact, object, seconds, text};
use super::executions::find_execution;
use super::request::{Request, page};
use super::transitions::transition_state;
use super::{CodePipeline, Pipeline, find};
use crate::{AwsError, World};

impl CodePipeline {
    pub(super) fn get_state(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("name");
        request.finish()?;
        let state = self.lock();
        let pipeline = find(&state, &name)?;
        let engine = &pipeline.engine;
        let stages: Vec<Value> = engine
            .definition()
            .stages
            .iter()
            .zip(engine.stages())
            .enumerate()
            .map(|(index, (stage, state))| stage_state(world, engine, index, stage, &state))
            .collect();
        Ok(json!({
            "pipelineName": name,
            "pipelineVersion": engine.version(),
            "stageStates": stages,
            "created": seconds(pipeline.created),
            "updated": seconds(pipeline.updated),
        }))
    }

    pub(super) fn list_actions(&self, input: &Value) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("pipelineName");
        let most = request.integer("maxResults", 1, 100);
        let token = request.text("nextToken", &Rule::length(1, 2048));
        let filter = request.below("filter", |filter| {
            let execution = filter
                .text("pipelineExecutionId", &Rule::length(0, 100))
                .map(|_| (filter.uuid("pipelineExecutionId"), false));
            let latest = filter.below("latestInPipelineExecution", |latest| {
                let execution = latest.uuid("pipelineExecutionId");
                let range = latest.one_of("startTimeRange", &["Latest", "All"]);
                (execution, range == "Latest")
            });
            execution.or(latest)
        });
        request.finish()?;

        let state = self.lock();
        let pipeline = find(&state, &name)?;
        let runs: Vec<(&Execution, &ActionRun)> = match filter.flatten() {
            None => pipeline
                .engine
                .executions()
                .iter()
                .flat_map(|execution| execution.log.iter().map(move |run| (execution, run)))
                .collect(),
            Some((id, latest)) => {
                let execution = find_execution(pipeline, &name, &id)?;
                execution
                    .log
                    .iter()
                    .filter(|run| !latest || is_latest(execution, run))
                    .map(|run| (execution, run))
                    .collect()
            }
        };
        let newest_first = runs.into_iter().rev().collect();
        let id = |(_, run): &(&Execution, &ActionRun)| run.id.as_str().to_owned();
        let (runs, next) = page(newest_first, id, most, token.as_deref())?;
        let details: Vec<Value> = runs
            .into_iter()
            .map(|(execution, run)| action_detail(execution, run))
            .collect();
        Ok(object(
            json!({"actionExecutionDetails": details, "nextToken": next}),
        ))
    }

    /// For the control endpoint: the jobs of every action, retried attempts included. Without a
    /// pipeline it is every pipeline's; without an execution, every execution's.
    pub(crate) fn jobs(
        &self,
        pipeline: Option<&str>,
        execution: Option<&str>,
    ) -> Result<Value, AwsError> {
        let state = self.lock();
        let pipelines: Vec<(&String, &Pipeline)> = match pipeline {
            None => state.pipelines.iter().collect(),
            Some(name) => {
                find(&state, name)?;
                state.pipelines.get_key_value(name).into_iter().collect()
            }
        };
        let mut actions = Vec::new();
        for (name, pipeline) in pipelines {
            match execution {
                None => {
                    for execution in pipeline.engine.executions() {
                        actions.extend(jobs_of(name, execution));
                    }
                }
                Some(id) => actions.extend(jobs_of(name, find_execution(pipeline, name, id)?)),
            }
        }
        Ok(Value::Array(actions))
    }
}

fn jobs_of(pipeline: &str, execution: &Execution) -> Vec<Value> {
    let mut actions = Vec::new();
    for (index, stage) in execution.definition.stages.iter().enumerate() {
        for (number, action) in stage.actions.iter().enumerate() {
            let ids: Vec<&str> = execution
                .log
                .iter()
                .filter(|run| (run.stage, run.action) == (index, number))
                .flat_map(|run| run.jobs.iter().map(|job| job.id.as_str()))
                .collect();
            actions.push(json!({
                "pipeline": pipeline,
                "execution": execution.id.as_str(),
                "stage": stage.name,
                "action": action.name,
                "invocations": ids.len(),
                "job_ids": ids,
            }));
        }
    }
    actions
}

fn is_latest(execution: &Execution, run: &ActionRun) -> bool {
    execution
        .current(&execution.stages[run.stage])
        .flatten()
        .any(|current| current.id == run.id)
}

fn stage_state(
    world: &World,
    engine: &Engine,
    index: usize,
    stage: &Stage,
    state: &StageState<'_>,
) -> Value {
    // Executions side by side have no common state (User Guide, execution modes).
    let parallel = engine.definition().mode == ExecutionMode::Parallel;
    let inbound: Vec<Value> = state
        .waiters()
        .map(|execution| stage_execution(execution, StageStatus::InProgress))
        .collect();
    let latest = state.latest.filter(|_| !parallel).and_then(|execution| {
        let status = stage_run(execution, stage, index)?.status?;
        Some(stage_execution(execution, status))
    });
    let retries = state
        .latest
        .filter(|_| !parallel)
        .and_then(|execution| retries(stage_run(execution, stage, index)?));
    let actions: Vec<Value> = stage
        .actions
        .iter()
        .map(|action| {
            let run = engine
                .latest_run(&stage.name, &action.name)
                .filter(|_| !parallel);
            action_state(world, action, run)
        })
        .collect();
    object(json!({
        "stageName": stage.name,
        "inboundExecution": inbound.first(),
        "inboundExecutions": inbound,
        "inboundTransitionState": transition_state(state.transition),
        "actionStates": actions,
        "latestExecution": latest,
        "retryStageMetadata": retries,
    }))
}

/// The execution's run of this stage; after an update its place may be another.
fn stage_run<'a>(execution: &'a Execution, stage: &Stage, index: usize) -> Option<&'a StageRun> {
    let place = execution.definition.stage(&stage.name).unwrap_or(index);
    execution.stages.get(place)
}

fn stage_execution(execution: &Execution, status: StageStatus) -> Value {
    json!({
        "pipelineExecutionId": execution.id.as_str(),
        "status": status.as_str(),
        "type": "STANDARD",
    })
}

fn retries(run: &StageRun) -> Option<Value> {
    let (automatic, manual) = (run.automatic_retries, run.manual_retries);
    (automatic + manual > 0).then(|| {
        let attempts = |count: u32| (count > 0).then_some(count);
        object(json!({
            "autoStageRetryAttempt": attempts(automatic),
            "manualStageRetryAttempt": attempts(manual),
            "latestRetryTrigger": if manual > 0 { "ManualStageRetry" } else { "AutomatedStageRetry" },
        }))
    })
}

fn action_state(world: &World, action: &Action, run: Option<&ActionRun>) -> Value {
    let region = &world.settings.region;
    let entity = match action.provider {
        Provider::Lambda => action.configuration.get("FunctionName").map(|name| {
            format!("https://console.aws.amazon.com/lambda/home?region={region}#/functions/{name}")
        }),
        Provider::Connection | Provider::S3Source | Provider::Approval => None,
    };
    let revision = run.and_then(|run| {
        let revision = run.revision.as_ref()?;
        Some(json!({
            "revisionId": revision.id,
            "revisionChangeId": revision.change.as_ref().unwrap_or(&revision.id),
            "created": seconds(revision.created.unwrap_or(run.started)),
        }))
    });
    object(json!({
        "actionName": action.name,
        "currentRevision": revision,
        "latestExecution": run.map(latest_execution),
        "entityUrl": entity,
        "revisionUrl": run.and_then(|run| run.revision.as_ref()?.url.clone()),
    }))
}

fn latest_execution(run: &ActionRun) -> Value {
    let waiting = run
        .approval
        .as_ref()
        .filter(|_| !run.status.is_terminal())
        .map(|approval| approval.token.as_str());
    object(json!({
        "actionExecutionId": run.id.as_str(),
        "status": run.status.as_str(),
        "summary": text(run.summary.as_ref()),
        "lastStatusChange": seconds(run.updated),
        "token": waiting,
        "lastUpdatedBy": run.updated_by,
        "externalExecutionId": run.external_execution_id,
        "percentComplete": run.percent_complete,
        "errorDetails": run.error.as_ref().map(error),
    }))
}

fn error(failure: &Failure) -> Value {
    json!({"code": failure.code, "message": failure.message})
}

fn action_detail(execution: &Execution, run: &ActionRun) -> Value {
    let stage = &execution.definition.stages[run.stage];
    let action = &stage.actions[run.action];
    let inputs: Vec<Value> = run.inputs.iter().map(listed_artifact).collect();
    let outputs: Vec<Value> = run.outputs.iter().map(listed_artifact).collect();
    object(json!({
        "pipelineExecutionId": execution.id.as_str(),
        "actionExecutionId": run.id.as_str(),
        "pipelineVersion": execution.version,
        "stageName": stage.name,
        "actionName": action.name,
        "startTime": seconds(run.started),
        "lastUpdateTime": seconds(run.updated),
        "updatedBy": run.updated_by,
        "status": run.status.as_str(),
        "input": object(json!({
            "actionTypeId": action_type(&action.action_type),
            "configuration": action.configuration,
            "resolvedConfiguration": run.configuration,
            "roleArn": action.role_arn,
            "region": action.region.as_ref().unwrap_or(&execution.definition.region),
            "inputArtifacts": inputs,
            "namespace": action.namespace,
        })),
        "output": object(json!({
            "outputArtifacts": outputs,
            "executionResult": object(json!({
                "externalExecutionId": run.external_execution_id,
                "externalExecutionSummary": run.summary,
                "errorDetails": run.error.as_ref().map(error),
            })),
            "outputVariables": run.variables,
        })),
    }))
}
