//! HTTP APIs (the second API Gateway): routes and integrations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::api::{
    Api, DEFAULT, Definition, Format, Route, Stage, Table, Target, bad_request, conflict,
    identifier, iso, not_found,
};
use super::cors::Cors;
use super::members::{flag, map, member, required, text};
use super::openapi;
use crate::{AwsError, World};

/// What only an HTTP API has.
#[derive(Debug, Default)]
pub(super) struct HttpApi {
    pub(super) cors: Option<Cors>,
    version: Option<String>,
    routes: BTreeMap<String, HttpRoute>,
    integrations: BTreeMap<String, Integration>,
}

#[derive(Debug, Clone)]
struct HttpRoute {
    method: String,
    path: String,
    integration: Option<String>,
}

#[derive(Debug, Clone)]
struct Integration {
    target: Target,
    /// The request's own members, to be shown.
    given: Map<String, Value>,
}

impl HttpApi {
    /// The routes as they are now.
    pub(super) fn table(&self) -> Table {
        let routes = self.routes.iter().map(|(id, route)| Route {
            method: route.method.clone(),
            path: route.path.clone(),
            resource_id: id.clone(),
            target: route
                .integration
                .as_ref()
                .and_then(|id| self.integrations.get(id))
                .map_or(Target::Nothing, |integration| integration.target.clone()),
        });
        Table {
            routes: routes.collect(),
            ..Table::default()
        }
    }

    /// Replaces everything by what an OpenAPI document says.
    fn import(&mut self, world: &World, document: &Value) -> Result<(), AwsError> {
        let operations = openapi::operations(world, document, Format::One)?;
        self.routes.clear();
        self.integrations.clear();
        if let Some(cors) = document.get("x-amazon-apigateway-cors") {
            self.cors = Some(Cors::parse(cors));
        }
        for operation in operations {
            let path = match operation.path.as_str() {
                "/$default" => DEFAULT.to_owned(),
                path => path.to_owned(),
            };
            let integration = (operation.target != Target::Nothing).then(|| {
                let id = identifier(7);
                let given = shown_target(&operation.target);
                self.integrations.insert(
                    id.clone(),
                    Integration {
                        target: operation.target,
                        given,
                    },
                );
                id
            });
            self.routes.insert(
                identifier(7),
                HttpRoute {
                    method: operation.method,
                    path,
                    integration,
                },
            );
        }
        Ok(())
    }
}

/// The integration members that stand for a target that came from a document.
fn shown_target(target: &Target) -> Map<String, Value> {
    let mut shown = Map::new();
    if let Target::Function {
        uri,
        format,
        timeout,
    } = target
    {
        let version = match format {
            Format::One => "1.0",
            Format::Two => "2.0",
        };
        shown.insert("IntegrationType".into(), json!("AWS_PROXY"));
        shown.insert("IntegrationUri".into(), json!(uri));
        shown.insert("PayloadFormatVersion".into(), json!(version));
        shown.insert("TimeoutInMillis".into(), json!(timeout.as_millis() as u64));
    }
    shown
}

