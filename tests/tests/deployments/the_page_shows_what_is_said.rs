//! docs/when-a-deployment-fails.md shows the messages of the commonest failures as they are: each is met here, over the
//! wire, and held against the page. With `TOWPATH_WRITE_DOCS` set, what the page shows is written anew.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aws_sdk_cloudformation::types::Capability;
use aws_sdk_cloudwatch::types::StateValue;
use towpath_loopback::{ResourceScript, ScriptedOperation};
use towpath_tests::{Done, World};

use crate::a_broken_stack_is_brought_back::fail;
use crate::a_failure_is_told_by_its_cause::{SEED, twice};
use crate::inputs_are_checked_before_anything_is_made::ALARM;
use crate::{act, setup, table, topics, until, world};

/// Several tests may write the page.
static PAGE: Mutex<()> = Mutex::new(());

/// Holds what the page shows under this name to what the action has said: its failure type and its message.
#[track_caller]
fn shown(name: &str, done: &Done) {
    assert_eq!(done.status, "Failed", "{name}: {done:#?}");
    let said = format!(
        "{}\n{}",
        done.code.as_deref().unwrap_or_default(),
        settled(done.message.as_deref().unwrap_or_default()).trim_end()
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/when-a-deployment-fails.md");
    let _guard = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let page = std::fs::read_to_string(&path).expect("the page");
    let mark = format!("<!-- {name} -->\n```text\n");
    let (before, rest) = page
        .split_once(&mark)
        .unwrap_or_else(|| panic!("the page has no block {mark}that shows\n{said}"));
    let (shown, after) = rest.split_once("\n```\n").expect("the end of the block");
    if std::env::var_os("TOWPATH_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{mark}{said}\n```\n{after}")).expect("the page");
        return;
    }
    assert_eq!(
        shown, said,
        "{name}: see whether what is said now is better; then run this test with TOWPATH_WRITE_DOCS=1"
    );
}

/// The text without what is another each time: ids, and the names that are made of them.
fn settled(text: &str) -> String {
    let mut settled = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .unwrap_or(rest.len());
        if end == 0 {
            // In an address, two digits after it are a character of another kind.
            let next = match rest.chars().next() {
                Some('%') => rest.len().min(3),
                other => other.map_or(1, char::len_utf8),
            };
            settled.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let (word, after) = rest.split_at(end);
        settled.push_str(&word_settled(word));
        rest = after;
    }
    settled
}

/// A word of letters, digits and hyphens.
fn word_settled(word: &str) -> String {
    const UUID: &str = "00000000-1111-2222-3333-444444444444";
    let is_uuid = |word: &str| {
        let lengths: Vec<usize> = word.split('-').map(str::len).collect();
        lengths == [8, 4, 4, 4, 12] && word.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
    };
    if is_uuid(word) {
        return UUID.to_owned();
    }
    let mut parts: Vec<&str> = word.split('-').collect();
    for part in &mut parts {
        let is_made = part.len() >= 12
            && part.bytes().any(|b| b.is_ascii_digit())
            && part.bytes().any(|b| b.is_ascii_alphabetic())
            && (part
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
                || part.bytes().all(|b| b.is_ascii_hexdigit()));
        if is_made {
            *part = "1A2B3C4D5E6F";
        }
    }
    parts.join("-")
}

#[test]
fn all_that_the_page_shows_is_met_here() {
    let page = include_str!("../../../docs/when-a-deployment-fails.md");
    let here = include_str!("the_page_shows_what_is_said.rs");
    let names: Vec<&str> = page
        .split("<!-- ")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(" -->")?.0))
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        assert!(here.contains(&format!("\"{name}\"")), "nobody meets {name}");
    }
}

#[test]
fn what_is_another_each_time_is_settled() {
    for (text, expected) in [
        ("stack `app-orders`", "stack `app-orders`"),
        (
            "000000000000:app-Topic-7A596046F1A5",
            "000000000000:app-Topic-1A2B3C4D5E6F",
        ),
        (
            "%3A000000000000%3Astack%2Fapp%2F3820dd3d-fecc-4df6-b333-874f0c8c137e&",
            "%3A000000000000%3Astack%2Fapp%2F00000000-1111-2222-3333-444444444444&",
        ),
        (
            "(RequestId: 3820dd3d-fecc-4df6-b333-874f0c8c137e)",
            "(RequestId: 00000000-1111-2222-3333-444444444444)",
        ),
    ] {
        assert_eq!(settled(text), expected);
    }
}

