//! `action=sweep`: deletes the stacks that have had their day, a few at a time.
//!
//! The first step looks at every stack and settles which ones go, and does nothing: delivered twice, it settles the same,
//! where one that deletes would find room under the cap for others. The following ones climb the ladder of `action=delete`
//! with each of them, after another look at it. One that cannot be deleted does not stop the others.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_sdk_cloudformation::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use towpath_job::{Failure, Job, Outcome, Progress, Source, Variables};
use towpath_stack::sweep::{self, Rules, Shell, Verdict, Why};
use towpath_stack::{Observed, Stack, StackError, StackStatus, describe, describe_all};

use crate::delete::{self, Ending, Turn};
use crate::{DeployError, DeployStack, Parameters};

/// What this attempt has done so far: the state of the continuation token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The stacks that go, the one that expired first in front.
    swept: Vec<Swept>,
    /// The marked stacks that stay, and why.
    kept: Vec<Kept>,
    /// How many more have expired than may go at once.
    over: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Swept {
    name: String,
    arn: String,
    expired: String,
    /// Nothing was ever made in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shell: bool,
    /// What its tags tell of where it comes from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    origin: BTreeMap<String, String>,
    #[serde(flatten)]
    fate: Fate,
}

/// What became of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Fate {
    /// It would go, if this were no dry run.
    WouldGo,
    /// It goes.
    Going { state: delete::State },
    /// It is gone.
    Deleted { leftovers: Vec<String> },
    /// Looked at once more, it stays.
    Kept { why: String },
    /// It could not be deleted.
    Failed { why: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    name: String,
    why: String,
}

pub(crate) async fn step(
    action: &DeployStack,
    client: &Client,
    job: &Job<Parameters>,
) -> Result<Outcome, DeployError> {
    let Some(mut state) = job.state::<State>()? else {
        let state = survey(client, job).await?;
        return settle(job, &state).await;
    };
    for (number, swept) in state.swept.iter_mut().enumerate() {
        if let Fate::Going { state } = &mut swept.fate {
            let ending = Ending::new(action, client, job, format!("sweep{number}"));
            if let Some(fate) = go_on(client, job, &ending, &swept.name, state).await {
                swept.fate = fate;
            }
        }
    }
    settle(job, &state).await
}

/// Goes on while there is something to delete, and reports otherwise.
async fn settle(job: &Job<Parameters>, state: &State) -> Result<Outcome, DeployError> {
    let going = count(state, |fate| matches!(fate, Fate::Going { .. }));
    if going > 0 {
        let told = format!(
            "{going} of {} expired stacks are being deleted",
            state.swept.len()
        );
        return Ok(Outcome::Continue {
            state: serde_json::to_value(state).expect("the state is plain data"),
            progress: Progress::new(told),
        });
    }
    report(job, state).await
}

/// Looks at every stack, and settles which ones go.
async fn survey(client: &Client, job: &Job<Parameters>) -> Result<State, DeployError> {
    let ending = &job.parameters.ending;
    let now = OffsetDateTime::from(SystemTime::now());
    let mut expired = Vec::new();
    let mut kept = Vec::new();
    let mut all = Vec::new();
    describe_all(client, |stack| {
        if may_be_ours(&stack, now, &ending.sweep) {
            all.push(stack);
        }
    })
    .await?;
    for mut stack in all {
        let why = match judge(client, &mut stack, now, &ending.sweep).await {
            Ok(Verdict::Expired(since) | Verdict::Shell(since)) => {
                expired.push((since, stack));
                continue;
            }
            Ok(Verdict::Keep(Why::OtherName | Why::NotEphemeral)) => continue,
            Ok(Verdict::Keep(why)) => why.to_string(),
            // Whose it is, is not known: most likely somebody else's, whose change sets are nobody's business.
            Err(error) if stack.tags.is_empty() => {
                tracing::warn!(%error, stack = stack.arn, "a stack in review is left out");
                continue;
            }
            Err(error) => error.to_string(),
        };
        kept.push(Kept {
            name: stack.name,
            why,
        });
    }
    expired.sort_by(|(a, left), (b, right)| (a, &left.name).cmp(&(b, &right.name)));
    let over = expired.len().saturating_sub(ending.cap);
    expired.truncate(ending.cap);
    let swept = expired
        .into_iter()
        .map(|(since, stack)| Swept {
            fate: if ending.dry_run {
                Fate::WouldGo
            } else {
                Fate::Going {
                    state: delete::State::of(&stack.arn),
                }
            },
            shell: stack.status == StackStatus::ReviewInProgress,
            origin: sweep::origin(&stack.tags),
            name: stack.name,
            arn: stack.arn,
            expired: sweep::words(since),
        })
        .collect();
    Ok(State { swept, kept, over })
}

