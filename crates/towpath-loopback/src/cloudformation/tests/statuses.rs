//! Every status that a stack can have here, and what brings it there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Account, ROLE, create_request};
use crate::cloudformation::{ResourceScript, ScriptedOperation};
use crate::input;

/// The statuses of the service's model.
const STATUSES: [&str; 23] = [
    "CREATE_COMPLETE",
    "CREATE_FAILED",
    "CREATE_IN_PROGRESS",
    "DELETE_COMPLETE",
    "DELETE_FAILED",
    "DELETE_IN_PROGRESS",
    "IMPORT_COMPLETE",
    "IMPORT_IN_PROGRESS",
    "IMPORT_ROLLBACK_COMPLETE",
    "IMPORT_ROLLBACK_FAILED",
    "IMPORT_ROLLBACK_IN_PROGRESS",
    "REVIEW_IN_PROGRESS",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "ROLLBACK_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_FAILED",
    "UPDATE_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS",
];

const TABLE: &str = "
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties: {TableName: orders}
";

enum Step {
    /// An operation on the stack, with what it needs beside the name.
    Call(&'static str, Value),
    /// A resource fails from now on.
    Fails(&'static str, ScriptedOperation),
    /// Everything succeeds from now on.
    Mends,
}

#[tokio::test]
async fn every_status_is_reached_by_a_real_transition() {
    use ScriptedOperation::{Create, Delete, Import, Rollback};
    use Step::{Call, Fails, Mends};
    let key = format!(
        "{ROLE}      Policies: [{{PolicyName: p, PolicyDocument: {{Statement: []}}}}]\n  Key: {{Type: AWS::KMS::Key, DependsOn: Role}}"
    );
    let with = |template: &str, member: &str, value: bool| {
        let mut request = create_request("app", template);
        request[member] = json!(value);
        request
    };
    let plain = |template: &str| create_request("app", template);
    let mut change_set = plain(ROLE);
    change_set["ChangeSetName"] = json!("first");
    change_set["ChangeSetType"] = json!("CREATE");
    let topic = format!("{TABLE}  Topic: {{Type: AWS::SNS::Topic}}\n");
    let on_role = json!({"ResourcesToSkip": ["Role"]});
    let none = json!({});
    let import = || {
        let mut request = plain(TABLE);
        request["ChangeSetName"] = json!("import");
        request["ChangeSetType"] = json!("IMPORT");
        request["ResourcesToImport"] = json!([{
            "ResourceType": "AWS::DynamoDB::Table",
            "LogicalResourceId": "Table",
            "ResourceIdentifier": {"TableName": "orders"},
        }]);
        Call("CreateChangeSet", request)
    };
    let execute = || Call("ExecuteChangeSet", json!({"ChangeSetName": "import"}));
    let mut seen = BTreeSet::new();
    for (steps, expected) in [
        (
            vec![
                Call("CreateStack", plain(ROLE)),
                Call("UpdateStack", plain(&key)),
                Call("DeleteStack", none.clone()),
            ],
            "CREATE_IN_PROGRESS CREATE_COMPLETE UPDATE_IN_PROGRESS UPDATE_COMPLETE_CLEANUP_IN_PROGRESS UPDATE_COMPLETE DELETE_IN_PROGRESS DELETE_COMPLETE",
        ),
        (
            vec![Call("CreateChangeSet", change_set)],
            "REVIEW_IN_PROGRESS",
        ),
        (
            vec![Fails("Key", Create), Call("CreateStack", plain(&key))],
            "CREATE_IN_PROGRESS ROLLBACK_IN_PROGRESS ROLLBACK_COMPLETE",
        ),
        (
            vec![
                Fails("Key", Create),
                Fails("Role", Delete),
                Call("CreateStack", plain(&key)),
                Mends,
                Call("DeleteStack", none.clone()),
            ],
            "CREATE_IN_PROGRESS ROLLBACK_IN_PROGRESS ROLLBACK_FAILED DELETE_IN_PROGRESS DELETE_COMPLETE",
        ),
        (
            vec![
                Fails("Key", Create),
                Call("CreateStack", with(&key, "DisableRollback", true)),
                Call("RollbackStack", none.clone()),
            ],
            "CREATE_IN_PROGRESS CREATE_FAILED ROLLBACK_IN_PROGRESS ROLLBACK_COMPLETE",
        ),
        (
            vec![
                Call("CreateStack", plain(ROLE)),
                Fails("Key", Create),
                Call("UpdateStack", with(&key, "DisableRollback", true)),
                Call("RollbackStack", none.clone()),
            ],
            "CREATE_IN_PROGRESS CREATE_COMPLETE UPDATE_IN_PROGRESS UPDATE_FAILED UPDATE_ROLLBACK_IN_PROGRESS UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS UPDATE_ROLLBACK_COMPLETE",
        ),
        (
            vec![
                Call("CreateStack", plain(ROLE)),
                Fails("Key", Create),
                Fails("Role", Rollback),
                Call("UpdateStack", plain(&key)),
                Call("ContinueUpdateRollback", on_role),
            ],
            "CREATE_IN_PROGRESS CREATE_COMPLETE UPDATE_IN_PROGRESS UPDATE_ROLLBACK_IN_PROGRESS UPDATE_ROLLBACK_FAILED UPDATE_ROLLBACK_IN_PROGRESS UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS UPDATE_ROLLBACK_COMPLETE",
        ),
        (
            vec![
                Call("CreateStack", plain(ROLE)),
                Fails("Role", Delete),
                Call("DeleteStack", none.clone()),
                Call("DeleteStack", json!({"RetainResources": ["Role"]})),
            ],
            "CREATE_IN_PROGRESS CREATE_COMPLETE DELETE_IN_PROGRESS DELETE_FAILED DELETE_IN_PROGRESS DELETE_COMPLETE",
        ),
        (
            vec![import(), execute(), Call("UpdateStack", plain(&topic))],
            "REVIEW_IN_PROGRESS IMPORT_IN_PROGRESS IMPORT_COMPLETE UPDATE_IN_PROGRESS UPDATE_COMPLETE_CLEANUP_IN_PROGRESS UPDATE_COMPLETE",
        ),
        (
            vec![Fails("Table", Import), import(), execute()],
            "REVIEW_IN_PROGRESS IMPORT_IN_PROGRESS IMPORT_ROLLBACK_IN_PROGRESS IMPORT_ROLLBACK_COMPLETE",
        ),
        (
            vec![
                Fails("Table", Import),
                Fails("Table", Rollback),
                import(),
                execute(),
                Mends,
                Call("DeleteStack", none.clone()),
            ],
            "REVIEW_IN_PROGRESS IMPORT_IN_PROGRESS IMPORT_ROLLBACK_IN_PROGRESS IMPORT_ROLLBACK_FAILED DELETE_IN_PROGRESS DELETE_COMPLETE",
        ),
    ] {
        let account = Account::new();
        let mut id = None;
        for step in steps {
            match step {
                Fails(resource, on) => {
                    let reason = "no luck".into();
                    let script = ResourceScript::Fail { reason, on };
                    account.world.script_resource("app", resource, script);
                }
                Mends => account.world.clear_resource_scripts(),
                Call(operation, mut request) => {
                    request["StackName"] = json!("app");
                    let proposed = request.clone();
                    let answer = account.call(operation, request).await.unwrap();
                    let named = id.get_or_insert_with(|| input::text(&answer, "StackId").unwrap());
                    if operation == "CreateChangeSet" {
                        let name = input::text(&proposed, "ChangeSetName").unwrap();
                        account.proposed("app", &name).await;
                    } else {
                        account.settled(named).await;
                    }
                }
            }
        }
        let id = id.unwrap();
        let passed: Vec<String> = account
            .events(&id)
            .await
            .iter()
            .filter(|event| event["PhysicalResourceId"] == id.as_str())
            .filter_map(|event| input::text(event, "ResourceStatus"))
            .collect();
        assert_eq!(passed.join(" "), expected);
        seen.extend(passed);
    }
    assert_eq!(
        seen.iter().map(String::as_str).collect::<Vec<_>>(),
        STATUSES
    );
}

#[tokio::test]
async fn a_stack_policy_holds_an_update_back() {
    let account = Account::new();
    let key = format!("{ROLE}  Key: {{Type: AWS::KMS::Key}}");
    account.create("app", &key).await;
    let policy = json!({"Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "Update:Delete", "Resource": "LogicalResourceId/Key"},
    ]});
    let request = json!({"StackName": "app", "StackPolicyBody": policy.to_string()});
    account.call("SetStackPolicy", request).await.unwrap();
    assert_eq!(
        account.update("app", ROLE).await,
        "UPDATE_ROLLBACK_COMPLETE"
    );
    let history = account.history("app").await;
    assert!(
        history.iter().any(|entry| entry == "Key UPDATE_FAILED: Action denied by stack policy: Statement [#2] does not allow [Update:Delete] for resource [LogicalResourceId/Key]"),
        "{history:?}"
    );
    let mut request = create_request("app", ROLE);
    let anything = json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"}});
    request["StackPolicyDuringUpdateBody"] = json!(anything.to_string());
    account.call("UpdateStack", request).await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
}
