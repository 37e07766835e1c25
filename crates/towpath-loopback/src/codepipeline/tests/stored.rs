//! Pipelines as things that are kept: versions, tags, names, histories.

use serde_json::{Value, json};

use super::scene::{Scene, eventually, simple};

async fn code(scene: &Scene, operation: &str, input: Value) -> String {
    match scene.try_call(operation, input).await {
        Ok(answer) => format!("{answer}"),
        Err(error) => error.code,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_is_created_changed_shown_and_deleted() {
    let scene = Scene::new().await;
    let tags = json!([{"key": "team", "value": "one"}]);
    let created = scene
        .call(
            "CreatePipeline",
            json!({"pipeline": simple("kept"), "tags": tags}),
        )
        .await;
    assert_eq!(created["pipeline"]["version"], 1);
    assert_eq!(created["tags"], tags);
    assert_eq!(
        code(
            &scene,
            "CreatePipeline",
            json!({"pipeline": simple("kept")})
        )
        .await,
        "PipelineNameInUseException"
    );

    let updated = scene
        .call("UpdatePipeline", json!({"pipeline": simple("kept")}))
        .await;
    assert_eq!(updated["pipeline"]["version"], 2);
    let shown = scene.call("GetPipeline", json!({"name": "kept"})).await;
    assert_eq!(shown["pipeline"], updated["pipeline"]);
    assert_eq!(
        shown["metadata"]["pipelineArn"],
        "arn:aws:codepipeline:us-east-1:000000000000:kept"
    );
    let first = scene
        .call("GetPipeline", json!({"name": "kept", "version": 1}))
        .await;
    assert_eq!(first["pipeline"], created["pipeline"]);
    assert_eq!(
        code(&scene, "GetPipeline", json!({"name": "kept", "version": 3})).await,
        "PipelineVersionNotFoundException"
    );
    let listed = scene.call("ListPipelines", json!({})).await;
    assert_eq!(listed["pipelines"][0]["name"], "kept");
    assert_eq!(listed["pipelines"][0]["version"], 2);

    let arn = "arn:aws:codepipeline:us-east-1:000000000000:kept";
    scene
        .call(
            "TagResource",
            json!({"resourceArn": arn, "tags": [{"key": "colour", "value": ""}]}),
        )
        .await;
    scene
        .call(
            "UntagResource",
            json!({"resourceArn": arn, "tagKeys": ["team"]}),
        )
        .await;
    assert_eq!(
        scene
            .call("ListTagsForResource", json!({"resourceArn": arn}))
            .await,
        json!({"tags": [{"key": "colour", "value": ""}]})
    );
    assert_eq!(
        code(
            &scene,
            "ListTagsForResource",
            json!({"resourceArn": format!("{arn}er")})
        )
        .await,
        "ResourceNotFoundException"
    );

    scene.call("DeletePipeline", json!({"name": "kept"})).await;
    scene.call("DeletePipeline", json!({"name": "kept"})).await;
    let missing = scene
        .try_call("GetPipeline", json!({"name": "kept"}))
        .await
        .expect_err("deleted");
    assert_eq!(
        missing.message,
        "The account with id '000000000000' does not include a pipeline with the name 'kept'"
    );
    for operation in ["GetPipeline", "GetPipelineState", "StartPipelineExecution"] {
        assert_eq!(
            code(&scene, operation, json!({"name": "kept"})).await,
            "PipelineNotFoundException",
            "{operation}"
        );
    }
    assert_eq!(
        code(
            &scene,
            "UpdatePipeline",
            json!({"pipeline": simple("kept")})
        )
        .await,
        "PipelineNotFoundException"
    );
    assert_eq!(
        code(&scene, "PollForThirdPartyJobs", json!({})).await,
        "UnknownOperationException"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_are_started_once_stopped_retried_and_listed() {
    let scene = Scene::new().await;
    scene
        .call("CreatePipeline", json!({"pipeline": simple("history")}))
        .await;
    let start = || json!({"name": "history", "clientRequestToken": "once"});
    let first = scene.call("StartPipelineExecution", start()).await;
    assert_eq!(scene.call("StartPipelineExecution", start()).await, first);
    let id = first["pipelineExecutionId"].clone();
    eventually("a job", || scene.jobs("Build").first().cloned()).await;

    let stop = |abandon: bool| json!({"pipelineName": "history", "pipelineExecutionId": id, "abandon": abandon, "reason": "lunch"});
    scene.call("StopPipelineExecution", stop(false)).await;
    assert_eq!(
        code(&scene, "StopPipelineExecution", stop(false)).await,
        "DuplicatedStopRequestException"
    );
    scene.call("StopPipelineExecution", stop(true)).await;
    assert_eq!(
        code(&scene, "StopPipelineExecution", stop(true)).await,
        "PipelineExecutionNotStoppableException"
    );
    let executions = scene
        .call("ListPipelineExecutions", json!({"pipelineName": "history"}))
        .await;
    let summary = &executions["pipelineExecutionSummaries"][0];
    assert_eq!(summary["status"], "Stopped");
    assert_eq!(summary["stopTrigger"], json!({"reason": "lunch"}));
    assert_eq!(summary["trigger"]["triggerType"], "StartPipelineExecution");

    let retry = |stage: &str| json!({"pipelineName": "history", "pipelineExecutionId": id, "stageName": stage, "retryMode": "FAILED_ACTIONS"});
    assert_eq!(
        code(&scene, "RetryStageExecution", retry("Nowhere")).await,
        "StageNotFoundException"
    );
    assert_eq!(
        code(&scene, "RetryStageExecution", retry("Source")).await,
        "StageNotRetryableException"
    );
    assert_eq!(
        scene.call("RetryStageExecution", retry("Work")).await,
        first
    );
    let job = eventually("another job", || scene.jobs("Build").get(1).cloned()).await;
    scene
        .call("PutJobSuccessResult", json!({"jobId": job}))
        .await;

    let filter = |range: &str| json!({"pipelineName": "history", "filter": {"latestInPipelineExecution": {"pipelineExecutionId": id, "startTimeRange": range}}});
    for (range, expected) in [("Latest", 2), ("All", 3)] {
        let answer = scene.call("ListActionExecutions", filter(range)).await;
        let count = answer["actionExecutionDetails"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(count, expected, "{range}");
    }
    let page = scene
        .call(
            "ListActionExecutions",
            json!({"pipelineName": "history", "maxResults": 2}),
        )
        .await;
    let rest = scene
        .call(
            "ListActionExecutions",
            json!({"pipelineName": "history", "nextToken": page["nextToken"]}),
        )
        .await;
    assert_eq!(rest["actionExecutionDetails"][0]["actionName"], "Checkout");
    assert_eq!(rest.get("nextToken"), None);
    let state = scene
        .call("GetPipelineState", json!({"name": "history"}))
        .await;
    assert_eq!(
        state["stageStates"][1]["retryStageMetadata"],
        json!({"manualStageRetryAttempt": 1, "latestRetryTrigger": "ManualStageRetry"})
    );
    for (filter, expected) in [("Work", 1), ("Nowhere", 0)] {
        let answer = scene
            .call("ListPipelineExecutions", json!({"pipelineName": "history", "filter": {"succeededInStage": {"stageName": filter}}}))
            .await;
        let count = answer["pipelineExecutionSummaries"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(count, expected, "{filter}");
    }
    assert_eq!(
        code(
            &scene,
            "GetPipelineExecution",
            json!({"pipelineName": "history", "pipelineExecutionId": "11111111-2222-4333-8444-555555555555"})
        )
        .await,
        "PipelineExecutionNotFoundException"
    );
    scene.end().await;
}
