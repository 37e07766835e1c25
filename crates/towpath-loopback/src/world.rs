//! Everything that the services share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apigateway::ApiGateway;
use crate::cloudformation::CloudFormation;
use crate::codepipeline::CodePipeline;
use crate::lambda::Lambda;

/// How a loopback is to behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A fresh directory: objects, code, logs and temporary files lie below it.
    pub state_dir: PathBuf,
    /// The port on 127.0.0.1; `None` takes a free one.
    pub port: Option<u16>,
    /// The one region that is served.
    pub region: String,
    /// The account number that appears in ARNs.
    pub account: String,
    /// How long a stack's resource takes to become ready.
    pub resource_delay: Duration,
    /// How long CodePipeline waits after a continuation token. AWS publishes no number.
    pub reinvocation_interval: Duration,
    /// How long Lambda waits before the first retry of an asynchronous event; the second takes twice as long.
    pub async_retry_delay: Duration,
    /// Variables that every function process receives beside its own.
    pub function_environment: BTreeMap<String, String>,
}

impl Settings {
    /// What `towpath loopback` uses, with state below `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            port: None,
            region: "us-east-1".into(),
            account: "000000000000".into(),
            resource_delay: Duration::from_millis(5),
            reinvocation_interval: Duration::from_secs(5),
            async_retry_delay: Duration::from_mins(1),
            function_environment: BTreeMap::new(),
        }
    }
}

/// The services and what they share. Every service method takes `&Arc<World>`, so that one can call another.
pub struct World {
    /// As given, with `port` resolved.
    pub settings: Settings,
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// The secret that `/_towpath/*` asks for.
    pub control_token: String,
    /// Cancelled when the loopback stops.
    pub stopping: CancellationToken,
    /// Every background task of every service: awaited when the loopback stops.
    pub tasks: TaskTracker,
    pub(crate) lambda: Lambda,
    pub(crate) apigateway: ApiGateway,
    pub(crate) cloudformation: CloudFormation,
    pub(crate) codepipeline: CodePipeline,
    // The core helper adds: identity, s3, sts, logs, sns, cloudwatch, ssm, fidelity.
    //
    // Contracts between services (all `pub(crate)`):
    //   fidelity.executed(&str) / .simulated(&str) / .refused(&str)
    //   identity.put_role(name, RoleDefinition{ arn, trust: Value, policies: Vec<Value> }) ; identity.delete_role(name)
    //   identity.assume(role_arn_or_name, session_name, session_policy: Option<Value>) -> Result<Credentials{access_key_id, secret_access_key, session_token, expiration_ms}, AwsError>
    //   identity.authorize(&Caller, action: &str, resource: &str) -> Result<(), AwsError>
    //   s3.create_bucket(name) / delete_bucket(name) (BucketNotEmpty when it is not) / put(bucket,key,Bytes)->Stored{version_id,etag} /
    //   s3.get(bucket,key,version: Option<&str>) -> Result<Object{bytes: Bytes, version_id, etag, path}, AwsError> / exists(bucket)
    //   logs.append(group, stream, line)  -- a function's output; also a plain file <state_dir>/logs/<group>/<stream>.log
    //   sns.call("Publish", {TopicArn, Subject, Message})
}

impl World {
    /// An ARN in this region and account.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!(
            "arn:aws:{service}:{}:{}:{resource}",
            self.settings.region, self.settings.account
        )
    }
}
