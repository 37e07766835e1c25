//! One event from beginning to end: read, step, report.
//!
//! The work runs as a task of its own, so that a panic comes back as an error and work that blocks
//! its thread cannot keep the report from being sent. The step within it has its own thread: when it is
//! given up, what it leaves behind is cleared away while the report is sent already.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_types::SdkConfig;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::time::{timeout, timeout_at};
use towpath_artifact::Settings;
use tracing::{Instrument, Span, field};

use crate::action::Action;
use crate::artifact::ArtifactLocation;
use crate::budget::{self, Bound, Budget};
use crate::build::{self, BuildError, InCodeBuild, Means};
use crate::deliver::{ReportError, Settled, deliver};
use crate::event::{self, Event, JobId};
use crate::failure::{Failure, Limit, chain};
use crate::job::{Hidden, Job, Standing, sse, store_config};
use crate::outcome::Outcome;
use crate::parameters::{self, CodeBuild, Common, duration};
use crate::report::{self, Next, Report};
use crate::spill;
use crate::token::{self, Read, Token, Written};
use towpath_secret::Secrets;

/// Handles one job event: does a step of the action and reports it exactly once.
///
/// `deadline` is when Lambda ends the invocation. `aws` is the function's own configuration; the
/// job's artifacts are reached with the credentials in the event. What is reported and logged has
/// neither those credentials nor the function's own, `own`, in it. An error means that CodePipeline
/// could not be told anything.
pub async fn handle<A: Action>(
    action: &Arc<A>,
    payload: Value,
    deadline: SystemTime,
    aws: &SdkConfig,
    own: &Secrets,
) -> Result<Settled, ReportError> {
    let Some(id) = event::job_id(&payload) else {
        let error = ReportError::NoJobId {
            found: event::describe(&payload),
        };
        tracing::error!(action = A::NAME, "{error}");
        return Err(error);
    };
    let span = tracing::info_span!("job", job.id = %id, action = A::NAME, attempt = field::Empty);
    Box::pin(settle(action, id, &payload, deadline, aws, own))
        .instrument(span)
        .await
}

/// Everything that happens to a job with an id.
async fn settle<A: Action>(
    action: &Arc<A>,
    id: JobId,
    payload: &Value,
    deadline: SystemTime,
    aws: &SdkConfig,
    own: &Secrets,
) -> Result<Settled, ReportError> {
    let started = Instant::now();
    let now = SystemTime::now();
    let end = started + deadline.duration_since(now).unwrap_or_default();
    // The limits that hold even when nothing is known of the job's own timeout.
    let outer = budget::divide(now, deadline, deadline);
    let report = match event::read(payload) {
        Ok(event) => {
            let artifact_credentials = event
                .credentials
                .as_ref()
                .map(event::ArtifactCredentials::values)
                .unwrap_or_default();
            let secrets = own.and(artifact_credentials);
            let work = tokio::spawn(
                work(
                    Arc::clone(action),
                    id.clone(),
                    event,
                    now,
                    deadline,
                    aws.clone(),
                    secrets.clone(),
                )
                .in_current_span(),
            );
            watch::<A>(work, started, outer, &secrets).await
        }
        Err(error) => report::failed(&Failure::job(format!(
            "the job event cannot be read: {error}"
        ))),
    };
    log(&report, started);
    let client = aws_sdk_codepipeline::Client::new(&towpath_aws::control_plane(aws));
    let settled = deliver(&client, &id, report, end).await;
    if let Err(error) = &settled {
        tracing::error!("{error}");
    }
    settled
}

/// Waits for the work, and makes a report of its panic or of its silence.
async fn watch<A: Action>(
    mut work: tokio::task::JoinHandle<Report>,
    started: Instant,
    budget: Budget,
    secrets: &Secrets,
) -> Report {
    if let Ok(ended) = timeout_at((started + budget.last).into(), &mut work).await {
        return ended
            .unwrap_or_else(|error| report::failed(&crashed(A::NAME, error).redacted(secrets)));
    }
    // It does not even yield. Its task ends when it does, if it does.
    work.abort();
    report::failed(&overran(A::NAME, budget))
}

/// The failure of a task that did not end by itself.
pub(crate) fn crashed(action: &str, error: JoinError) -> Failure {
    let cause = match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "it gave no reason".to_owned()),
        Err(error) => error.to_string(),
    };
    Failure::job(format!("the {action} function panicked: {cause}"))
        .with_hint("this is a defect of the function; its log says where, under this job's id")
}

/// The failure of a step that Lambda left no more time for.
fn overran(action: &str, budget: Budget) -> Failure {
    let allowed = duration::render(budget.soft);
    Failure::job(format!(
        "{action} was given up after {allowed}, shortly before Lambda's time-out of the function"
    ))
    .with_hint("give the function a longer Timeout (Lambda's limit is 900 seconds), or do less in one action")
    .at_limit(Some(Limit::Time))
}

