//! Operations: what each is called, which events are its own, and what `DescribeEvents` tells of them.

use serde_json::{Value, json};

use super::{Account, ROLE, create_request};
use crate::cloudformation::{ResourceScript, ScriptedOperation};
use crate::input;

/// `TYPE` of the stack's last operations, newest first.
async fn latest(account: &Account, stack: &str) -> Vec<(String, String)> {
    account.stack(stack).await["LastOperations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |member| input::text(entry, member).unwrap();
            (text("OperationType"), text("OperationId"))
        })
        .collect()
}

/// All pages, oldest first.
async fn events(account: &Account, mut request: Value) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let answer = account
            .call("DescribeEvents", request.clone())
            .await
            .unwrap();
        events.extend(answer["OperationEvents"].as_array().unwrap().clone());
        let Some(next) = answer.get("NextToken") else {
            break;
        };
        request["NextToken"] = next.clone();
    }
    events.reverse();
    events
}

fn told(events: &[Value]) -> Vec<String> {
    let text = |event: &Value, member| input::text(event, member).unwrap_or_default();
    events
        .iter()
        .map(|event| {
            let what = text(event, "OperationStatus") + &text(event, "ResourceStatus");
            format!("{} {what}", text(event, "EventType"))
        })
        .collect()
}

#[tokio::test]
async fn every_operation_has_an_id_that_its_events_bear() {
    let account = Account::new();
    let answer = account
        .call("CreateStack", create_request("app", ROLE))
        .await;
    let created = input::text(&answer.unwrap(), "OperationId").unwrap();
    account.settled("app").await;
    let own = |id: &str| vec![("CREATE_STACK".to_owned(), id.to_owned())];
    assert_eq!(latest(&account, "app").await, own(&created));
    for event in account.events("app").await {
        assert_eq!(event["OperationId"], created.as_str());
    }
    let update = format!("{ROLE}\n      Path: /a/");
    account.update("app", &update).await;
    let updated = latest(&account, "app").await;
    assert_eq!(updated.len(), 1);
    assert_eq!(updated[0].0, "UPDATE_STACK");
    assert_ne!(updated[0].1, created);
    let id = account.stack("app").await["StackId"].clone();
    account.delete("app").await;
    let deleted = latest(&account, id.as_str().unwrap()).await;
    assert_eq!(deleted[0].0, "DELETE_STACK");
    let of_update = json!({ "OperationId": updated[0].1 });
    let rows = events(&account, of_update).await;
    assert_eq!(
        told(&rows),
        [
            "STACK_EVENT IN_PROGRESS",
            "PROGRESS_EVENT UPDATE_IN_PROGRESS",
            "PROGRESS_EVENT UPDATE_IN_PROGRESS",
            "PROGRESS_EVENT UPDATE_IN_PROGRESS",
            "PROGRESS_EVENT UPDATE_COMPLETE",
            "PROGRESS_EVENT UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "PROGRESS_EVENT DELETE_IN_PROGRESS",
            "PROGRESS_EVENT DELETE_COMPLETE",
            "PROGRESS_EVENT UPDATE_COMPLETE",
            "STACK_EVENT SUCCEEDED",
        ]
    );
}

#[tokio::test]
async fn a_failed_deployment_is_two_operations() {
    let account = Account::new();
    let fail = ResourceScript::Fail {
        reason: "no".into(),
        on: ScriptedOperation::Create,
    };
    account.world.script_resource("app", "Role", fail);
    let mut request = create_request("app", ROLE);
    request["ClientRequestToken"] = json!("token-1");
    let answer = account.call("CreateStack", request.clone()).await.unwrap();
    account.settled("app").await;
    let operations = latest(&account, "app").await;
    assert_eq!(operations[0].0, "ROLLBACK");
    assert_eq!(operations[1].0, "CREATE_STACK");
    assert_eq!(answer["OperationId"], operations[1].1.as_str());
    // A repetition is told the same operation.
    let again = account.call("CreateStack", request).await.unwrap();
    assert_eq!(again["OperationId"], answer["OperationId"]);
    let failed = json!({ "StackName": "app", "Filters": { "FailedEvents": true } });
    let rows = events(&account, failed).await;
    assert_eq!(
        told(&rows),
        ["PROVISIONING_ERROR CREATE_FAILED", "STACK_EVENT FAILED"]
    );
    let of_rollback = json!({ "OperationId": operations[0].1 });
    let rows = events(&account, of_rollback).await;
    assert_eq!(
        told(&rows),
        [
            "STACK_EVENT IN_PROGRESS",
            "PROGRESS_EVENT ROLLBACK_IN_PROGRESS",
            "PROGRESS_EVENT DELETE_COMPLETE",
            "PROGRESS_EVENT ROLLBACK_COMPLETE",
            "STACK_EVENT SUCCEEDED",
        ]
    );
}

