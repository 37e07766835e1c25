//! A stack that lives for a while says what it is of, leaves nothing when it cannot be made, and is swept also where it
//! was never more than planned.

use aws_sdk_cloudformation::types::{ChangeSetType, Tag};
use serde_json::Value;
use towpath_loopback::{ResourceScript, ScriptedOperation};
use towpath_tests::{Action, Done, Tree, World};

use crate::ROLE;
use crate::a_stack_ends_with_what_it_holds::{act, world};

const TOPIC: &str = "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n";

/// A template that no change set can be made of.
pub(crate) const REFUSED: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: {Nonsense: 1}}\n";

async fn deploy(world: &World, parameters: &str) -> Done {
    let tree = Tree::new().file("t.yaml", TOPIC);
    let parameters = format!("{parameters}&{ROLE}");
    let action = Action::of("deploy-stack", &parameters);
    let plans = parameters.contains("action=plan");
    let action = if plans { action.makes("Plan") } else { action };
    world.act(&tree, action).await
}

/// This resource cannot be made.
fn break_resource(world: &World, stack: &str, logical_id: &str) {
    let fail = ResourceScript::Fail {
        reason: "the topic is too loud".to_owned(),
        on: ScriptedOperation::Create,
    };
    world
        .loopback()
        .world()
        .script_resource(stack, logical_id, fail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_fails_leaves_nothing_and_its_cause_is_told() {
    let world = world().await;
    for stack in ["app-gone", "app-planned", "app-kept", "app-lasting"] {
        break_resource(&world, stack, "Topic");
    }
    let told = ["Topic", "the topic is too loud"];
    let done = deploy(&world, "stack=app-gone&ttl=2d&template=Source::t.yaml").await;
    done.failed("JobFailed", &told);
    assert!(world.stack("app-gone").await.is_none());

    // Of a plan it is the change set that says so, to whoever carries it out.
    let plan = "action=plan&stack=app-planned&ttl=2d&template=Source::t.yaml";
    let planned = deploy(&world, plan).await;
    let document = world.file(&planned, "Plan", "plan.json").await;
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    assert_eq!(document["on_stack_failure"], "DELETE");
    let change_set = &planned.succeeded().variables["ChangeSetArn"];
    let execute = format!("action=execute&stack=app-planned&change-set={change_set}&{ROLE}");
    act(&world, &execute).await.failed("JobFailed", &told);
    assert!(world.stack("app-planned").await.is_none());

    // What is to be looked at stays, and so does what is no stack for a while.
    for parameters in ["stack=app-kept&ttl=2d&on-failure=fail", "stack=app-lasting"] {
        let done = deploy(&world, &format!("{parameters}&template=Source::t.yaml")).await;
        done.failed("JobFailed", &told);
    }
    for stack in ["app-kept", "app-lasting"] {
        let (status, _) = world.stack(stack).await.expect("there");
        assert_eq!(status, "ROLLBACK_COMPLETE", "{stack}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_only_rolls_back() {
    let world = world().await;
    deploy(&world, "stack=app&ttl=2d&template=Source::t.yaml")
        .await
        .succeeded();
    break_resource(&world, "app", "More");
    let next = format!("{TOPIC}  More:\n    Type: AWS::SNS::Topic\n");
    let tree = Tree::new().file("t.yaml", next);
    let parameters = format!("stack=app&ttl=2d&template=Source::t.yaml&{ROLE}");
    let done = world
        .act(&tree, Action::of("deploy-stack", &parameters))
        .await;
    done.failed("JobFailed", &["too loud"]);
    let (status, _) = world.stack("app").await.expect("there");
    assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_is_of() {
    let world = world().await;
    let parameters = "stack-for=app-fix%2312&branch=fix%2312&owner=jo@example.com&repository=team/app&commit=1f8b12c\
                      &template=Source::t.yaml";
    let done = deploy(&world, parameters).await;
    let name = &done.succeeded().variables["StackName"];
    let stack = world
        .cloudformation
        .describe_stacks()
        .stack_name(name)
        .send()
        .await;
    let stack = stack.expect("the stack");
    let mut tags: Vec<_> = stack.stacks()[0]
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?, tag.value()?)))
        .collect();
    tags.sort_unstable();
    assert_eq!(
        tags,
        [
            ("towpath:branch", "fix-12"),
            ("towpath:commit", "1f8b12c"),
            ("towpath:owner", "jo@example.com"),
            ("towpath:repository", "team/app"),
        ]
    );
}

/// Plans a stack that is not there, with these tags, and waits until that has come to an end.
pub(crate) async fn propose(world: &World, stack: &str, template: &str, tags: &[(&str, &str)]) {
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(*key).value(*value).build())
        .collect();
    let made = world.cloudformation.create_change_set().stack_name(stack);
    made.change_set_name("first")
        .change_set_type(ChangeSetType::Create)
        .template_body(template)
        .set_tags(Some(tags))
        .send()
        .await
        .expect("a change set");
    let mut look = tokio::time::interval(std::time::Duration::from_millis(5));
    loop {
        look.tick().await;
        let set = world.cloudformation.describe_change_set();
        let set = set.stack_name(stack).change_set_name("first").send().await;
        let set = set.expect("the change set");
        let status = set.status().map_or("", |status| status.as_str());
        if !["CREATE_PENDING", "CREATE_IN_PROGRESS"].contains(&status) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_only_planned_is_swept_unless_it_can_still_be_executed() {
    let world = world().await;
    let mark = ("towpath:ephemeral", "true");
    let past = ("towpath:expires-at", "2020-01-01T00:00:00Z");
    let future = ("towpath:expires-at", "2999-01-01T00:00:00Z");
    let of = ("towpath:branch", "login");
    propose(&world, "app-dead", REFUSED, &[mark, past, of]).await;
    propose(&world, "app-live", TOPIC, &[mark, past]).await;
    propose(&world, "app-young", REFUSED, &[mark, future]).await;
    propose(&world, "app-foreign", REFUSED, &[past]).await;
    propose(&world, "shop-dead", REFUSED, &[mark, past]).await;
    let sweep = |more: &str| {
        let parameters = format!("action=sweep&prefix=app-&{ROLE}&{more}");
        Action::of("deploy-stack", &parameters).makes("Report")
    };
    let tree = Tree::new().file("a", "");

    let done = world.act(&tree, sweep("")).await;
    let summary = done.succeeded().summary.clone().unwrap_or_default();
    let told = ["would be deleted (dry run): app-dead (empty)", "2 marked"];
    towpath_tests::assert_says(&summary, &told);
    let report: Value =
        serde_json::from_slice(&world.file(&done, "Report", "sweep.json").await).expect("JSON");
    assert_eq!(report["swept"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["swept"][0]["shell"], true);
    assert_eq!(report["swept"][0]["origin"]["branch"], "login");
    let kept = report["kept"].to_string();
    assert!(
        kept.contains("a change set of it can still be executed") && kept.contains("app-young"),
        "{kept}"
    );

    // What it may do to buckets and resources means nothing to a stack that has none.
    let more = "dry-run=off&empty-buckets=Site&retain=Vpc";
    for expected in ["1", "0"] {
        let done = world.act(&tree, sweep(more)).await;
        assert_eq!(done.succeeded().variables["Deleted"], expected);
    }
    for (stack, stays) in [
        ("app-dead", false),
        ("app-live", true),
        ("app-young", true),
        ("app-foreign", true),
        ("shop-dead", true),
    ] {
        assert_eq!(world.stack(stack).await.is_some(), stays, "{stack}");
    }
}
