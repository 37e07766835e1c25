//! The run loop over the wire: whatever happens to a job, CodePipeline hears of it exactly once.

use std::fmt;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_codepipeline::config::retry::RetryConfig;
use serde_json::{Value, json};
use towpath_aws::SdkConfig;
use towpath_job::{
    Action, Artifact, Failure, FromQuery, Job, JobError, Outcome, ParameterError, Progress, Query,
    ReportError, Secrets, Settled, Source, Variables, handle,
};

#[path = "wire/server.rs"]
mod server;
use server::{Call, Server};

const ID: &str = "11111111-abcd-1111-abcd-111111abcdef";
const SECRET: &str = "a-secret-access-key-of-the-job";

/// What the step of the test's action does, named in its parameters.
struct Scripted {
    release: Mutex<Receiver<()>>,
}

struct Script {
    does: String,
    outputs: usize,
}

impl FromQuery for Script {
    fn from_query(query: &mut Query, outputs: &[Artifact]) -> Result<Self, ParameterError> {
        let does = query.take_required("do")?;
        assert_ne!(does, "panic-in-parameters", "no such thing");
        Ok(Self {
            does,
            outputs: outputs.len(),
        })
    }
}

#[derive(Debug)]
struct ScriptError(Failure);

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl std::error::Error for ScriptError {}

impl From<ScriptError> for Failure {
    fn from(error: ScriptError) -> Self {
        error.0
    }
}

impl From<JobError> for ScriptError {
    fn from(error: JobError) -> Self {
        Self(error.into())
    }
}

impl Action for Scripted {
    const NAME: &'static str = "scripted";
    type Parameters = Script;
    type Error = ScriptError;

    async fn step(&self, job: &Job<Script>) -> Result<Outcome, ScriptError> {
        match job.parameters.does.as_str() {
            "succeed" => {
                assert_eq!(job.parameters.outputs, job.outputs.len());
                let mut variables = Variables::new();
                variables.insert("Url", "https://x").unwrap();
                let mut receipts = Vec::new();
                for output in &job.outputs {
                    let (name, bytes) = ("made", b"here".as_slice());
                    receipts.push(job.publish(output, Source::Bytes { name, bytes }).await?);
                }
                Ok(Outcome::Done {
                    summary: "deployed".to_owned(),
                    variables,
                    receipts,
                    external_id: Some("stack-7".to_owned()),
                })
            }
            "forget-outputs" => Ok(Outcome::done("done")),
            // Counts its steps in its state, and tells what it sees.
            "count" | "count-long" => {
                let state: Value = job.state()?.unwrap_or(json!({"steps": 0}));
                let steps = state["steps"].as_u64().unwrap() + 1;
                if steps == 3 {
                    return Ok(Outcome::done(format!(
                        "3 steps, attempt {}, origin {}",
                        job.attempt(),
                        job.origin()
                    )));
                }
                let padding = match job.parameters.does.as_str() {
                    "count-long" => "é".repeat(3_000),
                    _ => String::new(),
                };
                Ok(Outcome::Continue {
                    state: json!({"steps": steps, "padding": padding}),
                    progress: Progress {
                        percent: Some(33),
                        summary: format!("step {steps}"),
                        external_id: Some("stack-8".to_owned()),
                    },
                })
            }
            "fail" => Err(ScriptError(
                Failure::job("npm test failed")
                    .with_output("1 failing")
                    .with_hint("run it locally")
                    .with_external_id("build-7"),
            )),
            "fail-at-length" => Ok(Outcome::Failed(
                Failure::job("cause").with_output("😀".repeat(20_000)),
            )),
            "leak" => Err(ScriptError(Failure::job(format!("key {SECRET} refused")))),
            // What it learns only in the step itself.
            "leak-what-it-found" => {
                job.hide(["found-secret".to_owned()]);
                let mut variables = Variables::new();
                variables.insert("Url", "found-secret@x").unwrap();
                Ok(Outcome::Done {
                    summary: "with found-secret".to_owned(),
                    variables,
                    receipts: Vec::new(),
                    external_id: None,
                })
            }
            "leak-in-variable" => {
                let mut variables = Variables::new();
                variables.insert("Url", "role-secret@x").unwrap();
                Ok(Outcome::Done {
                    summary: format!("with {SECRET}"),
                    variables,
                    receipts: Vec::new(),
                    external_id: None,
                })
            }
            // What it leaves behind takes long to clear away.
            "hang-on-drop" => {
                struct Slow<'a>(&'a Mutex<Receiver<()>>);
                impl Drop for Slow<'_> {
                    fn drop(&mut self) {
                        let _ = self.0.lock().unwrap().recv();
                    }
                }
                let _slow = Slow(&self.release);
                std::future::pending().await
            }
            "missing-input" => {
                job.input("Packge")?;
                Ok(Outcome::done("unreachable"))
            }
            "panic" => panic!("index out of bounds: the len is 0"),
            "hang" => std::future::pending().await,
            "block" => {
                // The thread is blocked until the test lets it go.
                let _ = self.release.lock().unwrap().recv();
                Ok(Outcome::done("too late"))
            }
            other => panic!("no such script: {other}"),
        }
    }
}

