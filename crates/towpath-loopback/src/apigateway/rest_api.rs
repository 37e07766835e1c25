//! REST APIs (the first API Gateway): a tree of resources with methods.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::api::{
    Api, Definition, Format, Route, Stage, Table, Target, bad_request, conflict, epoch, identifier,
    not_found,
};
use super::members::{flag, map, member, required, text, texts};
use super::openapi;
use crate::{AwsError, World};

/// What only a REST API has.
#[derive(Debug, Default)]
pub(super) struct RestApi {
    binary_media_types: Vec<String>,
    /// By id. One of them is `/`.
    resources: BTreeMap<String, Resource>,
}

#[derive(Debug, Clone)]
struct Resource {
    parent: Option<String>,
    part: String,
    path: String,
    methods: BTreeMap<String, Method>,
}

#[derive(Debug, Clone)]
struct Method {
    target: Target,
    /// The integration's own members, to be shown and, for a mock, to be completed by its responses.
    integration: Map<String, Value>,
}

impl RestApi {
    /// No resource but `/`.
    fn empty() -> Self {
        let root = Resource {
            parent: None,
            part: String::new(),
            path: "/".to_owned(),
            methods: BTreeMap::new(),
        };
        Self {
            resources: BTreeMap::from([(identifier(10), root)]),
            ..Self::default()
        }
    }

    /// The routes as they are now.
    pub(super) fn table(&self) -> Table {
        let mut table = Table {
            binary_media_types: self.binary_media_types.clone(),
            ..Table::default()
        };
        for (id, resource) in &self.resources {
            table.resources.push(resource.path.clone());
            for (method, found) in &resource.methods {
                table.routes.push(Route {
                    method: method.clone(),
                    path: resource.path.clone(),
                    resource_id: id.clone(),
                    target: found.target.clone(),
                });
            }
        }
        table
    }

    /// The id of `/`.
    fn root(&self) -> &str {
        self.resources
            .iter()
            .find(|(_, resource)| resource.parent.is_none())
            .map_or("", |(id, _)| id)
    }

    /// The id of the resource at `path`, made with its parents where they are missing.
    fn ensure(&mut self, path: &str) -> String {
        let mut id = self.root().to_owned();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let child = self
                .resources
                .iter()
                .find(|(_, resource)| {
                    resource.parent.as_ref() == Some(&id) && resource.part == part
                })
                .map(|(id, _)| id.clone());
            id = child.unwrap_or_else(|| self.add(&id, part));
        }
        id
    }

    fn add(&mut self, parent: &str, part: &str) -> String {
        let above = self
            .resources
            .get(parent)
            .map_or("", |resource| resource.path.trim_end_matches('/'));
        let resource = Resource {
            parent: Some(parent.to_owned()),
            part: part.to_owned(),
            path: format!("{above}/{part}"),
            methods: BTreeMap::new(),
        };
        let id = identifier(6);
        self.resources.insert(id.clone(), resource);
        id
    }

    fn import(&mut self, world: &World, document: &Value, merge: bool) -> Result<(), AwsError> {
        let operations = openapi::operations(world, document, Format::One)?;
        if !merge {
            let root = self.root().to_owned();
            self.resources.retain(|id, _| *id == root);
            for resource in self.resources.values_mut() {
                resource.methods.clear();
            }
        }
        if document
            .get("x-amazon-apigateway-binary-media-types")
            .is_some()
        {
            self.binary_media_types = texts(document, "x-amazon-apigateway-binary-media-types");
        }
        for operation in operations {
            let id = self.ensure(&operation.path);
            if let Some(resource) = self.resources.get_mut(&id) {
                let method = Method {
                    target: operation.target,
                    integration: Map::new(),
                };
                resource.methods.insert(operation.method, method);
            }
        }
        Ok(())
    }

    fn resource(&mut self, request: &Value) -> Result<&mut Resource, AwsError> {
        let id = required(request, "ResourceId")?;
        self.resources.get_mut(&id).ok_or_else(no_resource)
    }

    fn method(&mut self, request: &Value) -> Result<&mut Method, AwsError> {
        let name = required(request, "HttpMethod")?;
        self.resource(request)?
            .methods
            .get_mut(&name)
            .ok_or_else(|| not_found("Invalid Method identifier specified"))
    }
}

