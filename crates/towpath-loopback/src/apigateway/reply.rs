//! From what a function returned to the HTTP answer. Pure.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::api::Format;
use super::event::{is_one_of, media_type};

/// An HTTP answer before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Names in lower case; a name may come more than once.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Why what a function returned is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the function's answer is malformed: {0}")]
pub(super) struct Malformed(String);

/// What decides how an answer is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) format: Format,
    pub(super) is_rest: bool,
    /// A REST API decodes Base64 only for these.
    pub(super) binary_media_types: &'a [String],
    /// The request's `Accept`.
    pub(super) accept: &'a str,
}

impl Reading<'_> {
    /// Reads what a function returned.
    pub(super) fn read(&self, payload: &[u8]) -> Result<Reply, Malformed> {
        let value: Value =
            serde_json::from_slice(payload).map_err(|error| Malformed(error.to_string()))?;
        match (self.format, &value) {
            (Format::Two, Value::Object(answer)) if answer.contains_key("statusCode") => {
                self.shaped(&value)
            }
            (Format::Two, _) => Ok(inferred(&value)),
            (Format::One, Value::Object(_)) => self.shaped(&value),
            (Format::One, _) => Err(Malformed(format!(
                "an object was expected, not {}",
                kind(&value)
            ))),
        }
    }

    /// An answer with `statusCode`, `headers` and `body`.
    fn shaped(&self, answer: &Value) -> Result<Reply, Malformed> {
        const KNOWN: [&str; 5] = [
            "statusCode",
            "headers",
            "multiValueHeaders",
            "body",
            "isBase64Encoded",
        ];
        if self.is_rest {
            let unknown = answer
                .as_object()
                .and_then(|members| members.keys().find(|name| !KNOWN.contains(&name.as_str())));
            if let Some(name) = unknown {
                return Err(Malformed(format!(
                    "`{name}` is not one of {}",
                    KNOWN.join(", ")
                )));
            }
        }
        let status = match &answer["statusCode"] {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            Value::Null if self.is_rest => Some(200),
            _ => None,
        };
        let status = status
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..=599).contains(status))
            .ok_or_else(|| {
                Malformed(format!(
                    "statusCode is {}, not a status",
                    answer["statusCode"]
                ))
            })?;
        let mut headers = self.headers(answer)?;
        let text = match &answer["body"] {
            Value::Null => "",
            Value::String(text) => text,
            other => return Err(Malformed(format!("body is {}, not a string", kind(other)))),
        };
        let content_type = headers
            .iter()
            .find(|(name, _)| name == "content-type")
            .map(|(_, value)| value.clone());
        let is_base64 = answer["isBase64Encoded"] == true || answer["isBase64Encoded"] == "true";
        let body = if is_base64 && self.decodes(content_type.as_deref()) {
            BASE64_STANDARD.decode(text).map_err(|error| {
                Malformed(format!(
                    "isBase64Encoded is true and body is not Base64: {error}"
                ))
            })?
        } else {
            text.as_bytes().to_vec()
        };
        if content_type.is_none() {
            let default = if self.is_rest {
                "application/json"
            } else {
                "text/plain; charset=utf-8"
            };
            headers.push(("content-type".to_owned(), default.to_owned()));
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    fn headers(&self, answer: &Value) -> Result<Vec<(String, String)>, Malformed> {
        let mut headers: Vec<(String, String)> = Vec::new();
        let given = |member: &str| match &answer[member] {
            Value::Null => Ok(None),
            Value::Object(map) => Ok(Some(map.clone())),
            other => Err(Malformed(format!(
                "{member} is {}, not an object",
                kind(other)
            ))),
        };
        for (name, values) in given("multiValueHeaders")?.into_iter().flatten() {
            if self.format == Format::Two {
                break; // format 2.0 has no such member
            }
            let Value::Array(values) = values else {
                return Err(Malformed(format!(
                    "multiValueHeaders.{name} is {}, not a list",
                    kind(&values)
                )));
            };
            for value in values {
                headers.push((name.to_ascii_lowercase(), scalar(&name, &value)?));
            }
        }
        for (name, value) in given("headers")?.into_iter().flatten() {
            let header = (name.to_ascii_lowercase(), scalar(&name, &value)?);
            if !headers.contains(&header) {
                headers.push(header);
            }
        }
        if self.format == Format::Two {
            for cookie in answer["cookies"].as_array().into_iter().flatten() {
                headers.push(("set-cookie".to_owned(), scalar("cookies", cookie)?));
            }
        }
        Ok(headers)
    }

    fn decodes(&self, content_type: Option<&str>) -> bool {
        let accept = self
            .accept
            .split(',')
            .next()
            .map(media_type)
            .unwrap_or_default();
        !self.is_rest
            || is_one_of(self.binary_media_types, &accept)
            || content_type
                .is_some_and(|given| is_one_of(self.binary_media_types, &media_type(given)))
    }
}