fn event(parameters: &str) -> Value {
    json!({"CodePipeline.job": {
        "id": ID,
        "accountId": "111111111111",
        "data": {
            "actionConfiguration": {"configuration": {
                "FunctionName": "scripted", "UserParameters": parameters
            }},
            "inputArtifacts": [{
                "name": "Package", "revision": "abc",
                "location": {"type": "S3", "s3Location": {"bucketName": "artifacts", "objectKey": "pipe/Package/1"}}
            }],
            "outputArtifacts": [],
            "artifactCredentials": {
                "accessKeyId": "AKIDJOB", "secretAccessKey": SECRET, "sessionToken": "job-session"
            },
            "encryptionKey": {"id": "key-1", "type": "KMS"}
        }
    }})
}

fn with_output(mut event: Value) -> Value {
    event["CodePipeline.job"]["data"]["outputArtifacts"] = json!([{
        "name": "Out",
        "location": {"type": "S3", "s3Location": {"bucketName": "artifacts", "objectKey": "pipe/Out/2"}}
    }]);
    event
}

fn with_token(mut event: Value, id: &str, token: &Value) -> Value {
    event["CodePipeline.job"]["id"] = json!(id);
    event["CodePipeline.job"]["data"]["continuationToken"] = token.clone();
    event
}

fn aws(server: &Server, tries: u32) -> SdkConfig {
    let credentials = Credentials::new("AKIDROLE", "role-secret", None, None, "test");
    towpath_aws::fixed(&server.endpoint(), "eu-west-1", credentials)
        .to_builder()
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(tries)
                .with_initial_backoff(Duration::from_millis(1)),
        )
        .build()
}

fn action() -> Arc<Scripted> {
    Arc::new(Scripted {
        release: Mutex::new(channel().1),
    })
}

/// Handles an event with a minute to Lambda's deadline.
async fn run(server: &Server, event: Value) -> Result<Settled, ReportError> {
    run_within(server, event, Duration::from_mins(1)).await
}

async fn run_within(server: &Server, event: Value, left: Duration) -> Result<Settled, ReportError> {
    let (deadline, aws) = (SystemTime::now() + left, aws(server, 3));
    handle(&action(), event, deadline, &aws, &own_secrets()).await
}

fn own_secrets() -> Secrets {
    Secrets::new(["role-secret".to_owned()])
}

/// The failure in a call, after checking that it is one and within the limits.
fn failure(call: &Call) -> (&str, &str) {
    assert_eq!(call.operation, "PutJobFailureResult", "{call:?}");
    assert_eq!(call.input["jobId"], ID);
    let details = &call.input["failureDetails"];
    let message = details["message"].as_str().unwrap();
    assert!(message.encode_utf16().count() <= 5_000);
    (details["type"].as_str().unwrap(), message)
}