/// A new API from a `CreateRestApi` or `ImportRestApi` request.
pub(super) fn create(world: &World, request: &Value) -> Result<Api, AwsError> {
    let document = member(request, "Body").map(openapi::document).transpose()?;
    let title = || {
        document
            .as_ref()?
            .pointer("/info/title")?
            .as_str()
            .map(str::to_owned)
    };
    let mut rest = RestApi::empty();
    rest.binary_media_types = texts(request, "BinaryMediaTypes");
    if let Some(document) = &document {
        rest.import(world, document, false)?;
    }
    Ok(Api {
        name: text(request, "Name")
            .or_else(title)
            .ok_or_else(|| bad_request("Name is required"))?,
        description: text(request, "Description").unwrap_or_default(),
        created: OffsetDateTime::now_utc(),
        tags: map(request, "Tags"),
        definition: Definition::Rest(rest),
        deployments: BTreeMap::new(),
        stages: BTreeMap::new(),
    })
}

/// Changes an API by a `PutRestApi` or `UpdateRestApi` request.
pub(super) fn update(world: &World, api: &mut Api, request: &Value) -> Result<(), AwsError> {
    let Definition::Rest(rest) = &mut api.definition else {
        return Err(not_found("not a REST API"));
    };
    if let Some(body) = member(request, "Body") {
        let merge = text(request, "Mode").as_deref() == Some("merge");
        rest.import(world, &openapi::document(body)?, merge)?;
    }
    for patch in patches(request) {
        match patch.path.as_str() {
            "/name" => api.name = patch.value,
            "/description" => api.description = patch.value,
            path => match (
                path.strip_prefix("/binaryMediaTypes/"),
                patch.operation.as_str(),
            ) {
                (Some(kind), "add") => rest.binary_media_types.push(kind.replace("~1", "/")),
                (Some(kind), "remove") => {
                    let kind = kind.replace("~1", "/");
                    rest.binary_media_types.retain(|known| *known != kind);
                }
                _ => world
                    .fidelity
                    .simulated(format!("API Gateway UpdateRestApi {path}: ignored")),
            },
        }
    }
    Ok(())
}

/// The `RestApi` as it is shown.
pub(super) fn render(api: &Api, id: &str) -> Value {
    let mut shown = json!({
        "id": id,
        "name": api.name,
        "description": api.description,
        "createdDate": epoch(api.created),
        "apiKeySource": "HEADER",
        "endpointConfiguration": { "types": ["EDGE"] },
        "tags": api.tags,
        "disableExecuteApiEndpoint": false,
    });
    if let Definition::Rest(rest) = &api.definition {
        shown["rootResourceId"] = json!(rest.root());
        if !rest.binary_media_types.is_empty() {
            shown["binaryMediaTypes"] = json!(rest.binary_media_types);
        }
    }
    shown
}

