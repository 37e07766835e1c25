//! `Custom::*` and `AWS::CloudFormation::CustomResource`: somebody else's function, or who listens to a
//! topic, makes the resource and answers at an address of its own.
//!
//! The documents are those of "Custom resource request and response reference" in CloudFormation's user
//! guide. What is said where that page is silent is marked as the loopback's own.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::names::{self, Rules};
use super::{Made, Scene, Trouble};
use crate::cloudformation::stack::Resource;
use crate::cloudformation::wire::Object;
use crate::{AwsError, Caller, World, input};

/// How many seconds a provider may take, if the template does not say; also the most that it may say.
const LONGEST: u32 = 3600;

/// The most that an answer may hold, in bytes.
const LARGEST_ANSWER: usize = 4096;

/// What is asked of a provider.
#[derive(Debug, Clone, Copy)]
enum Order<'a> {
    Create,
    Update(&'a Resource),
    Delete(&'a Resource),
}

impl<'a> Order<'a> {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update(_) => "Update",
            Self::Delete(_) => "Delete",
        }
    }

    /// What is said when a sibling's failure comes first.
    fn cancelled(self) -> &'static str {
        match self {
            Self::Create => "Resource creation cancelled",
            Self::Update(_) => "Resource update cancelled",
            Self::Delete(_) => "Resource deletion cancelled",
        }
    }

    fn resource(self) -> Option<&'a Resource> {
        match self {
            Self::Create => None,
            Self::Update(resource) | Self::Delete(resource) => Some(resource),
        }
    }
}

/// Asks for a new resource.
///
/// Once a provider has been asked, something may exist: a failure carries the id by which the rollback asks
/// for its deletion. Where the provider gave none, the loopback makes one up, as it is not documented which
/// one AWS sends then.
pub(super) async fn create(
    scene: &Scene,
    resource_type: &str,
    properties: &Value,
    stop: &CancellationToken,
) -> Result<Made, Trouble> {
    ask(scene, resource_type, Order::Create, properties, stop).await
}

/// Asks for a change. A new physical id in the answer makes it a replacement.
pub(super) async fn update(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
    stop: &CancellationToken,
) -> Result<Made, Trouble> {
    if input::text(&resource.properties, "ServiceToken") != input::text(properties, "ServiceToken")
    {
        return Err(Trouble::told("Modifying service token is not allowed."));
    }
    let order = Order::Update(resource);
    ask(scene, &resource.resource_type, order, properties, stop).await
}

pub(super) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let (order, never) = (Order::Delete(resource), CancellationToken::new());
    let properties = &resource.properties;
    ask(scene, &resource.resource_type, order, properties, &never)
        .await
        .map(|_| ())
}

async fn ask(
    scene: &Scene,
    resource_type: &str,
    order: Order<'_>,
    properties: &Value,
    stop: &CancellationToken,
) -> Result<Made, Trouble> {
    let provider = input::text(properties, "ServiceToken").ok_or_else(|| {
        Trouble::invalid("Model validation failed (#: required key [ServiceToken] not found)")
    })?;
    let seconds = service_timeout(properties).map_err(Trouble::told)?;
    let mut awaited = scene.world.cloudformation.replies.open();
    let id = Uuid::new_v4().to_string();
    let request = document(scene, resource_type, order, properties)
        .with("RequestId", Some(id.clone()))
        .with("ResponseURL", Some(awaited.url(&scene.world)));
    hand_over(scene, &provider, &request).await?;
    // From here on the provider may have made something.
    let left = |reason: String, id: Option<String>| {
        let given = id.or_else(|| order.resource()?.physical_id.clone());
        Trouble {
            reason,
            left_behind: Some(given.unwrap_or_else(|| names::generated(scene, Rules::PLAIN))),
        }
    };
    let patience = scene.world.settings.custom_resource_second * seconds;
    let body = tokio::select! {
        () = stop.cancelled() => return Err(left(order.cancelled().to_owned(), None)),
        body = tokio::time::timeout(patience, awaited.answer()) => body,
    };
    let Ok(body) = body else {
        return Err(left(unanswered(&id), None));
    };
    let reply = Reply::read(&body, &request).map_err(|reason| left(reason, None))?;
    if let Some(reason) = reply.failure {
        let reason = format!(
            "Received response status [FAILED] from custom resource. Message returned: {reason} (RequestId: {id})"
        );
        return Err(left(reason, reply.physical_id));
    }
    let physical_id = match (reply.physical_id, order) {
        (Some(id), _) => id,
        (None, Order::Delete(resource)) => resource.physical_id.clone().unwrap_or_default(),
        (None, _) => return Err(left("Invalid PhysicalResourceId".to_owned(), None)),
    };
    let mut made = Made::new(physical_id);
    made.attributes = reply.data;
    made.no_echo = reply.no_echo;
    Ok(made)
}