/// Makes another stack by hand, and waits for it.
async fn make(world: &World, name: &str, template: &str) {
    let made = world.cloudformation.create_stack().stack_name(name);
    let made = made
        .template_body(template)
        .capabilities(Capability::CapabilityNamedIam);
    made.send().await.expect("a stack");
    loop {
        match world.stack(name).await.expect("the stack").0.as_str() {
            "CREATE_COMPLETE" => return,
            "CREATE_IN_PROGRESS" => tokio::task::yield_now().await,
            other => panic!("{name} is {other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing() {
    let narrow = "arn:aws:iam::000000000000:role/narrow";
    let world = setup().allow(&["iam:PassRole"], narrow).start().await;
    let role = "Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: narrow
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: cloudformation.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: narrow
          PolicyDocument:
            Version: '2012-10-17'
            Statement: [{Effect: Allow, Action: 'ssm:*', Resource: '*'}]
";
    make(&world, "roles", role).await;
    let tree = towpath_tests::Tree::new().file("template.yaml", topics(1));
    let parameters = format!("stack=app&template=Source::template.yaml&role={narrow}");
    let action = towpath_tests::Action::of("deploy-stack", &parameters);
    shown("the-role-may-not", &world.act(&tree, action).await);
    let other = format!("{parameters}-too").replace("stack=app&", "stack=fresh&");
    let action = towpath_tests::Action::of("deploy-stack", &other);
    shown("the-function-may-not", &world.act(&tree, action).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken() {
    let world = world().await;
    make(&world, "other", &table("orders", "")).await;
    shown(
        "a-name-is-taken",
        &act(&world, &table("orders", ""), "").await,
    );
    let buckets = format!("Resources:\n{}", twice("Uploads", "Archive"));
    shown("a-name-is-taken-late", &act(&world, &buckets, "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_template_is_given() {
    let world = world().await;
    let role = "Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}
";
    shown("a-capability", &act(&world, role, "").await);
    let parameters = format!(
        "Parameters:\n  Stage: {{Type: String}}\n  Size: {{Type: Number}}\n{}",
        topics(1)
    );
    shown("parameters-missing", &act(&world, &parameters, "").await);
    let unknown = act(&world, &topics(1), "&Param.Stgae=qa").await;
    shown("a-parameter-unknown", &unknown);
    let wrong = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: !Ref Stage}\n";
    shown("a-reference-to-nothing", &act(&world, wrong, "").await);
    let broken = "Resources:\n  Topic: {Type: AWS::SNS::Topic\n";
    shown("no-yaml", &act(&world, broken, "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_would_lose_data() {
    let world = world().await;
    act(&world, &table("orders", ""), "").await.succeeded();
    let renamed = act(&world, &table("orders-2", ""), "").await;
    shown("data-would-be-lost", &renamed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_resource_that_fails() {
    let world = world().await;
    let template = format!("Resources:{SEED}");
    let done = act(&world, &template, "&capabilities=CAPABILITY_IAM").await;
    shown("a-custom-resource", &done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_stack_that_fails() {
    let world = world().await;
    let inner = format!("Resources:\n{}", twice("Uploads", "Archive"));
    let put = world.s3.put_object().bucket("release").key("data.yaml");
    let put = put.body(inner.into_bytes().into()).send().await;
    put.expect("an object");
    let outer = "Resources:
  Data:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://release.s3.us-east-1.amazonaws.com/data.yaml'}
";
    shown("a-nested-stack", &act(&world, outer, "").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_is_stuck() {
    let world = world().await;
    let both = |name: &str| {
        format!(
            "Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {{DisplayName: {name}}}
  Stage:
    Type: AWS::SSM::Parameter
    DependsOn: Topic
    Properties: {{Type: String, Value: {name}}}
"
        )
    };
    act(&world, &both("qa"), "").await.succeeded();
    fail(&world, "Stage", ScriptedOperation::Update);
    let gone = ResourceScript::Fail {
        reason: "Resource handler returned message: \"Topic does not exist (Service: Sns, Status Code: 404)\" (HandlerErrorCode: NotFound)".to_owned(),
        on: ScriptedOperation::Rollback,
    };
    let account = world.loopback().world();
    account.script_resource("app", "Topic", gone);
    act(&world, &both("production"), "")
        .await
        .failed("JobFailed", &["Stage"]);
    until(&world, "UPDATE_ROLLBACK_FAILED").await;
    let refused = act(&world, &both("production"), "&on-failure=fail").await;
    shown("a-rollback-stuck-and-left", &refused);
    shown(
        "a-rollback-stuck",
        &act(&world, &both("production"), "").await,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_in_use() {
    let world = world().await;
    let exports = "Resources:
  Topic: {Type: AWS::SNS::Topic}
Outputs:
  Topic:
    Value: !Ref Topic
    Export: {Name: app-topic}
";
    act(&world, exports, "").await.succeeded();
    let imports = "Resources:
  Copy:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: !ImportValue app-topic}
";
    make(&world, "web", imports).await;
    let without = "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n";
    shown("an-export-goes", &act(&world, without, "").await);
    shown("an-exporter-goes", &act(&world, "", "&action=delete").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm() {
    let world = world().await;
    shown(
        "no-such-alarm",
        &act(&world, &topics(1), "&alarms=app-errors").await,
    );
    make(&world, "alarms", ALARM).await;
    act(&world, &topics(1), "").await.succeeded();
    let rings = async {
        until(&world, "UPDATE_IN_PROGRESS").await;
        let set = aws_sdk_cloudwatch::Client::new(world.config()).set_alarm_state();
        let set = set.alarm_name("app-errors").state_value(StateValue::Alarm);
        set.state_reason("7 errors in a minute")
            .send()
            .await
            .expect("it rings");
    };
    let update = topics(2);
    let (done, ()) = tokio::join!(act(&world, &update, "&alarms=app-errors&monitor=1h"), rings);
    shown("an-alarm-rang", &done);
    let again = act(&world, &update, "&alarms=app-errors").await;
    shown("an-alarm-rings-already", &again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_empty() {
    let world = world().await;
    let site =
        "Resources:\n  Site:\n    Type: AWS::S3::Bucket\n    Properties: {BucketName: app-site}\n";
    act(&world, site, "").await.succeeded();
    let put = world.s3.put_object().bucket("app-site").key("index.html");
    let put = put.body(Vec::from("hello").into()).send().await;
    put.expect("an object");
    shown("a-full-bucket", &act(&world, "", "&action=delete").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_busy() {
    let world = world().await;
    let slow = ResourceScript::Delay(std::time::Duration::from_hours(1));
    let account = world.loopback().world();
    account.script_resource("app", "Topic1", slow);
    let made = world.cloudformation.create_stack().stack_name("app");
    let made = made.template_body(topics(1)).send().await;
    made.expect("begun");
    until(&world, "CREATE_IN_PROGRESS").await;
    let done = act(&world, &topics(1), "&attempts=3").await;
    shown("the-stack-is-busy", &done);
}
