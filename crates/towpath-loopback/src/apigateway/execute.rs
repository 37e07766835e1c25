//! Serving requests: from a URL through a stage and a route to a function, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use serde_json::json;
use time::OffsetDateTime;

use super::api::{Api, DEFAULT, Definition, Mock, PRINCIPAL, Table, Target};
use super::cors::Cors;
use super::event::Call;
use super::reply::{Reading, Reply};
use super::routing::{http_route, rest_route};
use crate::World;
use crate::server::{Request, Response};

/// What a stage serves, taken out of the API so that nothing is locked while it is served.
pub(super) struct Served {
    is_rest: bool,
    stage: String,
    variables: BTreeMap<String, String>,
    cors: Option<Cors>,
    table: Arc<Table>,
    /// The rest of the path, behind the stage.
    path: String,
}

/// What a request gets that nothing serves.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    NotFound,
    Forbidden,
    MissingToken,
    /// The function or its permission failed; `true` for a REST API.
    Internal(bool),
    /// A REST API could not use the function's answer.
    BadGateway,
    /// The integration took too long; `true` for a REST API.
    TimedOut(bool),
}

impl Refusal {
    fn reply(self) -> Reply {
        let (status, message) = match self {
            Self::NotFound => (404, "Not Found"),
            Self::Forbidden => (403, "Forbidden"),
            Self::MissingToken => (403, "Missing Authentication Token"),
            Self::Internal(false) => (500, "Internal Server Error"),
            Self::Internal(true) => (500, "Internal server error"),
            Self::BadGateway => (502, "Internal server error"),
            Self::TimedOut(false) => (503, "Service Unavailable"),
            Self::TimedOut(true) => (504, "Endpoint request timed out"),
        };
        Reply {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: json!({ "message": message }).to_string().into_bytes(),
        }
    }
}

/// Finds the stage that a path leads to. `path` follows the API's id.
pub(super) fn find_stage(api: &Api, path: &str) -> Option<Served> {
    let path = if path.is_empty() { "/" } else { path };
    let (first, rest) = path[1..]
        .find('/')
        .map_or((&path[1..], ""), |at| path.split_at(at + 1));
    let first = first.trim_start_matches('/');
    let named = api.stages.get(first).filter(|_| first != DEFAULT);
    let (name, stage, rest) = match named {
        Some(stage) => (first, stage, if rest.is_empty() { "/" } else { rest }),
        None => (DEFAULT, api.stages.get(DEFAULT)?, path),
    };
    let (is_rest, cors) = match &api.definition {
        Definition::Http(http) => (false, http.cors.clone()),
        Definition::Rest(_) => (true, None),
    };
    Some(Served {
        is_rest,
        stage: name.to_owned(),
        variables: stage.variables.clone(),
        cors,
        table: api.served(stage)?,
        path: rest.to_owned(),
    })
}

/// The answer for a path that leads to no API.
pub(super) fn no_api() -> Response {
    send(Refusal::NotFound.reply(), &request_id())
}

/// The answer for a path that leads to no stage of an API.
pub(super) fn no_stage(is_rest: bool) -> Response {
    let refusal = if is_rest {
        Refusal::Forbidden
    } else {
        Refusal::NotFound
    };
    send(refusal.reply(), &request_id())
}

fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Serves one request.
pub(super) async fn serve(
    world: &Arc<World>,
    api: &str,
    served: &Served,
    request: &Request,
) -> Response {
    let request_id = request_id();
    let origin = request
        .headers()
        .get("origin")
        .and_then(|value| value.to_str().ok());
    if let (Some(cors), Some(origin)) = (&served.cors, origin)
        && request.method() == http::Method::OPTIONS
        && request
            .headers()
            .contains_key("access-control-request-method")
    {
        let headers = cors
            .preflight(origin)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        return send(
            Reply {
                status: 204,
                headers,
                body: Vec::new(),
            },
            &request_id,
        );
    }
    let mut reply = match answer(world, api, served, request, &request_id).await {
        Ok(reply) => reply,
        Err(refusal) => refusal.reply(),
    };
    if let (Some(cors), Some(origin)) = (&served.cors, origin) {
        reply
            .headers
            .retain(|(name, _)| !name.starts_with("access-control-"));
        let headers = cors.actual(origin);
        reply.headers.extend(
            headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
    }
    send(reply, &request_id)
}

async fn answer(
    world: &Arc<World>,
    api: &str,
    served: &Served,
    request: &Request,
    request_id: &str,
) -> Result<Reply, Refusal> {
    let method = request.method().as_str();
    let found = if served.is_rest {
        rest_route(&served.table, method, &served.path).ok_or(Refusal::MissingToken)
    } else {
        http_route(&served.table, method, &served.path).ok_or(Refusal::NotFound)
    };
    let (route, parameters) = found?;
    let note = |line: &str| {
        world.logs.append(
            &format!("/aws/apigateway/{api}"),
            &served.stage.replace('$', ""),
            &format!("({request_id}) {method} {}: {line}", served.path),
        );
    };
    let (uri, format, timeout) = match &route.target {
        Target::Function {
            uri,
            format,
            timeout,
        } => (uri, *format, *timeout),
        Target::Mock(mock) => return Ok(mocked(mock)),
        Target::Nothing => {
            note("the route has no integration");
            return Err(Refusal::Internal(served.is_rest));
        }
    };
    let function = function_of(uri, &served.variables);
    let sources = sources(world, api, served, method, &route.path);
    if !sources
        .iter()
        .any(|source| world.lambda.permits(world, &function, PRINCIPAL, source))
    {
        note(&format!(
            "invalid permissions on Lambda function {function}: its policy does not let {PRINCIPAL} invoke it for {}",
            sources[0]
        ));
        return Err(Refusal::Internal(served.is_rest));
    }
    let headers = forwarded(world, request.headers());
    let call = Call {
        account: &world.settings.account,
        region: &world.settings.region,
        api,
        is_rest: served.is_rest,
        stage: &served.stage,
        stage_variables: &served.variables,
        request_id,
        now: OffsetDateTime::now_utc(),
        method,
        path: &served.path,
        query: request.uri().query().unwrap_or_default(),
        headers: &headers,
        body: request.body(),
        route,
        parameters: &parameters,
        binary_media_types: &served.table.binary_media_types,
    };
    let failed = if served.is_rest {
        Refusal::BadGateway
    } else {
        Refusal::Internal(false)
    };
    let event = call.event(format).to_string();
    let outcome =
        match tokio::time::timeout(timeout, world.lambda.run(world, &function, event)).await {
            Err(_) => {
                note(&format!(
                    "{function} did not answer within {} ms",
                    timeout.as_millis()
                ));
                return Err(Refusal::TimedOut(served.is_rest));
            }
            Ok(Err(error)) => {
                note(&format!("failed to invoke {function}: {error}"));
                return Err(Refusal::Internal(served.is_rest));
            }
            Ok(Ok(outcome)) => outcome,
        };
    if outcome.failed {
        note(&format!(
            "{function} failed: {}",
            String::from_utf8_lossy(&outcome.payload)
        ));
        return Err(failed);
    }
    let accept = request
        .headers()
        .get("accept")
        .and_then(|value| value.to_str().ok());
    let reading = Reading {
        format,
        is_rest: served.is_rest,
        binary_media_types: &served.table.binary_media_types,
        accept: accept.unwrap_or_default(),
    };
    reading.read(&outcome.payload).map_err(|malformed| {
        note(&malformed.to_string());
        failed
    })
}

fn mocked(mock: &Mock) -> Reply {
    let mut headers: Vec<(String, String)> = mock
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".into(), "application/json".into()));
    }
    Reply {
        status: mock.status,
        headers,
        body: mock.body.clone().into_bytes(),
    }
}

/// The function's ARN in an integration's URI, with the stage's variables put in.
fn function_of(uri: &str, variables: &BTreeMap<String, String>) -> String {
    let mut uri = uri.to_owned();
    for (name, value) in variables {
        uri = uri.replace(&format!("${{stageVariables.{name}}}"), value);
    }
    let start = uri
        .find("/functions/")
        .map_or(0, |at| at + "/functions/".len());
    let arn = &uri[start..];
    arn.strip_suffix("/invocations").unwrap_or(arn).to_owned()
}

/// The ARNs that a function's policy may know this request by: people write the route with `*`
/// for its parameters, with the parameters themselves, or name the default route.
fn sources(world: &World, api: &str, served: &Served, method: &str, path: &str) -> Vec<String> {
    let stage = &served.stage;
    let of = |rest: String| world.arn("execute-api", &format!("{api}/{stage}/{rest}"));
    if path == DEFAULT {
        return vec![
            of(DEFAULT.to_owned()),
            of(format!("{method}{}", served.path)),
        ];
    }
    vec![
        of(format!("{method}{path}")),
        of(format!("{method}{}", served.path)),
    ]
}

/// The request's headers with what API Gateway adds. Scheme and port are those that the client
/// really used, so that a function which builds URLs from them builds some that work.
fn forwarded(world: &World, headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let port = world.settings.port.unwrap_or(80).to_string();
    let trace = uuid::Uuid::new_v4().simple().to_string();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-port", &port),
        ("x-forwarded-proto", "http"),
        (
            "x-amzn-trace-id",
            &format!("Root=1-{}-{}", &trace[..8], &trace[8..]),
        ),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers.remove("connection");
    headers
}

fn send(reply: Reply, request_id: &str) -> Response {
    // The server writes these itself.
    const OWN: [&str; 4] = [
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
    ];
    let mut response = http::Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &reply.headers {
        if let (false, Ok(name), Ok(value)) = (
            OWN.contains(&name.as_str()),
            HeaderName::try_from(name),
            HeaderValue::from_str(value),
        ) {
            response.headers_mut().append(name, value);
        }
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-amzn-requestid"), id);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_leads_nowhere_has_an_id_too() {
        for (case, answer) in [
            ("no API", no_api()),
            ("no stage of a REST API", no_stage(true)),
            ("no stage of an HTTP API", no_stage(false)),
        ] {
            assert!(!answer.headers()["x-amzn-requestid"].is_empty(), "{case}");
        }
    }

    #[test]
    fn a_function_is_found_in_the_uri_of_its_invocations() {
        let variables = BTreeMap::from([("alias".to_owned(), "live".to_owned())]);
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:app";
        for (uri, expected) in [
            (arn.to_owned(), arn.to_owned()),
            (
                format!(
                    "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
                ),
                arn.to_owned(),
            ),
            (
                format!(
                    "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}:${{stageVariables.alias}}/invocations"
                ),
                format!("{arn}:live"),
            ),
        ] {
            assert_eq!(function_of(&uri, &variables), expected, "{uri}");
        }
    }
}
