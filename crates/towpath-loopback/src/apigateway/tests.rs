//! APIs before real functions: from a URL to a function and back.

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::lambda::tests::{Fixture, has};
use crate::{AwsError, Caller};

const HANDLERS: &str = r#"
import time
def echo(event, context):
    return event
def shaped(event, context):
    return {"statusCode": 201, "headers": {"X-Made": "yes"}, "body": event.get("body") or ""}
def fail(event, context):
    raise ValueError("no")
def text(event, context):
    return "text"
def slow(event, context):
    time.sleep(1)
"#;

struct Gateway {
    fixture: Fixture,
}

impl Gateway {
    async fn new() -> Option<Self> {
        if !has("python3") {
            return None;
        }
        let fixture = Fixture::new();
        for name in ["echo", "shaped", "fail", "text", "slow", "closed"] {
            let handler = format!("app.{}", if name == "closed" { "echo" } else { name });
            fixture
                .function(
                    name,
                    "python3.12",
                    &handler,
                    &[("app.py", HANDLERS)],
                    json!({}),
                )
                .await;
            if name != "closed" {
                let permission = json!({ "FunctionName": name, "StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com" });
                fixture.call("AddPermission", permission).await.unwrap();
            }
        }
        Some(Self { fixture })
    }

    async fn call(&self, operation: &str, input: Value) -> Result<Value, AwsError> {
        let world = &self.fixture.world;
        world
            .apigateway
            .call(world, &Caller::Root, operation, input)
            .await
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, http::HeaderMap, String) {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let world = &self.fixture.world;
        let response = world.apigateway.execute(world, request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }
}

fn uri(function: &str) -> String {
    format!(
        "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:{function}/invocations"
    )
}

fn proxy(function: &str, version: &str) -> Value {
    json!({ "x-amazon-apigateway-integration": { "type": "aws_proxy", "httpMethod": "POST", "uri": uri(function), "payloadFormatVersion": version } })
}

#[tokio::test]
async fn an_http_api_from_a_document() {
    let Some(gateway) = Gateway::new().await else {
        return;
    };
    let mut slow = proxy("slow", "2.0");
    slow["x-amazon-apigateway-integration"]["timeoutInMillis"] = json!(50);
    let body = json!({
        "openapi": "3.0.1",
        "info": { "title": "shop", "version": "1.0" },
        "paths": {
            "/items/{id}": { "get": proxy("echo", "2.0") },
            "/one/{proxy+}": { "x-amazon-apigateway-any-method": proxy("echo", "1.0") },
            "/made": { "post": proxy("shaped", "2.0") },
            "/fail": { "get": proxy("fail", "2.0") },
            "/one-fail": { "get": proxy("fail", "1.0") },
            "/text": { "get": proxy("text", "2.0") },
            "/slow": { "get": slow },
            "/closed": { "get": proxy("closed", "2.0") },
        },
        "x-amazon-apigateway-cors": { "allowOrigins": ["https://app.example"], "allowMethods": ["GET"] },
    });
    let api = gateway
        .call("CreateApi", json!({ "Body": body, "ProtocolType": "HTTP" }))
        .await
        .unwrap();
    let id = api["ApiId"].as_str().unwrap();
    assert_eq!(
        (&api["Name"], api["ApiEndpoint"].as_str().unwrap()),
        (
            &json!("shop"),
            format!("http://127.0.0.1:1/_api/{id}").as_str()
        )
    );
    let base = format!("/_api/{id}");
    assert_eq!(
        gateway
            .request("GET", &format!("{base}/text"), &[], "")
            .await
            .0,
        404,
        "no stage yet"
    );
    gateway
        .call(
            "CreateStage",
            json!({ "ApiId": id, "StageName": "$default", "AutoDeploy": true }),
        )
        .await
        .unwrap();

    let (status, _, body) = gateway
        .request(
            "GET",
            &format!("{base}/items/7%208?q=1&q=2"),
            &[("user-agent", "test")],
            "",
        )
        .await;
    let event: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &event["version"], &event["routeKey"]),
        (200, &json!("2.0"), &json!("GET /items/{id}"))
    );
    assert_eq!(
        (&event["pathParameters"], &event["queryStringParameters"]),
        (&json!({ "id": "7 8" }), &json!({ "q": "1,2" }))
    );
    assert_eq!(event["headers"]["x-forwarded-proto"], "http");
    assert_eq!(event["requestContext"]["http"]["userAgent"], "test");

    for (method, path, body, status, expected) in [
        ("POST", "/made", "hi", 201, "aGk="),
        ("GET", "/text", "", 200, "text"),
        (
            "GET",
            "/fail",
            "",
            500,
            r#"{"message":"Internal Server Error"}"#,
        ),
        (
            "GET",
            "/one-fail",
            "",
            500,
            r#"{"message":"Internal Server Error"}"#,
        ),
        (
            "PUT",
            "/one/a/b",
            "",
            500,
            r#"{"message":"Internal Server Error"}"#,
        ),
        (
            "GET",
            "/slow",
            "",
            503,
            r#"{"message":"Service Unavailable"}"#,
        ),
        (
            "GET",
            "/closed",
            "",
            500,
            r#"{"message":"Internal Server Error"}"#,
        ),
        ("GET", "/made", "", 404, r#"{"message":"Not Found"}"#),
        ("GET", "/other", "", 404, r#"{"message":"Not Found"}"#),
    ] {
        let (got, headers, text) = gateway
            .request(method, &format!("{base}{path}"), &[], body)
            .await;
        assert_eq!((got, text.as_str()), (status, expected), "{method} {path}");
        assert!(headers.contains_key("x-amzn-requestid"));
    }
    let (status, headers, _) = gateway
        .request(
            "OPTIONS",
            &format!("{base}/text"),
            &[
                ("origin", "https://app.example"),
                ("access-control-request-method", "GET"),
            ],
            "",
        )
        .await;
    assert_eq!(
        (
            status,
            headers["access-control-allow-methods"].to_str().unwrap()
        ),
        (204, "GET")
    );
    let (_, headers, _) = gateway
        .request(
            "GET",
            &format!("{base}/text"),
            &[("origin", "https://app.example")],
            "",
        )
        .await;
    assert_eq!(
        headers["access-control-allow-origin"],
        "https://app.example"
    );

    gateway
        .call("DeleteApi", json!({ "ApiId": id }))
        .await
        .unwrap();
    assert_eq!(
        gateway
            .request("GET", &format!("{base}/text"), &[], "")
            .await
            .0,
        404
    );
    gateway.fixture.close().await;
}

#[tokio::test]
async fn an_http_api_piece_by_piece() {
    let Some(gateway) = Gateway::new().await else {
        return;
    };
    let api = gateway
        .call(
            "CreateApi",
            json!({ "Name": "shop", "ProtocolType": "HTTP" }),
        )
        .await
        .unwrap();
    let id = api["ApiId"].as_str().unwrap().to_owned();
    let with = |members: Value| {
        let mut request = json!({ "ApiId": id });
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    let integration = gateway
        .call("CreateIntegration", with(json!({ "IntegrationType": "AWS_PROXY", "IntegrationUri": "arn:aws:lambda:us-east-1:000000000000:function:echo", "PayloadFormatVersion": "2.0" })))
        .await
        .unwrap();
    let target = format!(
        "integrations/{}",
        integration["IntegrationId"].as_str().unwrap()
    );
    let route = with(json!({ "RouteKey": "$default", "Target": target }));
    gateway.call("CreateRoute", route.clone()).await.unwrap();
    for (operation, input, code, expected) in [
        (
            "CreateRoute",
            route,
            "ConflictException",
            "Route with key $default already exists",
        ),
        (
            "CreateRoute",
            with(json!({ "RouteKey": "FETCH /x" })),
            "BadRequestException",
            "not formatted properly",
        ),
        (
            "CreateRoute",
            with(json!({ "RouteKey": "GET /x", "AuthorizationType": "JWT" })),
            "BadRequestException",
            "`GET /x` asks for `JWT`",
        ),
        (
            "CreateRoute",
            with(json!({ "RouteKey": "GET /x", "Target": "integrations/none" })),
            "NotFoundException",
            "none",
        ),
        (
            "CreateIntegration",
            with(
                json!({ "IntegrationType": "HTTP_PROXY", "IntegrationUri": "https://example.com", "PayloadFormatVersion": "1.0" }),
            ),
            "BadRequestException",
            "HTTP_PROXY to https://example.com",
        ),
        (
            "DeleteIntegration",
            with(json!({ "IntegrationId": integration["IntegrationId"] })),
            "ConflictException",
            "$default",
        ),
        (
            "GetStage",
            with(json!({ "StageName": "prod" })),
            "NotFoundException",
            "prod",
        ),
        (
            "CreateAuthorizer",
            with(json!({})),
            "UnknownOperationException",
            "CreateAuthorizer",
        ),
        (
            "GetApi",
            json!({ "ApiId": "none" }),
            "NotFoundException",
            "Invalid API identifier specified",
        ),
        (
            "CreateApi",
            json!({ "Name": "x", "ProtocolType": "WEBSOCKET" }),
            "BadRequestException",
            "not WEBSOCKET",
        ),
    ] {
        let error = gateway.call(operation, input).await.unwrap_err();
        assert_eq!(error.code, code, "{operation}: {error}");
        assert!(error.message.contains(expected), "{operation}: {error}");
    }
    // Without automatic deployment a stage serves a snapshot.
    gateway
        .call(
            "CreateStage",
            with(json!({ "StageName": "prod", "StageVariables": { "a": "b" } })),
        )
        .await
        .unwrap();
    let url = format!("/_api/{id}/prod/deep/path");
    assert_eq!(gateway.request("GET", &url, &[], "").await.0, 404);
    gateway
        .call("CreateDeployment", with(json!({ "StageName": "prod" })))
        .await
        .unwrap();
    let (status, _, body) = gateway.request("GET", &url, &[], "").await;
    let event: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &event["rawPath"], &event["stageVariables"]),
        (200, &json!("/prod/deep/path"), &json!({ "a": "b" }))
    );
    let routes = gateway.call("GetRoutes", with(json!({}))).await.unwrap();
    gateway
        .call(
            "DeleteRoute",
            with(json!({ "RouteId": routes["Items"][0]["RouteId"] })),
        )
        .await
        .unwrap();
    assert_eq!(
        gateway.request("GET", &url, &[], "").await.0,
        200,
        "the deployment still has the route"
    );
    gateway.fixture.close().await;
}

