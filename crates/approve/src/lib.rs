//! The `approve` action: holds a release at a gate until its policy agrees.
//!
//! The policy: a plan that `deploy-stack` has published loses no data but what it may, and none of
//! the named CloudWatch alarms is in alarm, at any look, until the release has baked for as long as
//! was asked. Between two looks the action waits by continuation token, so that no function runs
//! meanwhile. A person's word is a manual approval action beside it, which this one tells what the
//! plan comes to.
//!
//! What is observed is in `towpath_alarms` and `plan`, what follows from it is in `policy`.

mod error;
mod parameters;
mod plan;
mod policy;

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use towpath_job::{Action, Failure, Job, Outcome, Progress, Variables, duration};

pub use error::ApproveError;
pub use parameters::Parameters;
use plan::Judged;
use policy::Verdict;
pub use towpath_alarms::{Alarm, State};

/// The action.
#[derive(Debug, Clone, Copy, Default)]
pub struct Approve;

/// What the steps of one action know of each other. When the first one started, every token says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// The plan as the first step found it.
    #[serde(default)]
    plan: Option<Judged>,
}

impl Action for Approve {
    const NAME: &'static str = "approve";
    type Parameters = Parameters;
    type Error = ApproveError;

    async fn step(&self, job: &Job<Parameters>) -> Result<Outcome, ApproveError> {
        let Parameters {
            alarms, bake, plan, ..
        } = &job.parameters;
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
        let mut known = job.state::<Known>()?.unwrap_or_default();
        if let (Some(artifact), None) = (plan, &known.plan) {
            known.plan = Some(plan::look(job, artifact).await?);
        }
        let client = aws_sdk_cloudwatch::Client::new(&towpath_aws::control_plane(job.aws()));
        let looked = towpath_alarms::describe(&client, alarms)
            .await
            .map_err(|error| ApproveError::Describe(Failure::aws("look at the alarms", &error)));
        let baked = SystemTime::now()
            .duration_since(job.started_at())
            .unwrap_or_default();
        let headline = known.plan.as_ref().map(|plan| plan.headline.as_str());
        let verdict = match looked {
            Ok(seen) => policy::decide(alarms, &seen, baked, *bake, headline),
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
                if let Some(plan) = known.plan {
                    variables.insert("Stack", plan.stack)?;
                    variables.insert("ChangeSetArn", plan.change_set)?;
                    variables.insert("Losses", plan.losses.to_string())?;
                    variables.insert("Plan", plan.headline)?;
                }
                Ok(Outcome::Done {
                    summary,
                    variables,
                    receipts: Vec::new(),
                    external_id: None,
                })
            }
            Verdict::Bake { percent, summary } => Ok(Outcome::Continue {
                state: serde_json::to_value(known).expect("the state is plain data"),
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
