//! A stage tried again.

use serde_json::json;
use towpath_engine::definition::RetryMode;
use towpath_engine::{ActionStatus, ExecutionId, ExecutionStatus, Input, Refused, RetryRequest};

use crate::pipeline::{Bench, lambda, parse, pipeline, source, stage, with};

fn document() -> serde_json::Value {
    pipeline(&[
        stage("Source", &[source()]),
        stage("Work", &[lambda("Build"), lambda("Lint")]),
        stage("Production", &[lambda("Deploy")]),
    ])
}

fn retry(execution: &ExecutionId, mode: RetryMode) -> Input {
    Input::Retry(RetryRequest {
        execution: execution.clone(),
        stage: "Work".into(),
        mode,
    })
}

#[test]
fn failed_actions_run_again_and_the_execution_goes_on() {
    for (mode, lints) in [(RetryMode::FailedActions, 1), (RetryMode::AllActions, 2)] {
        let mut bench = Bench::new(&document());
        let execution = bench.start();
        bench.fetched("abc");
        bench.succeed("Lint");
        bench.fail("Build");
        bench.feed(retry(&execution, mode)).expect("it failed");
        assert_eq!(bench.status(&execution), ExecutionStatus::InProgress);
        assert_eq!(bench.jobs("Build").len(), 2, "{mode:?}");
        assert_eq!(bench.jobs("Lint").len(), lints, "{mode:?}");
        let [first, second] = bench.jobs("Build").try_into().expect("two jobs");
        assert_ne!(first.action_execution, second.action_execution);
        if mode == RetryMode::AllActions {
            bench.succeed("Lint");
        }
        bench.succeed("Build");
        bench.succeed("Deploy");
        assert_eq!(bench.status(&execution), ExecutionStatus::Succeeded);
    }
}

#[test]
fn a_failed_action_may_be_retried_while_its_sibling_runs() {
    let mut bench = Bench::new(&document());
    let execution = bench.start();
    bench.fetched("abc");
    bench.fail("Build");
    assert!(matches!(
        bench.feed(retry(&execution, RetryMode::AllActions)),
        Err(Refused::NotRetryable {
            why: "all actions can be retried only when none is in progress",
            ..
        })
    ));
    bench
        .feed(retry(&execution, RetryMode::FailedActions))
        .expect("it failed");
    bench.succeed("Lint");
    bench.succeed("Build");
    assert_eq!(bench.jobs("Deploy").len(), 1);
}

#[test]
fn a_stopped_stage_may_be_retried() {
    let mut bench = Bench::new(&document());
    let execution = bench.start();
    bench.fetched("abc");
    bench.succeed("Lint");
    bench
        .feed(Input::Stop {
            execution: execution.clone(),
            abandon: true,
            reason: None,
        })
        .expect("it runs");
    bench
        .feed(retry(&execution, RetryMode::FailedActions))
        .expect("it was stopped");
    assert_eq!(
        bench.log(&execution)[1..],
        [
            ("Build".into(), ActionStatus::Abandoned),
            ("Lint".into(), ActionStatus::Succeeded),
            ("Build".into(), ActionStatus::InProgress),
        ]
    );
}

#[test]
fn what_cannot_be_retried_is_told_why() {
    let mut bench = Bench::new(&document());
    let first = bench.start();
    bench.fetched("abc");
    assert_eq!(
        bench
            .feed(retry(&first, RetryMode::FailedActions))
            .expect_err("nothing failed")
            .to_string(),
        "stage `Work` cannot be retried: the stage contains no failed actions"
    );
    bench.fail("Build");
    bench.fail("Lint");
    bench.start();
    bench.fetched("def");
    assert_eq!(
        bench.feed(retry(&first, RetryMode::FailedActions)),
        Err(Refused::NotLatest("Work".into()))
    );
    bench.fail("Build");
    bench.fail("Lint");
    let second = bench.engine.executions()[1].id.clone();
    let definition = parse(&document()).expect("it is valid");
    bench
        .feed(Input::Update(Box::new(definition)))
        .expect("an update is never refused");
    assert_eq!(
        bench
            .feed(retry(&second, RetryMode::FailedActions))
            .expect_err("the structure changed")
            .to_string(),
        "stage `Work` cannot be retried: the pipeline has been changed since the execution began"
    );
}

#[test]
fn an_automatic_retry_happens_once() {
    let mut document = document();
    document["stages"][1] = with(
        document["stages"][1].clone(),
        json!({"onFailure": {"result": "RETRY", "retryConfiguration": {"retryMode": "FAILED_ACTIONS"}}}),
    );
    let mut bench = Bench::new(&document);
    let execution = bench.start();
    bench.fetched("abc");
    bench.succeed("Lint");
    bench.fail("Build");
    assert_eq!(bench.status(&execution), ExecutionStatus::InProgress);
    bench.fail("Build");
    assert_eq!(bench.status(&execution), ExecutionStatus::Failed);
    assert_eq!(
        (bench.jobs("Build").len(), bench.jobs("Lint").len()),
        (2, 1)
    );
    let stage = &bench
        .engine
        .execution(&execution)
        .expect("it exists")
        .stages[1];
    assert_eq!((stage.automatic_retries, stage.manual_retries), (1, 0));
}
