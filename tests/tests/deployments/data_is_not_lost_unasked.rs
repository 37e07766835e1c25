//! A deployment that would remove or replace what holds data stops before it, and says what to do.

use std::time::Duration;

use aws_sdk_cloudformation::types::Capability;
use towpath_tests::World;

use crate::{act, change_sets, is_on_the_page, table, told, topics, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_would_be_replaced() {
    let world = world().await;
    act(&world, &table("orders", ""), "").await.succeeded();
    let stopped = act(&world, &table("orders-2", ""), "").await;
    stopped.failed(
        "ConfigurationError",
        &[
            "the plan for stack `app` would lose data: `Orders` (AWS::DynamoDB::Table, orders) is replaced, for TableName: orders -> orders-2",
            "hint: ",
            "allow-loss=Orders",
        ],
    );
    is_on_the_page(&stopped);
    assert_eq!(world.stack("app").await.expect("it").0, "CREATE_COMPLETE");
    let left = change_sets(&world).await;
    assert!(
        left.iter().all(|set| set
            .execution_status()
            .is_none_or(|status| status.as_str() != "AVAILABLE")),
        "the plan that was stopped is gone: {left:?}"
    );

    let plan = act(&world, &table("orders-2", ""), "&action=plan").await;
    assert_eq!(plan.succeeded().variables["Losses"], "1");
    let page = told(&world, &plan, "plan.md").await;
    assert!(
        page.contains("## Data would be lost\n\n- `Orders`"),
        "{page}"
    );
    assert!(
        page.contains("`TableName`: `orders` → `orders-2` — **replaces it**"),
        "{page}"
    );

    act(&world, &table("orders-2", ""), "&allow-loss=Orders")
        .await
        .succeeded();
    act(&world, &table("orders-3", ""), "&allow-loss=Other")
        .await
        .failed("ConfigurationError", &["would lose data"]);
    act(&world, &table("orders-3", ""), "&replace=allow")
        .await
        .succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_would_go_and_one_that_is_kept() {
    let world = world().await;
    act(&world, &table("orders", ""), "").await.succeeded();
    act(&world, &topics(1), "").await.failed(
        "ConfigurationError",
        &["`Orders` (AWS::DynamoDB::Table, orders) is removed"],
    );
    let kept = table(
        "orders",
        "    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n",
    );
    act(&world, &kept, "").await.succeeded();
    act(&world, &topics(1), "").await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_the_operator_names() {
    let world = world().await;
    act(&world, &topics(2), "").await.succeeded();
    act(&world, &topics(1), "&stateful=AWS::SNS::Topic")
        .await
        .failed(
            "ConfigurationError",
            &[
                "`Topic2` (AWS::SNS::Topic",
                "is removed",
                "allow-loss=Topic2",
            ],
        );
    act(&world, &topics(1), "").await.succeeded();
}

/// A template with a nested stack whose template lies in this object.
fn around(key: &str) -> String {
    format!(
        "Resources:
  Data:
    Type: AWS::CloudFormation::Stack
    Properties: {{TemplateURL: 'https://release.s3.us-east-1.amazonaws.com/{key}'}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_nested_stack_that_cannot_be_looked_into() {
    let world = world().await;
    for (key, text) in [
        ("first.yaml", table("orders", "")),
        ("second.yaml", table("orders-2", "")),
    ] {
        let put = world.s3.put_object().bucket("release").key(key);
        let put = put.body(text.into_bytes().into()).send().await;
        put.expect("an object");
    }
    act(&world, &around("first.yaml"), "").await.succeeded();
    act(&world, &around("second.yaml"), "").await.failed(
        "ConfigurationError",
        &["`Data.Orders` (AWS::DynamoDB::Table, orders) is replaced"],
    );
    let denial = r#"{"Resources": {"Denial": {"Type": "AWS::IAM::Policy", "Properties": {
        "PolicyName": "denial", "Roles": ["function"],
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [{
            "Effect": "Deny", "Action": "cloudformation:DescribeChangeSet",
            "Resource": "arn:aws:cloudformation:*:*:stack/app-*"
        }]}
    }}}}"#;
    let create = world.cloudformation.create_stack().stack_name("denial");
    let create = create
        .template_body(denial)
        .capabilities(Capability::CapabilityIam);
    create.send().await.expect("a stack");
    until_made(&world, "denial").await;
    let unjudged = act(&world, &around("second.yaml"), "").await;
    is_on_the_page(&unjudged);
    unjudged.failed(
        "ConfigurationError",
        &[
            "the plan for stack `app` cannot be judged: the change set of nested stack `Data` cannot be read",
            "cloudformation:DescribeChangeSet",
            "allow-loss=Data",
        ],
    );
    assert_eq!(world.stack("app").await.expect("it").0, "CREATE_COMPLETE");
    act(&world, &around("second.yaml"), "&allow-loss=Data")
        .await
        .succeeded();
}

async fn until_made(world: &World, stack: &str) {
    loop {
        match world.stack(stack).await.expect("the stack").0.as_str() {
            "CREATE_COMPLETE" => return,
            "CREATE_IN_PROGRESS" => tokio::time::sleep(Duration::from_millis(5)).await,
            other => panic!("{stack} is {other}"),
        }
    }
}
