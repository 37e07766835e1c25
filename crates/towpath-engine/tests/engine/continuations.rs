//! Functions that report with a token, and functions that do not report.

use std::time::Duration;

use towpath_engine::{ExecutionStatus, JobStatus, JobSuccess, Refused, Settings};

use crate::pipeline::{Bench, lambda, pipeline, source, stage};

fn bench() -> Bench {
    let mut bench = Bench::with_settings(
        &pipeline(&[
            stage("Source", &[source()]),
            stage("Work", &[lambda("Build")]),
        ]),
        Settings {
            reinvocation_interval: Duration::from_secs(30),
            ..Settings::default()
        },
    );
    bench.start();
    bench.fetched("abc");
    bench
}

fn token(token: &str) -> JobSuccess {
    JobSuccess {
        continuation: Some(token.into()),
        summary: Some(format!("at {token}")),
        percent_complete: Some(50),
        ..JobSuccess::default()
    }
}

#[test]
fn a_token_makes_a_new_job_after_the_interval() {
    let mut bench = bench();
    let first = bench.job("Build");
    assert_eq!(first.continuation, None);
    bench
        .report(&first.job, token("one"))
        .expect("it is awaited");
    bench.pass(Duration::from_secs(29));
    assert_eq!(bench.jobs("Build").len(), 1, "the interval is not over");
    bench.pass(Duration::from_secs(1));
    let second = bench.job("Build");
    assert_ne!(second.job, first.job);
    assert_eq!(second.continuation.as_deref(), Some("one"));
    assert_eq!(second.action_execution, first.action_execution);
    assert_eq!(
        second.outputs, first.outputs,
        "the place of the artifact stays"
    );
    assert_eq!(
        bench.report(&first.job, JobSuccess::default()),
        Err(Refused::JobSettled {
            job: first.job.clone(),
            status: JobStatus::Succeeded
        }),
        "a report on the first job is a repetition"
    );
    let run = bench.engine.latest_run("Work", "Build").expect("it runs");
    assert_eq!(
        (run.summary.as_deref(), run.percent_complete),
        (Some("at one"), Some(50))
    );
    bench
        .report(&second.job, JobSuccess::default())
        .expect("it is awaited");
    let run = bench.engine.latest_run("Work", "Build").expect("it ran");
    assert_eq!(run.jobs.len(), 2);
    assert_eq!(
        bench.engine.executions()[0].status,
        ExecutionStatus::Succeeded
    );
}

#[test]
fn no_interval_at_all_is_an_interval_too() {
    let mut bench = bench_without_interval();
    let first = bench.job("Build");
    bench
        .report(&first.job, token("one"))
        .expect("it is awaited");
    bench.pass(Duration::ZERO);
    assert_eq!(bench.jobs("Build").len(), 2);
}

fn bench_without_interval() -> Bench {
    let mut bench = Bench::with_settings(
        &pipeline(&[
            stage("Source", &[source()]),
            stage("Work", &[lambda("Build")]),
        ]),
        Settings {
            reinvocation_interval: Duration::ZERO,
            ..Settings::default()
        },
    );
    bench.start();
    bench.fetched("abc");
    bench
}

#[test]
fn silence_fails_the_action_after_twenty_minutes_and_a_report_begins_them_anew() {
    let mut bench = bench();
    bench.pass(Duration::from_mins(19));
    let first = bench.job("Build");
    bench
        .report(&first.job, token("one"))
        .expect("it is awaited");
    bench.pass(Duration::from_mins(19));
    assert_eq!(
        bench.engine.executions()[0].status,
        ExecutionStatus::InProgress
    );
    bench.pass(Duration::from_mins(2));
    assert_eq!(bench.engine.executions()[0].status, ExecutionStatus::Failed);
    assert_eq!(
        bench.error("Work", "Build"),
        (
            "JobFailed".into(),
            "The AWS Lambda function fn-Build failed to return a result. Check the function to verify that it has permission to call the PutJobSuccessResult action and that it made a call to PutJobSuccessResult.".into()
        )
    );
    let late = bench.job("Build").job;
    assert_eq!(
        bench.report(&late, JobSuccess::default()),
        Err(Refused::JobSettled {
            job: late,
            status: JobStatus::TimedOut
        })
    );
}

#[test]
fn an_action_that_goes_on_and_on_ends_after_a_day() {
    let mut bench = bench();
    for _ in 0..=24 * 6 {
        let job = bench.job("Build").job;
        if bench.report(&job, token("again")).is_err() {
            break;
        }
        bench.pass(Duration::from_mins(10));
    }
    assert_eq!(bench.engine.executions()[0].status, ExecutionStatus::Failed);
    assert_eq!(
        bench.error("Work", "Build").1,
        "the action did not end within its limit of 1440 minutes"
    );
}