fn unanswered(request: &str) -> String {
    format!(
        "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [{request}]. If you are using the Python cfn-response module, you may need to update your Lambda function code so that CloudFormation can attach the updated version."
    )
}

/// The seconds that the provider may take. What is said of a wrong number is the loopback's own.
fn service_timeout(properties: &Value) -> Result<u32, String> {
    let Some(text) = input::text(properties, "ServiceTimeout") else {
        return Ok(LONGEST);
    };
    text.parse()
        .ok()
        .filter(|seconds| (1..=LONGEST).contains(seconds))
        .ok_or_else(|| {
            format!("ServiceTimeout must be a whole number of seconds from 1 to {LONGEST}: {text}")
        })
}

/// What a provider gets, but for what is new with every request.
fn document(scene: &Scene, resource_type: &str, order: Order, properties: &Value) -> Value {
    let former = match order {
        Order::Update(resource) => Some(as_text(&resource.properties)),
        Order::Create | Order::Delete(_) => None,
    };
    let physical_id = order
        .resource()
        .and_then(|resource| resource.physical_id.clone());
    json!({
        "RequestType": order.as_str(),
        "ServiceToken": input::text(properties, "ServiceToken"),
        "StackId": scene.stack_id,
        "LogicalResourceId": scene.logical_id,
        "ResourceType": resource_type,
        "ResourceProperties": as_text(properties),
    })
    .with("PhysicalResourceId", physical_id)
    .with("OldResourceProperties", former)
}

/// Numbers and flags reach a provider as text, at any depth.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), as_text(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(as_text).collect(),
        Value::Bool(flag) => json!(flag.to_string()),
        Value::Number(number) => json!(number.to_string()),
        Value::String(_) | Value::Null => value.clone(),
    }
}

/// Gives the request to the function or the topic, with the permissions of the deployment.
async fn hand_over(scene: &Scene, provider: &str, document: &Value) -> Result<(), Trouble> {
    let service = provider.split(':').nth(2).unwrap_or_default();
    let given = match service {
        "lambda" => {
            let request = json!({
                "FunctionName": provider,
                "InvocationType": "Event",
                "Payload": document.to_string(),
            });
            call(scene, "lambda:InvokeFunction", provider, async |world| {
                world
                    .lambda
                    .call(world, &Caller::Root, "Invoke", request)
                    .await
            })
            .await
            .map_err(|error| refused("AWSLambdaInternal", &error))
        }
        "sns" => {
            let request = json!({
                "TopicArn": provider,
                "Subject": "AWS CloudFormation custom resource request",
                "Message": document.to_string(),
            });
            call(scene, "sns:Publish", provider, async |world| {
                world
                    .sns
                    .call(world, &Caller::Root, "Publish", request)
                    .await
            })
            .await
            .map_err(|error| refused("AmazonSNS", &error))
        }
        // The loopback's own words.
        _ => Err(format!(
            "Invalid service token: expected the ARN of a Lambda function or of an SNS topic, got {provider}"
        )),
    };
    given.map_err(Trouble::told)
}

async fn call(
    scene: &Scene,
    action: &str,
    provider: &str,
    act: impl AsyncFnOnce(&Arc<World>) -> Result<Value, AwsError>,
) -> Result<(), AwsError> {
    scene
        .world
        .identity
        .authorize(&scene.caller, action, provider)?;
    act(&scene.world).await.map(|_| ())
}

