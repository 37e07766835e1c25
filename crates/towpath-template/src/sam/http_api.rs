//! `AWS::Serverless::HttpApi`: an HTTP API with its stage.

use serde_json::{Map, Value, json};

use super::auth::{self, Auth};
use super::properties::Properties;
use super::routes::{self, DEFAULT_PATH, Route};
use super::{HTTP_API, Result, Source, Translation, object, reference};

const STAGE: &[&str] = &[
    "AccessLogSettings",
    "DefaultRouteSettings",
    "StageVariables",
];
const OTHERS: &[&str] = &[
    "Auth",
    "CorsConfiguration",
    "DefinitionBody",
    "DefinitionUri",
    "Description",
    "DisableExecuteApiEndpoint",
    "FailOnWarnings",
    "Name",
    "RouteSettings",
    "StageName",
    "Tags",
];
const UNCOVERED: &[&str] = &["Domain", "PropagateTags"];
/// The tag by which SAM marks what it made.
const CREATED_BY: (&str, &str) = ("httpapi:createdBy", "SAM");

pub(super) fn expand(
    translation: &mut Translation,
    source: &Source<'_>,
    routes: &[Route],
) -> Result<()> {
    let mut given = Properties::new(source.id, HTTP_API, source.resource.get("Properties"))?;
    let own_tags = given.mapping("Tags")?;
    let auth = auth::parse(translation, source, &mut given)?;
    let mut api = Map::new();
    let mut tags = None;
    match (given.take("DefinitionBody"), given.take("DefinitionUri")) {
        (Some(_), Some(_)) => {
            return Err(given.fail("has both `DefinitionBody` and `DefinitionUri`: keep one"));
        }
        (None, Some(uri)) => {
            if auth.is_some() {
                return Err(given.fail("has `Auth`, which needs a definition in the template instead of `DefinitionUri`"));
            }
            if !own_tags.is_empty() {
                return Err(given.fail("has `Tags`, which need a definition in the template instead of `DefinitionUri`"));
            }
            api.insert(
                "BodyS3Location".to_owned(),
                given.location("DefinitionUri", uri, translation)?.body(),
            );
        }
        (own, None) => {
            let mut all = own_tags;
            all.insert(CREATED_BY.0.to_owned(), json!(CREATED_BY.1));
            api.insert(
                "Body".to_owned(),
                body(
                    translation,
                    source,
                    &mut given,
                    routes,
                    own,
                    (&all, auth.as_ref()),
                )?,
            );
            tags = Some(Value::Object(all));
        }
    }
    given.pass(&["FailOnWarnings"], &mut api);
    translation.add(
        source.id,
        source.instead("AWS::ApiGatewayV2::Api", Value::Object(api)),
    )?;

    let stage_name = given
        .take("StageName")
        .unwrap_or_else(|| json!(DEFAULT_PATH));
    let mut settings = given.mapping("RouteSettings")?;
    settings.extend(
        routes
            .iter()
            .filter_map(|route| Some((route.key(), route.settings.clone()?))),
    );
    let mut stage = Map::from_iter([
        ("ApiId".to_owned(), reference(source.id)),
        ("StageName".to_owned(), stage_name.clone()),
        ("AutoDeploy".to_owned(), json!(true)),
    ]);
    given.pass(STAGE, &mut stage);
    if !settings.is_empty() {
        stage.insert("RouteSettings".to_owned(), Value::Object(settings));
    }
    stage.extend(tags.map(|tags| ("Tags".to_owned(), tags)));
    if let Some(auth) = &auth {
        auth.permit(translation, source)?;
    }
    let id = routes::stage_id(source.id, &stage_name);
    translation.add(
        &id,
        source.beside("AWS::ApiGatewayV2::Stage", Value::Object(stage)),
    )?;
    translation
        .renamed
        .insert(format!("{}.Stage", source.id), id);
    let known: Vec<&str> = STAGE.iter().chain(OTHERS).copied().collect();
    given.finish(&known, UNCOVERED)
}

