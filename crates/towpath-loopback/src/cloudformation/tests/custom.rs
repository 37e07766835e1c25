//! Custom resources: what their providers are asked, and what becomes of each answer.
//!
//! The provider is the test itself, which reads what a topic was given and answers at the address in it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Account, create_request};
use crate::Caller;
use crate::cloudformation::CUSTOM_RESOURCES;
use crate::cloudformation::{ResourceScript, ScriptedOperation};

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:provider";

/// A topic, and how much of it has been read.
struct Provider {
    log: PathBuf,
    read: usize,
}

impl Provider {
    async fn new(account: &Account) -> Self {
        let request = json!({ "Name": "provider" });
        let world = &account.world;
        let made = world.sns.call(world, &Caller::Root, "CreateTopic", request);
        made.await.unwrap();
        let log = world.settings.state_dir.join("sns/provider.jsonl");
        Self { log, read: 0 }
    }

    /// The next request, once it has been made.
    async fn next(&mut self) -> Value {
        let asked = async {
            loop {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                if let Some(line) = log.lines().nth(self.read) {
                    let notification: Value = serde_json::from_str(line).unwrap();
                    return serde_json::from_str(notification["Message"].as_str().unwrap())
                        .unwrap();
                }
                tokio::task::yield_now().await;
            }
        };
        let request = tokio::time::timeout(Duration::from_secs(30), asked)
            .await
            .expect("a request");
        self.read += 1;
        request
    }

    /// Answers the next request, and returns it.
    async fn answer(&mut self, account: &Account, members: Value) -> Value {
        let request = self.next().await;
        reply(account, &request, members);
        request
    }
}

/// Answers as a provider does, with these members beside those of the request.
fn reply(account: &Account, request: &Value, members: Value) {
    let mut answer = json!({});
    for member in ["StackId", "RequestId", "LogicalResourceId"] {
        answer[member] = request[member].clone();
    }
    for (member, value) in members.as_object().unwrap() {
        answer[member] = value.clone();
    }
    let url = request["ResponseURL"].as_str().unwrap();
    let secret = url
        .strip_prefix(&format!("{}{CUSTOM_RESOURCES}", account.world.endpoint))
        .unwrap();
    let replies = &account.world.cloudformation.replies;
    assert!(replies.take(secret, answer.to_string().into()));
}

fn success(id: &str) -> Value {
    json!({ "Status": "SUCCESS", "PhysicalResourceId": id })
}

fn template(size: u32, more: &str) -> String {
    format!(
        "Resources:\n  Seed: {{Type: Custom::Seed, Properties: {{ServiceToken: {TOPIC}, Size: {size}, Deep: {{On: true}}}}}}\n{more}"
    )
}

async fn begin(account: &Account, operation: &str, template: &str) {
    let request = create_request("app", template);
    account.call(operation, request).await.unwrap();
}

async fn created(account: &Account, provider: &mut Provider, more: &str) {
    begin(account, "CreateStack", &template(1, more)).await;
    provider.answer(account, success("seed-1")).await;
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
}

#[tokio::test]
async fn a_provider_makes_changes_and_removes_the_resource() {
    let account = Account::new();
    let mut provider = Provider::new(&account).await;
    let outputs = "Outputs: {Id: {Value: !Ref Seed}, Host: {Value: !GetAtt Seed.Host}}";
    begin(&account, "CreateStack", &template(1, outputs)).await;
    let members = json!({ "Status": "SUCCESS", "PhysicalResourceId": "seed-1", "Data": {"Host": "db.example"} });
    let asked = provider.answer(&account, members.clone()).await;
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    assert_eq!(asked["RequestType"], "Create");
    assert_eq!(asked["ResourceType"], "Custom::Seed");
    assert_eq!(asked["LogicalResourceId"], "Seed");
    assert_eq!(asked["StackId"], account.stack("app").await["StackId"]);
    assert_eq!(
        asked["ResourceProperties"],
        json!({"ServiceToken": TOPIC, "Size": "1", "Deep": {"On": "true"}})
    );
    assert!(asked.get("PhysicalResourceId").is_none());
    let outputs_now = account.stack("app").await["Outputs"].clone();
    assert_eq!(outputs_now[0]["OutputValue"], "seed-1");
    assert_eq!(outputs_now[1]["OutputValue"], "db.example");

    begin(&account, "UpdateStack", &template(2, outputs)).await;
    let asked = provider.answer(&account, members).await;
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
    assert_eq!(asked["RequestType"], "Update");
    assert_eq!(asked["PhysicalResourceId"], "seed-1");
    assert_eq!(asked["ResourceProperties"]["Size"], "2");
    assert_eq!(asked["OldResourceProperties"]["Size"], "1");

    let request = json!({ "StackName": "app" });
    let id = account.world.cloudformation.find("app").unwrap();
    account.call("DeleteStack", request).await.unwrap();
    // A deletion may be answered without an id.
    let asked = provider
        .answer(&account, json!({ "Status": "SUCCESS" }))
        .await;
    assert_eq!(account.settled(&id).await, "DELETE_COMPLETE");
    assert_eq!(asked["RequestType"], "Delete");
    assert_eq!(asked["PhysicalResourceId"], "seed-1");
    assert_eq!(asked["ResourceProperties"]["Size"], "2");
}

