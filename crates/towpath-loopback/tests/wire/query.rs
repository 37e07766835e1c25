//! The small services, each in the protocol its clients speak.

use std::time::Duration;

use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
use aws_sdk_cloudwatch::types::{ComparisonOperator, StateValue};

use crate::world::{World, element, form};

#[tokio::test]
async fn the_sdk_speaks_cbor_with_cloudwatch() {
    let world = World::start().await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&world.config(world.root()));
    cloudwatch
        .put_metric_alarm()
        .alarm_name("errors")
        .namespace("AWS/Lambda")
        .metric_name("Errors")
        .threshold(1.0)
        .period(60)
        .evaluation_periods(1)
        .comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold)
        .send()
        .await
        .expect("put");
    let alarms = || cloudwatch.describe_alarms().alarm_names("errors").send();
    let alarm = alarms().await.expect("described").metric_alarms()[0].clone();
    assert_eq!(alarm.threshold(), Some(1.0));
    assert_eq!(alarm.period(), Some(60));
    assert_eq!(alarm.state_value(), Some(&StateValue::InsufficientData));
    assert!(alarm.state_updated_timestamp().is_some());
    cloudwatch
        .set_alarm_state()
        .alarm_name("errors")
        .state_value(StateValue::Alarm)
        .state_reason("a test says so")
        .send()
        .await
        .expect("set");
    let alarm = alarms().await.expect("described").metric_alarms()[0].clone();
    assert_eq!(alarm.state_value(), Some(&StateValue::Alarm));
    let missing = cloudwatch.delete_alarms().alarm_names("other").send().await;
    assert_eq!(
        missing.expect_err("missing").code(),
        Some("ResourceNotFound")
    );
    cloudwatch
        .delete_alarms()
        .alarm_names("errors")
        .send()
        .await
        .expect("deleted");
    assert!(
        alarms()
            .await
            .expect("described")
            .metric_alarms()
            .is_empty()
    );
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn published_messages_are_kept_in_a_file() {
    let world = World::start().await;
    let root = world.root();
    let create = form(&[("Action", "CreateTopic"), ("Name", "approvals")]);
    let created = world.query("sns", &create, &root).await;
    let arn = element(&created.body, "TopicArn");
    let subscribe = form(&[
        ("Action", "Subscribe"),
        ("TopicArn", &arn),
        ("Protocol", "email"),
        ("Endpoint", "team@example.com"),
    ]);
    assert_eq!(world.query("sns", &subscribe, &root).await.status, 200);
    let publish = form(&[
        ("Action", "Publish"),
        ("TopicArn", &arn),
        ("Subject", "s"),
        ("Message", "<please> & approve"),
    ]);
    let published = world.query("sns", &publish, &root).await;
    let id = element(&published.body, "MessageId");
    let file = world.directory.path().join("state/sns/approvals.jsonl");
    let line = std::fs::read_to_string(file).expect("a file");
    assert!(
        line.contains(&id) && line.contains("<please> & approve"),
        "{line}"
    );
    let ledger = world.control("GET", "/_towpath/fidelity", "").await;
    assert!(
        ledger.body.contains("SNS delivery over email"),
        "{ledger:?}"
    );
    let nowhere = form(&[
        ("Action", "Publish"),
        ("TopicArn", "arn:x"),
        ("Message", "m"),
    ]);
    let nowhere = world.query("sns", &nowhere, &root).await;
    assert_eq!(element(&nowhere.body, "Code"), "NotFound");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn parameters_and_log_events_are_kept() {
    let world = World::start().await;
    let root = world.root();
    let call = async |service: &str, target: &str, body: &str| {
        world
            .signed(
                service,
                "POST",
                "/",
                &[("x-amz-target", target)],
                body,
                &root,
            )
            .await
    };
    let put = r#"{"Name":"/a/b","Value":"v","Type":"String"}"#;
    assert_eq!(call("ssm", "AmazonSSM.PutParameter", put).await.status, 200);
    let again = call("ssm", "AmazonSSM.PutParameter", put).await;
    assert!(again.body.contains("ParameterAlreadyExists"), "{again:?}");
    let got = call(
        "ssm",
        "AmazonSSM.GetParameters",
        r#"{"Names":["/a/b","/c"]}"#,
    )
    .await;
    assert!(got.body.contains(r#""Value":"v""#), "{got:?}");
    assert!(
        got.body.contains(r#""InvalidParameters":["/c"]"#),
        "{got:?}"
    );

    let logs = "Logs_20140328";
    for (operation, body) in [
        ("CreateLogGroup", r#"{"logGroupName":"/g"}"#),
        (
            "CreateLogStream",
            r#"{"logGroupName":"/g","logStreamName":"s"}"#,
        ),
        (
            "PutLogEvents",
            r#"{"logGroupName":"/g","logStreamName":"s","logEvents":[{"timestamp":1,"message":"one ERROR"},{"timestamp":2,"message":"two"}]}"#,
        ),
    ] {
        let answer = call("logs", &format!("{logs}.{operation}"), body).await;
        assert_eq!(answer.status, 200, "{operation}: {answer:?}");
    }
    let filter = r#"{"logGroupName":"/g","filterPattern":"ERROR"}"#;
    let found = call("logs", &format!("{logs}.FilterLogEvents"), filter).await;
    assert!(
        found.body.contains("one ERROR") && !found.body.contains("two"),
        "{found:?}"
    );
    let file = world.directory.path().join("state/logs/g/s.log");
    assert_eq!(
        std::fs::read_to_string(file).expect("a file"),
        "one ERROR\ntwo\n"
    );
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_what_it_began() {
    let world = World::start().await;
    let root = world.root();
    let rule = r#"{"service":"sns","operation":"CreateTopic","kind":"delay","delay_ms":30}"#;
    assert_eq!(
        world.control("POST", "/_towpath/faults", rule).await.status,
        200
    );
    let create = form(&[("Action", "CreateTopic"), ("Name", "t")]);
    let cut =
        tokio::time::timeout(Duration::from_millis(5), world.query("sns", &create, &root)).await;
    assert!(cut.is_err(), "the client did not wait");
    let list = form(&[("Action", "ListTopics")]);
    // Either it had not begun when the client went away, or it is whole: what is asked again succeeds.
    assert_eq!(world.query("sns", &create, &root).await.status, 200);
    let listed = world.query("sns", &list, &root).await;
    assert_eq!(listed.body.matches("<member>").count(), 1, "{listed:?}");
    world.loopback.shutdown().await;
}
