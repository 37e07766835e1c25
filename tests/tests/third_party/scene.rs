//! Two worlds for one pipeline: the loopback runs it and starts the functions, ministack has what the functions work on.
//!
//! The functions' environment says so: `AWS_ENDPOINT_URL` is ministack's, `AWS_ENDPOINT_URL_CODEPIPELINE` the
//! loopback's. Their role on the loopback may report on jobs and nothing else, so that whatever else they ask for
//! is asked of ministack, or is denied.
//!
//! The loopback's source action knows only the loopback's S3. The object that it makes is carried over by the test
//! while the pipeline waits for an approval; nothing else is brought about by hand.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};
use std::time::{Duration, Instant};

use aws_sdk_cloudformation::types::{Capability, ResourceSignalStatus, StackStatus};
use aws_sdk_codepipeline::types::{
    ActionExecutionDetail, ActionExecutionFilter, ActionExecutionStatus, ApprovalResult,
    ApprovalStatus,
};
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use serde_json::Value;
use tempfile::TempDir;
use towpath_aws::SdkConfig;
use towpath_loopback::{Loopback, Settings};
use zip::ZipArchive;

use crate::definition::{ARTIFACTS, CODE, FUNCTIONS, PIPELINE, RELEASE, package, template, zipped};
use crate::ministack::Ministack;
use crate::python::Python;

/// What takes longer than this will never come.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct Scene {
    pub(crate) loopback: Loopback,
    pub(crate) ministack: Ministack,
    _state: TempDir,
}

impl Scene {
    /// The two worlds, the functions, a source of these files, and a pipeline: the source, the carrying over, `stages`.
    pub(crate) async fn start(python: &Python, source: &[(&str, &str)], stages: &[Value]) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let settings = Settings {
            reinvocation_interval: Duration::from_millis(100),
            ..Settings::new(state.path().join("state"))
        };
        let loopback = Loopback::start(settings).await.expect("it starts");
        let ministack = Ministack::start(python).await;
        let scene = Self {
            loopback,
            ministack,
            _state: state,
        };
        let theirs = scene.their_s3();
        for bucket in [ARTIFACTS, RELEASE] {
            let made = theirs.create_bucket().bucket(bucket).send().await;
            made.expect("a bucket of ministack");
        }
        let ours = scene.our_s3();
        let made = ours.create_bucket().bucket(CODE).send().await;
        made.expect("a bucket of the loopback");
        let versioned = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        ours.put_bucket_versioning()
            .bucket(CODE)
            .versioning_configuration(versioned)
            .send()
            .await
            .expect("versions");
        let mut objects: Vec<(String, Vec<u8>)> = FUNCTIONS
            .iter()
            .map(|name| (format!("{name}.zip"), package(name)))
            .collect();
        objects.push(("source.zip".into(), zipped(source, 0o644)));
        for (key, bytes) in objects {
            ours.put_object()
                .bucket(CODE)
                .key(key)
                .body(bytes.into())
                .send()
                .await
                .expect("an object of the loopback");
        }
        scene.deploy(stages).await;
        scene
    }

    async fn deploy(&self, stages: &[Value]) {
        let (ours, theirs) = (self.loopback.endpoint(), self.ministack.endpoint());
        let template = template(ours, &theirs, stages).to_string();
        let client = aws_sdk_cloudformation::Client::new(&self.here());
        client
            .create_stack()
            .stack_name("pipeline")
            .template_body(template)
            .capabilities(Capability::CapabilityNamedIam)
            .send()
            .await
            .expect("the stack is taken");
        let stack = eventually("the pipeline's stack", async || {
            let answer = client.describe_stacks().stack_name("pipeline").send().await;
            let stack = answer.expect("it is there").stacks().first()?.clone();
            (stack.stack_status() != Some(&StackStatus::CreateInProgress)).then_some(stack)
        })
        .await;
        let status = stack.stack_status();
        assert_eq!(status, Some(&StackStatus::CreateComplete), "{stack:?}");
    }

    /// The loopback, for whoever may do anything.
    fn here(&self) -> SdkConfig {
        let (id, secret) = self.loopback.root_credentials();
        let root = Credentials::new(id, secret, None, None, "test");
        towpath_aws::fixed(self.loopback.endpoint(), "us-east-1", root)
    }

    fn our_s3(&self) -> aws_sdk_s3::Client {
        towpath_aws::s3(&self.here())
    }

    fn their_s3(&self) -> aws_sdk_s3::Client {
        towpath_aws::s3(&self.ministack.config())
    }

    pub(crate) fn codepipeline(&self) -> aws_sdk_codepipeline::Client {
        aws_sdk_codepipeline::Client::new(&self.here())
    }

    /// CloudFormation of ministack.
    pub(crate) fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.ministack.config())
    }

    /// Starts an execution and carries its source over.
    pub(crate) async fn release(&self) -> Execution<'_> {
        let started = self
            .codepipeline()
            .start_pipeline_execution()
            .name(PIPELINE)
            .send()
            .await
            .expect("it starts");
        let execution = Execution {
            scene: self,
            id: started.pipeline_execution_id().expect("an id").to_owned(),
        };
        let (bucket, key) = execution.artifact("Source", "Source").await;
        let object = self
            .our_s3()
            .get_object()
            .bucket(&bucket)
            .key(&key)
            .send()
            .await
            .expect("the source");
        let bytes = object.body.collect().await.expect("a body").into_bytes();
        self.their_s3()
            .put_object()
            .bucket(&bucket)
            .key(&key)
            .body(bytes.into())
            .send()
            .await
            .expect("carried over");
        execution.approve("Carry", "Over").await;
        execution
    }

    /// An object of ministack, as a zip archive, and the key that it is encrypted with.
    pub(crate) async fn archive(&self, bucket: &str, key: &str) -> (Archive, Option<String>) {
        let object = self
            .their_s3()
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .expect("it is in ministack");
        let encrypted = object.ssekms_key_id().map(str::to_owned);
        let bytes = object.body.collect().await.expect("a body").to_vec();
        let archive = ZipArchive::new(Cursor::new(bytes)).expect("a zip archive");
        (Archive(archive), encrypted)
    }

    /// Whether the loopback has something that only ministack is to have.
    pub(crate) async fn objects_on_the_loopback(&self) -> Vec<String> {
        let listed = self
            .our_s3()
            .list_objects_v2()
            .bucket(ARTIFACTS)
            .send()
            .await
            .expect("a list");
        listed
            .contents()
            .iter()
            .filter_map(|object| object.key().map(str::to_owned))
            .collect()
    }

    /// Signals the resource `Gate` of a stack of ministack, which waits for it and for nothing else.
    pub(crate) async fn signal(&self, stack: &str, status: ResourceSignalStatus) {
        let client = self.cloudformation();
        eventually("the gate", async || {
            client
                .signal_resource()
                .stack_name(stack)
                .logical_resource_id("Gate")
                .unique_id("test")
                .status(status.clone())
                .send()
                .await
                .ok() // it refuses signals that nobody waits for yet
        })
        .await;
    }

    pub(crate) async fn end(self) {
        self.loopback.shutdown().await;
    }
}