#[tokio::test]
async fn another_physical_id_is_a_replacement_and_the_old_one_goes_last() {
    let account = Account::new();
    let mut provider = Provider::new(&account).await;
    created(&account, &mut provider, "").await;
    begin(&account, "UpdateStack", &template(2, "")).await;
    provider.answer(&account, success("seed-2")).await;
    let asked = provider.answer(&account, success("seed-1")).await;
    assert_eq!(asked["RequestType"], "Delete");
    assert_eq!(asked["PhysicalResourceId"], "seed-1");
    assert_eq!(asked["ResourceProperties"]["Size"], "1");
    assert_eq!(account.settled("app").await, "UPDATE_COMPLETE");
    assert_eq!(account.physical_id("app", "Seed").await, "seed-2");
}

#[tokio::test]
async fn a_failed_creation_is_told_in_the_services_words_and_undone() {
    let account = Account::new();
    let mut provider = Provider::new(&account).await;
    begin(&account, "CreateStack", &template(1, "")).await;
    let members =
        json!({ "Status": "FAILED", "Reason": "no such database", "PhysicalResourceId": "half" });
    let asked = provider.answer(&account, members).await;
    let undone = provider.answer(&account, success("half")).await;
    assert_eq!(undone["RequestType"], "Delete");
    assert_eq!(undone["PhysicalResourceId"], "half");
    assert_eq!(account.settled("app").await, "ROLLBACK_COMPLETE");
    let reason = format!(
        "Seed CREATE_FAILED: Received response status [FAILED] from custom resource. Message returned: no such database (RequestId: {})",
        asked["RequestId"].as_str().unwrap()
    );
    assert_eq!(account.history("app").await[1], reason);
}

