//! Real processes over the real Runtime API: what a function may do, and what becomes of it.
//!
//! A test that needs an interpreter which this machine does not have says so and passes.

mod control_plane;
mod handlers;

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::identity::RoleDefinition;
use crate::{AwsError, Caller, Settings, World};

/// A world of its own, with a role that functions may have.
pub(crate) struct Fixture {
    pub(crate) world: Arc<World>,
    directory: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(directory.path().join("state"));
        settings.async_retry_delay = Duration::from_millis(5);
        let world = World::new(settings, 1);
        let role = RoleDefinition {
            arn: "arn:aws:iam::000000000000:role/role".into(),
            trust: json!({ "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "lambda.amazonaws.com" },
                "Action": "sts:AssumeRole",
            }] }),
            policies: Vec::new(),
        };
        world.identity.put_role("role", role);
        Self {
            world: Arc::new(world),
            directory,
        }
    }

    /// A file that functions and the test can see.
    pub(crate) fn shared(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    pub(crate) async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        self.world
            .lambda
            .call(&self.world, &Caller::Root, operation, input)
            .await
    }

    /// Makes a function out of files; `members` add to the request.
    pub(crate) async fn function(
        &self,
        name: &str,
        runtime: &str,
        handler: &str,
        files: &[(&str, &str)],
        members: Value,
    ) {
        let mut request = json!({
            "FunctionName": name,
            "Runtime": runtime,
            "Handler": handler,
            "Role": "arn:aws:iam::000000000000:role/role",
            "Timeout": 30,
            "Code": { "ZipFile": zipped(files) },
        });
        for (member, value) in members.as_object().unwrap() {
            request[member] = value.clone();
        }
        self.call("CreateFunction", request).await.unwrap();
    }

    /// Invokes and waits: the whole answer, with `Payload` parsed.
    pub(crate) async fn invoke(&self, name: &str, event: Value) -> Value {
        let request = json!({ "FunctionName": name, "Payload": event.to_string() });
        let mut answer = self.call("Invoke", request).await.unwrap();
        let payload = answer["Payload"].as_str().unwrap().to_owned();
        answer["Payload"] = serde_json::from_str(&payload).unwrap_or(Value::String(payload));
        answer
    }

    pub(crate) async fn close(self) {
        self.world.stopping.cancel();
        self.world.lambda.shutdown().await;
        self.world.tasks.close();
        self.world.tasks.wait().await;
    }
}

/// A zip archive in Base64; files are executable.
pub(crate) fn zipped(files: &[(&str, &str)]) -> String {
    BASE64_STANDARD.encode(zip_bytes(files))
}

fn zip_bytes(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer
            .start_file(*name, SimpleFileOptions::default().unix_permissions(0o755))
            .unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Whether the interpreter is there; if not, the test says that it is skipped.
pub(crate) fn has(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(program).is_file());
    if !found {
        eprintln!("skipped: there is no {program} on this machine's PATH");
    }
    found
}

/// Waits for something that is bound to happen.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "it never happened: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn lines(path: &str) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
    })
}

/// A custom runtime that does what the event says.
const OBEDIENT: &str = r#"#!/usr/bin/env python3
import http.client, json, os, subprocess, sys, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None):
    api.request(method, "/2018-06-01/runtime/" + path, body)
    answer = api.getresponse()
    return answer, answer.read()
def append(path):
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
served = 0
while True:
    head, body = call("GET", "invocation/next")
    event = json.loads(body)
    id = head.headers["Lambda-Runtime-Aws-Request-Id"]
    do = event.get("do")
    served += 1
    print("doing", do, flush=True)
    if "append" in event:
        append(event["append"])
    if do == "fail":
        call("POST", f"invocation/{id}/error", json.dumps({"errorType": "Sad", "errorMessage": "as asked"}))
        continue
    if do == "exit":
        sys.exit(event["code"])
    if do == "hang":
        for line in ["sleep 1000", "exec sleep 1000"]:
            child = subprocess.Popen(["sh", "-c", line], start_new_session=True)
            with open(event["pids"], "a") as file:
                file.write(f"{child.pid}\n")
        append(event["pids"])
        time.sleep(1000)
    if do == "meet":
        append(event["file"])
        while len(open(event["file"]).readlines()) < 2:
            time.sleep(0.01)
    if do == "lie":
        answer, _ = call("POST", "invocation/another/response", "{}")
        event["status"] = answer.status
    event["pid"] = os.getpid()
    event["served"] = served
    event["cwd"] = os.getcwd()
    event["headers"] = dict(head.headers)
    event["environment"] = dict(os.environ)
    call("POST", f"invocation/{id}/response", json.dumps(event))
