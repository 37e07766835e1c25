//! What a world is made of before its first pipeline: buckets, roles and functions, by CloudFormation.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Where pipelines keep their artifacts.
pub(crate) const ARTIFACTS: &str = "artifacts";
/// Where test-and-package puts a template's code.
pub(crate) const RELEASE: &str = "release";
/// Where the functions' own code lies.
pub(crate) const PACKAGES: &str = "packages";
/// The role of every pipeline.
pub(crate) const PIPELINE_ROLE: &str = "arn:aws:iam::000000000000:role/pipeline";

/// A function: its name, and the script that is its bootstrap.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) bootstrap: String,
    pub(crate) timeout_seconds: u32,
}

impl Function {
    /// Its package for Lambda.
    pub(crate) fn package(&self) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file("bootstrap", options)
            .expect("a name of a file");
        zip.write_all(self.bootstrap.as_bytes())
            .expect("memory takes all");
        zip.finish().expect("memory takes all").into_inner()
    }

    /// Where its package lies in the bucket of packages.
    pub(crate) fn key(&self) -> String {
        format!("{}.zip", self.name)
    }
}

/// The template. A function's role may report, and do what the suite's functions do beside the job itself; it may
/// not touch the artifact bucket, because that is what the job's credentials are for.
pub(crate) fn template(functions: &[Function], allowed: &[(Vec<String>, String)]) -> Value {
    let mut resources = json!({
        "Artifacts": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": ARTIFACTS,
                "VersioningConfiguration": {"Status": "Enabled"},
            },
        },
        "Release": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": RELEASE}},
        "FunctionRole": role("function", "lambda", &json!([
            allow(&["codepipeline:PutJobSuccessResult", "codepipeline:PutJobFailureResult"], "*"),
            allow(&["cloudformation:*", "cloudwatch:DescribeAlarms"], "*"),
            allow(&["iam:PassRole"], "arn:aws:iam::000000000000:role/deployment"),
            allow(&["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::release/*"),
        ])),
        "DeploymentRole": role("deployment", "cloudformation", &json!([allow(&["*"], "*")])),
        "PipelineRole": role("pipeline", "codepipeline", &json!([
            allow(&["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], "arn:aws:s3:::artifacts/*"),
            allow(&["s3:GetBucketVersioning", "s3:ListBucket"], "arn:aws:s3:::artifacts"),
            allow(&["lambda:InvokeFunction", "codestar-connections:UseConnection"], "*"),
        ])),
    });
    let statements =
        &mut resources["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    for (actions, resource) in allowed {
        let statement = json!({"Effect": "Allow", "Action": actions, "Resource": resource});
        statements.as_array_mut().expect("a list").push(statement);
    }
    for (number, function) in functions.iter().enumerate() {
        resources[format!("Function{number}")] = json!({
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": function.name,
                "Runtime": "provided.al2023",
                "Handler": "bootstrap",
                "Code": {"S3Bucket": PACKAGES, "S3Key": function.key()},
                "Role": {"Fn::GetAtt": ["FunctionRole", "Arn"]},
                "Timeout": function.timeout_seconds,
                "Environment": {"Variables": {"RELEASE_BUCKET": RELEASE}},
            },
        });
        resources[format!("Rules{number}")] = json!({
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": format!("Function{number}")},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 0,
            },
        });
    }
    json!({ "Resources": resources })
}

fn role(name: &str, service: &str, statements: &Value) -> Value {
    json!({
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": name,
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": {"Service": format!("{service}.amazonaws.com")},
                    "Action": "sts:AssumeRole",
                }],
            },
            "Policies": [{
                "PolicyName": name,
                "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
            }],
        },
    })
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}
