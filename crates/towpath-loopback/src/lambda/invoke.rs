//! Invocations: one event, in the environment that the pool gives, to the answer that Lambda gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::environment::{Answer, End, Environment, Event, Phase, Ran, milliseconds_since};
use super::function::{EventInvoke, Version};
use super::name::{FunctionName, LATEST, arn};
use super::process;
use crate::{AwsError, World, input};

/// An event and an answer may be this long when the caller waits (documented as 6 MB).
const SYNC_LIMIT: usize = 6 * 1024 * 1024;

/// An asynchronous event may be this long (documented as 1 MB).
const ASYNC_LIMIT: usize = 1024 * 1024;

/// How long a process may take until it asks for its first event. A second try, as in AWS, may take
/// as long as the function's own timeout.
const INIT: Duration = Duration::from_secs(10);

/// How long `LogResult` waits for the last lines of an invocation to come out of the pipe.
const LAST_LINES: Duration = Duration::from_millis(50);

/// An event on its way to a function.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) name: FunctionName,
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    pub(crate) client_context: Option<String>,
    /// `LogType=Tail`.
    pub(crate) wants_log: bool,
}

impl Invocation {
    /// An event for the function or version of that name.
    pub(crate) fn new(name: FunctionName, payload: impl Into<Bytes>) -> Self {
        Self {
            name,
            request_id: uuid::Uuid::new_v4().to_string(),
            payload: payload.into(),
            client_context: None,
            wants_log: false,
        }
    }
}

/// What an invocation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The answer, or a JSON document with `errorType` and `errorMessage`.
    pub(crate) payload: Bytes,
    /// The function failed, timed out or ended.
    pub(crate) failed: bool,
    /// The last of its output, if it was asked for.
    pub(crate) tail: Option<String>,
    /// The version that ran.
    pub(crate) version: String,
}

/// Answers an `Invoke` request.
pub(crate) async fn invoke(
    world: &Arc<World>,
    name: FunctionName,
    request: &Value,
) -> Result<Value, AwsError> {
    let kind = input::text(request, "InvocationType").unwrap_or_else(|| "RequestResponse".into());
    let version = world.lambda.version(world, &name)?;
    let payload = match request.get("Payload") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(document) => document.to_string(),
    };
    let payload = if payload.is_empty() {
        "{}".to_owned()
    } else {
        payload
    };
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&payload) {
        return Err(AwsError::client(
            "InvalidRequestContentException",
            format!("Could not parse request body into json: {error}"),
        ));
    }
    let mut invocation = Invocation::new(name, payload);
    invocation.client_context =
        input::text(request, "ClientContext").filter(|given| !given.is_empty());
    invocation.wants_log = input::text(request, "LogType").as_deref() == Some("Tail");
    match kind.as_str() {
        "DryRun" => Ok(json!({ "StatusCode": 204, "Payload": "" })),
        "Event" => {
            within(&invocation.payload, ASYNC_LIMIT)?;
            enqueue(world, invocation);
            Ok(json!({ "StatusCode": 202, "Payload": "" }))
        }
        "RequestResponse" => {
            within(&invocation.payload, SYNC_LIMIT)?;
            let outcome = run(world, version, invocation).await?;
            let mut shown = json!({
                "StatusCode": 200,
                "Payload": String::from_utf8_lossy(&outcome.payload),
                "ExecutedVersion": outcome.version,
            });
            if outcome.failed {
                shown["FunctionError"] = json!("Unhandled");
            }
            if let Some(tail) = outcome.tail {
                shown["LogResult"] = json!(BASE64_STANDARD.encode(tail));
            }
            Ok(shown)
        }
        other => Err(AwsError::client(
            "ValidationException",
            format!(
                "1 validation error detected: Value '{other}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]"
            ),
        )),
    }
}

fn within(payload: &Bytes, limit: usize) -> Result<(), AwsError> {
    if payload.len() <= limit {
        return Ok(());
    }
    Err(AwsError::client(
        "RequestEntityTooLargeException",
        format!("Request must be smaller than {limit} bytes for the InvokeFunction operation"),
    )
    .with_status(413))
}

/// Serves an event now. It goes on to its end even when nobody waits for it any more.
pub(crate) async fn run(
    world: &Arc<World>,
    version: Arc<Version>,
    invocation: Invocation,
) -> Result<Outcome, AwsError> {
    let task = Arc::clone(world);
    world
        .tasks
        .spawn(async move { admitted(&task, &version, &invocation).await })
        .await
        .map_err(|error| AwsError::internal(format!("the invocation was cut off: {error}")))?
        .ok_or_else(|| {
            AwsError::client("TooManyRequestsException", "Rate Exceeded.").with_status(429)
        })
}

