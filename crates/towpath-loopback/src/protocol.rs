//! The wire's protocols: what a request asks for as one JSON object, and an answer as the client expects it.
//!
//! Services know neither HTTP nor XML: they take and give the members of the AWS API model.

mod cbor;
mod query;
mod rest;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::AwsError;
use crate::server::{Response, answer};
use crate::sigv4::Rejection;

/// How a client of one service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `X-Amz-Target` and JSON.
    Json,
    /// A form, answered in XML.
    Query,
    /// Methods and paths, with JSON bodies.
    Rest,
    /// `/service/…/operation/…` and CBOR.
    Cbor,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// As the API model names it.
    pub(crate) operation: String,
    /// The members, of whatever part of the request they came from.
    pub(crate) input: Value,
    /// The HTTP status of success.
    pub(crate) success: u16,
}

impl Protocol {
    /// The protocol that a request to a service is in.
    pub(crate) fn of(service: &str, parts: &Parts) -> Self {
        if parts.uri.path().starts_with("/service/") {
            Self::Cbor
        } else if parts.headers.contains_key("x-amz-target") {
            Self::Json
        } else if matches!(service, "lambda" | "apigateway") {
            Self::Rest
        } else {
            Self::Query
        }
    }

    /// Reads a request.
    pub(crate) fn read(self, service: &str, parts: &Parts, body: &Bytes) -> Result<Call, AwsError> {
        match self {
            Self::Json => {
                let target = parts
                    .headers
                    .get("x-amz-target")
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default();
                let operation = target.rsplit('.').next().unwrap_or_default();
                Ok(Call {
                    operation: operation.to_owned(),
                    input: parse_json(body)?,
                    success: 200,
                })
            }
            Self::Query => query::read(parts, body),
            Self::Rest => rest::read(service, parts, body),
            Self::Cbor => {
                let operation = parts.uri.path().rsplit('/').next().unwrap_or_default();
                let input = if body.is_empty() {
                    json!({})
                } else {
                    cbor::decode(body).map_err(|error| {
                        AwsError::client(
                            "SerializationException",
                            format!("the body is not CBOR: {error}"),
                        )
                    })?
                };
                Ok(Call {
                    operation: operation.to_owned(),
                    input,
                    success: 200,
                })
            }
        }
    }

    /// The answer to a call that succeeded.
    pub(crate) fn success(
        self,
        service: &str,
        call: &Call,
        output: Value,
        request_id: &str,
    ) -> Response {
        let mut response = match self {
            Self::Json => answer(200, "application/x-amz-json-1.1", output.to_string()),
            Self::Query => answer(
                200,
                "text/xml",
                query::success(service, &call.operation, &output, request_id),
            ),
            Self::Rest => rest::success(service, call, output),
            Self::Cbor => answer(200, "application/cbor", cbor::encode(&output)),
        };
        self.finish(&mut response, request_id);
        response
    }

    /// The answer to a call that failed.
    pub(crate) fn failure(self, error: &AwsError, request_id: &str) -> Response {
        let error = self.dress(error.clone());
        let body = json!({
            "__type": error.code,
            "message": error.message,
            "Message": error.message,
            "Type": sender(error.status),
        });
        let mut response = match self {
            Self::Json => answer(error.status, "application/x-amz-json-1.1", body.to_string()),
            Self::Query => answer(error.status, "text/xml", query::failure(&error, request_id)),
            Self::Rest => answer(error.status, "application/json", body.to_string()),
            Self::Cbor => answer(error.status, "application/cbor", cbor::encode(&body)),
        };
        let headers = response.headers_mut();
        if self != Self::Query {
            insert(headers, "x-amzn-errortype", &error.code);
        }
        if self == Self::Cbor {
            let query_error = format!("{};{}", error.code, sender(error.status));
            insert(headers, "x-amzn-query-error", &query_error);
        }
        self.finish(&mut response, request_id);
        response
    }

    /// An error as this protocol's services name it: they share meanings, not codes.
    fn dress(self, mut error: AwsError) -> AwsError {
        if self == Self::Query {
            return error;
        }
        let (code, status) = match error.code.as_str() {
            "AccessDenied" => ("AccessDeniedException", 400),
            "Throttling" => ("ThrottlingException", 400),
            "InternalFailure" => ("InternalServerException", 500),
            _ => return error,
        };
        code.clone_into(&mut error.code);
        error.status = match (self, error.code.as_str()) {
            (Self::Rest, "AccessDeniedException") => 403,
            (Self::Rest, "ThrottlingException") => 429,
            _ => status,
        };
        error
    }

