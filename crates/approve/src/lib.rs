//! The `approve` action: holds a release at a gate until its policy agrees.
//!
//! The policy so far: none of the named CloudWatch alarms is in alarm, at any look, until the
//! release has baked for as long as was asked. Between two looks the action waits by continuation
//! token, so that no function runs meanwhile. A person's word is a manual approval action beside it.
//!
//! What is observed is in `towpath_alarms`, what follows from it is in `policy`.

mod error;
mod parameters;
mod policy;

use std::time::SystemTime;

use serde_json::json;
use towpath_job::{Action, Failure, Job, Outcome, Progress, Variables, duration};

pub use error::ApproveError;
pub use parameters::Parameters;
use policy::Verdict;
pub use towpath_alarms::{Alarm, State};

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct Approve;

impl Action for Approve {
    const NAME: &'static str = "approve";
    type Parameters = Parameters;
    type Error = ApproveError;

    async fn step(&self, job: &Job<Parameters>) -> Result<Outcome, ApproveError> {
        let Parameters { alarms, bake } = &job.parameters;
        let allowed = job
            .action_deadline()
            .duration_since(job.started_at())
            .unwrap_or_default();
        if *bake >= allowed {
            return Err(ApproveError::BakeTooLong {
                bake: *bake,
                timeout: allowed,
            });
        }
        let client = aws_sdk_cloudwatch::Client::new(&towpath_aws::control_plane(job.aws()));
        let looked = towpath_alarms::describe(&client, alarms)
            .await
            .map_err(|error| ApproveError::Describe(Failure::aws("look at the alarms", &error)));
        let baked = SystemTime::now()
            .duration_since(job.started_at())
            .unwrap_or_default();
        let verdict = match looked {
            Ok(seen) => policy::decide(alarms, &seen, baked, *bake),
            Err(ApproveError::Describe(failure)) => match policy::unseen(&failure, baked, *bake) {
                Some(verdict) => verdict,
                None => return Err(ApproveError::Describe(failure)),
            },
            Err(error) => return Err(error),
        };
        match verdict {
            Verdict::Approved { summary } => {
                let mut variables = Variables::new();
                variables.insert("Verdict", "approved")?;
                variables.insert("Baked", duration::render(*bake))?;
                Ok(Outcome::Done {
                    summary,
                    variables,
                    receipts: Vec::new(),
                    external_id: None,
                })
            }
            // All that the next step needs is when the first one started, which every token carries.
            Verdict::Bake { percent, summary } => Ok(Outcome::Continue {
                state: json!({}),
                progress: Progress {
                    percent: Some(percent),
                    ..Progress::new(summary)
                },
            }),
            Verdict::Unknown { names } => Err(ApproveError::UnknownAlarms(names)),
            Verdict::Alarm { alarms } => Err(ApproveError::InAlarm(alarms)),
        }
    }
}

/// Serves the Lambda Runtime API until the environment ends.
pub async fn run() -> Result<(), towpath_job::RunError> {
    towpath_job::run(Approve).await
}
