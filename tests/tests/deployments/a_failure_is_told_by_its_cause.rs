//! What a failed deployment says: the resource and the reason of this very deployment, and where to read on.

use aws_sdk_cloudformation::types::ListHookResultsTargetType;
use towpath_loopback::{ResourceScript, ScriptedOperation};
use towpath_tests::{Action, Tree};

use crate::{ROLE, act, world};

/// A function that makes custom resources of one kind: it refuses.
pub(crate) const SEED: &str = r#"
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Seed:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: seed
      Runtime: nodejs22.x
      Handler: index.handler
      Timeout: 60
      Role: !GetAtt Role.Arn
      Code:
        ZipFile: |
          exports.handler = async (event) => {
            const body = JSON.stringify({
              Status: event.RequestType === "Delete" ? "SUCCESS" : "FAILED",
              Reason: "no such database", PhysicalResourceId: "rows", StackId: event.StackId,
              RequestId: event.RequestId, LogicalResourceId: event.LogicalResourceId,
            });
            await fetch(event.ResponseURL, {method: "PUT", body});
          };
  Rows: {Type: Custom::Rows, Properties: {ServiceToken: !GetAtt Seed.Arn}}
"#;

/// A bucket whose name is taken as soon as the stack's other one is there, which nobody can know before.
pub(crate) fn twice(first: &str, second: &str) -> String {
    format!(
        "  {first}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {0}}}}}\n  {second}: {{Type: AWS::S3::Bucket, DependsOn: {first}, Properties: {{BucketName: {0}}}}}\n",
        first.to_lowercase()
    )
}

const TOPIC: &str = "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_resource_is_told_with_its_functions_log() {
    let world = world().await;
    let done = act(
        &world,
        &format!("Resources:{SEED}"),
        "&capabilities=CAPABILITY_IAM",
    )
    .await;
    done.failed(
        "JobFailed",
        &[
            "Rows (Custom::Rows) CREATE_FAILED: Received response status [FAILED] from custom resource. Message returned: no such database (RequestId: ",
            "the function's log is /aws/lambda/seed: https://",
            "the function of the custom resource reported a failure",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_before_the_deployment_is_told_by_path_and_reason() {
    let world = world().await;
    let template = format!(
        "{TOPIC}  Site: {{Type: AWS::S3::Bucket, Properties: {{BucketName: artifacts}}}}\n  Role: {{Type: AWS::IAM::Role}}\n"
    );
    let done = act(&world, &template, "&capabilities=CAPABILITY_IAM").await;
    done.failed(
        "ConfigurationError",
        &[
            "Site at /Resources/Site: Resource of type 'AWS::S3::Bucket' with identifier 'artifacts' already exists.",
            "Role at /Resources/Role/Properties: Required property [AssumeRolePolicyDocument] not found",
            "something of that name exists outside this stack",
        ],
    );
    assert_eq!(world.stack("app").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_deployment_at_hand_is_asked_for_the_cause() {
    let world = world().await;
    act(&world, TOPIC, "").await.succeeded();
    let first = act(&world, &format!("{TOPIC}{}", twice("A", "Bad")), "").await;
    first.failed("JobFailed", &["Bad (AWS::S3::Bucket) CREATE_FAILED: "]);
    let second = act(&world, &format!("{TOPIC}{}", twice("C", "Worse")), "").await;
    let message = second.failed("JobFailed", &["Worse (AWS::S3::Bucket) CREATE_FAILED: "]);
    assert!(!message.contains("Bad "), "{message}");
    let events = world.cloudformation.describe_events().stack_name("app");
    let events = events.send().await.expect("events");
    let mut operations: Vec<&str> = Vec::new();
    for event in events.operation_events() {
        let id = event.operation_id().expect("an id");
        if !operations.contains(&id) {
            operations.push(id);
        }
    }
    // A change set, a deployment, and for those that failed the way back.
    assert_eq!(operations.len(), 2 + 3 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_told_by_its_name_and_its_words() {
    let world = world().await;
    let account = world.loopback().world();
    let (hook, reason) = ("Acme::Guard::Public", "the topic is public");
    let refuse = ResourceScript::Refuse {
        hook: hook.into(),
        reason: reason.into(),
        on: ScriptedOperation::Create,
    };
    account.script_resource("app", "Topic", refuse);
    let done = act(&world, TOPIC, "").await;
    done.failed(
        "ConfigurationError",
        &[
            "Topic (AWS::SNS::Topic) CREATE_FAILED: The following hook(s) failed: [Acme::Guard::Public]; hook Acme::Guard::Public: the topic is public",
            "a hook of this account refuses the resource",
        ],
    );
    account.clear_resource_scripts();
    account.refuse_change_sets("other", hook, reason);
    let tree = Tree::new().file("t.yaml", TOPIC);
    let deploy = format!("stack=other&template=Source::t.yaml&{ROLE}");
    let done = world.act(&tree, Action::of("deploy-stack", &deploy)).await;
    done.failed(
        "ConfigurationError",
        &[
            "CloudFormation could not plan the change of stack `other`: hook Acme::Guard::Public: the topic is public",
            "The following hook(s)/validation failed: [Acme::Guard::Public]",
        ],
    );
    let results = world.cloudformation.list_hook_results().send();
    let results = results.await.expect("results");
    let told: Vec<_> = results
        .hook_results()
        .iter()
        .map(|result| (result.target_type().cloned(), result.hook_status_reason()))
        .collect();
    assert_eq!(
        told,
        [
            (Some(ListHookResultsTargetType::ChangeSet), Some(reason)),
            (Some(ListHookResultsTargetType::Resource), Some(reason)),
        ]
    );
    let none = world.cloudformation.list_hook_results();
    let none = none
        .target_type(ListHookResultsTargetType::Stack)
        .target_id("app");
    let none = none.send().await.expect("results");
    assert!(none.hook_results().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_in_a_nested_stack_is_told_with_its_name() {
    let world = world().await;
    let inner =
        "Resources:\n  Site: {Type: AWS::S3::Bucket, Properties: {BucketName: artifacts}}\n";
    let put = world.s3.put_object().bucket("release").key("inner.yaml");
    let put = put.body(inner.as_bytes().to_vec().into()).send();
    put.await.expect("an object");
    let outer = "Resources:
  Data:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://release.s3.us-east-1.amazonaws.com/inner.yaml'}
";
    act(&world, outer, "").await.failed(
        "ConfigurationError",
        &[
            "in nested stack `app-Data-",
            "`: Site at /Resources/Site: Resource of type 'AWS::S3::Bucket' with identifier 'artifacts' already exists.",
        ],
    );
    assert_eq!(world.stack("app").await, None);
}
