//! Worlds and clients that nobody here wrote.
//!
//! What we build is right when it holds against what others build: the functions run against **ministack** and **moto**
//! instead of our own loopback, and the loopback is driven by **boto3** and the **AWS CLI** instead of our own SDK.
//! These come from Python; without them the tests of this file have nothing to do and say so, unless
//! `TOWPATH_TEST_PYTHON` names an interpreter that is to have them.

#[path = "third_party/cli.rs"]
mod cli;
#[path = "third_party/copies.rs"]
mod copies;
#[path = "third_party/definition.rs"]
mod definition;
#[path = "third_party/ministack.rs"]
mod ministack;
#[path = "third_party/python.rs"]
mod python;
#[path = "third_party/reuse.rs"]
mod reuse;
#[path = "third_party/scene.rs"]
mod scene;
#[path = "third_party/server.rs"]
mod server;
#[path = "third_party/stacks.rs"]
mod stacks;

use aws_credential_types::Credentials;
use aws_sdk_cloudformation::types::ResourceSignalStatus;
use serde_json::{Value, json};
use towpath_artifact::Encryption;
use towpath_loopback::{Loopback, Settings};
use towpath_template::Template;

use crate::cli::Cli;
use crate::definition::{KEY, RELEASE, approval, lambda, stage};
use crate::ministack::Ministack;
use crate::python::Python;
use crate::scene::Scene;

/// The modules of a world that deploys templates with AWS's own translation of them.
const WORLD: &[&str] = &["boto3", "ministack", "samtranslator"];

/// A project that needs no network: its only dependency lies beside it.
const PROJECT: &[(&str, &str)] = &[
    (
        "package.json",
        r#"{"name": "greeter", "version": "1.0.0", "private": true,
            "dependencies": {"greet": "file:vendor/greet"},
            "scripts": {"test": "node test.js", "package": "node package.js"}}"#,
    ),
    (
        "package-lock.json",
        r#"{"name": "greeter", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
            "": {"name": "greeter", "version": "1.0.0", "dependencies": {"greet": "file:vendor/greet"}},
            "node_modules/greet": {"resolved": "vendor/greet", "link": true},
            "vendor/greet": {"version": "2.0.0"}}}"#,
    ),
    (
        "vendor/greet/package.json",
        r#"{"name": "greet", "version": "2.0.0", "main": "greet.js"}"#,
    ),
    (
        "vendor/greet/greet.js",
        "module.exports = (name) => `hello, ${name}`;\n",
    ),
    (
        "index.js",
        "const greet = require('greet');\n\
         exports.handler = async () => ({ greeting: greet(process.env.STAGE) });\n",
    ),
    (
        "test.js",
        "require('node:assert').equal(require('greet')('you'), 'hello, you');\n",
    ),
    (
        "package.js",
        "const fs = require('node:fs');\n\
         fs.mkdirSync('dist');\n\
         fs.copyFileSync('index.js', 'dist/index.js');\n\
         fs.cpSync('node_modules/greet', 'dist/node_modules/greet', { recursive: true, dereference: true });\n",
    ),
    ("template.yaml", TEMPLATE),
];

/// `Gate` is what takes time: it is made when the test signals it, and not before.
const TEMPLATE: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage:
    Type: String
Resources:
  Greeter:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: dist/
      Handler: index.handler
      Runtime: nodejs22.x
      Environment:
        Variables:
          STAGE: !Ref Stage
      Events:
        Hello:
          Type: HttpApi
          Properties:
            Path: /hello
            Method: get
  Gate:
    Type: AWS::CloudFormation::WaitCondition
    CreationPolicy:
      ResourceSignal:
        Count: 1
        Timeout: PT2M
Outputs:
  Function:
    Value: !Ref Greeter
"#;

