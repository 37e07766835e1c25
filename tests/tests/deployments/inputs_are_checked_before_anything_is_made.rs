//! What a deployment is given is checked before anything is made, and what the stack has beside its template comes to be.

use aws_sdk_cloudformation::types::RollbackConfiguration;
use towpath_tests::{Action, Done, Tree, World};

use crate::{ROLE, act, topics, world};

/// An alarm that nothing has set off.
pub(crate) const ALARM: &str = "Resources:
  Errors:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: app-errors
      Namespace: AWS/Lambda
      MetricName: Errors
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
";

const ROLES: &str = "Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}
";

async fn is_absent(world: &World) {
    assert_eq!(world.stack("app").await, None, "nothing is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capability_that_is_missing_is_named_with_its_reason() {
    let world = world().await;
    act(&world, ROLES, "&capabilities=CAPABILITY_AUTO_EXPAND")
        .await
        .failed(
            "ConfigurationError",
            &[
                "the template needs CAPABILITY_IAM, which `capabilities` does not allow: ",
                "AWS::IAM::Role",
                "hint: if the template may do that, allow it in UserParameters: capabilities=CAPABILITY_AUTO_EXPAND,CAPABILITY_IAM",
            ],
        );
    is_absent(&world).await;
    act(&world, ROLES, "&capabilities=CAPABILITY_NAMED_IAM")
        .await
        .succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_exist_before_a_deployment_depends_on_them() {
    let world = world().await;
    act(
        &world,
        &topics(1),
        "&alarms=app-errors,app-latency&monitor=1m",
    )
    .await
    .failed(
        "ConfigurationError",
        &[
            "there is no alarm `app-errors`, `app-latency` in the account",
            "hint: ",
        ],
    );
    is_absent(&world).await;
    let made = world.cloudformation.create_stack().stack_name("alarms");
    made.template_body(ALARM).send().await.expect("alarms");
    for _ in 0..2_000 {
        if world.stack("alarms").await.expect("it").0 == "CREATE_COMPLETE" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let topic = "arn:aws:sns:us-east-1:000000000000:deployments";
    let parameters = format!("&alarms=app-errors&notify={topic}");
    act(&world, &topics(1), &parameters).await.succeeded();
    let stack = described(&world).await;
    let rollback = stack.rollback_configuration().expect("a configuration");
    let arns: Vec<_> = rollback
        .rollback_triggers()
        .iter()
        .filter_map(|trigger| trigger.arn())
        .collect();
    assert_eq!(
        arns,
        ["arn:aws:cloudwatch:us-east-1:000000000000:alarm:app-errors"]
    );
    assert_eq!(stack.notification_arns(), [topic]);
    // What is not said stays, and `off` takes it away.
    act(&world, &topics(2), "").await.succeeded();
    assert_eq!(described(&world).await.notification_arns(), [topic]);
    act(&world, &topics(3), "&notify=off&alarms=off")
        .await
        .succeeded();
    let stack = described(&world).await;
    assert!(stack.notification_arns().is_empty(), "{stack:?}");
    let triggers = stack
        .rollback_configuration()
        .map(RollbackConfiguration::rollback_triggers);
    assert!(triggers.unwrap_or_default().is_empty(), "{stack:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_and_a_protection_come_to_be_also_where_nothing_else_changes() {
    let world = world().await;
    let config = r#"{"StackPolicy": {"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}}"#;
    configured(&world, 1, "{}", "").await.succeeded();
    assert_eq!(policy(&world).await, None);
    let done = configured(&world, 1, config, "&protect=on").await;
    assert_eq!(done.succeeded().variables["Changed"], "false");
    assert!(policy(&world).await.expect("one").contains("Update:*"));
    assert_eq!(
        described(&world).await.enable_termination_protection(),
        Some(true)
    );
    // Neither is taken away by leaving it out.
    configured(&world, 2, "{}", "").await.succeeded();
    assert!(policy(&world).await.is_some());
    assert_eq!(
        described(&world).await.enable_termination_protection(),
        Some(true)
    );
    configured(&world, 2, config, "&protect=off")
        .await
        .succeeded();
    assert_eq!(
        described(&world).await.enable_termination_protection(),
        Some(false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_in_s3_is_deployed_from_there() {
    let world = world().await;
    let put = world.s3.put_object().bucket("release").key("app/one.yaml");
    put.body(topics(1).into_bytes().into())
        .send()
        .await
        .expect("a template");
    let parameters = format!("stack=app&{ROLE}&template=s3://release/app/one.yaml");
    let action = Action::of("deploy-stack", &parameters);
    let done = world.act(&Tree::new().file("nothing", ""), action).await;
    assert_eq!(done.succeeded().variables["Changed"], "true");
    assert!(done.variables["First"].contains("sns"), "{done:?}");
    let parameters = parameters.replace("s3://release", "s3://elsewhere");
    let action = Action::of("deploy-stack", &parameters);
    let denied = world.act(&Tree::new().file("nothing", ""), action).await;
    denied.failed(
        "ConfigurationError",
        &["failed to read the template for stack `app`: S3 error: Access Denied"],
    );
}

async fn configured(world: &World, count: usize, config: &str, more: &str) -> Done {
    let tree = Tree::new()
        .file("template.yaml", topics(count))
        .file("config.json", config);
    let parameters =
        format!("stack=app&{ROLE}&template=Source::template.yaml&config=Source::config.json{more}");
    world
        .act(&tree, Action::of("deploy-stack", &parameters))
        .await
}

async fn described(world: &World) -> aws_sdk_cloudformation::types::Stack {
    let answer = world.cloudformation.describe_stacks().stack_name("app");
    let stacks = answer.send().await.expect("it").stacks;
    stacks.and_then(|mut stacks| stacks.pop()).expect("a stack")
}

async fn policy(world: &World) -> Option<String> {
    let answer = world.cloudformation.get_stack_policy().stack_name("app");
    answer.send().await.expect("it").stack_policy_body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_in_s3_that_is_not_there_is_no_change_of_the_stack() {
    let world = world().await;
    let deploy = format!("stack=app&{ROLE}&template=s3://release/nowhere.yaml");
    let done = world
        .act(
            &Tree::new().file("a", ""),
            Action::of("deploy-stack", &deploy),
        )
        .await;
    done.failed(
        "ConfigurationError",
        &[
            "S3 error: ",
            "hint: see that template= names an object that is there",
        ],
    );
}