/// Answers what concerns resources and methods; `None` when the operation is another one.
pub(super) fn answer(
    world: &World,
    rest: &mut RestApi,
    operation: &str,
    request: &Value,
) -> Option<Result<Value, AwsError>> {
    Some(match operation {
        "GetResources" => {
            let all: Vec<Value> = rest
                .resources
                .iter()
                .map(|(id, resource)| render_resource(id, resource))
                .collect();
            Ok(json!({ "items": all }))
        }
        "GetResource" => required(request, "ResourceId").and_then(|id| {
            let resource = rest.resources.get(&id).ok_or_else(no_resource)?;
            Ok(render_resource(&id, resource))
        }),
        "CreateResource" => create_resource(rest, request),
        "DeleteResource" => delete_resource(rest, request),
        "PutMethod" => put_method(world, rest, request),
        "GetMethod" => rest
            .method(request)
            .map(|method| render_method(request, method)),
        "DeleteMethod" => required(request, "HttpMethod").and_then(|name| {
            rest.method(request)?;
            rest.resource(request)?.methods.remove(&name);
            Ok(json!({}))
        }),
        "PutMethodResponse" => rest
            .method(request)
            .map(|_| json!({ "statusCode": text(request, "StatusCode") })),
        "PutIntegration" => put_integration(world, rest, request),
        "GetIntegration" => rest
            .method(request)
            .map(|method| Value::Object(method.integration.clone())),
        "DeleteIntegration" => rest.method(request).map(|method| {
            method.target = Target::Nothing;
            method.integration.clear();
            json!({})
        }),
        "PutIntegrationResponse" => put_integration_response(world, rest, request),
        "PutGatewayResponse" => {
            world
                .fidelity
                .simulated("API Gateway gateway responses: recorded, the usual ones are sent");
            Ok(request.clone())
        }
        _ => return None,
    })
}

fn create_resource(rest: &mut RestApi, request: &Value) -> Result<Value, AwsError> {
    let parent = required(request, "ParentId")?;
    let part = required(request, "PathPart")?;
    if !rest.resources.contains_key(&parent) {
        return Err(no_resource());
    }
    let taken = rest
        .resources
        .values()
        .any(|resource| resource.parent.as_ref() == Some(&parent) && resource.part == part);
    if taken {
        return Err(conflict(
            "Another resource with the same parent already has this name: ".to_owned() + &part,
        ));
    }
    let id = rest.add(&parent, &part);
    Ok(render_resource(&id, &rest.resources[&id]))
}

fn delete_resource(rest: &mut RestApi, request: &Value) -> Result<Value, AwsError> {
    let id = required(request, "ResourceId")?;
    if id == rest.root() {
        return Err(bad_request("Root resource cannot be deleted"));
    }
    let path = rest.resources.remove(&id).ok_or_else(no_resource)?.path + "/";
    rest.resources
        .retain(|_, resource| !resource.path.starts_with(&path));
    Ok(json!({}))
}

fn put_method(world: &World, rest: &mut RestApi, request: &Value) -> Result<Value, AwsError> {
    let name = required(request, "HttpMethod")?;
    let resource = rest.resource(request)?;
    let route = format!("{name} {}", resource.path);
    if let Some(kind) = text(request, "AuthorizationType").filter(|kind| kind != "NONE") {
        return Err(openapi::refuse_authorizer(world, &route, &kind));
    }
    if flag(request, "ApiKeyRequired") {
        return Err(openapi::refuse_authorizer(world, &route, "an API key"));
    }
    let method = Method {
        target: Target::Nothing,
        integration: Map::new(),
    };
    let shown = render_method(request, &method);
    resource.methods.insert(name, method);
    Ok(shown)
}

fn put_integration(world: &World, rest: &mut RestApi, request: &Value) -> Result<Value, AwsError> {
    let route = format!(
        "{} {}",
        text(request, "HttpMethod").unwrap_or_default(),
        rest.resource(request)?.path
    );
    let method = rest.method(request)?;
    method.target = openapi::target(world, &route, request, Format::One)?;
    let mut integration = Map::new();
    for name in [
        "Type",
        "Uri",
        "RequestTemplates",
        "PassthroughBehavior",
        "TimeoutInMillis",
        "ContentHandling",
    ] {
        if let Some(value) = member(request, name) {
            integration.insert(first_lower(name), value.clone());
        }
    }
    if let Some(verb) = text(request, "IntegrationHttpMethod") {
        integration.insert("httpMethod".into(), json!(verb));
    }
    method.integration = integration;
    Ok(Value::Object(method.integration.clone()))
}

