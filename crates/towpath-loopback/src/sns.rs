//! SNS: topics whose messages are kept in files, and reach Lambda subscribers.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::identity::now_ms;
use crate::input::{list, required, text};
use crate::protocol::iso8601;
use crate::{AwsError, Caller, World};

/// The topics, by their ARNs.
#[derive(Default)]
pub(crate) struct Sns {
    topics: Mutex<BTreeMap<String, Topic>>,
}

#[derive(Default)]
struct Topic {
    attributes: BTreeMap<String, String>,
    subscriptions: Vec<Subscription>,
}

#[derive(Clone)]
struct Subscription {
    arn: String,
    protocol: String,
    endpoint: String,
}

impl Sns {
    /// Answers one operation.
    #[expect(clippy::unused_async, reason = "every service is called alike")]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "CreateTopic" => {
                let arn = world.arn("sns", &required(&input, "Name")?);
                let attributes = attributes(&input);
                self.with(|topics| {
                    topics
                        .entry(arn.clone())
                        .or_default()
                        .attributes
                        .extend(attributes);
                });
                Ok(json!({"TopicArn": arn}))
            }
            "DeleteTopic" => {
                let arn = required(&input, "TopicArn")?;
                self.with(|topics| topics.remove(&arn));
                Ok(json!({}))
            }
            "ListTopics" => {
                let topics: Vec<Value> = self.with(|topics| {
                    let arns = topics.keys();
                    arns.map(|arn| json!({"TopicArn": arn})).collect()
                });
                Ok(json!({"Topics": topics}))
            }
            "GetTopicAttributes" => self.attributes_of(&required(&input, "TopicArn")?),
            "SetTopicAttributes" => {
                let name = required(&input, "AttributeName")?;
                let value = text(&input, "AttributeValue").unwrap_or_default();
                self.topic(&required(&input, "TopicArn")?, |topic| {
                    topic.attributes.insert(name, value);
                    Ok(json!({}))
                })
            }
            "Subscribe" => self.subscribe(world, &input),
            "Unsubscribe" => {
                let arn = required(&input, "SubscriptionArn")?;
                self.with(|topics| {
                    for topic in topics.values_mut() {
                        topic.subscriptions.retain(|own| own.arn != arn);
                    }
                });
                Ok(json!({}))
            }
            "ListSubscriptions" | "ListSubscriptionsByTopic" => {
                Ok(self.subscriptions(world, text(&input, "TopicArn").as_deref()))
            }
            "Publish" => self.publish(world, &input),
            _ => Err(AwsError::unknown_operation("sns", operation)),
        }
    }

    fn attributes_of(&self, arn: &str) -> Result<Value, AwsError> {
        self.topic(arn, |topic| {
            let mut attributes: Map<String, Value> = topic
                .attributes
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            attributes.insert("TopicArn".into(), arn.into());
            attributes.insert(
                "SubscriptionsConfirmed".into(),
                topic.subscriptions.len().to_string().into(),
            );
            Ok(json!({"Attributes": attributes}))
        })
    }

    fn subscribe(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let topic_arn = required(input, "TopicArn")?;
        let protocol = required(input, "Protocol")?;
        let endpoint = text(input, "Endpoint").unwrap_or_default();
        if protocol != "lambda" {
            world
                .fidelity
                .simulated(format!("SNS delivery over {protocol}"));
        }
        self.topic(&topic_arn, |topic| {
            let known = topic
                .subscriptions
                .iter()
                .find(|own| own.protocol == protocol && own.endpoint == endpoint);
            let arn = known.map_or_else(
                || format!("{topic_arn}:{}", Uuid::new_v4()),
                |own| own.arn.clone(),
            );
            if known.is_none() {
                topic.subscriptions.push(Subscription {
                    arn: arn.clone(),
                    protocol,
                    endpoint,
                });
            }
            Ok(json!({"SubscriptionArn": arn}))
        })
    }

    fn subscriptions(&self, world: &World, only: Option<&str>) -> Value {
        self.with(|topics| {
            let found: Vec<Value> = topics
                .iter()
                .filter(|(arn, _)| only.is_none_or(|only| only == arn.as_str()))
                .flat_map(|(arn, topic)| topic.subscriptions.iter().map(move |own| (arn, own)))
                .map(|(arn, own)| {
                    json!({
                        "SubscriptionArn": own.arn,
                        "Owner": world.settings.account,
                        "Protocol": own.protocol,
                        "Endpoint": own.endpoint,
                        "TopicArn": arn,
                    })
                })
                .collect();
            json!({"Subscriptions": found})
        })
    }

    /// Sends a message to everybody who subscribed to its topic.
    pub(crate) fn publish(&self, world: &Arc<World>, input: &Value) -> Result<Value, AwsError> {
        let arn = text(input, "TopicArn")
            .or_else(|| text(input, "TargetArn"))
            .ok_or_else(|| {
                AwsError::client(
                    "InvalidParameter",
                    "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
                )
            })?;
        let message = required(input, "Message")?;
        let subscribers = self.topic(&arn, |topic| Ok(topic.subscriptions.clone()))?;
        let id = Uuid::new_v4().to_string();
        let subject = text(input, "Subject");
        let notification = json!({
            "Type": "Notification",
            "MessageId": id,
            "TopicArn": arn,
            "Subject": subject,
            "Message": message,
            "Timestamp": iso8601(now_ms()),
            "MessageAttributes": input.get("MessageAttributes").cloned().unwrap_or(json!({})),
        });
        record(world, &arn, &notification)?;
        for subscriber in subscribers {
            if subscriber.protocol == "lambda" {
                let event = json!({"Records": [{
                    "EventSource": "aws:sns",
                    "EventVersion": "1.0",
                    "EventSubscriptionArn": subscriber.arn,
                    "Sns": notification,
                }]});
                let world = world.clone();
                let tasks = world.tasks.clone();
                tasks.spawn(deliver(world, subscriber.endpoint, event));
            } else {
                world
                    .fidelity
                    .simulated(format!("SNS delivery over {}", subscriber.protocol));
            }
        }
        Ok(json!({"MessageId": id}))
    }

    /// Whether there is a topic of that ARN.
    pub(crate) fn exists(&self, arn: &str) -> bool {
        self.with(|topics| topics.contains_key(arn))
    }

    fn topic<T>(
        &self,
        arn: &str,
        act: impl FnOnce(&mut Topic) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.with(|topics| {
            let topic = topics.get_mut(arn).ok_or_else(|| {
                AwsError::client("NotFound", format!("Topic does not exist: `{arn}`"))
                    .with_status(404)
            })?;
            act(topic)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Topic>) -> T) -> T {
        act(&mut self.topics.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hands a notification to a function, as SNS does: an event, whose outcome nobody waits for.
async fn deliver(world: Arc<World>, function: String, event: Value) {
    let input = json!({
        "FunctionName": function,
        "InvocationType": "Event",
        "Payload": event.to_string(),
    });
    if let Err(error) = world
        .lambda
        .call(&world, &Caller::Root, "Invoke", input)
        .await
    {
        tracing::warn!(%function, %error, "failed to deliver a notification to a function");
    }
}

/// Adds a line to `<state_dir>/sns/<topic>.jsonl`.
fn record(world: &World, arn: &str, notification: &Value) -> Result<(), AwsError> {
    let name = arn.rsplit(':').next().unwrap_or("topic").replace('/', "_");
    let directory = world.settings.state_dir.join("sns");
    std::fs::create_dir_all(&directory)
        .and_then(|()| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(directory.join(format!("{name}.jsonl")))
        })
        .and_then(|mut file| file.write_all(format!("{notification}\n").as_bytes()))
        .map_err(|error| AwsError::internal(format!("failed to record a notification: {error}")))
}

/// `Attributes`, whether the wire made it a map or a list of entries.
fn attributes(input: &Value) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    if let Some(map) = input.get("Attributes").and_then(Value::as_object) {
        for (name, value) in map {
            if let Some(value) = value.as_str() {
                attributes.insert(name.clone(), value.to_owned());
            }
        }
    }
    for entry in list(input, "Attributes") {
        if let (Some(name), Some(value)) = (text(entry, "key"), text(entry, "value")) {
            attributes.insert(name, value);
        }
    }
    attributes
}
