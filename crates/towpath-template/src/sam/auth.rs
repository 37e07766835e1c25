//! `Auth` of an API and of its routes: who may call, as security schemes of the API's definition.

mod schemes;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::properties::Properties;
use super::routes::Route;
use super::{API, Result, Source, Translation, reference};

const INTEGRATION: &str = "x-amazon-apigateway-integration";
/// The authorizer of a route that takes none though the API has a default.
const NONE: &str = "NONE";
/// The authorizer by IAM that an HTTP API may have.
const IAM: &str = "AWS_IAM";
const API_KEY: &str = "api_key";

/// What one route says.
pub(super) struct RouteAuth {
    authorizer: Option<String>,
    scopes: Option<Value>,
    /// Only routes of REST APIs have keys.
    api_key: Option<bool>,
}

/// What an API says.
pub(super) struct Auth {
    is_rest: bool,
    schemes: Map<String, Value>,
    /// The scopes of an authorizer, where it has some.
    scopes: BTreeMap<String, Value>,
    default: Option<String>,
    needs_key: bool,
    /// Whether `OPTIONS` needs the default authorizer, and the key.
    preflight: (bool, bool),
    /// Functions that authorize and are to be permitted to the API, by authorizer.
    permitted: Vec<(String, Value)>,
}

/// The `Auth` of an event.
pub(super) fn parse_route(
    subject: &Properties<'_>,
    (resource, event): (&str, &str),
    value: &Value,
    is_rest: bool,
) -> Result<RouteAuth> {
    let mut given = Properties::new(resource, &format!("event `{event}`, Auth"), Some(value))?;
    let authorizer = match given.take("Authorizer") {
        None => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(subject.fail("has an `Auth.Authorizer` that is no text")),
    };
    let api_key = match given.take("ApiKeyRequired") {
        None => None,
        Some(Value::Bool(needed)) if is_rest => Some(needed),
        Some(_) => {
            return Err(subject.fail(
                "has an `Auth.ApiKeyRequired` that is neither true nor false on a REST API",
            ));
        }
    };
    if is_rest && authorizer.as_deref() == Some(IAM) {
        return Err(subject.fail(
            "has the authorizer AWS_IAM, which the transform on this machine does not cover for a REST API",
        ));
    }
    let scopes = given.take("AuthorizationScopes");
    given.finish(
        &["ApiKeyRequired", "AuthorizationScopes", "Authorizer"],
        &["InvokeRole", "OverrideApiAuth", "ResourcePolicy"],
    )?;
    Ok(RouteAuth {
        authorizer,
        scopes,
        api_key,
    })
}

/// The `Auth` of an API.
pub(super) fn parse(
    translation: &Translation,
    source: &Source<'_>,
    properties: &mut Properties<'_>,
) -> Result<Option<Auth>> {
    let Some(value) = properties.take("Auth") else {
        return Ok(None);
    };
    let is_rest = source.kind == API;
    let mut given = Properties::new(source.id, "Auth", Some(&value))?;
    let mut auth = Auth {
        is_rest,
        schemes: Map::new(),
        scopes: BTreeMap::new(),
        default: None,
        needs_key: false,
        preflight: (true, true),
        permitted: Vec::new(),
    };
    for (name, authorizer) in given.mapping("Authorizers")? {
        let subject = format!("Auth.Authorizers.{name}");
        let authorizer = Properties::new(source.id, &subject, Some(&authorizer))?;
        auth.authorizer(translation, name, authorizer)?;
    }
    let mut flag = |name: &str, default: bool| match given.take(name) {
        None => Ok(default),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(_) => Err(given.fail(format!("has an `{name}` that is neither true nor false"))),
    };
    if is_rest {
        auth.preflight = (
            flag("AddDefaultAuthorizerToCorsPreflight", true)?,
            flag("AddApiKeyRequiredToCorsPreflight", true)?,
        );
        auth.needs_key = flag("ApiKeyRequired", false)?;
    } else if flag("EnableIamAuthorizer", false)? {
        let scheme = json!({
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "x-amazon-apigateway-authtype": "awsSigv4",
        });
        auth.schemes.insert(IAM.to_owned(), scheme);
    }
    match given.take("DefaultAuthorizer") {
        None => {}
        Some(Value::String(name)) if auth.schemes.contains_key(&name) => auth.default = Some(name),
        Some(Value::String(name)) => {
            let near = crate::suggest::did_you_mean(&name, auth.schemes.keys().map(String::as_str));
            return Err(given.fail(format!(
                "has the `DefaultAuthorizer` `{name}`, which is none of the `Authorizers` that are covered{near}"
            )));
        }
        Some(_) => return Err(given.fail("has a `DefaultAuthorizer` that is no text")),
    }
    let known = if is_rest {
        &[
            "AddApiKeyRequiredToCorsPreflight",
            "AddDefaultAuthorizerToCorsPreflight",
            "ApiKeyRequired",
            "Authorizers",
            "DefaultAuthorizer",
        ][..]
    } else {
        &["Authorizers", "DefaultAuthorizer", "EnableIamAuthorizer"]
    };
    given.finish(known, &["InvokeRole", "ResourcePolicy", "UsagePlan"])?;
    Ok(Some(auth))
}

