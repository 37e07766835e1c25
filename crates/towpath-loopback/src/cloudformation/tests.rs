//! Stack histories, told through the API as a client sees them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{AwsError, Caller, Settings, World, input};

mod change_sets;
mod custom;
mod deletes;
mod histories;
mod imports;
mod nested;
mod notices;
mod operations;
mod requests;
mod statuses;
mod updates;

/// A world without a port, and a client of its CloudFormation.
struct Account {
    world: Arc<World>,
    _state: tempfile::TempDir,
}

impl Account {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(state.path());
        settings.resource_delay = Duration::from_millis(1);
        change(&mut settings);
        Self {
            world: Arc::new(World::new(settings, 9)),
            _state: state,
        }
    }

    async fn call(&self, operation: &str, request: Value) -> Result<Value, AwsError> {
        self.call_as(&Caller::Root, operation, request).await
    }

    async fn call_as(
        &self,
        caller: &Caller,
        operation: &str,
        request: Value,
    ) -> Result<Value, AwsError> {
        self.world
            .cloudformation
            .call(&self.world, caller, operation, request)
            .await
    }

    /// Creates a stack and waits. Returns its id.
    async fn create(&self, name: &str, template: &str) -> String {
        let answer = self
            .call("CreateStack", create_request(name, template))
            .await
            .unwrap();
        let id = input::text(&answer, "StackId").unwrap();
        self.settled(&id).await;
        id
    }

    /// Updates a stack's template and waits. Returns the status.
    async fn update(&self, name: &str, template: &str) -> String {
        self.call(
            "UpdateStack",
            json!({
                "StackName": name,
                "TemplateBody": template,
                "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            }),
        )
        .await
        .unwrap();
        self.settled(name).await
    }

    async fn delete(&self, id: &str) -> String {
        self.call("DeleteStack", json!({ "StackName": id }))
            .await
            .unwrap();
        self.settled(id).await
    }

    /// Waits for the operation that is under way, and returns the stack's status.
    async fn settled(&self, name: &str) -> String {
        let id = self.world.cloudformation.find(name).unwrap();
        let operation = self
            .world
            .cloudformation
            .stack(&id, |stack| stack.operation.clone())
            .flatten()
            .unwrap();
        tokio::time::timeout(Duration::from_secs(30), operation.finished.cancelled())
            .await
            .expect("every operation ends");
        self.stack(&id).await["StackStatus"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn stack(&self, name: &str) -> Value {
        self.call("DescribeStacks", json!({ "StackName": name }))
            .await
            .unwrap()["Stacks"][0]
            .clone()
    }

    async fn physical_id(&self, stack: &str, logical_id: &str) -> String {
        let request = json!({ "StackName": stack, "LogicalResourceId": logical_id });
        let answer = self.call("DescribeStackResource", request).await.unwrap();
        input::text(&answer["StackResourceDetail"], "PhysicalResourceId").unwrap_or_default()
    }

    /// `Logical STATUS` or `Logical STATUS: reason`, oldest first, without in-progress noise of resources.
    async fn history(&self, stack: &str) -> Vec<String> {
        self.events(stack)
            .await
            .iter()
            .filter(|event| {
                event["ResourceType"] == "AWS::CloudFormation::Stack"
                    || !event["ResourceStatus"]
                        .as_str()
                        .unwrap()
                        .ends_with("IN_PROGRESS")
            })
            .map(|event| {
                let logical_id = event["LogicalResourceId"].as_str().unwrap();
                let status = event["ResourceStatus"].as_str().unwrap();
                match event["ResourceStatusReason"].as_str() {
                    Some(reason) => format!("{logical_id} {status}: {reason}"),
                    None => format!("{logical_id} {status}"),
                }
            })
            .collect()
    }

    /// Every event, oldest first, from all pages.
    async fn events(&self, stack: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut request = json!({ "StackName": stack });
        loop {
            let answer = self
                .call("DescribeStackEvents", request.clone())
                .await
                .unwrap();
            events.extend(answer["StackEvents"].as_array().unwrap().iter().cloned());
            let Some(next) = answer.get("NextToken") else {
                break;
            };
            request["NextToken"] = next.clone();
        }
        events.reverse();
        events
    }
}

fn create_request(name: &str, template: &str) -> Value {
    json!({
        "StackName": name,
        "TemplateBody": template,
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    })
}

/// A template with one role and what is added to it.
const ROLE: &str = "
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}
";

#[tokio::test]
async fn a_stack_is_created_in_dependency_order_with_events_and_outputs() {
    let account = Account::new();
    let template = format!(
        "Description: An app
{ROLE}
  Profile:
    Type: AWS::IAM::InstanceProfile
    Properties: {{Roles: [!Ref Role]}}
Outputs:
  Arn: {{Value: !GetAtt Role.Arn, Description: The role, Export: {{Name: !Sub '${{AWS::StackName}}-role'}}}}
"
    );
    let answer = account
        .call("CreateStack", {
            let mut request = create_request("app", &template);
            request["ClientRequestToken"] = json!("token-1");
            request["Tags"] = json!([{"Key": "team", "Value": "a"}]);
            request
        })
        .await
        .unwrap();
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    let events = account.events("app").await;
    let told: Vec<String> = events
        .iter()
        .map(|event| {
            format!(
                "{} {}",
                event["LogicalResourceId"].as_str().unwrap(),
                event["ResourceStatus"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "app CREATE_IN_PROGRESS",
            "Role CREATE_IN_PROGRESS",
            "Role CREATE_IN_PROGRESS",
            "Role CREATE_COMPLETE",
            "Profile CREATE_IN_PROGRESS",
            "Profile CREATE_IN_PROGRESS",
            "Profile CREATE_COMPLETE",
            "app CREATE_COMPLETE",
        ]
    );
    assert!(
        events
            .iter()
            .all(|event| event["ClientRequestToken"] == "token-1")
    );
    assert_eq!(
        events[2]["ResourceStatusReason"],
        "Resource creation Initiated"
    );
    let stack = account.stack("app").await;
    assert_eq!(stack["StackId"], answer["StackId"]);
    assert_eq!(stack["Description"], "An app");
    assert_eq!(stack["Tags"], json!([{"Key": "team", "Value": "a"}]));
    let role = account.physical_id("app", "Role").await;
    assert_eq!(
        stack["Outputs"],
        json!([{
            "OutputKey": "Arn",
            "OutputValue": format!("arn:aws:iam::000000000000:role/{role}"),
            "Description": "The role",
            "ExportName": "app-role",
        }])
    );
    assert!(account.world.identity.role(&role).is_some());
    assert_eq!(
        account.world.fidelity.report(),
        json!({
            "executed": ["AWS::IAM::Role"],
            "simulated": ["AWS::IAM::InstanceProfile"],
            "refused": [],
        })
    );
}

#[tokio::test]
async fn a_resource_that_fails_cancels_its_siblings_and_rolls_the_stack_back() {
    let account = Account::new();
    account.world.script_resource(
        "app",
        "Bad",
        super::ResourceScript::Fail {
            reason: "no luck".into(),
            on: super::ScriptedOperation::Create,
        },
    );
    account.world.script_resource(
        "app",
        "Slow",
        super::ResourceScript::Delay(Duration::from_mins(1)),
    );
    let id = account
        .create(
            "app",
            "Resources:
  Good: {Type: AWS::KMS::Key}
  Bad: {Type: AWS::KMS::Key, DependsOn: Good}
  Slow: {Type: AWS::KMS::Key, DependsOn: Good}
  Never: {Type: AWS::KMS::Key, DependsOn: Bad}",
        )
        .await;
    assert_eq!(
        account.history(&id).await,
        [
            "app CREATE_IN_PROGRESS: User Initiated",
            "Good CREATE_COMPLETE",
            "Bad CREATE_FAILED: no luck",
            "Slow CREATE_FAILED: Resource creation cancelled",
            "app ROLLBACK_IN_PROGRESS: The following resource(s) failed to create: [Bad, Slow]. Rollback requested by user.",
            "Bad DELETE_COMPLETE",
            "Slow DELETE_COMPLETE",
            "Good DELETE_COMPLETE",
            "app ROLLBACK_COMPLETE",
        ]
    );
}

#[tokio::test]
async fn what_follows_a_failed_creation_is_the_callers_choice() {
    for (member, value, expected) in [
        ("OnFailure", json!("ROLLBACK"), "ROLLBACK_COMPLETE"),
        ("OnFailure", json!("DO_NOTHING"), "CREATE_FAILED"),
        ("OnFailure", json!("DELETE"), "DELETE_COMPLETE"),
        ("DisableRollback", json!("true"), "CREATE_FAILED"),
        ("DisableRollback", json!(false), "ROLLBACK_COMPLETE"),
    ] {
        let account = Account::new();
        let mut request = create_request("app", "Resources: {A: {Type: Custom::Thing}}");
        request[member] = value.clone();
        let answer = account.call("CreateStack", request).await.unwrap();
        let id = input::text(&answer, "StackId").unwrap();
        assert_eq!(account.settled(&id).await, expected, "{member} {value}");
    }
}

#[tokio::test]
async fn a_type_that_is_not_served_fails_by_name() {
    let account = Account::new();
    let id = account
        .create("app", "Resources: {Db: {Type: AWS::RDS::DBInstance}}")
        .await;
    assert_eq!(account.stack(&id).await["StackStatus"], "ROLLBACK_COMPLETE");
    let history = account.history(&id).await;
    assert!(
        history[1].starts_with(
            "Db CREATE_FAILED: Resource type AWS::RDS::DBInstance is not served by the loopback."
        ),
        "{history:?}"
    );
    assert_eq!(
        account.world.fidelity.report()["refused"],
        json!(["AWS::RDS::DBInstance"])
    );
}

#[tokio::test]
async fn a_role_of_the_stack_limits_what_its_resources_may_do() {
    let account = Account::new();
    let trust = json!({"Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "cloudformation.amazonaws.com"},
    }]});
    for (name, trust, policies) in [
        ("none", json!({"Statement": []}), vec![]),
        ("idle", trust.clone(), vec![]),
        (
            "maker",
            trust,
            vec![json!({"Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]})],
        ),
    ] {
        account.world.identity.put_role(
            name,
            crate::identity::RoleDefinition {
                arn: format!("arn:aws:iam::000000000000:role/{name}"),
                trust,
                policies,
            },
        );
    }
    for (role, expected) in [
        (
            "none",
            "Role arn:aws:iam::000000000000:role/none is invalid or cannot be assumed",
        ),
        (
            "missing",
            "Role arn:aws:iam::000000000000:role/missing is invalid or cannot be assumed",
        ),
        ("idle", "ROLLBACK_COMPLETE"),
        ("maker", "CREATE_COMPLETE"),
    ] {
        let mut request = create_request(role, ROLE);
        request["RoleARN"] = json!(format!("arn:aws:iam::000000000000:role/{role}"));
        let outcome = match account.call("CreateStack", request).await {
            Ok(_) => account.settled(role).await,
            Err(error) => error.message,
        };
        assert_eq!(outcome, expected, "{role}");
    }
    let history = account.history("idle").await;
    assert!(
        history[1].contains("is not authorized to perform: iam:CreateRole")
            && history[1].contains("HandlerErrorCode: AccessDenied"),
        "{history:?}"
    );
}

#[tokio::test]
async fn an_api_at_amazon_becomes_an_api_of_the_loopback() {
    let account = Account::new();
    let id = account
        .create(
            "app",
            "Resources: {A: {Type: AWS::KMS::Key}}
Outputs: {Url: {Value: !Sub 'https://abc.execute-api.${AWS::Region}.${AWS::URLSuffix}/'}}",
        )
        .await;
    assert_eq!(
        account.stack(&id).await["Outputs"][0]["OutputValue"],
        "http://127.0.0.1:9/_api/abc/"
    );
}

#[tokio::test]
async fn a_nested_stack_is_a_stack_of_its_own() {
    let account = Account::new();
    account.world.s3.create_bucket("templates").unwrap();
    let child = format!(
        "Parameters: {{Path: {{Type: String}}}}\n{ROLE}\n      Path: !Ref Path\nOutputs: {{Name: {{Value: !Ref Role}}}}"
    );
    account
        .world
        .s3
        .put("templates", "child.yaml", child.into())
        .await
        .unwrap();
    let id = account
        .create(
            "app",
            "Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: http://127.0.0.1:9/templates/child.yaml
      Parameters: {Path: /app/}
Outputs: {Name: {Value: !GetAtt Child.Outputs.Name}}",
        )
        .await;
    let stack = account.stack(&id).await;
    assert_eq!(
        stack["StackStatus"],
        "CREATE_COMPLETE",
        "{:?}",
        account.history(&id).await
    );
    let child = account.physical_id("app", "Child").await;
    assert_eq!(account.stack(&child).await["ParentId"], id);
    let role = account.physical_id(&child, "Role").await;
    assert_eq!(stack["Outputs"][0]["OutputValue"], role);
    assert_eq!(account.delete(&id).await, "DELETE_COMPLETE");
    assert_eq!(
        account.stack(&child).await["StackStatus"],
        "DELETE_COMPLETE"
    );
    assert!(account.world.identity.role(&role).is_none());
}

#[tokio::test]
async fn a_nested_stack_that_fails_fails_its_parent_and_says_where() {
    let account = Account::new();
    account.world.s3.create_bucket("templates").unwrap();
    account
        .world
        .s3
        .put(
            "templates",
            "child.yaml",
            "Resources: {A: {Type: Custom::A}}".into(),
        )
        .await
        .unwrap();
    let id = account
        .create(
            "app",
            "Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://templates.s3.us-east-1.amazonaws.com/child.yaml'}",
        )
        .await;
    assert_eq!(account.stack(&id).await["StackStatus"], "ROLLBACK_COMPLETE");
    let failed = account
        .events(&id)
        .await
        .into_iter()
        .find(|event| event["ResourceStatus"] == "CREATE_FAILED")
        .unwrap();
    let child = failed["PhysicalResourceId"].as_str().unwrap();
    assert_eq!(
        failed["ResourceStatusReason"],
        format!(
            "Embedded stack {child} was not successfully created: The following resource(s) failed to create: [A]. Rollback requested by user."
        )
    );
    let reasons = account.history(child).await;
    assert!(reasons[1].contains("ServiceToken"), "{reasons:?}");
}
