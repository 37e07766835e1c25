//! A stack is deleted with what it holds when that was asked for, and only then; what is in the way is named; what has
//! expired is swept, and nothing else.

use std::time::Instant;

use aws_sdk_cloudformation::types::Tag;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use deploy_stack::Pace;
use deploy_stack::bucket::{Emptied, empty};
use serde_json::Value;
use towpath_loopback::{Cut, FaultKind, FaultRule, FaultWhen, ResourceScript, ScriptedOperation};
use towpath_tests::{Action, Done, Tree, World};

use crate::what_lives_for_a_while_leaves_nothing::{REFUSED, propose};
use crate::{ROLE, setup};

pub(crate) async fn world() -> World {
    setup().allow(&["s3:*"], "arn:aws:s3:::app-*").start().await
}

pub(crate) async fn act(world: &World, parameters: &str) -> Done {
    world
        .act(
            &Tree::new().file("a", ""),
            Action::of("deploy-stack", parameters),
        )
        .await
}

/// Makes a stack of this template, and waits for it.
pub(crate) async fn make(world: &World, name: &str, template: &str, tags: &[(&str, &str)]) {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(*key).value(*value).build())
        .collect();
    let made = world.cloudformation.create_stack().stack_name(name);
    let made = made.template_body(template).set_tags(Some(tags)).send();
    made.await.expect("a stack");
    settled(world, name, "CREATE_COMPLETE").await;
}

