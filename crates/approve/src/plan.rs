//! The plan that is to be approved: what `deploy-stack` published, and whether the policy lets it pass.
//!
//! An approval is of one change set. Which one it is goes from step to step in the token, and on to the actions behind
//! this one as a variable: what they carry out with it is what was judged here.

use serde::{Deserialize, Serialize};
use towpath_job::{Artifact, Job};
use towpath_stack::gate::{self, Policy};
use towpath_stack::plan::Published;

use crate::{ApproveError, Parameters};

/// The file in the artifact.
const FILE: &str = "plan.json";

/// The longest headline, in characters. It is made for the text beside a manual approval (`CustomData`), which has a
/// thousand, and has to fit into a token, which has two.
const HEADLINE: usize = 700;

/// How much of the plan is put into the log, in bytes: far less than what CloudWatch takes as one event.
const LOGGED: usize = 60_000;

/// What was found out about the plan, by the first step for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) stack: String,
    /// By ARN; `none` where nothing changes.
    pub(crate) change_set: String,
    pub(crate) losses: usize,
    pub(crate) headline: String,
}

/// Fetches the plan, puts it into the log, and judges it.
pub(crate) async fn look(job: &Job<Parameters>, name: &str) -> Result<Judged, ApproveError> {
    let artifact: &Artifact = job.input(name)?;
    let bytes = job
        .fetch_file(artifact, FILE)
        .await
        .map_err(|failed| ApproveError::NoPlan {
            artifact: name.to_owned(),
            failed: Box::new(failed),
        })?;
    let published = read(name, bytes)?;
    let page = published.markdown();
    let page = page
        .get(..page.floor_char_boundary(LOGGED))
        .unwrap_or_default();
    tracing::info!(
        stack = published.stack,
        change_set = published.change_set,
        losses = published.losses.len(),
        "the plan to approve:\n{page}"
    );
    judge(&published, &job.parameters.loss)
}

fn read(artifact: &str, bytes: Vec<u8>) -> Result<Published, ApproveError> {
    let not_a_plan = |reason: String| ApproveError::NotAPlan {
        artifact: artifact.to_owned(),
        reason,
    };
    let text =
        String::from_utf8(bytes).map_err(|_| not_a_plan("it is not UTF-8 text".to_owned()))?;
    Published::read(&text).map_err(|error| not_a_plan(error.to_string()))
}

/// Whether the policy lets the plan pass: what holds data goes only where that was allowed.
fn judge(published: &Published, policy: &Policy) -> Result<Judged, ApproveError> {
    let refused = gate::judge(&published.losses, policy);
    if !refused.is_empty() {
        return Err(ApproveError::WouldLose {
            stack: published.stack.clone(),
            losses: refused,
        });
    }
    let unjudged = gate::unjudged(&published.plan, policy);
    if !unjudged.is_empty() {
        return Err(ApproveError::Unjudged {
            stack: published.stack.clone(),
            nested: unjudged,
        });
    }
    Ok(Judged {
        stack: published.stack.clone(),
        change_set: published.change_set.clone(),
        losses: published.losses.len(),
        headline: published.headline(HEADLINE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(losses: &str) -> Vec<u8> {
        format!(
            r#"{{"schema": "towpath.plan/1", "stack": "app", "change_set": "arn:set", "changes": [
                {{"logical_id": "Orders", "resource_type": "AWS::DynamoDB::Table", "action": "replace"}}
            ], "losses": [{losses}]}}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_plan_that_could_not_be_read_to_the_end_passes_only_unseen() {
        let text = String::from_utf8(plan("")).expect("text");
        let text = text.replace("\"losses\"", "\"unread\": [\"Data\"], \"losses\"");
        let published = read("Plan", text.into_bytes()).expect("a plan");
        let error = judge(&published, &Policy::default()).expect_err("refused");
        assert!(
            error
                .to_string()
                .contains("nested stack `Data` could not be read"),
            "{error}"
        );
        let policy = Policy {
            named: ["Data".to_owned()].into(),
            ..Policy::default()
        };
        assert!(judge(&published, &policy).is_ok());
    }

    const LOSS: &str =
        r#"{"resource": "Orders", "resource_type": "AWS::DynamoDB::Table", "action": "replace"}"#;

    #[test]
    fn a_plan_passes_unless_it_loses_what_it_may_not() {
        for (losses, everything, named, passes) in [
            ("", false, "", true),
            (LOSS, false, "", false),
            (LOSS, false, "Other", false),
            (LOSS, false, "Orders", true),
            (LOSS, true, "", true),
        ] {
            let published = read("Plan", plan(losses)).expect("a plan");
            let policy = Policy {
                everything,
                named: [named.to_owned()].into(),
                ..Policy::default()
            };
            let case = format!("{losses} {everything} {named}");
            match judge(&published, &policy) {
                Ok(judged) => {
                    assert!(passes, "{case}");
                    assert_eq!(judged.change_set, "arn:set");
                    assert_eq!(judged.losses, usize::from(!losses.is_empty()), "{case}");
                }
                Err(error) => {
                    assert!(!passes, "{case}");
                    assert_eq!(
                        error.to_string(),
                        "the plan for stack `app` would lose data: `Orders` (AWS::DynamoDB::Table) is replaced"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_plan_is_named_with_its_artifact() {
        for (bytes, words) in [
            (vec![0xff], "is not UTF-8"),
            (b"# Plan".to_vec(), "expected value"),
            (b"{\"Resources\": {}}".to_vec(), "missing field `schema`"),
        ] {
            let error = read("Package", bytes).expect_err(words).to_string();
            assert!(
                error.starts_with("`plan.json` of artifact `Package` is not a plan: ")
                    && error.contains(words),
                "{error}"
            );
        }
    }
}
