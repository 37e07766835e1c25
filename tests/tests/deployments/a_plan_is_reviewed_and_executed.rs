//! What `action=plan` says is what `action=execute` does, or nothing.

use towpath_tests::{Action, Tree};

use crate::{ROLE, act, change_sets, is_on_the_page, told, topics, world};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_stack_that_is_not_there_yet() {
    let world = world().await;
    let plan = act(&world, &topics(2), "&action=plan").await;
    assert_eq!(
        plan.succeeded().summary.as_deref(),
        Some("the plan for stack `app`: 2 added")
    );
    assert_eq!(plan.variables["Changed"], "true");
    assert_eq!(plan.variables["Losses"], "0");
    let (status, _) = world.stack("app").await.expect("a shell");
    assert_eq!(status, "REVIEW_IN_PROGRESS", "nothing is made");
    let page = told(&world, &plan, "plan.md").await;
    assert!(
        page.starts_with(
            "# Plan for stack `app`\n\n2 added.\n\n## Added\n\n- `Topic1` (AWS::SNS::Topic)\n"
        ),
        "{page}"
    );
    let json = told(&world, &plan, "plan.json").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["change_set"], plan.variables["ChangeSetArn"]);
    assert_eq!(json["changes"].as_array().map(Vec::len), Some(2));

    let execute = format!(
        "&action=execute&change-set={}",
        plan.variables["ChangeSetArn"]
    );
    let done = act(&world, "", &execute).await;
    assert_eq!(done.succeeded().variables["Changed"], "true");
    assert!(done.variables["First"].contains("sns"), "{done:?}");
    assert_eq!(world.stack("app").await.expect("it").0, "CREATE_COMPLETE");
    assert!(told(&world, &done, "plan.md").await.contains("2 added"));
    assert!(told(&world, &done, "outputs.json").await.contains("First"));
    // Once more is no second time.
    let again = act(&world, "", &execute).await;
    again.succeeded();
    assert_eq!(world.stack("app").await.expect("it").0, "CREATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_the_stack_has_changed_meanwhile() {
    let world = world().await;
    act(&world, &topics(1), "").await.succeeded();
    let plan = act(&world, &topics(2), "&action=plan").await;
    act(&world, &topics(3), "").await.succeeded();
    let execute = format!(
        "&action=execute&change-set={}",
        plan.succeeded().variables["ChangeSetArn"]
    );
    let obsolete = act(&world, "", &execute).await;
    is_on_the_page(&obsolete);
    obsolete.failed(
        "ConfigurationError",
        &[
            "change set `arn:",
            "of stack `app` is obsolete",
            "plan again",
        ],
    );
    assert_eq!(world.stack("app").await.expect("it").0, "UPDATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_it_is_the_plan_of_another_stack() {
    let world = world().await;
    act(&world, &topics(1), "").await.succeeded();
    let tree = Tree::new().file("t.yaml", topics(1));
    let other = format!("action=plan&stack=other&template=Source::t.yaml&{ROLE}");
    let plan = world.act(&tree, Action::of("deploy-stack", &other)).await;
    let change_set = &plan.succeeded().variables["ChangeSetArn"];
    let execute = format!("&action=execute&change-set={change_set}");
    let foreign = act(&world, "", &execute).await;
    is_on_the_page(&foreign);
    foreign.failed(
        "ConfigurationError",
        &[
            "the change set is one of stack `other`, and not of stack `app`: arn:",
            "say stack=other",
        ],
    );
    let absent = format!("action=execute&stack=nowhere&change-set={change_set}");
    let absent = world.act(&tree, Action::of("deploy-stack", &absent)).await;
    is_on_the_page(&absent);
    absent.failed(
        "ConfigurationError",
        &["stack `nowhere` is absent", "the plan was made for"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_changes_there_is_nothing_to_execute() {
    let world = world().await;
    act(&world, &topics(1), "").await.succeeded();
    let plan = act(&world, &topics(1), "&action=plan").await;
    assert_eq!(plan.succeeded().variables["Changed"], "false");
    assert_eq!(plan.variables["ChangeSetArn"], "none");
    let left = change_sets(&world).await;
    let failed: Vec<_> = left
        .iter()
        .filter(|set| {
            set.status()
                .is_some_and(|status| status.as_str() == "FAILED")
        })
        .collect();
    assert!(failed.is_empty(), "empty plans pile up: {failed:?}");
    let done = act(&world, "", "&action=execute&change-set=none").await;
    assert_eq!(done.succeeded().variables["Changed"], "false");
    for (change_set, words) in [(
        "arn:aws:cloudformation:us-east-1:000000000000:changeSet/x/00000000-0000-0000-0000-000000000000",
        "is obsolete",
    )] {
        let execute = format!("&action=execute&change-set={change_set}");
        act(&world, "", &execute)
            .await
            .failed("ConfigurationError", &[words]);
    }
}