fn put_integration_response(
    world: &World,
    rest: &mut RestApi,
    request: &Value,
) -> Result<Value, AwsError> {
    let status = required(request, "StatusCode")?;
    let method = rest.method(request)?;
    let mut response = Map::new();
    for name in [
        "StatusCode",
        "SelectionPattern",
        "ResponseParameters",
        "ResponseTemplates",
    ] {
        if let Some(value) = member(request, name) {
            response.insert(first_lower(name), value.clone());
        }
    }
    let responses = method
        .integration
        .entry("integrationResponses")
        .or_insert_with(|| json!({}));
    responses[&status] = Value::Object(response.clone());
    if matches!(method.target, Target::Mock(_)) {
        let integration = Value::Object(method.integration.clone());
        method.target = Target::Mock(openapi::mock(world, &integration));
    }
    Ok(Value::Object(response))
}

fn first_lower(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| format!("{}{}", first.to_ascii_lowercase(), letters.as_str()))
        .unwrap_or_default()
}

fn no_resource() -> AwsError {
    not_found("Invalid Resource identifier specified")
}

fn render_resource(id: &str, resource: &Resource) -> Value {
    let mut shown = json!({ "id": id, "path": resource.path });
    if let Some(parent) = &resource.parent {
        shown["parentId"] = json!(parent);
        shown["pathPart"] = json!(resource.part);
    }
    if !resource.methods.is_empty() {
        let methods: BTreeMap<&String, Value> = resource
            .methods
            .keys()
            .map(|name| (name, json!({})))
            .collect();
        shown["resourceMethods"] = json!(methods);
    }
    shown
}

fn render_method(request: &Value, method: &Method) -> Value {
    let mut shown = json!({
        "httpMethod": text(request, "HttpMethod"),
        "authorizationType": "NONE",
        "apiKeyRequired": false,
    });
    if !method.integration.is_empty() {
        shown["methodIntegration"] = Value::Object(method.integration.clone());
    }
    shown
}

/// The `Stage` as it is shown.
pub(super) fn render_stage(name: &str, stage: &Stage) -> Value {
    json!({
        "stageName": name,
        "deploymentId": stage.deployment,
        "description": stage.description,
        "createdDate": epoch(stage.created),
        "lastUpdatedDate": epoch(stage.created),
        "variables": stage.variables,
        "cacheClusterEnabled": false,
        "cacheClusterStatus": "NOT_AVAILABLE",
        "methodSettings": {},
        "tracingEnabled": false,
        "tags": stage.tags,
    })
}

/// Sets what a `CreateStage` or `UpdateStage` request names.
pub(super) fn apply_stage(api: &Api, stage: &mut Stage, request: &Value) -> Result<(), AwsError> {
    let check = |deployment: &String| {
        if api.deployments.contains_key(deployment) {
            Ok(())
        } else {
            Err(bad_request("Invalid deployment identifier specified"))
        }
    };
    if let Some(deployment) = text(request, "DeploymentId") {
        check(&deployment)?;
        stage.deployment = Some(deployment);
    }
    if let Some(description) = text(request, "Description") {
        stage.description = description;
    }
    stage.variables.extend(map(request, "Variables"));
    stage.tags.extend(map(request, "Tags"));
    for patch in patches(request) {
        if patch.path == "/deploymentId" {
            check(&patch.value)?;
            stage.deployment = Some(patch.value);
        } else if patch.path == "/description" {
            stage.description = patch.value;
        } else if let Some(name) = patch.path.strip_prefix("/variables/") {
            match patch.operation.as_str() {
                "remove" => stage.variables.remove(name),
                _ => stage.variables.insert(name.to_owned(), patch.value),
            };
        }
    }
    Ok(())
}

struct Patch {
    operation: String,
    path: String,
    value: String,
}

fn patches(request: &Value) -> Vec<Patch> {
    let all = member(request, "PatchOperations").and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .map(|patch| Patch {
            operation: text(patch, "Op").unwrap_or_default(),
            path: text(patch, "Path").unwrap_or_default(),
            value: text(patch, "Value").unwrap_or_default(),
        })
        .collect()
}