/// One execution of the pipeline.
pub(crate) struct Execution<'a> {
    scene: &'a Scene,
    id: String,
}

impl Execution<'_> {
    /// The action's execution, if it has begun.
    async fn seen(&self, action: &str) -> Option<ActionExecutionDetail> {
        let filter = ActionExecutionFilter::builder()
            .pipeline_execution_id(&self.id)
            .build();
        let listed = self
            .scene
            .codepipeline()
            .list_action_executions()
            .pipeline_name(PIPELINE)
            .filter(filter)
            .send()
            .await
            .expect("a list");
        listed
            .action_execution_details()
            .iter()
            .find(|detail| detail.action_name() == Some(action))
            .cloned()
    }

    /// What the action says while it goes on: only a job that ended with a continuation token has told of it.
    pub(crate) async fn continued(&self, action: &str) -> String {
        eventually(&format!("a continuation of `{action}`"), async || {
            let seen = self.seen(action).await?;
            assert_eq!(
                seen.status(),
                Some(&ActionExecutionStatus::InProgress),
                "{}",
                told(&seen)
            );
            summary(&seen)
        })
        .await
    }

    /// The action, once it has ended.
    pub(crate) async fn ended(&self, action: &str) -> Ended {
        let detail = eventually(&format!("the end of `{action}`"), async || {
            let seen = self.seen(action).await;
            let Some(seen) = seen else {
                self.assert_alive(action).await;
                return None;
            };
            (seen.status() != Some(&ActionExecutionStatus::InProgress)).then_some(seen)
        })
        .await;
        Ended(detail)
    }

    /// An action that will never begin is not waited for.
    async fn assert_alive(&self, action: &str) {
        let shown = self
            .scene
            .codepipeline()
            .get_pipeline_execution()
            .pipeline_name(PIPELINE)
            .pipeline_execution_id(&self.id)
            .send()
            .await
            .expect("it is there");
        let execution = shown.pipeline_execution().expect("an execution");
        let status = execution.status().expect("a status").as_str();
        assert_eq!(status, "InProgress", "`{action}` never began");
    }

    /// The action's own word for a success: its summary and its variables.
    pub(crate) async fn succeeded(&self, action: &str) -> (String, HashMap<String, String>) {
        let Ended(detail) = self.ended(action).await;
        assert_eq!(
            detail.status(),
            Some(&ActionExecutionStatus::Succeeded),
            "{}",
            told(&detail)
        );
        let variables = detail.output().and_then(|output| output.output_variables());
        (
            summary(&detail).unwrap_or_default(),
            variables.cloned().unwrap_or_default(),
        )
    }

    /// Bucket and key of an output artifact of an action that succeeds.
    pub(crate) async fn artifact(&self, action: &str, name: &str) -> (String, String) {
        self.succeeded(action).await;
        let seen = self.seen(action).await.expect("it has ended");
        let output = seen.output().expect("an output");
        let artifact = output
            .output_artifacts()
            .iter()
            .find(|artifact| artifact.name() == Some(name))
            .unwrap_or_else(|| panic!("no artifact `{name}`: {output:?}"));
        let location = artifact.s3_location().expect("a place");
        (
            location.bucket().expect("a bucket").to_owned(),
            location.key().expect("a key").to_owned(),
        )
    }

    /// Approves, once somebody is asked.
    pub(crate) async fn approve(&self, stage: &str, action: &str) {
        let client = self.scene.codepipeline();
        let token = eventually(&format!("the question of `{action}`"), async || {
            let state = client.get_pipeline_state().name(PIPELINE).send().await;
            let state = state.expect("a state");
            let stage = state
                .stage_states()
                .iter()
                .find(|state| state.stage_name() == Some(stage))?;
            if stage.latest_execution()?.pipeline_execution_id() != self.id {
                return None; // an earlier execution's
            }
            let action = stage
                .action_states()
                .iter()
                .find(|state| state.action_name() == Some(action))?;
            let token = action.latest_execution()?.token().map(str::to_owned);
            if token.is_none() {
                self.assert_alive("the approval").await;
            }
            token
        })
        .await;
        let result = ApprovalResult::builder()
            .status(ApprovalStatus::Approved)
            .summary("as planned")
            .build()
            .expect("complete");
        client
            .put_approval_result()
            .pipeline_name(PIPELINE)
            .stage_name(stage)
            .action_name(action)
            .token(token)
            .result(result)
            .send()
            .await
            .expect("approved");
    }
}