fn deploy(name: &str, stage: &str, outputs: &[&str]) -> Value {
    let parameters = format!(
        "action=deploy&stack=greeter&template=Package::template.yaml&Param.Stage={stage}\
         &capabilities=CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND&timeout=10m"
    );
    lambda(name, "deploy-stack", &parameters, (&["Package"], outputs))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_functions_build_deploy_and_delete_in_a_world_nobody_here_wrote() {
    let Some(python) = Python::with(WORLD) else {
        return;
    };
    let stages = [
        stage(
            "Commit",
            vec![
                lambda(
                    "Install",
                    "install-deps",
                    "timeout=5m",
                    (&["Source"], &["Deps"]),
                ),
                lambda(
                    "Package",
                    "test-and-package",
                    "task=test,package&template=template.yaml&timeout=5m",
                    (&["Source", "Deps"], &["Package"]),
                ),
            ],
        ),
        stage(
            "Deploy",
            vec![
                deploy("Create", "first", &["Stack"]),
                deploy("Repeat", "first", &[]),
                approval("First"),
                deploy("Update", "second", &[]),
                approval("Second"),
                lambda(
                    "Delete",
                    "deploy-stack",
                    "action=delete&stack=greeter&timeout=10m",
                    (&[], &[]),
                ),
            ],
        ),
    ];
    let scene = Scene::start(&python, PROJECT, &stages).await;
    let release = scene.release().await;

    // Dependencies, as npm lays them out: the link is still one.
    let (bucket, key) = release.artifact("Install", "Deps").await;
    let (mut dependencies, encrypted) = scene.archive(&bucket, &key).await;
    assert_eq!(
        dependencies.link("node_modules/greet").as_deref(),
        Some("../vendor/greet"),
        "{:?}",
        dependencies.names()
    );
    assert_eq!(encrypted.as_deref(), Some(KEY));

    // The template says where its code is now, and there it is.
    let (bucket, key) = release.artifact("Package", "Package").await;
    let (mut package, encrypted) = scene.archive(&bucket, &key).await;
    assert_eq!(encrypted.as_deref(), Some(KEY));
    let template = Template::parse(&package.text("template.yaml")).expect("a template");
    let code = &template.value()["Resources"]["Greeter"]["Properties"]["CodeUri"];
    let code = code
        .as_str()
        .and_then(|address| address.strip_prefix(&format!("s3://{RELEASE}/")))
        .unwrap_or_else(|| panic!("its code is at {code}"));
    let (mut code, _) = scene.archive(RELEASE, code).await;
    assert!(code.text("node_modules/greet/greet.js").contains("hello"));

    // The creation lasts until the gate is signalled, far longer than one step of the action.
    let progress = release.continued("Create").await;
    assert!(progress.contains("stack `greeter`"), "{progress}");
    scene.signal("greeter", ResourceSignalStatus::Success).await;
    let (summary, variables) = release.succeeded("Create").await;
    assert!(
        summary.starts_with("stack `greeter` is CREATE_COMPLETE"),
        "{summary}"
    );
    assert_eq!(variables["Changed"], "true");
    let function = variables["Function"].clone();
    let (bucket, key) = release.artifact("Create", "Stack").await;
    let (mut outputs, _) = scene.archive(&bucket, &key).await;
    let outputs: Value = serde_json::from_str(&outputs.text("outputs.json")).expect("JSON");
    assert_eq!(outputs, json!({"Function": function}));

    let (summary, variables) = release.succeeded("Repeat").await;
    assert_eq!(summary, "stack `greeter` is up to date");
    assert_eq!(variables["Changed"], "false");
    assert_eq!(variables["Function"], function);

    // What was built here runs there.
    let answer = scene.ministack.invoke(&function).await;
    assert_eq!(answer, json!({"greeting": "hello, first"}));
    release.approve("Deploy", "First").await;
    let (summary, variables) = release.succeeded("Update").await;
    assert!(
        summary.starts_with("stack `greeter` is UPDATE_COMPLETE"),
        "{summary}"
    );
    assert_eq!(variables["Changed"], "true");
    let answer = scene.ministack.invoke(&function).await;
    assert_eq!(answer, json!({"greeting": "hello, second"}));

    release.approve("Deploy", "Second").await;
    let (summary, _) = release.succeeded("Delete").await;
    assert_eq!(summary, "stack `greeter` is deleted");
    let gone = scene
        .cloudformation()
        .describe_stacks()
        .stack_name("greeter")
        .send()
        .await
        .expect_err("it is gone");
    assert!(format!("{gone:?}").contains("does not exist"), "{gone:?}");

    let here = scene.objects_on_the_loopback().await;
    assert!(
        here.len() == 1 && here[0].contains("/Source/"),
        "nothing but the source was ever on the loopback: {here:?}"
    );
    drop(release);
    scene.end().await;
}

/// A stack that fails when its gate is told to.
const GATED: &[(&str, &str)] = &[(
    "template.yaml",
    r"Resources:
  Value:
    Type: AWS::SSM::Parameter
    Properties: {Name: /gated/value, Type: String, Value: one}
  Gate:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: Value
    CreationPolicy: {ResourceSignal: {Count: 1, Timeout: PT2M}}
Outputs:
  Name:
    Value: !Ref Value
",
)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_that_fails_there_is_told_of_and_mended_by_the_next_run() {
    let Some(python) = Python::with(WORLD) else {
        return;
    };
    let action = lambda(
        "Create",
        "deploy-stack",
        "action=deploy&stack=gated&template=Source::template.yaml&timeout=10m",
        (&["Source"], &[]),
    );
    let scene = Scene::start(&python, GATED, &[stage("Deploy", vec![action])]).await;

    let release = scene.release().await;
    release.continued("Create").await;
    scene.signal("gated", ResourceSignalStatus::Failure).await;
    let failure = release.ended("Create").await.failure();
    for words in ["gated", "Gate", "WaitCondition received failed message"] {
        assert!(failure.contains(words), "{words}: {failure}");
    }

    let release = scene.release().await;
    scene.signal("gated", ResourceSignalStatus::Success).await;
    let (summary, variables) = release.succeeded("Create").await;
    assert!(
        summary.starts_with("stack `gated` is CREATE_COMPLETE"),
        "{summary}"
    );
    assert_eq!(variables["Name"], "/gated/value");
    drop(release);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_finds_every_answer_as_its_models_have_it() {
    let Some(python) = Python::with(&["boto3"]) else {
        return;
    };
    let state = tempfile::tempdir().expect("a directory");
    let settings = Settings::new(state.path().join("state"));
    let loopback = Loopback::start(settings).await.expect("it starts");
    let told = python.script("drive.py", &loopback, state.path()).await;
    let parts = "objects stacks pipelines identities logs others";
    assert!(
        told.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .starts_with(parts),
        "{told}"
    );
    loopback.shutdown().await;
}

/// A bucket, and a pipeline that asks before it ends.
const RELEASE_TEMPLATE: &str = r#"Parameters:
  Question: {Type: String}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {BucketName: releases, VersioningConfiguration: {Status: Enabled}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: codepipeline.amazonaws.com}, Action: "sts:AssumeRole"}]
      Policies:
        - PolicyName: own
          PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}
  Pipeline:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      Name: release
      RoleArn: !GetAtt Role.Arn
      ArtifactStore: {Type: S3, Location: !Ref Bucket}
      Stages:
        - Name: Source
          Actions:
            - Name: Fetch
              ActionTypeId: {Category: Source, Owner: AWS, Provider: S3, Version: "1"}
              Configuration: {S3Bucket: !Ref Bucket, S3ObjectKey: source.zip, PollForSourceChanges: "false"}
              OutputArtifacts: [{Name: Tree}]
        - Name: Approve
          Actions:
            - Name: Gate
              ActionTypeId: {Category: Approval, Owner: AWS, Provider: Manual, Version: "1"}
              Configuration: {CustomData: !Ref Question}
