//! Change sets: what they say before anything happens, and what executing them does.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Account, ROLE, create_request};
use crate::AwsError;

impl Account {
    async fn propose(&self, stack: &str, name: &str, kind: &str, template: &str) -> Value {
        let mut request = create_request(stack, template);
        request["ChangeSetName"] = json!(name);
        request["ChangeSetType"] = json!(kind);
        self.call("CreateChangeSet", request).await.unwrap();
        self.proposed(stack, name).await
    }

    /// The change set once it is no longer being made.
    pub(super) async fn proposed(&self, stack: &str, name: &str) -> Value {
        let request = json!({"StackName": stack, "ChangeSetName": name});
        let wait = async {
            loop {
                let described = self
                    .call("DescribeChangeSet", request.clone())
                    .await
                    .unwrap();
                if matches!(
                    described["Status"].as_str(),
                    Some("CREATE_COMPLETE" | "FAILED")
                ) {
                    return described;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .expect("every change set is made")
    }

    pub(super) async fn execute(&self, stack: &str, name: &str) -> Result<Value, AwsError> {
        self.call(
            "ExecuteChangeSet",
            json!({"StackName": stack, "ChangeSetName": name, "ClientRequestToken": "t-1"}),
        )
        .await
    }
}

#[tokio::test]
async fn the_first_change_set_makes_a_shell_and_executing_it_the_stack() {
    let account = Account::new();
    let change_set = account.propose("app", "first", "CREATE", ROLE).await;
    assert_eq!(change_set["Status"], "CREATE_COMPLETE");
    assert_eq!(change_set["ExecutionStatus"], "AVAILABLE");
    assert_eq!(change_set["Changes"][0]["ResourceChange"]["Action"], "Add");
    let shell = account.stack("app").await;
    assert_eq!(shell["StackStatus"], "REVIEW_IN_PROGRESS");
    let error = account
        .call("UpdateStack", create_request("app", ROLE))
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("REVIEW_IN_PROGRESS state and can not be updated.")
    );
    account.propose("app", "second", "CREATE", ROLE).await;
    account.execute("app", "second").await.unwrap();
    // The same token again is the same request again.
    account.execute("app", "second").await.unwrap();
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    let other = account
        .call(
            "DeleteStack",
            json!({"StackName": "app", "ClientRequestToken": "t-1"}),
        )
        .await
        .unwrap_err();
    assert_eq!(other.code, "TokenAlreadyExistsException");
    let stack = account.stack("app").await;
    assert_eq!(stack["StackId"], shell["StackId"]);
    let second = account.proposed("app", "second").await;
    assert_eq!(second["ExecutionStatus"], "EXECUTE_COMPLETE");
    assert_eq!(stack["ChangeSetId"], second["ChangeSetId"]);
    // Executing one ends the others.
    let gone = account.execute("app", "first").await.unwrap_err();
    assert_eq!(gone.code, "ChangeSetNotFound");
    assert_eq!(gone.message, "ChangeSet [first] does not exist");
    let again = account.call("CreateChangeSet", {
        let mut request = create_request("app", ROLE);
        request["ChangeSetName"] = json!("third");
        request["ChangeSetType"] = json!("CREATE");
        request
    });
    assert_eq!(
        again.await.unwrap_err().message,
        "Stack [app] already exists and cannot be created again with the changeSet [third]."
    );
}

#[tokio::test]
async fn an_empty_change_set_fails_in_the_services_words() {
    let account = Account::new();
    account.create("plain", ROLE).await;
    let empty = account.propose("plain", "same", "UPDATE", ROLE).await;
    assert_eq!(empty["Status"], "FAILED");
    assert_eq!(empty["ExecutionStatus"], "UNAVAILABLE");
    assert_eq!(
        empty["StatusReason"],
        "The submitted information didn't contain changes. Submit different information to create a change set."
    );
    let error = account.execute("plain", "same").await.unwrap_err();
    assert_eq!(error.code, "InvalidChangeSetStatus");
    let transformed = format!("Transform: AWS::Serverless-2016-10-31\n{ROLE}");
    account.create("sam", &transformed).await;
    let empty = account.propose("sam", "same", "UPDATE", &transformed).await;
    assert_eq!(empty["StatusReason"], "No updates are to be performed.");
}

#[tokio::test]
async fn an_output_alone_is_executable_without_changes() {
    let account = Account::new();
    account.create("app", ROLE).await;
    let template = format!("{ROLE}\nOutputs: {{A: {{Value: b}}}}");
    let change_set = account.propose("app", "output", "UPDATE", &template).await;
    assert_eq!(change_set["Status"], "CREATE_COMPLETE");
    assert_eq!(change_set["Changes"], json!([]));
    account.execute("app", "output").await.unwrap();
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn changes_say_what_is_replaced_and_why() {
    let account = Account::new();
    let template = |path: &str, more: &str| {
        format!(
            "Parameters: {{Path: {{Type: String, Default: {path}}}}}
{ROLE}
      Path: !Ref Path
  Profile: {{Type: AWS::IAM::InstanceProfile, Properties: {{Roles: [!Ref Role]}}}}
{more}"
        )
    };
    account
        .create("app", &template("/a/", "  Old: {Type: AWS::KMS::Key}"))
        .await;
    let change_set = account
        .propose(
            "app",
            "next",
            "UPDATE",
            &template("/b/", "  New: {Type: AWS::KMS::Key}"),
        )
        .await;
    let told: Vec<String> = change_set["Changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let change = &change["ResourceChange"];
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let detail = &change["Details"][0];
            [
                &change["Action"],
                &change["LogicalResourceId"],
                &change["Replacement"],
                &change["PolicyAction"],
                &detail["Target"]["Name"],
                &detail["Target"]["RequiresRecreation"],
                &detail["Evaluation"],
                &detail["ChangeSource"],
                &detail["CausingEntity"],
            ]
            .map(text)
            .join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "Modify Role True ReplaceAndDelete Path Always Static ParameterReference Path",
            "Add New - - - - - - -",
            "Modify Profile False - Roles Never Dynamic ResourceReference Role",
            "Remove Old - Delete - - - - -",
        ]
    );
    let valued = account
        .call(
            "DescribeChangeSet",
            json!({"StackName": "app", "ChangeSetName": "next", "IncludePropertyValues": true}),
        )
        .await
        .unwrap();
    let target = &valued["Changes"][0]["ResourceChange"]["Details"][0]["Target"];
    assert_eq!(
        (&target["BeforeValue"], &target["AfterValue"]),
        (&json!("/a/"), &json!("/b/"))
    );
    // An update by another way makes the proposal obsolete.
    assert_eq!(account.update("app", ROLE).await, "UPDATE_COMPLETE");
    assert_eq!(
        account.proposed("app", "next").await["ExecutionStatus"],
        "OBSOLETE"
    );
    let error = account.execute("app", "next").await.unwrap_err();
    assert_eq!(error.code, "InvalidChangeSetStatus");
}

#[tokio::test]
async fn a_creation_may_delete_itself_when_it_fails() {
    let account = Account::new();
    let mut request = create_request("app", "Resources: {A: {Type: AWS::EC2::Instance}}");
    request["ChangeSetName"] = json!("first");
    request["ChangeSetType"] = json!("CREATE");
    request["OnStackFailure"] = json!("DELETE");
    let answer = account.call("CreateChangeSet", request).await.unwrap();
    account.proposed("app", "first").await;
    // Also `false` is a word beside the one that the change set has.
    let both = json!({"StackName": "app", "ChangeSetName": "first", "DisableRollback": false});
    let refused = account.call("ExecuteChangeSet", both).await.unwrap_err();
    assert_eq!(refused.code, "ValidationError");
    account.execute("app", "first").await.unwrap();
    let id = answer["StackId"].as_str().unwrap();
    assert_eq!(account.settled(id).await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn what_a_transform_refuses_is_found_in_the_change_set() {
    let account = Account::new();
    let change_set = account
        .propose(
            "app",
            "first",
            "CREATE",
            "Transform: AWS::Serverless-2016-10-31\nResources: {F: {Type: AWS::Serverless::Function, Properties: {Nonsense: 1}}}",
        )
        .await;
    assert_eq!(change_set["Status"], "FAILED");
    let reason = change_set["StatusReason"].as_str().unwrap();
    assert!(
        reason.starts_with("Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application Specification document. Number of errors found: 1. Resource with id [F] is invalid."),
        "{reason}"
    );
}

#[tokio::test]
async fn a_name_is_taken_once_and_a_repetition_is_recognised() {
    let account = Account::new();
    account.create("app", ROLE).await;
    let mut request = create_request("app", &format!("{ROLE}\nOutputs: {{A: {{Value: b}}}}"));
    request["ChangeSetName"] = json!("next");
    request["ClientToken"] = json!("one");
    let first = account
        .call("CreateChangeSet", request.clone())
        .await
        .unwrap();
    let second = account
        .call("CreateChangeSet", request.clone())
        .await
        .unwrap();
    assert_eq!(first, second);
    request["ClientToken"] = json!("two");
    let error = account.call("CreateChangeSet", request).await.unwrap_err();
    assert_eq!(error.code, "AlreadyExistsException");
    account.proposed("app", "next").await;
    let listed = account
        .call("ListChangeSets", json!({"StackName": "app"}))
        .await
        .unwrap();
    assert_eq!(listed["Summaries"].as_array().unwrap().len(), 1);
    for _ in 0..2 {
        account
            .call(
                "DeleteChangeSet",
                json!({"StackName": "app", "ChangeSetName": "next"}),
            )
            .await
            .unwrap();
    }
}
