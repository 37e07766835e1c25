//! A loopback in this process, with the suite's functions in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_codepipeline::types::{ActionExecutionFilter, PipelineExecutionStatus};
use serde_json::Value;
use tempfile::TempDir;
use towpath_aws::SdkConfig;
use towpath_loopback::{Loopback, Settings};

use crate::deployment::{self, ARTIFACTS, Function, PACKAGES};
use crate::pipeline::Source;
use crate::{Action, Done, LOOK, PATIENCE, Pipeline, Run, Tree};

/// The functions of the suite.
const SUITE: [&str; 5] = [
    "install-deps",
    "test-and-package",
    "deploy-stack",
    "run-e2e",
    "approve",
];

/// The stack that a world begins with.
const STACK: &str = "world";

/// A world to be.
pub struct Setup {
    functions: Vec<Function>,
    allowed: Vec<(Vec<String>, String)>,
    settings: Settings,
    state: TempDir,
}

impl Setup {
    /// A world with the suite's functions, each a process of the program `towpath`.
    pub fn new(towpath: &str) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let mut settings = Settings::new(state.path());
        settings.resource_delay = Duration::ZERO;
        settings.reinvocation_interval = Duration::from_millis(20);
        settings.async_retry_delay = Duration::from_millis(50);
        let setup = Self {
            functions: Vec::new(),
            allowed: Vec::new(),
            settings,
            state,
        };
        SUITE.into_iter().fold(setup, |setup, name| {
            setup.function(name, &format!("exec '{towpath}' function {name}"))
        })
    }

    /// One more function, or another in the place of the one of that name: its bootstrap, in the shell's language.
    #[must_use]
    pub fn function(mut self, name: &str, script: &str) -> Self {
        self.functions.retain(|function| function.name != name);
        self.functions.push(Function {
            name: name.to_owned(),
            bootstrap: format!("#!/bin/sh\n{script}\n"),
            timeout_seconds: 60,
        });
        self
    }

    /// Another time-out of a function.
    #[must_use]
    pub fn timeout_seconds(mut self, name: &str, seconds: u32) -> Self {
        for function in &mut self.functions {
            if function.name == name {
                function.timeout_seconds = seconds;
            }
        }
        self
    }

    /// What the functions' role may do beside what every function does.
    #[must_use]
    pub fn allow(mut self, actions: &[&str], resource: &str) -> Self {
        let actions = actions.iter().map(ToString::to_string).collect();
        self.allowed.push((actions, resource.to_owned()));
        self
    }

    /// A variable in every function's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        let variables = &mut self.settings.function_environment;
        variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Another behaviour of the loopback.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts it: when this returns, every function is there.
    pub async fn start(self) -> World {
        let loopback = Loopback::start(self.settings).await.expect("a loopback");
        let (key, secret) = loopback.root_credentials();
        let root = Credentials::new(key, secret, None, None, "test");
        let config = towpath_aws::fixed(loopback.endpoint(), loopback.region(), root.clone());
        let world = World {
            codepipeline: aws_sdk_codepipeline::Client::new(&config),
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            s3: towpath_aws::s3(&config),
            root,
            config,
            loopback: Some(loopback),
            pipelines: AtomicU32::new(0),
            state: self.state,
        };
        world.deploy(&self.functions, &self.allowed).await;
        world
    }
}

/// A running world. It ends, with every process in it, when it is dropped.
pub struct World {
    /// CodePipeline, as root.
    pub codepipeline: aws_sdk_codepipeline::Client,
    /// CloudFormation, as root.
    pub cloudformation: aws_sdk_cloudformation::Client,
    /// S3, as root.
    pub s3: aws_sdk_s3::Client,
    root: Credentials,
    config: SdkConfig,
    loopback: Option<Loopback>,
    pipelines: AtomicU32,
    state: TempDir,
}

impl World {
    /// The loopback itself.
    pub fn loopback(&self) -> &Loopback {
        self.loopback.as_ref().expect("it is there until the end")
    }

    /// The configuration of clients that may do anything.
    pub fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Runs a source and one action behind it, and answers what became of the action.
    pub async fn act(&self, tree: &Tree, action: Action) -> Done {
        self.act_on(Pipeline::of(tree), action).await
    }

    /// The same with a source of another kind.
    pub async fn act_on(&self, source: Pipeline, action: Action) -> Done {
        let name = action.name().to_owned();
        let run = self.run(&source.stage("Stage", [action])).await;
        run.action(&name).clone()
    }

    /// Makes a pipeline, hands its source over, runs it and waits until it has ended.
    pub async fn run(&self, pipeline: &Pipeline) -> Run {
        let name = self.create(pipeline).await.expect("a sound pipeline");
        let execution = self.start(&name).await;
        self.ended(&name, &execution).await
    }

    /// Makes a pipeline and hands its source over. Answers its name, or how CodePipeline refuses it.
    pub async fn create(&self, pipeline: &Pipeline) -> Result<String, String> {
        let number = self.pipelines.fetch_add(1, Ordering::Relaxed);
        let name = format!("pipeline-{number}");
        let declaration = pipeline.declaration(&name).expect("all is set");
        self.codepipeline
            .create_pipeline()
            .pipeline(declaration)
            .send()
            .await
            .map_err(|error| format!("{:?}", error.into_service_error()))?;
        match &pipeline.source {
            Source::Repository(zip) => self
                .loopback()
                .register_source(
                    &name,
                    "main",
                    &"c0ffee".repeat(7)[..40],
                    "A change",
                    zip.clone().into(),
                )
                .await
                .expect("an archive"),
            Source::Object(bytes) => {
                self.s3
                    .put_object()
                    .bucket(ARTIFACTS)
                    .key(Pipeline::object_key(&name))
                    .body(bytes.clone().into())
                    .send()
                    .await
                    .expect("the source's object");
            }
        }
        Ok(name)
    }