/// The failure of a step that was given up, by what bounded it.
fn given_up(action: &str, budget: Budget, token: &Token) -> Failure {
    match budget.bound {
        Bound::Timeout => {
            let allowed = token.deadline.duration_since(token.started_at);
            report::timed_out(allowed.unwrap_or_default(), &token.last)
        }
        Bound::Lambda => overran(action, budget),
    }
}

/// Reads what there is to read, does the step, and decides what to report. Never fails: every
/// error is a report.
async fn work<A: Action>(
    action: Arc<A>,
    id: JobId,
    event: Event,
    now: SystemTime,
    lambda_deadline: SystemTime,
    aws: SdkConfig,
    secrets: Secrets,
) -> Report {
    let hidden = Hidden::default();
    let times = (now, lambda_deadline);
    match attempt(&action, id, event, times, &aws, &secrets, &hidden).await {
        Ok(report) => report,
        Err(failure) => report::failed(&failure.redacted(&hidden.with(&secrets))),
    }
}

async fn attempt<A: Action>(
    action: &Arc<A>,
    id: JobId,
    event: Event,
    (now, lambda_deadline): (SystemTime, SystemTime),
    aws: &SdkConfig,
    secrets: &Secrets,
    hidden: &Hidden,
) -> Result<Report, Failure> {
    let begun = Instant::now();
    let store = towpath_aws::s3(&store_config(&event, aws));
    let encryption = sse(event.encryption_key.as_ref());
    let declared = event.outputs.names();
    let place = event
        .outputs
        .located
        .first()
        .or(event.inputs.located.first())
        .map(|artifact| artifact.location.clone());

    let previous = match &event.token {
        Some(text) => Some(resume(text, A::NAME, &store).await?),
        None => None,
    };
    let number = previous
        .as_ref()
        .map_or(1, |token| token.attempt.saturating_add(1));
    Span::current().record("attempt", number);
    let (common, compute, parameters) = parameters::parse_movable::<A::Parameters>(
        &event.user_parameters,
        &event.outputs.located,
        A::MOVABLE,
    )?;
    let token = next_token(A::NAME, &id, previous.as_ref(), number, common, now);

    // A build keeps the action's time itself, and what it has left is still to be fetched.
    let until = if compute.is_some() {
        lambda_deadline
    } else {
        token.deadline
    };
    let budget = budget::divide(now, lambda_deadline, until);
    if budget.soft.is_zero() {
        return Err(given_up(A::NAME, budget, &token));
    }
    let standing = Standing {
        origin: token.origin.clone(),
        attempt: number,
        started_at: token.started_at,
        action_deadline: token.deadline,
        deadline: begun + budget.soft,
        settings: common.settings(Settings::for_here()),
        hidden: hidden.clone(),
    };
    let user_parameters = event.user_parameters.clone();
    let job = Job::new(id, event, previous, parameters, standing, aws);
    tracing::info!(budget = %duration::render(budget.soft), "step started");

    let left = budget.hard.saturating_sub(begun.elapsed());
    let away = compute.is_some();
    // What is hidden is asked for when the step is over: it has found secrets of its own by then.
    let concluded = if let Some(compute) = compute {
        let ended = in_codebuild::<A>(compute, user_parameters, job, left).await;
        conclude(A::NAME, ended, budget, &token, &hidden.with(secrets))
    } else {
        let ended = step(Arc::clone(action), job, left).await;
        conclude(A::NAME, ended, budget, &token, &hidden.with(secrets))
    };
    let outcome = concluded.map_err(|failure| {
        if A::MOVABLE && !away {
            movable(failure, budget)
        } else {
            failure
        }
    })?;
    let outcome = outcome.redacted(&hidden.with(secrets));
    let state = match &outcome {
        Outcome::Continue { state, .. } if away => Some(state.clone()),
        _ => None,
    };
    let next = report::judge(outcome, &declared, common, token, SystemTime::now());
    if let (Next::Report(_), Some(state)) = (&next, state) {
        call_off::<A>(aws, state).await;
    }
    match next {
        Next::Report(report) => Ok(report),
        Next::Continue(token, progress) => {
            let text = keep(&token, place.as_ref(), &store, &encryption).await?;
            Ok(report::continued(text, &progress))
        }
    }
}

/// The step in CodeBuild. Whether there is one is a constant, asked outside of any future: an action that stays in its
/// function has no client of CodeBuild linked to it.
fn in_codebuild<A: Action>(
    compute: CodeBuild,
    user_parameters: String,
    job: Job<A::Parameters>,
    left: Duration,
) -> Boxed<Ended<BuildError>> {
    if !A::MOVABLE {
        unreachable!("{} takes no `compute`", A::NAME);
    }
    let action = InCodeBuild::<A> {
        action: PhantomData,
        compute,
        user_parameters,
        means: Means::of(|name| std::env::var(name).ok()),
    };
    Box::pin(step(Arc::new(action), job, left))
}

