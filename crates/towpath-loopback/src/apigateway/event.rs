//! From an HTTP request to the event that a function receives. Pure.
//!
//! The formats are documented at
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>;
//! which content types count as text, and that an HTTP API decodes `rawPath`, is known from events
//! that people captured, not from that page.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::api::{DEFAULT, Format, Route};
use super::routing::Parameters;

/// A request that has found its route.
#[derive(Debug, Clone)]
pub(super) struct Call<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) api: &'a str,
    /// Of a REST API, rather than an HTTP API.
    pub(super) is_rest: bool,
    pub(super) stage: &'a str,
    pub(super) stage_variables: &'a BTreeMap<String, String>,
    pub(super) request_id: &'a str,
    pub(super) now: OffsetDateTime,
    pub(super) method: &'a str,
    /// As the client wrote it, behind the stage.
    pub(super) path: &'a str,
    /// As the client wrote it; empty without one.
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
    pub(super) route: &'a Route,
    pub(super) parameters: &'a Parameters,
    pub(super) binary_media_types: &'a [String],
}

impl Call<'_> {
    /// The event in the given format.
    pub(super) fn event(&self, format: Format) -> Value {
        match format {
            Format::One => self.version_one(),
            Format::Two => self.version_two(),
        }
    }

    fn version_two(&self) -> Value {
        let mut event = Map::new();
        let path = self.decoded_path();
        let key = self.route.key();
        event.insert("version".into(), json!("2.0"));
        event.insert("routeKey".into(), json!(key));
        event.insert("rawPath".into(), json!(path));
        event.insert("rawQueryString".into(), json!(self.query));
        let cookies: Vec<String> = self
            .headers
            .get_all("cookie")
            .iter()
            .flat_map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                text.split(';')
                    .map(|cookie| cookie.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|cookie| !cookie.is_empty())
            .collect();
        if !cookies.is_empty() {
            event.insert("cookies".into(), json!(cookies));
        }
        let headers: BTreeMap<String, String> = self
            .header_values()
            .into_iter()
            .filter(|(name, _)| name != "cookie")
            .map(|(name, values)| (name, values.join(",")))
            .collect();
        event.insert("headers".into(), json!(headers));
        let query = self.query_values();
        if !query.is_empty() {
            let joined: BTreeMap<String, String> = query
                .into_iter()
                .map(|(name, values)| (name, values.join(",")))
                .collect();
            event.insert("queryStringParameters".into(), json!(joined));
        }
        event.insert(
            "requestContext".into(),
            json!({
                "accountId": self.account,
                "apiId": self.api,
                "domainName": self.domain(),
                "domainPrefix": self.api,
                "http": {
                    "method": self.method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": self.user_agent(),
                },
                "requestId": self.request_id,
                "routeKey": key,
                "stage": self.stage,
                "time": self.time(),
                "timeEpoch": self.epoch_ms(),
            }),
        );
        if !self.parameters.is_empty() {
            event.insert("pathParameters".into(), json!(self.parameters));
        }
        if !self.stage_variables.is_empty() {
            event.insert("stageVariables".into(), json!(self.stage_variables));
        }
        let (body, is_base64) = self.body();
        if let Some(body) = body {
            event.insert("body".into(), json!(body));
        }
        event.insert("isBase64Encoded".into(), json!(is_base64));
        Value::Object(event)
    }

    fn version_one(&self) -> Value {
        let path = if self.is_rest {
            self.path.to_owned()
        } else {
            percent_decode_str(self.path)
                .decode_utf8_lossy()
                .into_owned()
        };
        let headers: BTreeMap<String, Vec<String>> = self
            .header_values()
            .into_iter()
            .map(|(name, values)| (title_case(&name), values))
            .collect();
        let query = self.query_values();
        let (body, is_base64) = self.body();
        let resource_id = if self.is_rest {
            self.route.resource_id.clone()
        } else {
            self.route.key()
        };
        let mut event = json!({
            "resource": self.route.path,
            "path": path,
            "httpMethod": self.method,
            "headers": last(&headers),
            "multiValueHeaders": headers,
            "queryStringParameters": or_null(&last(&query)),
            "multiValueQueryStringParameters": or_null(&query),
            "pathParameters": or_null(self.parameters),
            "stageVariables": or_null(self.stage_variables),
            "requestContext": {
                "accountId": self.account,
                "apiId": self.api,
                "domainName": self.domain(),
                "domainPrefix": self.api,
                "extendedRequestId": self.request_id,
                "httpMethod": self.method,
                "identity": {
                    "accessKey": null,
                    "accountId": null,
                    "caller": null,
                    "cognitoAuthenticationProvider": null,
                    "cognitoAuthenticationType": null,
                    "cognitoIdentityId": null,
                    "cognitoIdentityPoolId": null,
                    "principalOrgId": null,
                    "sourceIp": "127.0.0.1",
                    "user": null,
                    "userAgent": self.user_agent(),
                    "userArn": null,
                },
                "path": format!("{}{path}", self.prefix()),
                "protocol": "HTTP/1.1",
                "requestId": self.request_id,
                "requestTime": self.time(),
                "requestTimeEpoch": self.epoch_ms(),
                "resourceId": resource_id,
                "resourcePath": self.route.path,
                "stage": self.stage,
            },
            "body": body,
            "isBase64Encoded": is_base64,
        });
        if !self.is_rest {
            event["version"] = json!("1.0");
        }
        event
    }

    fn prefix(&self) -> String {
        if self.stage == DEFAULT {
            String::new()
        } else {
            format!("/{}", self.stage)
        }
    }

    fn decoded_path(&self) -> String {
        let path = percent_decode_str(self.path).decode_utf8_lossy();
        format!("{}{path}", self.prefix())
    }

    fn domain(&self) -> String {
        format!("{}.execute-api.{}.amazonaws.com", self.api, self.region)
    }

    fn user_agent(&self) -> String {
        self.headers
            .get("user-agent")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default()
    }

    fn time(&self) -> String {
        self.now
            .format(format_description!(
                "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000"
            ))
            .unwrap_or_default()
    }

    fn epoch_ms(&self) -> i64 {
        self.now.unix_timestamp() * 1000 + i64::from(self.now.millisecond())
    }

    fn header_values(&self) -> BTreeMap<String, Vec<String>> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            values
                .entry(name.as_str().to_owned())
                .or_default()
                .push(value);
        }
        values
    }

    fn query_values(&self) -> BTreeMap<String, Vec<String>> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(self.query.as_bytes()) {
            values
                .entry(name.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        values
    }

    /// The body as text, and whether that is Base64.
    fn body(&self) -> (Option<String>, bool) {
        if self.body.is_empty() {
            return (None, false);
        }
        let content_type = self
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .map(media_type)
            .unwrap_or_default();
        let is_binary = if self.is_rest {
            is_one_of(self.binary_media_types, &content_type)
        } else {
            !is_text(&content_type)
        };
        match std::str::from_utf8(self.body) {
            Ok(text) if !is_binary => (Some(text.to_owned()), false),
            Err(_) if !is_binary && self.is_rest => {
                // A REST API takes everything else for text, and spoils what is not.
                (Some(String::from_utf8_lossy(self.body).into_owned()), false)
            }
            _ => (Some(BASE64_STANDARD.encode(self.body)), true),
        }
    }
}

