//! Authorizers as security schemes of an API's definition.

use serde_json::{Map, Value, json};

use super::{Auth, NONE};
use crate::sam::properties::Properties;
use crate::sam::{Result, Translation, object};

const AUTHORIZER: &str = "x-amazon-apigateway-authorizer";

impl Auth {
    /// A JWT issuer's or a function's scheme in an HTTP API.
    pub(super) fn http_scheme(
        &mut self,
        translation: &Translation,
        name: &str,
        function: Option<Value>,
        given: &mut Properties<'_>,
    ) -> Result<Value> {
        let jwt = given.mapping("JwtConfiguration")?;
        if !jwt.is_empty() {
            if function.is_some() {
                return Err(given.fail("has both `JwtConfiguration` and `FunctionArn`: keep one"));
            }
            let jwt: Map<String, Value> = jwt
                .into_iter()
                .map(|(key, value)| (key.to_lowercase(), value))
                .collect();
            let authorizer = json!({
                "jwtConfiguration": jwt,
                "identitySource": given.need("IdentitySource")?,
                "type": "jwt",
            });
            return Ok(json!({"type": "oauth2", AUTHORIZER: authorizer}));
        }
        let Some(function) = function else {
            return Err(given.fail("has neither `JwtConfiguration` nor `FunctionArn`"));
        };
        let permits = given.take("EnableFunctionDefaultPermissions");
        if permits.is_some_and(|permits| permits == true) {
            self.permitted.push((name.to_owned(), function.clone()));
        }
        let mut identity = given.take("Identity");
        let sources = identity
            .as_mut()
            .map(|identity| {
                let prefixes = [
                    ("Headers", "$request.header."),
                    ("QueryStrings", "$request.querystring."),
                    ("StageVariables", "$stageVariables."),
                    ("Context", "$context."),
                ];
                identity_sources(given, identity, &prefixes)
            })
            .transpose()?;
        let authorizer = object([
            ("type", Some(json!("request"))),
            ("authorizerUri", Some(uri(translation, &function))),
            ("authorizerCredentials", credentials(given)),
            (
                "authorizerResultTtlInSeconds",
                identity
                    .as_ref()
                    .and_then(|identity| identity.get("ReauthorizeEvery").cloned()),
            ),
            ("identitySource", sources.map(Value::from)),
            (
                "authorizerPayloadFormatVersion",
                Some(given.need("AuthorizerPayloadFormatVersion")?),
            ),
            (
                "enableSimpleResponses",
                given
                    .take("EnableSimpleResponses")
                    .filter(|simple| simple != false),
            ),
        ]);
        Ok(json!({"type": "apiKey", "name": "Unused", "in": "header", AUTHORIZER: authorizer}))
    }

    /// A user pool's or a function's scheme in a REST API.
    pub(super) fn rest_scheme(
        &mut self,
        translation: &Translation,
        name: &str,
        function: Option<Value>,
        given: &mut Properties<'_>,
    ) -> Result<Value> {
        let identity = Value::Object(given.mapping("Identity")?);
        let header = identity
            .get("Header")
            .cloned()
            .unwrap_or_else(|| json!("Authorization"));
        let validation = identity.get("ValidationExpression").cloned();
        if let Some(pool) = given.take("UserPoolArn") {
            let pools = if pool.is_array() { pool } else { json!([pool]) };
            let authorizer = object([
                ("type", Some(json!("cognito_user_pools"))),
                ("providerARNs", Some(pools)),
                ("identityValidationExpression", validation),
            ]);
            return Ok(json!({
                "type": "apiKey",
                "name": header,
                "in": "header",
                "x-amazon-apigateway-authtype": "cognito_user_pools",
                AUTHORIZER: authorizer,
            }));
        }
        let Some(function) = function else {
            return Err(given.fail("has neither `UserPoolArn` nor `FunctionArn`"));
        };
        let permits = given.take("DisableFunctionDefaultPermissions");
        if permits.is_none_or(|refuses| refuses != true) {
            self.permitted.push((name.to_owned(), function.clone()));
        }
        let is_request = match given.take("FunctionPayloadType") {
            None => false,
            Some(kind) if kind == "TOKEN" => false,
            Some(kind) if kind == "REQUEST" => true,
            Some(_) => {
                return Err(
                    given.fail("has a `FunctionPayloadType` that is neither TOKEN nor REQUEST")
                );
            }
        };
        let lifetime = identity.get("ReauthorizeEvery").cloned();
        let mut sources = None;
        if is_request {
            let prefixes = [
                ("Headers", "method.request.header."),
                ("QueryStrings", "method.request.querystring."),
                ("StageVariables", "stageVariables."),
                ("Context", "context."),
            ];
            let found = identity_sources(given, &identity, &prefixes)?;
            if found.is_empty() && lifetime.as_ref().is_none_or(|seconds| *seconds != 0) {
                return Err(given.fail(
                    "needs an `Identity` with `Headers`, `QueryStrings`, `StageVariables` or `Context`",
                ));
            }
            sources = (!found.is_empty()).then(|| json!(found.join(", ")));
        }
        let authorizer = object([
            (
                "type",
                Some(json!(if is_request { "request" } else { "token" })),
            ),
            ("authorizerUri", Some(uri(translation, &function))),
            ("authorizerResultTtlInSeconds", lifetime),
            ("authorizerCredentials", credentials(given)),
            ("identitySource", sources),
            (
                "identityValidationExpression",
                validation.filter(|_| !is_request),
            ),
        ]);
        Ok(json!({
            "type": "apiKey",
            "name": if is_request { json!("Unused") } else { header },
            "in": "header",
            "x-amazon-apigateway-authtype": "custom",
            AUTHORIZER: authorizer,
        }))
    }
}

fn uri(translation: &Translation, function: &Value) -> Value {
    let text = format!(
        "arn:{}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{__FunctionArn__}}/invocations",
        translation.partition
    );
    json!({"Fn::Sub": [text, {"__FunctionArn__": function}]})
}

fn credentials(given: &mut Properties<'_>) -> Option<Value> {
    given.take("FunctionInvokeRole").filter(|role| role != NONE)
}

/// Where the identity of a caller is in a request, as API Gateway names the places.
fn identity_sources(
    given: &Properties<'_>,
    identity: &Value,
    prefixes: &[(&str, &str)],
) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    for (property, prefix) in prefixes {
        let Some(names) = identity.get(*property) else {
            continue;
        };
        let fail = || {
            given.fail(format!(
                "has an `Identity.{property}` that is no list of texts"
            ))
        };
        for name in names.as_array().ok_or_else(fail)? {
            sources.push(format!("{prefix}{}", name.as_str().ok_or_else(fail)?));
        }
    }
    Ok(sources)
}
