//! AWS::ApiGateway::*: REST APIs.

use serde_json::{Map, Value, json};

use super::names::{self, Rules};
use super::properties::{camel_case, flags, pick, tag_map, texts};
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;
use crate::input;

/// Property maps whose keys are the operator's own.
const OPAQUE: &[&str] = &[
    "RequestParameters",
    "RequestModels",
    "RequestTemplates",
    "ResponseParameters",
    "ResponseModels",
    "ResponseTemplates",
    "Variables",
];

pub(super) async fn create_api(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    authorize(scene, "POST", "/restapis")?;
    let tags = tag_map(&scene.tags, properties);
    let answer = if let Some(body) = properties.get("Body") {
        service_call!(
            scene,
            apigateway,
            "ApiGateway",
            "ImportRestApi",
            json!({ "body": body_text(body) })
        )?
    } else {
        let mut request = members(
            properties,
            &[
                "Description",
                "BinaryMediaTypes",
                "EndpointConfiguration",
                "Policy",
                "ApiKeySourceType",
                "DisableExecuteApiEndpoint",
            ],
        );
        request.insert("name".into(), json!(name(scene, properties)));
        request.insert("tags".into(), Value::Object(tags));
        service_call!(
            scene,
            apigateway,
            "ApiGateway",
            "CreateRestApi",
            Value::Object(request)
        )?
    };
    Ok(api(&answer))
}

pub(super) async fn update_api(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let id = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "PUT", &format!("/restapis/{id}"))?;
    if let Some(body) = properties.get("Body") {
        let answer = service_call!(
            scene,
            apigateway,
            "ApiGateway",
            "PutRestApi",
            json!({ "restApiId": id, "mode": "overwrite", "body": body_text(body) })
        )?;
        return Ok(Made {
            attributes: api(&answer).attributes,
            ..Made::unchanged(resource)
        });
    }
    Ok(Made::unchanged(resource))
}

pub(super) async fn delete_api(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let id = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "DELETE", &format!("/restapis/{id}"))?;
    service_removal!(
        scene,
        apigateway,
        "ApiGateway",
        "DeleteRestApi",
        json!({ "restApiId": id })
    )
}

fn name(scene: &Scene, properties: &Value) -> String {
    input::text(properties, "Name").unwrap_or_else(|| names::generated(scene, Rules::PLAIN))
}

fn api(answer: &Value) -> Made {
    let id = input::text(answer, "id").unwrap_or_default();
    let root = input::text(answer, "rootResourceId").unwrap_or_default();
    Made::new(id.clone())
        .attribute("RestApiId", id)
        .attribute("RootResourceId", root)
}

pub(super) async fn create_resource(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let api = input::text(properties, "RestApiId").unwrap_or_default();
    let parent = input::text(properties, "ParentId").unwrap_or_default();
    authorize(
        scene,
        "POST",
        &format!("/restapis/{api}/resources/{parent}"),
    )?;
    let answer = service_call!(
        scene,
        apigateway,
        "ApiGateway",
        "CreateResource",
        Value::Object(members(properties, &["RestApiId", "ParentId", "PathPart"]))
    )?;
    let id = input::text(&answer, "id").unwrap_or_default();
    Ok(Made::new(id.clone()).attribute("ResourceId", id))
}

pub(super) async fn delete_resource(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let id = resource.physical_id.clone().unwrap_or_default();
    let api = input::text(&resource.properties, "RestApiId").unwrap_or_default();
    authorize(scene, "DELETE", &format!("/restapis/{api}/resources/{id}"))?;
    service_removal!(
        scene,
        apigateway,
        "ApiGateway",
        "DeleteResource",
        json!({ "restApiId": api, "resourceId": id })
    )
}

/// Puts the method and, when the template gives one, its integration. Putting twice is the same as once.
pub(super) async fn put_method(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let api = input::text(properties, "RestApiId").unwrap_or_default();
    let resource = input::text(properties, "ResourceId").unwrap_or_default();
    let method = input::text(properties, "HttpMethod").unwrap_or_default();
    authorize(
        scene,
        "PUT",
        &format!("/restapis/{api}/resources/{resource}/methods/{method}"),
    )?;
    let mut request = members(
        properties,
        &[
            "RestApiId",
            "ResourceId",
            "HttpMethod",
            "AuthorizationType",
            "AuthorizerId",
            "ApiKeyRequired",
            "RequestParameters",
            "RequestModels",
            "OperationName",
        ],
    );
    flags(&mut request, &["apiKeyRequired"]);
    request
        .entry("authorizationType")
        .or_insert_with(|| json!("NONE"));
    service_call!(
        scene,
        apigateway,
        "ApiGateway",
        "PutMethod",
        Value::Object(request)
    )?;
    if let Some(integration) = properties.get("Integration") {
        let mut request = members(
            integration,
            &[
                "Type",
                "IntegrationHttpMethod",
                "Uri",
                "Credentials",
                "PassthroughBehavior",
                "ContentHandling",
                "TimeoutInMillis",
                "RequestParameters",
                "RequestTemplates",
            ],
        );
        request.insert("restApiId".into(), json!(api));
        request.insert("resourceId".into(), json!(resource));
        request.insert("httpMethod".into(), json!(method));
        service_call!(
            scene,
            apigateway,
            "ApiGateway",
            "PutIntegration",
            Value::Object(request)
        )?;
    }
    Ok(Made::new(format!("{api}|{resource}|{method}")))
}

