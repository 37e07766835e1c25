//! What stands around a function: versions, aliases, permissions, event invoke configurations, layers.

use serde_json::{Map, Value, json};

use super::names::{self, Rules};
use super::properties::{pick, whole_numbers};
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;
use crate::input;

pub(super) async fn create_version(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = input::text(properties, "FunctionName").unwrap_or_default();
    let arn = scene.world.arn("lambda", &format!("function:{name}"));
    scene.authorize("Lambda", "lambda:PublishVersion", &arn)?;
    let request = pick(properties, &["FunctionName", "Description", "CodeSha256"]);
    let answer = service_call!(
        scene,
        lambda,
        "Lambda",
        "PublishVersion",
        Value::Object(request)
    )?;
    let version = input::text(&answer, "Version").unwrap_or_default();
    let version_arn = match input::text(&answer, "FunctionArn") {
        Some(arn) if arn.ends_with(&format!(":{version}")) => arn,
        Some(arn) => format!("{arn}:{version}"),
        None => format!("{arn}:{version}"),
    };
    Ok(Made::new(version_arn.clone())
        .attribute("Version", version)
        .attribute("FunctionArn", version_arn))
}

pub(super) async fn delete_version(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    let Some((function, version)) = arn.rsplit_once(':') else {
        return Ok(());
    };
    scene.authorize("Lambda", "lambda:DeleteFunction", function)?;
    service_removal!(
        scene,
        lambda,
        "Lambda",
        "DeleteFunction",
        json!({ "FunctionName": function, "Qualifier": version })
    )
}

pub(super) async fn create_alias(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let function = input::text(properties, "FunctionName").unwrap_or_default();
    let arn = scene.world.arn("lambda", &format!("function:{function}"));
    scene.authorize("Lambda", "lambda:CreateAlias", &arn)?;
    let request = alias(properties);
    let answer = service_call!(
        scene,
        lambda,
        "Lambda",
        "CreateAlias",
        Value::Object(request)
    )?;
    let name = input::text(properties, "Name").unwrap_or_default();
    let alias_arn = input::text(&answer, "AliasArn").unwrap_or_else(|| format!("{arn}:{name}"));
    Ok(Made::new(alias_arn.clone()).attribute("AliasArn", alias_arn))
}

pub(super) async fn update_alias(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("Lambda", "lambda:UpdateAlias", &arn)?;
    let request = alias(properties);
    service_call!(
        scene,
        lambda,
        "Lambda",
        "UpdateAlias",
        Value::Object(request)
    )?;
    Ok(Made::unchanged(resource))
}

pub(super) async fn delete_alias(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let arn = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("Lambda", "lambda:DeleteAlias", &arn)?;
    let request = pick(&resource.properties, &["FunctionName", "Name"]);
    service_removal!(
        scene,
        lambda,
        "Lambda",
        "DeleteAlias",
        Value::Object(request)
    )
}

fn alias(properties: &Value) -> Map<String, Value> {
    let mut request = pick(
        properties,
        &["FunctionName", "Name", "FunctionVersion", "Description"],
    );
    if let Some(version) = input::text(properties, "FunctionVersion") {
        request.insert("FunctionVersion".into(), json!(version));
    }
    if let Some(routing) = properties.get("RoutingConfig") {
        let weights: Map<String, Value> = input::list(routing, "AdditionalVersionWeights")
            .iter()
            .filter_map(|weight| {
                let share = match weight.get("FunctionWeight")? {
                    Value::String(text) => text.parse::<f64>().ok()?,
                    number => number.as_f64()?,
                };
                Some((input::text(weight, "FunctionVersion")?, json!(share)))
            })
            .collect();
        request.insert(
            "RoutingConfig".into(),
            json!({ "AdditionalVersionWeights": weights }),
        );
    }
    request
}

pub(super) async fn create_permission(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let function = input::text(properties, "FunctionName").unwrap_or_default();
    let name = function_name(&function);
    let arn = scene.world.arn("lambda", &format!("function:{name}"));
    scene.authorize("Lambda", "lambda:AddPermission", &arn)?;
    let id = names::generated(scene, Rules::PLAIN);
    let mut request = pick(
        properties,
        &[
            "FunctionName",
            "Action",
            "Principal",
            "SourceArn",
            "SourceAccount",
            "EventSourceToken",
            "PrincipalOrgID",
            "FunctionUrlAuthType",
        ],
    );
    request.insert("StatementId".into(), json!(id));
    service_call!(
        scene,
        lambda,
        "Lambda",
        "AddPermission",
        Value::Object(request)
    )?;
    Ok(Made::new(id.clone()).attribute("Id", id))
}

