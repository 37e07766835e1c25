//! The control plane: what is there, and how it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::code::{self, Code};
use super::configuration::Configuration;
use super::function::{Function, Version};
use super::name::{FunctionName, LATEST};
use super::{State, alias, delivery, directory, missing, permission};
use crate::{AwsError, World, input};

const LAYERS: &str = "Lambda layers: recorded, nothing of them is found under /opt";

/// Answers one operation that is not an invocation.
pub(super) async fn answer(
    world: &Arc<World>,
    operation: &str,
    name: Option<FunctionName>,
    request: &Value,
) -> Result<Value, AwsError> {
    match operation {
        "ListFunctions" => return Ok(list_functions(world)),
        "ListTags" | "TagResource" | "UntagResource" => return tags(world, operation, request),
        "PublishLayerVersion" => return publish_layer(world, request),
        "DeleteLayerVersion" => return Ok(json!({})),
        "GetAccountSettings" => {
            return Ok(json!({
                "AccountLimit": { "ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000 },
                "AccountUsage": { "FunctionCount": world.lambda.lock().functions.len() },
            }));
        }
        _ => {}
    }
    let known = matches!(
        operation,
        "CreateFunction"
            | "GetFunction"
            | "GetFunctionConfiguration"
            | "UpdateFunctionCode"
            | "UpdateFunctionConfiguration"
            | "DeleteFunction"
            | "PublishVersion"
            | "ListVersionsByFunction"
            | "CreateAlias"
            | "UpdateAlias"
            | "GetAlias"
            | "DeleteAlias"
            | "ListAliases"
            | "AddPermission"
            | "RemovePermission"
            | "GetPolicy"
            | "PutFunctionEventInvokeConfig"
            | "UpdateFunctionEventInvokeConfig"
            | "GetFunctionEventInvokeConfig"
            | "DeleteFunctionEventInvokeConfig"
            | "ListFunctionEventInvokeConfigs"
            | "PutFunctionConcurrency"
            | "GetFunctionConcurrency"
            | "DeleteFunctionConcurrency"
            | "GetFunctionCodeSigningConfig"
    );
    if !known {
        world.fidelity.refused(format!("lambda:{operation}"));
        return Err(AwsError::unknown_operation("lambda", operation));
    }
    let name = name.ok_or_else(|| missing("FunctionName"))?;
    match operation {
        "CreateFunction" => create(world, &name, request).await,
        "UpdateFunctionCode" => update_code(world, &name, request).await,
        "UpdateFunctionConfiguration" => update_configuration(world, &name, request),
        "DeleteFunction" => delete(world, &name),
        "GetFunction" => get(world, &name),
        "GetFunctionConfiguration" => {
            let version = world.lambda.version(world, &name)?;
            Ok(version.render(world, name.qualifier.as_deref()))
        }
        "PublishVersion" => change(world, &name, |function| publish(world, function, request)),
        "ListVersionsByFunction" => {
            change(world, &name, |function| Ok(list_versions(world, function)))
        }
        "CreateAlias" | "UpdateAlias" | "GetAlias" | "DeleteAlias" | "ListAliases" => {
            change(world, &name, |function| {
                alias::answer(world, operation, &name, function, request)
            })
        }
        "AddPermission" | "RemovePermission" | "GetPolicy" => change(world, &name, |function| {
            permission::answer(world, operation, &name, function, request)
        }),
        "GetFunctionCodeSigningConfig" => {
            Ok(json!({ "FunctionName": name.name, "CodeSigningConfigArn": "" }))
        }
        "PutFunctionConcurrency" | "GetFunctionConcurrency" | "DeleteFunctionConcurrency" => {
            let answer = change(world, &name, |function| {
                delivery::concurrency(operation, function, request)
            });
            world.lambda.pool.freed.notify_waiters();
            answer
        }
        _ => change(world, &name, |function| {
            delivery::event_invoke(world, operation, &name, function, request)
        }),
    }
}

/// Looks at a function, or changes it, in one piece.
fn change<T>(
    world: &World,
    name: &FunctionName,
    act: impl FnOnce(&mut Function) -> Result<T, AwsError>,
) -> Result<T, AwsError> {
    let mut state = world.lambda.lock();
    let function = state
        .functions
        .get_mut(&name.name)
        .ok_or_else(|| name.not_found(world))?;
    act(function)
}

async fn create(
    world: &Arc<World>,
    name: &FunctionName,
    request: &Value,
) -> Result<Value, AwsError> {
    let conflict = || {
        AwsError::client(
            "ResourceConflictException",
            format!("Function already exist: {}", name.name),
        )
        .with_status(409)
    };
    if world.lambda.lock().functions.contains_key(&name.name) {
        return Err(conflict());
    }
    let configuration = Configuration::create(world, request)?;
    check_role(world, &configuration.role)?;
    let code = obtain(
        world,
        &name.name,
        request.get("Code").unwrap_or(&Value::Null),
        &configuration,
    )
    .await?;
    note_layers(world, &configuration);
    let mut function = Function::new(Version::new(&name.name, configuration, code));
    function.tags = tags_of(request);
    let shown = if input::flag(request, "Publish") {
        let version = function.publish(None);
        version.render(world, Some(&version.number))
    } else {
        function.latest.render(world, None)
    };
    let mut state = world.lambda.lock();
    if state.functions.contains_key(&name.name) {
        return Err(conflict());
    }
    state.functions.insert(name.name.clone(), function);
    Ok(shown)
}

async fn update_code(
    world: &Arc<World>,
    name: &FunctionName,
    request: &Value,
) -> Result<Value, AwsError> {
    let configuration = world
        .lambda
        .version(world, &unqualified(name)?)?
        .configuration
        .clone();
    let code = obtain(world, &name.name, request, &configuration).await?;
    if input::flag(request, "DryRun") {
        return get(world, name).map(|shown| shown["Configuration"].clone());
    }
    renew(world, name, request, |latest| {
        latest.code = code;
        Ok(())
    })
}

fn update_configuration(
    world: &Arc<World>,
    name: &FunctionName,
    request: &Value,
) -> Result<Value, AwsError> {
    unqualified(name)?;
    if let Some(role) = input::text(request, "Role") {
        check_role(world, &role)?;
    }
    renew(world, name, request, |latest| {
        latest.configuration.apply(world, request)?;
        note_layers(world, &latest.configuration);
        Ok(())
    })
}

/// Makes a new `$LATEST` and lets the environments of the old one go.
fn renew(
    world: &World,
    name: &FunctionName,
    request: &Value,
    act: impl FnOnce(&mut Version) -> Result<(), AwsError>,
) -> Result<Value, AwsError> {
    let shown = change(world, name, |function| {
        check_revision(request, &function.latest.revision)?;
        let old = &function.latest;
        let mut latest = Version::new(
            &old.function,
            old.configuration.clone(),
            Arc::clone(&old.code),
        );
        act(&mut latest)?;
        function.latest = Arc::new(latest);
        if input::flag(request, "Publish") {
            let version = function.publish(None);
            return Ok(version.render(world, Some(&version.number)));
        }
        Ok(function.latest.render(world, None))
    })?;
    retire(world, &name.name);
    Ok(shown)
}

fn retire(world: &World, name: &str) {
    world.lambda.pool.retire(name, |environment| {
        world
            .lambda
            .read(name, |function| {
                function.is_current(&environment.number, &environment.revision)
            })
            .unwrap_or(false)
    });
}

fn delete(world: &World, name: &FunctionName) -> Result<Value, AwsError> {
    match name.qualifier.as_deref() {
        None => {
            let gone = world.lambda.lock().functions.remove(&name.name);
            gone.ok_or_else(|| name.not_found(world))?;
        }
        Some(LATEST) => {
            return Err(invalid(
                "$LATEST version cannot be deleted without deleting the function.",
            ));
        }
        Some(qualifier) => change(world, name, |function| {
            function.require(world, name)?;
            if function.aliases.contains_key(qualifier) {
                return Err(invalid("Deletion of aliases is not currently supported."));
            }
            let using: Vec<&str> = function
                .aliases
                .iter()
                .filter(|(_, alias)| alias.version == qualifier)
                .map(|(name, _)| name.as_str())
                .collect();
            if !using.is_empty() {
                return Err(AwsError::client(
                    "ResourceConflictException",
                    format!(
                        "Version {qualifier} of {} is referenced by aliases: {}",
                        name.name,
                        using.join(", ")
                    ),
                )
                .with_status(409));
            }
            function
                .published
                .retain(|number, _| number.to_string() != qualifier);
            Ok(())
        })?,
    }
    retire(world, &name.name);
    Ok(json!({}))
}

fn get(world: &World, name: &FunctionName) -> Result<Value, AwsError> {
    change(world, name, |function| {
        let version = function.require(world, name)?;
        let mut shown = json!({
            "Configuration": version.render(world, name.qualifier.as_deref()),
            "Code": version.code.render(),
        });
        if !function.tags.is_empty() {
            shown["Tags"] = json!(function.tags);
        }
        if let Some(reserved) = function.reserved_concurrency {
            shown["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
        }
        Ok(shown)
    })
}

fn list_functions(world: &World) -> Value {
    let state = world.lambda.lock();
    let functions: Vec<Value> = state
        .functions
        .values()
        .map(|function| function.latest.render(world, None))
        .collect();
    json!({ "Functions": functions })
}

fn list_versions(world: &World, function: &Function) -> Value {
    let versions: Vec<Value> = std::iter::once(&function.latest)
        .chain(function.published.values())
        .map(|version| version.render(world, Some(&version.number)))
        .collect();
    json!({ "Versions": versions })
}

fn publish(world: &World, function: &mut Function, request: &Value) -> Result<Value, AwsError> {
    check_revision(request, &function.latest.revision)?;
    if let Some(expected) = input::text(request, "CodeSha256")
        && expected != function.latest.code.sha256
    {
        return Err(invalid(format!(
            "CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({}). Please try again with the CodeSHA256 in $LATEST.",
            function.latest.code.sha256
        )));
    }
    let version = function.publish(input::text(request, "Description"));
    Ok(version.render(world, Some(&version.number)))
}

fn tags(world: &World, operation: &str, request: &Value) -> Result<Value, AwsError> {
    let resource = input::required(request, "Resource")?;
    let name = FunctionName::parse(world, &resource, None)?;
    change(world, &name, |function| match operation {
        "TagResource" => {
            function.tags.extend(tags_of(request));
            Ok(json!({}))
        }
        "UntagResource" => {
            for key in input::list(request, "TagKeys")
                .iter()
                .filter_map(Value::as_str)
            {
                function.tags.remove(key);
            }
            Ok(json!({}))
        }
        _ => Ok(json!({ "Tags": function.tags })),
    })
}

fn tags_of(request: &Value) -> BTreeMap<String, String> {
    let tags = request.get("Tags").and_then(Value::as_object);
    tags.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

async fn obtain(
    world: &World,
    function: &str,
    source: &Value,
    configuration: &Configuration,
) -> Result<Arc<Code>, AwsError> {
    use super::configuration::Runtime;
    match (&configuration.runtime, input::text(source, "ImageUri")) {
        (Runtime::Image, Some(uri)) => {
            let State { images, .. } = &*world.lambda.lock();
            images.get(&uri).cloned().ok_or_else(|| {
                invalid(format!(
                    "Source image {uri} does not exist. Provide a valid source image. (The loopback runs images that were registered with it: PUT a zip of the root file system to /_towpath/images/<percent-encoded uri>.)"
                ))
            })
        }
        (Runtime::Image, None) => Err(invalid(
            "Please provide ImageUri when updating a function with packageType Image.",
        )),
        (_, Some(_)) => Err(invalid(
            "Please don't provide ImageUri when updating a function with packageType Zip.",
        )),
        (_, None) => {
            let package = code::package(world, source).await?;
            let parent = directory(world, "functions")
                .map_err(|error| AwsError::internal(error.to_string()))?;
            code::unpack(parent.join(function), package, None)
                .await
                .map(Arc::new)
        }
    }
}

/// Whether Lambda may assume the role. (Whether the caller may pass it on is asked before.)
fn check_role(world: &World, role: &str) -> Result<(), AwsError> {
    if world
        .identity
        .trusts_service(role, "lambda.amazonaws.com", None)
    {
        Ok(())
    } else {
        Err(invalid(
            "The role defined for the function cannot be assumed by Lambda.",
        ))
    }
}

/// Layers have numbers and nothing else.
fn publish_layer(world: &World, request: &Value) -> Result<Value, AwsError> {
    let name = input::required(request, "LayerName")?;
    let mut state = world.lambda.lock();
    let number = state.layers.entry(name.clone()).or_default();
    *number += 1;
    let arn = world.arn("lambda", &format!("layer:{name}"));
    world.fidelity.simulated(LAYERS);
    Ok(json!({
        "LayerArn": arn,
        "LayerVersionArn": format!("{arn}:{number}"),
        "Version": number,
        "Description": input::text(request, "Description").unwrap_or_default(),
        "Content": {},
    }))
}

fn note_layers(world: &World, configuration: &Configuration) {
    if !configuration.layers.is_empty() {
        world.fidelity.simulated(LAYERS);
    }
}

/// Whether the request knows the newest revision, if it names one.
pub(super) fn check_revision(request: &Value, current: &str) -> Result<(), AwsError> {
    match input::text(request, "RevisionId") {
        Some(expected) if expected != current => Err(AwsError::client(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        )
        .with_status(412)),
        _ => Ok(()),
    }
}

/// Only `$LATEST` changes.
fn unqualified(name: &FunctionName) -> Result<FunctionName, AwsError> {
    match name.qualifier.as_deref() {
        None | Some(LATEST) => Ok(name.clone()),
        Some(_) => Err(invalid(
            "Only the $LATEST version of a function can be updated.",
        )),
    }
}

/// What Lambda answers to a parameter that cannot be.
pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterValueException", message)
}