/// A new API from a `CreateApi` or `ImportApi` request.
pub(super) fn create(world: &World, request: &Value) -> Result<Api, AwsError> {
    let document = member(request, "Body").map(openapi::document).transpose()?;
    let titled = |member: &str| {
        let info = document.as_ref()?.get("info")?;
        info.get(member)?.as_str().map(str::to_owned)
    };
    let name = text(request, "Name").or_else(|| titled("title"));
    if let Some(protocol) = text(request, "ProtocolType")
        && protocol != "HTTP"
    {
        world
            .fidelity
            .refused(format!("API Gateway {protocol} APIs"));
        return Err(bad_request(format!(
            "the loopback serves HTTP APIs, not {protocol}"
        )));
    }
    let mut http = HttpApi {
        cors: member(request, "CorsConfiguration").map(Cors::parse),
        version: text(request, "Version").or_else(|| titled("version")),
        ..HttpApi::default()
    };
    if let Some(document) = &document {
        http.import(world, document)?;
    }
    let mut api = Api {
        name: name.ok_or_else(|| bad_request("name is required"))?,
        description: text(request, "Description")
            .or_else(|| titled("description"))
            .unwrap_or_default(),
        created: OffsetDateTime::now_utc(),
        tags: map(request, "Tags"),
        definition: Definition::Http(HttpApi::default()),
        deployments: BTreeMap::new(),
        stages: BTreeMap::new(),
    };
    // "Quick create": a function, a route to it and a stage, all at once.
    if let Some(uri) = text(request, "Target") {
        let key = text(request, "RouteKey").unwrap_or_else(|| DEFAULT.to_owned());
        let integration = json!({ "IntegrationType": "AWS_PROXY", "IntegrationUri": uri, "PayloadFormatVersion": "2.0" });
        let id = add_integration(world, &mut http, &integration)?;
        let (method, path) = route_key(&key)?;
        http.routes.insert(
            identifier(7),
            HttpRoute {
                method,
                path,
                integration: Some(id),
            },
        );
        api.stages.insert(
            DEFAULT.to_owned(),
            Stage {
                auto_deploy: true,
                ..Stage::new()
            },
        );
    }
    api.definition = Definition::Http(http);
    Ok(api)
}

/// Changes an API by an `UpdateApi` or `ReimportApi` request.
pub(super) fn update(world: &World, api: &mut Api, request: &Value) -> Result<(), AwsError> {
    let Definition::Http(http) = &mut api.definition else {
        return Err(not_found("not an HTTP API"));
    };
    if let Some(body) = member(request, "Body") {
        http.import(world, &openapi::document(body)?)?;
    }
    if let Some(cors) = member(request, "CorsConfiguration") {
        http.cors = Some(Cors::parse(cors));
    }
    if let Some(version) = text(request, "Version") {
        http.version = Some(version);
    }
    if let Some(name) = text(request, "Name") {
        api.name = name;
    }
    if let Some(description) = text(request, "Description") {
        api.description = description;
    }
    Ok(())
}

/// The `Api` as it is shown.
pub(super) fn render(api: &Api, id: &str, endpoint: &str) -> Value {
    let mut shown = json!({
        "ApiEndpoint": endpoint,
        "ApiId": id,
        "ApiKeySelectionExpression": "$request.header.x-api-key",
        "CreatedDate": iso(api.created),
        "Description": api.description,
        "DisableExecuteApiEndpoint": false,
        "Name": api.name,
        "ProtocolType": "HTTP",
        "RouteSelectionExpression": "$request.method $request.path",
        "Tags": api.tags,
    });
    if let Definition::Http(http) = &api.definition {
        if let Some(cors) = &http.cors {
            shown["CorsConfiguration"] = cors.render();
        }
        if let Some(version) = &http.version {
            shown["Version"] = json!(version);
        }
    }
    shown
}

/// Answers what concerns routes and integrations; `None` when the operation is another one.
pub(super) fn answer(
    world: &World,
    http: &mut HttpApi,
    operation: &str,
    request: &Value,
) -> Option<Result<Value, AwsError>> {
    Some(match operation {
        "CreateRoute" | "UpdateRoute" => put_route(world, http, operation, request),
        "GetRoute" => {
            find(&http.routes, "RouteId", request).map(|(id, route)| render_route(id, route))
        }
        "DeleteRoute" => find(&http.routes, "RouteId", request)
            .map(|(id, _)| id.to_owned())
            .map(|id| {
                http.routes.remove(&id);
                json!({})
            }),
        "GetRoutes" => {
            let all: Vec<Value> = http
                .routes
                .iter()
                .map(|(id, route)| render_route(id, route))
                .collect();
            Ok(json!({ "Items": all }))
        }
        "CreateIntegration" => add_integration(world, http, request)
            .map(|id| render_integration(&id, &http.integrations[&id])),
        "UpdateIntegration" => update_integration(world, http, request),
        "GetIntegration" => find(&http.integrations, "IntegrationId", request)
            .map(|(id, integration)| render_integration(id, integration)),
        "DeleteIntegration" => delete_integration(http, request),
        "GetIntegrations" => {
            let all: Vec<Value> = http
                .integrations
                .iter()
                .map(|(id, integration)| render_integration(id, integration))
                .collect();
            Ok(json!({ "Items": all }))
        }
        _ => return None,
    })
}

