//! Jobs and approvals: reports come in, details go out. Every limit is enforced here, on arrival.

use std::sync::Arc;

use serde_json::{Value, json};
use towpath_engine::constraint::Rule;
use towpath_engine::{
    ApprovalAnswer, ApprovalToken, Failure, Input, JobId, JobSuccess, Revision, Time,
};

use super::answer::{action_type, seconds};
use super::request::{Request, check_size};
use super::{CodePipeline, driver};
use crate::{AwsError, Caller, World};

const SUMMARY: Rule = Rule::length(1, 2048);
const EXTERNAL_ID: Rule = Rule::length(1, 1500);
const TOKEN: Rule = Rule::length(1, 2048);
const MESSAGE: Rule = Rule::length(1, 5000);
const CHANGE: Rule = Rule::length(1, 100);
const APPROVAL_SUMMARY: Rule = Rule::length(0, 512);
const FAILURE_TYPES: [&str; 6] = [
    "JobFailed",
    "ConfigurationError",
    "PermissionError",
    "RevisionOutOfSync",
    "RevisionUnavailable",
    "SystemUnavailable",
];

impl CodePipeline {
    pub(super) fn put_job_success(
        &self,
        world: &Arc<World>,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let job = request.uuid("jobId");
        let revision = request.below("currentRevision", |revision| Revision {
            id: revision.required("revision", &EXTERNAL_ID),
            change: Some(revision.required("changeIdentifier", &CHANGE)),
            summary: revision.text("revisionSummary", &SUMMARY),
            created: revision
                .seconds("created")
                .map(|seconds| Time::from_millis((seconds.max(0.0) * 1000.0) as u64)),
            url: None,
        });
        let continuation = request.text("continuationToken", &TOKEN);
        let details = request.below("executionDetails", |details| {
            (
                details.text("summary", &SUMMARY),
                details.text("externalExecutionId", &EXTERNAL_ID),
                details.integer("percentComplete", 0, 100),
            )
        });
        let variables = request.variables("outputVariables");
        if continuation.is_some() && !variables.is_empty() {
            request.refuse(
                "outputVariables",
                &variables.keys().cloned().collect::<Vec<_>>().join(", "),
                "Output variables can be given only when there is no continuation token",
            );
        }
        request.finish()?;
        check_size(&variables)?;
        let (summary, external_execution_id, percent) = details.unwrap_or_default();
        self.report(world, JobId::new(job), |job| Input::JobSucceeded {
            job,
            report: JobSuccess {
                continuation,
                variables,
                summary,
                percent_complete: percent.and_then(|percent| u8::try_from(percent).ok()),
                external_execution_id,
                revision,
            },
        })
    }

    pub(super) fn put_job_failure(
        &self,
        world: &Arc<World>,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let job = request.uuid("jobId");
        let (code, message, external_execution_id) =
            request.required_below("failureDetails", |details| {
                (
                    details.one_of("type", &FAILURE_TYPES),
                    details.required("message", &MESSAGE),
                    details.text("externalExecutionId", &EXTERNAL_ID),
                )
            });
        request.finish()?;
        self.report(world, JobId::new(job), |job| Input::JobFailed {
            job,
            failure: Failure {
                code,
                message,
                external_execution_id,
            },
        })
    }

    fn report(
        &self,
        world: &Arc<World>,
        job: JobId,
        input: impl FnOnce(JobId) -> Input,
    ) -> Result<Value, AwsError> {
        let (pipeline, ()) = self
            .search(|engine| engine.job(&job).map(|_| ()))
            .ok_or_else(|| job_not_found(&job))?;
        self.feed(world, &pipeline, input(job))?;
        Ok(json!({}))
    }

    pub(super) fn get_job_details(
        &self,
        world: &Arc<World>,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let job = JobId::new(request.uuid("jobId"));
        request.finish()?;
        let (pipeline, (invocation, action)) = self
            .search(|engine| {
                let action = engine.job(&job)?.action.clone();
                Some((engine.invocation(&job)?, action))
            })
            .ok_or_else(|| job_not_found(&job))?;
        let mut data = driver::job_data(world, &pipeline, &invocation)
            .map_err(|failure| AwsError::client("ValidationException", failure.message))?;
        data["actionTypeId"] = action_type(&action.action_type);
        data["pipelineContext"] = json!({
            "pipelineName": pipeline,
            "stage": {"name": invocation.stage},
            "action": {
                "name": invocation.action,
                "actionExecutionId": invocation.action_execution.as_str(),
            },
            "pipelineArn": world.arn("codepipeline", &pipeline),
            "pipelineExecutionId": invocation.execution.as_str(),
        });
        Ok(json!({"jobDetails": {
            "id": job.as_str(),
            "data": data,
            "accountId": world.settings.account,
        }}))
    }

    pub(super) fn put_approval(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let pipeline = request.name("pipelineName");
        let stage = request.name("stageName");
        let action = request.name("actionName");
        let token = request.uuid("token");
        let (summary, status) = request.required_below("result", |result| {
            (
                result.required("summary", &APPROVAL_SUMMARY),
                result.one_of("status", &["Approved", "Rejected"]),
            )
        });
        request.finish()?;
        let answer = ApprovalAnswer {
            stage,
            action,
            token: ApprovalToken::new(token),
            approved: status == "Approved",
            summary,
            by: Some(caller.arn(&world.settings.account)),
        };
        self.feed(world, &pipeline, Input::Answer(answer))?;
        Ok(json!({"approvedAt": seconds(self.clock.now())}))
    }
}

fn job_not_found(job: &JobId) -> AwsError {
    AwsError::client("JobNotFoundException", format!("job {job} does not exist"))
}
