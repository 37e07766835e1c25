//! The Runtime API: how a function's process gets its events and answers them.
//!
//! Every environment has a port of its own on 127.0.0.1, because clients of this API are told a
//! host and a port and nothing else: `AWS_LAMBDA_RUNTIME_API=127.0.0.1:PORT`. Some would accept a
//! path behind it, with or without a scheme in front (Rust's wants the scheme, Go's and a shell's
//! `http://$AWS_LAMBDA_RUNTIME_API/…` do not); none refuses a plain port, and a process that was
//! killed cannot be mistaken for its successor. The port closes with the environment. The same API is
//! served below `/_runtime/<environment id>` of the loopback's own port.
//!
//! Documented at <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use super::environment::{Answer, Environment, deadline_ms};
use crate::World;
use crate::server::{Request, Response, answer};

/// What a function may answer at most (documented as 6 MB).
pub(crate) const RESPONSE_LIMIT: usize = 6_291_556;

const VERSION: &str = "/2018-06-01/runtime/";

/// Serves an environment on its own port until it ends.
pub(crate) fn serve(world: &Arc<World>, environment: &Arc<Environment>, listener: TcpListener) {
    let environment = Arc::clone(environment);
    let tasks = world.tasks.clone();
    world.tasks.spawn(async move {
        loop {
            let stream = tokio::select! {
                _ = environment.ended() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Too many open files, say: the process will ask again.
                        tracing::warn!(function = environment.function, "failed to accept a Runtime API connection: {error}");
                        tokio::task::yield_now().await;
                        continue;
                    }
                },
            };
            let _ = stream.set_nodelay(true);
            let environment = Arc::clone(&environment);
            tasks.spawn(async move {
                let service = service_fn(|request| receive(&environment, request));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ = environment.ended() => {}
                    _ = connection => {}
                }
            });
        }
    });
}

async fn receive(
    environment: &Environment,
    request: http::Request<Incoming>,
) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    // One byte more than allowed is enough to know.
    let body = match Limited::new(body, RESPONSE_LIMIT + 1).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::from(vec![b' '; RESPONSE_LIMIT + 1]),
    };
    let path = parts.uri.path().to_owned();
    Ok(respond(environment, &path, &Request::from_parts(parts, body)).await)
}

/// Answers one request; `path` is what follows the API's base.
pub(crate) async fn respond(environment: &Environment, path: &str, request: &Request) -> Response {
    let Some(path) = path.strip_prefix(VERSION) else {
        return error(
            404,
            "InvalidPath",
            "the Runtime API is served below /2018-06-01/runtime/",
        );
    };
    let segments: Vec<&str> = path.split('/').collect();
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(environment).await,
        (&Method::POST, ["invocation", id, "response"]) => response(environment, id, request),
        (&Method::POST, ["invocation", id, "error"]) => {
            let report = report(request);
            settle(
                environment,
                id,
                Answer {
                    payload: report,
                    failed: true,
                },
            )
        }
        (&Method::POST, ["init", "error"]) => {
            environment.refuse(report(request));
            accepted()
        }
        _ => error(
            404,
            "InvalidPath",
            &format!("the Runtime API has no {} {path}", request.method()),
        ),
    }
}

async fn next(environment: &Environment) -> Response {
    let Some(event) = environment.next().await else {
        return error(500, "Closed", "the environment is closing");
    };
    let mut response = answer(200, "application/json", event.payload);
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let headers = [
        ("lambda-runtime-aws-request-id", event.request_id),
        (
            "lambda-runtime-deadline-ms",
            deadline_ms(event.timeout).to_string(),
        ),
        ("lambda-runtime-invoked-function-arn", event.arn),
        (
            "lambda-runtime-trace-id",
            format!(
                "Root=1-{}-{};Parent={};Sampled=0",
                &trace[..8],
                &trace[8..],
                &trace[..16]
            ),
        ),
        (
            "lambda-runtime-client-context",
            event.client_context.unwrap_or_default(),
        ),
    ];
    for (name, value) in headers {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn response(environment: &Environment, id: &str, request: &Request) -> Response {
    let size = request.body().len();
    if size <= RESPONSE_LIMIT {
        return settle(
            environment,
            id,
            Answer {
                payload: request.body().clone(),
                failed: false,
            },
        );
    }
    let too_large = json!({
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."),
    });
    let refused = Answer {
        payload: too_large.to_string().into(),
        failed: true,
    };
    settle(environment, id, refused);
    error(
        413,
        "RequestEntityTooLarge",
        &format!("Exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."),
    )
}

fn settle(environment: &Environment, id: &str, answer: Answer) -> Response {
    if environment.answer(id, answer) {
        accepted()
    } else {
        error(400, "InvalidRequestID", "Invalid request ID")
    }
}

/// The error document of a report; one without a body is made from its header.
fn report(request: &Request) -> Bytes {
    if !request.body().is_empty() {
        return request.body().clone();
    }
    let kind = request
        .headers()
        .get("lambda-runtime-function-error-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("Runtime.Unknown");
    json!({ "errorType": kind, "errorMessage": "" })
        .to_string()
        .into()
}

fn accepted() -> Response {
    answer(202, "application/json", r#"{"status":"OK"}"#)
}

/// An error in the Runtime API's own shape.
pub(crate) fn error(status: u16, kind: &str, message: &str) -> Response {
    answer(
        status,
        "application/json",
        json!({ "errorType": kind, "errorMessage": message }).to_string(),
    )
}