fn put_route(
    world: &World,
    http: &mut HttpApi,
    operation: &str,
    request: &Value,
) -> Result<Value, AwsError> {
    let existing = match operation {
        "UpdateRoute" => Some(find(&http.routes, "RouteId", request)?),
        _ => None,
    }
    .map(|(id, route)| (id.to_owned(), route.clone()));
    let key = match (&existing, text(request, "RouteKey")) {
        (_, Some(key)) => key,
        (Some((_, route)), None) => key_of(route),
        (None, None) => required(request, "RouteKey")?,
    };
    if let Some(kind) = text(request, "AuthorizationType").filter(|kind| kind != "NONE") {
        return Err(openapi::refuse_authorizer(world, &key, &kind));
    }
    let (method, path) = route_key(&key)?;
    let integration = match text(request, "Target") {
        None => existing
            .as_ref()
            .and_then(|(_, route)| route.integration.clone()),
        Some(target) => {
            let id = target
                .strip_prefix("integrations/")
                .unwrap_or(&target)
                .to_owned();
            if !http.integrations.contains_key(&id) {
                return Err(not_found(format!(
                    "Invalid Integration identifier specified {id}"
                )));
            }
            Some(id)
        }
    };
    let id = existing.map_or_else(|| identifier(7), |(id, _)| id);
    let taken = http
        .routes
        .iter()
        .any(|(other, route)| *other != id && route.method == method && route.path == path);
    if taken {
        return Err(conflict(format!(
            "Route with key {key} already exists for this API"
        )));
    }
    let route = HttpRoute {
        method,
        path,
        integration,
    };
    let shown = render_route(&id, &route);
    http.routes.insert(id, route);
    Ok(shown)
}

/// `GET /items` or `$default`.
fn route_key(key: &str) -> Result<(String, String), AwsError> {
    const METHODS: [&str; 8] = [
        "ANY", "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH",
    ];
    if key == DEFAULT {
        return Ok(("ANY".to_owned(), DEFAULT.to_owned()));
    }
    match key.split_once(' ') {
        Some((method, path)) if METHODS.contains(&method) && path.starts_with('/') => {
            Ok((method.to_owned(), path.to_owned()))
        }
        _ => Err(bad_request(format!(
            "The provided route key is not formatted properly for HTTP protocol. Format should be \"<HTTP METHOD> /<RESOURCE PATH>\" or \"$default\": {key}"
        ))),
    }
}

fn add_integration(world: &World, http: &mut HttpApi, request: &Value) -> Result<String, AwsError> {
    if text(request, "IntegrationType").as_deref() == Some("AWS_PROXY")
        && text(request, "PayloadFormatVersion").is_none()
    {
        return Err(bad_request(
            "payloadFormatVersion is a required parameter for integration of type AWS_PROXY",
        ));
    }
    let target = openapi::target(world, "the integration", request, Format::Two)?;
    let id = identifier(7);
    let given = own_members(request);
    http.integrations
        .insert(id.clone(), Integration { target, given });
    Ok(id)
}

fn update_integration(
    world: &World,
    http: &mut HttpApi,
    request: &Value,
) -> Result<Value, AwsError> {
    let (id, integration) = find(&http.integrations, "IntegrationId", request)?;
    let (id, mut given) = (id.to_owned(), integration.given.clone());
    given.extend(own_members(request));
    let target = openapi::target(
        world,
        "the integration",
        &Value::Object(given.clone()),
        Format::Two,
    )?;
    let integration = Integration { target, given };
    let shown = render_integration(&id, &integration);
    http.integrations.insert(id, integration);
    Ok(shown)
}

