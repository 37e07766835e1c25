//! A plan passes `approve` by what it would lose, and what passes is bound to its change set.

use aws_sdk_cloudformation::types::ChangeSetStatus;
use towpath_tests::{Action, Done, Pipeline, Tree, World};

use crate::{ROLE, act, is_on_the_page, table, topics, world};

/// Plans a change of the stack `app` in one stage, and approves it in the next: what became of both.
async fn reviewed(world: &World, template: &str, approve: &str) -> (Done, Done) {
    let tree = Tree::new().file("template.yaml", template);
    let plan = format!("action=plan&stack=app&template=Source::template.yaml&{ROLE}");
    let pipeline = Pipeline::of(&tree)
        .stage(
            "Plan",
            [Action::of("deploy-stack", &plan)
                .named("Plan")
                .makes("Plan")],
        )
        .stage("Approve", [Action::of("approve", approve).takes(&["Plan"])]);
    let run = world.run(&pipeline).await;
    let plan = run.action("Plan").succeeded().clone();
    (plan, run.action("approve").clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_loses_nothing_passes_and_is_executed_by_what_the_approval_says() {
    let world = world().await;
    let (plan, approved) = reviewed(&world, &topics(2), "plan=Plan&bake=1s").await;
    approved.succeeded();
    assert_eq!(
        approved.summary.as_deref(),
        Some("approved after 1s: stack `app`: 2 added")
    );
    for (name, expected) in [
        ("Verdict", "approved"),
        ("Stack", "app"),
        ("Losses", "0"),
        ("Plan", "stack `app`: 2 added"),
        ("ChangeSetArn", &plan.variables["ChangeSetArn"]),
    ] {
        assert_eq!(approved.variables[name], expected, "{name}");
    }
    let log = world.log();
    assert!(
        log.contains("the plan to approve:\\n# Plan for stack `app`\\n\\n2 added."),
        "{log}"
    );
    let execute = format!(
        "&action=execute&change-set={}",
        approved.variables["ChangeSetArn"]
    );
    act(&world, "", &execute).await.succeeded();
    let (_, nothing) = reviewed(&world, &topics(2), "plan=Plan").await;
    assert_eq!(nothing.succeeded().variables["ChangeSetArn"], "none");
    assert_eq!(nothing.variables["Plan"], "stack `app`: nothing changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_loses_data_is_refused_unless_the_policy_says_that_it_may() {
    let world = world().await;
    act(&world, &table("orders", ""), "").await.succeeded();
    let (plan, refused) = reviewed(&world, &table("orders-2", ""), "plan=Plan").await;
    is_on_the_page(&refused);
    refused.failed(
        "ConfigurationError",
        &[
            "the plan for stack `app` would lose data: `Orders` (AWS::DynamoDB::Table, orders) is replaced, for \
             TableName: orders -> orders-2",
            "hint: ",
            "allow-loss=Orders",
        ],
    );
    let (_, refused) = reviewed(&world, &table("orders-2", ""), "plan=Plan&allow-loss=Other").await;
    refused.failed("ConfigurationError", &["would lose data"]);
    let (_, allowed) = reviewed(
        &world,
        &table("orders-2", ""),
        "plan=Plan&allow-loss=Orders",
    )
    .await;
    assert_eq!(allowed.succeeded().variables["Losses"], "1");
    assert_eq!(
        allowed.variables["Plan"],
        "stack `app`: 1 replaced; loses data: `Orders` (AWS::DynamoDB::Table, orders) is replaced, for TableName: \
         orders -> orders-2"
    );
    // The plan is still there: whoever allows the loss need not plan again.
    let set = world
        .cloudformation
        .describe_change_set()
        .change_set_name(&plan.variables["ChangeSetArn"])
        .send()
        .await
        .expect("the change set");
    assert_eq!(set.status, Some(ChangeSetStatus::CreateComplete));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plan_is_refused_by_name() {
    let world = world().await;
    for (file, text, approve, kind, words) in [
        (
            "template.yaml",
            "Resources: {}",
            "plan=Source",
            "ConfigurationError",
            &["plan.json", "Source", "action=plan"][..],
        ),
        (
            "plan.json",
            "{\"Resources\": {}}",
            "plan=Source",
            "ConfigurationError",
            &[
                "`plan.json` of artifact `Source` is not a plan: missing field `schema`",
                "action=plan",
            ],
        ),
        (
            "plan.json",
            "{}",
            "plan=Plan",
            "ConfigurationError",
            &[
                "no input artifact `Plan`",
                "it has Source",
                "InputArtifacts",
            ],
        ),
    ] {
        let tree = Tree::new().file(file, text);
        let done = world.act(&tree, Action::of("approve", approve)).await;
        if text.contains("Resources\"") {
            is_on_the_page(&done);
        }
        done.failed(kind, words);
    }
}
