//! The `deploy-stack` action: brings a CloudFormation stack to what a template says, puts a site
//! beside it, or deletes it.
//!
//! A deployment is a change set, executed by ARN, and waited for by continuation token: one look
//! at the stack an invocation, no sleeping. What to do next is decided by `towpath_stack::step`;
//! the phases here only say what this attempt has started already, so that a step that runs twice,
//! or that was cut off between two calls, does nothing twice.

mod bucket;
mod delete;
mod deploy;
mod error;
mod inputs;
mod parameters;
mod published;
mod settings;
mod site;
mod sweep;
mod triggers;
mod values;

use aws_sdk_cloudformation::Client;
use towpath_aws::SdkConfig;
use towpath_job::{Action, Job, Outcome};

pub use error::DeployError;
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

    /// S3 with the function's own role, where the stack is.
    fn s3(&self, region: Option<&str>) -> aws_sdk_s3::Client {
        let Some(region) = region else {
            return towpath_aws::s3(&self.config);
        };
        let region = aws_sdk_cloudformation::config::Region::new(region.to_owned());
        towpath_aws::s3(&self.config.to_builder().region(region).build())
    }

    fn client(&self, region: Option<&str>) -> Client {
        let mut settings = aws_sdk_cloudformation::config::Builder::from(
            &towpath_aws::control_plane(&self.config),
        );
        if let Some(region) = region {
            settings = settings.region(aws_sdk_cloudformation::config::Region::new(
                region.to_owned(),
            ));
        }
        Client::from_conf(settings.build())
    }

    fn alarms(&self, region: Option<&str>) -> aws_sdk_cloudwatch::Client {
        let mut settings =
            aws_sdk_cloudwatch::config::Builder::from(&towpath_aws::control_plane(&self.config));
        if let Some(region) = region {
            settings = settings.region(aws_sdk_cloudwatch::config::Region::new(region.to_owned()));
        }
        aws_sdk_cloudwatch::Client::from_conf(settings.build())
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
