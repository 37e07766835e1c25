//! Requests that are refused, in the words that clients look for.

use serde_json::{Value, json};

use super::{Account, ROLE, create_request};

#[tokio::test]
async fn what_does_not_exist_is_told_in_the_services_words() {
    let account = Account::new();
    account.create("app", ROLE).await;
    for (operation, request, expected) in [
        (
            "DescribeStacks",
            json!({"StackName": "x"}),
            "Stack with id x does not exist",
        ),
        (
            "DescribeStackResources",
            json!({"StackName": "x"}),
            "Stack with id x does not exist",
        ),
        (
            "ListStackResources",
            json!({"StackName": "x"}),
            "Stack with id x does not exist",
        ),
        (
            "GetTemplate",
            json!({"StackName": "x"}),
            "Stack with id x does not exist",
        ),
        (
            "DescribeStackEvents",
            json!({"StackName": "x"}),
            "Stack [x] does not exist",
        ),
        (
            "UpdateStack",
            json!({"StackName": "x", "TemplateBody": ROLE}),
            "Stack [x] does not exist",
        ),
        (
            "ListChangeSets",
            json!({"StackName": "x"}),
            "Stack [x] does not exist",
        ),
        (
            "DescribeChangeSet",
            json!({"StackName": "x", "ChangeSetName": "c"}),
            "Stack [x] does not exist",
        ),
        (
            "CreateChangeSet",
            json!({"StackName": "x", "ChangeSetName": "c", "TemplateBody": ROLE}),
            "Stack [x] does not exist",
        ),
        (
            "DescribeChangeSet",
            json!({"StackName": "app", "ChangeSetName": "c"}),
            "ChangeSet [c] does not exist",
        ),
        (
            "DescribeChangeSet",
            json!({"ChangeSetName": "c"}),
            "StackName must be specified if ChangeSetName is not specified as an ARN.",
        ),
        (
            "DescribeStackResource",
            json!({"StackName": "app", "LogicalResourceId": "X"}),
            "Resource X does not exist for stack app",
        ),
        (
            "ListImports",
            json!({"ExportName": "x"}),
            "Export 'x' is not imported by any stack.",
        ),
        (
            "CreateStack",
            json!({"StackName": "a_b", "TemplateBody": ROLE}),
            "1 validation error detected: Value 'a_b' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*",
        ),
        (
            "CreateStack",
            json!({"StackName": "y"}),
            "Either Template URL or Template Body must be specified.",
        ),
        (
            "CreateStack",
            json!({"StackName": "y", "TemplateURL": "https://example.com/t"}),
            "TemplateURL must be a supported URL. (https://example.com/t)",
        ),
        (
            "CreateStack",
            json!({"StackName": "y", "TemplateBody": ROLE, "OnFailure": "DELETE", "DisableRollback": true}),
            "Either DisableRollback or OnFailure can be specified, not both.",
        ),
        (
            "DescribeStacks",
            json!({"NextToken": "nonsense"}),
            "Invalid NextToken: nonsense",
        ),
    ] {
        let error = account.call(operation, request.clone()).await.unwrap_err();
        assert_eq!(error.message, expected, "{operation} {request}");
    }
    let error = account.call("DescribeThings", json!({})).await.unwrap_err();
    assert_eq!(error.code, "UnknownOperationException");
}