/// Ends the build that a token's state tells of.
fn call_off<A: Action>(aws: &SdkConfig, state: Value) -> Boxed<()> {
    if !A::MOVABLE {
        return Box::pin(std::future::ready(()));
    }
    let aws = aws.clone();
    Box::pin(async move { build::stop(&aws, &state).await })
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a step came to, or why it failed.
fn conclude<E: std::error::Error + Into<Failure>>(
    action: &str,
    ended: Ended<E>,
    budget: Budget,
    token: &Token,
    secrets: &Secrets,
) -> Result<Outcome, Failure> {
    match ended {
        Ended::Outcome(outcome) => Ok(outcome),
        Ended::Error(error) => {
            tracing::debug!(error = %secrets.redact(&chain(&error)), "step failed");
            Err(error.into())
        }
        Ended::Crash(error) => Err(crashed(action, error)),
        Ended::Overrun => Err(given_up(action, budget, token)),
    }
}

/// The failure of an action that a function was too small for, with the way out of it.
fn movable(failure: Failure, budget: Budget) -> Failure {
    let more = match (failure.limit, budget.bound) {
        (Some(Limit::Disk), _) => "there is more room",
        (Some(Limit::Time), Bound::Lambda) => "it may take longer",
        (Some(Limit::Time), Bound::Timeout) | (None, _) => return failure,
    };
    let way = format!("in CodeBuild {more}: compute=codebuild&project=NAME");
    let hint = match &failure.hint {
        Some(hint) => format!("{hint}; {way}"),
        None => way,
    };
    failure.with_hint(hint)
}

/// How a step ended.
pub(crate) enum Ended<E> {
    Outcome(Outcome),
    Error(E),
    Crash(JoinError),
    Overrun,
}

/// Does the step, for as long as `left`. One that is given up is not waited for: removing its
/// tree and ending its tools may take longer than the report has.
///
/// It has a thread of its own, because what it drops may block, and a worker that blocks may be
/// the one that the report's connection is served by.
pub(crate) async fn step<A: Action>(
    action: Arc<A>,
    job: Job<A::Parameters>,
    left: Duration,
) -> Ended<A::Error> {
    let (keep_on, given_up) = oneshot::channel::<()>();
    let runtime = Handle::current();
    let work = async move {
        tokio::select! {
            biased;
            ended = action.step(&job) => Some(ended),
            _ = given_up => None,
        }
    }
    .in_current_span();
    let task = tokio::task::spawn_blocking(move || runtime.block_on(Box::pin(work)));
    let ended = timeout(left, task).await;
    // Also what becomes of it when this future is dropped.
    drop(keep_on);
    match ended {
        Ok(Ok(Some(Ok(outcome)))) => Ended::Outcome(outcome),
        Ok(Ok(Some(Err(error)))) => Ended::Error(error),
        Ok(Err(error)) => Ended::Crash(error),
        Ok(Ok(None)) | Err(_) => Ended::Overrun,
    }
}

/// The token that the step would hand on, but for its state.
fn next_token(
    action: &str,
    id: &JobId,
    previous: Option<&Token>,
    attempt: u32,
    common: Common,
    now: SystemTime,
) -> Token {
    let started_at = previous.map_or(now, |token| token.started_at);
    Token {
        action: action.to_owned(),
        origin: previous.map_or_else(|| id.clone(), |token| token.origin.clone()),
        attempt,
        started_at,
        deadline: previous.map_or(now + common.timeout, |token| token.deadline),
        state: Value::Null,
        last: previous.map_or_else(String::new, |token| token.last.clone()),
    }
}

/// Reads the token of the step before, and its state if that lies elsewhere.
async fn resume(text: &str, action: &str, store: &aws_sdk_s3::Client) -> Result<Token, Failure> {
    match token::read(text, action)? {
        Read::Whole(token) => Ok(token),
        Read::Pointer { token, at, sha256 } => {
            let bytes = spill::get(store, &at).await?;
            Ok(token::complete(token, &at, &sha256, &bytes)?)
        }
    }
}

/// Makes the token's text, after putting its state elsewhere if it is too long.
async fn keep(
    token: &Token,
    place: Option<&ArtifactLocation>,
    store: &aws_sdk_s3::Client,
    encryption: &towpath_artifact::Encryption,
) -> Result<String, Failure> {
    match token::write(token, place)? {
        Written::Inline(text) => Ok(text),
        Written::Spill { token, at, bytes } => {
            spill::put(store, &at, encryption, bytes).await?;
            Ok(token)
        }
    }
}

/// The job's one line in the log.
fn log(report: &Report, started: Instant) {
    let took = started.elapsed();
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match report {
        Report::Done {
            summary, variables, ..
        } => tracing::info!(
            milliseconds,
            variables = variables.len(),
            "job succeeded: {}",
            summary.as_deref().unwrap_or("no summary")
        ),
        Report::Continue {
            summary, percent, ..
        } => tracing::info!(
            milliseconds,
            percent,
            "job continues: {}",
            summary.as_deref().unwrap_or("no summary")
        ),
        Report::Failed { kind, message, .. } => {
            tracing::warn!(milliseconds, kind = kind.as_str(), "job failed: {message}");
        }
    }
}