pub(super) async fn delete_method(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let request = members(
        &resource.properties,
        &["RestApiId", "ResourceId", "HttpMethod"],
    );
    authorize(scene, "DELETE", "/restapis/*/resources/*/methods/*")?;
    service_removal!(
        scene,
        apigateway,
        "ApiGateway",
        "DeleteMethod",
        Value::Object(request)
    )
}

pub(super) async fn create_deployment(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let api = input::text(properties, "RestApiId").unwrap_or_default();
    authorize(scene, "POST", &format!("/restapis/{api}/deployments"))?;
    let mut request = members(properties, &["RestApiId", "StageName", "Description"]);
    if let Some(stage) = properties.get("StageDescription") {
        request.extend(members(stage, &["Variables"]));
    }
    let answer = service_call!(
        scene,
        apigateway,
        "ApiGateway",
        "CreateDeployment",
        Value::Object(request)
    )?;
    let id = input::text(&answer, "id").unwrap_or_default();
    Ok(Made::new(id.clone()).attribute("DeploymentId", id))
}

pub(super) async fn delete_deployment(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let api = input::text(&resource.properties, "RestApiId").unwrap_or_default();
    let id = resource.physical_id.clone().unwrap_or_default();
    authorize(
        scene,
        "DELETE",
        &format!("/restapis/{api}/deployments/{id}"),
    )?;
    // A stage that the deployment itself made goes with it.
    if let Some(stage) = input::text(&resource.properties, "StageName") {
        service_removal!(
            scene,
            apigateway,
            "ApiGateway",
            "DeleteStage",
            json!({ "restApiId": api, "stageName": stage })
        )?;
    }
    service_removal!(
        scene,
        apigateway,
        "ApiGateway",
        "DeleteDeployment",
        json!({ "restApiId": api, "deploymentId": id })
    )
}

pub(super) async fn create_stage(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let api = input::text(properties, "RestApiId").unwrap_or_default();
    authorize(scene, "POST", &format!("/restapis/{api}/stages"))?;
    let request = members(
        properties,
        &[
            "RestApiId",
            "StageName",
            "DeploymentId",
            "Description",
            "Variables",
        ],
    );
    service_call!(
        scene,
        apigateway,
        "ApiGateway",
        "CreateStage",
        Value::Object(request)
    )?;
    Ok(Made::new(
        input::text(properties, "StageName").unwrap_or_default(),
    ))
}

pub(super) async fn update_stage(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let api = input::text(properties, "RestApiId").unwrap_or_default();
    let stage = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "PATCH", &format!("/restapis/{api}/stages/{stage}"))?;
    let mut changes = Vec::new();
    if let Some(deployment) = input::text(properties, "DeploymentId") {
        changes.push(json!({"op": "replace", "path": "/deploymentId", "value": deployment}));
    }
    if let Some(Value::Object(variables)) = properties.get("Variables").map(texts) {
        changes.extend(variables.into_iter().map(|(name, value)| {
            json!({"op": "replace", "path": format!("/variables/{name}"), "value": value})
        }));
    }
    service_call!(
        scene,
        apigateway,
        "ApiGateway",
        "UpdateStage",
        json!({ "restApiId": api, "stageName": stage, "patchOperations": changes })
    )?;
    Ok(Made::unchanged(resource))
}

pub(super) async fn delete_stage(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let api = input::text(&resource.properties, "RestApiId").unwrap_or_default();
    let stage = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "DELETE", &format!("/restapis/{api}/stages/{stage}"))?;
    service_removal!(
        scene,
        apigateway,
        "ApiGateway",
        "DeleteStage",
        json!({ "restApiId": api, "stageName": stage })
    )
}

/// The document as the API takes it: text.
pub(super) fn body_text(body: &Value) -> String {
    body.as_str()
        .map_or_else(|| body.to_string(), str::to_owned)
}

/// API Gateway's actions are the HTTP methods on its own paths.
pub(super) fn authorize(scene: &Scene, method: &str, path: &str) -> Result<(), Trouble> {
    scene.authorize(
        "ApiGateway",
        &format!("apigateway:{method}"),
        &format!("arn:aws:apigateway:{}::{path}", scene.world.settings.region),
    )
}

/// The named properties, under the API's own names.
fn members(properties: &Value, names: &[&str]) -> Map<String, Value> {
    match camel_case(&Value::Object(pick(properties, names)), OPAQUE) {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
