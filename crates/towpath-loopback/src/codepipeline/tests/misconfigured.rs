//! Pipelines that cannot work, and how the failure reads.

use serde_json::{Value, json};

use super::scene::{CONNECTION, Scene, lambda, pipeline, simple, source_stage};

fn changed(name: &str, path: &str, value: Value) -> Value {
    let mut document = simple(name);
    *document.pointer_mut(path).expect("the path exists") = value;
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_cannot_begin_says_why() {
    let scene = Scene::new().await;
    scene.role(
        "no-invoke",
        "codepipeline.amazonaws.com",
        &["s3:*", "codeconnections:*"],
    );
    scene.role(
        "no-connection",
        "codepipeline.amazonaws.com",
        &["s3:*", "lambda:*"],
    );
    scene.role(
        "no-upload",
        "codepipeline.amazonaws.com",
        &["codestar-connections:UseConnection"],
    );
    let role = |name: &str| json!(format!("arn:aws:iam::000000000000:role/{name}"));
    let function = "/stages/1/actions/0/configuration/FunctionName";
    for (name, document, action, code, text) in [
        (
            "no-function",
            changed("no-function", function, json!("nobody")),
            "Build",
            "ConfigurationError",
            "The AWS Lambda function nobody could not be invoked: Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody (ResourceNotFoundException); there is no such function here: ",
        ),
        (
            "no-permission",
            changed("no-permission", "/roleArn", role("no-invoke")),
            "Build",
            "PermissionError",
            "is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:000000000000:function:recorder",
        ),
        (
            "no-source",
            changed(
                "no-source",
                "/stages/0/actions/0/configuration/BranchName",
                json!("develop"),
            ),
            "Checkout",
            "ConfigurationError",
            "no source tree has been handed over for repository `team/hello`, branch `develop` (there is `team/hello` branch `main`); put a zip archive of it to /_towpath/sources/",
        ),
        (
            "no-connection",
            changed("no-connection", "/roleArn", role("no-connection")),
            "Checkout",
            "PermissionError",
            &format!(
                "[Connections] Unable to use Connection: {CONNECTION}. The provided role does not have sufficient permissions."
            ),
        ),
        (
            "no-upload",
            changed("no-upload", "/roleArn", role("no-upload")),
            "Checkout",
            "PermissionError",
            "Upload to S3 bucket artifacts failed with the following error: User: ",
        ),
        (
            "no-bucket",
            changed("no-bucket", "/artifactStore/location", json!("nowhere")),
            "Checkout",
            "ConfigurationError",
            "Upload to S3 bucket nowhere failed with the following error: ",
        ),
    ] {
        scene.start(document).await;
        let (found, message) = scene.failure(name, action).await;
        assert_eq!(found, code, "{name}: {message}");
        assert!(message.contains(text), "{name}: {message}");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_is_wrong_is_not_created() {
    let scene = Scene::new().await;
    scene.role("stranger", "lambda.amazonaws.com", &["*"]);
    let parameters = "/stages/1/actions/0/configuration";
    for (case, document, code, text) in [
        (
            "a role that does not exist",
            changed(
                "wrong",
                "/roleArn",
                json!("arn:aws:iam::000000000000:role/nobody"),
            ),
            "InvalidStructureException",
            "CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::000000000000:role/nobody",
        ),
        (
            "a role for another service",
            changed(
                "wrong",
                "/roleArn",
                json!("arn:aws:iam::000000000000:role/stranger"),
            ),
            "InvalidStructureException",
            "CodePipeline is not authorized to perform AssumeRole",
        ),
        (
            "parameters over 1,000 characters",
            changed(
                "wrong",
                parameters,
                json!({"FunctionName": "recorder", "UserParameters": "x".repeat(1001)}),
            ),
            "ValidationException",
            "Member must have length less than or equal to 1000",
        ),
        (
            "an unknown provider",
            changed(
                "wrong",
                "/stages/1/actions/0/actionTypeId/provider",
                json!("Lamda"),
            ),
            "InvalidActionDeclarationException",
            "ActionType (Category: 'Invoke', Provider: 'Lamda', Owner: 'AWS', Version: '1') in action 'Build' is not available in region 'US_EAST_1'",
        ),
        (
            "an empty stage",
            changed("wrong", "/stages/1/actions", json!([])),
            "InvalidStageDeclarationException",
            "(stage `Work`)",
        ),
        (
            "nothing",
            Value::Null,
            "ValidationException",
            "Value null at 'pipeline'",
        ),
    ] {
        let error = scene
            .try_call("CreatePipeline", json!({"pipeline": document}))
            .await
            .expect_err(case);
        assert_eq!(error.code, code, "{case}: {error}");
        assert!(error.message.contains(text), "{case}: {error}");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_no_archive_is_refused() {
    let scene = Scene::new().await;
    let empty = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    for (zip, text) in [
        (b"hello".to_vec(), "it is not a zip archive"),
        (empty, "the archive is empty"),
    ] {
        let error = scene
            .world
            .codepipeline
            .register_source(&scene.world, "team/hello", "main", "r", "m", zip.into())
            .await
            .expect_err(text);
        assert!(
            error
                .message
                .starts_with("the source of repository `team/hello`, branch `main`, is refused: "),
            "{error}"
        );
        assert!(error.message.contains(text), "{error}");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_a_source_too() {
    let scene = Scene::new().await;
    scene.world.s3.create_bucket("sources").expect("a bucket");
    scene
        .world
        .s3
        .put("sources", "app.zip", "PK".into())
        .await
        .expect("an object");
    let source = |key: &str| {
        json!({"name": "Source", "actions": [{
            "name": "Object",
            "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
            "configuration": {"S3Bucket": "sources", "S3ObjectKey": key},
            "outputArtifacts": [{"name": "SourceOutput"}],
            "namespace": "Object",
        }]})
    };
    let work =
        json!({"name": "Work", "actions": [lambda("Build", Some("key=#{Object.ObjectKey}"))]});
    scene
        .start(pipeline("found", &[source("app.zip"), work.clone()]))
        .await;
    let event = scene.event("Build", 1).await;
    let configuration = &event["CodePipeline.job"]["data"]["actionConfiguration"]["configuration"];
    assert_eq!(configuration["UserParameters"], "key=app.zip");

    scene
        .start(pipeline("missing", &[source("gone.zip"), work]))
        .await;
    let (code, message) = scene.failure("missing", "Object").await;
    assert_eq!(code, "ConfigurationError");
    assert!(
        message.contains("The object with key 'gone.zip' could not be read from bucket 'sources'"),
        "{message}"
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_of_another_role_is_reached_through_the_pipelines() {
    let scene = Scene::new().await;
    let document = |name: &str| {
        let mut build = lambda("Build", None);
        build["roleArn"] = json!("arn:aws:iam::000000000000:role/action");
        pipeline(
            name,
            &[source_stage(), json!({"name": "Work", "actions": [build]})],
        )
    };
    scene.start(document("no-role")).await;
    let (code, message) = scene.failure("no-role", "Build").await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        (
            "PermissionError",
            "CodePipeline is not authorized to perform AssumeRole on role arn:aws:iam::000000000000:role/action"
        )
    );
    scene.world.identity.put_role(
        "action",
        crate::identity::RoleDefinition {
            arn: "arn:aws:iam::000000000000:role/action".into(),
            trust: json!({"Statement": [{
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::000000000000:role/pipeline"},
                "Action": "sts:AssumeRole",
            }]}),
            policies: vec![
                json!({"Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}]}),
            ],
        },
    );
    scene.start(document("own-role")).await;
    // The first job is that of the other pipeline.
    scene.event("Build", 2).await;
    scene.end().await;
}