#[tokio::test]
async fn a_rest_api_from_a_document_and_piece_by_piece() {
    let Some(gateway) = Gateway::new().await else {
        return;
    };
    let mock = json!({ "x-amazon-apigateway-integration": {
        "type": "mock",
        "requestTemplates": { "application/json": "{\"statusCode\": 200}" },
        "responses": { "default": { "statusCode": "200", "responseParameters": { "method.response.header.Access-Control-Allow-Origin": "'*'" } } }
    } });
    let body = json!({
        "swagger": "2.0",
        "info": { "title": "shop" },
        "paths": { "/items/{id}": { "get": proxy("shaped", "1.0"), "options": mock }, "/fail": { "get": proxy("fail", "1.0") }, "/text": { "get": proxy("text", "1.0") }, "/closed": { "get": proxy("closed", "1.0") } },
    });
    let api = gateway
        .call("CreateRestApi", json!({ "name": "shop" }))
        .await
        .unwrap();
    let id = api["id"].as_str().unwrap().to_owned();
    gateway
        .call(
            "PutRestApi",
            json!({ "restApiId": id, "mode": "overwrite", "body": body }),
        )
        .await
        .unwrap();
    let added = gateway
        .call(
            "CreateResource",
            json!({ "restApiId": id, "parentId": api["rootResourceId"], "pathPart": "{proxy+}" }),
        )
        .await
        .unwrap();
    let method = |members: Value| {
        let mut request =
            json!({ "restApiId": id, "resourceId": added["id"], "httpMethod": "ANY" });
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    let closed = gateway
        .call(
            "PutMethod",
            method(json!({ "authorizationType": "AWS_IAM" })),
        )
        .await
        .unwrap_err();
    assert!(
        closed
            .message
            .contains("`ANY /{proxy+}` asks for `AWS_IAM`"),
        "{closed}"
    );
    gateway
        .call("PutMethod", method(json!({ "authorizationType": "NONE" })))
        .await
        .unwrap();
    gateway
        .call("PutIntegration", method(json!({ "type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": uri("shaped") })))
        .await
        .unwrap();
    let deployment = gateway
        .call("CreateDeployment", json!({ "restApiId": id }))
        .await
        .unwrap();
    gateway
        .call(
            "CreateStage",
            json!({ "restApiId": id, "stageName": "prod", "deploymentId": deployment["id"] }),
        )
        .await
        .unwrap();
    for (method, path, body, status, expected) in [
        ("GET", "/prod/items/7", "", 201, ""),
        ("PUT", "/prod/any/thing", "hi", 201, "hi"),
        ("OPTIONS", "/prod/items/7", "", 200, ""),
        (
            "POST",
            "/prod/items/7",
            "",
            403,
            r#"{"message":"Missing Authentication Token"}"#,
        ),
        (
            "GET",
            "/prod",
            "",
            403,
            r#"{"message":"Missing Authentication Token"}"#,
        ),
        (
            "GET",
            "/other/items/7",
            "",
            403,
            r#"{"message":"Forbidden"}"#,
        ),
        (
            "GET",
            "/prod/fail",
            "",
            502,
            r#"{"message":"Internal server error"}"#,
        ),
        (
            "GET",
            "/prod/text",
            "",
            502,
            r#"{"message":"Internal server error"}"#,
        ),
        (
            "GET",
            "/prod/closed",
            "",
            500,
            r#"{"message":"Internal server error"}"#,
        ),
    ] {
        let (got, _, text) = gateway
            .request(method, &format!("/_api/{id}{path}"), &[], body)
            .await;
        assert_eq!((got, text.as_str()), (status, expected), "{method} {path}");
    }
    let used = gateway
        .call(
            "DeleteDeployment",
            json!({ "restApiId": id, "deploymentId": deployment["id"] }),
        )
        .await
        .unwrap_err();
    assert!(used.message.contains("Active stages"), "{used}");
    let listed = gateway.call("GetRestApis", json!({})).await.unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    gateway
        .call("DeleteRestApi", json!({ "restApiId": id }))
        .await
        .unwrap();
    gateway.fixture.close().await;
}
