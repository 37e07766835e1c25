//! An SDK drives a pipeline from its creation to its end.

use aws_credential_types::Credentials;
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{
    ApprovalResult, ApprovalStatus, ExecutionDetails, PipelineExecutionStatus, StageExecutionStatus,
};
use serde_json::{Value, json};

use super::scene::{Scene, eventually, lambda, pipeline, source_stage};
use crate::Caller;

fn release() -> Value {
    let mut build = lambda("Build", Some("commit=#{Source.CommitId}"));
    build["inputArtifacts"] = json!([{"name": "SourceOutput"}]);
    build["outputArtifacts"] = json!([{"name": "Package"}]);
    build["namespace"] = json!("Build");
    let mut pipeline = pipeline(
        "release",
        &[
            source_stage(),
            json!({"name": "Commit", "actions": [build]}),
            json!({"name": "Approve", "actions": [{
                "name": "Gate",
                "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"},
                "configuration": {"NotificationArn": "arn:aws:sns:us-east-1:000000000000:gate", "CustomData": "deploy #{Source.CommitId}?"},
            }]}),
            json!({"name": "Production", "actions": [lambda("Deploy", Some("url=#{Build.Url}"))]}),
        ],
    );
    pipeline["artifactStore"]["encryptionKey"] = json!({"type": "KMS", "id": "a-key"});
    pipeline
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_goes_from_its_source_to_production() {
    let scene = Scene::new().await;
    let (id, secret) = scene.world.identity.root_credentials();
    let root = Credentials::new(id, secret, None, None, "test");
    let endpoint = scene.world.endpoint.clone();
    let client = Client::new(&towpath_aws::fixed(&endpoint, "us-east-1", root));
    scene
        .world
        .sns
        .call(
            &scene.world,
            &Caller::Root,
            "CreateTopic",
            json!({"Name": "gate"}),
        )
        .await
        .expect("a topic");
    // The SDK's builders are long; what they would send is sent as JSON elsewhere.
    scene
        .call("CreatePipeline", json!({"pipeline": release()}))
        .await;
    let shown = client
        .get_pipeline()
        .name("release")
        .send()
        .await
        .expect("it exists");
    assert_eq!(shown.pipeline().expect("a pipeline").version(), Some(1));

    let started = client
        .start_pipeline_execution()
        .name("release")
        .send()
        .await
        .expect("it starts");
    let execution = started.pipeline_execution_id().expect("an id").to_owned();

    // The event, as documented, and nothing else.
    let event = scene.event("Build", 1).await;
    let job = &event["CodePipeline.job"];
    let data = &job["data"];
    let credentials = &data["artifactCredentials"];
    let key = |artifacts: &str| {
        data[artifacts][0]["location"]["s3Location"]["objectKey"]
            .as_str()
            .expect("a key")
            .to_owned()
    };
    assert!(key("inputArtifacts").starts_with("release/SourceOutp/"));
    let location = |artifacts: &str| json!({"type": "S3", "s3Location": {"bucketName": "artifacts", "objectKey": key(artifacts)}});
    assert_eq!(
        event,
        json!({"CodePipeline.job": {
            "id": scene.jobs("Build")[0],
            "accountId": "000000000000",
            "data": {
                "actionConfiguration": {"configuration": {"FunctionName": "recorder", "UserParameters": "commit=abc"}},
                "inputArtifacts": [{"name": "SourceOutput", "revision": "abc", "location": location("inputArtifacts")}],
                "outputArtifacts": [{"name": "Package", "revision": null, "location": location("outputArtifacts")}],
                "artifactCredentials": {
                    "accessKeyId": credentials["accessKeyId"],
                    "secretAccessKey": credentials["secretAccessKey"],
                    "sessionToken": credentials["sessionToken"],
                    "expirationTime": credentials["expirationTime"],
                },
                "encryptionKey": {"id": "a-key", "type": "KMS"},
            },
        }})
    );

    // The job's credentials reach the artifact bucket and nothing else, whatever the role may do.
    let text = |member: &str| {
        credentials[member]
            .as_str()
            .expect("a credential")
            .to_owned()
    };
    let own = Credentials::new(
        text("accessKeyId"),
        text("secretAccessKey"),
        Some(text("sessionToken")),
        None,
        "job",
    );
    let store = towpath_aws::s3(&towpath_aws::fixed(&endpoint, "us-east-1", own));
    let source = store
        .get_object()
        .bucket("artifacts")
        .key(key("inputArtifacts"))
        .send()
        .await
        .expect("the source is there");
    let bytes = source.body.collect().await.expect("a body").into_bytes();
    assert!(bytes.starts_with(b"PK"));
    scene.world.s3.create_bucket("other").expect("a bucket");
    scene
        .world
        .s3
        .put("other", "secret", "x".into())
        .await
        .expect("an object");
    let refused = store
        .get_object()
        .bucket("other")
        .key("secret")
        .send()
        .await;
    assert!(
        format!("{refused:?}").contains("AccessDenied"),
        "{refused:?}"
    );

    // Progress makes a new job with the token.
    let first = scene.jobs("Build")[0].clone();
    client
        .put_job_success_result()
        .job_id(&first)
        .continuation_token("step-2")
        .execution_details(
            ExecutionDetails::builder()
                .summary("half way")
                .percent_complete(50)
                .build(),
        )
        .send()
        .await
        .expect("progress");
    let event = scene.event("Build", 2).await;
    assert_eq!(
        event["CodePipeline.job"]["data"]["continuationToken"],
        "step-2"
    );
    let second = scene.jobs("Build")[1].clone();
    assert_ne!(first, second);
    let repeated = client.put_job_success_result().job_id(&first).send().await;
    let repeated = repeated.expect_err("it was reported").into_service_error();
    assert!(repeated.is_invalid_job_state_exception(), "{repeated:?}");
    let details = client
        .get_job_details()
        .job_id(&second)
        .send()
        .await
        .expect("details");
    let details = details
        .job_details()
        .and_then(|details| details.data())
        .expect("data");
    let context = details.pipeline_context().expect("a context");
    assert_eq!(context.pipeline_execution_id(), Some(execution.as_str()));
    assert_eq!(details.continuation_token(), Some("step-2"));
    client
        .put_job_success_result()
        .job_id(&second)
        .output_variables("Url", "https://example.com")
        .send()
        .await
        .expect("success");

    // The approval: its token is in the pipeline's state, its notification in the topic.
    let mut token = None;
    while token.is_none() {
        let state = client
            .get_pipeline_state()
            .name("release")
            .send()
            .await
            .expect("a state");
        let gate = state
            .stage_states()
            .iter()
            .find(|stage| stage.stage_name() == Some("Approve"));
        token = gate
            .and_then(|stage| stage.action_states().first()?.latest_execution()?.token())
            .map(str::to_owned);
    }
    client
        .put_approval_result()
        .pipeline_name("release")
        .stage_name("Approve")
        .action_name("Gate")
        .token(token.expect("a token"))
        .result(
            ApprovalResult::builder()
                .status(ApprovalStatus::Approved)
                .summary("fine")
                .build()
                .expect("complete"),
        )
        .send()
        .await
        .expect("approved");

    let event = scene.event("Deploy", 1).await;
    let configuration = &event["CodePipeline.job"]["data"]["actionConfiguration"]["configuration"];
    assert_eq!(configuration["UserParameters"], "url=https://example.com");
    client
        .put_job_success_result()
        .job_id(&scene.jobs("Deploy")[0])
        .send()
        .await
        .expect("success");

    let ended = client
        .get_pipeline_execution()
        .pipeline_name("release")
        .pipeline_execution_id(&execution)
        .send()
        .await
        .expect("it exists");
    let ended = ended.pipeline_execution().expect("an execution");
    assert_eq!(ended.status(), Some(&PipelineExecutionStatus::Succeeded));
    assert_eq!(ended.artifact_revisions()[0].revision_id(), Some("abc"));
    let state = client
        .get_pipeline_state()
        .name("release")
        .send()
        .await
        .expect("a state");
    for stage in state.stage_states() {
        let latest = stage.latest_execution().expect("it was there");
        assert_eq!(
            latest.status(),
            &StageExecutionStatus::Succeeded,
            "{stage:?}"
        );
    }
    let actions = client
        .list_action_executions()
        .pipeline_name("release")
        .send()
        .await
        .expect("a list");
    let build = actions
        .action_execution_details()
        .iter()
        .find(|detail| detail.action_name() == Some("Build"))
        .expect("it ran");
    let output = build.output().expect("an output");
    assert_eq!(
        output
            .output_variables()
            .and_then(|all| all.get("Url"))
            .map(String::as_str),
        Some("https://example.com")
    );
    let result = output.execution_result().expect("a result");
    assert_eq!(result.external_execution_summary(), Some("half way"));
    let input = build.input().expect("an input");
    let resolved = input.resolved_configuration().expect("a configuration");
    assert_eq!(resolved["UserParameters"], "commit=abc");
    let listed = client
        .list_pipeline_executions()
        .pipeline_name("release")
        .send()
        .await
        .expect("a list");
    let listed = &listed.pipeline_execution_summaries()[0];
    assert_eq!(
        listed.source_revisions()[0].revision_summary(),
        Some("a change")
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_loopback_leaves_no_task_behind() {
    let scene = Scene::new().await;
    scene.start(release()).await;
    eventually("a job", || scene.jobs("Build").first().cloned()).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), scene.end())
        .await
        .expect("every task ends");
}