"#;

async fn obedient(members: Value) -> Option<Fixture> {
    if !has("python3") {
        return None;
    }
    let fixture = Fixture::new();
    fixture
        .function(
            "app",
            "provided.al2023",
            "bootstrap",
            &[("bootstrap", OBEDIENT)],
            members,
        )
        .await;
    Some(fixture)
}

#[tokio::test]
async fn a_function_answers_and_its_process_is_used_again() {
    let Some(fixture) = obedient(json!({ "Environment": { "Variables": { "STAGE": "test", "AWS_ENDPOINT_URL_S3": "http://other" } } })).await else {
        return;
    };
    let before = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let first = fixture.invoke("app", json!({ "n": 1 })).await;
    let second = fixture
        .invoke(
            "arn:aws:lambda:us-east-1:000000000000:function:app",
            json!({ "n": 2 }),
        )
        .await;
    assert_eq!(first["StatusCode"], 200);
    assert_eq!(first["ExecutedVersion"], "$LATEST");
    assert!(first.get("FunctionError").is_none(), "{first}");
    let (first, second) = (&first["Payload"], &second["Payload"]);
    assert_eq!((&first["n"], &second["n"]), (&json!(1), &json!(2)));
    assert_eq!(first["pid"], second["pid"], "a warm process is used again");
    assert_eq!(second["served"], 2);

    let headers = &first["headers"];
    assert_eq!(
        headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:app"
    );
    let deadline: i64 = headers["lambda-runtime-deadline-ms"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (before + 29_000..before + 60_000).contains(&deadline),
        "{deadline} {before}"
    );
    assert!(
        headers["lambda-runtime-trace-id"]
            .as_str()
            .unwrap()
            .starts_with("Root=1-")
    );

    let environment = &first["environment"];
    for (name, expected) in [
        ("STAGE", "test"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ENDPOINT_URL_S3", "http://other"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "app"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("_HANDLER", "bootstrap"),
        ("LAMBDA_TASK_ROOT", first["cwd"].as_str().unwrap()),
    ] {
        assert_eq!(environment[name], expected, "{name}");
    }
    assert!(
        environment["AWS_ACCESS_KEY_ID"]
            .as_str()
            .unwrap()
            .starts_with("ASIA")
    );
    assert!(
        environment.get("CARGO_MANIFEST_DIR").is_none(),
        "nothing of this process is passed on"
    );
    assert!(!Path::new(environment["HOME"].as_str().unwrap()).exists());
    fixture.close().await;
}

#[tokio::test]
async fn a_function_s_error_is_the_answer() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    let answer = fixture.invoke("app", json!({ "do": "fail" })).await;
    assert_eq!(answer["FunctionError"], "Unhandled");
    assert_eq!(
        answer["Payload"],
        json!({ "errorType": "Sad", "errorMessage": "as asked" })
    );
    let again = fixture.invoke("app", json!({})).await;
    assert_eq!(
        again["Payload"]["served"], 2,
        "an error leaves the process as it is"
    );
    fixture.close().await;
}

#[tokio::test]
async fn at_the_deadline_everything_that_was_started_is_killed() {
    let Some(fixture) = obedient(json!({ "Timeout": 1 })).await else {
        return;
    };
    let pids = fixture.shared("pids");
    let answer = fixture
        .invoke("app", json!({ "do": "hang", "pids": pids }))
        .await;
    assert_eq!(answer["FunctionError"], "Unhandled");
    let message = answer["Payload"]["errorMessage"].as_str().unwrap();
    assert!(
        message.ends_with(" Task timed out after 1.00 seconds"),
        "{message}"
    );
    let started = std::fs::read_to_string(&pids).unwrap();
    assert_eq!(started.lines().count(), 3, "{started}");
    for pid in started.lines() {
        assert!(!is_alive(pid), "process {pid} is still there");
    }
    let again = fixture.invoke("app", json!({})).await;
    assert_eq!(
        again["Payload"]["served"], 1,
        "a new process serves the next event"
    );
    fixture.close().await;
}