fn delete_integration(http: &mut HttpApi, request: &Value) -> Result<Value, AwsError> {
    let id = find(&http.integrations, "IntegrationId", request)?
        .0
        .to_owned();
    let user = http
        .routes
        .values()
        .find(|route| route.integration.as_ref() == Some(&id));
    if let Some(route) = user {
        return Err(conflict(format!(
            "Cannot delete Integration '{id}' due to a conflict. Please check your routes: {}",
            key_of(route)
        )));
    }
    http.integrations.remove(&id);
    Ok(json!({}))
}

/// The members of a request that describe the integration, as the API writes them.
fn own_members(request: &Value) -> Map<String, Value> {
    let mut own = Map::new();
    for (name, value) in request.as_object().into_iter().flatten() {
        let mut letters = name.chars();
        let Some(first) = letters.next() else {
            continue;
        };
        let name = format!("{}{}", first.to_ascii_uppercase(), letters.as_str());
        if name != "ApiId" && name != "IntegrationId" && !value.is_null() {
            own.insert(name, value.clone());
        }
    }
    own
}

fn find<'a, T>(
    all: &'a BTreeMap<String, T>,
    member: &str,
    request: &Value,
) -> Result<(&'a str, &'a T), AwsError> {
    let id = required(request, member)?;
    all.get_key_value(&id)
        .map(|(id, found)| (id.as_str(), found))
        .ok_or_else(|| {
            let what = member.trim_end_matches("Id");
            not_found(format!(
                "Unable to find {what} by key {id} within the provided API"
            ))
        })
}

fn key_of(route: &HttpRoute) -> String {
    if route.path == DEFAULT {
        DEFAULT.to_owned()
    } else {
        format!("{} {}", route.method, route.path)
    }
}

fn render_route(id: &str, route: &HttpRoute) -> Value {
    let mut shown = json!({
        "ApiKeyRequired": false,
        "AuthorizationType": "NONE",
        "RouteId": id,
        "RouteKey": key_of(route),
    });
    if let Some(integration) = &route.integration {
        shown["Target"] = json!(format!("integrations/{integration}"));
    }
    shown
}

fn render_integration(id: &str, integration: &Integration) -> Value {
    let mut shown = integration.given.clone();
    shown.insert("IntegrationId".into(), json!(id));
    shown
        .entry("ConnectionType")
        .or_insert_with(|| json!("INTERNET"));
    Value::Object(shown)
}

/// The `Stage` as it is shown.
pub(super) fn render_stage(name: &str, stage: &Stage) -> Value {
    let mut shown = json!({
        "AutoDeploy": stage.auto_deploy,
        "CreatedDate": iso(stage.created),
        "LastUpdatedDate": iso(stage.created),
        "DefaultRouteSettings": { "DetailedMetricsEnabled": false },
        "RouteSettings": {},
        "Description": stage.description,
        "StageName": name,
        "StageVariables": stage.variables,
        "Tags": stage.tags,
    });
    if let Some(deployment) = &stage.deployment {
        shown["DeploymentId"] = json!(deployment);
    }
    shown
}

/// Sets what a `CreateStage` or `UpdateStage` request names.
pub(super) fn apply_stage(api: &Api, stage: &mut Stage, request: &Value) -> Result<(), AwsError> {
    if let Some(deployment) = text(request, "DeploymentId") {
        if !api.deployments.contains_key(&deployment) {
            return Err(not_found(format!(
                "Invalid Deployment identifier specified {deployment}"
            )));
        }
        stage.deployment = Some(deployment);
    }
    if member(request, "AutoDeploy").is_some() {
        stage.auto_deploy = flag(request, "AutoDeploy");
    }
    if let Some(description) = text(request, "Description") {
        stage.description = description;
    }
    if member(request, "StageVariables").is_some() {
        stage.variables = map(request, "StageVariables");
    }
    stage.tags.extend(map(request, "Tags"));
    Ok(())
}
