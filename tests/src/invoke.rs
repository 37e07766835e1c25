//! The calls of Lambda that a test makes itself, over the wire.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};

/// Invokes a function and waits: whether it failed, and its answer.
pub(crate) fn invoke(
    port: u16,
    credentials: Credentials,
    function: &str,
    payload: &Value,
) -> (bool, Value) {
    let path = format!("/2015-03-31/functions/{function}/invocations");
    let (head, answer) = call(port, credentials, "POST", &path, payload);
    let failed = head.to_ascii_lowercase().contains("x-amz-function-error");
    (failed, answer)
}

/// Reserves so much concurrency for a function, which is all that it has then.
pub(crate) fn reserve(port: u16, credentials: Credentials, function: &str, concurrency: u32) {
    let path = format!("/2017-10-31/functions/{function}/concurrency");
    let reserved = json!({ "ReservedConcurrentExecutions": concurrency });
    call(port, credentials, "PUT", &path, &reserved);
}

/// One request: the head of the answer, and its body.
fn call(
    port: u16,
    credentials: Credentials,
    method: &str,
    path: &str,
    payload: &Value,
) -> (String, Value) {
    let host = format!("127.0.0.1:{port}");
    let body = payload.to_string();
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .expect("all is set")
        .into();
    let url = format!("http://{host}{path}");
    let request = SignableRequest::new(
        method,
        url,
        [("host", host.as_str())].into_iter(),
        SignableBody::Bytes(body.as_bytes()),
    )
    .expect("a request");
    let (signed, _) = sign(request, &parameters)
        .expect("a signature")
        .into_parts();
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in signed.headers() {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text.push_str(&body);

    let mut stream = TcpStream::connect(host).expect("the loopback listens");
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let body = serde_json::from_str(body).expect("a JSON document");
    (head.to_owned(), body)
}
