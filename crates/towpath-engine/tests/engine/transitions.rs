//! Links between stages that people disable and enable.

use serde_json::json;
use towpath_engine::TransitionEnd::{Inbound, Outbound};
use towpath_engine::definition::RetryMode;
use towpath_engine::{
    ExecutionStatus, Input, Refused, RetryRequest, Transition, TransitionChange, TransitionEnd,
};

use crate::pipeline::{Bench, lambda, parse, pipeline, source, stage, with};

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

fn change(stage: &str, end: TransitionEnd, disabled: Option<&str>) -> Input {
    Input::ChangeTransition(TransitionChange {
        stage: stage.into(),
        end,
        disabled: disabled.map(str::to_owned),
        by: Some("someone".into()),
    })
}

fn disable(bench: &mut Bench, stage: &str, end: TransitionEnd) {
    bench
        .feed(change(stage, end, Some("not now")))
        .expect("the stage exists");
}

fn enable(bench: &mut Bench, stage: &str, end: TransitionEnd) {
    bench
        .feed(change(stage, end, None))
        .expect("the stage exists");
}

#[test]
fn either_end_of_a_link_holds_executions_before_the_stage() {
    let both = [("Commit", Inbound), ("Source", Outbound)];
    for (disabled, enabled, entered) in [
        (&[][..], &[][..], true),
        (&both[..1], &[], false),
        (&both[1..], &[], false),
        (&both[..1], &both[..1], true),
        (&both[1..], &both[1..], true),
        // The ends are apart: what disables one is not undone at the other.
        (&both[..1], &both[1..], false),
        (&both, &both[..1], false),
        (&both, &both[1..], false),
        (&both, &both, true),
        // Ends of other links.
        (&[("Commit", Outbound)], &[], true),
        (&[("Source", Inbound)], &[("Source", Inbound)], true),
        (&[("Production", Outbound)], &[], true),
    ] {
        let case = format!("disabled {disabled:?}, then enabled {enabled:?}");
        let mut bench = Bench::new(&document("SUPERSEDED"));
        for &(stage, end) in disabled {
            disable(&mut bench, stage, end);
        }
        let execution = bench.start();
        if disabled != [("Source", Inbound)] {
            bench.fetched("1");
        }
        for &(stage, end) in enabled {
            enable(&mut bench, stage, end);
        }
        if disabled == [("Source", Inbound)] {
            bench.fetched("1");
        }
        assert_eq!(bench.status(&execution), ExecutionStatus::InProgress);
        let expected = if entered {
            (Some(0), vec![])
        } else {
            (None, vec![0])
        };
        assert_eq!(bench.stages()[1], expected, "{case}");
        assert_eq!(bench.jobs("Build").len(), usize::from(entered), "{case}");
    }
}

#[test]
fn enabling_lets_in_whom_the_mode_allows() {
    for (mode, held, after) in [
        ("SUPERSEDED", vec![2], (Some(2), vec![])),
        ("QUEUED", vec![0, 1, 2], (Some(0), vec![1, 2])),
        ("PARALLEL", vec![0, 1, 2], (None, vec![])),
    ] {
        let mut bench = Bench::new(&document(mode));
        disable(&mut bench, "Commit", Inbound);
        let executions = ["1", "2", "3"].map(|revision| {
            let execution = bench.start();
            bench.fetched(revision);
            execution
        });
        assert_eq!(bench.stages()[1], (None, held), "{mode}");
        if mode == "SUPERSEDED" {
            assert_eq!(bench.status(&executions[0]), ExecutionStatus::Superseded);
            assert_eq!(bench.engine.next_timer(), None, "it may wait for ever");
        }
        enable(&mut bench, "Commit", Inbound);
        assert_eq!(bench.stages()[1], after, "{mode}");
        let entered = if mode == "PARALLEL" { 3 } else { 1 };
        assert_eq!(bench.jobs("Build").len(), entered, "{mode}");
    }
}

#[test]
fn whoever_is_inside_stays_and_may_be_retried_and_the_next_one_waits() {
    let mut bench = Bench::new(&document("SUPERSEDED"));
    let first = bench.start();
    bench.fetched("1");
    let second = bench.start();
    bench.fetched("2");
    disable(&mut bench, "Commit", Inbound);
    assert_eq!(bench.stages()[1], (Some(0), vec![1]));
    bench.fail("Build");
    assert_eq!(bench.stages()[1], (None, vec![1]), "nobody moves up");
    bench
        .feed(Input::Retry(RetryRequest {
            execution: first.clone(),
            stage: "Commit".into(),
            mode: RetryMode::FailedActions,
        }))
        .expect("it failed, and nobody has been in the stage since");
    bench.succeed("Build");
    bench.succeed("Deploy");
    assert_eq!(bench.status(&first), ExecutionStatus::Succeeded);
    assert_eq!(bench.stages()[1], (None, vec![1]));
    bench
        .feed(Input::Stop {
            execution: second.clone(),
            abandon: false,
            reason: None,
        })
        .expect("who waits can be stopped");
    assert_eq!(bench.status(&second), ExecutionStatus::Stopped);
    enable(&mut bench, "Commit", Inbound);
    assert_eq!(bench.stages()[1], (None, vec![]));
}

#[test]
fn a_link_belongs_to_the_pipeline_and_outlives_its_definition() {
    let mut bench = Bench::new(&document("SUPERSEDED"));
    disable(&mut bench, "Production", Inbound);
    let held = bench.start();
    bench.fetched("1");
    bench.succeed("Build");
    let definition = parse(&document("QUEUED")).expect("it is valid");
    bench
        .feed(Input::Update(Box::new(definition)))
        .expect("an update is never refused");
    assert_eq!(bench.status(&held), ExecutionStatus::Cancelled);
    bench.start();
    bench.fetched("2");
    bench.succeed("Build");
    assert_eq!(bench.stages()[2], (None, vec![1]));
}

#[test]
fn the_link_tells_why_and_by_whom() {
    let mut bench = Bench::new(&document("SUPERSEDED"));
    let into = |bench: &Bench, stage| {
        bench
            .engine
            .stages()
            .nth(stage)
            .and_then(|stage| stage.transition.cloned())
    };
    assert_eq!(into(&bench, 2), None);
    let expected = |bench: &Bench, disabled: Option<&str>| {
        Some(Transition {
            disabled: disabled.map(str::to_owned),
            changed: bench.now,
            by: Some("someone".into()),
        })
    };
    for (end, disabled) in [
        (("Production", Inbound), Some("freeze")),
        (("Production", Inbound), Some("still frozen")),
        (("Production", Inbound), None),
        (("Commit", Outbound), Some("tests")),
        (("Commit", Outbound), None),
    ] {
        bench.pass(std::time::Duration::from_secs(1));
        bench
            .feed(change(end.0, end.1, disabled))
            .expect("the stage exists");
        assert_eq!(into(&bench, 2), expected(&bench, disabled), "{end:?}");
    }
    assert_eq!(
        bench.feed(change("Nowhere", Inbound, None)),
        Err(Refused::StageNotFound("Nowhere".into()))
    );
}