/// Format 2.0 without a `statusCode`: whatever was returned is the body.
fn inferred(value: &Value) -> Reply {
    let body = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Reply {
        status: 200,
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.into_bytes(),
    }
}

fn scalar(name: &str, value: &Value) -> Result<String, Malformed> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => Err(Malformed(format!(
            "header {name} is {}, not a string",
            kind(other)
        ))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(format: Format, is_rest: bool, payload: &Value) -> Result<Reply, Malformed> {
        let binary = ["image/*".to_owned()];
        let reading = Reading {
            format,
            is_rest,
            binary_media_types: &binary,
            accept: "*/*",
        };
        reading.read(payload.to_string().as_bytes())
    }

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        Reply {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            body: body.into(),
        }
    }

    #[test]
    fn format_two_takes_anything() {
        let json_header = [("content-type", "application/json")];
        for (payload, expected) in [
            (json!("Hello"), reply(200, &json_header, "Hello")),
            (
                json!({ "message": "Hello" }),
                reply(200, &json_header, r#"{"message":"Hello"}"#),
            ),
            (json!([1, 2]), reply(200, &json_header, "[1,2]")),
            (json!(null), reply(200, &json_header, "null")),
            (
                json!({ "statusCode": 201, "body": "made", "cookies": ["a=1", "b=2"], "headers": { "X-A": true } }),
                reply(
                    201,
                    &[
                        ("x-a", "true"),
                        ("set-cookie", "a=1"),
                        ("set-cookie", "b=2"),
                        ("content-type", "text/plain; charset=utf-8"),
                    ],
                    "made",
                ),
            ),
            (
                json!({ "statusCode": "200", "body": "aGk=", "isBase64Encoded": true, "headers": { "Content-Type": "image/png" } }),
                reply(200, &[("content-type", "image/png")], "hi"),
            ),
        ] {
            assert_eq!(
                read(Format::Two, false, &payload),
                Ok(expected),
                "{payload}"
            );
        }
    }

    #[test]
    fn format_one_takes_only_its_shape() {
        let plain = [("content-type", "application/json")];
        for (payload, expected) in [
            (
                json!({ "statusCode": 200, "body": "x" }),
                Ok(reply(200, &plain, "x")),
            ),
            (json!({}), Ok(reply(200, &plain, ""))),
            (
                json!({ "statusCode": 200, "headers": { "A": "1", "B": "2" }, "multiValueHeaders": { "a": ["1", "3"] } }),
                Ok(reply(
                    200,
                    &[("a", "1"), ("a", "3"), ("b", "2"), plain[0]],
                    "",
                )),
            ),
            (
                json!({ "statusCode": 200, "body": "aGk=", "isBase64Encoded": true, "headers": { "content-type": "image/png" } }),
                Ok(reply(200, &[("content-type", "image/png")], "hi")),
            ),
            (
                json!({ "statusCode": 200, "body": "aGk=", "isBase64Encoded": true }),
                Ok(reply(200, &plain, "aGk=")),
            ),
            (json!("Hello"), Err("an object was expected, not a string")),
            (json!(null), Err("an object was expected, not null")),
            (
                json!({ "statusCode": 200, "body": { "a": 1 } }),
                Err("body is an object, not a string"),
            ),
            (
                json!({ "statusCode": "ok" }),
                Err("statusCode is \"ok\", not a status"),
            ),
            (json!({ "statusCode": 99 }), Err("statusCode is 99")),
            (
                json!({ "statusCode": 200, "message": "x" }),
                Err("`message` is not one of"),
            ),
            (
                json!({ "statusCode": 200, "headers": "x" }),
                Err("headers is a string"),
            ),
            (
                json!({ "statusCode": 200, "headers": { "a": {} } }),
                Err("header a is an object"),
            ),
            (
                json!({ "statusCode": 200, "multiValueHeaders": { "a": "1" } }),
                Err("multiValueHeaders.a is a string"),
            ),
        ] {
            let got = read(Format::One, true, &payload);
            match expected {
                Ok(expected) => assert_eq!(got, Ok(expected), "{payload}"),
                Err(expected) => {
                    let message = got.unwrap_err().to_string();
                    assert!(message.contains(expected), "{payload}: {message}");
                }
            }
        }
        // An HTTP API is stricter about the status, and does not mind other members.
        assert!(read(Format::One, false, &json!({})).is_err());
        assert!(
            read(
                Format::One,
                false,
                &json!({ "statusCode": 200, "message": "x" })
            )
            .is_ok()
        );
    }
}