#[tokio::test]
async fn success_is_reported_with_variables_and_summary() {
    let server = Server::start();
    let settled = run(&server, with_output(event("do=succeed"))).await;
    assert_eq!(settled.unwrap(), Settled::Succeeded);
    let call = server.only_call();
    assert_eq!(call.operation, "PutJobSuccessResult");
    assert_eq!(
        call.input,
        json!({
            "jobId": ID,
            "executionDetails": {"summary": "deployed", "externalExecutionId": "stack-7"},
            "outputVariables": {"Url": "https://x"}
        })
    );
}

#[tokio::test]
async fn work_goes_on_with_the_token_until_it_is_done() {
    let server = Server::start();
    assert_eq!(
        run(&server, event("do=count")).await.unwrap(),
        Settled::Continued
    );
    let first = server.only_call().input;
    assert_eq!(
        first["executionDetails"],
        json!({"summary": "step 1", "percentComplete": 33, "externalExecutionId": "stack-8"})
    );
    assert_eq!(first["outputVariables"], Value::Null);

    let second = with_token(event("do=count"), "job-2", &first["continuationToken"]);
    // The same step twice, as Lambda may have it: the same state twice.
    run(&server, second.clone()).await.unwrap();
    run(&server, second).await.unwrap();
    let calls = server.calls();
    assert_eq!(
        calls[1].input["continuationToken"],
        calls[2].input["continuationToken"]
    );

    let third = with_token(
        event("do=count"),
        "job-3",
        &calls[1].input["continuationToken"],
    );
    assert_eq!(run(&server, third).await.unwrap(), Settled::Succeeded);
    assert_eq!(
        server.calls()[3].input["executionDetails"]["summary"],
        format!("3 steps, attempt 3, origin {ID}")
    );
}

#[tokio::test]
async fn a_long_state_is_kept_in_the_artifact_store_under_the_jobs_own_credentials() {
    let server = Server::start();
    run(&server, event("do=count-long")).await.unwrap();
    let token = server.only_call().input["continuationToken"].clone();
    assert!(token.as_str().unwrap().len() <= 2_048);
    let objects = server.objects();
    let (path, object) = objects.iter().next().unwrap();
    assert!(path.starts_with("/artifacts/pipe/towpath-state/"), "{path}");
    assert!(object.headers["authorization"].contains("AKIDJOB"));
    assert_eq!(object.headers["x-amz-server-side-encryption"], "aws:kms");
    assert_eq!(
        object.headers["x-amz-server-side-encryption-aws-kms-key-id"],
        "key-1"
    );

    let next = with_token(event("do=count-long"), "job-2", &token);
    assert_eq!(run(&server, next).await.unwrap(), Settled::Continued);
    assert_eq!(
        server.calls()[1].input["executionDetails"]["summary"],
        "step 2"
    );
}

