//! How events reach a function: how many at a time, and how often a failed one is tried again.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::function::{EventInvoke, Function};
use super::missing;
use super::name::{FunctionName, LATEST, arn};
use super::operations::invalid;
use crate::{AwsError, World, input};

/// Answers an operation on reserved concurrency.
pub(super) fn concurrency(
    operation: &str,
    function: &mut Function,
    request: &Value,
) -> Result<Value, AwsError> {
    match operation {
        "PutFunctionConcurrency" => {
            let reserved = input::integer(request, "ReservedConcurrentExecutions")
                .and_then(|given| u32::try_from(given).ok())
                .ok_or_else(|| missing("reservedConcurrentExecutions"))?;
            function.reserved_concurrency = Some(reserved);
        }
        "DeleteFunctionConcurrency" => function.reserved_concurrency = None,
        _ => {}
    }
    Ok(function.reserved_concurrency.map_or_else(
        || json!({}),
        |reserved| json!({ "ReservedConcurrentExecutions": reserved }),
    ))
}

/// Answers an operation on `FunctionEventInvokeConfig`.
pub(super) fn event_invoke(
    world: &World,
    operation: &str,
    name: &FunctionName,
    function: &mut Function,
    request: &Value,
) -> Result<Value, AwsError> {
    function.require(world, name)?;
    let qualifier = name.qualifier.clone().unwrap_or_else(|| LATEST.to_owned());
    let render = |qualifier: &str, rules: &EventInvoke| {
        json!({
            "LastModified": rules.modified,
            "FunctionArn": arn(world, &name.name, Some(qualifier)),
            "MaximumRetryAttempts": rules.retries,
            "MaximumEventAgeInSeconds": rules.age,
            "DestinationConfig": rules.destinations.clone().unwrap_or_else(|| json!({})),
        })
    };
    let not_found = || {
        AwsError::client(
            "ResourceNotFoundException",
            format!(
                "The function {} doesn't have an EventInvokeConfig",
                arn(world, &name.name, Some(&qualifier))
            ),
        )
        .with_status(404)
    };
    match operation {
        "PutFunctionEventInvokeConfig" | "UpdateFunctionEventInvokeConfig" => {
            let existing = function.event_invoke.get(&qualifier).cloned();
            let mut rules = match operation {
                "PutFunctionEventInvokeConfig" => EventInvoke::default(),
                _ => existing.ok_or_else(not_found)?,
            };
            if let Some(retries) = input::integer(request, "MaximumRetryAttempts") {
                rules.retries = u32::try_from(retries)
                    .ok()
                    .filter(|retries| *retries <= 2)
                    .ok_or_else(|| invalid("MaximumRetryAttempts must be between 0 and 2"))?;
            }
            if let Some(age) = input::integer(request, "MaximumEventAgeInSeconds") {
                rules.age = u32::try_from(age)
                    .ok()
                    .filter(|age| (60..=21_600).contains(age))
                    .ok_or_else(|| {
                        invalid("MaximumEventAgeInSeconds must be between 60 and 21600")
                    })?;
            }
            if let Some(destinations) = request.get("DestinationConfig") {
                rules.destinations = Some(destinations.clone());
            }
            rules.modified = OffsetDateTime::now_utc().unix_timestamp();
            let shown = render(&qualifier, &rules);
            function.event_invoke.insert(qualifier, rules);
            Ok(shown)
        }
        "GetFunctionEventInvokeConfig" => function
            .event_invoke
            .get(&qualifier)
            .map(|rules| render(&qualifier, rules))
            .ok_or_else(not_found),
        "DeleteFunctionEventInvokeConfig" => {
            function
                .event_invoke
                .remove(&qualifier)
                .ok_or_else(not_found)?;
            Ok(json!({}))
        }
        _ => {
            let all: Vec<Value> = function
                .event_invoke
                .iter()
                .map(|(qualifier, rules)| render(qualifier, rules))
                .collect();
            Ok(json!({ "FunctionEventInvokeConfigs": all }))
        }
    }
}
