//! `AWS::Serverless::Api`: a REST API with its deployment and its stage.

mod domain;

use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use super::auth::{self, Auth};
use super::properties::Properties;
use super::routes::{self, Route};
use super::{API, Result, Source, Translation, canonical, cors, object, reference, tag_list};

const STAGE: &[&str] = &[
    "AccessLogSetting",
    "CacheClusterEnabled",
    "CacheClusterSize",
    "CanarySetting",
    "MethodSettings",
    "TracingEnabled",
    "Variables",
];
const REST_API: &[&str] = &[
    "ApiKeySourceType",
    "BinaryMediaTypes",
    "Description",
    "FailOnWarnings",
    "MinimumCompressionSize",
    "Mode",
    "Name",
];
const OTHERS: &[&str] = &[
    "Auth",
    "Cors",
    "DefinitionBody",
    "DefinitionUri",
    "DisableExecuteApiEndpoint",
    "Domain",
    "EndpointConfiguration",
    "GatewayResponses",
    "OpenApiVersion",
    "StageName",
    "Tags",
];
const UNCOVERED: &[&str] = &[
    "AlwaysDeploy",
    "MergeDefinitions",
    "Models",
    "Policy",
    "PropagateTags",
    "SecurityPolicy",
];

pub(super) fn expand(
    translation: &mut Translation,
    source: &Source<'_>,
    routes: &[Route],
) -> Result<()> {
    let mut given = Properties::new(source.id, API, source.resource.get("Properties"))?;
    let stage_name = given.need("StageName")?;
    let version = given
        .take("OpenApiVersion")
        .as_ref()
        .and_then(crate::parameters::scalar_text);
    let auth = auth::parse(translation, source, &mut given)?;
    let mut api = Map::new();
    let definition = match (given.take("DefinitionBody"), given.take("DefinitionUri")) {
        (Some(_), Some(_)) => {
            return Err(given.fail("has both `DefinitionBody` and `DefinitionUri`: keep one"));
        }
        (None, Some(_)) if auth.is_some() => {
            return Err(given.fail(
                "has `Auth`, which needs a definition in the template instead of `DefinitionUri`",
            ));
        }
        (None, Some(uri)) => {
            let location = given.location("DefinitionUri", uri, translation)?.body();
            api.insert("BodyS3Location".to_owned(), location.clone());
            location
        }
        (body, None) => {
            let body = self::body(
                translation,
                source,
                &mut given,
                routes,
                (body, auth.as_ref()),
                version.as_deref(),
            )?;
            api.insert("Body".to_owned(), body.clone());
            body
        }
    };
    given.pass(REST_API, &mut api);
    if let Some(endpoint) = given.take("EndpointConfiguration") {
        let kind = endpoint
            .get("Type")
            .cloned()
            .unwrap_or_else(|| endpoint.clone());
        let vpc = endpoint.get("VPCEndpointIds").cloned();
        api.insert(
            "Parameters".to_owned(),
            json!({"endpointConfigurationTypes": kind}),
        );
        let types = json!([kind]);
        api.insert(
            "EndpointConfiguration".to_owned(),
            object([("Types", Some(types)), ("VpcEndpointIds", vpc)]),
        );
    }
    translation.add(
        source.id,
        source.instead("AWS::ApiGateway::RestApi", Value::Object(api)),
    )?;

    if let Some(auth) = &auth {
        auth.permit(translation, source)?;
    }
    let hash = hex::encode(Sha1::digest(canonical(&definition)));
    let deployment = format!("{}Deployment{}", source.id, &hash[..10]);
    let properties = object([
        (
            "Description",
            Some(json!(format!("RestApi deployment id: {hash}"))),
        ),
        ("RestApiId", Some(reference(source.id))),
        // Older templates keep the stage that API Gateway once made of itself.
        ("StageName", version.is_none().then(|| json!("Stage"))),
    ]);
    translation.add(
        &deployment,
        source.beside("AWS::ApiGateway::Deployment", properties),
    )?;

    let stage = routes::stage_id(source.id, &stage_name);
    let mut properties = Map::from_iter([
        ("DeploymentId".to_owned(), reference(&deployment)),
        ("RestApiId".to_owned(), reference(source.id)),
        ("StageName".to_owned(), stage_name),
    ]);
    given.pass(STAGE, &mut properties);
    let tags = given.mapping("Tags")?;
    if !tags.is_empty() {
        properties.insert("Tags".to_owned(), tag_list(&tags).into());
    }
    translation.add(
        &stage,
        source.beside("AWS::ApiGateway::Stage", Value::Object(properties)),
    )?;
    if let Some(own) = given.take("Domain") {
        domain::expand(translation, source, &stage, own)?;
    }
    translation
        .renamed
        .insert(format!("{}.Stage", source.id), stage);
    translation
        .renamed
        .insert(format!("{}.Deployment", source.id), deployment);
    let known: Vec<&str> = STAGE
        .iter()
        .chain(REST_API)
        .chain(OTHERS)
        .copied()
        .collect();
    given.finish(&known, UNCOVERED)
}

