//! Who else may invoke: `AddPermission`, `RemovePermission` and `GetPolicy`.

use serde_json::{Value, json};

use super::function::Function;
use super::name::FunctionName;
use super::policy::Statement;
use crate::{AwsError, World, input};

/// Answers an operation on a function's resource policy.
pub(super) fn answer(
    world: &World,
    operation: &str,
    name: &FunctionName,
    function: &mut Function,
    request: &Value,
) -> Result<Value, AwsError> {
    function.require(world, name)?;
    let resource = name.arn(world);
    let statements = function.policy.entry(name.qualifier.clone()).or_default();
    match operation {
        "AddPermission" => {
            let statement = Statement::parse(request)?;
            if statements
                .iter()
                .any(|existing| existing.id == statement.id)
            {
                return Err(AwsError::client(
                    "ResourceConflictException",
                    format!(
                        "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                        statement.id
                    ),
                )
                .with_status(409));
            }
            let shown = statement.render(&resource).to_string();
            statements.push(statement);
            Ok(json!({ "Statement": shown }))
        }
        "RemovePermission" => {
            let id = input::required(request, "StatementId")?;
            let before = statements.len();
            statements.retain(|statement| statement.id != id);
            if statements.len() == before {
                return Err(AwsError::client(
                    "ResourceNotFoundException",
                    format!("Statement {id} is not found in resource policy."),
                )
                .with_status(404));
            }
            Ok(json!({}))
        }
        _ => {
            if statements.is_empty() {
                return Err(AwsError::client(
                    "ResourceNotFoundException",
                    "The resource you requested does not exist.",
                )
                .with_status(404));
            }
            let statements: Vec<Value> = statements
                .iter()
                .map(|statement| statement.render(&resource))
                .collect();
            let policy =
                json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements });
            Ok(json!({ "Policy": policy.to_string(), "RevisionId": function.latest.revision }))
        }
    }
}