/// Whether a stack is worth a closer look: it is marked, or is in review and may be marked by a change set.
fn may_be_ours(stack: &Stack, now: OffsetDateTime, rules: &Rules) -> bool {
    match sweep::verdict(stack, now, rules) {
        Verdict::Keep(Why::OtherName) => false,
        Verdict::Keep(Why::NotEphemeral) => is_unmarked_shell(stack),
        Verdict::Keep(_) | Verdict::Expired(_) | Verdict::Shell(_) => true,
    }
}

fn is_unmarked_shell(stack: &Stack) -> bool {
    stack.status == StackStatus::ReviewInProgress && stack.tags.is_empty()
}

/// What is done about a stack, with a look at its change sets where nothing else was ever made of it. One without tags of
/// its own gets those.
async fn judge(
    client: &Client,
    stack: &mut Stack,
    now: OffsetDateTime,
    rules: &Rules,
) -> Result<Verdict, StackError> {
    let unmarked = is_unmarked_shell(stack);
    let verdict = sweep::verdict(stack, now, rules);
    if !unmarked && !matches!(verdict, Verdict::Shell(_)) {
        return Ok(verdict);
    }
    let shell = Shell::look(client, &stack.arn).await?;
    if unmarked {
        stack.tags = shell.tags;
    }
    Ok(match sweep::verdict(stack, now, rules) {
        Verdict::Shell(_) if shell.live > 0 => Verdict::Keep(Why::Reviewed(shell.live)),
        verdict => verdict,
    })
}

/// One step with one stack; nothing while it goes on.
async fn go_on(
    client: &Client,
    job: &Job<Parameters>,
    ending: &Ending<'_>,
    name: &str,
    state: &mut delete::State,
) -> Option<Fate> {
    match still_expired(client, job, state).await {
        Ok(None) => {}
        Ok(Some(why)) => return Some(Fate::Kept { why }),
        // Nothing is known of it; the next step looks again.
        Err(error) => {
            tracing::warn!(%error, name, "the stack could not be looked at");
            return None;
        }
    }
    match ending.step(name, state).await {
        Ok(Turn::Wait(_)) => None,
        Ok(Turn::Gone { left, .. }) => Some(Fate::Deleted {
            leftovers: left.iter().map(delete::words).collect(),
        }),
        Err(error) => {
            let failure = Failure::from(error);
            tracing::warn!(name, message = failure.message, "the stack stays");
            Some(Fate::Failed {
                why: failure.message,
            })
        }
    }
}

/// Why the stack stays after all: somebody may have deployed it anew since the survey, also while its buckets were being
/// emptied, or after its deletion was refused.
async fn still_expired(
    client: &Client,
    job: &Job<Parameters>,
    state: &delete::State,
) -> Result<Option<String>, DeployError> {
    let Observed::Present(mut stack) = describe(client, state.arn()).await? else {
        return Ok(None);
    };
    // By us, or by somebody else: it goes already, and its tags with it.
    if let StackStatus::DeleteInProgress | StackStatus::DeleteComplete = stack.status {
        return Ok(None);
    }
    let now = OffsetDateTime::from(SystemTime::now());
    Ok(
        match judge(client, &mut stack, now, &job.parameters.ending.sweep).await? {
            Verdict::Expired(_) | Verdict::Shell(_) => None,
            Verdict::Keep(why) => Some(why.to_string()),
        },
    )
}

fn count(state: &State, is: impl Fn(&Fate) -> bool) -> usize {
    state.swept.iter().filter(|swept| is(&swept.fate)).count()
}