pub(super) async fn delete_permission(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let function = input::text(&resource.properties, "FunctionName").unwrap_or_default();
    let name = function_name(&function);
    let arn = scene.world.arn("lambda", &format!("function:{name}"));
    scene.authorize("Lambda", "lambda:RemovePermission", &arn)?;
    service_removal!(
        scene,
        lambda,
        "Lambda",
        "RemovePermission",
        json!({ "FunctionName": function, "StatementId": resource.physical_id })
    )
}

pub(super) async fn put_event_invoke_config(
    scene: &Scene,
    properties: &Value,
) -> Result<Made, Trouble> {
    let function = input::text(properties, "FunctionName").unwrap_or_default();
    let qualifier = input::text(properties, "Qualifier").unwrap_or_default();
    let name = function_name(&function);
    let arn = scene.world.arn("lambda", &format!("function:{name}"));
    scene.authorize("Lambda", "lambda:PutFunctionEventInvokeConfig", &arn)?;
    let mut request = pick(
        properties,
        &[
            "FunctionName",
            "Qualifier",
            "MaximumRetryAttempts",
            "MaximumEventAgeInSeconds",
            "DestinationConfig",
        ],
    );
    whole_numbers(
        &mut request,
        &["MaximumRetryAttempts", "MaximumEventAgeInSeconds"],
    );
    service_call!(
        scene,
        lambda,
        "Lambda",
        "PutFunctionEventInvokeConfig",
        Value::Object(request)
    )?;
    Ok(Made::new(format!("{name}|{qualifier}")))
}

pub(super) async fn delete_event_invoke_config(
    scene: &Scene,
    resource: &Resource,
) -> Result<(), Trouble> {
    let function = input::text(&resource.properties, "FunctionName").unwrap_or_default();
    let arn = scene
        .world
        .arn("lambda", &format!("function:{}", function_name(&function)));
    scene.authorize("Lambda", "lambda:DeleteFunctionEventInvokeConfig", &arn)?;
    let request = pick(&resource.properties, &["FunctionName", "Qualifier"]);
    service_removal!(
        scene,
        lambda,
        "Lambda",
        "DeleteFunctionEventInvokeConfig",
        Value::Object(request)
    )
}

/// Layers are recorded and not laid into functions; the ledger says so.
pub(super) async fn create_layer_version(
    scene: &Scene,
    properties: &Value,
) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "LayerName", Rules::FUNCTION);
    let arn = scene.world.arn("lambda", &format!("layer:{name}"));
    scene.authorize("Lambda", "lambda:PublishLayerVersion", &arn)?;
    let mut request = pick(
        properties,
        &[
            "Content",
            "Description",
            "CompatibleRuntimes",
            "CompatibleArchitectures",
            "LicenseInfo",
        ],
    );
    request.insert("LayerName".into(), json!(name));
    let version = match scene
        .world
        .lambda
        .call(
            &scene.world,
            &crate::Caller::Root,
            "PublishLayerVersion",
            Value::Object(request),
        )
        .await
    {
        Ok(answer) => input::text(&answer, "LayerVersionArn").unwrap_or(format!("{arn}:1")),
        // The service may leave layers to this record.
        Err(error) if error.code == "UnknownOperationException" => format!("{arn}:1"),
        Err(error) => return Err(Trouble::from_service("Lambda", &error)),
    };
    Ok(Made::new(version.clone()).attribute("LayerVersionArn", version))
}

/// The name in a function's name, ARN, or qualified ARN.
fn function_name(function: &str) -> &str {
    match function.split_once(":function:") {
        Some((_, rest)) => rest.split(':').next().unwrap_or(rest),
        None => function.split(':').next().unwrap_or(function),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names() {
        for (function, expected) in [
            ("hello", "hello"),
            ("hello:live", "hello"),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:hello",
                "hello",
            ),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:hello:7",
                "hello",
            ),
        ] {
            assert_eq!(function_name(function), expected);
        }
    }
}
