//! Routes from an OpenAPI document with API Gateway's extensions.

use std::time::Duration;

use serde_json::Value;

use super::api::{Format, Mock, Target, bad_request};
use super::members::{integer, text};
use crate::{AwsError, World};

const ANY: &str = "x-amazon-apigateway-any-method";
const INTEGRATION: &str = "x-amazon-apigateway-integration";

/// A method of a path as the document has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    /// `ANY` or an HTTP method.
    pub(super) method: String,
    /// `/items/{id}`; `/$default` for the default route.
    pub(super) path: String,
    pub(super) target: Target,
}

/// The document of a request: an object, or text that holds JSON.
pub(super) fn document(body: &Value) -> Result<Value, AwsError> {
    let document = match body {
        Value::String(text) => serde_json::from_str(text).map_err(|error| {
            bad_request(format!(
                "Unable to parse API definition because of a malformed JSON document: {error}"
            ))
        })?,
        other => other.clone(),
    };
    if document
        .get("openapi")
        .or_else(|| document.get("swagger"))
        .is_none()
    {
        return Err(bad_request(
            "Unable to parse API definition: it has neither `openapi` nor `swagger`",
        ));
    }
    Ok(document)
}

/// Every method of every path.
pub(super) fn operations(
    world: &World,
    document: &Value,
    default: Format,
) -> Result<Vec<Operation>, AwsError> {
    let mut operations = Vec::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        for (key, operation) in item.as_object().into_iter().flatten() {
            let method = match key.as_str() {
                ANY => "ANY".to_owned(),
                "get" | "put" | "post" | "delete" | "options" | "head" | "patch" => {
                    key.to_ascii_uppercase()
                }
                _ => continue,
            };
            let route = format!("{method} {path}");
            check_security(
                world,
                &route,
                operation
                    .get("security")
                    .or_else(|| document.get("security")),
            )?;
            let target = match operation.get(INTEGRATION) {
                Some(integration) => target(world, &route, integration, default)?,
                None => Target::Nothing,
            };
            operations.push(Operation {
                method,
                path: path.clone(),
                target,
            });
        }
    }
    if document.get("x-amazon-apigateway-policy").is_some() {
        world
            .fidelity
            .simulated("API Gateway resource policies: recorded, everybody may call");
    }
    Ok(operations)
}

/// Refuses what would let nobody notice that a route is open here and closed in AWS.
fn check_security(world: &World, route: &str, security: Option<&Value>) -> Result<(), AwsError> {
    let names = security
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(serde_json::Map::keys);
    match names.into_iter().find(|name| *name != "NONE") {
        None => Ok(()),
        Some(name) => Err(refuse_authorizer(world, route, name)),
    }
}

/// The error for a route that asks who calls.
pub(super) fn refuse_authorizer(world: &World, route: &str, name: &str) -> AwsError {
    world.fidelity.refused("API Gateway authorizers");
    bad_request(format!(
        "the loopback has no API Gateway authorizers: `{route}` asks for `{name}`, and would be open to everybody here"
    ))
}

/// What an integration leads to. Members may be of either case.
pub(super) fn target(
    world: &World,
    route: &str,
    integration: &Value,
    default: Format,
) -> Result<Target, AwsError> {
    let kind = text(integration, "Type")
        .or_else(|| text(integration, "IntegrationType"))
        .unwrap_or_default()
        .to_ascii_uppercase();
    let uri = text(integration, "Uri").or_else(|| text(integration, "IntegrationUri"));
    match (kind.as_str(), uri) {
        ("AWS_PROXY", Some(uri)) if uri.contains(":lambda:") => {
            let format = match text(integration, "PayloadFormatVersion").as_deref() {
                None => default,
                Some("1.0") => Format::One,
                Some("2.0") => Format::Two,
                Some(other) => {
                    return Err(bad_request(format!(
                        "Invalid payloadFormatVersion {other} of `{route}`"
                    )));
                }
            };
            let longest = match format {
                Format::One => 29_000,
                Format::Two => 30_000,
            };
            let milliseconds = integer(integration, "TimeoutInMillis")
                .and_then(|given| u64::try_from(given).ok())
                .filter(|given| (50..=longest).contains(given))
                .unwrap_or(longest);
            Ok(Target::Function {
                uri,
                format,
                timeout: Duration::from_millis(milliseconds),
            })
        }
        ("MOCK", _) => Ok(Target::Mock(mock(world, integration))),
        (kind, uri) => {
            world
                .fidelity
                .refused(format!("API Gateway integrations of type {kind}"));
            let uri = uri.map_or_else(String::new, |uri| format!(" to {uri}"));
            Err(bad_request(format!(
                "the loopback has integrations of type AWS_PROXY with a function, and MOCK; `{route}` has {kind}{uri}"
            )))
        }
    }
}

