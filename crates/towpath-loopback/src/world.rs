//! Everything that the services share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apigateway::ApiGateway;
use crate::cloudformation::CloudFormation;
use crate::cloudwatch::CloudWatch;
use crate::codebuild::CodeBuild;
use crate::codepipeline::CodePipeline;
use crate::faults::Faults;
use crate::fidelity::Fidelity;
use crate::iam::Iam;
use crate::identity::Identity;
use crate::lambda::Lambda;
use crate::logs::Logs;
use crate::s3::S3;
use crate::secretsmanager::SecretsManager;
use crate::sns::Sns;
use crate::ssm::Ssm;
use crate::sts::Sts;

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
    /// How long a function may take to report on its job; each report begins it anew. AWS gives it 20 minutes.
    pub reply_timeout: Duration,
    /// How long Lambda waits before the first retry of an asynchronous event; the second takes twice as long.
    pub async_retry_delay: Duration,
    /// How long a minute of a build's time-out lasts, which is a whole number of them and five at least.
    pub build_minute: Duration,
    /// How long a second of a custom resource's `ServiceTimeout` lasts.
    pub custom_resource_second: Duration,
    /// Variables that every function's and build's process receives beside its own.
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
            reply_timeout: Duration::from_mins(20),
            async_retry_delay: Duration::from_mins(1),
            build_minute: Duration::from_mins(1),
            custom_resource_second: Duration::from_secs(1),
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
    pub(crate) codebuild: CodeBuild,
    pub(crate) codepipeline: CodePipeline,
    pub(crate) cloudwatch: CloudWatch,
    pub(crate) faults: Faults,
    pub(crate) fidelity: Arc<Fidelity>,
    pub(crate) iam: Iam,
    pub(crate) identity: Identity,
    pub(crate) logs: Logs,
    pub(crate) s3: S3,
    pub(crate) secretsmanager: SecretsManager,
    pub(crate) sns: Sns,
    pub(crate) ssm: Ssm,
    pub(crate) sts: Sts,
}

impl World {
    /// A world with nothing in it, that will be served at `port`.
    pub(crate) fn new(settings: Settings, port: u16) -> Self {
        let state = settings.state_dir.clone();
        let fidelity = Arc::new(Fidelity::default());
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            control_token: uuid::Uuid::new_v4().simple().to_string(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            lambda: Lambda::default(),
            apigateway: ApiGateway::default(),
            cloudformation: CloudFormation::default(),
            codebuild: CodeBuild::default(),
            codepipeline: CodePipeline::new(&settings.account),
            cloudwatch: CloudWatch::default(),
            identity: Identity::new(&settings.account, fidelity.clone()),
            faults: Faults::default(),
            fidelity,
            iam: Iam::default(),
            logs: Logs::new(state.join("logs")),
            s3: S3::new(state.join("s3")),
            secretsmanager: SecretsManager::default(),
            sns: Sns::default(),
            ssm: Ssm::default(),
            sts: Sts::default(),
            settings: Settings {
                port: Some(port),
                ..settings
            },
        }
    }

    /// An ARN in this region and account.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!(
            "arn:aws:{service}:{}:{}:{resource}",
            self.settings.region, self.settings.account
        )
    }
}
