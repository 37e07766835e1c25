//! The `deploy-stack` action: brings a CloudFormation stack to what a template says, puts a site
//! beside it, or deletes it.
//!
//! A deployment is a change set, executed by ARN, and waited for by continuation token: one look
//! at the stack an invocation, no sleeping. What to do next is decided by `towpath_stack::step`;
//! the phases here only say what this attempt has started already, so that a step that runs twice,
//! or that was cut off between two calls, does nothing twice.

pub mod bucket;
mod delete;
mod deploy;
mod error;
mod inputs;
mod pace;
mod parameters;
mod published;
mod settings;
pub mod site;
mod sweep;
mod triggers;
mod values;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::Region;
use towpath_aws::SdkConfig;
use towpath_job::{Action, Job, Outcome};

pub use error::DeployError;
pub use pace::Pace;
pub use parameters::{Ending, Operation, Parameters, TemplateAt};
pub use site::{Site, SiteError};

/// The action, with the function's own access to AWS.
#[derive(Debug, Clone)]
pub struct DeployStack {
    config: SdkConfig,
    release_bucket: Option<String>,
}

impl DeployStack {
    /// The action behind a configuration. `release_bucket` takes templates too long for a request.
    pub fn new(config: SdkConfig, release_bucket: Option<String>) -> Self {
        Self {
            config,
            release_bucket,
        }
    }

    /// The function's own access to AWS, where the stack is.
    fn config(&self, region: Option<&str>) -> SdkConfig {
        let mut config = self.config.to_builder();
        if let Some(region) = region {
            config.set_region(Region::new(region.to_owned()));
        }
        config.build()
    }

    fn s3(&self, region: Option<&str>) -> aws_sdk_s3::Client {
        towpath_aws::s3(&self.config(region))
    }

    fn client(&self, region: Option<&str>) -> Client {
        Client::new(&towpath_aws::control_plane(&self.config(region)))
    }

    fn alarms(&self, region: Option<&str>) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&towpath_aws::control_plane(&self.config(region)))
    }
}

impl Action for DeployStack {
    const NAME: &'static str = "deploy-stack";
    type Parameters = Parameters;
    type Error = DeployError;

    async fn step(&self, job: &Job<Parameters>) -> Result<Outcome, DeployError> {
        let client = self.client(job.parameters.region.as_deref());
        match job.parameters.operation {
            Operation::Deploy | Operation::Plan | Operation::Execute => {
                deploy::step(self, &client, job).await
            }
            Operation::Delete => delete::step(self, &client, job).await,
            Operation::Sweep => sweep::step(self, &client, job).await,
            Operation::Site => site::step(self, &client, job).await,
        }
    }
}

/// Serves the Lambda Runtime API until the environment ends.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    let config = towpath_aws::sdk_config();
    let release_bucket = std::env::var("RELEASE_BUCKET")
        .ok()
        .filter(|name| !name.is_empty());
    Box::pin(towpath_job::run(DeployStack::new(config, release_bucket))).await
}