/// The fixed answer of a mock: the response for the status code that the request template names.
pub(super) fn mock(world: &World, integration: &Value) -> Mock {
    let template = integration
        .get("requestTemplates")
        .and_then(|templates| templates.get("application/json")?.as_str());
    let named = template
        .and_then(|template| serde_json::from_str::<Value>(template).ok())
        .and_then(|request| text(&request, "StatusCode"));
    let responses = integration
        .get("responses")
        .or_else(|| integration.get("integrationResponses"))
        .and_then(Value::as_object);
    let with_status = |status: &str| {
        responses?
            .values()
            .find(|response| text(response, "StatusCode").as_deref() == Some(status))
    };
    let response = named
        .as_deref()
        .and_then(with_status)
        .or_else(|| responses?.get("default"))
        .or_else(|| responses?.values().next());
    let Some(response) = response else {
        return Mock {
            status: 200,
            ..Mock::default()
        };
    };
    let status = text(response, "StatusCode")
        .or(named)
        .and_then(|status| status.parse().ok());
    let headers = response
        .get("responseParameters")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix("method.response.header.")?;
            let value = value.as_str()?.strip_prefix('\'')?.strip_suffix('\'')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let body = response
        .get("responseTemplates")
        .and_then(|templates| templates.get("application/json")?.as_str())
        .unwrap_or_default()
        .to_owned();
    if body.contains(['$', '#']) {
        world
            .fidelity
            .simulated("API Gateway mapping templates: sent as they are written");
    }
    Mock {
        status: status.unwrap_or(200),
        headers,
        body,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Settings;

    fn read(paths: Value) -> Result<Vec<Operation>, AwsError> {
        let world = World::new(Settings::new("/nowhere"), 1);
        let document = document(&json!({ "openapi": "3.0.1", "paths": paths })).unwrap();
        operations(&world, &document, Format::One)
    }

    #[test]
    fn functions_and_mocks_become_routes() {
        let uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:f/invocations";
        let operations = read(json!({
            "/items": {
                "get": { INTEGRATION: { "type": "aws_proxy", "httpMethod": "POST", "uri": uri, "payloadFormatVersion": "2.0" } },
                "options": { INTEGRATION: {
                    "type": "mock",
                    "requestTemplates": { "application/json": "{\n  \"statusCode\" : 200\n}\n" },
                    "responses": { "default": {
                        "statusCode": "200",
                        "responseParameters": { "method.response.header.Access-Control-Allow-Origin": "'*'" },
                        "responseTemplates": { "application/json": "{}\n" }
                    } }
                } },
                "parameters": []
            },
            "/$default": { ANY: { INTEGRATION: { "type": "aws_proxy", "uri": uri, "timeoutInMillis": 5000 }, "security": [{ "NONE": [] }] } }
        }))
        .unwrap();
        let function = |format, seconds| Target::Function {
            uri: uri.to_owned(),
            format,
            timeout: Duration::from_secs(seconds),
        };
        let mock = Target::Mock(Mock {
            status: 200,
            headers: vec![("Access-Control-Allow-Origin".into(), "*".into())],
            body: "{}\n".into(),
        });
        let expected = [
            ("GET", "/items", function(Format::Two, 30)),
            ("OPTIONS", "/items", mock),
            ("ANY", "/$default", function(Format::One, 5)),
        ];
        let expected: Vec<Operation> = expected
            .into_iter()
            .map(|(method, path, target)| Operation {
                method: method.into(),
                path: path.into(),
                target,
            })
            .collect();
        assert_eq!(operations, expected);
    }

    #[test]
    fn what_the_loopback_cannot_do_is_refused_by_name() {
        for (operation, expected) in [
            (
                json!({ "security": [{ "MyAuthorizer": [] }] }),
                "`GET /x` asks for `MyAuthorizer`",
            ),
            (
                json!({ INTEGRATION: { "type": "http_proxy", "uri": "https://example.com" } }),
                "`GET /x` has HTTP_PROXY to https://example.com",
            ),
            (
                json!({ INTEGRATION: { "type": "aws", "uri": "arn:aws:apigateway:us-east-1:sqs:path/q" } }),
                "has AWS to",
            ),
        ] {
            let message = read(json!({ "/x": { "get": operation } }))
                .unwrap_err()
                .message;
            assert!(message.contains(expected), "{message}");
        }
    }
}