Outputs:
  Name: {Value: !Ref Pipeline}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_aws_cli_copies_files_back_and_forth() {
    let Some(cli) = Cli::start().await else {
        return;
    };
    let small = cli.write("small.txt", b"content");
    // Above eight megabytes it is copied in parts.
    let content = b"0123456789abcdef".repeat(9 << 16);
    let large = cli.write("large.bin", &content);
    cli.aws("s3 mb s3://files").await;
    cli.aws(&format!("s3 cp {small} s3://files/a/small.txt"))
        .await;
    cli.aws(&format!("s3 cp {large} s3://files/ --sse aws:kms"))
        .await;
    assert_eq!(cli.aws("s3 cp s3://files/a/small.txt -").await, "content");
    let back = cli.path("back");
    cli.aws(&format!("s3 sync s3://files {back}")).await;
    let returned = std::fs::read(format!("{back}/large.bin")).expect("it is back");
    assert!(returned == content, "what came back is something else");
    assert_eq!(
        cli.aws(&format!("s3 sync {back} s3://files --size-only"))
            .await,
        "",
        "nothing is left to do"
    );
    let listed = cli.aws("s3 ls s3://files --recursive").await;
    let keys: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        .collect();
    assert_eq!(keys, ["a/small.txt", "large.bin"]);
    cli.aws("s3 rb s3://files --force").await;
    let (_, error) = cli.refused("s3 ls s3://files").await;
    assert!(error.contains("NoSuchBucket"), "{error}");
    cli.loopback.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_aws_cli_deploys_a_pipeline_and_answers_its_question() {
    let Some(cli) = Cli::start().await else {
        return;
    };
    let template = cli.write("template.yaml", RELEASE_TEMPLATE.as_bytes());
    let deploy = format!(
        "cloudformation deploy --stack-name release --template-file {template} --capabilities CAPABILITY_IAM \
         --parameter-overrides Question=Now?"
    );

    // Without the capability it is refused, with it it is done, and then there is nothing left to do.
    let (_, error) = cli
        .refused(&deploy.replace(" --capabilities CAPABILITY_IAM", ""))
        .await;
    assert!(error.contains("InsufficientCapabilities"), "{error}");
    let told = cli.aws(&deploy).await;
    assert!(
        told.contains("Successfully created/updated stack - release"),
        "{told}"
    );
    let nothing = "No changes to deploy. Stack release is up to date";
    let told = cli
        .aws(&format!("{deploy} --no-fail-on-empty-changeset"))
        .await;
    assert!(told.contains(nothing), "{told}");
    // The CLI names its change sets by the second, so that two in one second are refused, by AWS as well.
    let (code, error) = loop {
        let said = cli
            .refused(&format!("{deploy} --fail-on-empty-changeset"))
            .await;
        if !said.1.contains("AlreadyExistsException") {
            break said;
        }
    };
    assert!(
        code == Some(255) && error.contains(nothing),
        "{code:?}: {error}"
    );
    let described = cli
        .aws(
            "cloudformation describe-stacks --stack-name release --output text \
             --query Stacks[0].[StackStatus,Outputs[0].OutputValue]",
        )
        .await;
    assert_eq!(described.trim(), "CREATE_COMPLETE\trelease");

    // The end of a zip archive is a whole one, with nothing in it.
    let source = cli.write(
        "source.zip",
        b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    );
    cli.aws(&format!("s3 cp {source} s3://releases/source.zip"))
        .await;
    let started = cli
        .aws("codepipeline start-pipeline-execution --name release --output text")
        .await;
    let approval = cli
        .state("the question", |state| {
            let gate = &state["stageStates"][1]["actionStates"][0]["latestExecution"];
            gate["token"].as_str().map(str::to_owned)
        })
        .await;
    let answer = cli
        .aws(&format!(
            "codepipeline put-approval-result --pipeline-name release --stage-name Approve --action-name Gate \
             --result summary=well,status=Approved --token {approval}"
        ))
        .await;
    assert!(answer.contains("approvedAt"), "{answer}");
    let execution = cli
        .state("the end", |state| {
            let last = &state["stageStates"][1]["latestExecution"];
            (last["status"] == "Succeeded").then(|| last["pipelineExecutionId"].clone())
        })
        .await;
    assert_eq!(execution, started.trim());

    cli.aws("s3 rm s3://releases --recursive").await;
    let (_, error) = cli
        .refused("codepipeline get-pipeline-state --name another")
        .await;
    assert!(error.contains("PipelineNotFoundException"), "{error}");
    cli.loopback.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unchanged_is_copied_in_a_store_nobody_here_wrote() {
    let Some(python) = Python::with(WORLD) else {
        return;
    };
    let ministack = Ministack::start(&python).await;
    let client = towpath_aws::s3(&ministack.config());
    reuse::is_the_same_as_packed_anew(client.clone(), &Encryption::Bucket).await;
    copies::are_the_same(client, &Encryption::Bucket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unchanged_is_copied_on_the_loopback() {
    let state = tempfile::tempdir().expect("a directory");
    let loopback = Loopback::start(Settings::new(state.path().join("state"))).await;
    let loopback = loopback.expect("it starts");
    let (id, secret) = loopback.root_credentials();
    let root = Credentials::new(id, secret, None, None, "test");
    let config = towpath_aws::fixed(loopback.endpoint(), "us-east-1", root);
    let client = towpath_aws::s3(&config);
    reuse::is_the_same_as_packed_anew(client.clone(), &Encryption::Kms).await;
    copies::are_the_same(client, &Encryption::Kms).await;
    loopback.shutdown().await;
}
