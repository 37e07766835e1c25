//! AWS::SSM::Parameter.

use serde_json::{Value, json};

use super::names::{self, Rules};
use super::properties::pick;
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;
use crate::input;

/// Creates the parameter, or overwrites that of `resource`.
pub(super) async fn put(
    scene: &Scene,
    properties: &Value,
    resource: Option<&Resource>,
) -> Result<Made, Trouble> {
    let name = resource
        .and_then(|resource| resource.physical_id.clone())
        .unwrap_or_else(|| names::physical(scene, properties, "Name", Rules::PLAIN));
    let arn = parameter_arn(scene, &name);
    scene.authorize("Ssm", "ssm:PutParameter", &arn)?;
    let mut request = pick(
        properties,
        &["Type", "Description", "AllowedPattern", "DataType", "Tier"],
    );
    request.insert("Name".into(), json!(name));
    request.insert("Overwrite".into(), json!(resource.is_some()));
    let value = input::text(properties, "Value").unwrap_or_default();
    request.insert("Value".into(), json!(value));
    service_call!(scene, ssm, "Ssm", "PutParameter", Value::Object(request))?;
    Ok(Made::new(name)
        .attribute(
            "Type",
            input::text(properties, "Type").unwrap_or_else(|| "String".to_owned()),
        )
        .attribute("Value", value))
}

pub(super) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("Ssm", "ssm:DeleteParameter", &parameter_arn(scene, &name))?;
    service_removal!(
        scene,
        ssm,
        "Ssm",
        "DeleteParameter",
        json!({ "Name": name })
    )
}

fn parameter_arn(scene: &Scene, name: &str) -> String {
    let name = name.strip_prefix('/').unwrap_or(name);
    scene.world.arn("ssm", &format!("parameter/{name}"))
}
