//! AWS on 127.0.0.1, over the wire.
//!
//! One port answers as CodePipeline, S3, CloudFormation, Lambda, API Gateway and what else a
//! pipeline needs. Clients are ordinary AWS SDKs pointed here by `AWS_ENDPOINT_URL`. It knows
//! nothing of the functions it runs, and nothing of the command line.

mod apigateway;
mod caller;
mod cloudformation;
mod cloudwatch;
mod codebuild;
mod codepipeline;
mod control;
mod error;
mod faults;
mod fidelity;
mod hand_over;
mod iam;
mod identity;
mod input;
mod lambda;
mod logs;
mod loopback;
mod permission;
mod processes;
mod protocol;
mod router;
mod s3;
mod secretsmanager;
mod server;
mod sigv4;
mod sns;
mod ssm;
mod sts;
mod world;

pub use caller::Caller;
pub use cloudformation::{ResourceRule, ResourceScript, ScriptedOperation};
pub use error::AwsError;
pub use faults::{Cut, FaultFile, FaultFileError, FaultRule, Kind as FaultKind, When as FaultWhen};
pub use loopback::{Loopback, StartError};
pub use world::{Settings, World};
