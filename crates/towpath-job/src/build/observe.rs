//! A build as CodeBuild tells of it, and what follows: decided purely.

use aws_sdk_codebuild::types::{Build, BuildPhase, StatusType};

use crate::failure::Failure;

/// What matters of a build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) complete: bool,
    /// As the API has it, such as `TIMED_OUT`.
    pub(super) status: String,
    /// The phase that it is in.
    pub(super) phase: Option<String>,
    /// The first phase that did not succeed, with what CodeBuild says of it.
    pub(super) fault: Option<String>,
    /// The project's time-out.
    pub(super) minutes: Option<i32>,
    /// A link into the console, else group and stream.
    log: Option<String>,
}

/// What follows from how a build stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is at work: what to say meanwhile.
    Running(String),
    /// It is over: its answer is to be read.
    Over,
}

impl Seen {
    pub(super) fn of(build: &Build) -> Self {
        let logs = build.logs();
        // Before there is a log, the link says `group=null;stream=null`.
        let link = logs
            .and_then(|logs| logs.deep_link())
            .filter(|link| !link.ends_with("null"))
            .map(str::to_owned);
        let stream = logs.and_then(|logs| Some((logs.group_name()?, logs.stream_name()?)));
        let fault = build.phases().iter().find(|phase| {
            !matches!(
                phase.phase_status(),
                None | Some(StatusType::Succeeded | StatusType::InProgress)
            )
        });
        Self {
            complete: build.build_complete()
                || !matches!(build.build_status(), None | Some(StatusType::InProgress)),
            status: build
                .build_status()
                .map_or("IN_PROGRESS", StatusType::as_str)
                .to_owned(),
            phase: build.current_phase().map(str::to_owned),
            fault: fault.map(told),
            minutes: build.timeout_in_minutes(),
            log: link.or_else(|| stream.map(|(group, stream)| format!("{group} {stream}"))),
        }
    }

    /// Where its log is; empty if that is not known.
    pub(super) fn log(&self) -> String {
        self.log.clone().unwrap_or_default()
    }

    pub(super) fn verdict(&self, id: &str) -> Verdict {
        if self.complete {
            return Verdict::Over;
        }
        let phase = self.phase.as_deref().unwrap_or("work");
        let log = self
            .log
            .as_deref()
            .map_or_else(String::new, |log| format!("; log {log}"));
        Verdict::Running(format!("CodeBuild is at {phase} of build {id}{log}"))
    }

    /// Why the action failed when a build is over and there is no answer at `place`.
    pub(super) fn failure(&self, id: &str, place: &str) -> Failure {
        let fault = self
            .fault
            .as_deref()
            .map_or_else(String::new, |fault| format!(": {fault}"));
        let log = self
            .log
            .as_deref()
            .map_or_else(String::new, |log| format!("; its log is {log}"));
        match self.status.as_str() {
            "SUCCEEDED" => Failure::job(format!(
                "build {id} succeeded and left no answer at {place}"
            ))
            .with_hint(format!(
                "the project's buildspec has to run the action's executable, as that of template.yaml does{log}"
            )),
            "TIMED_OUT" => Failure::job(format!(
                "build {id} did not end within {} and was stopped by CodeBuild{fault}",
                self.minutes.map_or_else(
                    || "its project's time".to_owned(),
                    |minutes| format!("{minutes} min")
                )
            ))
            .with_hint(format!("raise the build project's TimeoutInMinutes{log}")),
            "STOPPED" => Failure::job(format!("build {id} was stopped before it was done{fault}"))
                .with_hint(format!(
                    "somebody stopped it; retry the stage if that was not meant{log}"
                )),
            "FAULT" => Failure::unavailable(format!("CodeBuild could not carry out build {id}{fault}"))
                .with_hint(format!("retry the stage{log}")),
            _ => Failure::job(format!("build {id} failed before the action had a say{fault}"))
                .with_hint(format!(
                    "look whether the project's image has the action's executable, and its role may read and write {place}{log}"
                )),
        }
    }
}

/// What is said of a build that CodeBuild knows no more.
pub(super) fn vanished(id: &str) -> Failure {
    Failure::job(format!(
        "CodeBuild knows nothing of build {id} any more, and it left no answer"
    ))
    .with_hint("somebody has deleted it; retry the stage")
}