#[tokio::test]
async fn a_failed_update_is_undone_by_an_update_the_other_way_round() {
    let account = Account::new();
    let mut provider = Provider::new(&account).await;
    created(&account, &mut provider, "").await;
    begin(&account, "UpdateStack", &template(2, "")).await;
    let failed = json!({ "Status": "FAILED", "Reason": "no" });
    provider.answer(&account, failed).await;
    let undone = provider.answer(&account, success("seed-1")).await;
    assert_eq!(undone["RequestType"], "Update");
    assert_eq!(undone["ResourceProperties"]["Size"], "1");
    assert_eq!(undone["OldResourceProperties"]["Size"], "2");
    assert_eq!(account.settled("app").await, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn a_replacement_that_is_rolled_back_removes_the_new_one() {
    let account = Account::new();
    let mut provider = Provider::new(&account).await;
    let more = "  Key: {Type: AWS::KMS::Key, DependsOn: Seed, Properties: {Description: ";
    created(&account, &mut provider, &format!("{more}a}}}}")).await;
    let fail = ResourceScript::Fail {
        reason: "no".into(),
        on: ScriptedOperation::Update,
    };
    account.world.script_resource("app", "Key", fail);
    begin(
        &account,
        "UpdateStack",
        &template(2, &format!("{more}b}}}}")),
    )
    .await;
    provider.answer(&account, success("seed-2")).await;
    let asked = provider.answer(&account, success("seed-2")).await;
    assert_eq!(asked["RequestType"], "Delete");
    assert_eq!(asked["PhysicalResourceId"], "seed-2");
    assert_eq!(account.settled("app").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(account.physical_id("app", "Seed").await, "seed-1");
}

#[tokio::test]
async fn a_provider_that_never_answers_fails_the_resource_when_its_time_is_up() {
    let account = Account::with(|settings| {
        settings.custom_resource_second = Duration::from_millis(1);
    });
    let mut provider = Provider::new(&account).await;
    let timed = template(1, "").replace("Size: 1", "ServiceTimeout: 1, Size: 1");
    begin(&account, "CreateStack", &timed).await;
    assert_eq!(account.settled("app").await, "ROLLBACK_FAILED");
    let asked = provider.next().await;
    let history = account.history("app").await;
    let words = format!(
        "did not receive a response from your Custom Resource. Please check your logs for requestId [{}]",
        asked["RequestId"].as_str().unwrap()
    );
    assert!(history[1].contains(&words), "{history:?}");
    // Something may exist, whatever its name.
    assert_eq!(provider.next().await["RequestType"], "Delete");
}

#[tokio::test]
async fn a_provider_that_is_not_there_or_not_allowed_fails_the_resource() {
    let account = Account::new();
    let function = "arn:aws:lambda:us-east-1:000000000000:function:seed";
    let of = |token: &str| template(1, "").replace(TOPIC, token);
    for (name, token, expected) in [
        (
            "absent",
            function,
            "Error Code: ResourceNotFoundException; ",
        ),
        ("wrong", "seed", "Invalid service token: expected the ARN"),
    ] {
        let id = account.create(name, &of(token)).await;
        let history = account.history(&id).await;
        assert!(history[1].starts_with("Seed CREATE_FAILED"), "{history:?}");
        assert!(history[1].contains(expected), "{history:?}");
        assert_eq!(account.stack(&id).await["StackStatus"], "ROLLBACK_COMPLETE");
    }
}

#[tokio::test]
async fn a_deployment_that_may_not_ask_the_provider_fails_the_resource() {
    let account = Account::new();
    let provider = Provider::new(&account).await;
    let mut trust = json!({ "Effect": "Allow", "Action": "sts:AssumeRole" });
    trust["Principal"] = json!({ "Service": "cloudformation.amazonaws.com" });
    let arn = "arn:aws:iam::000000000000:role/maker";
    let role = crate::identity::RoleDefinition {
        arn: arn.into(),
        trust: json!({ "Statement": [trust] }),
        policies: Vec::new(),
    };
    account.world.identity.put_role("maker", role);
    let mut request = create_request("app", &template(1, ""));
    request["RoleARN"] = json!(arn);
    account.call("CreateStack", request).await.unwrap();
    assert_eq!(account.settled("app").await, "ROLLBACK_COMPLETE");
    let history = account.history("app").await;
    assert!(
        history[1].contains("is not authorized to perform: sns:Publish")
            && history[1].contains("Error Code: AccessDenied"),
        "{history:?}"
    );
    assert!(!provider.log.exists(), "it was never asked");
}

#[tokio::test]
async fn a_failure_elsewhere_does_not_wait_for_the_provider() {
    let account = Account::new();
    let mut provider = Provider::new(&account).await;
    let more = format!("  Other: {{Type: Custom::Seed, Properties: {{ServiceToken: {TOPIC}}}}}");
    begin(&account, "CreateStack", &template(1, &more)).await;
    for request in [provider.next().await, provider.next().await] {
        if request["LogicalResourceId"] == "Other" {
            reply(&account, &request, json!({ "Status": "FAILED" }));
        }
    }
    // Both may have left something.
    for _ in 0..2 {
        let asked = provider
            .answer(&account, json!({ "Status": "SUCCESS" }))
            .await;
        assert_eq!(asked["RequestType"], "Delete");
    }
    assert_eq!(account.settled("app").await, "ROLLBACK_COMPLETE");
    let history = account.history("app").await.join("\n");
    assert!(
        history.contains("Seed CREATE_FAILED: Resource creation cancelled"),
        "{history}"
    );
}

#[tokio::test]
async fn attributes_that_must_not_be_echoed_are_masked_where_they_are_used() {
    let account = Account::new();
    let mut provider = Provider::new(&account).await;
    let more = "  Name: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !GetAtt Seed.Password}}";
    begin(&account, "CreateStack", &template(1, more)).await;
    let members = json!({
        "Status": "SUCCESS", "PhysicalResourceId": "seed-1",
        "Data": {"Password": "hunter2"}, "NoEcho": true,
    });
    provider.answer(&account, members).await;
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    let events = account.events("app").await;
    let events = Value::Array(events).to_string();
    assert!(events.contains("*****") && !events.contains("hunter2"));
}
