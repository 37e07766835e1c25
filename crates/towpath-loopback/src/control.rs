//! What is not AWS: handing the loopback images and sources, and asking it what it did.
//!
//! `/_towpath/*` needs the header `x-towpath-token`, which never leaves this machine; only
//! `/_towpath/health` answers anybody, and tells nothing.

use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::cloudformation::ResourceRule;
use crate::faults::{FaultRule, NotARule};
use crate::server::{Request, Response};
use crate::{AwsError, World};

/// The header that carries the secret.
pub(crate) const TOKEN_HEADER: &str = "x-towpath-token";

/// Answers a control request.
pub(crate) async fn answer(world: &Arc<World>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let rest = path.strip_prefix("/_towpath/").unwrap_or_default();
    if rest == "health" {
        return json_answer(200, &json!({"status": "ok"}));
    }
    let token = request
        .headers()
        .get(TOKEN_HEADER)
        .and_then(|value| value.to_str().ok());
    if token != Some(world.control_token.as_str()) {
        return refuse(
            403,
            &format!(
                "the request lacks the header {TOKEN_HEADER}, or its value is not this loopback's"
            ),
        );
    }
    let segments: Vec<String> = rest
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = request.method().clone();
    match (&method, segments.as_slice()) {
        (&Method::GET, ["fidelity"]) => json_answer(200, &world.fidelity.report()),
        (&Method::GET, ["jobs"]) => {
            let (pipeline, execution) = (query(&request, "pipeline"), query(&request, "execution"));
            match world
                .codepipeline
                .jobs(pipeline.as_deref(), execution.as_deref())
            {
                Ok(jobs) => json_answer(200, &jobs),
                Err(error) => failed(&error),
            }
        }
        (&Method::PUT, ["images", uri]) => {
            match world
                .lambda
                .register_image(world, uri, request.into_body())
                .await
            {
                Ok(()) => json_answer(200, &json!({"image": uri})),
                Err(error) => failed(&error),
            }
        }
        (&Method::PUT, ["sources", repository, branch]) => {
            put_source(world, repository, branch, request).await
        }
        (&Method::POST, ["duplicates", function]) => {
            world.lambda.duplicate_next(function);
            json_answer(200, &json!({}))
        }
        (&Method::POST, ["expired", access_key_id]) => {
            world.identity.expire(access_key_id);
            json_answer(200, &json!({}))
        }
        (&Method::GET, ["faults"]) => json_answer(200, &world.faults.report()),
        (&Method::DELETE, ["faults"]) => {
            world.faults.clear();
            json_answer(200, &json!({}))
        }
        (&Method::POST, ["faults"]) => match rule(&request, FaultRule::from_json) {
            Ok(rule) => {
                world.faults.add(rule);
                json_answer(200, &json!({}))
            }
            Err(reason) => refuse(400, &reason),
        },
        (&Method::GET, ["resources"]) => json_answer(200, &world.cloudformation.scripts.report()),
        (&Method::DELETE, ["resources"]) => {
            world.clear_resource_scripts();
            json_answer(200, &json!({}))
        }
        (&Method::POST, ["resources"]) => match rule(&request, ResourceRule::from_json) {
            Ok(rule) => {
                world.cloudformation.scripts.add(rule);
                json_answer(200, &json!({}))
            }
            Err(reason) => refuse(400, &reason),
        },
        _ => refuse(404, &format!("there is no control request {method} {path}")),
    }
}

/// The rule in a request's body.
fn rule<T>(
    request: &Request,
    read: impl FnOnce(&Value) -> Result<T, NotARule>,
) -> Result<T, String> {
    let value: Value = serde_json::from_slice(request.body())
        .map_err(|error| format!("the body is not JSON: {error}"))?;
    read(&value).map_err(|error| error.to_string())
}

async fn put_source(
    world: &Arc<World>,
    repository: &str,
    branch: &str,
    request: Request,
) -> Response {
    let revision = query(&request, "revision");
    let message = query(&request, "message").unwrap_or_default();
    let Some(revision) = revision.filter(|revision| !revision.is_empty()) else {
        return refuse(
            400,
            "a source needs its `revision` in the query: the commit's id",
        );
    };
    if request.body().is_empty() {
        return refuse(400, "a source needs a body: the zip of its tree");
    }
    match world
        .codepipeline
        .register_source(
            world,
            repository,
            branch,
            &revision,
            &message,
            request.into_body(),
        )
        .await
    {
        Ok(()) => json_answer(200, &json!({"repository": repository, "branch": branch})),
        Err(error) => failed(&error),
    }
}

fn query(request: &Request, name: &str) -> Option<String> {
    form_urlencoded::parse(request.uri().query()?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn failed(error: &AwsError) -> Response {
    let body = json!({"code": error.code, "message": error.message});
    json_answer(error.status, &body)
}

fn refuse(status: u16, message: &str) -> Response {
    json_answer(status, &json!({"message": message}))
}

fn json_answer(status: u16, body: &Value) -> Response {
    crate::server::answer(status, "application/json", body.to_string())
}
