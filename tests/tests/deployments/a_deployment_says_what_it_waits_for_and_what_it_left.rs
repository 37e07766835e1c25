//! While a stack is under way the summary says how far it is; in the end, what could not be deleted; and the plan that
//! is published is the one that was carried out, with its values.

use std::time::Duration;

use towpath_loopback::{FaultKind, FaultRule, FaultWhen, ResourceScript};

use crate::{act, told, topics, world};

#[tokio::test(flavor = "multi_thread")]
async fn the_slowest_resource_is_named() {
    let world = world().await;
    act(&world, &topics(1), "").await.succeeded();
    let slow = ResourceScript::Delay(Duration::from_hours(1));
    world
        .loopback()
        .world()
        .script_resource("app", "Topic3", slow);
    let expected =
        "updating stack `app` (2 added): 50% (1 of 2), slowest: Topic3 (AWS::SNS::Topic), ";
    let told = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !world.log().contains(expected) {
            look.tick().await;
        }
    };
    let update = topics(3);
    tokio::select! {
        done = act(&world, &update, "") => panic!("it does not end: {done:#?}"),
        () = told => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn that_it_cannot_be_told_takes_nothing_from_the_deployment() {
    let world = world().await;
    world.loopback().inject(FaultRule {
        service: Some("cloudformation".to_owned()),
        operation: Some("ListStackResources".to_owned()),
        when: FaultWhen::Nth {
            first: 1,
            times: 1_000,
        },
        kind: FaultKind::Throttle,
    });
    act(&world, &topics(2), "").await.succeeded();
}

fn bucket_and(value: &str) -> String {
    format!(
        "Resources:
  Stage:
    Type: AWS::SSM::Parameter
    Properties: {{Type: String, Name: /app/stage, Value: {value}}}
  Site:
    Type: AWS::S3::Bucket
    Properties: {{BucketName: app-site}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_deleted_is_named() {
    let world = world().await;
    let made = act(&world, &bucket_and("qa"), "").await;
    assert_eq!(made.succeeded().variables["Leftovers"], "");
    let put = world.s3.put_object().bucket("app-site").key("index.html");
    let put = put.body(Vec::from("hello").into()).send().await;
    put.expect("an object");
    let without = "Resources:
  Stage:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Name: /app/stage, Value: qa}
";
    let done = act(&world, without, "&allow-loss=Site").await;
    done.succeeded();
    assert_eq!(world.stack("app").await.expect("it").0, "UPDATE_COMPLETE");
    assert_eq!(
        done.variables["Leftovers"],
        "Site (AWS::S3::Bucket app-site)"
    );
    let summary = done.summary.as_deref().unwrap_or_default();
    assert!(
        summary.starts_with("stack `app` is UPDATE_COMPLETE: 1 removed; left behind, ")
            && summary.contains(": Site (AWS::S3::Bucket app-site): ")
            && summary.contains("not empty")
            && summary.ends_with(". Delete it by hand"),
        "{summary}"
    );
    let log = world.log();
    assert!(log.contains("could not delete a resource"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_that_was_carried_out_is_published_with_its_values() {
    let world = world().await;
    act(&world, &bucket_and("qa"), "").await.succeeded();
    let done = act(&world, &bucket_and("production"), "").await;
    done.succeeded();
    let page = told(&world, &done, "plan.md").await;
    assert!(page.contains("`Value`: `qa` → `production`"), "{page}");
    assert!(told(&world, &done, "outputs.json").await.contains('{'));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_nested_stack_could_not_delete_is_named_too() {
    let world = world().await;
    let put = async |key: &str, text: String| {
        let put = world.s3.put_object().bucket("release").key(key);
        let put = put.body(text.into_bytes().into()).send().await;
        put.expect("an object");
    };
    let around = |key: &str| {
        format!(
            "Resources:
  Data:
    Type: AWS::CloudFormation::Stack
    Properties: {{TemplateURL: 'https://release.s3.us-east-1.amazonaws.com/{key}'}}
"
        )
    };
    put("first.yaml", bucket_and("qa")).await;
    put("second.yaml", topics(1)).await;
    act(&world, &around("first.yaml"), "").await.succeeded();
    let file = world.s3.put_object().bucket("app-site").key("index.html");
    let file = file.body(Vec::from("hello").into()).send().await;
    file.expect("an object");
    let done = act(&world, &around("second.yaml"), "&replace=allow").await;
    assert_eq!(
        done.succeeded().variables["Leftovers"],
        "Data.Site (AWS::S3::Bucket app-site)"
    );
}
