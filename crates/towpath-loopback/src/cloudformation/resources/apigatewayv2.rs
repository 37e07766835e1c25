//! AWS::ApiGatewayV2::*: HTTP APIs. Here the template's names are the API's own.

use serde_json::{Value, json};

use super::apigateway::{authorize, body_text};
use super::names::{self, Rules};
use super::properties::{flags, pick, tag_map, whole_numbers};
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;
use crate::input;

/// A thing that belongs to an API.
#[derive(Debug)]
pub(super) struct Part {
    /// `Route` of `CreateRoute`.
    noun: &'static str,
    /// `routes` of `/apis/ID/routes`.
    path: &'static str,
    /// The member that identifies it, in requests and answers.
    id: &'static str,
    members: &'static [&'static str],
}

pub(super) static ROUTE: &Part = &Part {
    noun: "Route",
    path: "routes",
    id: "RouteId",
    members: &[
        "ApiId",
        "RouteKey",
        "Target",
        "AuthorizationType",
        "AuthorizerId",
        "ApiKeyRequired",
        "OperationName",
        "AuthorizationScopes",
    ],
};

pub(super) static INTEGRATION: &Part = &Part {
    noun: "Integration",
    path: "integrations",
    id: "IntegrationId",
    members: &[
        "ApiId",
        "IntegrationType",
        "IntegrationUri",
        "IntegrationMethod",
        "PayloadFormatVersion",
        "TimeoutInMillis",
        "ConnectionType",
        "CredentialsArn",
        "Description",
        "RequestParameters",
    ],
};

pub(super) static STAGE: &Part = &Part {
    noun: "Stage",
    path: "stages",
    id: "StageName",
    members: &[
        "ApiId",
        "StageName",
        "AutoDeploy",
        "DeploymentId",
        "StageVariables",
        "DefaultRouteSettings",
        "RouteSettings",
        "AccessLogSettings",
        "Description",
    ],
};

pub(super) static DEPLOYMENT: &Part = &Part {
    noun: "Deployment",
    path: "deployments",
    id: "DeploymentId",
    members: &["ApiId", "Description", "StageName"],
};

pub(super) async fn create_api(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    authorize(scene, "POST", "/apis")?;
    let answer = if let Some(body) = properties.get("Body") {
        service_call!(
            scene,
            apigateway,
            "ApiGatewayV2",
            "ImportApi",
            json!({ "Body": body_text(body) })
        )?
    } else {
        let mut request = pick(
            properties,
            &[
                "ProtocolType",
                "Description",
                "CorsConfiguration",
                "RouteKey",
                "Target",
                "CredentialsArn",
                "DisableExecuteApiEndpoint",
                "RouteSelectionExpression",
                "Version",
            ],
        );
        request.insert(
            "Name".into(),
            json!(
                input::text(properties, "Name")
                    .unwrap_or_else(|| names::generated(scene, Rules::PLAIN))
            ),
        );
        request.insert(
            "Tags".into(),
            Value::Object(tag_map(&scene.tags, properties)),
        );
        service_call!(
            scene,
            apigateway,
            "ApiGatewayV2",
            "CreateApi",
            Value::Object(request)
        )?
    };
    let id = input::text(&answer, "ApiId").unwrap_or_default();
    Ok(Made::new(id.clone())
        .attribute(
            "ApiEndpoint",
            scene.world.apigateway.endpoint(&scene.world, &id),
        )
        .attribute("ApiId", id))
}

pub(super) async fn update_api(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let id = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "PATCH", &format!("/apis/{id}"))?;
    if let Some(body) = properties.get("Body") {
        service_call!(
            scene,
            apigateway,
            "ApiGatewayV2",
            "ReimportApi",
            json!({ "ApiId": id, "Body": body_text(body) })
        )?;
    } else {
        let mut request = pick(
            properties,
            &[
                "Name",
                "Description",
                "CorsConfiguration",
                "Target",
                "RouteKey",
                "Version",
            ],
        );
        request.insert("ApiId".into(), json!(id));
        service_call!(
            scene,
            apigateway,
            "ApiGatewayV2",
            "UpdateApi",
            Value::Object(request)
        )?;
    }
    Ok(Made::unchanged(resource))
}

pub(super) async fn delete_api(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let id = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "DELETE", &format!("/apis/{id}"))?;
    service_removal!(
        scene,
        apigateway,
        "ApiGatewayV2",
        "DeleteApi",
        json!({ "ApiId": id })
    )
}

pub(super) async fn create(
    scene: &Scene,
    part: &Part,
    properties: &Value,
) -> Result<Made, Trouble> {
    let api = input::text(properties, "ApiId").unwrap_or_default();
    authorize(scene, "POST", &format!("/apis/{api}/{}", part.path))?;
    let answer = service_call!(
        scene,
        apigateway,
        "ApiGatewayV2",
        &format!("Create{}", part.noun),
        request(part, properties)
    )?;
    let id = input::text(&answer, part.id)
        .or_else(|| input::text(properties, part.id))
        .unwrap_or_default();
    Ok(Made::new(id.clone()).attribute(part.id, id))
}

pub(super) async fn update(
    scene: &Scene,
    part: &Part,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let api = input::text(properties, "ApiId").unwrap_or_default();
    let id = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "PATCH", &format!("/apis/{api}/{}/{id}", part.path))?;
    let mut request = request(part, properties);
    request[part.id] = json!(id);
    service_call!(
        scene,
        apigateway,
        "ApiGatewayV2",
        &format!("Update{}", part.noun),
        request
    )?;
    Ok(Made::unchanged(resource))
}

pub(super) async fn delete(scene: &Scene, part: &Part, resource: &Resource) -> Result<(), Trouble> {
    let api = input::text(&resource.properties, "ApiId").unwrap_or_default();
    let id = resource.physical_id.clone().unwrap_or_default();
    authorize(scene, "DELETE", &format!("/apis/{api}/{}/{id}", part.path))?;
    let mut request = json!({ "ApiId": api });
    request[part.id] = json!(id);
    service_removal!(
        scene,
        apigateway,
        "ApiGatewayV2",
        &format!("Delete{}", part.noun),
        request
    )
}

fn request(part: &Part, properties: &Value) -> Value {
    let mut request = pick(properties, part.members);
    flags(&mut request, &["AutoDeploy", "ApiKeyRequired"]);
    whole_numbers(&mut request, &["TimeoutInMillis"]);
    Value::Object(request)
}