    /// Why a request proves nobody, as this protocol's services word it.
    pub(crate) fn rejection(self, rejection: Rejection) -> AwsError {
        let json = self != Self::Query;
        let pick = |query: &'static str, other: &'static str| if json { other } else { query };
        let (code, message) = match rejection {
            Rejection::Missing(message) => (
                pick(
                    "MissingAuthenticationToken",
                    "MissingAuthenticationTokenException",
                ),
                message.to_owned(),
            ),
            Rejection::Incomplete(message) => (
                pick("IncompleteSignature", "IncompleteSignatureException"),
                message,
            ),
            Rejection::UnknownKey => (
                pick("InvalidClientTokenId", "UnrecognizedClientException"),
                "The security token included in the request is invalid.".to_owned(),
            ),
            Rejection::Mismatch(message) => (
                pick("SignatureDoesNotMatch", "InvalidSignatureException"),
                message,
            ),
            Rejection::ExpiredToken => (
                pick("ExpiredToken", "ExpiredTokenException"),
                "The security token included in the request is expired".to_owned(),
            ),
            Rejection::Skewed(message) => (
                pick("SignatureDoesNotMatch", "InvalidSignatureException"),
                message,
            ),
        };
        let status = if self == Self::Json || self == Self::Cbor {
            400
        } else {
            403
        };
        AwsError::client(code, message).with_status(status)
    }

    fn finish(self, response: &mut Response, request_id: &str) {
        let headers = response.headers_mut();
        insert(headers, "x-amzn-requestid", request_id);
        if self == Self::Cbor {
            insert(headers, "smithy-protocol", "rpc-v2-cbor");
        }
    }
}

/// A moment in milliseconds since the epoch, as the query protocol writes it.
pub(crate) fn iso8601(epoch_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(epoch_ms) * 1_000_000)
        .ok()
        .and_then(|moment| {
            moment
                .format(format_description!(
                    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
                ))
                .ok()
        })
        .unwrap_or_default()
}

/// Whether a member holds a moment: by the names that AWS's models give such members.
fn is_moment(member: &str) -> bool {
    member.ends_with("Timestamp") || member.ends_with("Time")
}

fn sender(status: u16) -> &'static str {
    if status < 500 { "Sender" } else { "Receiver" }
}

fn parse_json(body: &Bytes) -> Result<Value, AwsError> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| {
        AwsError::client(
            "SerializationException",
            format!("the body is not JSON: {error}"),
        )
    })
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_names_the_same_error_in_its_own_way() {
        for (protocol, rejection, expected) in [
            (
                Protocol::Query,
                Rejection::UnknownKey,
                ("InvalidClientTokenId", 403),
            ),
            (
                Protocol::Json,
                Rejection::UnknownKey,
                ("UnrecognizedClientException", 400),
            ),
            (
                Protocol::Query,
                Rejection::Mismatch(String::new()),
                ("SignatureDoesNotMatch", 403),
            ),
            (
                Protocol::Rest,
                Rejection::Mismatch(String::new()),
                ("InvalidSignatureException", 403),
            ),
            (
                Protocol::Json,
                Rejection::ExpiredToken,
                ("ExpiredTokenException", 400),
            ),
            (
                Protocol::Query,
                Rejection::Missing(""),
                ("MissingAuthenticationToken", 403),
            ),
        ] {
            let error = protocol.rejection(rejection.clone());
            assert_eq!(
                (error.code.as_str(), error.status),
                expected,
                "{protocol:?} {rejection:?}"
            );
        }
        for (protocol, expected) in [
            (Protocol::Query, ("AccessDenied", 403)),
            (Protocol::Json, ("AccessDeniedException", 400)),
            (Protocol::Rest, ("AccessDeniedException", 403)),
        ] {
            let error = protocol.dress(AwsError::access_denied("me", "a:B", "*"));
            assert_eq!(
                (error.code.as_str(), error.status),
                expected,
                "{protocol:?}"
            );
        }
    }

    #[test]
    fn moments_are_written_as_aws_writes_them() {
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
    }
}
