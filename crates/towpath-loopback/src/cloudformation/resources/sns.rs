//! AWS::SNS::Topic and AWS::SNS::Subscription.

use serde_json::{Value, json};

use super::names::{self, Rules};
use super::properties::tag_list;
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;
use crate::cloudformation::wire::Object;
use crate::input;

pub(super) async fn create_topic(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "TopicName", Rules::PIPELINE);
    let arn = scene.world.arn("sns", &name);
    scene.authorize("Sns", "sns:CreateTopic", &arn)?;
    let answer = service_call!(
        scene,
        sns,
        "Sns",
        "CreateTopic",
        json!({ "Name": name, "Tags": tag_list(&scene.tags, properties) })
    )?;
    let arn = input::text(&answer, "TopicArn").unwrap_or(arn);
    subscribe_all(scene, &arn, &[], properties).await?;
    Ok(Made::new(arn.clone())
        .attribute("TopicName", name)
        .attribute("TopicArn", arn))
}

pub(super) async fn update_topic(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    let before = input::list(&resource.properties, "Subscription").to_vec();
    subscribe_all(scene, &arn, &before, properties).await?;
    Ok(Made::unchanged(resource))
}

pub(super) async fn delete_topic(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("Sns", "sns:DeleteTopic", &arn)?;
    service_removal!(scene, sns, "Sns", "DeleteTopic", json!({ "TopicArn": arn }))
}

/// The subscriptions written into the topic itself, but for those that were there `before`.
async fn subscribe_all(
    scene: &Scene,
    topic: &str,
    before: &[Value],
    properties: &Value,
) -> Result<(), Trouble> {
    for subscription in input::list(properties, "Subscription") {
        if !before.contains(subscription) {
            subscribe(scene, topic, subscription).await?;
        }
    }
    Ok(())
}

pub(super) async fn create_subscription(
    scene: &Scene,
    properties: &Value,
) -> Result<Made, Trouble> {
    let topic = input::text(properties, "TopicArn").unwrap_or_default();
    let arn = subscribe(scene, &topic, properties).await?;
    Ok(Made::new(arn.clone()).attribute("Arn", arn))
}

async fn subscribe(scene: &Scene, topic: &str, subscription: &Value) -> Result<String, Trouble> {
    scene.authorize("Sns", "sns:Subscribe", topic)?;
    let request = json!({ "TopicArn": topic, "ReturnSubscriptionArn": true })
        .with("Protocol", input::text(subscription, "Protocol"))
        .with("Endpoint", input::text(subscription, "Endpoint"));
    let answer = service_call!(scene, sns, "Sns", "Subscribe", request)?;
    Ok(input::text(&answer, "SubscriptionArn")
        .unwrap_or_else(|| format!("{topic}:{}", uuid::Uuid::new_v4())))
}

pub(super) async fn delete_subscription(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("Sns", "sns:Unsubscribe", &arn)?;
    service_removal!(
        scene,
        sns,
        "Sns",
        "Unsubscribe",
        json!({ "SubscriptionArn": arn })
    )
}
