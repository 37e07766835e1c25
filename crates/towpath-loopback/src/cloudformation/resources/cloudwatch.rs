//! AWS::CloudWatch::Alarm.

use serde_json::{Value, json};

use super::names::{self, Rules};
use super::properties::{flags, numbers, pick, tag_list, whole_numbers};
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;

/// What `PutMetricAlarm` takes, under the template's own names.
const MEMBERS: &[&str] = &[
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "ThresholdMetricId",
];

/// Creates the alarm, or changes that of `resource`.
pub(super) async fn put(
    scene: &Scene,
    properties: &Value,
    resource: Option<&Resource>,
) -> Result<Made, Trouble> {
    let name = resource
        .and_then(|resource| resource.physical_id.clone())
        .unwrap_or_else(|| names::physical(scene, properties, "AlarmName", Rules::PLAIN));
    let arn = scene.world.arn("cloudwatch", &format!("alarm:{name}"));
    scene.authorize("CloudWatch", "cloudwatch:PutMetricAlarm", &arn)?;
    let mut request = pick(properties, MEMBERS);
    whole_numbers(
        &mut request,
        &["Period", "EvaluationPeriods", "DatapointsToAlarm"],
    );
    numbers(&mut request, &["Threshold"]);
    flags(&mut request, &["ActionsEnabled"]);
    request.insert("AlarmName".into(), json!(name));
    request.insert("Tags".into(), tag_list(&scene.tags, properties));
    service_call!(
        scene,
        cloudwatch,
        "CloudWatch",
        "PutMetricAlarm",
        Value::Object(request)
    )?;
    Ok(Made::new(name).attribute("Arn", arn))
}

pub(super) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = scene.world.arn("cloudwatch", &format!("alarm:{name}"));
    scene.authorize("CloudWatch", "cloudwatch:DeleteAlarms", &arn)?;
    service_removal!(
        scene,
        cloudwatch,
        "CloudWatch",
        "DeleteAlarms",
        json!({ "AlarmNames": [name] })
    )
}
