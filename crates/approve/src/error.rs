//! Why a release is not let pass, and how that is told to CodePipeline.

use std::time::Duration;

use towpath_alarms::Alarm;
use towpath_job::{Failure, FailureType, JobError, VariablesError, duration};
use towpath_stack::gate::{self, Loss};

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
    /// The job does not have what the parameters name, or its token is not ours.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The plan could not be had.
    #[error("{failed}")]
    NoPlan {
        /// The artifact that should hold it.
        artifact: String,
        /// Why; part of the text already.
        failed: Box<JobError>,
    },
    /// What the artifact holds is no plan.
    #[error("`plan.json` of artifact `{artifact}` is not a plan: {reason}")]
    NotAPlan {
        /// The artifact.
        artifact: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan would lose data, and that was not allowed.
    #[error("the plan for stack `{stack}` would lose data: {}", gate::told(.losses))]
    WouldLose {
        /// The stack.
        stack: String,
        /// What would go.
        losses: Vec<Loss>,
    },
    /// What the plan would do is not known to the end.
    #[error("the plan for stack `{stack}` cannot be judged: the change set of nested stack {} could not be read when it was made", quoted(.nested))]
    Unjudged {
        /// The stack.
        stack: String,
        /// The nested stacks, by name.
        nested: Vec<String>,
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
                FailureType::PermissionError => failure.with_hint(
                    "allow cloudwatch:DescribeAlarms on resource \"*\" in the role of the approve function",
                ),
                _ => failure,
            },
            ApproveError::BakeTooLong { .. } => Self::configuration(message)
                .with_hint("give a shorter `bake=` or a longer `timeout=`, up to 24h"),
            ApproveError::Job(error) => error.into(),
            ApproveError::NoPlan { artifact, failed } => {
                let failure = Failure::from(*failed);
                match failure.kind {
                    FailureType::ConfigurationError | FailureType::JobFailed => failure.with_hint(format!(
                        "let `plan=` name the output artifact of a deploy-stack action with action=plan; `{artifact}` has no plan.json"
                    )),
                    _ => failure,
                }
            }
            ApproveError::NotAPlan { .. } => Self::configuration(message).with_hint(
                "let `plan=` name the output artifact of a deploy-stack action with action=plan, of the same version of Towpath",
            ),
            ApproveError::WouldLose { losses, .. } => {
                Self::configuration(message).with_hint(format!(
                    "keep what is there by DeletionPolicy and UpdateReplacePolicy in the template; or, if it may go, allow that \
                     in the UserParameters of this action: allow-loss={}, or replace=allow for all",
                    gate::names(&losses)
                ))
            }
            ApproveError::Unjudged { nested, .. } => Self::configuration(message).with_hint(format!(
                "the log of the action that made the plan says why; if whatever they hold may go, say so in the UserParameters \
                 of this action: allow-loss={}, or replace=allow for all",
                nested.join(",")
            )),
            ApproveError::Variables(_) => Self::job(message),
        }
    }
}

#[cfg(test)]
mod tests {
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
