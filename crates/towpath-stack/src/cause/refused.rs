//! Why a change set could not be made, where its own reason only says that it could not.

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{
    EventFilter, HookFailureMode, HookStatus, ListHookResultsTargetType, OperationEvent,
};

use crate::{NESTED_DEPTH, StackError};

/// How many pages are read of each list.
const PAGES: usize = 10;

/// What stands behind a change set's reason: the findings of the validation before a deployment, of hooks, or the reason
/// of the nested change set that it names. A reason that says all itself is given back as it is, and so is one that
/// nothing more can be read of.
pub async fn why_refused(client: &Client, change_set: &str, reason: &str) -> String {
    let mut change_set = change_set.to_owned();
    let mut reason = reason.to_owned();
    let mut path = String::new();
    for _ in 0..NESTED_DEPTH {
        let Some(nested) = nested_change_set(&reason).map(str::to_owned) else {
            break;
        };
        if nested == change_set {
            break;
        }
        match described(client, &nested).await {
            Ok((stack, why)) => {
                path.push_str("in nested stack `");
                path.push_str(&stack);
                path.push_str("`: ");
                change_set = nested;
                reason = why;
            }
            Err(error) => {
                tracing::warn!(%error, "a nested change set could not be read");
                break;
            }
        }
    }
    let found = match behind(client, &change_set, &reason).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "what stands behind a failed change set could not be read");
            Vec::new()
        }
    };
    if found.is_empty() {
        return path + &reason;
    }
    format!("{path}{}\n{reason}", found.join("; "))
}

async fn behind(
    client: &Client,
    change_set: &str,
    reason: &str,
) -> Result<Vec<String>, StackError> {
    let mut found = Vec::new();
    let hooked = is_of_hook(reason);
    if is_of_validation(reason) || hooked {
        found = findings(&failed_events(client, change_set).await?);
    }
    if found.is_empty() && hooked {
        found = refusing_hooks(client, change_set).await?;
    }
    Ok(found)
}

/// The validation before a deployment stopped the change set; what it found is among the events alone.
fn is_of_validation(reason: &str) -> bool {
    reason.contains("AWS::EarlyValidation")
}

fn is_of_hook(reason: &str) -> bool {
    reason.to_lowercase().contains("hook")
}

/// The change set of a nested stack that a reason names: `Nested change set <arn> was not successfully created: ...`.
fn nested_change_set(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("ested change set ")?;
    let arn = rest.split_whitespace().next()?;
    (arn.starts_with("arn:") && arn.contains(":changeSet/")).then_some(arn)
}

async fn described(client: &Client, change_set: &str) -> Result<(String, String), StackError> {
    let answer = client
        .describe_change_set()
        .change_set_name(change_set)
        .send()
        .await
        .map_err(|error| StackError::call("describe change set", change_set, &error))?;
    Ok((
        answer.stack_name().unwrap_or_default().to_owned(),
        answer.status_reason().unwrap_or_default().to_owned(),
    ))
}

