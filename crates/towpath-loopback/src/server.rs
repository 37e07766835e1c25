//! The one port: HTTP in, routing, HTTP out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::cloudformation::CUSTOM_RESOURCES;
use crate::s3::{CutSlot, Question};
use crate::{World, control, router};

/// A request whose body has been read.
pub(crate) type Request = http::Request<Bytes>;

/// An answer whose body is complete.
pub(crate) type Response = http::Response<Full<Bytes>>;

/// What any part of the server answers: S3's bodies are streams.
type Answer = http::Response<s3s::Body>;

/// The connection is closed without an answer, because a fault rule says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is cut by a fault rule")]
pub(crate) struct CutConnection;

/// The largest body that is read whole: Lambda's code in a request, and more than any other API takes.
const LARGEST_CALL: usize = 128 * 1024 * 1024;

/// The largest body of a control request: an image's files.
const LARGEST_UPLOAD: usize = 2 * 1024 * 1024 * 1024;

/// How long connections may finish what they are answering when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until the world stops, then lets answers finish and closes every connection.
pub(crate) async fn serve(listener: TcpListener, world: Arc<World>) {
    let s3 = world.s3.service(&world);
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = world.stopping.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, mostly: others may close theirs.
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        connections.spawn(converse(stream, world.clone(), s3.clone()));
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        connections.shutdown().await;
    }
}

async fn converse(stream: TcpStream, world: Arc<World>, s3: S3Service) {
    let _ = stream.set_nodelay(true);
    let stopping = world.stopping.clone();
    let service = service_fn(move |request| {
        let (world, s3) = (world.clone(), s3.clone());
        async move { route(&world, &s3, request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Control, Runtime API and deployed APIs by their paths; AWS's own by what the signature names.
async fn route(
    world: &Arc<World>,
    s3: &S3Service,
    request: http::Request<Incoming>,
) -> Result<Answer, CutConnection> {
    let path = request.uri().path();
    if path.starts_with("/_runtime/") {
        // A runtime that goes away ends its own poll: this future is dropped with the connection.
        let answer = match whole(request, LARGEST_CALL).await {
            Ok(request) => world.lambda.runtime(world, request).await,
            Err(refusal) => refusal,
        };
        return Ok(stream(answer));
    }
    if path.starts_with("/_codebuild/") {
        let answer = match whole(request, LARGEST_CALL).await {
            Ok(request) => world.codebuild.credentials(world, &request),
            Err(refusal) => refusal,
        };
        return Ok(stream(answer));
    }
    if path.starts_with(CUSTOM_RESOURCES) {
        let answer = match whole(request, LARGEST_CALL).await {
            Ok(request) => world.cloudformation.answered(&request),
            Err(refusal) => refusal,
        };
        return Ok(stream(answer));
    }
    if path.starts_with("/_api/") {
        let answer = match whole(request, LARGEST_CALL).await {
            Ok(request) => world.apigateway.execute(world, request).await,
            Err(refusal) => refusal,
        };
        return Ok(stream(answer));
    }
    if path.starts_with("/_towpath/") {
        let answer = match whole(request, LARGEST_UPLOAD).await {
            Ok(request) => control::answer(world, request).await,
            Err(refusal) => refusal,
        };
        return Ok(stream(answer));
    }

    let (parts, body) = request.into_parts();
    let service = router::service(&parts)
        .or_else(|| router::looks_like_api(&parts).then(|| "unknown".to_owned()));
    match service {
        Some(service) if service != "s3" => {
            match whole(http::Request::from_parts(parts, body), LARGEST_CALL).await {
                Ok(request) => {
                    let (parts, body) = request.into_parts();
                    router::answer(world, &service, &parts, &body)
                        .await
                        .map(stream)
                }
                Err(refusal) => Ok(stream(refusal)),
            }
        }
        _ => answer_s3(world, s3, http::Request::from_parts(parts, body)).await,
    }
}

/// Hands a request to S3 in a task of its own, so that what a client began is finished or undone whole.
async fn answer_s3(
    world: &World,
    s3: &S3Service,
    request: http::Request<Incoming>,
) -> Result<Answer, CutConnection> {
    let question = Question::of(&request);
    let mut request = request.map(s3s::Body::from);
    let slot = CutSlot::default();
    request.extensions_mut().insert(slot.clone());
    let s3 = s3.clone();
    let answered = world
        .tasks
        .spawn(async move { s3.call(request).await })
        .await;
    if slot.get().is_some() {
        return Err(CutConnection);
    }
    let mut answer = match answered {
        Ok(Ok(answer)) => question.reword(answer).await,
        Ok(Err(error)) => stream(self::answer(
            500,
            "text/plain",
            format!("S3 failed to answer: {error:?}"),
        )),
        Err(panic) => stream(self::answer(
            500,
            "text/plain",
            format!("S3 failed: {panic}"),
        )),
    };
    let id = uuid::Uuid::new_v4().simple().to_string();
    if let Ok(id) = http::HeaderValue::from_str(&id[..16].to_ascii_uppercase()) {
        answer.headers_mut().insert("x-amz-request-id", id.clone());
        answer.headers_mut().insert("x-amz-id-2", id);
    }
    Ok(answer)
}

/// The request with its body read, or the refusal of one that is too large or broken off.
async fn whole(request: http::Request<Incoming>, limit: usize) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(http::Request::from_parts(parts, body.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(answer(
            413,
            "text/plain",
            format!("the body has more than {limit} bytes"),
        )),
        Err(error) => Err(answer(
            400,
            "text/plain",
            format!("the body could not be read: {error}"),
        )),
    }
}

fn stream(response: Response) -> Answer {
    response.map(|body| {
        let bytes = body.into_inner().unwrap_or_default();
        s3s::Body::from(bytes)
    })
}

/// An answer with a text or JSON body.
pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(Full::new(body.into()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = http::HeaderValue::from_str(content_type) {
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, value);
    }
    response
}
