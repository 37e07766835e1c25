//! What is said to CodePipeline about a job: decided purely, within the service's limits.

use crate::failure::{Failure, FailureType};
use crate::limits;
use crate::outcome::{Outcome, Progress, unpublished};
use crate::parameters::{Common, duration};
use crate::text;
use crate::token::Token;
use crate::variables::Variables;
use std::time::SystemTime;

/// One report. Every text in it is within the service's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The action is finished.
    Done {
        summary: Option<String>,
        variables: Variables,
        external_id: Option<String>,
    },
    /// Call again with this token.
    Continue {
        token: String,
        summary: Option<String>,
        percent: Option<i32>,
        external_id: Option<String>,
    },
    /// The action has failed.
    Failed {
        kind: FailureType,
        message: String,
        external_id: Option<String>,
    },
}

/// What follows from an outcome: a report, or a token to write first.
#[derive(Debug)]
pub(crate) enum Next {
    /// Report this.
    Report(Report),
    /// Write the token, then report it with the progress.
    Continue(Token, Progress),
}

/// Judges an outcome. `token` is what a continuation would carry but for its state; `declared`
/// are the names of the job's output artifacts.
pub(crate) fn judge(
    outcome: Outcome,
    declared: &[String],
    common: Common,
    mut token: Token,
    now: SystemTime,
) -> Next {
    match outcome {
        Outcome::Done {
            summary,
            variables,
            receipts,
            external_id,
        } => Next::Report(match unpublished(declared, &receipts).as_slice() {
            [] => Report::Done {
                summary: clip(&summary),
                variables,
                external_id: external(external_id.as_deref()),
            },
            missing => lacking(missing),
        }),
        Outcome::Continue { state, progress } => {
            if let Some(mut failure) = overdue(&token, common, &progress, now) {
                failure.external_id = progress.external_id;
                return Next::Report(failed(&failure));
            }
            token.state = state;
            token.last = text::head(text::plain(&progress.summary).trim(), LAST);
            Next::Continue(token, progress)
        }
        Outcome::Failed(failure) => Next::Report(failed(&failure)),
    }
}

/// The report of an action that says that it is done, and lacks output artifacts.
fn lacking(missing: &[&str]) -> Report {
    let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    failed(
        &Failure::job(format!(
            "the action succeeded but did not publish output artifact {}",
            names.join(", ")
        ))
        .with_hint("remove the artifact from the action's OutputArtifacts, or name the file it is made of in UserParameters"),
    )
}

/// How much of what a step was at a token carries, in characters.
const LAST: usize = 300;

/// Why an action that wants to go on may not.
fn overdue(token: &Token, common: Common, progress: &Progress, now: SystemTime) -> Option<Failure> {
    let last = text::plain(&progress.summary);
    let last = text::head(last.trim(), limits::SUMMARY);
    if now >= token.deadline {
        let allowed = token
            .deadline
            .duration_since(token.started_at)
            .unwrap_or_default();
        return Some(timed_out(allowed, &last));
    }
    let attempts = common.attempts?;
    (u64::from(token.attempt) >= attempts).then(|| {
        let last = told(&last);
        Failure::job(format!(
            "the action is not finished after {attempts} step{}, which is all that `attempts` allows{last}",
            if attempts == 1 { "" } else { "s" }
        ))
        .with_hint("allow more with `attempts=`, or leave it out and bound the action with `timeout=`")
    })
}

/// The failure of an action that took longer than its `timeout`. `last` is what it was at.
pub(crate) fn timed_out(allowed: std::time::Duration, last: &str) -> Failure {
    let last = told(last);
    Failure::job(format!(
        "the action is not finished after {}, which is its timeout{last}",
        duration::render(allowed)
    ))
    .with_hint("allow more with `timeout=`, up to 24h")
}

/// What an action was at, as the end of a message.
fn told(last: &str) -> String {
    if last.is_empty() {
        String::new()
    } else {
        format!(": {last}")
    }
}

/// The report of a continuation once its token has been written.
pub(crate) fn continued(token: String, progress: &Progress) -> Report {
    Report::Continue {
        token,
        summary: clip(&progress.summary),
        percent: progress.percent.map(|percent| i32::from(percent.min(100))),
        external_id: external(progress.external_id.as_deref()),
    }
}

/// The report of a failure.
pub(crate) fn failed(failure: &Failure) -> Report {
    Report::Failed {
        kind: failure.kind,
        message: failure.render(),
        external_id: external(failure.external_id.as_deref()),
    }
}

/// An external execution id as the service takes it.
fn external(id: Option<&str>) -> Option<String> {
    id.map(|id| text::head(id, limits::EXTERNAL_ID))
        .filter(|id| !id.is_empty())
}

/// A summary as the service takes it: at least one character, at most 2,048.
fn clip(summary: &str) -> Option<String> {
    let plain = text::plain(summary);
    match plain.trim() {
        "" => None,
        summary => Some(text::head(summary, limits::SUMMARY)),
    }
}

#[cfg(test)]
mod tests;
