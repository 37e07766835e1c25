//! Executions that meet.

use serde_json::json;
use towpath_engine::{ExecutionStatus, Input, Refused};

use crate::pipeline::{Bench, approval, lambda, pipeline, source, stage, with};

fn document(mode: &str) -> serde_json::Value {
    with(
        pipeline(&[
            stage("Source", &[source()]),
            stage("Commit", &[lambda("Build")]),
            stage("Production", &[lambda("Deploy")]),
        ]),
        json!({"executionMode": mode}),
    )
}

#[test]
fn a_newer_execution_replaces_the_one_that_waits() {
    let mut bench = Bench::new(&document("SUPERSEDED"));
    let first = bench.start();
    bench.fetched("1");
    let second = bench.start();
    bench.fetched("2");
    assert_eq!(
        bench.stages(),
        [(None, vec![]), (Some(0), vec![1]), (None, vec![])]
    );
    let third = bench.start();
    bench.fetched("3");
    assert_eq!(
        bench.stages(),
        [(None, vec![]), (Some(0), vec![2]), (None, vec![])]
    );
    assert_eq!(
        bench.status(&first),
        ExecutionStatus::InProgress,
        "who is inside stays"
    );
    assert_eq!(bench.status(&second), ExecutionStatus::Superseded);
    let second = bench.engine.execution(&second).expect("it exists");
    assert_eq!(
        second.summary,
        Some(format!("superseded by execution {third}"))
    );

    bench.succeed("Build");
    assert_eq!(
        bench.stages(),
        [(None, vec![]), (Some(2), vec![]), (Some(0), vec![])]
    );
    bench.succeed("Deploy");
    bench.succeed("Build");
    bench.succeed("Deploy");
    assert_eq!(bench.status(&first), ExecutionStatus::Succeeded);
    assert_eq!(bench.status(&third), ExecutionStatus::Succeeded);
}

#[test]
fn a_failure_lets_the_next_one_in() {
    let mut bench = Bench::new(&document("SUPERSEDED"));
    bench.start();
    bench.fetched("1");
    let second = bench.start();
    bench.fetched("2");
    bench.fail("Build");
    assert_eq!(bench.stages()[1], (Some(1), vec![]));
    assert_eq!(bench.job("Build").execution, second);
}

#[test]
fn a_stopped_execution_leaves_its_place_in_the_queue() {
    let mut bench = Bench::new(&document("SUPERSEDED"));
    bench.start();
    bench.fetched("1");
    let second = bench.start();
    bench.fetched("2");
    bench
        .feed(Input::Stop {
            execution: second.clone(),
            abandon: false,
            reason: None,
        })
        .expect("it waits");
    assert_eq!(bench.status(&second), ExecutionStatus::Stopped);
    assert_eq!(bench.stages()[1], (Some(0), vec![]));
}

#[test]
fn the_stage_stays_locked_while_an_approval_waits() {
    let mut bench = Bench::new(&pipeline(&[
        stage("Source", &[source()]),
        stage("Approve", &[approval("Gate")]),
    ]));
    bench.start();
    bench.fetched("1");
    bench.start();
    bench.fetched("2");
    assert_eq!(bench.stages()[1], (Some(0), vec![1]));
    assert_eq!(bench.requests().len(), 1);
    bench.decide(false).expect("it waits");
    assert_eq!(bench.stages()[1], (Some(1), vec![]));
    assert_eq!(bench.requests().len(), 2);
}

#[test]
fn queued_executions_wait_in_order() {
    let mut bench = Bench::new(&document("QUEUED"));
    bench.start();
    bench.fetched("1");
    for revision in ["2", "3"] {
        bench.start();
        bench.fetched(revision);
    }
    assert_eq!(bench.stages()[1], (Some(0), vec![1, 2]));
    bench.fail("Build");
    assert_eq!(bench.stages()[1], (Some(1), vec![2]));
}

#[test]
fn parallel_executions_do_not_meet_and_run_five_actions_each() {
    let actions: Vec<_> = (0..7).map(|index| lambda(&format!("A{index}"))).collect();
    let mut bench = Bench::new(&with(
        pipeline(&[stage("Source", &[source()]), stage("Work", &actions)]),
        json!({"executionMode": "PARALLEL"}),
    ));
    bench.start();
    bench.fetched("1");
    bench.start();
    bench.fetched("2");
    let begun = |bench: &Bench| {
        (0..7)
            .map(|i| bench.jobs(&format!("A{i}")).len())
            .sum::<usize>()
    };
    assert_eq!(begun(&bench), 10);
    bench.succeed("A0");
    assert_eq!(begun(&bench), 11);
    assert_eq!(bench.stages(), vec![(None, vec![]); 2]);
}

#[test]
fn fifty_executions_are_the_limit() {
    let mut bench = Bench::new(&document("QUEUED"));
    for _ in 0..50 {
        bench.start();
    }
    assert_eq!(bench.start_with(&[]), Err(Refused::TooManyExecutions(50)));
}