/// A service's refusal, as CloudFormation tells it where no resource handler stands between.
fn refused(service: &str, error: &AwsError) -> String {
    format!(
        "{} (Service: {service}; Status Code: {}; Error Code: {}; Request ID: {}; Proxy: null)",
        error.message,
        error.status,
        error.code,
        Uuid::new_v4()
    )
}

/// What a provider answered.
#[derive(Debug, PartialEq)]
struct Reply {
    physical_id: Option<String>,
    /// The reason, if the provider reports a failure.
    failure: Option<String>,
    data: Map<String, Value>,
    no_echo: bool,
}

impl Reply {
    /// Reads an answer to `request`. What is said of a wrong one is the loopback's own, but for its length.
    fn read(body: &[u8], request: &Value) -> Result<Self, String> {
        if body.len() > LARGEST_ANSWER {
            return Err("Response object is too long.".to_owned());
        }
        let answer: Value = serde_json::from_slice(body)
            .map_err(|error| format!("Invalid response: it is not JSON: {error}"))?;
        for member in ["StackId", "RequestId", "LogicalResourceId"] {
            let given = input::text(&answer, member);
            if given.is_none() || given != input::text(request, member) {
                return Err(format!(
                    "Invalid response: its {member} must be that of the request"
                ));
            }
        }
        let failure = match input::text(&answer, "Status").as_deref() {
            Some("SUCCESS") => None,
            Some("FAILED") => Some(input::text(&answer, "Reason").unwrap_or_default()),
            _ => return Err("Invalid response: its Status must be SUCCESS or FAILED".to_owned()),
        };
        let data = match answer.get("Data") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => data.clone(),
            Some(_) => return Err("Invalid response: its Data must be an object".to_owned()),
        };
        Ok(Self {
            physical_id: input::text(&answer, "PhysicalResourceId").filter(|id| !id.is_empty()),
            failure,
            data,
            no_echo: input::flag(&answer, "NoEcho"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_become_text_at_any_depth() {
        let properties =
            json!({"N": 1, "B": true, "Gone": null, "In": {"List": [1.5, false, "x"]}});
        let expected = json!({"N": "1", "B": "true", "In": {"List": ["1.5", "false", "x"]}});
        assert_eq!(as_text(&properties), expected);
    }

    #[test]
    fn a_timeout_is_a_number_of_seconds_within_an_hour() {
        for (given, expected) in [
            (json!({}), Some(3600)),
            (json!({"ServiceTimeout": "900"}), Some(900)),
            (json!({"ServiceTimeout": 1}), Some(1)),
            (json!({"ServiceTimeout": 0}), None),
            (json!({"ServiceTimeout": "3601"}), None),
            (json!({"ServiceTimeout": "soon"}), None),
        ] {
            assert_eq!(service_timeout(&given).ok(), expected, "{given}");
        }
    }

    #[test]
    fn an_answer_is_read_or_refused_with_what_is_wrong() {
        let request = json!({"StackId": "s", "RequestId": "r", "LogicalResourceId": "l"});
        let answer = |more: Value| {
            let mut answer = request.clone();
            let more = more.as_object().unwrap().clone();
            answer.as_object_mut().unwrap().extend(more);
            answer.to_string()
        };
        let read = |body: &str| Reply::read(body.as_bytes(), &request);
        let made = json!({"Status": "SUCCESS", "PhysicalResourceId": "p", "Data": {"A": "b"}, "NoEcho": true});
        let reply = read(&answer(made)).unwrap();
        assert_eq!(reply.physical_id.as_deref(), Some("p"));
        assert_eq!(reply.data["A"], json!("b"));
        assert!(reply.no_echo && reply.failure.is_none());
        let reply = read(&answer(json!({"Status": "FAILED", "Reason": "no"}))).unwrap();
        assert_eq!(reply.failure.as_deref(), Some("no"));
        for (body, expected) in [
            ("x".to_owned(), "not JSON"),
            (answer(json!({})), "its Status"),
            (
                answer(json!({"Status": "SUCCESS", "Data": "x"})),
                "its Data",
            ),
            (
                answer(json!({"Status": "SUCCESS", "RequestId": "other"})),
                "its RequestId",
            ),
            ("x".repeat(4097), "too long"),
        ] {
            let refusal = read(&body).unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