#[tokio::test]
async fn a_process_that_ends_without_an_answer_says_how_it_ended() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    for (code, expected) in [
        (3, "Error: Runtime exited with error: exit status 3"),
        (0, "Error: Runtime exited without providing a reason"),
    ] {
        let answer = fixture
            .invoke("app", json!({ "do": "exit", "code": code }))
            .await;
        assert_eq!(answer["FunctionError"], "Unhandled");
        assert_eq!(answer["Payload"]["errorType"], "Runtime.ExitError");
        let message = answer["Payload"]["errorMessage"].as_str().unwrap();
        assert!(message.ends_with(expected), "{message}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn two_events_at_once_have_two_processes() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    let event = json!({ "do": "meet", "file": fixture.shared("meeting") });
    let (left, right) = tokio::join!(
        fixture.invoke("app", event.clone()),
        fixture.invoke("app", event.clone())
    );
    assert_ne!(left["Payload"]["pid"], right["Payload"]["pid"]);
    fixture.close().await;
}

#[tokio::test]
async fn an_answer_to_another_event_is_not_taken() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    let answer = fixture.invoke("app", json!({ "do": "lie" })).await;
    assert_eq!(answer["Payload"]["status"], 400);
    fixture.close().await;
}

#[tokio::test]
async fn an_asynchronous_event_is_tried_again_as_often_as_configured() {
    for (retries, expected) in [(None, 3), (Some(1), 2), (Some(0), 1)] {
        let Some(fixture) = obedient(json!({})).await else {
            return;
        };
        let mut rules = json!({
            "FunctionName": "app",
            "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:sqs:us-east-1:000000000000:dead" } },
        });
        if let Some(retries) = retries {
            rules["MaximumRetryAttempts"] = json!(retries);
        }
        fixture
            .call("PutFunctionEventInvokeConfig", rules)
            .await
            .unwrap();
        let file = fixture.shared("tries");
        let payload = json!({ "do": "fail", "append": file }).to_string();
        let request =
            json!({ "FunctionName": "app", "InvocationType": "Event", "Payload": payload });
        assert_eq!(
            fixture.call("Invoke", request).await.unwrap()["StatusCode"],
            202
        );
        // The destination is where the event goes when it is given up.
        let given_up = || {
            fixture
                .world
                .fidelity
                .report()
                .to_string()
                .contains("destinations")
        };
        eventually("that the event is given up", given_up).await;
        assert_eq!(lines(&file), expected, "{retries:?}");
        fixture.close().await;
    }
}

#[tokio::test]
async fn an_event_is_delivered_twice_on_request() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    fixture.world.lambda.duplicate_next("app");
    for (file, expected) in [("twice", 2), ("once", 1)] {
        let file = fixture.shared(file);
        let payload = json!({ "append": file }).to_string();
        let request =
            json!({ "FunctionName": "app", "InvocationType": "Event", "Payload": payload });
        fixture.call("Invoke", request).await.unwrap();
        eventually("the delivery", || lines(&file) >= expected).await;
        fixture.invoke("app", json!({})).await;
        assert_eq!(lines(&file), expected);
    }
    fixture.close().await;
}

#[tokio::test]
async fn reserved_concurrency_throttles_who_waits_and_delays_who_does_not() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    let reserve =
        |number: u32| json!({ "FunctionName": "app", "ReservedConcurrentExecutions": number });
    fixture
        .call("PutFunctionConcurrency", reserve(0))
        .await
        .unwrap();
    let error = fixture
        .call("Invoke", json!({ "FunctionName": "app" }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.status),
        ("TooManyRequestsException", 429)
    );
    let file = fixture.shared("delayed");
    let payload = json!({ "append": file }).to_string();
    let request = json!({ "FunctionName": "app", "InvocationType": "Event", "Payload": payload });
    fixture.call("Invoke", request).await.unwrap();
    assert_eq!(lines(&file), 0);
    fixture
        .call("PutFunctionConcurrency", reserve(1))
        .await
        .unwrap();
    eventually("the delayed delivery", || lines(&file) == 1).await;
    fixture.close().await;
}

#[tokio::test]
async fn new_code_serves_the_next_event_and_the_old_process_ends() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    let old = fixture.invoke("app", json!({})).await["Payload"]["pid"].to_string();
    let changed = OBEDIENT.replace("served = 0", "served = 100");
    let request = json!({ "FunctionName": "app", "ZipFile": zipped(&[("bootstrap", &changed)]) });
    fixture.call("UpdateFunctionCode", request).await.unwrap();
    assert_eq!(
        fixture.invoke("app", json!({})).await["Payload"]["served"],
        101
    );
    eventually("the end of the old process", || !is_alive(&old)).await;
    let now = fixture.invoke("app", json!({})).await["Payload"]["pid"].to_string();
    assert!(is_alive(&now) || !Path::new("/proc").exists());
    fixture
        .call("DeleteFunction", json!({ "FunctionName": "app" }))
        .await
        .unwrap();
    eventually("the end of the deleted function's process", || {
        !is_alive(&now)
    })
    .await;
    fixture.close().await;
}

