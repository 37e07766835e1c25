//! From a signed request to the service it is for: proven, permitted, answered.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use uuid::Uuid;

use crate::faults::{Cut, Kind};
use crate::protocol::{Call, Protocol};
use crate::server::{CutConnection, Response};
use crate::sigv4::{self, Claim, Rejection};
use crate::{AwsError, Caller, World, permission};

/// The signing name of the service a request is for, when it says so in any way but S3's.
pub(crate) fn service(parts: &Parts) -> Option<String> {
    if let Ok(claim) = sigv4::claim(parts) {
        return Some(claim.service);
    }
    let target = parts.headers.get("x-amz-target")?.to_str().ok()?;
    let prefix = target.split(['.', '_']).next().unwrap_or_default();
    let known = match prefix {
        "CodePipeline" => "codepipeline",
        "Logs" => "logs",
        "AmazonSSM" => "ssm",
        "GraniteServiceVersion20100801" => "monitoring",
        other => return Some(other.to_ascii_lowercase()),
    };
    Some(known.to_owned())
}

/// Whether a request that names no service looks like one for an API other than S3.
pub(crate) fn looks_like_api(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let form = parts
        .headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let action = parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair.starts_with("Action=")));
    form || action || path.starts_with("/service/") || path.starts_with("/20")
}

/// Answers a request for any service but S3.
pub(crate) async fn answer(
    world: &Arc<World>,
    service: &str,
    parts: &Parts,
    body: &Bytes,
) -> Result<Response, CutConnection> {
    let request_id = Uuid::new_v4().to_string();
    let protocol = Protocol::of(service, parts);
    let fail = |error: &AwsError| Ok(protocol.failure(error, &request_id));

    let caller = match prove(world, parts, body) {
        Ok(caller) => caller,
        Err(rejection) => return fail(&protocol.rejection(rejection)),
    };
    let call = match protocol.read(service, parts, body) {
        Ok(call) => call,
        Err(error) => return fail(&told(world, service, error)),
    };
    tracing::debug!(service, operation = %call.operation, %request_id, "call");

    let mut cut = None;
    match world.faults.next(service, &call.operation) {
        None => {}
        Some(Kind::Throttle) => {
            let error = AwsError::client("Throttling", "Rate exceeded");
            return fail(&error);
        }
        Some(Kind::Error) => return fail(&AwsError::internal("an injected fault")),
        Some(Kind::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(Kind::Cut(Cut::Before)) => return Err(CutConnection),
        Some(Kind::Cut(Cut::After)) => cut = Some(CutConnection),
    }

    let needs = permission::needed(
        world,
        service,
        &call.operation,
        parts.method.as_str(),
        parts.uri.path(),
        &call.input,
    );
    for (action, resource) in &needs {
        // What a policy may ask of a call: whom a role is given to.
        let context = [(
            "iam:PassedToService".to_owned(),
            vec![format!("{service}.amazonaws.com")],
        )]
        .into();
        if let Err(error) = world
            .identity
            .authorize_with(&caller, action, resource, &context, None)
        {
            return fail(&error);
        }
    }

    let result = perform(world, service, caller, &call).await;
    if let Some(cut) = cut {
        return Err(cut);
    }
    match result {
        Ok(output) => Ok(protocol.success(service, &call, output, &request_id)),
        Err(error) => fail(&told(world, service, error)),
    }
}

fn prove(world: &World, parts: &Parts, body: &Bytes) -> Result<Caller, Rejection> {
    let claim: Claim = sigv4::claim(parts)?;
    sigv4::verify(&world.identity, &claim, parts, body, SystemTime::now())
}

/// Carries the call out in a task of its own: what a client began happens, even if the client goes away.
async fn perform(
    world: &Arc<World>,
    service: &str,
    caller: Caller,
    call: &Call,
) -> Result<serde_json::Value, AwsError> {
    let (operation, input) = (call.operation.clone(), call.input.clone());
    let service = service.to_owned();
    let task = {
        let world = world.clone();
        async move {
            let (caller, operation) = (&caller, operation.as_str());
            match service.as_str() {
                "codepipeline" => {
                    world
                        .codepipeline
                        .call(&world, caller, operation, input)
                        .await
                }
                "cloudformation" => {
                    world
                        .cloudformation
                        .call(&world, caller, operation, input)
                        .await
                }
                "codebuild" => world.codebuild.call(&world, caller, operation, input).await,
                "lambda" => world.lambda.call(&world, caller, operation, input).await,
                "apigateway" => {
                    world
                        .apigateway
                        .call(&world, caller, operation, input)
                        .await
                }
                "iam" => world.iam.call(&world, caller, operation, input).await,
                "logs" => world.logs.call(&world, caller, operation, input).await,
                "monitoring" => {
                    world
                        .cloudwatch
                        .call(&world, caller, operation, input)
                        .await
                }
                "secretsmanager" => {
                    world
                        .secretsmanager
                        .call(&world, caller, operation, input)
                        .await
                }
                "sns" => world.sns.call(&world, caller, operation, input).await,
                "ssm" => world.ssm.call(&world, caller, operation, input).await,
                "sts" => world.sts.call(&world, caller, operation, input).await,
                other => Err(AwsError::unknown_operation(other, operation)),
            }
        }
    };
    world
        .tasks
        .spawn(task)
        .await
        .unwrap_or_else(|panic| Err(AwsError::internal(format!("the operation failed: {panic}"))))
}

/// Tells the ledger what was refused.
fn told(world: &World, service: &str, error: AwsError) -> AwsError {
    if error.code == "UnknownOperationException" {
        let what = error
            .message
            .strip_prefix("the loopback does not serve ")
            .unwrap_or(service);
        world.fidelity.refused(what);
    }
    error
}