impl Auth {
    fn authorizer(
        &mut self,
        translation: &Translation,
        name: String,
        mut given: Properties<'_>,
    ) -> Result<()> {
        let function = given.take("FunctionArn");
        let scopes = given.take("AuthorizationScopes");
        if scopes.as_ref().is_some_and(|scopes| !scopes.is_array()) {
            return Err(given.fail("has `AuthorizationScopes` that are no list"));
        }
        let scheme = if self.is_rest {
            self.rest_scheme(translation, &name, function, &mut given)?
        } else {
            self.http_scheme(translation, &name, function, &mut given)?
        };
        let known = [
            "AuthorizationScopes",
            "AuthorizerPayloadFormatVersion",
            "DisableFunctionDefaultPermissions",
            "EnableFunctionDefaultPermissions",
            "EnableSimpleResponses",
            "FunctionArn",
            "FunctionInvokeRole",
            "FunctionPayloadType",
            "Identity",
            "IdentitySource",
            "JwtConfiguration",
            "UserPoolArn",
        ];
        given.finish(&known, &[])?;
        if let Some(scopes) = scopes {
            self.scopes.insert(name.clone(), scopes);
        }
        self.schemes.insert(name, scheme);
        Ok(())
    }

    /// Permissions of the API to call the functions that authorize.
    pub(super) fn permit(&self, translation: &mut Translation, source: &Source<'_>) -> Result<()> {
        let partition = if self.is_rest {
            translation.partition
        } else {
            "${AWS::Partition}"
        };
        let text = format!(
            "arn:{partition}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{__ApiId__}}/authorizers/*"
        );
        for (name, function) in &self.permitted {
            let permission = json!({
                "Action": "lambda:InvokeFunction",
                "FunctionName": function,
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": {"Fn::Sub": [text, {"__ApiId__": reference(source.id)}]},
            });
            let id = format!("{}{name}AuthorizerPermission", source.id);
            translation.add(&id, source.beside("AWS::Lambda::Permission", permission))?;
        }
        Ok(())
    }
}

/// The `security` that a route asks for, with the markers that the API's defaults heed.
pub(super) fn of_route(
    given: &Properties<'_>,
    auth: Option<&Auth>,
    route: &Route,
) -> Result<Vec<Value>> {
    let Some(own) = &route.auth else {
        return Ok(Vec::new());
    };
    let fail = |what: &str| {
        let route = format!("{} {}", route.method, route.path);
        Err(given.fail(format!("has the route `{route}`, {what}")))
    };
    let default = auth.and_then(|auth| auth.default.as_deref());
    let authorizer = match &own.authorizer {
        None if own.scopes.is_some() && auth.is_some_and(|auth| auth.is_rest) => {
            return fail("which has `AuthorizationScopes` and no `Authorizer`");
        }
        None if own.api_key.is_none()
            && default.is_none()
            && auth.is_none_or(|auth| !auth.is_rest) =>
        {
            return fail(
                "whose `Auth` names no `Authorizer` while the API has no `DefaultAuthorizer`",
            );
        }
        // A route of an HTTP API repeats the default, so that its own scopes count.
        None => default.filter(|_| auth.is_some_and(|auth| !auth.is_rest)),
        Some(name) if name == NONE && default.is_none() => {
            return fail("whose `Authorizer` is NONE while the API has no `DefaultAuthorizer`");
        }
        Some(name) if name == NONE => Some(NONE),
        Some(name) => match auth.filter(|auth| auth.schemes.contains_key(name)) {
            Some(_) => Some(name.as_str()),
            None => {
                return fail(&format!(
                    "whose `Authorizer` `{name}` is none of the API's `Authorizers`"
                ));
            }
        },
    };
    let mut security = Vec::new();
    if let Some(name) = authorizer {
        let of_authorizer = auth.and_then(|auth| auth.scopes.get(name).cloned());
        let scopes = own.scopes.clone().or(of_authorizer);
        let scopes = scopes
            .filter(|_| name != NONE && name != IAM)
            .unwrap_or_else(|| json!([]));
        security.push(json!({ name: scopes }));
    }
    match own.api_key {
        Some(true) => security.push(json!({ API_KEY: [] })),
        Some(false) if auth.is_some_and(|auth| auth.needs_key) => {
            security.push(json!({"api_key_false": []}));
        }
        Some(false) => return fail("which needs no key, and no other route of the API does"),
        None => {}
    }
    Ok(security)
}