async fn report(job: &Job<Parameters>, state: &State) -> Result<Outcome, DeployError> {
    let dry_run = job.parameters.ending.dry_run;
    let document = json!({
        "dryRun": dry_run,
        "cap": job.parameters.ending.cap,
        "swept": state.swept,
        "kept": state.kept,
        "expiredBeyondCap": state.over,
    });
    let text = serde_json::to_vec_pretty(&document).expect("the report is plain data");
    let file = Source::Bytes {
        name: "sweep.json",
        bytes: &text,
    };
    let mut receipts = Vec::new();
    for output in &job.outputs {
        receipts.push(job.publish(output, file).await?);
    }
    let failed: Vec<String> = state
        .swept
        .iter()
        .filter_map(|swept| match &swept.fate {
            Fate::Failed { why } => Some(format!("`{}`: {why}", swept.name)),
            _ => None,
        })
        .collect();
    let summary = summary(state, dry_run);
    if !failed.is_empty() {
        return Err(DeployError::Swept { summary, failed });
    }
    let mut variables = Variables::new();
    let deleted = count(state, |fate| matches!(fate, Fate::Deleted { .. }));
    let expired = state.swept.len() + state.over;
    for (name, value) in [("Deleted", deleted), ("Expired", expired)] {
        variables
            .insert(name, value.to_string())
            .map_err(DeployError::Variable)?;
    }
    Ok(Outcome::Done {
        summary,
        variables,
        receipts,
        external_id: None,
    })
}

fn summary(state: &State, dry_run: bool) -> String {
    let names = |is: fn(&Fate) -> bool| {
        let names: Vec<String> = state
            .swept
            .iter()
            .filter(|swept| is(&swept.fate))
            .map(|swept| {
                let empty = if swept.shell { " (empty)" } else { "" };
                format!("{}{empty}", swept.name)
            })
            .collect();
        names.join(", ")
    };
    let mut parts = Vec::new();
    for (names, words) in [
        (
            names(|fate| matches!(fate, Fate::WouldGo)),
            "would be deleted (dry run)",
        ),
        (
            names(|fate| matches!(fate, Fate::Deleted { .. })),
            "deleted",
        ),
        (
            names(|fate| matches!(fate, Fate::Failed { .. })),
            "not deleted",
        ),
        (
            names(|fate| matches!(fate, Fate::Kept { .. })),
            "kept after all",
        ),
    ] {
        if !names.is_empty() {
            parts.push(format!("{words}: {names}"));
        }
    }
    if state.swept.is_empty() {
        parts.push("no stack has expired".to_owned());
    }
    if state.over > 0 {
        parts.push(format!("{} more have expired", state.over));
    }
    if !state.kept.is_empty() {
        parts.push(format!("{} marked stacks stay", state.kept.len()));
    }
    if dry_run && !state.swept.is_empty() {
        parts.push("dry-run=off deletes them".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_survives_a_token() {
        let fates = [
            Fate::WouldGo,
            Fate::Going {
                state: delete::State::of("arn:stack"),
            },
            Fate::Deleted {
                leftovers: vec!["Site (AWS::S3::Bucket b)".into()],
            },
            Fate::Kept { why: "w".into() },
            Fate::Failed { why: "w".into() },
        ];
        let swept = fates.map(|fate| Swept {
            name: "app".into(),
            arn: "arn:stack".into(),
            expired: "2026-03-01T12:00:00Z".into(),
            shell: matches!(fate, Fate::WouldGo),
            origin: BTreeMap::from([("branch".into(), "main".into())]),
            fate,
        });
        let state = State {
            swept: swept.into(),
            kept: vec![Kept {
                name: "b".into(),
                why: "w".into(),
            }],
            over: 2,
        };
        let text = serde_json::to_string(&state).expect("plain data");
        assert_eq!(
            serde_json::from_str::<State>(&text).expect("reads back"),
            state
        );
        assert_eq!(
            summary(&state, false),
            "would be deleted (dry run): app (empty); deleted: app; not deleted: app; kept after all: app; 2 more have expired; 1 marked stacks stay"
        );
    }
}
