//! The other end: a build that carries an order out.
//!
//! It is the function's executable, started by the project's buildspec instead of by Lambda. What
//! it reports, it reports to the function that ordered it, by an answer beside the order.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use towpath_artifact::{Encryption, Limits, Settings};
use towpath_aws::SdkConfig;
use tracing::Instrument;

use super::ORDER;
use super::order::{Answer, Claim, Drawer, DrawerError, Order, Stored, ToldFailure};
use crate::action::Action;
use crate::budget::{self, Bound, Budget};
use crate::event::{Artifacts, Event, JobId};
use crate::failure::{Failure, Limit, chain};
use crate::handle::{Ended, crashed, step};
use crate::job::{Hidden, Job, Standing};
use crate::outcome::Outcome;
use crate::parameters::{self, duration};
use crate::report;
use crate::token::from_millis;
use towpath_secret::Secrets;

/// The variable that names a build, which CodeBuild sets.
const BUILD: &str = "CODEBUILD_BUILD_ID";
/// When the build began, in milliseconds since the epoch; CodeBuild sets it.
const STARTED: &str = "CODEBUILD_START_TIME";
/// How many minutes the project gives a build. CodeBuild does not say; the template does.
const MINUTES: &str = "TOWPATH_BUILD_MINUTES";
/// CodeBuild's machines have more than Lambda's largest disk.
const LARGEST_TREE: u64 = 128 << 30;

/// Why a build ends badly. The action's own failure is told in the answer, and here once more for
/// the build's log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InsideError {
    /// Started by somebody else.
    #[error("{ORDER} is `{0}`, which is not the address of an order")]
    NoOrder(String),
    /// CodeBuild always sets it.
    #[error("{BUILD} is not set: this is to be run by CodeBuild")]
    NoBuild,
    /// The order is not there.
    #[error("there is no order at {0}")]
    Missing(String),
    /// The order is not for this executable.
    #[error(
        "the order is for {action}, version {version}; this is {this}, version {}",
        Order::VERSION
    )]
    Foreign {
        /// Whose it is.
        action: String,
        /// Of its form.
        version: u64,
        /// What runs here.
        this: &'static str,
    },
    /// S3.
    #[error(transparent)]
    Drawer(#[from] DrawerError),
    /// The action failed.
    #[error("the action failed: {0}")]
    Failed(String),
}

/// Carries out the order that the environment names.
pub(crate) async fn run<A: Action>(
    action: Arc<A>,
    aws: SdkConfig,
    order: String,
    secrets: Secrets,
) -> Result<(), InsideError> {
    let drawer = Drawer::of_order(towpath_aws::s3(&aws), &order)
        .ok_or_else(|| InsideError::NoOrder(order.clone()))?;
    let build = variable(BUILD).ok_or(InsideError::NoBuild)?;
    let order: Order = drawer
        .get(Order::KEY)
        .await?
        .ok_or(InsideError::Missing(order))?;
    if order.action != A::NAME || order.version != Order::VERSION {
        return Err(InsideError::Foreign {
            action: order.action,
            version: order.version,
            this: A::NAME,
        });
    }
    let claim = Claim {
        build: build.clone(),
    };
    if !drawer.put_new(Claim::KEY, &claim).await? {
        let first: Option<Claim> = drawer.get(Claim::KEY).await?;
        if let Some(first) = first.filter(|first| first.build != build) {
            tracing::info!(build = first.build, "another build does this already");
            return Ok(());
        }
    }
    let span = tracing::info_span!("job", job.id = %order.job, action = A::NAME);
    let answer = carry_out(action, order, &aws, &secrets)
        .instrument(span)
        .await;
    drawer.put(Answer::KEY, &answer).await?;
    match answer.failure {
        None => {
            tracing::info!("job succeeded: {}", answer.summary);
            Ok(())
        }
        Some(_) => Err(InsideError::Failed(answer.summary)),
    }
}

/// Does the action's one step. Every error is an answer.
async fn carry_out<A: Action>(
    action: Arc<A>,
    order: Order,
    aws: &SdkConfig,
    secrets: &Secrets,
) -> Answer {
    let now = SystemTime::now();
    let [begun, deadline] =
        [order.started_at, order.deadline].map(|millis| from_millis(millis).unwrap_or(now));
    let end = by_project(variable(STARTED).as_deref(), variable(MINUTES).as_deref());
    let budget = budget::divide(now, end.unwrap_or(deadline).min(deadline), deadline);
    // Whichever comes first leaves time for the answer.
    let bound = match end {
        Some(end) if end < deadline => Bound::Lambda,
        _ => Bound::Timeout,
    };
    let budget = Budget { bound, ..budget };
    let allowed = deadline.duration_since(begun).unwrap_or_default();
    let places = order.outputs.clone();
    let hidden = Hidden::default();
    let attempted = attempt(action, order, aws, (begun, deadline), budget, &hidden).await;
    let (outcome, published) = match attempted {
        Ok((ended, published)) => (conclude::<A>(ended, budget, allowed), published),
        Err(failure) => (Outcome::Failed(failure), Vec::new()),
    };
    let published = places
        .into_iter()
        .filter(|place| published.contains(&place.name))
        .collect();
    answer(outcome.redacted(&hidden.with(secrets)), published)
}

