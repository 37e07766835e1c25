//! Change sets of nested stacks.

use serde_json::json;

use super::{Account, ROLE, create_request};

const OUTER: &str = "Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'http://127.0.0.1:9/templates/child.yaml'}";

async fn put(account: &Account, template: &str) {
    let text = template.to_owned();
    let stored = account.world.s3.put("templates", "child.yaml", text.into());
    stored.await.unwrap();
}

#[tokio::test]
async fn a_nested_change_set_is_made_executed_and_thrown_away_with_its_root() {
    let account = Account::new();
    account.world.s3.create_bucket("templates").unwrap();
    put(&account, ROLE).await;
    let propose = |name: &'static str, kind: &'static str| {
        let mut request = create_request("app", OUTER);
        request["ChangeSetName"] = json!(name);
        request["ChangeSetType"] = json!(kind);
        request["IncludeNestedStacks"] = json!(true);
        async {
            account.call("CreateChangeSet", request).await.unwrap();
            account.proposed("app", name).await
        }
    };
    let root = propose("thrown-away", "CREATE").await;
    let inner = root["Changes"][0]["ResourceChange"]["ChangeSetId"].clone();
    let nested = account
        .call("DescribeChangeSet", json!({"ChangeSetName": inner}))
        .await
        .unwrap();
    assert_eq!(nested["ParentChangeSetId"], root["ChangeSetId"]);
    assert_eq!(nested["RootChangeSetId"], root["ChangeSetId"]);
    assert_eq!(
        nested["Changes"][0]["ResourceChange"]["LogicalResourceId"],
        "Role"
    );
    for operation in ["ExecuteChangeSet", "DeleteChangeSet"] {
        let refused = account.call(operation, json!({"ChangeSetName": inner}));
        let refused = refused.await.unwrap_err();
        assert!(refused.message.contains("root change set"), "{refused}");
    }
    let root = json!({"ChangeSetName": root["ChangeSetId"]});
    account.call("DeleteChangeSet", root).await.unwrap();
    let gone = account.call("DescribeChangeSet", json!({"ChangeSetName": inner}));
    assert_eq!(gone.await.unwrap_err().code, "ChangeSetNotFound");

    let root = propose("first", "CREATE").await;
    let inner = root["Changes"][0]["ResourceChange"]["ChangeSetId"].clone();
    account.execute("app", "first").await.unwrap();
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    let child = account.physical_id("app", "Child").await;
    let stack = account.stack(&child).await;
    assert_eq!(stack["StackStatus"], "CREATE_COMPLETE");
    assert_eq!(stack["ChangeSetId"], inner);
    assert_eq!(stack["ParentId"], account.stack("app").await["StackId"]);

    let empty = propose("empty", "UPDATE").await;
    assert_eq!(empty["Status"], "FAILED", "{empty}");
    put(&account, &format!("{ROLE}  Key: {{Type: AWS::KMS::Key}}")).await;
    let root = propose("second", "UPDATE").await;
    let change = &root["Changes"][0]["ResourceChange"];
    assert_eq!(change["Details"][0]["ChangeSource"], "Automatic", "{root}");
    assert_eq!(change["Replacement"], "False");
    let mut plain = create_request("app", OUTER);
    plain["ChangeSetName"] = json!("not-looked-into");
    account.call("CreateChangeSet", plain).await.unwrap();
    let plain = account.proposed("app", "not-looked-into").await;
    let plain = &plain["Changes"][0]["ResourceChange"];
    assert_eq!(plain["Details"][0]["Evaluation"], "Dynamic");
    assert!(plain.get("ChangeSetId").is_none());
    let second = json!({"ChangeSetName": root["ChangeSetId"]});
    account.call("ExecuteChangeSet", second).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
    assert_ne!(account.physical_id(&child, "Key").await, "");
    assert_eq!(
        account.stack(&child).await["ChangeSetId"],
        change["ChangeSetId"]
    );

    put(
        &account,
        "Transform: Unheard\nResources: {A: {Type: AWS::KMS::Key}}",
    )
    .await;
    let broken = propose("broken", "UPDATE").await;
    assert_eq!(broken["Status"], "FAILED", "{broken}");
    assert!(
        broken["StatusReason"].as_str().unwrap().contains("Unheard"),
        "{broken}"
    );
}
