//! A disabled transition, seen through an SDK.

use aws_credential_types::Credentials;
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{StageState, StageTransitionType};
use serde_json::json;

use super::scene::{Scene, eventually, simple};

async fn work(client: &Client) -> StageState {
    let state = client.get_pipeline_state().name("held").send().await;
    let state = state.expect("a state");
    state
        .stage_states()
        .iter()
        .find(|stage| stage.stage_name() == Some("Work"))
        .expect("the stage exists")
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_waits_for_a_disabled_transition_and_enters_when_it_is_enabled() {
    let scene = Scene::new().await;
    let (id, secret) = scene.world.identity.root_credentials();
    let root = Credentials::new(id, secret, None, None, "test");
    let client = Client::new(&towpath_aws::fixed(
        &scene.world.endpoint,
        "us-east-1",
        root,
    ));
    scene
        .call("CreatePipeline", json!({"pipeline": simple("held")}))
        .await;
    let untouched = work(&client).await;
    let untouched = untouched.inbound_transition_state().expect("a transition");
    assert!(untouched.enabled());
    assert_eq!(untouched.last_changed_at(), None);

    client
        .disable_stage_transition()
        .pipeline_name("held")
        .stage_name("Work")
        .transition_type(StageTransitionType::Inbound)
        .reason("only the source (for now)")
        .send()
        .await
        .expect("it is disabled");
    let started = client.start_pipeline_execution().name("held").send().await;
    let started = started.expect("it starts");
    let execution = started.pipeline_execution_id().expect("an id");

    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let held = loop {
        let stage = work(&client).await;
        if stage.inbound_execution().is_some() {
            break stage;
        }
        assert!(tokio::time::Instant::now() < deadline, "{stage:?}");
    };
    let waiting = held.inbound_execution().expect("someone waits");
    assert_eq!(waiting.pipeline_execution_id(), execution);
    assert!(held.latest_execution().is_none(), "{held:?}");
    let link = held.inbound_transition_state().expect("a transition");
    assert!(!link.enabled());
    assert_eq!(link.disabled_reason(), Some("only the source (for now)"));
    assert!(link.last_changed_at().is_some());
    assert_eq!(
        link.last_changed_by(),
        Some("arn:aws:iam::000000000000:root")
    );
    assert!(scene.jobs("Build").is_empty());

    client
        .enable_stage_transition()
        .pipeline_name("held")
        .stage_name("Work")
        .transition_type(StageTransitionType::Inbound)
        .send()
        .await
        .expect("it is enabled");
    eventually("a job", || scene.jobs("Build").first().cloned()).await;
    let opened = work(&client).await;
    assert!(opened.inbound_execution().is_none(), "{opened:?}");
    let link = opened.inbound_transition_state().expect("a transition");
    assert!(link.enabled());
    assert_eq!(link.disabled_reason(), None);

    let missing = client
        .disable_stage_transition()
        .pipeline_name("held")
        .stage_name("Nowhere")
        .transition_type(StageTransitionType::Outbound)
        .reason("why not")
        .send()
        .await
        .expect_err("no such stage")
        .into_service_error();
    assert!(missing.is_stage_not_found_exception(), "{missing:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_changes_no_transition() {
    let scene = Scene::new().await;
    scene
        .call("CreatePipeline", json!({"pipeline": simple("held")}))
        .await;
    let good = json!({"pipelineName": "held", "stageName": "Work", "transitionType": "Inbound", "reason": "x"});
    for (member, value, code, text) in [
        (
            "pipelineName",
            json!("other"),
            "PipelineNotFoundException",
            "'other'",
        ),
        (
            "stageName",
            json!("Nowhere"),
            "StageNotFoundException",
            "`Nowhere`",
        ),
        (
            "stageName",
            json!(null),
            "ValidationException",
            "Value null at 'stageName'",
        ),
        (
            "transitionType",
            json!("Sideways"),
            "ValidationException",
            "Value 'Sideways' at 'transitionType'",
        ),
        (
            "reason",
            json!(null),
            "ValidationException",
            "Value null at 'reason'",
        ),
        (
            "reason",
            json!(""),
            "ValidationException",
            "greater than or equal to 1",
        ),
        (
            "reason",
            json!("x".repeat(301)),
            "ValidationException",
            "less than or equal to 300",
        ),
        (
            "reason",
            json!("under_score"),
            "ValidationException",
            "pattern: [a-zA-Z0-9!@ \\(\\)\\.\\*\\?\\-]+",
        ),
    ] {
        let mut request = good.clone();
        request[member] = value;
        let error = scene
            .try_call("DisableStageTransition", request)
            .await
            .expect_err(member);
        assert_eq!(error.code, code, "{member}: {error}");
        assert!(error.message.contains(text), "{member}: {error}");
    }
    let state = scene
        .call("GetPipelineState", json!({"name": "held"}))
        .await;
    assert_eq!(
        state["stageStates"][1]["inboundTransitionState"],
        json!({"enabled": true})
    );
    scene.end().await;
}