/// `None` when the function's reserved concurrency is used up.
async fn admitted(
    world: &Arc<World>,
    version: &Arc<Version>,
    invocation: &Invocation,
) -> Option<Outcome> {
    let pool = &world.lambda.pool;
    let reserved = world.lambda.reserved_concurrency(&version.function);
    let ticket = pool.admit(&version.function, reserved)?;
    let _ticket = pool.wait(ticket).await;
    Some(execute(world, version, invocation).await)
}

/// Serves an event without a caller: at once, and again after a failure.
pub(crate) fn enqueue(world: &Arc<World>, invocation: Invocation) {
    let copies = if world.lambda.take_duplicate(&invocation.name.name) {
        2
    } else {
        1
    };
    for _ in 0..copies {
        let (task, invocation) = (Arc::clone(world), invocation.clone());
        world.tasks.spawn(async move {
            tokio::select! {
                () = task.stopping.cancelled() => {}
                () = deliver(&task, &invocation) => {}
            }
        });
    }
}

/// The life of an asynchronous event.
async fn deliver(world: &Arc<World>, invocation: &Invocation) {
    let accepted = Instant::now();
    let mut failures = 0;
    loop {
        let Ok(version) = world.lambda.version(world, &invocation.name) else {
            tracing::warn!(
                function = invocation.name.name,
                "an event is dropped: its function is gone"
            );
            return;
        };
        let rules = world.lambda.event_invoke(&invocation.name);
        let freed = world.lambda.pool.freed.notified();
        let outcome = admitted(world, &version, invocation).await;
        let left = Duration::from_secs(rules.age.into()).saturating_sub(accepted.elapsed());
        let wait = match outcome {
            Some(outcome) if !outcome.failed => {
                destination(world, &rules, "OnSuccess");
                return;
            }
            Some(_) if failures >= rules.retries => {
                destination(world, &rules, "OnFailure");
                return;
            }
            Some(_) => {
                failures += 1;
                world.settings.async_retry_delay * failures
            }
            // Throttled: not a failure of the function.
            None => {
                if tokio::time::timeout(left, freed).await.is_err() {
                    destination(world, &rules, "OnFailure");
                    return;
                }
                continue;
            }
        };
        if wait > left {
            destination(world, &rules, "OnFailure");
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

fn destination(world: &World, rules: &EventInvoke, which: &str) {
    let configured = rules
        .destinations
        .as_ref()
        .and_then(|all| all.get(which)?.get("Destination"));
    if configured.is_some() {
        world
            .fidelity
            .simulated("Lambda dead-letter queues and destinations: recorded, nothing is sent");
    }
}

async fn execute(world: &Arc<World>, version: &Arc<Version>, invocation: &Invocation) -> Outcome {
    let timeout = Duration::from_secs(version.configuration.timeout.into());
    let event = Event {
        request_id: invocation.request_id.clone(),
        arn: arn(
            world,
            &version.function,
            invocation.name.qualifier.as_deref(),
        ),
        payload: invocation.payload.clone(),
        client_context: invocation.client_context.clone(),
        timeout,
    };
    loop {
        let (environment, init) = match world.lambda.pool.take(version) {
            Some(environment) => (environment, None),
            None => match initialise(world, version, &event.request_id).await {
                Ok((environment, took)) => (environment, Some(took)),
                Err(outcome) => return outcome,
            },
        };
        environment.log_start(world, &event.request_id);
        let start = Instant::now();
        let ran = environment.run(event.clone()).await;
        if matches!(ran, Ran::Undelivered) && init.is_none() {
            world.lambda.give_back(&environment, false); // it ended, or got stuck, after its last event
            continue;
        }
        return conclude(world, version, invocation, &environment, ran, start, init).await;
    }
}

/// A new environment that has asked for its first event, and how long that took.
async fn initialise(
    world: &Arc<World>,
    version: &Arc<Version>,
    request_id: &str,
) -> Result<(Arc<Environment>, f64), Outcome> {
    let failure =
        |kind: &str, message: &str| failed(version, &error_document(kind, request_id, message));
    let timeout = Duration::from_secs(version.configuration.timeout.into());
    for limit in [INIT, timeout] {
        let start = Instant::now();
        let environment = match process::start(world, version).await {
            Ok(environment) => environment,
            Err(unstartable) => return Err(failure(unstartable.kind, &unstartable.message)),
        };
        world.lambda.pool.add(&environment);
        let phase = tokio::time::timeout(limit, environment.started()).await;
        let took = milliseconds_since(start);
        if phase == Ok(Phase::Ready) {
            return Ok((environment, took));
        }
        let report = |status: &str| {
            format!("INIT_REPORT Init Duration: {took:.2} ms\tPhase: init\tStatus: {status}")
        };
        match phase {
            Err(_) => environment.log(world, &report("timeout")),
            Ok(Phase::Refused) => {
                // It says more with its last lines, and ends by itself.
                let _ = tokio::time::timeout(INIT, environment.ended()).await;
                environment.log(world, &report("error"));
            }
            Ok(_) => environment.log(world, &report("error")),
        }
        world.lambda.give_back(&environment, false);
        let end = environment.ended().await;
        if let Some(refusal) = environment.refusal() {
            return Err(failed(version, &refusal));
        }
        if phase.is_ok() {
            environment.log(world, &format!("RequestId: {request_id} Error: {end}"));
            return Err(failure("Runtime.ExitError", &end.to_string()));
        }
    }
    Err(failed(version, &timed_out(request_id, timeout)))
}

/// From what the process did to what the caller gets.
async fn conclude(
    world: &Arc<World>,
    version: &Version,
    invocation: &Invocation,
    environment: &Arc<Environment>,
    ran: Ran,
    start: Instant,
    init: Option<f64>,
) -> Outcome {
    let took = milliseconds_since(start);
    let timeout = Duration::from_secs(version.configuration.timeout.into());
    let request_id = &invocation.request_id;
    let (keep, mut outcome) = match ran {
        Ran::Answered(Answer {
            payload,
            failed: false,
        }) => (
            true,
            Outcome {
                payload,
                failed: false,
                tail: None,
                version: version.number.clone(),
            },
        ),
        Ran::Answered(Answer {
            payload,
            failed: true,
        }) => (true, failed(version, &payload)),
        Ran::TimedOut => (false, failed(version, &timed_out(request_id, timeout))),
        Ran::Exited(end) => (false, exited(version, request_id, end)),
        Ran::Undelivered => {
            environment.kill.cancel();
            (
                false,
                exited(version, request_id, environment.ended().await),
            )
        }
    };
    if invocation.wants_log && keep {
        tokio::time::sleep(LAST_LINES).await;
    }
    if !keep {
        // Whoever learns of the failure finds nothing of the invocation running any more.
        world.lambda.give_back(environment, false);
        environment.ended().await;
        if let Some(message) = message_of(&outcome.payload) {
            environment.log(world, &message);
        }
    }
    environment.log(world, &format!("END RequestId: {request_id}"));
    let init = init.map_or_else(String::new, |init| format!("\tInit Duration: {init:.2} ms"));
    environment.log(
        world,
        &format!(
            "REPORT RequestId: {request_id}\tDuration: {took:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB{init}",
            took.ceil(),
            version.configuration.memory
        ),
    );
    if invocation.wants_log {
        outcome.tail = Some(environment.tail());
    }
    if keep {
        world.lambda.give_back(environment, true);
    }
    outcome
}

fn failed(version: &Version, payload: &[u8]) -> Outcome {
    Outcome {
        payload: Bytes::copy_from_slice(payload),
        failed: true,
        tail: None,
        version: version.number.clone(),
    }
}

fn exited(version: &Version, request_id: &str, end: End) -> Outcome {
    failed(
        version,
        &error_document("Runtime.ExitError", request_id, &end.to_string()),
    )
}

fn error_document(kind: &str, request_id: &str, message: &str) -> Vec<u8> {
    json!({
        "errorType": kind,
        "errorMessage": format!("RequestId: {request_id} Error: {message}"),
    })
    .to_string()
    .into_bytes()
}

fn timed_out(request_id: &str, timeout: Duration) -> Vec<u8> {
    let now = OffsetDateTime::now_utc()
        .format(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        ))
        .unwrap_or_default();
    json!({
        "errorMessage": format!("{now} {request_id} Task timed out after {:.2} seconds", timeout.as_secs_f64()),
    })
    .to_string()
    .into_bytes()
}

fn message_of(payload: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(payload).ok()?;
    input::text(&document, "errorMessage")
}

impl super::Lambda {
    /// The retry rules for events that were sent to that name.
    fn event_invoke(&self, name: &FunctionName) -> EventInvoke {
        let qualifier = name.qualifier.as_deref().unwrap_or(LATEST);
        self.read(&name.name, |function| {
            function.event_invoke.get(qualifier).cloned()
        })
        .flatten()
        .unwrap_or_default()
    }

    fn reserved_concurrency(&self, function: &str) -> Option<u32> {
        self.read(function, |function| function.reserved_concurrency)
            .flatten()
    }

    /// Ends the event of an environment, which may serve another if `keep` and if its code is still current.
    fn give_back(&self, environment: &Arc<Environment>, keep: bool) {
        let keep = keep
            && self
                .read(&environment.function, |function| {
                    function.is_current(&environment.number, &environment.revision)
                })
                .unwrap_or(false);
        self.pool.give_back(environment, keep);
    }
}
