//! The one port: HTTP in, routing, HTTP out.

use bytes::Bytes;
use http_body_util::Full;

/// A request whose body has been read.
pub(crate) type Request = http::Request<Bytes>;

/// An answer whose body is complete.
pub(crate) type Response = http::Response<Full<Bytes>>;

/// An answer with a text or JSON body.
pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(Full::new(body.into()));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = http::HeaderValue::from_str(content_type) {
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, value);
    }
    response
}
