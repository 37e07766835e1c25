//! What a report may hold, and what becomes of one that holds more.

use serde_json::{Value, json};

use super::scene::{Scene, eventually, simple};

const NOBODY: &str = "11111111-2222-4333-8444-555555555555";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_limit_of_a_report_is_enforced_on_arrival() {
    let scene = Scene::new().await;
    scene.start(simple("limits")).await;
    let job = eventually("a job", || scene.jobs("Build").first().cloned()).await;

    let success = |members: Value| ("PutJobSuccessResult", members);
    let failure = |members: Value| ("PutJobFailureResult", json!({"failureDetails": members}));
    let long = |length: usize| "x".repeat(length);
    let cases: Vec<((&str, Value), &str, &str)> = vec![
        (
            success(json!({"jobId": "not-a-uuid"})),
            "ValidationException",
            "Value 'not-a-uuid' at 'jobId' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ),
        (
            success(json!({"jobId": null})),
            "ValidationException",
            "1 validation error detected: Value null at 'jobId' failed to satisfy constraint: Member must not be null",
        ),
        (
            success(json!({"jobId": NOBODY})),
            "JobNotFoundException",
            NOBODY,
        ),
        (
            success(json!({"continuationToken": long(2049)})),
            "ValidationException",
            "at 'continuationToken' failed to satisfy constraint: Member must have length less than or equal to 2048 (it has 2049)",
        ),
        (
            success(json!({"continuationToken": ""})),
            "ValidationException",
            "at 'continuationToken' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            success(json!({"continuationToken": "t", "outputVariables": {"a": "b"}})),
            "ValidationException",
            "Output variables can be given only when there is no continuation token",
        ),
        (
            success(json!({"executionDetails": {"summary": long(2049)}})),
            "ValidationException",
            "at 'executionDetails.summary' failed to satisfy constraint: Member must have length less than or equal to 2048",
        ),
        (
            success(json!({"executionDetails": {"externalExecutionId": long(1501)}})),
            "ValidationException",
            "at 'executionDetails.externalExecutionId'",
        ),
        (
            success(json!({"executionDetails": {"percentComplete": 101}})),
            "ValidationException",
            "Value '101' at 'executionDetails.percentComplete' failed to satisfy constraint: Member must have value less than or equal to 100",
        ),
        (
            success(json!({"outputVariables": {"not a key": "x"}})),
            "ValidationException",
            "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [A-Za-z0-9@\\-_]+]",
        ),
        (
            success(json!({"outputVariables": {"key": long(122_878)}})),
            "OutputVariablesSizeExceededException",
            "122881 bytes of at most 122880",
        ),
        (
            success(json!({"currentRevision": {"revision": "r"}})),
            "ValidationException",
            "Value null at 'currentRevision.changeIdentifier'",
        ),
        (
            failure(json!({"type": "Broken", "message": "m"})),
            "ValidationException",
            "Member must satisfy enum value set: [JobFailed, ConfigurationError, PermissionError, RevisionOutOfSync, RevisionUnavailable, SystemUnavailable]",
        ),
        (
            failure(json!({"type": "JobFailed", "message": long(5001)})),
            "ValidationException",
            "at 'failureDetails.message' failed to satisfy constraint: Member must have length less than or equal to 5000",
        ),
        (
            failure(json!({"type": "JobFailed"})),
            "ValidationException",
            "Value null at 'failureDetails.message'",
        ),
        (
            ("PutJobFailureResult", json!({})),
            "ValidationException",
            "Value null at 'failureDetails'",
        ),
        (
            failure(json!({"type": "JobFailed", "message": "", "externalExecutionId": ""})),
            "ValidationException",
            "2 validation errors detected",
        ),
    ];
    for ((operation, mut input), code, text) in cases {
        if input.get("jobId").is_none() {
            input["jobId"] = json!(job);
        }
        let shown = input.to_string().chars().take(120).collect::<String>();
        match scene.try_call(operation, input).await {
            Ok(_) => panic!("{operation} {shown}: accepted"),
            Err(error) => {
                assert_eq!(error.code, code, "{operation} {shown}: {error}");
                assert!(error.message.contains(text), "{operation} {shown}: {error}");
            }
        }
    }

    // Nothing of this has touched the job; a report at every limit is taken.
    scene
        .call(
            "PutJobSuccessResult",
            json!({
                "jobId": job,
                "executionDetails": {"summary": "é".repeat(2048), "externalExecutionId": long(1500), "percentComplete": 100},
                "outputVariables": {"key": long(122_877)},
            }),
        )
        .await;
    let again = scene
        .try_call(
            "PutJobFailureResult",
            json!({"jobId": job, "failureDetails": {"type": "JobFailed", "message": "late"}}),
        )
        .await
        .expect_err("it was reported");
    assert_eq!(again.code, "InvalidJobStateException");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reported_failure_is_shown_with_its_type_and_message() {
    let scene = Scene::new().await;
    scene.start(simple("failing")).await;
    let job = eventually("a job", || scene.jobs("Build").first().cloned()).await;
    scene
        .call(
            "PutJobFailureResult",
            json!({"jobId": job, "failureDetails": {"type": "ConfigurationError", "message": "unknown key `tsk`", "externalExecutionId": "run-1"}}),
        )
        .await;
    assert_eq!(
        scene.failure("failing", "Build").await,
        ("ConfigurationError".into(), "unknown key `tsk`".into())
    );
    let state = scene
        .call("GetPipelineState", json!({"name": "failing"}))
        .await;
    let latest = &state["stageStates"][1]["actionStates"][0]["latestExecution"];
    assert_eq!(latest["externalExecutionId"], "run-1");
    assert_eq!(latest["errorDetails"]["code"], "ConfigurationError");
    assert_eq!(
        state["stageStates"][1]["latestExecution"]["status"],
        "Failed"
    );
    scene.end().await;
}
