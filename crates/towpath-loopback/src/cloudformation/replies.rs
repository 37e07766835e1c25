//! Where the providers of custom resources answer: one-time addresses on the loopback's own port.
//!
//! AWS hands a provider a presigned URL of S3, which holds for one `PUT` by whoever knows it. Here it is
//! `/_custom/<secret>`; the secret is gone with the first answer, or when nobody waits for it any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::Method;
use tokio::sync::oneshot;

use crate::World;
use crate::server::{Request, Response};

/// The path below which answers arrive.
pub(crate) const PATH: &str = "/_custom/";

/// The answers that are waited for, by the secret of their address.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    awaited: Mutex<HashMap<String, oneshot::Sender<Bytes>>>,
}

/// An answer to come. Its address ends with it.
pub(crate) struct Awaited<'a> {
    replies: &'a Replies,
    secret: String,
    answer: oneshot::Receiver<Bytes>,
}

impl Replies {
    /// A new address that nobody can guess.
    pub(crate) fn open(&self) -> Awaited<'_> {
        let secret = uuid::Uuid::new_v4().simple().to_string();
        let (sender, answer) = oneshot::channel();
        self.with(|awaited| awaited.insert(secret.clone(), sender));
        Awaited {
            replies: self,
            secret,
            answer,
        }
    }

    /// Takes an answer. `false` if none is awaited at that address, or no longer.
    pub(crate) fn take(&self, secret: &str, body: Bytes) -> bool {
        self.with(|awaited| awaited.remove(secret))
            .is_some_and(|sender| sender.send(body).is_ok())
    }

    /// Answers a request below [`PATH`].
    pub(crate) fn respond(&self, request: &Request) -> Response {
        let secret = request.uri().path().strip_prefix(PATH).unwrap_or_default();
        let (status, body) = if request.method() != Method::PUT {
            (405, "a custom resource is answered with PUT")
        } else if self.take(secret, request.body().clone()) {
            (200, "")
        } else {
            (
                403,
                "no custom resource waits for an answer here, or it has been answered",
            )
        };
        crate::server::answer(status, "text/plain", body)
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, oneshot::Sender<Bytes>>) -> T) -> T {
        act(&mut self.awaited.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Awaited<'_> {
    /// What a provider is told as `ResponseURL`.
    pub(crate) fn url(&self, world: &World) -> String {
        format!("{}{PATH}{}", world.endpoint, self.secret)
    }

    /// The body of the answer. It never comes if the address is lost, which only a bug could bring about.
    pub(crate) async fn answer(&mut self) -> Bytes {
        match (&mut self.answer).await {
            Ok(body) => body,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.replies.with(|awaited| awaited.remove(&self.secret));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, path: &str) -> Request {
        let mut request = Request::new(Bytes::from_static(b"{}"));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        request
    }

    #[tokio::test]
    async fn an_address_takes_one_answer_while_somebody_waits() {
        let replies = Replies::default();
        let mut awaited = replies.open();
        let path = format!("{PATH}{}", awaited.secret);
        assert_eq!(replies.respond(&request(Method::GET, &path)).status(), 405);
        assert_eq!(
            replies.respond(&request(Method::PUT, "/_custom/")).status(),
            403
        );
        assert_eq!(replies.respond(&request(Method::PUT, &path)).status(), 200);
        assert_eq!(awaited.answer().await, "{}");
        assert_eq!(replies.respond(&request(Method::PUT, &path)).status(), 403);
        let abandoned = format!("{PATH}{}", replies.open().secret);
        assert_eq!(
            replies.respond(&request(Method::PUT, &abandoned)).status(),
            403
        );
    }
}
