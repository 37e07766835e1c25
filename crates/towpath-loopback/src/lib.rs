//! AWS on 127.0.0.1, over the wire.
//!
//! One port answers as CodePipeline, S3, CloudFormation, Lambda, API Gateway and what else a
//! pipeline needs. Clients are ordinary AWS SDKs pointed here by `AWS_ENDPOINT_URL`. It knows
//! nothing of the functions it runs, and nothing of the command line.

mod apigateway;
mod caller;
mod cloudformation;
mod cloudwatch;
mod codepipeline;
mod error;
mod fidelity;
mod identity;
#[allow(dead_code, reason = "services use what they need")]
mod input;
mod lambda;
mod logs;
mod s3;
mod server;
mod sns;
mod ssm;
mod sts;
mod world;

pub use caller::Caller;
pub use error::AwsError;
pub use world::{Settings, World};
