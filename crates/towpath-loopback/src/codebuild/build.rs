//! A build: where it stands, phase by phase, and how it is told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::project::Project;
use crate::identity::now_ms;
use crate::{Caller, World};

/// How a build, or a phase of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Succeeded,
    Failed,
    /// The fault is CodeBuild's.
    Fault,
    TimedOut,
    Stopped,
}

impl Status {
    /// The word of the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Fault => "FAULT",
            Self::TimedOut => "TIMED_OUT",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why a build is ended before its commands are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `StopBuild`, or the loopback ends.
    Asked,
    /// Its time is over.
    Late,
}

/// One build.
pub(crate) struct Build {
    /// `<project>:<uuid>`.
    pub(crate) id: String,
    pub(crate) project: String,
    /// Counts from 1 in its project.
    pub(crate) number: usize,
    /// The project as it was when the build began, with what the request said otherwise.
    pub(crate) setting: Project,
    /// By which its credentials are had.
    pub(crate) secret: String,
    pub(crate) start_ms: i64,
    initiator: String,
    /// Cancelled when it is to end.
    pub(crate) stopping: CancellationToken,
    over: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phases: Vec<Phase>,
    status: Option<Status>,
    stop: Option<Stop>,
    end_ms: Option<i64>,
}

/// A phase that has begun. The last one may not have ended.
#[derive(Debug)]
struct Phase {
    name: &'static str,
    start_ms: i64,
    ended: Option<(i64, Status)>,
    /// Status code and message.
    context: Option<(&'static str, String)>,
}

impl Build {
    pub(crate) fn new(world: &World, setting: &Project, number: usize, caller: &Caller) -> Self {
        let id = format!("{}:{}", setting.name, uuid::Uuid::new_v4());
        let initiator = match caller {
            Caller::Root => "root".to_owned(),
            Caller::Role { session_arn, .. } => session_arn
                .split_once("assumed-role/")
                .map_or(session_arn.as_str(), |(_, name)| name)
                .to_owned(),
        };
        let build = Self {
            id,
            project: setting.name.clone(),
            number,
            setting: setting.clone(),
            secret: uuid::Uuid::new_v4().simple().to_string(),
            start_ms: now_ms(),
            initiator,
            stopping: CancellationToken::new(),
            over: CancellationToken::new(),
            state: Mutex::default(),
        };
        build.begin("SUBMITTED");
        build.end(Status::Succeeded, None);
        build.begin("QUEUED");
        tracing::debug!(
            build = build.id,
            endpoint = world.endpoint,
            "build accepted"
        );
        build
    }

    /// The part of the id behind the project's name, which is also the log stream.
    pub(crate) fn uuid(&self) -> &str {
        self.id.rsplit_once(':').map_or(&self.id, |(_, uuid)| uuid)
    }

    /// Who started it, as `initiator` says.
    pub(crate) fn initiator(&self) -> &str {
        &self.initiator
    }

    pub(crate) fn arn(&self, world: &World) -> String {
        world.arn("codebuild", &format!("build/{}", self.id))
    }

    /// The log group: the project's own, or the usual one.
    pub(crate) fn log_group(&self) -> String {
        self.setting.member("logsConfig")["cloudWatchLogs"]["groupName"]
            .as_str()
            .map_or_else(|| format!("/aws/codebuild/{}", self.project), str::to_owned)
    }

    /// Begins a phase; the one before has ended.
    pub(crate) fn begin(&self, name: &'static str) {
        self.lock().phases.push(Phase {
            name,
            start_ms: now_ms(),
            ended: None,
            context: None,
        });
    }

    /// Ends the phase that it is in.
    pub(crate) fn end(&self, status: Status, context: Option<(&'static str, String)>) {
        if let Some(phase) = self.lock().phases.last_mut() {
            phase.ended = Some((now_ms(), status));
            phase.context = context;
        }
    }

    /// A phase that takes no time here.
    pub(crate) fn pass(&self, name: &'static str) {
        self.begin(name);
        self.end(Status::Succeeded, None);
    }

    /// Has the build end. The first reason counts; one that is over stays as it is.
    pub(crate) fn stop(&self, why: Stop) {
        self.lock().stop.get_or_insert(why);
        self.stopping.cancel();
    }

    /// Why it was to end, if it was.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.lock().stop
    }

    /// Settles it.
    pub(crate) fn finish(&self, status: Status) {
        {
            let mut state = self.lock();
            state.status = Some(status);
            state.end_ms = Some(now_ms());
        }
        self.begin("COMPLETED");
        self.over.cancel();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Waits until it is over and nothing of it is left.
    pub(crate) async fn ended(&self) {
        self.over.cancelled().await;
    }

    /// As `BatchGetBuilds` tells it. Times are seconds since the epoch.
    pub(crate) fn render(&self, world: &World) -> Value {
        let state = self.lock();
        let (group, stream) = (self.log_group(), self.uuid());
        let region = &world.settings.region;
        let phases: Vec<Value> = state.phases.iter().map(Phase::render).collect();
        let mut told = json!({
            "id": self.id,
            "arn": self.arn(world),
            "buildNumber": self.number,
            "startTime": seconds(self.start_ms),
            "currentPhase": state.phases.last().map(|phase| phase.name),
            "buildStatus": state.status.map_or("IN_PROGRESS", Status::as_str),
            "buildComplete": state.status.is_some(),
            "projectName": self.project,
            "phases": phases,
            "source": self.setting.member("source"),
            "artifacts": {"location": ""},
            "environment": self.environment(),
            "serviceRole": self.setting.service_role,
            "logs": {
                "groupName": group,
                "streamName": stream,
                "deepLink": format!(
                    "https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{}/log-events/{stream}",
                    group.replace('/', "$252F")
                ),
                "cloudWatchLogsArn": world.arn(
                    "logs",
                    &format!("log-group:{group}:log-stream:{stream}")
                ),
                "cloudWatchLogs": {"status": "ENABLED"},
            },
            "timeoutInMinutes": self.setting.timeout_minutes,
            "queuedTimeoutInMinutes": 480,
            "initiator": self.initiator,
            "encryptionKey": world.arn("kms", "alias/aws/s3"),
        });
        if let Some(at) = state.end_ms {
            told["endTime"] = seconds(at);
        }
        told
    }

    fn environment(&self) -> Value {
        let mut environment = self.setting.member("environment");
        environment["environmentVariables"] = self
            .setting
            .environment
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value, "type": "PLAINTEXT"}))
            .collect();
        environment
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Phase {
    fn render(&self) -> Value {
        let mut told = json!({"phaseType": self.name, "startTime": seconds(self.start_ms)});
        if let Some((at, status)) = self.ended {
            told["phaseStatus"] = json!(status.as_str());
            told["endTime"] = seconds(at);
            told["durationInSeconds"] = json!((at - self.start_ms) / 1_000);
        }
        if let Some((code, message)) = &self.context {
            told["contexts"] = json!([{"statusCode": code, "message": message}]);
        }
        told
    }
}

fn seconds(at_ms: i64) -> Value {
    json!(at_ms as f64 / 1_000.0)
}
