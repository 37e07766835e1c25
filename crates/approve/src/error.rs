//! Why a release is not let pass, and how that is told to CodePipeline.

use std::time::Duration;

use towpath_alarms::Alarm;
use towpath_job::{Failure, VariablesError, duration};

/// How many alarms are told of one by one.
const TOLD: usize = 10;

/// Why the gate stays closed.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// Alarms that do not exist.
    #[error("there is no alarm {} in this account and Region", quoted(.0))]
    UnknownAlarms(Vec<String>),
    /// Alarms that are in alarm.
    #[error("{}", in_alarm(.0))]
    InAlarm(Vec<Alarm>),
    /// The alarms could not be looked at.
    #[error("{}", .0.message)]
    Describe(Failure),
    /// The bake time can never be reached.
    #[error(
        "`bake` is {}, but the action ends after {}",
        duration::render(*bake),
        duration::render(*timeout)
    )]
    BakeTooLong {
        /// The bake time asked for.
        bake: Duration,
        /// The time of the whole action.
        timeout: Duration,
    },
    /// The verdict could not be made a variable.
    #[error(transparent)]
    Variables(#[from] VariablesError),
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn in_alarm(alarms: &[Alarm]) -> String {
    let mut told: Vec<String> = alarms
        .iter()
        .take(TOLD)
        .map(|alarm| match alarm.reason.trim() {
            "" => format!("alarm `{}` is in alarm", alarm.name),
            reason => format!("alarm `{}` is in alarm: {reason}", alarm.name),
        })
        .collect();
    if alarms.len() > TOLD {
        told.push(format!("and {} more", alarms.len() - TOLD));
    }
    told.join("\n")
}

impl From<ApproveError> for Failure {
    fn from(error: ApproveError) -> Self {
        let message = error.to_string();
        match error {
            ApproveError::UnknownAlarms(_) => Self::configuration(message).with_hint(
                "check the names in `alarms=`; a name with a comma in it cannot be given, and alarms of other Regions are not looked at",
            ),
            ApproveError::InAlarm(_) => Self::job(message)
                .with_hint("retry the stage when the alarm is over, or release a fix"),
            ApproveError::Describe(failure) => match failure.kind {
                towpath_job::FailureType::PermissionError => failure.with_hint(
                    "allow cloudwatch:DescribeAlarms on resource \"*\" in the role of the approve function",
                ),
                _ => failure,
            },
            ApproveError::BakeTooLong { .. } => Self::configuration(message)
                .with_hint("give a shorter `bake=` or a longer `timeout=`, up to 24h"),
            ApproveError::Variables(_) => Self::job(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use towpath_job::FailureType;

    use super::*;
    use towpath_alarms::State;

    fn alarm(name: &str, reason: &str) -> Alarm {
        Alarm {
            name: name.to_owned(),
            arn: String::new(),
            composite: false,
            state: State::Alarm,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn failures_by_table() {
        let many: Vec<Alarm> = (0..12).map(|at| alarm(&at.to_string(), "")).collect();
        for (error, kind, begins, contains) in [
            (
                ApproveError::UnknownAlarms(vec!["A".to_owned(), "B".to_owned()]),
                FailureType::ConfigurationError,
                "there is no alarm `A`, `B` in this account and Region",
                "alarms=",
            ),
            (
                ApproveError::InAlarm(vec![alarm("Errors", "Threshold Crossed: 3 > 1")]),
                FailureType::JobFailed,
                "alarm `Errors` is in alarm: Threshold Crossed: 3 > 1",
                "hint: ",
            ),
            (
                ApproveError::InAlarm(many),
                FailureType::JobFailed,
                "alarm `0` is in alarm\n",
                "and 2 more",
            ),
            (
                ApproveError::Describe(Failure::permission("failed to look at the alarms: no")),
                FailureType::PermissionError,
                "failed to look at the alarms: no",
                "cloudwatch:DescribeAlarms",
            ),
            (
                ApproveError::BakeTooLong {
                    bake: Duration::from_hours(2),
                    timeout: Duration::from_hours(1),
                },
                FailureType::ConfigurationError,
                "`bake` is 2h, but the action ends after 1h",
                "timeout=",
            ),
        ] {
            let failure = Failure::from(error);
            assert_eq!(failure.kind, kind, "{begins}");
            let rendered = failure.render();
            assert!(rendered.starts_with(begins), "{rendered}");
            assert!(rendered.contains(contains), "{rendered}");
        }
    }
}
