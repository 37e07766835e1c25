//! The outputs of the stack under test.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use aws_types::region::Region;
use towpath_job::aws_cause;
use towpath_stack::{Observed, StackStatus, describe};

use crate::error::E2eError;
use crate::parameters::StackSource;

/// Reads the stack's outputs, in its Region and with its role where they are given.
pub(crate) async fn outputs(
    aws: &SdkConfig,
    source: &StackSource,
) -> Result<BTreeMap<String, String>, E2eError> {
    let mut config = towpath_aws::control_plane(aws);
    if let Some(region) = &source.region {
        config = config
            .to_builder()
            .region(Region::new(region.clone()))
            .build();
    }
    if let Some(role) = &source.role {
        config = assume(&config, role).await?;
    }
    let client = aws_sdk_cloudformation::Client::new(&config);
    match describe(&client, &source.name).await? {
        Observed::Present(stack) => {
            tracing::info!(
                stack = stack.name,
                status = stack.status.as_str(),
                outputs = stack.outputs.len(),
                "the stack under test"
            );
            if is_deployed(stack.status) {
                Ok(stack.outputs)
            } else {
                Err(E2eError::NotDeployed {
                    stack: source.name.clone(),
                    status: stack.status.as_str(),
                })
            }
        }
        Observed::Absent => Err(E2eError::NoStack {
            stack: source.name.clone(),
            region: config.region().map(ToString::to_string),
        }),
    }
}

/// Whether what the stack describes is there and at rest, be it the version before.
fn is_deployed(status: StackStatus) -> bool {
    match status {
        StackStatus::CreateComplete
        | StackStatus::UpdateComplete
        | StackStatus::UpdateCompleteCleanupInProgress
        | StackStatus::UpdateRollbackComplete
        | StackStatus::UpdateRollbackCompleteCleanupInProgress
        | StackStatus::ImportComplete
        | StackStatus::ImportRollbackComplete => true,
        StackStatus::CreateInProgress
        | StackStatus::CreateFailed
        | StackStatus::RollbackInProgress
        | StackStatus::RollbackFailed
        | StackStatus::RollbackComplete
        | StackStatus::DeleteInProgress
        | StackStatus::DeleteFailed
        | StackStatus::DeleteComplete
        | StackStatus::UpdateInProgress
        | StackStatus::UpdateFailed
        | StackStatus::UpdateRollbackInProgress
        | StackStatus::UpdateRollbackFailed
        | StackStatus::ReviewInProgress
        | StackStatus::ImportInProgress
        | StackStatus::ImportRollbackInProgress
        | StackStatus::ImportRollbackFailed => false,
    }
}

/// The same configuration with the role's credentials.
async fn assume(config: &SdkConfig, role: &str) -> Result<SdkConfig, E2eError> {
    let refused = |cause| E2eError::Role {
        role: role.to_owned(),
        cause,
    };
    let assumed = aws_sdk_sts::Client::new(config)
        .assume_role()
        .role_arn(role)
        .role_session_name("towpath-run-e2e")
        .send()
        .await
        .map_err(|error| refused(aws_cause(&error)))?;
    let keys = assumed
        .credentials
        .ok_or_else(|| refused("it gave no credentials".to_owned()))?;
    let credentials = Credentials::new(
        keys.access_key_id,
        keys.secret_access_key,
        Some(keys.session_token),
        SystemTime::try_from(keys.expiration).ok(),
        "an assumed role",
    );
    Ok(towpath_aws::with_credentials(config, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_and_at_rest_is_tested() {
        let tested: Vec<&str> = StackStatus::ALL
            .into_iter()
            .filter(|status| is_deployed(*status))
            .map(StackStatus::as_str)
            .collect();
        assert_eq!(
            tested,
            [
                "CREATE_COMPLETE",
                "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
                "UPDATE_COMPLETE",
                "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
                "UPDATE_ROLLBACK_COMPLETE",
                "IMPORT_COMPLETE",
                "IMPORT_ROLLBACK_COMPLETE",
            ]
        );
    }
}