/// `text/html; charset=utf-8` without what follows the semicolon, in lower case.
pub(super) fn media_type(header: &str) -> String {
    header
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// Whether a REST API's `binaryMediaTypes` hold the type; `*` stands for either half.
pub(super) fn is_one_of(patterns: &[String], media_type: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.as_str() {
        "*/*" => true,
        pattern => pattern
            .strip_suffix("/*")
            .map_or(pattern == media_type, |half| {
                media_type.split('/').next() == Some(half)
            }),
    })
}

/// What an HTTP API hands over as text. Forms are not among it.
fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || matches!(
            media_type,
            "application/json" | "application/xml" | "application/javascript"
        )
}

/// `content-type` as `Content-Type`: how most clients write it, and where REST API handlers look.
fn title_case(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
                .unwrap_or_default()
        })
        .collect::<Vec<_>>()
        .join("-")
}

fn last(values: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    values
        .iter()
        .filter_map(|(name, values)| Some((name.clone(), values.last()?.clone())))
        .collect()
}

fn or_null<T: serde::Serialize>(map: &BTreeMap<String, T>) -> Value {
    if map.is_empty() {
        Value::Null
    } else {
        json!(map)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::api::Target;
    use super::*;

    struct Sample {
        headers: HeaderMap,
        body: Bytes,
        route: Route,
        parameters: Parameters,
        variables: BTreeMap<String, String>,
        binary: Vec<String>,
    }

    fn sample(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Sample {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        Sample {
            headers: map,
            body: Bytes::copy_from_slice(body),
            route: Route {
                method: method.into(),
                path: path.into(),
                resource_id: "abc123".into(),
                target: Target::Nothing,
            },
            parameters: Parameters::new(),
            variables: BTreeMap::new(),
            binary: Vec::new(),
        }
    }

    impl Sample {
        fn call<'a>(
            &'a self,
            is_rest: bool,
            stage: &'a str,
            path: &'a str,
            query: &'a str,
        ) -> Call<'a> {
            Call {
                account: "000000000000",
                region: "us-east-1",
                api: "a1b2c3",
                is_rest,
                stage,
                stage_variables: &self.variables,
                request_id: "r-1",
                now: datetime!(2026-03-12 19:03:58.390 UTC),
                method: "GET",
                path,
                query,
                headers: &self.headers,
                body: &self.body,
                route: &self.route,
                parameters: &self.parameters,
                binary_media_types: &self.binary,
            }
        }
    }

    #[test]
    fn format_two() {
        let mut sample = sample(
            "GET",
            "/items/{id}",
            &[
                ("Host", "127.0.0.1:4000"),
                ("User-Agent", "curl/8"),
                ("X-Two", "1"),
                ("X-Two", "2"),
                ("Cookie", "a=1; b=2"),
                ("Content-Type", "application/json; charset=utf-8"),
            ],
            br#"{"n":1}"#,
        );
        sample.parameters.insert("id".into(), "7 8".into());
        sample.variables.insert("table".into(), "t".into());
        let event = sample
            .call(false, "$default", "/items/7%208", "q=1&q=2&e=&s=a%20b")
            .event(Format::Two);
        assert_eq!(
            event,
            json!({
                "version": "2.0",
                "routeKey": "GET /items/{id}",
                "rawPath": "/items/7 8",
                "rawQueryString": "q=1&q=2&e=&s=a%20b",
                "cookies": ["a=1", "b=2"],
                "headers": {
                    "content-type": "application/json; charset=utf-8",
                    "host": "127.0.0.1:4000",
                    "user-agent": "curl/8",
                    "x-two": "1,2",
                },
                "queryStringParameters": { "q": "1,2", "e": "", "s": "a b" },
                "requestContext": {
                    "accountId": "000000000000",
                    "apiId": "a1b2c3",
                    "domainName": "a1b2c3.execute-api.us-east-1.amazonaws.com",
                    "domainPrefix": "a1b2c3",
                    "http": {
                        "method": "GET",
                        "path": "/items/7 8",
                        "protocol": "HTTP/1.1",
                        "sourceIp": "127.0.0.1",
                        "userAgent": "curl/8",
                    },
                    "requestId": "r-1",
                    "routeKey": "GET /items/{id}",
                    "stage": "$default",
                    "time": "12/Mar/2026:19:03:58 +0000",
                    "timeEpoch": 1_773_342_238_390_i64,
                },
                "pathParameters": { "id": "7 8" },
                "stageVariables": { "table": "t" },
                "body": "{\"n\":1}",
                "isBase64Encoded": false,
            })
        );
    }

    #[test]
    fn format_two_leaves_out_what_is_not_there_and_names_the_stage() {
        let sample = sample("ANY", "$default", &[], b"");
        let event = sample.call(false, "prod", "/", "").event(Format::Two);
        for member in [
            "cookies",
            "queryStringParameters",
            "pathParameters",
            "stageVariables",
            "body",
        ] {
            assert!(event.get(member).is_none(), "{member}");
        }
        assert_eq!(
            (&event["rawPath"], &event["routeKey"]),
            (&json!("/prod/"), &json!("$default"))
        );
        assert_eq!(event["requestContext"]["http"]["path"], "/prod/");
    }

    #[test]
    fn format_one() {
        let mut sample = sample(
            "GET",
            "/items/{id}",
            &[("host", "127.0.0.1:4000"), ("x-two", "1"), ("x-two", "2")],
            b"text",
        );
        sample.parameters.insert("id".into(), "7".into());
        let event = sample
            .call(true, "prod", "/items/7", "q=1&q=2")
            .event(Format::One);
        assert_eq!(
            event,
            json!({
                "resource": "/items/{id}",
                "path": "/items/7",
                "httpMethod": "GET",
                "headers": { "Host": "127.0.0.1:4000", "X-Two": "2" },
                "multiValueHeaders": { "Host": ["127.0.0.1:4000"], "X-Two": ["1", "2"] },
                "queryStringParameters": { "q": "2" },
                "multiValueQueryStringParameters": { "q": ["1", "2"] },
                "pathParameters": { "id": "7" },
                "stageVariables": null,
                "requestContext": {
                    "accountId": "000000000000",
                    "apiId": "a1b2c3",
                    "domainName": "a1b2c3.execute-api.us-east-1.amazonaws.com",
                    "domainPrefix": "a1b2c3",
                    "extendedRequestId": "r-1",
                    "httpMethod": "GET",
                    "identity": {
                        "accessKey": null,
                        "accountId": null,
                        "caller": null,
                        "cognitoAuthenticationProvider": null,
                        "cognitoAuthenticationType": null,
                        "cognitoIdentityId": null,
                        "cognitoIdentityPoolId": null,
                        "principalOrgId": null,
                        "sourceIp": "127.0.0.1",
                        "user": null,
                        "userAgent": "",
                        "userArn": null,
                    },
                    "path": "/prod/items/7",
                    "protocol": "HTTP/1.1",
                    "requestId": "r-1",
                    "requestTime": "12/Mar/2026:19:03:58 +0000",
                    "requestTimeEpoch": 1_773_342_238_390_i64,
                    "resourceId": "abc123",
                    "resourcePath": "/items/{id}",
                    "stage": "prod",
                },
                "body": "text",
                "isBase64Encoded": false,
            })
        );
    }

    #[test]
    fn format_one_says_null_and_an_http_api_says_its_version() {
        let sample = sample("GET", "/", &[], b"");
        let event = sample.call(false, "$default", "/", "").event(Format::One);
        for member in [
            "queryStringParameters",
            "multiValueQueryStringParameters",
            "pathParameters",
            "stageVariables",
            "body",
        ] {
            assert_eq!(event.get(member), Some(&Value::Null), "{member}");
        }
        assert_eq!(event["version"], "1.0");
        assert_eq!(event["requestContext"]["path"], "/");
    }

    #[test]
    fn a_body_is_base64_when_its_type_is_binary() {
        for (is_rest, content_type, binary, body, expected) in [
            (
                false,
                Some("application/json"),
                vec![],
                &b"x"[..],
                ("x", false),
            ),
            (false, Some("text/csv"), vec![], b"x", ("x", false)),
            (
                false,
                Some("application/x-www-form-urlencoded"),
                vec![],
                b"x",
                ("eA==", true),
            ),
            (false, None, vec![], b"x", ("eA==", true)),
            (false, Some("text/plain"), vec![], b"\xff", ("/w==", true)),
            (true, Some("image/png"), vec![], b"x", ("x", false)),
            (
                true,
                Some("image/png"),
                vec!["image/*"],
                b"x",
                ("eA==", true),
            ),
            (
                true,
                Some("image/png"),
                vec!["image/png"],
                b"x",
                ("eA==", true),
            ),
            (true, Some("text/plain"), vec!["*/*"], b"x", ("eA==", true)),
            (
                true,
                Some("text/plain"),
                vec!["image/*"],
                b"\xff",
                ("\u{fffd}", false),
            ),
        ] {
            let headers: Vec<(&str, &str)> = content_type
                .iter()
                .map(|given| ("content-type", *given))
                .collect();
            let mut sample = sample("GET", "/", &headers, body);
            sample.binary = binary.iter().map(|&given| given.to_owned()).collect();
            let event = sample.call(is_rest, "$default", "/", "").event(Format::One);
            assert_eq!(
                (&event["body"], &event["isBase64Encoded"]),
                (&json!(expected.0), &json!(expected.1)),
                "{is_rest} {content_type:?} {binary:?}"
            );
        }
    }
}