/// Puts the API's defaults on all operations that call something, and the schemes into the definition.
pub(super) fn apply(auth: Option<&Auth>, routes: &[Route], body: &mut Value) {
    let mut schemes = Map::new();
    if let Some(auth) = auth {
        schemes.clone_from(&auth.schemes);
        each_operation(body, &mut |method, operation| {
            auth.apply_defaults(method, operation);
        });
    }
    let of_route = |route: &Route| route.auth.as_ref().and_then(|own| own.api_key) == Some(true);
    if auth.is_some_and(|auth| auth.needs_key) || routes.iter().any(of_route) {
        let scheme = json!({"type": "apiKey", "name": "x-api-key", "in": "header"});
        schemes.insert(API_KEY.to_owned(), scheme);
    }
    if schemes.is_empty() {
        return;
    }
    let place = if body.get("openapi").is_some() {
        &mut body["components"]["securitySchemes"]
    } else {
        &mut body["securityDefinitions"]
    };
    match place.as_object_mut() {
        Some(own) => own.extend(schemes),
        None => *place = Value::Object(schemes),
    }
}

impl Auth {
    fn apply_defaults(&self, method: &str, operation: &mut Map<String, Value>) {
        let existing = match operation.get("security") {
            Some(Value::Array(list)) => list.clone(),
            _ => Vec::new(),
        };
        let has = |entry: &Value, name: &str| entry.get(name).is_some();
        let mut security = existing.clone();
        if let Some(default) = &self.default {
            let scopes = self.scopes.get(default).cloned();
            let own = json!({ default.as_str(): scopes.unwrap_or_else(|| json!([])) });
            if !self.is_rest {
                if method != "options" && security.is_empty() {
                    security.push(own);
                }
            } else if method != "options" || self.preflight.0 {
                let (authorizers, mut others): (Vec<Value>, Vec<Value>) =
                    existing.iter().cloned().partition(|entry| {
                        entry.as_object().is_some_and(|entry| {
                            entry.keys().any(|name| self.schemes.contains_key(name))
                        })
                    });
                if let Some(index) = others.iter().position(|entry| has(entry, NONE)) {
                    others.remove(index);
                } else if authorizers.is_empty() {
                    others.push(own);
                } else {
                    others.extend(authorizers);
                }
                if !others.is_empty() {
                    security = others;
                }
            }
        }
        if self.needs_key {
            let refuses = security.iter().any(|entry| has(entry, "api_key_false"));
            security.retain(|entry| !has(entry, "api_key_false") && !has(entry, API_KEY));
            if !refuses && (method != "options" || self.preflight.1) {
                security.push(json!({ API_KEY: [] }));
            }
        }
        if security != existing {
            operation.insert("security".to_owned(), security.into());
        }
    }
}

/// Visits the operations of a definition that call something, also those below conditions.
fn each_operation(body: &mut Value, visit: &mut impl FnMut(&str, &mut Map<String, Value>)) {
    let Some(paths) = body.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    for item in paths.values_mut() {
        branches(item, &mut |item| {
            for (method, operation) in item.iter_mut() {
                branches(operation, &mut |operation| {
                    if operation.contains_key(INTEGRATION) {
                        visit(method, operation);
                    }
                });
            }
        });
    }
}

/// A mapping, or both mappings of an `Fn::If`.
fn branches(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    match map.get_mut("Fn::If").and_then(Value::as_array_mut) {
        Some(parts) => parts
            .iter_mut()
            .skip(1)
            .filter_map(Value::as_object_mut)
            .for_each(visit),
        None => visit(map),
    }
}
