//! Whatever an earlier deployment has left, the policy says what is done about it; and each state is a real one.

use aws_sdk_cloudformation::types::{ChangeSetType, OnFailure};
use towpath_loopback::{ResourceScript, ScriptedOperation};
use towpath_tests::World;

use crate::{act, topics, until, world};

pub(crate) fn fail(world: &World, id: &str, on: ScriptedOperation) {
    let script = ResourceScript::Fail {
        reason: "it was told to fail".to_owned(),
        on,
    };
    world.loopback().world().script_resource("app", id, script);
}

/// Updates the stack to a template by hand, with rollback off.
async fn update_without_rollback(world: &World, template: &str) {
    let api = &world.cloudformation;
    api.create_change_set()
        .stack_name("app")
        .change_set_name("by-hand")
        .change_set_type(ChangeSetType::Update)
        .template_body(template)
        .send()
        .await
        .expect("a change set");
    loop {
        let seen = api
            .describe_change_set()
            .stack_name("app")
            .change_set_name("by-hand");
        let seen = seen.send().await.expect("it");
        if seen
            .execution_status()
            .is_some_and(|status| status.as_str() == "AVAILABLE")
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let execute = api
        .execute_change_set()
        .stack_name("app")
        .change_set_name("by-hand");
    execute.disable_rollback(true).send().await.expect("begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_stopped_half_way_is_rolled_back() {
    let world = world().await;
    act(&world, &topics(1), "").await.succeeded();
    fail(&world, "Topic2", ScriptedOperation::Create);
    update_without_rollback(&world, &topics(2)).await;
    until(&world, "UPDATE_FAILED").await;
    world.loopback().world().clear_resource_scripts();
    for policy in ["&on-failure=fail", "&action=plan"] {
        act(&world, &topics(2), policy).await.failed(
            "ConfigurationError",
            &["stack `app` is UPDATE_FAILED: its last update failed with rollback disabled"],
        );
    }
    act(&world, &topics(2), "").await.succeeded();
    assert_eq!(world.stack("app").await.expect("it").0, "UPDATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_stopped_half_way_is_replaced_only_if_that_is_said() {
    let world = world().await;
    fail(&world, "Topic2", ScriptedOperation::Create);
    let made = world.cloudformation.create_stack().stack_name("app");
    let made = made
        .template_body(topics(2))
        .on_failure(OnFailure::DoNothing);
    made.send().await.expect("begun");
    until(&world, "CREATE_FAILED").await;
    world.loopback().world().clear_resource_scripts();
    act(&world, &topics(2), "").await.failed(
        "ConfigurationError",
        &["stack `app` is CREATE_FAILED", "on-failure=replace"],
    );
    act(&world, &topics(2), "&on-failure=replace")
        .await
        .succeeded();
    assert_eq!(world.stack("app").await.expect("it").0, "CREATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_failed_is_finished_only_if_that_is_said() {
    let world = world().await;
    act(&world, &topics(1), "").await.succeeded();
    fail(&world, "Topic1", ScriptedOperation::Delete);
    act(&world, "", "&action=delete")
        .await
        .failed("JobFailed", &["Topic1", "it was told to fail"]);
    until(&world, "DELETE_FAILED").await;
    world.loopback().world().clear_resource_scripts();
    act(&world, &topics(1), "").await.failed(
        "ConfigurationError",
        &["stack `app` is DELETE_FAILED", "action=delete"],
    );
    act(&world, &topics(1), "&on-failure=replace")
        .await
        .succeeded();
    assert_eq!(world.stack("app").await.expect("it").0, "CREATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_is_stuck_is_continued_once_and_then_says_what_it_could_leave_out() {
    let world = world().await;
    let topic = |name: &str| {
        format!(
            "Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {{DisplayName: {name}}}
  Last:
    Type: AWS::SSM::Parameter
    DependsOn: Topic
    Properties: {{Type: String, Value: {name}}}
"
        )
    };
    act(&world, &topic("one"), "").await.succeeded();
    fail(&world, "Last", ScriptedOperation::Update);
    fail(&world, "Topic", ScriptedOperation::Rollback);
    act(&world, &topic("two"), "")
        .await
        .failed("JobFailed", &["Last", "it was told to fail"]);
    until(&world, "UPDATE_ROLLBACK_FAILED").await;
    act(&world, &topic("two"), "&on-failure=fail").await.failed(
        "ConfigurationError",
        &["stack `app` is UPDATE_ROLLBACK_FAILED: its last rollback got stuck"],
    );
    act(&world, &topic("two"), "")
        .await
        .failed("JobFailed", &["Topic", "skip=Topic"]);
    act(&world, &topic("two"), "&skip=Topic")
        .await
        .failed("JobFailed", &["Last"]);
    world.loopback().world().clear_resource_scripts();
    act(&world, &topic("two"), "&skip=Topic").await.succeeded();
    assert_eq!(world.stack("app").await.expect("it").0, "UPDATE_COMPLETE");
}