/// The API's definition: the template's own with the routes added, or one made of the routes.
fn body(
    translation: &mut Translation,
    source: &Source<'_>,
    given: &mut Properties<'_>,
    routes: &[Route],
    own: Option<Value>,
    (tags, auth): (&Map<String, Value>, Option<&Auth>),
) -> Result<Value> {
    let mut body = own.unwrap_or_else(|| {
        json!({
            "openapi": "3.0.1",
            "info": {"version": "1.0", "title": reference("AWS::StackName")},
            "paths": {},
        })
    });
    if !body.is_object() || body.get("paths").is_some_and(|paths| !paths.is_object()) {
        return Err(given.fail("has a `DefinitionBody` without a mapping of `paths`"));
    }
    for (property, field) in [("Name", "title"), ("Description", "description")] {
        let Some(value) = given.take(property) else {
            continue;
        };
        if source.resource["Properties"]
            .get("DefinitionBody")
            .is_some()
            && body["info"].get(field).is_some()
        {
            return Err(given.fail(format!(
                "has `{property}`, which its `DefinitionBody` says too: keep one"
            )));
        }
        body["info"][field] = value;
    }
    let fails_on_warnings = source.resource["Properties"]
        .get("FailOnWarnings")
        .is_some_and(|fails| fails == true);
    let secured = |route: &Route| {
        let mut operation = operation(route);
        let security = auth::of_route(given, auth, route)?;
        if !security.is_empty() {
            operation["security"] = security.into();
        }
        Ok(operation)
    };
    for (path, item) in routes::paths(translation, source.id, routes, secured)? {
        // Without the slash API Gateway would warn, and then fail.
        let slash = if fails_on_warnings && path == DEFAULT_PATH {
            "/"
        } else {
            ""
        };
        let path = format!("{slash}{path}");
        let paths = &mut body["paths"];
        let existing = paths
            .get_mut(&path)
            .and_then(Value::as_object_mut)
            .filter(|item| !item.contains_key("Fn::If"));
        match existing {
            None => paths[path] = item.into_value(),
            Some(existing) => {
                for (method, operation) in item.operations {
                    add_operation(existing, &method, operation);
                }
            }
        }
    }
    auth::apply(auth, routes, &mut body);
    match given.take("CorsConfiguration") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => {
            body["x-amazon-apigateway-cors"] = json!({"allowOrigins": ["*"]});
        }
        Some(Value::Object(cors)) => {
            let lower = |key: &str| key[..1].to_lowercase() + &key[1..];
            let cors = cors
                .into_iter()
                .filter(|(key, value)| !key.is_empty() && *value != false);
            body["x-amazon-apigateway-cors"] =
                Value::Object(cors.map(|(key, value)| (lower(&key), value)).collect());
        }
        Some(_) => {
            return Err(given.fail("has a `CorsConfiguration` that is neither true nor a mapping"));
        }
    }
    let tags = tags
        .iter()
        .map(|(name, value)| json!({"name": name, "x-amazon-apigateway-tag-value": value}));
    body["tags"] = tags.collect();
    if let Some(disable) = given.take("DisableExecuteApiEndpoint") {
        let endpoint = json!({"disableExecuteApiEndpoint": disable});
        body["servers"] = json!([{"x-amazon-apigateway-endpoint-configuration": endpoint}]);
    }
    Ok(body)
}

/// An operation of the template's own keeps what it says; one that says nothing about the call gets it.
fn add_operation(item: &mut Map<String, Value>, method: &str, operation: Value) {
    let Some(existing) = item.get_mut(method).and_then(Value::as_object_mut) else {
        item.insert(method.to_owned(), operation);
        return;
    };
    let mut operation = operation;
    if let Some(Value::Array(security)) = operation
        .as_object_mut()
        .and_then(|operation| operation.shift_remove("security"))
    {
        let own = existing.entry("security").or_insert_with(|| json!([]));
        if let Some(own) = own.as_array_mut() {
            own.extend(security);
        }
    }
    if let (Value::Object(operation), false) = (
        operation,
        existing.contains_key("x-amazon-apigateway-integration"),
    ) {
        for (key, value) in operation {
            existing.entry(key).or_insert(value);
        }
    }
}

fn operation(route: &Route) -> Value {
    let integration = object([
        ("httpMethod", Some(json!("POST"))),
        ("type", Some(json!("aws_proxy"))),
        ("uri", Some(route.uri("${AWS::Partition}"))),
        (
            "payloadFormatVersion",
            Some(route.payload_format.clone().unwrap_or_else(|| json!("2.0"))),
        ),
        ("timeoutInMillis", route.timeout.clone()),
    ]);
    let parameters: Vec<Value> = route
        .path_parameters()
        .map(|name| json!({"name": name, "in": "path", "required": true}))
        .collect();
    object([
        ("x-amazon-apigateway-integration", Some(integration)),
        ("responses", Some(json!({}))),
        (
            "parameters",
            (!parameters.is_empty()).then(|| parameters.into()),
        ),
        ("isDefaultRoute", route.is_default().then(|| json!(true))),
    ])
}
