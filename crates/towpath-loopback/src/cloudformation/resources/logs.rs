//! AWS::Logs::LogGroup.

use serde_json::{Value, json};

use super::names::{self, Rules};
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;

pub(super) async fn create(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "LogGroupName", Rules::PLAIN);
    let arn = scene.world.arn("logs", &format!("log-group:{name}:*"));
    scene.authorize("CloudWatchLogs", "logs:CreateLogGroup", &arn)?;
    service_call!(
        scene,
        logs,
        "CloudWatchLogs",
        "CreateLogGroup",
        json!({ "logGroupName": name })
    )?;
    Ok(Made::new(name).attribute("Arn", arn))
}

pub(super) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = scene.world.arn("logs", &format!("log-group:{name}:*"));
    scene.authorize("CloudWatchLogs", "logs:DeleteLogGroup", &arn)?;
    service_removal!(
        scene,
        logs,
        "CloudWatchLogs",
        "DeleteLogGroup",
        json!({ "logGroupName": name })
    )
}