#[tokio::test]
async fn a_kept_state_that_was_changed_or_removed_is_refused() {
    let server = Server::start();
    run(&server, event("do=count-long")).await.unwrap();
    let token = server.only_call().input["continuationToken"].clone();
    let path = server.objects().keys().next().unwrap().clone();
    server.replace_object(&path, br#"{"steps": 2}"#);
    let changed = with_token(event("do=count-long"), ID, &token);
    assert_eq!(run(&server, changed).await.unwrap(), Settled::Failed);
    let (kind, message) = {
        let calls = server.calls();
        let (kind, message) = failure(&calls[1]);
        (kind.to_owned(), message.to_owned())
    };
    assert_eq!(kind, "JobFailed");
    assert!(
        message.contains("is not what the continuation token refers to"),
        "{message}"
    );

    let pointer = token.as_str().unwrap().replace("towpath-state/", "gone/");
    let gone = with_token(event("do=count-long"), ID, &json!(pointer));
    run(&server, gone).await.unwrap();
    let calls = server.calls();
    let (kind, message) = failure(&calls[2]);
    assert_eq!(kind, "ConfigurationError");
    assert!(message.contains("NoSuchKey"), "{message}");
}

#[tokio::test]
async fn every_failure_is_reported_with_its_type_and_words() {
    for (case, event, kind, expected) in [
        (
            "an error",
            event("do=fail"),
            "JobFailed",
            "npm test failed\n1 failing\nhint: run it locally",
        ),
        (
            "a panic in the step",
            event("do=panic"),
            "JobFailed",
            "the scripted function panicked: index out of bounds: the len is 0\nhint: ",
        ),
        (
            "a panic while reading parameters",
            event("do=panic-in-parameters"),
            "JobFailed",
            "the scripted function panicked: ",
        ),
        (
            "a typo",
            event("dO=succeed"),
            "ConfigurationError",
            "unknown parameter `dO`\nhint: did you mean `do`?",
        ),
        (
            "a repeated key",
            event("do=succeed&do=fail"),
            "ConfigurationError",
            "parameter `do` is given twice",
        ),
        (
            "a missing input",
            event("do=missing-input"),
            "ConfigurationError",
            "the action has no input artifact `Packge`; it has Package\nhint: ",
        ),
        (
            "a declared output that was not published",
            with_output(event("do=forget-outputs")),
            "JobFailed",
            "the action succeeded but did not publish output artifact `Out`\nhint: ",
        ),
        (
            "a secret in the message",
            event("do=leak"),
            "JobFailed",
            "key *** refused",
        ),
        (
            "a malformed event",
            json!({"CodePipeline.job": {"id": ID, "data": [SECRET]}}),
            "JobFailed",
            "the job event cannot be read: `CodePipeline.job.data` is not an object",
        ),
        (
            "a token of another version",
            with_token(event("do=count"), ID, &json!(r#"{"v":7}"#)),
            "JobFailed",
            "the continuation token has version 7; this function understands version 1\nhint: ",
        ),
        (
            "a foreign token",
            with_token(event("do=count"), ID, &json!("next-page")),
            "JobFailed",
            "the continuation token is not one that this function wrote",
        ),
    ] {
        let server = Server::start();
        let settled = run(&server, event).await;
        assert_eq!(settled.unwrap(), Settled::Failed, "{case}");
        let call = server.only_call();
        let (got, message) = failure(&call);
        assert_eq!(got, kind, "{case}: {message}");
        assert!(message.starts_with(expected), "{case}: {message}");
        assert!(!call.input.to_string().contains(SECRET), "{case}");
    }
}

#[tokio::test]
async fn what_failed_elsewhere_is_named_by_its_id() {
    let server = Server::start();
    run(&server, event("do=fail")).await.unwrap();
    assert_eq!(
        server.only_call().input["failureDetails"]["externalExecutionId"],
        "build-7"
    );
}

#[tokio::test]
async fn a_message_that_is_too_long_keeps_its_cause_and_its_end() {
    let server = Server::start();
    run(&server, event("do=fail-at-length")).await.unwrap();
    let call = server.only_call();
    let (_, message) = failure(&call);
    assert!(message.starts_with("cause\n…😀"), "{message}");
    assert!(message.ends_with('😀'));
}

#[tokio::test]
async fn an_event_without_an_id_is_an_error_to_lambda_and_nothing_else() {
    for event in [
        json!({}),
        json!({"CodePipeline.job": {"data": {}}}),
        json!("x"),
    ] {
        let server = Server::start();
        let error = run(&server, event).await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the event has no job id at `CodePipeline.job`.`id`"),
            "{error}"
        );
        assert!(server.calls().is_empty());
    }
}

#[tokio::test]
async fn a_job_that_is_settled_already_counts_as_reported() {
    for parameters in ["do=succeed", "do=count", "do=fail"] {
        let server = Server::start();
        server.answer([(400, "InvalidJobStateException", "Job is in state Succeeded")]);
        let settled = run(&server, event(parameters)).await;
        assert_eq!(settled.unwrap(), Settled::Already, "{parameters}");
        assert_eq!(server.calls().len(), 1, "{parameters}");
    }
}

#[tokio::test]
async fn a_report_is_repeated_until_the_service_takes_it() {
    for (case, answers) in [
        (
            "throttled",
            vec![(400, "ThrottlingException", "Rate exceeded"); 2],
        ),
        ("unavailable", vec![(503, "ServiceUnavailable", "busy"); 2]),
        ("no code at all", vec![(502, "", ""); 2]),
        // More often than the SDK tries by itself.
        (
            "throttled for long",
            vec![(400, "ThrottlingException", "Rate exceeded"); 4],
        ),
    ] {
        let server = Server::start();
        let refused = answers.len();
        server.answer(answers);
        let settled = run(&server, event("do=succeed")).await;
        assert_eq!(settled.unwrap(), Settled::Succeeded, "{case}");
        let calls = server.calls();
        assert_eq!(calls.len(), refused + 1, "{case}");
        assert!(
            calls.iter().all(|call| call.input == calls[0].input),
            "{case}"
        );
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_delivered_is_an_error_to_lambda() {
    for (case, answer, expected) in [
        (
            "unknown job",
            (400, "JobNotFoundException", "not found"),
            "CodePipeline in eu-west-1 does not know job",
        ),
        (
            "no permission",
            (400, "AccessDeniedException", "role x is not authorized"),
            "codepipeline:PutJobFailureResult on resource \"*\"",
        ),
        (
            "refused",
            (400, "ValidationException", "jobId is malformed"),
            "ValidationException: jobId is malformed",
        ),
        (
            "unavailable to the end",
            (503, "ServiceUnavailable", "busy"),
            "failed to report job",
        ),
    ] {
        let server = Server::start();
        server.always(answer);
        let error = run_within(&server, event("do=succeed"), Duration::from_secs(1))
            .await
            .expect_err(case);
        assert!(error.to_string().contains(expected), "{case}: {error}");
    }
}

#[tokio::test]
async fn a_success_that_the_service_refuses_becomes_a_failure() {
    let server = Server::start();
    server.answer([(400, "ValidationException", "summary is bad")]);
    let settled = run(&server, event("do=succeed")).await;
    assert_eq!(settled.unwrap(), Settled::Failed);
    let calls = server.calls();
    assert_eq!(calls.len(), 2);
    let (_, message) = failure(&calls[1]);
    assert!(
        message.ends_with("ValidationException: summary is bad"),
        "{message}"
    );
}

#[tokio::test]
async fn a_failure_that_the_service_refuses_is_reported_in_plain_words_once() {
    let server = Server::start();
    server.answer([(400, "ValidationException", "message is bad")]);
    let settled = run(&server, event("do=fail")).await;
    assert_eq!(settled.unwrap(), Settled::Failed);
    let calls = server.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        failure(&calls[1]),
        (
            "JobFailed",
            "the action failed; its report was refused, see the function's log"
        )
    );
}

#[tokio::test]
async fn a_report_that_is_not_answered_ends_at_lambdas_deadline() {
    let server = Server::start();
    server.keep_silent();
    let begun = std::time::Instant::now();
    let error = run_within(&server, event("do=succeed"), Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it was waited for"
    );
    assert!(error.to_string().contains("did not answer"), "{error}");
}

#[tokio::test]
async fn no_credential_is_in_a_variable_or_a_summary() {
    for parameters in ["do=leak-in-variable", "do=leak-what-it-found"] {
        let server = Server::start();
        run(&server, event(parameters)).await.unwrap();
        let input = server.only_call().input;
        let summary = &input["executionDetails"]["summary"];
        assert_eq!(summary, "with ***", "{parameters}");
        assert_eq!(input["outputVariables"]["Url"], "***@x", "{parameters}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_step_leaves_behind_does_not_hold_its_report_up() {
    let server = Server::start();
    let (release, blocked) = channel();
    let action = Arc::new(Scripted {
        release: Mutex::new(blocked),
    });
    let deadline = SystemTime::now() + Duration::from_mins(1);
    let event = event("do=hang-on-drop&timeout=50ms");
    let begun = std::time::Instant::now();
    let settled = handle(&action, event, deadline, &aws(&server, 3), &own_secrets()).await;
    assert_eq!(settled.unwrap(), Settled::Failed);
    let call = server.only_call();
    let (_, message) = failure(&call);
    assert!(message.contains("50ms, which is its timeout"), "{message}");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it was waited for"
    );
    drop(release);
}

#[tokio::test]
async fn a_step_that_overruns_lambdas_deadline_is_given_up_and_reported() {
    let server = Server::start();
    let settled = run_within(&server, event("do=hang"), Duration::from_millis(900)).await;
    assert_eq!(settled.unwrap(), Settled::Failed);
    let call = server.only_call();
    let (kind, message) = failure(&call);
    assert_eq!(kind, "JobFailed");
    assert!(
        message.starts_with("scripted was given up after ")
            && message.contains("shortly before Lambda's time-out of the function\nhint: "),
        "{message}"
    );
}

#[tokio::test]
async fn an_action_that_overruns_its_own_timeout_is_reported_as_that() {
    let server = Server::start();
    let left = Duration::from_secs(2);
    let settled = run_within(&server, event("do=hang&timeout=50ms"), left).await;
    assert_eq!(settled.unwrap(), Settled::Failed);
    let call = server.only_call();
    let (_, message) = failure(&call);
    assert!(
        message.starts_with("the action is not finished after 50ms, which is its timeout"),
        "{message}"
    );
}

#[tokio::test]
async fn an_action_whose_time_is_over_between_two_steps_does_no_further_step() {
    let server = Server::start();
    let token = json!({
        "v": 1, "action": "scripted", "job": ID, "attempt": 9,
        "started_at": 1_700_000_000_000u64, "deadline": 1_700_000_600_000u64, "state": {},
        "last": "waiting for somebody"
    });
    let event = with_token(event("do=panic"), ID, &json!(token.to_string()));
    assert_eq!(run(&server, event).await.unwrap(), Settled::Failed);
    let call = server.only_call();
    let (_, message) = failure(&call);
    assert!(
        message.starts_with(
            "the action is not finished after 10m, which is its timeout: waiting for somebody\n"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn an_action_may_be_bounded_by_its_number_of_steps() {
    let server = Server::start();
    let parameters = "do=count&attempts=1";
    assert_eq!(
        run(&server, event(parameters)).await.unwrap(),
        Settled::Failed
    );
    let call = server.only_call();
    let (_, message) = failure(&call);
    assert!(
        message.contains("not finished after 1 step") && message.contains("step 1"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_blocks_its_thread_is_reported_all_the_same() {
    let server = Server::start();
    let (release, blocked) = channel();
    let action = Arc::new(Scripted {
        release: Mutex::new(blocked),
    });
    let deadline = SystemTime::now() + Duration::from_secs(1);
    let settled = handle(
        &action,
        event("do=block"),
        deadline,
        &aws(&server, 3),
        &own_secrets(),
    )
    .await;
    assert_eq!(settled.unwrap(), Settled::Failed);
    let call = server.only_call();
    let (_, message) = failure(&call);
    assert!(message.starts_with("scripted was given up"), "{message}");
    drop(release);
}

#[tokio::test]
async fn a_job_without_artifacts_or_credentials_is_a_job() {
    let server = Server::start();
    let event = json!({"CodePipeline.job": {"id": ID, "data": {
        "actionConfiguration": {"configuration": {"UserParameters": "do=succeed"}},
        "inputArtifacts": null, "artifactCredentials": null
    }}});
    assert_eq!(run(&server, event).await.unwrap(), Settled::Succeeded);
}
