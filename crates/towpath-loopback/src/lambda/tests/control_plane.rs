//! What the control plane answers, above all when it refuses.

use serde_json::{Value, json};

use super::Fixture;

#[tokio::test]
async fn the_control_plane_answers_in_lambda_s_words() {
    let fixture = Fixture::new();
    let files = &[("bootstrap", "#!/bin/sh\n")];
    fixture
        .function(
            "app",
            "provided.al2023",
            "x",
            files,
            json!({ "Tags": { "team": "a" } }),
        )
        .await;
    for (operation, input, code, status, expected) in [
        (
            "GetFunction",
            json!({ "FunctionName": "nobody" }),
            "ResourceNotFoundException",
            404,
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody",
        ),
        (
            "Invoke",
            json!({ "FunctionName": "app:9" }),
            "ResourceNotFoundException",
            404,
            "function:app:9",
        ),
        (
            "Invoke",
            json!({ "FunctionName": "app", "Payload": "{" }),
            "InvalidRequestContentException",
            400,
            "Could not parse request body into json",
        ),
        (
            "CreateFunction",
            json!({ "FunctionName": "app", "Runtime": "provided.al2023", "Handler": "x", "Role": "role" }),
            "ResourceConflictException",
            409,
            "Function already exist: app",
        ),
        (
            "CreateFunction",
            json!({ "FunctionName": "b", "Runtime": "provided.al2023", "Handler": "x", "Role": "nobody", "Code": { "ZipFile": "" } }),
            "InvalidParameterValueException",
            400,
            "The role defined for the function cannot be assumed by Lambda.",
        ),
        (
            "CreateFunction",
            json!({ "FunctionName": "b", "Runtime": "provided.al2023", "Handler": "x", "Role": "role", "Code": { "ZipFile": "bm8gemlw" } }),
            "InvalidParameterValueException",
            400,
            "Could not unzip uploaded file.",
        ),
        (
            "CreateFunction",
            json!({ "FunctionName": "b", "Runtime": "provided.al2023", "Handler": "x", "Role": "role", "Code": { "S3Bucket": "none", "S3Key": "k" } }),
            "InvalidParameterValueException",
            400,
            "Error occurred while GetObject.",
        ),
        (
            "CreateFunction",
            json!({ "FunctionName": "b", "Runtime": "provided.al2023", "Handler": "x", "Role": "role", "Code": {} }),
            "InvalidParameterValueException",
            400,
            "Please provide a source for function code",
        ),
        (
            "UpdateFunctionCode",
            json!({ "FunctionName": "app", "ImageUri": "x" }),
            "InvalidParameterValueException",
            400,
            "Please don't provide ImageUri",
        ),
        (
            "UpdateFunctionConfiguration",
            json!({ "FunctionName": "app", "RevisionId": "old" }),
            "PreconditionFailedException",
            412,
            "The Revision Id provided does not match",
        ),
        (
            "GetPolicy",
            json!({ "FunctionName": "app" }),
            "ResourceNotFoundException",
            404,
            "The resource you requested does not exist.",
        ),
        (
            "GetAlias",
            json!({ "FunctionName": "app", "Name": "live" }),
            "ResourceNotFoundException",
            404,
            "Cannot find alias arn: arn:aws:lambda:us-east-1:000000000000:function:app:live",
        ),
        (
            "CreateAlias",
            json!({ "FunctionName": "app", "Name": "live", "FunctionVersion": "1" }),
            "ResourceNotFoundException",
            404,
            "function:app:1",
        ),
        (
            "DeleteFunction",
            json!({ "FunctionName": "app", "Qualifier": "$LATEST" }),
            "InvalidParameterValueException",
            400,
            "$LATEST version cannot be deleted",
        ),
        (
            "GetFunctionEventInvokeConfig",
            json!({ "FunctionName": "app" }),
            "ResourceNotFoundException",
            404,
            "doesn't have an EventInvokeConfig",
        ),
        (
            "CreateFunctionUrlConfig",
            json!({ "FunctionName": "app" }),
            "UnknownOperationException",
            400,
            "lambda:CreateFunctionUrlConfig",
        ),
    ] {
        let error = fixture.call(operation, input.clone()).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.status),
            (code, status),
            "{operation} {input}: {error}"
        );
        assert!(
            error.message.contains(expected),
            "{operation} {input}: {error}"
        );
    }
    let shown = fixture
        .call("GetFunction", json!({ "FunctionName": "app" }))
        .await
        .unwrap();
    assert_eq!(shown["Tags"], json!({ "team": "a" }));
    assert_eq!(shown["Configuration"]["State"], "Active");
    let version = fixture
        .call("PublishVersion", json!({ "FunctionName": "app" }))
        .await
        .unwrap();
    assert_eq!(
        version["FunctionArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:app:1"
    );
    let alias = fixture
        .call(
            "CreateAlias",
            json!({ "FunctionName": "app", "Name": "live", "FunctionVersion": "1" }),
        )
        .await
        .unwrap();
    assert_eq!(
        alias["AliasArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:app:live"
    );
    let error = fixture
        .call("DeleteFunction", json!({ "FunctionName": "app:1" }))
        .await
        .unwrap_err();
    assert_eq!(error.code, "ResourceConflictException");
    fixture.close().await;
}

#[tokio::test]
async fn a_permission_is_added_shown_asked_and_removed() {
    let fixture = Fixture::new();
    fixture
        .function(
            "app",
            "provided.al2023",
            "x",
            &[("bootstrap", "#!/bin/sh\n")],
            json!({}),
        )
        .await;
    let source = "arn:aws:execute-api:us-east-1:000000000000:api/prod/GET/";
    let permits = |function: &str| {
        fixture
            .world
            .lambda
            .permits(&fixture.world, function, "apigateway.amazonaws.com", source)
    };
    assert!(!permits("app"));
    let add = json!({ "FunctionName": "app", "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com", "SourceArn": "arn:aws:execute-api:us-east-1:000000000000:api/*" });
    fixture.call("AddPermission", add.clone()).await.unwrap();
    let again = fixture.call("AddPermission", add).await.unwrap_err();
    assert_eq!(
        (again.code.as_str(), again.status),
        ("ResourceConflictException", 409)
    );
    assert!(permits("app") && permits("arn:aws:lambda:us-east-1:000000000000:function:app"));
    assert!(
        !permits("app:live"),
        "a permission on the function is none on an alias"
    );
    let policy = fixture
        .call("GetPolicy", json!({ "FunctionName": "app" }))
        .await
        .unwrap();
    let policy: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(
        policy["Statement"][0]["Principal"],
        json!({ "Service": "apigateway.amazonaws.com" })
    );
    fixture
        .call(
            "RemovePermission",
            json!({ "FunctionName": "app", "StatementId": "s" }),
        )
        .await
        .unwrap();
    assert!(!permits("app"));
    fixture.close().await;
}
