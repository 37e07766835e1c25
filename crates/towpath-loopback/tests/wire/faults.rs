//! Faults on demand: each kind does what it says, to the call it names.

use std::time::{Duration, Instant};

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use towpath_loopback::{Cut, FaultKind, FaultRule, FaultWhen};

use crate::world::{World, form};

fn rule(service: &str, operation: &str, kind: FaultKind) -> FaultRule {
    FaultRule {
        service: Some(service.to_owned()),
        operation: Some(operation.to_owned()),
        when: FaultWhen::Nth { first: 1, times: 1 },
        kind,
    }
}

#[tokio::test]
async fn s3_calls_fail_as_the_rule_says() {
    let world = World::start().await;
    let s3 = world.s3_as(world.root());
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    for (kind, code, happened) in [
        (FaultKind::Throttle, Some("SlowDown"), false),
        (FaultKind::Error, Some("InternalError"), false),
        (FaultKind::Cut(Cut::Before), None, false),
        (FaultKind::Cut(Cut::After), None, true),
    ] {
        world.loopback.inject(rule("s3", "PutObject", kind));
        let key = format!("{kind:?}");
        let failed = s3.put_object().bucket("bucket").key(&key).send().await;
        assert_eq!(failed.expect_err("a fault").code(), code, "{key}");
        let found = s3
            .head_object()
            .bucket("bucket")
            .key(&key)
            .send()
            .await
            .is_ok();
        assert_eq!(found, happened, "{key}");
    }
    // The SDK's own retries pass over a fault.
    world
        .loopback
        .inject(rule("s3", "PutObject", FaultKind::Error));
    world
        .s3()
        .put_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .expect("retried");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn other_services_fail_as_the_rule_says() {
    let world = World::start().await;
    let root = world.root();
    let list = form(&[("Action", "ListTopics")]);
    let kinds = [
        (FaultKind::Throttle, 400, "Throttling"),
        (FaultKind::Error, 500, "InternalFailure"),
        (FaultKind::Cut(Cut::Before), 0, ""),
    ];
    for (kind, status, code) in kinds {
        world.loopback.inject(rule("sns", "ListTopics", kind));
        let answer = world.query("sns", &list, &root).await;
        assert_eq!(answer.status, status, "{kind:?}: {answer:?}");
        assert!(answer.body.contains(code), "{kind:?}: {answer:?}");
        assert_eq!(
            world.query("sns", &list, &root).await.status,
            200,
            "{kind:?}"
        );
    }
    world
        .loopback
        .inject(rule("sns", "CreateTopic", FaultKind::Cut(Cut::After)));
    let create = form(&[("Action", "CreateTopic"), ("Name", "t")]);
    assert_eq!(world.query("sns", &create, &root).await.status, 0);
    let listed = world.query("sns", &list, &root).await;
    assert!(listed.body.contains(":t</TopicArn>"), "{listed:?}");

    let delay = Duration::from_millis(50);
    world
        .loopback
        .inject(rule("sns", "ListTopics", FaultKind::Delay(delay)));
    let begun = Instant::now();
    world.query("sns", &list, &root).await;
    assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn rules_are_set_over_the_wire() {
    let world = World::start().await;
    let root = world.root();
    let rule = r#"{"service":"sns","nth":2,"kind":"throttle"}"#;
    assert_eq!(
        world.control("POST", "/_towpath/faults", rule).await.status,
        200
    );
    let list = form(&[("Action", "ListTopics")]);
    let statuses = [
        world.query("sns", &list, &root).await.status,
        world.query("sns", &list, &root).await.status,
        world.query("sns", &list, &root).await.status,
    ];
    assert_eq!(statuses, [200, 400, 200]);
    let report = world.control("GET", "/_towpath/faults", "").await;
    assert!(report.body.contains(r#""calls":3,"hits":1"#), "{report:?}");
    assert_eq!(
        world.control("DELETE", "/_towpath/faults", "").await.status,
        200
    );
    let wrong = world
        .control("POST", "/_towpath/faults", r#"{"kind":"explode"}"#)
        .await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn resources_fail_as_often_as_was_set_over_the_wire() {
    let world = World::start().await;
    let root = world.root();
    let rule =
        r#"{"stack":"app*","resource":"Topic","operation":"create","fail":"not today","times":1}"#;
    let set = world.control("POST", "/_towpath/resources", rule).await;
    assert_eq!(set.status, 200, "{set:?}");
    let template = r#"{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}"#;
    for (stack, expected) in [("app-1", "ROLLBACK_COMPLETE"), ("app-2", "CREATE_COMPLETE")] {
        let create = form(&[
            ("Action", "CreateStack"),
            ("StackName", stack),
            ("TemplateBody", template),
        ]);
        let created = world.query("cloudformation", &create, &root).await;
        assert_eq!(created.status, 200, "{created:?}");
        let describe = form(&[("Action", "DescribeStacks"), ("StackName", stack)]);
        let told = loop {
            let told = world.query("cloudformation", &describe, &root).await;
            if !told.body.contains("_IN_PROGRESS<") {
                break told.body;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let status = format!("<StackStatus>{expected}<");
        assert!(told.contains(&status), "{told}");
    }
    let events = form(&[("Action", "DescribeStackEvents"), ("StackName", "app-1")]);
    let events = world.query("cloudformation", &events, &root).await;
    assert!(
        events.body.contains("<ResourceStatusReason>not today<"),
        "{events:?}"
    );
    let report = world.control("GET", "/_towpath/resources", "").await;
    assert!(report.body.contains(r#""hits":1"#), "{report:?}");
    let cleared = world.control("DELETE", "/_towpath/resources", "").await;
    assert_eq!(cleared.status, 200);
    let report = world.control("GET", "/_towpath/resources", "").await;
    assert_eq!(report.body, "[]");
    for (wrong, words) in [
        (r#"{"stack":"app"}"#, "needs `resource`"),
        ("{", "the body is not JSON"),
    ] {
        let refused = world.control("POST", "/_towpath/resources", wrong).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body.contains(words), "{refused:?}");
    }
    world.loopback.shutdown().await;
}