async fn failed_events(
    client: &Client,
    change_set: &str,
) -> Result<Vec<OperationEvent>, StackError> {
    let mut events = Vec::new();
    let mut next = None;
    for _ in 0..PAGES {
        let answer = client
            .describe_events()
            .change_set_name(change_set)
            .filters(EventFilter::builder().failed_events(true).build())
            .set_next_token(next.take())
            .send()
            .await
            .map_err(|error| StackError::call("read events of change set", change_set, &error))?;
        events.extend_from_slice(answer.operation_events());
        next = answer.next_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    Ok(events)
}

/// What validation and hooks found, oldest first, each once. What only warns stops nothing.
fn findings(newest_first: &[OperationEvent]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for event in newest_first.iter().rev() {
        let told = if let Some(why) = event.validation_status_reason() {
            if event.validation_failure_mode() == Some(&HookFailureMode::Warn) {
                continue;
            }
            why
        } else if let Some(why) = event.hook_status_reason() {
            if event.hook_failure_mode() == Some(&HookFailureMode::Warn) {
                continue;
            }
            why
        } else {
            continue;
        };
        let place = match (event.logical_resource_id(), event.validation_path()) {
            (Some(resource), Some(path)) => format!("{resource} at {path}: "),
            (Some(resource), None) => format!("{resource}: "),
            (None, Some(path)) => format!("{path}: "),
            (None, None) => String::new(),
        };
        let hook = event
            .hook_type()
            .map_or_else(String::new, |hook| format!("hook {hook}: "));
        let finding = format!("{place}{hook}{told}");
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    found
}

async fn refusing_hooks(client: &Client, change_set: &str) -> Result<Vec<String>, StackError> {
    let mut found = Vec::new();
    let mut next = None;
    for _ in 0..PAGES {
        let answer = client
            .list_hook_results()
            .target_type(ListHookResultsTargetType::ChangeSet)
            .target_id(change_set)
            .set_next_token(next.take())
            .send()
            .await
            .map_err(|error| StackError::call("list hook results of", change_set, &error))?;
        for result in answer.hook_results() {
            let failed = matches!(
                result.status(),
                Some(HookStatus::HookFailed | HookStatus::HookCompleteFailed)
            );
            if failed && result.failure_mode() == Some(&HookFailureMode::Fail) {
                found.push(format!(
                    "hook {}: {}",
                    result.type_name().unwrap_or("without a name"),
                    result.hook_status_reason().unwrap_or("it gives no reason")
                ));
            }
        }
        next = answer.next_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudformation::types::ValidationStatus;

    #[test]
    fn a_reason_names_the_nested_change_set() {
        for (reason, expected) in [
            (
                "Nested change set arn:aws:cloudformation:eu-west-1:1:changeSet/x/y was not successfully created: Currently in FAILED.",
                Some("arn:aws:cloudformation:eu-west-1:1:changeSet/x/y"),
            ),
            ("Nested change set x failed", None),
            ("Requires capabilities : [CAPABILITY_AUTO_EXPAND]", None),
        ] {
            assert_eq!(nested_change_set(reason), expected, "{reason}");
        }
    }

    #[test]
    fn findings_are_told_once_and_without_mere_warnings() {
        let finding = |resource: &str, path: &str, why: &str, mode: HookFailureMode| {
            OperationEvent::builder()
                .logical_resource_id(resource)
                .validation_path(path)
                .validation_status(ValidationStatus::Failed)
                .validation_status_reason(why)
                .validation_failure_mode(mode)
                .build()
        };
        let hook = OperationEvent::builder()
            .logical_resource_id("Site")
            .hook_type("Acme::Guard::Public")
            .hook_failure_mode(HookFailureMode::Fail)
            .hook_status_reason("the bucket is public")
            .build();
        let table = finding(
            "Table",
            "/Resources/Table/Properties/TableName",
            "Resource of type 'AWS::DynamoDB::Table' with identifier 'app' already exists.",
            HookFailureMode::Fail,
        );
        let warning = finding(
            "Site",
            "/Resources/Site",
            "not empty",
            HookFailureMode::Warn,
        );
        assert_eq!(
            findings(&[hook, warning, table.clone(), table]),
            [
                "Table at /Resources/Table/Properties/TableName: Resource of type 'AWS::DynamoDB::Table' with identifier 'app' already exists.",
                "Site: hook Acme::Guard::Public: the bucket is public",
            ]
        );
    }

    #[test]
    fn what_stands_behind_a_reason_is_looked_for_where_the_reason_says() {
        for (reason, of_validation, of_hook) in [
            (
                "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]",
                true,
                true,
            ),
            (
                "The following hook(s) failed: [Acme::Guard::Public]",
                false,
                true,
            ),
            (
                "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
                false,
                false,
            ),
            (
                "Nested change set arn:x was not successfully created",
                false,
                false,
            ),
        ] {
            assert_eq!(is_of_validation(reason), of_validation, "{reason}");
            assert_eq!(is_of_hook(reason), of_hook, "{reason}");
        }
    }
}
