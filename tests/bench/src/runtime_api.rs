//! A Runtime API that only watches: when a process asks for its first event, and how fast it answers.
//!
//! The same server stands for the Runtime API and for CodePipeline, so that both sides of a
//! comparison talk to the very same thing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

/// What the watched process did, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It asked for an event.
    Next(Instant),
    /// It reported the job to CodePipeline.
    Reported(Instant),
    /// It answered the event.
    Answered(Instant),
}

/// The server.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    pub(crate) seen: mpsc::UnboundedReceiver<Seen>,
    events: mpsc::UnboundedSender<Bytes>,
}

impl RuntimeApi {
    /// Serves on a free port.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (tell, seen) = mpsc::unbounded_channel();
        let (events, queue) = mpsc::unbounded_channel::<Bytes>();
        let queue = Arc::new(Mutex::new(queue));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, queue) = (tell.clone(), queue.clone());
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    let answer =
                        service_fn(|request: Request<Incoming>| answer(request, &tell, &queue));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        Ok(Self {
            address,
            seen,
            events,
        })
    }

    /// Hands out an event to whoever asks next.
    pub(crate) fn send(&self, event: &serde_json::Value) {
        let _ = self.events.send(Bytes::from(event.to_string()));
    }
}

async fn answer(
    request: Request<Incoming>,
    tell: &mpsc::UnboundedSender<Seen>,
    queue: &Mutex<mpsc::UnboundedReceiver<Bytes>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let respond = |status: StatusCode, body: &'static str| {
        Response::builder()
            .status(status)
            .body(Full::from(body))
            .expect("a plain response")
    };
    if path.ends_with("/invocation/next") {
        let _ = tell.send(Seen::Next(Instant::now()));
        let Some(event) = queue.lock().await.recv().await else {
            return Ok(respond(StatusCode::GONE, ""));
        };
        let deadline = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.as_millis() + 60_000);
        return Ok(Response::builder()
            .header(
                "lambda-runtime-aws-request-id",
                "11111111-2222-3333-4444-555555555555",
            )
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:bench",
            )
            .header("content-type", "application/json")
            .body(Full::new(event))
            .expect("a plain response"));
    }
    if path.ends_with("/response") || path.ends_with("/error") {
        let _ = tell.send(Seen::Answered(Instant::now()));
        return Ok(respond(StatusCode::ACCEPTED, ""));
    }
    let _ = tell.send(Seen::Reported(Instant::now()));
    Ok(Response::builder()
        .header("content-type", "application/x-amz-json-1.1")
        .body(Full::from("{}"))
        .expect("a plain response"))
}

/// A CodePipeline job event with these parameters and no artifacts.
pub(crate) fn event(parameters: &str) -> serde_json::Value {
    serde_json::json!({"CodePipeline.job": {
        "id": "11111111-2222-3333-4444-555555555555",
        "accountId": "000000000000",
        "data": {
            "actionConfiguration": {"configuration": {"FunctionName": "bench", "UserParameters": parameters}},
            "inputArtifacts": [],
            "outputArtifacts": [],
            "artifactCredentials": {
                "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "example", "sessionToken": "example"
            }
        }
    }})
}
