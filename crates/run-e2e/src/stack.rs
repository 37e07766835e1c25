//! The outputs of the stack under test.

use std::collections::BTreeMap;

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::ProvideCredentials;
use aws_types::SdkConfig;
use aws_types::region::Region;
use towpath_job::chain;
use towpath_stack::{Observed, describe};

use crate::error::E2eError;
use crate::parameters::StackSource;

/// Reads the stack's outputs, in its Region and with its role where they are given.
pub(crate) async fn outputs(
    aws: &SdkConfig,
    source: &StackSource,
) -> Result<BTreeMap<String, String>, E2eError> {
    let mut config = aws.clone();
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
            Ok(stack.outputs)
        }
        Observed::Absent => Err(E2eError::NoStack {
            stack: source.name.clone(),
            region: config.region().map(ToString::to_string),
        }),
    }
}

/// The same configuration with the role's credentials.
async fn assume(config: &SdkConfig, role: &str) -> Result<SdkConfig, E2eError> {
    let credentials = AssumeRoleProvider::builder(role)
        .configure(config)
        .session_name("towpath-run-e2e")
        .build()
        .await
        .provide_credentials()
        .await
        .map_err(|error| E2eError::Role {
            role: role.to_owned(),
            cause: chain(&error),
        })?;
    Ok(towpath_aws::with_credentials(config, credentials))
}