#[tokio::test]
async fn shutting_down_leaves_no_process_and_no_directory() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    let answer = fixture.invoke("app", json!({})).await;
    let environments = fixture.world.settings.state_dir.join("environments");
    assert_eq!(std::fs::read_dir(&environments).unwrap().count(), 1);
    fixture.world.lambda.shutdown().await;
    assert!(!is_alive(&answer["Payload"]["pid"].to_string()));
    assert_eq!(std::fs::read_dir(&environments).unwrap().count(), 0);
    fixture.close().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let fixture = Fixture::new();
    for (name, files, kind, expected) in [
        (
            "none",
            &[("readme", "x")][..],
            "Runtime.InvalidEntrypoint",
            "Couldn't find valid bootstrap(s): [",
        ),
        (
            "shebang",
            &[("bootstrap", "#!/no/such/interpreter\n")],
            "Runtime.InvalidEntrypoint",
            "no such file or directory",
        ),
        (
            "ends",
            &[("bootstrap", "#!/bin/sh\nexit 7\n")],
            "Runtime.ExitError",
            "Runtime exited with error: exit status 7",
        ),
        (
            "killed",
            &[("bootstrap", "#!/bin/sh\nkill -9 $$\n")],
            "Runtime.ExitError",
            "signal: killed",
        ),
    ] {
        fixture
            .function(name, "provided.al2023", "x", files, json!({}))
            .await;
        let answer = fixture.invoke(name, json!({})).await;
        assert_eq!(answer["Payload"]["errorType"], kind, "{name}");
        let message = answer["Payload"]["errorMessage"].as_str().unwrap();
        assert!(message.contains(expected), "{name}: {message}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn an_image_runs_its_entry_point_inside_the_registered_root() {
    if !has("python3") {
        return;
    }
    let fixture = Fixture::new();
    let zip = zip_bytes(&[("functions/app", OBEDIENT)]);
    let uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/tools:1";
    let request = |entry: Value| {
        json!({
            "FunctionName": "tool",
            "PackageType": "Image",
            "Role": "role",
            "Code": { "ImageUri": uri },
            "ImageConfig": { "EntryPoint": entry },
        })
    };
    let unknown = fixture
        .call("CreateFunction", request(json!(["/functions/app"])))
        .await
        .unwrap_err();
    assert!(
        unknown.message.contains(uri) && unknown.message.contains("/_towpath/images/"),
        "{unknown}"
    );
    fixture
        .world
        .lambda
        .register_image(&fixture.world, uri, zip.into())
        .await
        .unwrap();
    fixture
        .call("CreateFunction", request(json!(["/functions/app"])))
        .await
        .unwrap();
    let answer = fixture.invoke("tool", json!({ "n": 1 })).await;
    assert_eq!(answer["Payload"]["n"], 1, "{answer}");
    for (entry, expected) in [
        (
            json!(["/functions/../../x"]),
            "is not a path inside the image",
        ),
        (
            json!(["/functions/other"]),
            "the image has no file `/functions/other`",
        ),
        (json!([]), "set ImageConfig.EntryPoint"),
    ] {
        let request = json!({ "FunctionName": "tool", "ImageConfig": { "EntryPoint": entry } });
        fixture
            .call("UpdateFunctionConfiguration", request)
            .await
            .unwrap();
        let answer = fixture.invoke("tool", json!({})).await;
        let message = answer["Payload"]["errorMessage"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(expected), "{message}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn the_end_of_the_output_comes_with_the_answer_when_asked_for() {
    let Some(fixture) = obedient(json!({})).await else {
        return;
    };
    let request =
        json!({ "FunctionName": "app", "LogType": "Tail", "Payload": "{\"do\":\"talk\"}" });
    let answer = fixture.call("Invoke", request).await.unwrap();
    let tail = BASE64_STANDARD
        .decode(answer["LogResult"].as_str().unwrap())
        .unwrap();
    let tail = String::from_utf8(tail).unwrap();
    for expected in [
        "START RequestId: ",
        "Version: $LATEST",
        "doing talk",
        "END RequestId: ",
        "REPORT RequestId: ",
    ] {
        assert!(tail.contains(expected), "{expected}: {tail}");
    }
    fixture.close().await;
}
