//! What is deployed into the loopback: the functions, with the two worlds in their environment, and the pipeline.

use std::io::{Cursor, Write as _};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// In both worlds, since a job names a bucket and not a world.
pub(crate) const ARTIFACTS: &str = "artifacts";
/// Of ministack: the packaged code.
pub(crate) const RELEASE: &str = "release";
/// Of the loopback: the functions' packages and the source.
pub(crate) const CODE: &str = "code";
pub(crate) const PIPELINE: &str = "third-party";
/// ministack refuses SSE-KMS without a key, where AWS takes the account's own; so the pipeline names one, as ours does.
pub(crate) const KEY: &str =
    "arn:aws:kms:us-east-1:000000000000:key/00000000-1111-2222-3333-444444444444";

/// The functions that work in ministack.
pub(crate) const FUNCTIONS: [&str; 3] = ["install-deps", "test-and-package", "deploy-stack"];

/// A function's package: this workspace's own program.
pub(crate) fn package(name: &str) -> Vec<u8> {
    let program = env!("CARGO_BIN_EXE_towpath-under-test");
    let bootstrap = format!("#!/bin/sh\nexec '{program}' function {name}\n");
    zipped(&[("bootstrap", &bootstrap)], 0o755)
}

/// An archive of files with that mode.
pub(crate) fn zipped(files: &[(&str, &str)], mode: u32) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(mode);
    for (name, content) in files {
        zip.start_file(*name, options).expect("an entry");
        zip.write_all(content.as_bytes()).expect("content");
    }
    zip.finish().expect("an archive").into_inner()
}

/// An action of one of the functions.
pub(crate) fn lambda(
    name: &str,
    function: &str,
    parameters: &str,
    (inputs, outputs): (&[&str], &[&str]),
) -> Value {
    let named =
        |names: &[&str]| -> Vec<Value> { names.iter().map(|name| json!({"Name": name})).collect() };
    json!({
        "Name": name,
        "ActionTypeId": {"Category": "Invoke", "Owner": "AWS", "Provider": "Lambda", "Version": "1"},
        "Configuration": {"FunctionName": function, "UserParameters": parameters},
        "InputArtifacts": named(inputs),
        "OutputArtifacts": named(outputs),
    })
}

/// A stage with one action after the other.
pub(crate) fn stage(name: &str, mut actions: Vec<Value>) -> Value {
    for (order, action) in (1..).zip(&mut actions) {
        action["RunOrder"] = json!(order);
    }
    json!({"Name": name, "Actions": actions})
}

/// An action that waits for [`Execution::approve`].
pub(crate) fn approval(name: &str) -> Value {
    json!({
        "Name": name,
        "ActionTypeId": {"Category": "Approval", "Owner": "AWS", "Provider": "Manual", "Version": "1"},
    })
}

/// What the loopback's CloudFormation makes: roles, functions, the pipeline. The two worlds are given by endpoint.
pub(crate) fn template(loopback: &str, ministack: &str, stages: &[Value]) -> Value {
    let source = json!({
        "Name": "Source",
        "ActionTypeId": {"Category": "Source", "Owner": "AWS", "Provider": "S3", "Version": "1"},
        "Configuration": {"S3Bucket": CODE, "S3ObjectKey": "source.zip", "PollForSourceChanges": "false"},
        "OutputArtifacts": [{"Name": "Source"}],
    });
    let mut all = vec![
        stage("Source", vec![source]),
        stage("Carry", vec![approval("Over")]),
    ];
    all.extend_from_slice(stages);
    let mut resources = json!({
        "Artifacts": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": ARTIFACTS}},
        "FunctionRole": role("lambda.amazonaws.com", &[
            "codepipeline:PutJobSuccessResult", "codepipeline:PutJobFailureResult",
        ]),
        "PipelineRole": role("codepipeline.amazonaws.com", &[
            "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:ListBucket", "s3:GetBucketVersioning",
            "lambda:InvokeFunction",
        ]),
        "Pipeline": {"Type": "AWS::CodePipeline::Pipeline", "DependsOn": FUNCTIONS.map(logical), "Properties": {
            "Name": PIPELINE,
            "RoleArn": {"Fn::GetAtt": ["PipelineRole", "Arn"]},
            "ArtifactStore": {"Type": "S3", "Location": {"Ref": "Artifacts"}, "EncryptionKey": {"Type": "KMS", "Id": KEY}},
            "Stages": all,
        }},
    });
    for name in FUNCTIONS {
        resources[logical(name)] = json!({"Type": "AWS::Lambda::Function", "Properties": {
            "FunctionName": name,
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": {"Fn::GetAtt": ["FunctionRole", "Arn"]},
            "Code": {"S3Bucket": CODE, "S3Key": format!("{name}.zip")},
            "Timeout": 120,
            "MemorySize": 1024,
            "Environment": {"Variables": {
                "AWS_ENDPOINT_URL": ministack,
                "AWS_ENDPOINT_URL_CODEPIPELINE": loopback,
                "RELEASE_BUCKET": RELEASE,
                "RUST_LOG": "info",
            }},
        }});
    }
    json!({"Resources": resources})
}

/// A function's name in the template: letters and digits.
fn logical(name: &str) -> String {
    name.replace('-', "")
}

fn role(service: &str, actions: &[&str]) -> Value {
    json!({"Type": "AWS::IAM::Role", "Properties": {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"},
        ]},
        "Policies": [{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": "*"},
        ]}}],
    }})
}
