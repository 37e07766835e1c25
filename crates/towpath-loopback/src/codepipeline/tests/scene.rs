//! A world that is served, with roles, a bucket, a topic and a function that records its events.

use std::io::{Cursor, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::identity::RoleDefinition;
use crate::server::serve;
use crate::{AwsError, Caller, Settings, World};

pub(super) const CONNECTION: &str = "arn:aws:codeconnections:us-east-1:000000000000:connection/one";

/// Serves one event after the other, and leaves each in a file named by its job.
const RECORDER: &str = r#"#!/usr/bin/env python3
import json, os, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with opener.open(api + "next") as response:
        request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        event = response.read()
    path = os.path.join(os.environ["EVENTS"], json.loads(event)["CodePipeline.job"]["id"])
    with open(path + ".new", "wb") as file:
        file.write(event)
    os.rename(path + ".new", path)
    opener.open(urllib.request.Request(api + request_id + "/response", b"null")).close()
"#;

pub(super) struct Scene {
    pub(super) world: Arc<World>,
    events: PathBuf,
    _state: TempDir,
}

impl Scene {
    /// A role that may do everything a pipeline needs, a bucket, a function, a source.
    pub(super) async fn new() -> Self {
        let state = TempDir::new().expect("a temporary directory");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let settings = Settings {
            reinvocation_interval: Duration::from_millis(5),
            ..Settings::new(state.path())
        };
        let world = Arc::new(World::new(settings, port));
        tokio::spawn(serve(listener, Arc::clone(&world)));
        let events = state.path().join("events");
        std::fs::create_dir(&events).expect("a directory");
        let scene = Self {
            world,
            events,
            _state: state,
        };
        scene.role("pipeline", "codepipeline.amazonaws.com", &["*"]);
        scene.role("function", "lambda.amazonaws.com", &["*"]);
        scene.world.s3.create_bucket("artifacts").expect("a bucket");
        scene.function("recorder").await;
        scene.source("team/hello", "main").await;
        scene
    }

    /// A role that a service may assume, with actions that it may do anywhere.
    pub(super) fn role(&self, name: &str, service: &str, actions: &[&str]) {
        let role = RoleDefinition {
            arn: format!("arn:aws:iam::000000000000:role/{name}"),
            trust: json!({"Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": "000000000000"}},
            }]}),
            policies: vec![json!({"Statement": [
                {"Effect": "Allow", "Action": actions, "Resource": "*"},
            ]})],
        };
        let role = if service.starts_with("lambda") {
            RoleDefinition {
                trust: json!({"Statement": [{
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": "sts:AssumeRole",
                }]}),
                ..role
            }
        } else {
            role
        };
        self.world.identity.put_role(name, role);
    }

    async fn function(&self, name: &str) {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(
            "bootstrap",
            SimpleFileOptions::default().unix_permissions(0o755),
        )
        .expect("an entry");
        zip.write_all(RECORDER.as_bytes()).expect("content");
        let package = zip.finish().expect("an archive").into_inner();
        let request = json!({
            "FunctionName": name,
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": "arn:aws:iam::000000000000:role/function",
            "Code": {"ZipFile": BASE64_STANDARD.encode(package)},
            "Environment": {"Variables": {"EVENTS": self.events}},
            "Timeout": 60,
        });
        self.world
            .lambda
            .call(&self.world, &Caller::Root, "CreateFunction", request)
            .await
            .expect("the function is created");
    }

    pub(super) async fn source(&self, repository: &str, branch: &str) {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("README.md", SimpleFileOptions::default())
            .expect("an entry");
        zip.write_all(b"hello").expect("content");
        let zip = zip.finish().expect("an archive").into_inner();
        self.world
            .codepipeline
            .register_source(
                &self.world,
                repository,
                branch,
                "abc",
                "a change",
                zip.into(),
            )
            .await
            .expect("the source is taken");
    }

    pub(super) async fn try_call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.world
            .codepipeline
            .call(&self.world, &Caller::Root, operation, input)
            .await
    }

    pub(super) async fn call(&self, operation: &str, input: Value) -> Value {
        match self.try_call(operation, input).await {
            Ok(answer) => answer,
            Err(error) => panic!("{operation}: {error}"),
        }
    }

    /// Creates a pipeline and starts it.
    pub(super) async fn start(&self, pipeline: Value) -> String {
        let name = pipeline["name"].clone();
        self.call("CreatePipeline", json!({"pipeline": pipeline}))
            .await;
        let answer = self
            .call("StartPipelineExecution", json!({"name": name}))
            .await;
        answer["pipelineExecutionId"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// Every attempt at an action, the last one first.
    pub(super) async fn attempts(&self, pipeline: &str, action: &str) -> Vec<Value> {
        let answer = self
            .call("ListActionExecutions", json!({"pipelineName": pipeline}))
            .await;
        answer["actionExecutionDetails"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|detail| detail["actionName"] == action)
            .cloned()
            .collect()
    }

    /// The ids of an action's jobs.
    pub(super) fn jobs(&self, action: &str) -> Vec<String> {
        let jobs = self.world.codepipeline.jobs(None, None).expect("jobs");
        jobs.as_array()
            .into_iter()
            .flatten()
            .filter(|entry| entry["action"] == action)
            .flat_map(|entry| entry["job_ids"].as_array().cloned().unwrap_or_default())
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect()
    }

    /// The event of the `count`th job of an action, once the function has it.
    pub(super) async fn event(&self, action: &str, count: usize) -> Value {
        eventually(action, || {
            let id = self.jobs(action).get(count - 1)?.clone();
            let event = std::fs::read(self.events.join(id)).ok()?;
            serde_json::from_slice(&event).ok()
        })
        .await
    }

    /// Why an action failed, once its execution has.
    pub(super) async fn failure(&self, pipeline: &str, action: &str) -> (String, String) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            for attempt in self.attempts(pipeline, action).await {
                if attempt["status"] == "Failed" {
                    let error = &attempt["output"]["executionResult"]["errorDetails"];
                    let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
                    return (text("code"), text("message"));
                }
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "`{action}` does not fail"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn end(self) {
        self.world.stopping.cancel();
        self.world.lambda.shutdown().await;
        self.world.tasks.close();
        self.world.tasks.wait().await;
    }
}

/// What `look` finds, as soon as it finds it.
pub(super) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "`{what}` does not happen"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn source_stage() -> Value {
    json!({"name": "Source", "actions": [{
        "name": "Checkout",
        "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "CodeStarSourceConnection", "version": "1"},
        "configuration": {"ConnectionArn": CONNECTION, "FullRepositoryId": "team/hello", "BranchName": "main"},
        "outputArtifacts": [{"name": "SourceOutput"}],
        "namespace": "Source",
    }]})
}

pub(super) fn lambda(name: &str, parameters: Option<&str>) -> Value {
    let mut configuration = json!({"FunctionName": "recorder"});
    if let Some(parameters) = parameters {
        configuration["UserParameters"] = json!(parameters);
    }
    json!({
        "name": name,
        "actionTypeId": {"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"},
        "configuration": configuration,
    })
}

pub(super) fn pipeline(name: &str, stages: &[Value]) -> Value {
    json!({
        "name": name,
        "roleArn": "arn:aws:iam::000000000000:role/pipeline",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "pipelineType": "V2",
        "stages": stages,
    })
}

/// A source and one function.
pub(super) fn simple(name: &str) -> Value {
    pipeline(
        name,
        &[
            source_stage(),
            json!({"name": "Work", "actions": [lambda("Build", None)]}),
        ],
    )
}
