//! REST with JSON: Lambda and API Gateway, whose operations are methods on paths.

use bytes::Bytes;
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Call, insert, parse_json};
use crate::AwsError;
use crate::server::{Response, answer};

/// Method, path with its members in braces, operation, status of success.
type Route = (&'static str, &'static str, &'static str, u16);

#[rustfmt::skip]
const LAMBDA: &[Route] = &[
    ("POST", "/2015-03-31/functions", "CreateFunction", 201),
    ("GET", "/2015-03-31/functions", "ListFunctions", 200),
    ("GET", "/2015-03-31/functions/{FunctionName}", "GetFunction", 200),
    ("DELETE", "/2015-03-31/functions/{FunctionName}", "DeleteFunction", 204),
    ("GET", "/2015-03-31/functions/{FunctionName}/configuration", "GetFunctionConfiguration", 200),
    ("PUT", "/2015-03-31/functions/{FunctionName}/configuration", "UpdateFunctionConfiguration", 200),
    ("PUT", "/2015-03-31/functions/{FunctionName}/code", "UpdateFunctionCode", 200),
    ("POST", "/2015-03-31/functions/{FunctionName}/invocations", "Invoke", 200),
    ("POST", "/2015-03-31/functions/{FunctionName}/versions", "PublishVersion", 201),
    ("GET", "/2015-03-31/functions/{FunctionName}/versions", "ListVersionsByFunction", 200),
    ("POST", "/2015-03-31/functions/{FunctionName}/aliases", "CreateAlias", 201),
    ("GET", "/2015-03-31/functions/{FunctionName}/aliases", "ListAliases", 200),
    ("GET", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", "GetAlias", 200),
    ("PUT", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", "UpdateAlias", 200),
    ("DELETE", "/2015-03-31/functions/{FunctionName}/aliases/{Name}", "DeleteAlias", 204),
    ("POST", "/2015-03-31/functions/{FunctionName}/policy", "AddPermission", 201),
    ("GET", "/2015-03-31/functions/{FunctionName}/policy", "GetPolicy", 200),
    ("DELETE", "/2015-03-31/functions/{FunctionName}/policy/{StatementId}", "RemovePermission", 204),
    ("PUT", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "PutFunctionEventInvokeConfig", 200),
    ("POST", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "UpdateFunctionEventInvokeConfig", 200),
    ("GET", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "GetFunctionEventInvokeConfig", 200),
    ("DELETE", "/2019-09-25/functions/{FunctionName}/event-invoke-config", "DeleteFunctionEventInvokeConfig", 204),
    ("PUT", "/2017-10-31/functions/{FunctionName}/concurrency", "PutFunctionConcurrency", 200),
    ("DELETE", "/2017-10-31/functions/{FunctionName}/concurrency", "DeleteFunctionConcurrency", 204),
    ("GET", "/2019-09-30/functions/{FunctionName}/concurrency", "GetFunctionConcurrency", 200),
    ("GET", "/2020-06-30/functions/{FunctionName}/code-signing-config", "GetFunctionCodeSigningConfig", 200),
    ("GET", "/2017-03-31/tags/{Resource}", "ListTags", 200),
    ("POST", "/2017-03-31/tags/{Resource}", "TagResource", 204),
    ("DELETE", "/2017-03-31/tags/{Resource}", "UntagResource", 204),
    ("GET", "/2016-08-19/account-settings", "GetAccountSettings", 200),
];

#[rustfmt::skip]
const API_GATEWAY: &[Route] = &[
    ("GET", "/restapis", "GetRestApis", 200),
    ("POST", "/restapis", "CreateRestApi", 201),
    ("GET", "/restapis/{restApiId}", "GetRestApi", 200),
    ("DELETE", "/restapis/{restApiId}", "DeleteRestApi", 202),
    ("GET", "/restapis/{restApiId}/resources", "GetResources", 200),
    ("GET", "/restapis/{restApiId}/stages", "GetStages", 200),
    ("GET", "/restapis/{restApiId}/stages/{stageName}", "GetStage", 200),
    ("GET", "/restapis/{restApiId}/deployments", "GetDeployments", 200),
    ("POST", "/restapis/{restApiId}/deployments", "CreateDeployment", 201),
];

#[rustfmt::skip]
const API_GATEWAY_V2: &[Route] = &[
    ("GET", "/v2/apis", "GetApis", 200),
    ("POST", "/v2/apis", "CreateApi", 201),
    ("GET", "/v2/apis/{ApiId}", "GetApi", 200),
    ("DELETE", "/v2/apis/{ApiId}", "DeleteApi", 204),
    ("GET", "/v2/apis/{ApiId}/routes", "GetRoutes", 200),
    ("GET", "/v2/apis/{ApiId}/integrations", "GetIntegrations", 200),
    ("GET", "/v2/apis/{ApiId}/integrations/{IntegrationId}", "GetIntegration", 200),
    ("GET", "/v2/apis/{ApiId}/stages", "GetStages", 200),
    ("GET", "/v2/apis/{ApiId}/stages/{StageName}", "GetStage", 200),
    ("GET", "/v2/apis/{ApiId}/deployments", "GetDeployments", 200),
];

/// Headers that are members of Lambda's `Invoke`.
const INVOKE_HEADERS: [(&str, &str); 3] = [
    ("x-amz-invocation-type", "InvocationType"),
    ("x-amz-log-type", "LogType"),
    ("x-amz-client-context", "ClientContext"),
];

fn is_v2(path: &str) -> bool {
    path.starts_with("/v2/")
}

/// Reads a request, merging path, query, headers and body into one object.
pub(super) fn read(service: &str, parts: &Parts, body: &Bytes) -> Result<Call, AwsError> {
    let path = parts.uri.path();
    let routes = match service {
        "lambda" => LAMBDA,
        _ if is_v2(path) => API_GATEWAY_V2,
        _ => API_GATEWAY,
    };
    let (operation, success, members) = find(routes, &parts.method, path)
        .ok_or_else(|| AwsError::unknown_operation(service, &format!("{} {path}", parts.method)))?;

    let mut input = Map::new();
    if operation == "Invoke" {
        let payload = String::from_utf8_lossy(body).into_owned();
        input.insert("Payload".into(), payload.into());
        for (header, member) in INVOKE_HEADERS {
            if let Some(value) = parts.headers.get(header).and_then(|v| v.to_str().ok()) {
                input.insert(member.into(), value.into());
            }
        }
    } else if let Value::Object(body) = parse_json(body)? {
        input = if is_v2(path) { capitalised(body) } else { body };
    }
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    for (name, value) in
        form_urlencoded::parse(query).filter(|(name, _)| !name.starts_with("X-Amz-"))
    {
        let name = match name.as_ref() {
            "tagKeys" => {
                let keys = input
                    .entry("TagKeys")
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(keys) = keys {
                    keys.push(value.into_owned().into());
                }
                continue;
            }
            name if is_v2(path) => capital(name),
            name => name.to_owned(),
        };
        input.insert(name, value.into_owned().into());
    }
    for (name, value) in members {
        input.insert(name.into(), value.into());
    }
    Ok(Call {
        operation: operation.to_owned(),
        input: Value::Object(input),
        success,
    })
}

type Members = Vec<(&'static str, String)>;

fn find(routes: &[Route], method: &Method, path: &str) -> Option<(&'static str, u16, Members)> {
    let asked: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    routes.iter().find_map(|(own, pattern, operation, status)| {
        if *own != method.as_str() {
            return None;
        }
        let mut members = Members::new();
        let mut given = asked.iter();
        for segment in pattern.split('/') {
            let given = given.next()?;
            match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                Some(name) => {
                    members.push((name, percent_decode_str(given).decode_utf8_lossy().into()));
                }
                None if segment == *given => {}
                None => return None,
            }
        }
        given
            .next()
            .is_none()
            .then_some((*operation, *status, members))
    })
}

/// The answer to a call that succeeded.
pub(super) fn success(service: &str, call: &Call, output: Value) -> Response {
    if service == "lambda" && call.operation == "Invoke" {
        return invoked(&output);
    }
    if call.success == 204 {
        let mut response = answer(204, "application/json", Bytes::new());
        response.headers_mut().remove(http::header::CONTENT_TYPE);
        return response;
    }
    let output = match (service, output) {
        ("apigateway", Value::Object(mut members)) => {
            // The model's `items` and version 2's members have other names on the wire.
            if let Some(items) = members.remove("items") {
                members.insert("item".into(), items);
            }
            uncapitalised(members)
        }
        (_, output) => output,
    };
    answer(call.success, "application/json", output.to_string())
}

/// An invocation's answer is the function's own payload; the rest is in headers.
fn invoked(output: &Value) -> Response {
    let status = output
        .get("StatusCode")
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or(200);
    let payload = match output.get("Payload") {
        Some(Value::String(payload)) => payload.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let mut response = answer(status, "application/json", payload);
    for (member, header) in [
        ("FunctionError", "x-amz-function-error"),
        ("LogResult", "x-amz-log-result"),
        ("ExecutedVersion", "x-amz-executed-version"),
    ] {
        if let Some(value) = output.get(member).and_then(Value::as_str) {
            insert(response.headers_mut(), header, value);
        }
    }
    response
}

fn capitalised(members: Map<String, Value>) -> Map<String, Value> {
    members
        .into_iter()
        .map(|(name, value)| (capital(&name), renamed(value, capitalised)))
        .collect()
}

fn uncapitalised(members: Map<String, Value>) -> Value {
    fn lower(members: Map<String, Value>) -> Map<String, Value> {
        members
            .into_iter()
            .map(|(name, value)| (uncapital(&name), renamed(value, lower)))
            .collect()
    }
    Value::Object(lower(members))
}

fn renamed(value: Value, rename: fn(Map<String, Value>) -> Map<String, Value>) -> Value {
    match value {
        Value::Object(members) => Value::Object(rename(members)),
        Value::Array(items) => items
            .into_iter()
            .map(|item| renamed(item, rename))
            .collect(),
        other => other,
    }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

fn uncapital(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(letters)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(service: &str, method: &str, uri: &str, body: &'static str) -> Result<Call, AwsError> {
        let (parts, ()) = http::Request::builder()
            .method(method)
            .uri(uri)
            .header("x-amz-invocation-type", "Event")
            .body(())
            .expect("request")
            .into_parts();
        read(service, &parts, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn methods_on_paths_are_operations() {
        for (service, method, uri, body, operation, input) in [
            (
                "lambda",
                "POST",
                "/2015-03-31/functions/",
                "{\"FunctionName\":\"f\"}",
                "CreateFunction",
                json!({"FunctionName": "f"}),
            ),
            (
                "lambda",
                "GET",
                "/2015-03-31/functions/arn%3Aaws%3Af?Qualifier=1",
                "",
                "GetFunction",
                json!({"Qualifier": "1", "FunctionName": "arn:aws:f"}),
            ),
            (
                "lambda",
                "POST",
                "/2015-03-31/functions/f/invocations",
                "[1]",
                "Invoke",
                json!({"Payload": "[1]", "InvocationType": "Event", "FunctionName": "f"}),
            ),
            (
                "lambda",
                "DELETE",
                "/2017-03-31/tags/arn?tagKeys=a&tagKeys=b",
                "",
                "UntagResource",
                json!({"TagKeys": ["a", "b"], "Resource": "arn"}),
            ),
            (
                "apigateway",
                "GET",
                "/restapis/x?limit=5",
                "",
                "GetRestApi",
                json!({"limit": "5", "restApiId": "x"}),
            ),
            (
                "apigateway",
                "POST",
                "/v2/apis",
                "{\"name\":\"n\",\"corsConfiguration\":{\"allowOrigins\":[\"*\"]}}",
                "CreateApi",
                json!({"Name": "n", "CorsConfiguration": {"AllowOrigins": ["*"]}}),
            ),
        ] {
            let call = call(service, method, uri, body).expect(uri);
            assert_eq!(call.operation, operation, "{method} {uri}");
            assert_eq!(call.input, input, "{method} {uri}");
        }
        let error = call("lambda", "GET", "/2015-03-31/layers", "").expect_err("not served");
        assert!(error.message.contains("GET /2015-03-31/layers"), "{error}");
    }

    #[test]
    fn an_invocation_is_answered_with_the_payload_itself() {
        let response = invoked(&json!({
            "StatusCode": 200, "Payload": "{\"a\":1}", "FunctionError": "Unhandled",
        }));
        assert_eq!(response.headers()["x-amz-function-error"], "Unhandled");
        assert_eq!(response.status(), 200);
    }
}