#[tokio::test]
async fn capabilities_are_really_required() {
    let named = format!("{ROLE}\n      RoleName: mine");
    let sam = format!("Transform: AWS::Serverless-2016-10-31\n{ROLE}");
    for (template, given, expected) in [
        (ROLE, json!([]), Some("[CAPABILITY_IAM]")),
        (ROLE, json!(["CAPABILITY_IAM"]), None),
        (ROLE, json!(["CAPABILITY_NAMED_IAM"]), None),
        (
            &named,
            json!(["CAPABILITY_IAM"]),
            Some("[CAPABILITY_NAMED_IAM]"),
        ),
        (
            &sam,
            json!(["CAPABILITY_IAM"]),
            Some("[CAPABILITY_AUTO_EXPAND]"),
        ),
        (
            &sam,
            json!(["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]),
            None,
        ),
    ] {
        let account = Account::new();
        let mut request = create_request("app", template);
        request["Capabilities"] = given.clone();
        let refused = account.call("CreateStack", request).await.err();
        let message = refused.map(|error| format!("{}: {}", error.code, error.message));
        let expected = expected.map(|needed| {
            format!("InsufficientCapabilitiesException: Requires capabilities : {needed}")
        });
        assert_eq!(message, expected, "{given}");
    }
    // What a change set shows can be reviewed, so expanding needs no capability there.
    let account = Account::new();
    let mut request = create_request("app", &sam);
    request["Capabilities"] = json!(["CAPABILITY_IAM"]);
    request["ChangeSetName"] = json!("c");
    request["ChangeSetType"] = json!("CREATE");
    account.call("CreateChangeSet", request).await.unwrap();
}

#[tokio::test]
async fn a_template_comes_by_url_and_can_be_read_back() {
    let account = Account::new();
    account.world.s3.create_bucket("templates").unwrap();
    account
        .world
        .s3
        .put("templates", "a/t.yaml", ROLE.into())
        .await
        .unwrap();
    let mut request = create_request("app", ROLE);
    request.as_object_mut().unwrap().remove("TemplateBody");
    request["TemplateURL"] = json!("https://templates.s3.us-east-1.amazonaws.com/a/t.yaml");
    account.call("CreateStack", request.clone()).await.unwrap();
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    let template = account
        .call("GetTemplate", json!({"StackName": "app"}))
        .await
        .unwrap();
    assert_eq!(template["TemplateBody"], ROLE);
    request["StackName"] = json!("other");
    request["TemplateURL"] = json!("http://127.0.0.1:9/templates/missing.yaml");
    let error = account.call("CreateStack", request).await.unwrap_err();
    assert!(error.message.starts_with("S3 error: "), "{error}");
}

#[tokio::test]
async fn a_summary_tells_what_a_template_asks_for() {
    let account = Account::new();
    let template = "
Description: d
Parameters:
  Stage: {Type: String, Default: qa, AllowedValues: [qa, prod], Description: Where}
  Secret: {Type: String, NoEcho: true}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {RoleName: mine, AssumeRolePolicyDocument: {}}
  Key: {Type: AWS::KMS::Key}
";
    let summary = account
        .call("GetTemplateSummary", json!({"TemplateBody": template}))
        .await
        .unwrap();
    assert_eq!(summary["Capabilities"], json!(["CAPABILITY_NAMED_IAM"]));
    assert_eq!(
        summary["CapabilitiesReason"],
        "The following resource(s) require capabilities: [AWS::IAM::Role]"
    );
    assert_eq!(
        summary["ResourceTypes"],
        json!(["AWS::IAM::Role", "AWS::KMS::Key"])
    );
    assert_eq!(summary["Parameters"][0]["DefaultValue"], "qa");
    assert_eq!(summary["Parameters"][1].get("DefaultValue"), None);
    let valid = account
        .call("ValidateTemplate", json!({"TemplateBody": template}))
        .await
        .unwrap();
    assert_eq!(valid["Description"], "d");
    let error = account
        .call(
            "ValidateTemplate",
            json!({"TemplateBody": "Resources: {A: {Type: AWS::KMS::Key, DependsOn: B}}"}),
        )
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "Template format error: Unresolved resource dependencies [B] in the Resources block of the template"
    );
}

#[tokio::test]
async fn events_are_paged_from_the_newest_and_new_ones_do_not_shift_the_pages() {
    let account = Account::new();
    let keys: Vec<String> = (0..60)
        .map(|number| format!("  K{number}: {{Type: AWS::KMS::Key}}\n"))
        .collect();
    let template = format!("Resources:\n{}", keys.concat());
    account.create("app", &template).await;
    let first = account
        .call("DescribeStackEvents", json!({"StackName": "app"}))
        .await
        .unwrap();
    assert_eq!(first["StackEvents"].as_array().unwrap().len(), 100);
    assert_eq!(first["StackEvents"][0]["ResourceStatus"], "CREATE_COMPLETE");
    account
        .update("app", &format!("{template}Outputs: {{A: {{Value: b}}}}"))
        .await;
    let second = account
        .call(
            "DescribeStackEvents",
            json!({"StackName": "app", "NextToken": first["NextToken"]}),
        )
        .await
        .unwrap();
    let seen = |page: &Value| -> Vec<String> {
        page["StackEvents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["EventId"].as_str().unwrap().to_owned())
            .collect()
    };
    let mut all = seen(&first);
    all.extend(seen(&second));
    assert_eq!(all.len(), 182);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 182);
}

#[tokio::test]
async fn a_repeated_creation_with_its_token_is_the_same_creation() {
    let account = Account::new();
    let mut request = create_request("app", ROLE);
    request["ClientRequestToken"] = json!("one");
    let first = account.call("CreateStack", request.clone()).await.unwrap();
    let second = account.call("CreateStack", request.clone()).await.unwrap();
    assert_eq!(first, second);
    account.settled("app").await;
    request["ClientRequestToken"] = json!("two");
    let error = account.call("CreateStack", request).await.unwrap_err();
    assert_eq!(error.code, "AlreadyExistsException");
    assert_eq!(error.message, "Stack [app] already exists");
    let reused = json!({"StackName": "app", "ClientRequestToken": "one"});
    let error = account.call("DeleteStack", reused).await.unwrap_err();
    assert_eq!(error.code, "TokenAlreadyExistsException");
}
