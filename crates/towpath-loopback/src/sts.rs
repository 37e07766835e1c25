//! STS: who am I, and another role's session.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::input::{required, text};
use crate::{AwsError, Caller, World};

/// The service; credentials and roles are kept by [`crate::identity`].
#[derive(Default)]
pub(crate) struct Sts {}

impl Sts {
    /// Answers one operation.
    #[expect(clippy::unused_async, reason = "every service is called alike")]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "GetCallerIdentity" => {
                let account = &world.settings.account;
                let user = match caller {
                    Caller::Root => account.clone(),
                    Caller::Role { session_arn, .. } => {
                        session_arn.rsplit('/').next().unwrap_or_default().into()
                    }
                };
                Ok(json!({"UserId": user, "Account": account, "Arn": caller.arn(account)}))
            }
            "AssumeRole" => assume_role(world, caller, &input),
            _ => Err(AwsError::unknown_operation("sts", operation)),
        }
    }
}

fn assume_role(world: &World, caller: &Caller, input: &Value) -> Result<Value, AwsError> {
    let role = required(input, "RoleArn")?;
    let session = required(input, "RoleSessionName")?;
    if !world.identity.trusts_caller(&role, caller) {
        // The same words whether the role is missing or trusts somebody else, as STS has it.
        let mut error = AwsError::access_denied(
            &caller.arn(&world.settings.account),
            "sts:AssumeRole",
            &role,
        );
        error.message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {role}",
            caller.arn(&world.settings.account)
        );
        return Err(error);
    }
    let policy = match text(input, "Policy") {
        None => None,
        Some(document) => Some(serde_json::from_str(&document).map_err(|error| {
            AwsError::client(
                "MalformedPolicyDocument",
                format!("the session policy is not JSON: {error}"),
            )
        })?),
    };
    let credentials = world.identity.assume(&role, &session, policy)?;
    let name = role.rsplit('/').next().unwrap_or_default();
    Ok(json!({
        "Credentials": {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "Expiration": crate::protocol::iso8601(credentials.expiration_ms),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("{}:{session}", crate::iam::role_id(name)),
            "Arn": format!(
                "arn:aws:sts::{}:assumed-role/{name}/{session}",
                world.settings.account
            ),
        },
    }))
}