    /// Starts an execution and answers its id.
    pub async fn start(&self, pipeline: &str) -> String {
        let started = self.codepipeline.start_pipeline_execution().name(pipeline);
        let started = started.send().await.expect("an execution");
        started.pipeline_execution_id.expect("its id")
    }

    /// Waits until an execution has ended.
    pub async fn ended(&self, pipeline: &str, execution: &str) -> Run {
        let start = Instant::now();
        let status = loop {
            let answer = self
                .codepipeline
                .get_pipeline_execution()
                .pipeline_name(pipeline)
                .pipeline_execution_id(execution)
                .send()
                .await
                .expect("the execution");
            let status = answer.pipeline_execution.and_then(|all| all.status);
            match status.expect("a status") {
                PipelineExecutionStatus::InProgress | PipelineExecutionStatus::Stopping => {}
                ended => break ended.as_str().to_owned(),
            }
            assert!(
                start.elapsed() < PATIENCE,
                "the execution does not end:\n{}",
                self.log()
            );
            tokio::time::sleep(LOOK).await;
        };
        let filter = ActionExecutionFilter::builder()
            .pipeline_execution_id(execution)
            .build();
        let details = self
            .codepipeline
            .list_action_executions()
            .pipeline_name(pipeline)
            .filter(filter)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .expect("the actions");
        Run {
            pipeline: pipeline.to_owned(),
            execution: execution.to_owned(),
            status,
            actions: details.iter().rev().map(Done::of).collect(),
        }
    }

    /// One file of an output artifact of an action that has ended.
    pub async fn file(&self, done: &Done, artifact: &str, path: &str) -> Vec<u8> {
        crate::archive::read(&self.artifact(done, artifact).await, path)
    }

    /// A whole output artifact of an action that has ended, as it lies in the bucket.
    pub async fn artifact(&self, done: &Done, artifact: &str) -> Vec<u8> {
        let (_, bucket, key) = done
            .artifacts
            .iter()
            .find(|(name, ..)| name == artifact)
            .unwrap_or_else(|| panic!("no artifact `{artifact}`: {done:#?}"));
        let object = self.s3.get_object().bucket(bucket).key(key).send().await;
        let body = object.expect("the artifact").body.collect().await;
        body.expect("the artifact").into_bytes().to_vec()
    }

    /// Invokes a function by itself, without a pipeline, and waits: whether it failed, and its answer.
    pub async fn invoke(&self, function: &str, payload: Value) -> (bool, Value) {
        let (port, root, function) = (
            self.loopback().port(),
            self.root.clone(),
            function.to_owned(),
        );
        tokio::task::spawn_blocking(move || crate::invoke::invoke(port, root, &function, &payload))
            .await
            .expect("an answer")
    }

    /// From now on a function has one event at a time, and so one process: another event waits until that has been
    /// served to its end, which is later than the job's.
    pub async fn one_at_a_time(&self, function: &str) {
        let (port, root, function) = (
            self.loopback().port(),
            self.root.clone(),
            function.to_owned(),
        );
        tokio::task::spawn_blocking(move || crate::invoke::reserve(port, root, &function, 1))
            .await
            .expect("an answer");
    }

    /// A stack's status, and the reason for it; `None` when there is no such stack.
    pub async fn stack(&self, name: &str) -> Option<(String, String)> {
        let answer = self.cloudformation.describe_stacks().stack_name(name);
        let stack = answer.send().await.ok()?.stacks?.pop()?;
        Some((
            stack.stack_status?.as_str().to_owned(),
            stack.stack_status_reason.unwrap_or_default(),
        ))
    }

    /// All that the functions have written to their logs so far.
    pub fn log(&self) -> String {
        files(&self.state.path().join("logs"))
            .iter()
            .filter_map(|path| std::fs::read(path).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    /// Where the loopback keeps what it has.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    async fn deploy(&self, functions: &[Function], allowed: &[(Vec<String>, String)]) {
        let bucket = self.s3.create_bucket().bucket(PACKAGES).send().await;
        bucket.expect("a bucket");
        for function in functions {
            let package = self.s3.put_object().bucket(PACKAGES).key(function.key());
            let package = package.body(function.package().into()).send().await;
            package.expect("a package");
        }
        self.cloudformation
            .create_stack()
            .stack_name(STACK)
            .template_body(deployment::template(functions, allowed).to_string())
            .capabilities("CAPABILITY_NAMED_IAM".into())
            .send()
            .await
            .expect("a stack");
        let start = Instant::now();
        loop {
            let (status, reason) = self.stack(STACK).await.expect("the stack");
            match status.as_str() {
                "CREATE_COMPLETE" => return,
                "CREATE_IN_PROGRESS" => {}
                _ => panic!("the world's stack is {status}: {reason}"),
            }
            assert!(start.elapsed() < PATIENCE, "the stack is {status}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for World {
    /// Also when a test fails: no process outlives its world. Needs a runtime with more than one thread.
    fn drop(&mut self) {
        let Some(loopback) = self.loopback.take() else {
            return;
        };
        let end = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(loopback.shutdown());
        });
        let _ = end.join();
    }
}

/// Every file below a directory.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found.sort();
    found
}