/// `BUILD FAILED: COMMAND_EXECUTION_ERROR: Error while executing command: …`
fn told(phase: &BuildPhase) -> String {
    let mut text = format!(
        "{} {}",
        phase.phase_type().map_or("a phase", |kind| kind.as_str()),
        phase.phase_status().map_or("failed", StatusType::as_str)
    );
    for context in phase.contexts() {
        for part in [context.status_code(), context.message()]
            .into_iter()
            .flatten()
        {
            if !part.trim().is_empty() {
                text.push_str(": ");
                text.push_str(part.trim());
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_sdk_codebuild::types::{BuildPhaseType, LogsLocation, PhaseContext};

    use super::*;
    use crate::failure::FailureType;

    fn build(status: &str, context: &str) -> Build {
        let phase = |kind: BuildPhaseType, status: StatusType| {
            BuildPhase::builder().phase_type(kind).phase_status(status)
        };
        let context = PhaseContext::builder()
            .status_code("COMMAND_EXECUTION_ERROR")
            .message(context)
            .build();
        let status = StatusType::from(status);
        Build::builder()
            .current_phase("BUILD")
            .phases(phase(BuildPhaseType::Submitted, StatusType::Succeeded).build())
            .phases(
                phase(BuildPhaseType::Build, status.clone())
                    .contexts(context)
                    .build(),
            )
            .build_complete(status != StatusType::InProgress)
            .build_status(status)
            .timeout_in_minutes(60)
            .logs(
                LogsLocation::builder()
                    .group_name("/aws/codebuild/app")
                    .stream_name("1")
                    .deep_link("https://log")
                    .build(),
            )
            .build()
    }

    #[test]
    fn a_build_that_is_at_work_says_where() {
        assert_eq!(
            Seen::of(&build("IN_PROGRESS", "")).verdict("app:1"),
            Verdict::Running("CodeBuild is at BUILD of build app:1; log https://log".to_owned())
        );
        // A status that is not known yet is no reason to wait for ever.
        for over in ["SUCCEEDED", "FAILED", "STOPPED", "SOMETHING_NEW"] {
            assert_eq!(Seen::of(&build(over, "")).verdict("app:1"), Verdict::Over);
        }
    }

    #[test]
    fn a_link_to_no_log_is_not_told() {
        for (link, group, expected) in [
            (Some("https://log"), Some("g"), "https://log"),
            (None, Some("g"), "g 1"),
            (
                Some("https://logs#logEvent:group=null;stream=null"),
                None,
                "",
            ),
        ] {
            let logs = LogsLocation::builder()
                .set_deep_link(link.map(str::to_owned))
                .set_group_name(group.map(str::to_owned))
                .set_stream_name(group.map(|_| "1".to_owned()))
                .build();
            let build = Build::builder().logs(logs).build();
            assert_eq!(Seen::of(&build).log(), expected, "{link:?} {group:?}");
        }
    }

    #[test]
    fn a_build_without_an_answer_is_explained_by_what_codebuild_says() {
        for (status, kind, message, hint) in [
            (
                "FAILED",
                FailureType::JobFailed,
                "build app:1 failed before the action had a say: BUILD FAILED: COMMAND_EXECUTION_ERROR: exit status 127",
                "executable",
            ),
            (
                "TIMED_OUT",
                FailureType::JobFailed,
                "build app:1 did not end within 60 min and was stopped by CodeBuild: BUILD TIMED_OUT",
                "TimeoutInMinutes",
            ),
            (
                "STOPPED",
                FailureType::JobFailed,
                "build app:1 was stopped before it was done",
                "somebody",
            ),
            (
                "FAULT",
                FailureType::SystemUnavailable,
                "CodeBuild could not carry out build app:1",
                "retry",
            ),
            (
                "SUCCEEDED",
                FailureType::JobFailed,
                "build app:1 succeeded and left no answer at s3://work/a",
                "buildspec",
            ),
        ] {
            let failure =
                Seen::of(&build(status, " exit status 127 ")).failure("app:1", "s3://work/a");
            assert_eq!(failure.kind, kind, "{status}");
            assert!(failure.message.starts_with(message), "{}", failure.message);
            let said = failure.hint.unwrap_or_default();
            assert!(
                said.contains(hint) && said.contains("https://log"),
                "{status}: {said}"
            );
        }
    }
}
