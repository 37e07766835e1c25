//! The Lambda side of a function: logs, and the loop over the Runtime API.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use aws_types::SdkConfig;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::action::Action;
use crate::build;
use crate::deliver::ReportError;
use crate::event::{self, JobId};
use crate::handle::handle;
use towpath_secret::Secrets;

/// How many settled jobs an environment remembers.
const REMEMBERED: usize = 64;

/// Runs an action as a Lambda function, until Lambda ends the process; in a build of CodeBuild, does
/// what it was started for, and ends.
///
/// A function that starts tools calls `towpath_tool::seal_process` first.
pub async fn run<A: Action>(action: A) -> Result<(), lambda_runtime::Error> {
    start_log();
    let action = Arc::new(action);
    let aws = towpath_aws::sdk_config();
    let secrets = Secrets::of_environment();
    if A::MOVABLE
        && let Ok(order) = std::env::var(build::ORDER)
    {
        let done = build::inside::run(action, aws, order, secrets);
        return boxed(done).await.map_err(Into::into);
    }
    let settled = Arc::new(Settled::default());
    let service = service_fn(move |event: LambdaEvent<Value>| {
        boxed(once(
            Arc::clone(&action),
            event,
            aws.clone(),
            secrets.clone(),
            Arc::clone(&settled),
        ))
    });
    boxed(lambda_runtime::run(service)).await
}

/// Handles an event, unless its job was settled here before.
async fn once<A: Action>(
    action: Arc<A>,
    event: LambdaEvent<Value>,
    aws: SdkConfig,
    secrets: Secrets,
    settled: Arc<Settled>,
) -> Result<(), ReportError> {
    let id = event::job_id(&event.payload);
    // Lambda delivers at least once. The report would be refused, so spare the work.
    if let Some(id) = id.as_ref().filter(|id| settled.contains(id)) {
        tracing::info!(job.id = %id, action = A::NAME, "the job was settled here before");
        return Ok(());
    }
    let deadline = event.context.deadline();
    handle(&action, event.payload, deadline, &aws, &secrets).await?;
    if let Some(id) = id {
        settled.insert(id);
    }
    Ok(())
}

/// Hides a future's type: those of the SDK and of the runtime nest deeper than the compiler's
/// limit on layouts, which would otherwise be every function crate's matter.
fn boxed<T>(
    future: impl Future<Output = T> + Send + 'static,
) -> Pin<Box<dyn Future<Output = T> + Send>> {
    Box::pin(future)
}

/// The jobs that this process has settled, the latest last.
#[derive(Default)]
struct Settled(Mutex<VecDeque<JobId>>);

impl Settled {
    fn contains(&self, id: &JobId) -> bool {
        self.lock().contains(id)
    }

    fn insert(&self, id: JobId) {
        let mut ids = self.lock();
        if ids.len() == REMEMBERED {
            ids.pop_front();
        }
        ids.push_back(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<JobId>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Text,
}

/// JSON in Lambda and wherever `AWS_LAMBDA_LOG_FORMAT` asks for it; text when that says so.
fn format(log_format: Option<&str>, in_lambda: bool) -> Format {
    match log_format {
        Some(format) if format.eq_ignore_ascii_case("json") => Format::Json,
        Some(format) if format.eq_ignore_ascii_case("text") => Format::Text,
        _ if in_lambda => Format::Json,
        _ => Format::Text,
    }
}

/// The filter: `AWS_LAMBDA_LOG_LEVEL` for our own code. Libraries are held at warnings, because
/// their finer levels print requests, and with them the event and credentials.
fn filter(level: Option<&str>) -> String {
    let level = match level.map(str::to_ascii_lowercase).as_deref() {
        Some("trace") => "trace",
        Some("debug") => "debug",
        Some("warn") => "warn",
        Some("error" | "fatal") => "error",
        _ => "info",
    };
    let libraries = if level == "error" { "error" } else { "warn" };
    let own = [
        "towpath",
        // What build tools print, see towpath-tool.
        "tool",
        "approve",
        "deploy_stack",
        "install_deps",
        "run_e2e",
        "test_and_package",
    ];
    // The runtime's span carries the request id. Its panic layer repeats what is logged here already.
    let libraries =
        format!("{libraries},lambda_runtime::layers::trace=info,lambda_runtime::layers::panic=off");
    // A target matches by prefix, so `towpath` stands for all the library crates.
    own.iter().fold(libraries, |filter, target| {
        format!("{filter},{target}={level}")
    })
}

/// Starts the log, and has panics logged as everything else is. Does nothing when there is a log
/// already.
fn start_log() {
    let variable = |name: &str| std::env::var(name).ok();
    let format = format(
        variable("AWS_LAMBDA_LOG_FORMAT").as_deref(),
        variable("AWS_LAMBDA_FUNCTION_NAME").is_some(),
    );
    let filter: Targets = filter(variable("AWS_LAMBDA_LOG_LEVEL").as_deref())
        .parse()
        .expect("what is put together here can be read");
    let log = fmt::layer().with_ansi(false);
    // Lambda itself puts the time beside a line of text; a JSON line carries its own.
    let log = match format {
        Format::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
        Format::Text => log.without_time().boxed(),
    };
    let started = registry().with(log.with_filter(filter)).try_init();
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            tracing::error!(
                place = place.as_deref().unwrap_or("unknown"),
                backtrace = %std::backtrace::Backtrace::force_capture(),
                "panic: {}",
                panic.payload_as_str().unwrap_or("no reason given")
            );
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_table() {
        for (given, in_lambda, expected) in [
            (None, true, Format::Json),
            (None, false, Format::Text),
            (Some("JSON"), false, Format::Json),
            (Some("Text"), true, Format::Text),
            (Some("odd"), true, Format::Json),
        ] {
            assert_eq!(format(given, in_lambda), expected, "{given:?} {in_lambda}");
        }
    }

    #[test]
    fn libraries_never_log_more_than_warnings() {
        for (level, libraries, own) in [
            (None, "warn,", "towpath=info"),
            (Some("TRACE"), "warn,", "towpath=trace"),
            (Some("DEBUG"), "warn,", "deploy_stack=debug"),
            (Some("ERROR"), "error,", "approve=error"),
            (Some("nonsense"), "warn,", "towpath=info"),
        ] {
            let got = filter(level);
            assert!(got.starts_with(libraries), "{level:?}: {got}");
            assert!(got.contains(own), "{level:?}: {got}");
            let read: Result<Targets, _> = got.parse();
            assert!(read.is_ok(), "{level:?}: {got}");
        }
    }

    #[test]
    fn the_oldest_settled_jobs_are_forgotten() {
        let settled = Settled::default();
        let id = |n: usize| JobId::new(format!("job-{n}")).unwrap();
        for n in 0..=REMEMBERED {
            settled.insert(id(n));
        }
        assert!(!settled.contains(&id(0)));
        assert!(settled.contains(&id(1)));
        assert!(settled.contains(&id(REMEMBERED)));
    }
}
