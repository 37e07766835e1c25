//! Deletes: in which order, what refuses to go, and what stays on purpose.

use std::time::Duration;

use serde_json::json;

use super::{Account, ROLE, create_request};
use crate::cloudformation::{ResourceScript, ScriptedOperation};

#[tokio::test]
async fn a_deleted_stack_answers_by_arn_only_and_leaves_its_name_free() {
    let account = Account::new();
    let template = format!(
        "{ROLE}\n  Profile: {{Type: AWS::IAM::InstanceProfile, Properties: {{Roles: [!Ref Role]}}}}"
    );
    let id = account.create("app", &template).await;
    assert_eq!(account.delete(&id).await, "DELETE_COMPLETE");
    assert_eq!(
        account.history(&id).await[4..],
        [
            "app DELETE_IN_PROGRESS: User Initiated",
            "Profile DELETE_COMPLETE",
            "Role DELETE_COMPLETE",
            "app DELETE_COMPLETE",
        ]
    );
    let error = account
        .call("DescribeStacks", json!({"StackName": "app"}))
        .await
        .unwrap_err();
    assert_eq!(error.message, "Stack with id app does not exist");
    account
        .call("DeleteStack", json!({"StackName": "app"}))
        .await
        .unwrap();
    assert_ne!(account.create("app", &template).await, id);
}

#[tokio::test]
async fn an_export_in_use_settles_the_stack_back() {
    let account = Account::new();
    let exporter =
        format!("{ROLE}\nOutputs: {{R: {{Value: !Ref Role, Export: {{Name: shared}}}}}}");
    account.create("base", &exporter).await;
    let importer = "Resources: {Profile: {Type: AWS::IAM::InstanceProfile, Properties: {Roles: [!ImportValue shared]}}}";
    account.create("app", importer).await;
    let imports = account
        .call("ListImports", json!({"ExportName": "shared"}))
        .await
        .unwrap();
    assert_eq!(imports["Imports"], json!(["app"]));
    assert_eq!(account.delete("base").await, "CREATE_COMPLETE");
    assert_eq!(
        account.stack("base").await["StackStatusReason"],
        "Export shared cannot be deleted as it is in use by app"
    );
    // Nor may it disappear in an update.
    assert_eq!(
        account.update("base", ROLE).await,
        "UPDATE_ROLLBACK_COMPLETE"
    );
    let taken = account.create("other", &exporter).await;
    assert!(
        account.history(&taken).await.iter().any(
            |entry| entry.contains("Export with name shared is already exported by stack base")
        ),
    );
    let app = account.stack("app").await["StackId"].clone();
    let base = account.stack("base").await["StackId"].clone();
    for id in [app, base] {
        assert_eq!(
            account.delete(id.as_str().unwrap()).await,
            "DELETE_COMPLETE"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_empty_keeps_the_stack() {
    let account = Account::new();
    let id = account
        .create(
            "app",
            "Resources:
  Files: {Type: AWS::S3::Bucket}
  Reader: {Type: AWS::KMS::Alias, Properties: {AliasName: !Ref Files}}",
        )
        .await;
    let bucket = account.physical_id("app", "Files").await;
    account
        .world
        .s3
        .put(&bucket, "a.txt", "text".into())
        .await
        .unwrap();
    assert_eq!(account.delete("app").await, "DELETE_FAILED");
    assert_eq!(
        account.stack("app").await["StackStatusReason"],
        "The following resource(s) failed to delete: [Files]. "
    );
    let history = account.history(&id).await;
    assert!(
        history.iter().any(|entry| entry.starts_with(
            "Files DELETE_FAILED: Resource handler returned message: \"The bucket you tried to delete is not empty"
        )),
        "{history:?}"
    );
    account
        .call(
            "DeleteStack",
            json!({"StackName": "app", "RetainResources": ["Files"]}),
        )
        .await
        .unwrap();
    assert_eq!(account.settled(&id).await, "DELETE_COMPLETE");
    assert!(account.world.s3.exists(&bucket));
}

#[tokio::test]
async fn a_retained_resource_stays() {
    let account = Account::new();
    let template = ROLE.replace(
        "Type: AWS::IAM::Role",
        "Type: AWS::IAM::Role\n    DeletionPolicy: Retain",
    );
    let id = account.create("app", &template).await;
    let role = account.physical_id("app", "Role").await;
    assert_eq!(account.delete(&id).await, "DELETE_COMPLETE");
    assert!(
        account
            .history(&id)
            .await
            .contains(&"Role DELETE_SKIPPED".to_owned())
    );
    assert!(account.world.identity.role(&role).is_some());
}

#[tokio::test]
async fn a_stack_that_is_being_made_can_be_deleted() {
    let account = Account::new();
    account
        .world
        .script_resource("app", "Key", ResourceScript::Delay(Duration::from_mins(1)));
    let request = create_request("app", &format!("{ROLE}\n  Key: {{Type: AWS::KMS::Key}}"));
    let answer = account.call("CreateStack", request).await.unwrap();
    let id = answer["StackId"].as_str().unwrap();
    account.world.clear_resource_scripts();
    assert_eq!(account.delete(id).await, "DELETE_COMPLETE");
    assert!(account.world.identity.roles().is_empty());
}

#[tokio::test]
async fn force_deletes_only_what_has_failed_to_go() {
    let account = Account::new();
    account.world.script_resource(
        "app",
        "Role",
        ResourceScript::Fail {
            reason: "stuck".into(),
            on: ScriptedOperation::Delete,
        },
    );
    let id = account.create("app", ROLE).await;
    let force = json!({"StackName": "app", "DeletionMode": "FORCE_DELETE_STACK"});
    let error = account
        .call("DeleteStack", force.clone())
        .await
        .unwrap_err();
    assert!(error.message.contains("DELETE_FAILED"), "{error}");
    assert_eq!(account.delete("app").await, "DELETE_FAILED");
    account.call("DeleteStack", force).await.unwrap();
    assert_eq!(account.settled(&id).await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn termination_protection_holds() {
    let account = Account::new();
    account.create("app", ROLE).await;
    let protect = |enable: bool| json!({"StackName": "app", "EnableTerminationProtection": enable});
    account
        .call("UpdateTerminationProtection", protect(true))
        .await
        .unwrap();
    let error = account
        .call("DeleteStack", json!({"StackName": "app"}))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "Stack [app] cannot be deleted while TerminationProtection is enabled"
    );
    account
        .call("UpdateTerminationProtection", protect(false))
        .await
        .unwrap();
    let id = account.stack("app").await["StackId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(account.delete(&id).await, "DELETE_COMPLETE");
}
