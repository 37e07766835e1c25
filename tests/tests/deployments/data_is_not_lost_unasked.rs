//! A deployment that would remove or replace what holds data stops before it, and says what to do.

use crate::{act, change_sets, table, told, topics, world};

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
