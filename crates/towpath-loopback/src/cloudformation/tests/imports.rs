//! Resources that are there already come to belong to a stack.

use serde_json::{Value, json};

use super::{Account, create_request};

const BUCKET: &str = "
Resources:
  Site:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Properties: {BucketName: app-site}
Outputs:
  Arn: {Value: !GetAtt Site.Arn}
";

fn import(template: &str, logical_id: &str, resource_type: &str, identifier: &Value) -> Value {
    let mut request = create_request("app", template);
    request["ChangeSetName"] = json!("import");
    request["ChangeSetType"] = json!("IMPORT");
    request["ResourcesToImport"] = json!([{
        "ResourceType": resource_type,
        "LogicalResourceId": logical_id,
        "ResourceIdentifier": identifier,
    }]);
    request
}

#[tokio::test]
async fn a_bucket_comes_into_a_stack_as_it_is() {
    let account = Account::new();
    account.world.s3.create_bucket("app-site").unwrap();
    let request = import(
        BUCKET,
        "Site",
        "AWS::S3::Bucket",
        &json!({"BucketName": "app-site"}),
    );
    account.call("CreateChangeSet", request).await.unwrap();
    let change_set = account.proposed("app", "import").await;
    assert_eq!(change_set["Status"], "CREATE_COMPLETE", "{change_set:#}");
    let change = &change_set["Changes"][0]["ResourceChange"];
    assert_eq!(change["Action"], "Import");
    assert_eq!(change["PhysicalResourceId"], "app-site");
    account.execute("app", "import").await.unwrap();
    assert_eq!(account.settled("app").await, "IMPORT_COMPLETE");
    let stack = account.stack("app").await;
    assert_eq!(stack["Outputs"][0]["OutputValue"], "arn:aws:s3:::app-site");
    let history = account.history("app").await;
    assert!(
        history.contains(&"Site IMPORT_COMPLETE".to_owned()),
        "{history:?}"
    );
    // It is the stack's own from now on, for which the template wants it kept.
    assert_eq!(account.delete("app").await, "DELETE_COMPLETE");
    assert!(account.world.s3.exists("app-site"));
}

#[tokio::test]
async fn what_is_not_there_is_not_imported_and_the_stack_is_as_before() {
    let account = Account::new();
    let topic = "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n";
    account.create("app", topic).await;
    let both = format!(
        "{topic}{}",
        BUCKET.trim_start().trim_start_matches("Resources:\n")
    );
    let request = import(
        &both,
        "Site",
        "AWS::S3::Bucket",
        &json!({"BucketName": "app-site"}),
    );
    account.call("CreateChangeSet", request).await.unwrap();
    account.proposed("app", "import").await;
    account.execute("app", "import").await.unwrap();
    assert_eq!(account.settled("app").await, "IMPORT_ROLLBACK_COMPLETE");
    let history = account.history("app").await;
    assert!(
        history
            .iter()
            .any(|entry| entry.starts_with("Site IMPORT_FAILED: ")
                && entry.contains("'app-site' was not found")),
        "{history:?}"
    );
    let listed = account
        .call("ListStackResources", json!({"StackName": "app"}))
        .await
        .unwrap();
    let listed = listed["StackResourceSummaries"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
}

#[tokio::test]
async fn an_import_is_refused_that_would_do_more_or_could_not_be() {
    let account = Account::new();
    account.world.s3.create_bucket("app-site").unwrap();
    let named = json!({"BucketName": "app-site"});
    let bucket = "AWS::S3::Bucket";
    let gone = BUCKET.replace("    DeletionPolicy: Retain\n", "");
    for (request, expected) in [
        (
            import(BUCKET, "Other", bucket, &named),
            "Resources [Other] to import are not in the template.",
        ),
        (
            import(BUCKET, "Site", "AWS::SNS::Topic", &named),
            "[Site] is AWS::S3::Bucket in the template, and AWS::SNS::Topic in ResourcesToImport.",
        ),
        (
            import(&gone, "Site", bucket, &named),
            "Following resources to import [Site] must have DeletionPolicy attribute specified in the template.",
        ),
        (
            import(BUCKET, "Site", bucket, &json!({})),
            "must have exactly one property",
        ),
    ] {
        let error = account.call("CreateChangeSet", request).await.unwrap_err();
        assert!(error.message.contains(expected), "{}", error.message);
    }
    let more = BUCKET.replace("Outputs:", "  Topic: {Type: AWS::SNS::Topic}\nOutputs:");
    let request = import(&more, "Site", bucket, &named);
    account.call("CreateChangeSet", request).await.unwrap();
    let change_set = account.proposed("app", "import").await;
    assert_eq!(change_set["Status"], "FAILED");
    let reason = change_set["StatusReason"].as_str().unwrap();
    assert!(reason.contains("[Topic]"), "{reason}");
}
