//! AWS::CodeBuild::Project.

use serde_json::{Value, json};

use super::names::{self, Rules};
use super::properties::camel_case;
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;
use crate::input;

pub(super) async fn create(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "Name", Rules::PLAIN);
    put(scene, &name, properties, "CreateProject").await
}

pub(super) async fn update(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    put(scene, &name, properties, "UpdateProject").await
}

pub(super) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    scene.authorize(
        "AWSCodeBuild",
        "codebuild:DeleteProject",
        &arn(scene, &name),
    )?;
    service_removal!(
        scene,
        codebuild,
        "AWSCodeBuild",
        "DeleteProject",
        json!({ "name": name })
    )
}

async fn put(
    scene: &Scene,
    name: &str,
    properties: &Value,
    operation: &str,
) -> Result<Made, Trouble> {
    let arn = arn(scene, name);
    scene.authorize("AWSCodeBuild", &format!("codebuild:{operation}"), &arn)?;
    if let Some(role) = input::text(properties, "ServiceRole") {
        scene.pass_role("AWSCodeBuild", &role, "codebuild.amazonaws.com")?;
    }
    let mut request = camel_case(properties, &[]);
    request["name"] = json!(name);
    // The one member whose name is another word to the API.
    if let Some(source) = request["source"].as_object_mut()
        && let Some(text) = source.remove("buildSpec")
    {
        source.insert("buildspec".to_owned(), text);
    }
    service_call!(scene, codebuild, "AWSCodeBuild", operation, request)?;
    Ok(Made::new(name).attribute("Arn", arn))
}

fn arn(scene: &Scene, name: &str) -> String {
    scene.world.arn("codebuild", &format!("project/{name}"))
}
