//! Updates: what they change, what they replace, and how they are undone.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Account, ROLE, create_request};
use crate::cloudformation::{ResourceScript, ScriptedOperation};
use crate::input;

fn fail(reason: &str, on: ScriptedOperation) -> ResourceScript {
    ResourceScript::Fail {
        reason: reason.into(),
        on,
    }
}

#[tokio::test]
async fn an_update_without_changes_is_refused_in_the_services_words() {
    let account = Account::new();
    account.create("app", ROLE).await;
    let request = create_request("app", ROLE);
    let error = account.call("UpdateStack", request).await.unwrap_err();
    assert_eq!(error.code, "ValidationError");
    assert_eq!(error.message, "No updates are to be performed.");
    // A comment and another order of keys change nothing; an output and a tag do.
    let request = create_request("app", &format!("# x\n{ROLE}"));
    assert!(account.call("UpdateStack", request).await.is_err());
    let with_output = format!("{ROLE}\nOutputs: {{A: {{Value: b}}}}");
    assert_eq!(account.update("app", &with_output).await, "UPDATE_COMPLETE");
    let mut request = create_request("app", &with_output);
    request["Tags"] = json!([{"Key": "a", "Value": "b"}]);
    account.call("UpdateStack", request).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn an_update_in_place_keeps_the_physical_resource_and_drops_what_is_gone() {
    let account = Account::new();
    let before = format!("{ROLE}\n  Key: {{Type: AWS::KMS::Key}}");
    let id = account.create("app", &before).await;
    let role = account.physical_id("app", "Role").await;
    let after =
        format!("{ROLE}\n      Policies: [{{PolicyName: p, PolicyDocument: {{Statement: []}}}}]");
    assert_eq!(account.update("app", &after).await, "UPDATE_COMPLETE");
    assert_eq!(account.physical_id("app", "Role").await, role);
    assert_eq!(
        account.world.identity.role(&role).unwrap().policies.len(),
        1
    );
    let history = account.history(&id).await;
    assert_eq!(
        history[4..],
        [
            "app UPDATE_IN_PROGRESS: User Initiated",
            "Role UPDATE_COMPLETE",
            "app UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "Key DELETE_COMPLETE",
            "app UPDATE_COMPLETE",
        ]
    );
}

#[tokio::test]
async fn a_replacement_makes_the_new_before_it_removes_the_old() {
    let account = Account::new();
    let template = |path: &str| {
        format!(
            "{ROLE}\n      Path: {path}\n  Profile: {{Type: AWS::IAM::InstanceProfile, Properties: {{Roles: [!Ref Role]}}}}"
        )
    };
    let id = account.create("app", &template("/a/")).await;
    let old = account.physical_id("app", "Role").await;
    assert_eq!(
        account.update("app", &template("/b/")).await,
        "UPDATE_COMPLETE"
    );
    let new = account.physical_id("app", "Role").await;
    assert_ne!(old, new);
    assert!(account.world.identity.role(&old).is_none());
    assert!(account.world.identity.role(&new).is_some());
    let events = account.events(&id).await;
    let removed = events
        .iter()
        .find(|event| event["ResourceStatus"] == "DELETE_COMPLETE")
        .unwrap();
    assert_eq!(removed["PhysicalResourceId"], old);
    assert!(events.iter().any(|event| {
        event["ResourceStatusReason"]
            == "Requested update requires the creation of a new physical resource; hence creating one."
    }));
}

#[tokio::test]
async fn a_resource_with_a_name_of_its_own_cannot_be_replaced_under_it() {
    let account = Account::new();
    let template = |path: &str| format!("{ROLE}\n      RoleName: mine\n      Path: {path}");
    let id = account.create("app", &template("/a/")).await;
    assert_eq!(
        account.update("app", &template("/b/")).await,
        "UPDATE_ROLLBACK_COMPLETE"
    );
    assert!(account.history(&id).await.contains(
        &"Role UPDATE_FAILED: CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename mine and update the stack again.".to_owned()
    ));
    assert_eq!(
        account.world.identity.role("mine").unwrap().arn,
        "arn:aws:iam::000000000000:role/a/mine"
    );
}

#[tokio::test]
async fn a_failed_update_restores_everything() {
    let account = Account::new();
    let before = format!("{ROLE}\nOutputs: {{Version: {{Value: one}}}}");
    let id = account.create("app", &before).await;
    let role = account.physical_id("app", "Role").await;
    account
        .world
        .script_resource("app", "Key", fail("no keys", ScriptedOperation::Create));
    let after = format!(
        "{ROLE}
      Policies: [{{PolicyName: p, PolicyDocument: {{Statement: []}}}}]
  Extra: {{Type: AWS::KMS::Key}}
  Key: {{Type: AWS::KMS::Key, DependsOn: [Role, Extra]}}
Outputs: {{Version: {{Value: two}}}}"
    );
    assert_eq!(
        account.update("app", &after).await,
        "UPDATE_ROLLBACK_COMPLETE"
    );
    let history = account.history(&id).await;
    let tail: Vec<&str> = history
        .iter()
        .skip_while(|entry| !entry.starts_with("Key CREATE_FAILED"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        tail,
        [
            "Key CREATE_FAILED: no keys",
            "app UPDATE_ROLLBACK_IN_PROGRESS: The following resource(s) failed to create: [Key]. ",
            "Role UPDATE_COMPLETE",
            "app UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            "Extra DELETE_COMPLETE",
            "app UPDATE_ROLLBACK_COMPLETE",
        ]
    );
    assert_eq!(account.physical_id("app", "Role").await, role);
    assert!(
        account
            .world
            .identity
            .role(&role)
            .unwrap()
            .policies
            .is_empty()
    );
    assert_eq!(
        account.stack("app").await["Outputs"][0]["OutputValue"],
        "one"
    );
    // And the next update starts from there.
    account.world.clear_resource_scripts();
    assert_eq!(account.update("app", &after).await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn a_rollback_that_fails_can_be_continued_past_what_is_stuck() {
    let account = Account::new();
    account.create("app", ROLE).await;
    let after = format!(
        "{ROLE}
      Policies: [{{PolicyName: p, PolicyDocument: {{Statement: []}}}}]
  Key: {{Type: AWS::KMS::Key, DependsOn: Role}}"
    );
    account
        .world
        .script_resource("app", "Key", fail("x", ScriptedOperation::Create));
    account
        .world
        .script_resource("app", "Role", fail("stuck", ScriptedOperation::Rollback));
    assert_eq!(
        account.update("app", &after).await,
        "UPDATE_ROLLBACK_FAILED"
    );
    assert_eq!(
        account.stack("app").await["StackStatusReason"],
        "The following resource(s) failed to update: [Role]. "
    );
    let error = account
        .call("UpdateStack", create_request("app", ROLE))
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .ends_with("is in UPDATE_ROLLBACK_FAILED state and can not be updated."),
        "{error}"
    );
    account
        .call("ContinueUpdateRollback", json!({"StackName": "app"}))
        .await
        .unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_ROLLBACK_FAILED");
    account
        .call(
            "ContinueUpdateRollback",
            json!({"StackName": "app", "ResourcesToSkip": ["Role"]}),
        )
        .await
        .unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn without_rollback_a_failed_update_waits_to_be_retried_or_rolled_back() {
    let account = Account::new();
    account.create("app", ROLE).await;
    let after = format!("{ROLE}\n  Key: {{Type: AWS::KMS::Key}}");
    account
        .world
        .script_resource("app", "Key", fail("x", ScriptedOperation::Create));
    let mut request = create_request("app", &after);
    request["DisableRollback"] = json!(true);
    account.call("UpdateStack", request.clone()).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_FAILED");
    account
        .call("RollbackStack", json!({"StackName": "app"}))
        .await
        .unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_ROLLBACK_COMPLETE");
    account.call("UpdateStack", request.clone()).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_FAILED");
    account.world.clear_resource_scripts();
    let refused = account
        .call("UpdateStack", create_request("app", &after))
        .await
        .unwrap_err();
    assert!(refused.message.contains("UPDATE_FAILED"), "{refused}");
    account.call("UpdateStack", request).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn an_update_can_be_cancelled() {
    let account = Account::new();
    let id = account.create("app", ROLE).await;
    account
        .world
        .script_resource("app", "Key", ResourceScript::Delay(Duration::from_mins(1)));
    let after = format!("{ROLE}\n  Key: {{Type: AWS::KMS::Key}}");
    account
        .call("UpdateStack", create_request("app", &after))
        .await
        .unwrap();
    account
        .call("CancelUpdateStack", json!({"StackName": "app"}))
        .await
        .unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_ROLLBACK_COMPLETE");
    let history = account.history(&id).await;
    assert!(
        history
            .iter()
            .any(|entry| entry.contains("Resource creation cancelled")
                || entry.contains("UPDATE_ROLLBACK_IN_PROGRESS: User Initiated")),
        "{history:?}"
    );
    let error = account
        .call("CancelUpdateStack", json!({"StackName": "app"}))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "CancelUpdateStack cannot be called from current stack status"
    );
}

#[tokio::test]
async fn parameters_are_kept_masked_and_checked() {
    let account = Account::new();
    let template = format!(
        "Parameters: {{Path: {{Type: String, Default: /a/}}, Secret: {{Type: String, NoEcho: true}}}}
{ROLE}
      Path: !Ref Path
      Description: !Ref Secret"
    );
    let missing = account
        .call("CreateStack", create_request("app", &template))
        .await
        .unwrap_err();
    assert_eq!(missing.message, "Parameters: [Secret] must have values");
    let mut request = create_request("app", &template);
    request["Parameters"] = json!([{"ParameterKey": "Secret", "ParameterValue": "hunter2"}]);
    account.call("CreateStack", request.clone()).await.unwrap();
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    let parameters = account.stack("app").await["Parameters"].clone();
    assert_eq!(
        parameters,
        json!([
            {"ParameterKey": "Path", "ParameterValue": "/a/"},
            {"ParameterKey": "Secret", "ParameterValue": "****"},
        ])
    );
    let events = account.events("app").await;
    assert!(!Value::from(events).to_string().contains("hunter2"));
    request["Parameters"] = json!([
        {"ParameterKey": "Path", "UsePreviousValue": "true"},
        {"ParameterKey": "Secret", "UsePreviousValue": true},
    ]);
    let same = account
        .call("UpdateStack", request.clone())
        .await
        .unwrap_err();
    assert_eq!(same.message, "No updates are to be performed.");
    request["Parameters"][0] = json!({"ParameterKey": "Path", "ParameterValue": "/b/"});
    account.call("UpdateStack", request.clone()).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
    request["Parameters"][1] = json!({"ParameterKey": "Secrte", "ParameterValue": "x"});
    let unknown = account.call("UpdateStack", request).await.unwrap_err();
    assert_eq!(
        unknown.message,
        "Parameters: [Secrte] do not exist in the template"
    );
}

#[tokio::test]
async fn an_alarm_that_fires_rolls_the_update_back() {
    let account = Account::new();
    account.create("app", ROLE).await;
    let mut request = create_request("app", &format!("{ROLE}\nOutputs: {{A: {{Value: b}}}}"));
    request["RollbackConfiguration"] = json!({"RollbackTriggers": [
        {"Arn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:none", "Type": "AWS::CloudWatch::Alarm"}
    ]});
    account.call("UpdateStack", request).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_ROLLBACK_COMPLETE");
    let reasons: Vec<_> = account
        .events("app")
        .await
        .iter()
        .filter_map(|event| input::text(event, "ResourceStatusReason"))
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("does not exist")),
        "{reasons:?}"
    );
}