async fn settled(world: &World, name: &str, expected: &str) {
    loop {
        let (status, reason) = world.stack(name).await.expect("the stack");
        if status == expected {
            return;
        }
        assert!(status.ends_with("_IN_PROGRESS"), "{status}: {reason}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

pub(crate) fn bucket(logical_id: &str, name: &str, more: &str) -> String {
    format!(
        "  {logical_id}:\n    Type: AWS::S3::Bucket\n{more}    Properties: {{BucketName: {name}}}\n"
    )
}

/// Two versions, a delete marker and an upload that was only begun.
pub(crate) async fn fill(world: &World, bucket: &str) {
    let versioning = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let on = world.s3.put_bucket_versioning().bucket(bucket);
    on.versioning_configuration(versioning)
        .send()
        .await
        .expect("versions");
    for text in ["one", "two"] {
        let put = world.s3.put_object().bucket(bucket).key("a/b c");
        put.body(text.as_bytes().to_vec().into())
            .send()
            .await
            .expect("an object");
    }
    let gone = world.s3.delete_object().bucket(bucket).key("a/b c").send();
    gone.await.expect("a marker");
    let begun = world
        .s3
        .create_multipart_upload()
        .bucket(bucket)
        .key("big")
        .send();
    begun.await.expect("an upload");
}

pub(crate) async fn exists(world: &World, bucket: &str) -> bool {
    world.s3.head_bucket().bucket(bucket).send().await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bucket_is_named_then_emptied_on_request_and_one_that_is_to_be_kept_is_not() {
    let world = world().await;
    let template = format!(
        "Resources:\n{}{}",
        bucket("Site", "app-site", ""),
        bucket("Kept", "app-kept", "    DeletionPolicy: Retain\n")
    );
    make(&world, "app", &template, &[]).await;
    fill(&world, "app-site").await;
    fill(&world, "app-kept").await;

    let done = act(&world, &format!("action=delete&stack=app&{ROLE}")).await;
    done.failed(
        "JobFailed",
        &[
            "`app`",
            "Site",
            "not empty",
            "hint:",
            "empty-buckets=Site",
            "retain=Site",
        ],
    );
    let done = act(
        &world,
        &format!("action=delete&stack=app&{ROLE}&empty-buckets=Kept"),
    )
    .await;
    done.failed("ConfigurationError", &["`Kept`", "DeletionPolicy"]);
    let done = act(
        &world,
        &format!("action=delete&stack=app&{ROLE}&empty-buckets=Sit"),
    )
    .await;
    done.failed("ConfigurationError", &["no bucket `Sit`", "empty-buckets"]);
    assert!(exists(&world, "app-site").await);

    let done = act(
        &world,
        &format!("action=delete&stack=app&{ROLE}&empty-buckets=on"),
    )
    .await;
    done.succeeded();
    assert_eq!(
        done.variables["Leftovers"],
        "Kept (AWS::S3::Bucket app-kept)"
    );
    assert!(world.stack("app").await.is_none());
    assert!(!exists(&world, "app-site").await);
    let kept = world
        .s3
        .list_object_versions()
        .bucket("app-kept")
        .send()
        .await;
    assert_eq!(
        kept.expect("it is there").versions().len(),
        2,
        "nothing of it is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_stay_behind_on_request_and_are_told() {
    let world = world().await;
    for (number, (way, name)) in [
        ("retain=Site", "named"),
        ("retain=leftovers", "all"),
        ("force=on", "force"),
    ]
    .into_iter()
    .enumerate()
    {
        let site = format!("app-{name}");
        let template = format!(
            "Resources:\n{}  Topic:\n    Type: AWS::SNS::Topic\n",
            bucket("Site", &site, "")
        );
        let stack = format!("app-{number}");
        make(&world, &stack, &template, &[]).await;
        fill(&world, &site).await;
        let done = act(&world, &format!("action=delete&stack={stack}&{ROLE}&{way}")).await;
        done.succeeded();
        assert_eq!(
            done.variables["Leftovers"],
            format!("Site (AWS::S3::Bucket {site})"),
            "{way}"
        );
        assert!(world.stack(&stack).await.is_none(), "{way}");
        assert!(exists(&world, &site).await, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_import_is_named_before_anything_is_deleted() {
    let world = world().await;
    let exporter = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\nOutputs:\n  Topic:\n    Value: !Ref Topic\n    Export: {Name: app-topic}\n";
    let importer = "Resources:\n  Address:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: !ImportValue app-topic}\n";
    make(&world, "app", exporter, &[]).await;
    make(&world, "other", importer, &[]).await;
    let done = act(&world, &format!("action=delete&stack=app&{ROLE}")).await;
    done.failed("ConfigurationError", &["`app`", "`app-topic`", "`other`"]);
    assert_eq!(
        world.stack("app").await.expect("there").0,
        "CREATE_COMPLETE"
    );
    let done = act(&world, &format!("action=delete&stack=other&{ROLE}")).await;
    done.succeeded();
    let done = act(&world, &format!("action=delete&stack=app&{ROLE}")).await;
    done.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lets_go_slowly_is_tried_again() {
    let world = world().await;
    make(
        &world,
        "app",
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n",
        &[],
    )
    .await;
    let arn = world
        .cloudformation
        .describe_stacks()
        .stack_name("app")
        .send()
        .await;
    let arn = arn.expect("the stack").stacks()[0]
        .stack_id()
        .expect("an ARN")
        .to_owned();
    let fail = ResourceScript::Fail {
        reason: "resource sg-1 has a dependent object".to_owned(),
        on: ScriptedOperation::Delete,
    };
    world
        .loopback()
        .world()
        .script_resource("app", "Topic", fail);
    let done = act(&world, &format!("action=delete&stack=app&{ROLE}&linger=1s")).await;
    done.failed("JobFailed", &["Topic", "dependent object", "retain=Topic"]);
    let failed_before = deletions_failed(&world, &arn).await;
    let patient = format!("action=delete&stack=app&{ROLE}&linger=20s");
    let lets_go = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
        while deletions_failed(&world, &arn).await < failed_before + 2 {
            look.tick().await;
        }
        world.loopback().world().clear_resource_scripts();
    };
    let (done, ()) = tokio::join!(act(&world, &patient), lets_go);
    done.succeeded();
}

/// How often the stack has come to `DELETE_FAILED`.
async fn deletions_failed(world: &World, arn: &str) -> usize {
    let events = world
        .cloudformation
        .describe_stack_events()
        .stack_name(arn)
        .send()
        .await
        .expect("events");
    events
        .stack_events()
        .iter()
        .filter(|event| event.resource_type() == Some("AWS::CloudFormation::Stack"))
        .filter_map(|event| event.resource_status())
        .filter(|status| status.as_str() == "DELETE_FAILED")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_call_is_lost_the_stack_goes() {
    let world = world().await;
    let template = format!("Resources:\n{}", bucket("Site", "app-site", ""));
    for kind in [FaultKind::Error, FaultKind::Cut(Cut::After)] {
        for (service, operation) in [
            ("cloudformation", "DescribeStacks"),
            ("cloudformation", "DeleteStack"),
            ("cloudformation", "ListStackResources"),
            ("cloudformation", "GetTemplate"),
            ("s3", "ListObjectVersions"),
            ("s3", "DeleteObjects"),
            ("s3", "ListMultipartUploads"),
            ("s3", "AbortMultipartUpload"),
        ] {
            make(&world, "app", &template, &[]).await;
            fill(&world, "app-site").await;
            world.loopback().inject(FaultRule {
                service: Some(service.to_owned()),
                operation: Some(operation.to_owned()),
                when: FaultWhen::Nth { first: 1, times: 1 },
                kind,
            });
            let done = act(
                &world,
                &format!("action=delete&stack=app&{ROLE}&empty-buckets=on"),
            )
            .await;
            assert_eq!(done.status, "Succeeded", "{operation} {kind:?}: {done:#?}");
            assert!(!exists(&world, "app-site").await, "{operation} {kind:?}");
        }
    }
}

/// A step that is late from the start empties a batch at least; the next ones do the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_get_empty_in_one_step_is_emptied_by_several() {
    let world = world().await;
    let template = format!("Resources:\n{}", bucket("Site", "app-site", ""));
    make(&world, "app", &template, &[]).await;
    fill(&world, "app-site").await;
    for key in ["bigger", "biggest"] {
        let begun = world.s3.create_multipart_upload().bucket("app-site");
        begun.key(key).send().await.expect("an upload");
    }
    let mut came = Vec::new();
    while came.last() != Some(&Emptied::Wholly) {
        let late = Pace::until(Instant::now());
        let step = empty(&world.s3, "app-site", &late).await;
        came.push(step.expect("S3 answers"));
    }
    // The versions and the marker in one batch, then an upload each.
    let (partly, wholly) = (Emptied::Partly, Emptied::Wholly);
    assert_eq!(came, [partly, partly, partly, wholly]);
    let done = act(&world, &format!("action=delete&stack=app&{ROLE}")).await;
    done.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_call_is_lost_it_is_swept() {
    let world = world().await;
    let template = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n";
    let expired = [
        ("towpath:ephemeral", "true"),
        ("towpath:expires-at", "2020-01-01T00:00:00Z"),
    ];
    let sweep = format!("action=sweep&dry-run=off&{ROLE}");
    for kind in [FaultKind::Error, FaultKind::Cut(Cut::After)] {
        // What it calls beside these, the deletion of one stack calls too.
        for operation in [
            "DescribeStacks",
            "ListChangeSets",
            "DescribeChangeSet",
            "DeleteStack",
        ] {
            make(&world, "app", template, &expired).await;
            propose(&world, "app-planned", REFUSED, &expired).await;
            world.loopback().inject(FaultRule {
                service: Some("cloudformation".to_owned()),
                operation: Some(operation.to_owned()),
                when: FaultWhen::Nth { first: 1, times: 1 },
                kind,
            });
            let action = Action::of("deploy-stack", &sweep).makes("Report");
            let done = world.act(&Tree::new().file("a", ""), action).await;
            assert_eq!(done.status, "Succeeded", "{operation} {kind:?}: {done:#?}");
            assert_eq!(done.variables["Deleted"], "2", "{operation} {kind:?}");
            for stack in ["app", "app-planned"] {
                assert!(world.stack(stack).await.is_none(), "{operation} {kind:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_has_expired_is_swept_and_one_that_stays_does_not_stop_the_others() {
    let world = world().await;
    let topic = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n";
    let full = format!("Resources:\n{}", bucket("Site", "app-site", ""));
    let mark = ("towpath:ephemeral", "true");
    let past = ("towpath:expires-at", "2020-01-01T00:00:00Z");
    let sooner = ("towpath:expires-at", "2019-01-01T00:00:00Z");
    let future = ("towpath:expires-at", "2999-01-01T00:00:00Z");
    make(&world, "app-old", topic, &[mark, past]).await;
    make(&world, "app-full", &full, &[mark, sooner]).await;
    make(&world, "app-new", topic, &[mark, future]).await;
    make(&world, "app-mine", topic, &[past]).await;
    make(&world, "shop-old", topic, &[mark, past]).await;
    make(&world, "app-held", topic, &[mark, past]).await;
    let protect = world
        .cloudformation
        .update_termination_protection()
        .stack_name("app-held");
    protect
        .enable_termination_protection(true)
        .send()
        .await
        .expect("protection");
    fill(&world, "app-site").await;
    let sweep = |more: &str| {
        let action = Action::of("deploy-stack", &format!("action=sweep&{ROLE}&{more}"));
        action.makes("Report")
    };
    let tree = Tree::new().file("a", "");

    let done = world.act(&tree, sweep("prefix=app-")).await;
    let summary = done.succeeded().summary.clone().unwrap_or_default();
    towpath_tests::assert_says(
        &summary,
        &[
            "would be deleted (dry run): app-full, app-old",
            "dry-run=off",
        ],
    );
    assert_eq!(done.variables["Deleted"], "0");
    assert_eq!(done.variables["Expired"], "2");
    let report: Value =
        serde_json::from_slice(&world.file(&done, "Report", "sweep.json").await).expect("JSON");
    assert_eq!(report["dryRun"], true);
    assert_eq!(
        report["kept"].as_array().expect("a list").len(),
        2,
        "{report}"
    );

    let done = world
        .act(
            &tree,
            sweep("prefix=app-&dry-run=off&cap=1&empty-buckets=off"),
        )
        .await;
    done.failed(
        "JobFailed",
        &["`app-full`", "not empty", "1 more have expired"],
    );
    let done = world.act(&tree, sweep("prefix=app-&dry-run=off")).await;
    done.failed(
        "JobFailed",
        &["1 of the stacks", "`app-full`", "deleted: app-old"],
    );
    let done = world
        .act(&tree, sweep("prefix=app-&dry-run=off&empty-buckets=on"))
        .await;
    done.succeeded();
    assert_eq!(done.variables["Deleted"], "1");
    for (stack, stays) in [
        ("app-old", false),
        ("app-full", false),
        ("app-new", true),
        ("app-mine", true),
        ("app-held", true),
        ("shop-old", true),
    ] {
        assert_eq!(world.stack(stack).await.is_some(), stays, "{stack}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_for_a_branch_has_a_name_of_its_own_and_an_end() {
    let world = world().await;
    let tree = Tree::new().file(
        "t.yaml",
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n",
    );
    let mut names = std::collections::BTreeSet::new();
    for branch in ["feature/login", "feature-login"] {
        let deploy = format!("stack-for=app-{branch}&ttl=2d&template=Source::t.yaml&{ROLE}");
        let done = world.act(&tree, Action::of("deploy-stack", &deploy)).await;
        let name = done.succeeded().variables["StackName"].clone();
        assert!(name.starts_with("app-feature-login-"), "{name}");
        let stack = world
            .cloudformation
            .describe_stacks()
            .stack_name(&name)
            .send()
            .await;
        let stack = stack.expect("the stack");
        let tags: Vec<&str> = stack.stacks()[0]
            .tags()
            .iter()
            .filter_map(Tag::key)
            .collect();
        assert!(tags.contains(&"towpath:ephemeral"), "{tags:?}");
        assert!(tags.contains(&"towpath:expires-at"), "{tags:?}");
        // Within the hour the end is the same, so there is nothing to change.
        let again = world.act(&tree, Action::of("deploy-stack", &deploy)).await;
        assert_eq!(again.succeeded().variables["StackName"], name);
        names.insert(name);
        let gone = act(
            &world,
            &format!("action=delete&stack-for=app-{branch}&{ROLE}"),
        )
        .await;
        gone.succeeded();
    }
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        assert!(world.stack(&name).await.is_none(), "{name}");
    }
}

/// The first delivery of a sweep settles what goes, and the second must settle the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_is_delivered_twice_deletes_no_more_than_its_cap() {
    let world = world().await;
    let topic = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n";
    let mark = ("towpath:ephemeral", "true");
    for (name, end) in [
        ("app-a", "2019-01-01T00:00:00Z"),
        ("app-b", "2020-01-01T00:00:00Z"),
    ] {
        make(&world, name, topic, &[mark, ("towpath:expires-at", end)]).await;
    }
    world.loopback().duplicate_next("deploy-stack");
    let sweep = format!("action=sweep&dry-run=off&cap=1&{ROLE}");
    let action = Action::of("deploy-stack", &sweep).makes("Report");
    let done = world.act(&Tree::new().file("a", ""), action).await;
    done.succeeded();
    assert_eq!(done.variables["Deleted"], "1");
    assert!(world.stack("app-a").await.is_none());
    assert!(world.stack("app-b").await.is_some(), "the cap is one");
}