async fn attempt<A: Action>(
    action: Arc<A>,
    order: Order,
    aws: &SdkConfig,
    (started_at, action_deadline): (SystemTime, SystemTime),
    budget: Budget,
    hidden: &Hidden,
) -> Result<(Ended<A::Error>, Vec<String>), Failure> {
    let id = JobId::new(order.job).ok_or_else(|| Failure::job("the order names no job"))?;
    let located = |all: &[Stored]| all.iter().map(Stored::artifact).collect();
    let event = Event {
        account: order.account,
        user_parameters: order.user_parameters,
        inputs: Artifacts {
            located: located(&order.inputs),
            unlocated: order.unlocated,
        },
        outputs: Artifacts {
            located: located(&order.outputs),
            unlocated: Vec::new(),
        },
        credentials: None,
        token: None,
        encryption_key: None,
    };
    let (common, _, parameters) = parameters::parse_movable::<A::Parameters>(
        &event.user_parameters,
        &event.outputs.located,
        true,
    )?;
    if budget.soft.is_zero() {
        return Ok((Ended::Overrun, Vec::new()));
    }
    let here = Settings::for_here();
    let here = Settings {
        limits: Limits {
            bytes: LARGEST_TREE,
            ..here.limits
        },
        ..here
    };
    let standing = Standing {
        origin: id.clone(),
        attempt: 1,
        started_at,
        action_deadline,
        deadline: Instant::now() + budget.soft,
        settings: common.settings(here),
        hidden: hidden.clone(),
    };
    let mut job = Job::new(id, event, None, parameters, standing, aws);
    job.encryption = Encryption::Bucket;
    let published = Arc::clone(&job.published);
    tracing::info!(budget = %duration::render(budget.soft), "step started");
    let ended = step(action, job, budget.hard).await;
    let published = published
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    Ok((ended, published))
}

fn conclude<A: Action>(ended: Ended<A::Error>, budget: Budget, allowed: Duration) -> Outcome {
    match ended {
        Ended::Outcome(Outcome::Continue { .. }) => Outcome::Failed(Failure::job(format!(
            "{} would go on in another step, which a build does not have",
            A::NAME
        ))),
        Ended::Outcome(outcome) => outcome,
        Ended::Error(error) => {
            tracing::debug!(error = %chain(&error), "step failed");
            Outcome::Failed(in_a_build(error.into()))
        }
        Ended::Crash(error) => Outcome::Failed(crashed(A::NAME, error)),
        Ended::Overrun => Outcome::Failed(match budget.bound {
            Bound::Timeout => report::timed_out(allowed, ""),
            Bound::Lambda => Failure::job(format!(
                "{} was given up after {}, shortly before the build project's time-out",
                A::NAME,
                duration::render(budget.soft)
            ))
            .with_hint("raise the build project's TimeoutInMinutes, or do less in one action"),
        }),
    }
}

/// A failure whose hint is of a function, with one that is of a build.
fn in_a_build(failure: Failure) -> Failure {
    match failure.limit {
        Some(Limit::Disk) => failure.with_hint(
            "give the build project a compute type with a larger disk, or leave out what is not needed",
        ),
        Some(Limit::Time) => failure.with_hint(
            "raise the action's `timeout` and the build project's TimeoutInMinutes, or look for a server or a watcher that never ends",
        ),
        None => failure,
    }
}

fn answer(outcome: Outcome, published: Vec<Stored>) -> Answer {
    let mut answer = Answer {
        version: Answer::VERSION,
        summary: String::new(),
        variables: Vec::new(),
        published,
        failure: None,
    };
    match outcome {
        Outcome::Done {
            summary, variables, ..
        } => {
            answer.summary = summary;
            let variables = variables.iter();
            answer.variables = variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
        }
        Outcome::Failed(failure) => {
            answer.summary = failure.render();
            answer.failure = Some(ToldFailure::from(&failure));
        }
        Outcome::Continue { .. } => unreachable!("that was made a failure"),
    }
    answer
}

/// When the project's time is over, as far as the environment says.
fn by_project(started: Option<&str>, minutes: Option<&str>) -> Option<SystemTime> {
    let started = from_millis(started?.parse().ok()?)?;
    let minutes: u64 = minutes?.parse().ok()?;
    started.checked_add(Duration::from_secs(minutes.checked_mul(60)?))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn the_projects_time_is_counted_from_the_builds_start() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        for (started, minutes, expected) in [
            (Some("1000"), Some("5"), at(301)),
            (Some("1000"), None, None),
            (None, Some("5"), None),
            (Some("soon"), Some("5"), None),
            (Some("1000"), Some("-5"), None),
        ] {
            assert_eq!(
                by_project(started, minutes),
                expected,
                "{started:?} {minutes:?}"
            );
        }
    }
}