/// An action that has ended.
pub(crate) struct Ended(ActionExecutionDetail);

impl Ended {
    /// What it failed of.
    pub(crate) fn failure(&self) -> String {
        assert_eq!(
            self.0.status(),
            Some(&ActionExecutionStatus::Failed),
            "{}",
            told(&self.0)
        );
        let result = self.0.output().and_then(|output| output.execution_result());
        let error = result.and_then(|result| result.error_details());
        error
            .and_then(|error| error.message())
            .unwrap_or_default()
            .to_owned()
    }
}

fn summary(detail: &ActionExecutionDetail) -> Option<String> {
    let result = detail.output()?.execution_result()?;
    result.external_execution_summary().map(str::to_owned)
}

/// For the message of an assertion.
fn told(detail: &ActionExecutionDetail) -> String {
    format!(
        "{:?}: {:?}",
        detail.action_name().unwrap_or_default(),
        detail.output()
    )
}

/// What is in an artifact.
pub(crate) struct Archive(ZipArchive<Cursor<Vec<u8>>>);

impl Archive {
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.0.file_names();
        names
            .map(|name| name.expect("a name").into_owned())
            .collect()
    }

    pub(crate) fn text(&mut self, name: &str) -> String {
        let mut text = String::new();
        match self.0.by_name(name) {
            Ok(mut file) => drop(file.read_to_string(&mut text).expect("text")),
            Err(error) => panic!("{name}: {error}"),
        }
        text
    }

    /// Where a link leads.
    pub(crate) fn link(&mut self, name: &str) -> Option<String> {
        let is_link = self.0.by_name(name).expect(name).is_symlink();
        is_link.then(|| self.text(name))
    }
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "still waiting for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