#[tokio::test]
async fn events_come_in_pages_and_only_of_what_is_there() {
    let account = Account::new();
    let keys: Vec<String> = (0..40)
        .map(|number| format!("  Key{number}: {{Type: AWS::KMS::Key}}"))
        .collect();
    let template = format!("{ROLE}\n{}", keys.join("\n"));
    account.create("app", &template).await;
    let rows = events(&account, json!({ "StackName": "app" })).await;
    // Two of the operation, two of the stack, three of each resource.
    assert_eq!(rows.len(), 4 + 3 * 41);
    let mut ids: Vec<&Value> = rows.iter().map(|row| &row["EventId"]).collect();
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), rows.len());
    for request in [
        json!({}),
        json!({ "StackName": "other" }),
        json!({ "OperationId": "other" }),
        json!({ "StackName": "app", "NextToken": "x" }),
    ] {
        let refusal = account.call("DescribeEvents", request.clone()).await;
        assert_eq!(refusal.unwrap_err().code, "ValidationError", "{request}");
    }
}

async fn proposed(account: &Account, name: &str, template: &str) -> Value {
    let mut request = create_request(name, template);
    request["ChangeSetName"] = json!("plan");
    request["ChangeSetType"] = json!("CREATE");
    let answer = account.call("CreateChangeSet", request).await.unwrap();
    let of = json!({ "ChangeSetName": answer["Id"] });
    loop {
        let described = account.call("DescribeChangeSet", of.clone()).await.unwrap();
        let status = input::text(&described, "Status").unwrap();
        if !status.starts_with("CREATE_") || status == "CREATE_COMPLETE" {
            return described;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_change_set_of_what_cannot_be_made_fails_before_anything_is() {
    let account = Account::new();
    let named = "Resources: {Table: {Type: AWS::SSM::Parameter, Properties: {Name: taken, Type: String, Value: a}}}";
    account.create("first", named).await;
    let more = format!("{named}\n").replace(
        "Value: a}}}",
        "Value: a}}, Role: {Type: AWS::IAM::Role}, Free: {Type: AWS::SSM::Parameter, Properties: {Name: free, Type: String, Value: a}}}",
    );
    let described = proposed(&account, "second", &more).await;
    assert_eq!(described["Status"], "FAILED");
    assert_eq!(described["ExecutionStatus"], "UNAVAILABLE");
    assert_eq!(
        described["StatusReason"],
        "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck, AWS::EarlyValidation::PropertyValidation]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
    );
    let failed =
        json!({ "ChangeSetName": described["ChangeSetId"], "Filters": { "FailedEvents": true } });
    let rows = events(&account, failed).await;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["OperationType"], "CREATE_CHANGESET");
    assert_eq!(rows[0]["EventType"], "VALIDATION_ERROR");
    assert_eq!(rows[0]["ValidationName"], "NAME_CONFLICT_VALIDATION");
    assert_eq!(rows[0]["ValidationPath"], "/Resources/Table");
    assert_eq!(
        rows[0]["ValidationStatusReason"],
        "Resource of type 'AWS::SSM::Parameter' with identifier 'taken' already exists."
    );
    assert_eq!(rows[1]["ValidationPath"], "/Resources/Role/Properties");
    assert_eq!(
        rows[1]["ValidationStatusReason"],
        "Required property [AssumeRolePolicyDocument] not found"
    );
    assert_eq!(rows[2]["OperationStatus"], "FAILED");
    // They are seen nowhere else.
    let stack_events = Value::Array(account.events("second").await).to_string();
    assert!(!stack_events.contains("already exists"), "{stack_events}");
}

#[tokio::test]
async fn a_full_bucket_that_would_be_deleted_is_warned_of() {
    let account = Account::new();
    let bucket = "Resources: {Files: {Type: AWS::S3::Bucket}, Key: {Type: AWS::KMS::Key}}";
    account.create("app", bucket).await;
    let name = account.physical_id("app", "Files").await;
    let world = &account.world;
    world.s3.put(&name, "a", "x".into()).await.unwrap();
    let mut request = create_request("app", "Resources: {Key: {Type: AWS::KMS::Key}}");
    request["ChangeSetName"] = json!("plan");
    let answer = account.call("CreateChangeSet", request).await.unwrap();
    let of = json!({ "ChangeSetName": answer["Id"] });
    let rows = loop {
        let rows = events(&account, of.clone()).await;
        if rows.iter().any(|row| row["OperationStatus"] == "SUCCEEDED") {
            break rows;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(rows[1]["ValidationFailureMode"], "WARN");
    assert_eq!(rows[1]["ValidationName"], "BUCKET_EMPTINESS_VALIDATION");
}