/// The API's definition: the template's own as it stands, or one made of the routes.
fn body(
    translation: &mut Translation,
    source: &Source<'_>,
    given: &mut Properties<'_>,
    routes: &[Route],
    (own, auth): (Option<Value>, Option<&Auth>),
    version: Option<&str>,
) -> Result<Value> {
    let cors = given
        .take("Cors")
        .map(|cors| cors::parse(given, cors))
        .transpose()?;
    let is_own = own.is_some();
    let mut body = own.unwrap_or_else(|| {
        let mut body =
            json!({"info": {"version": "1.0", "title": reference("AWS::StackName")}, "paths": {}});
        match version {
            Some(version) => body["openapi"] = json!(version),
            None => body["swagger"] = json!("2.0"),
        }
        body
    });
    if body.get("paths").is_some_and(|paths| !paths.is_object()) || !body.is_object() {
        return Err(given.fail("has a `DefinitionBody` without a mapping of `paths`"));
    }
    let is_openapi3 = body.get("openapi").is_some();
    let mut paths = Map::new();
    if is_own {
        // Routes are not added to a definition of the template's own: it says itself what it has.
        for (path, item) in body["paths"].as_object().cloned().unwrap_or_default() {
            let mut item = item;
            if let (Some(cors), Some(operations)) = (&cors, item.as_object_mut()) {
                cors.add_to(operations, is_openapi3);
            }
            paths.insert(path, item);
        }
    } else {
        let partition = translation.partition;
        let operation = |route: &Route| {
            let integration = object([
                ("httpMethod", Some(json!("POST"))),
                ("type", Some(json!("aws_proxy"))),
                ("uri", Some(route.uri(partition))),
                ("timeoutInMillis", route.timeout.clone()),
            ]);
            let security = auth::of_route(given, auth, route)?;
            Ok(object([
                ("x-amazon-apigateway-integration", Some(integration)),
                ("responses", Some(json!({}))),
                ("security", (!security.is_empty()).then(|| security.into())),
            ]))
        };
        for (path, mut item) in routes::paths(translation, source.id, routes, operation)? {
            if let Some(cors) = &cors {
                // The translator's rewriting to OpenAPI 3 does not reach below a condition.
                cors.add_to(
                    &mut item.operations,
                    is_openapi3 && item.condition.is_none(),
                );
            }
            paths.insert(path, item.into_value());
        }
    }
    body["paths"] = Value::Object(paths);
    let responses = given.mapping("GatewayResponses")?;
    if !responses.is_empty() {
        let all = &mut body["x-amazon-apigateway-gateway-responses"];
        for (kind, response) in responses {
            all[kind.as_str()] = gateway_response(source.id, &kind, &response)?;
        }
    }
    auth::apply(auth, if is_own { &[] } else { routes }, &mut body);
    if let Some(Value::Array(types)) = source.resource["Properties"].get("BinaryMediaTypes") {
        let types: Vec<Value> = types
            .iter()
            .map(|kind| {
                kind.as_str()
                    .map_or_else(|| kind.clone(), |kind| json!(kind.replace("~1", "/")))
            })
            .collect();
        body["x-amazon-apigateway-binary-media-types"] = types.into();
    }
    if let Some(disable) = given.take("DisableExecuteApiEndpoint") {
        let endpoint = json!({"disableExecuteApiEndpoint": disable});
        if is_openapi3 {
            body["servers"] = json!([{"x-amazon-apigateway-endpoint-configuration": endpoint}]);
        } else {
            body["x-amazon-apigateway-endpoint-configuration"] = endpoint;
        }
    }
    Ok(body)
}

/// What API Gateway itself answers in one case.
fn gateway_response(api: &str, kind: &str, response: &Value) -> Result<Value> {
    let subject = format!("GatewayResponses.{kind}");
    let mut given = Properties::new(api, &subject, Some(response))?;
    let subject = format!("{subject}.ResponseParameters");
    let parameters = given.take("ResponseParameters");
    let mut parameters = Properties::new(api, &subject, parameters.as_ref())?;
    let mut prefixed = Map::new();
    for (property, prefix) in [
        ("Headers", "header"),
        ("Paths", "path"),
        ("QueryStrings", "querystring"),
    ] {
        for (name, value) in parameters.mapping(property)? {
            prefixed.insert(format!("gatewayresponse.{prefix}.{name}"), value);
        }
    }
    parameters.finish(&["Headers", "Paths", "QueryStrings"], &[])?;
    let status = given.take("StatusCode");
    let response = object([
        ("responseParameters", Some(prefixed.into())),
        (
            "responseTemplates",
            Some(given.mapping("ResponseTemplates")?.into()),
        ),
        (
            "statusCode",
            status.map(|code| json!(crate::parameters::scalar_text(&code))),
        ),
    ]);
    given.finish(
        &["ResponseParameters", "ResponseTemplates", "StatusCode"],
        &[],
    )?;
    Ok(response)
}
