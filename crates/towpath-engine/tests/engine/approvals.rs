//! A person's button.

use std::time::Duration;

use serde_json::json;
use towpath_engine::{ApprovalToken, ExecutionStatus, Input, Refused};

use crate::pipeline::{Bench, approval, lambda, pipeline, source, stage, with};

fn bench() -> Bench {
    let mut bench = Bench::new(&pipeline(&[
        stage("Source", &[source()]),
        stage(
            "Approve",
            &[with(
                approval("Gate"),
                json!({"timeoutInMinutes": 60, "configuration": {"CustomData": "deploy #{Src.CommitId}?"}}),
            )],
        ),
        stage("Production", &[lambda("Deploy")]),
    ]));
    bench.start();
    bench.fetched("abc");
    bench
}

#[test]
fn an_approval_opens_the_next_stage() {
    let mut bench = bench();
    let request = bench.requests().pop().expect("it is asked for");
    assert_eq!(request.configuration["CustomData"], "deploy abc?");
    assert_eq!(request.expires, bench.now + Duration::from_hours(1));
    assert!(bench.jobs("Deploy").is_empty());
    bench.decide(true).expect("it waits");
    assert_eq!(bench.jobs("Deploy").len(), 1);
    assert_eq!(bench.decide(true), Err(Refused::AlreadyAnswered));
    assert_eq!(bench.decide(false), Err(Refused::AlreadyAnswered));
    let run = bench.engine.latest_run("Approve", "Gate").expect("it ran");
    assert_eq!(run.summary.as_deref(), Some("because"));
    assert_eq!(run.updated_by.as_deref(), Some("someone"));
}

#[test]
fn a_rejection_fails_the_execution_and_says_why() {
    let mut bench = bench();
    bench.decide(false).expect("it waits");
    assert_eq!(bench.engine.executions()[0].status, ExecutionStatus::Failed);
    assert_eq!(
        bench.error("Approve", "Gate"),
        (
            "Rejected".into(),
            "the approval was rejected: because".into()
        )
    );
}

#[test]
fn an_approval_expires() {
    let mut bench = bench();
    bench.pass(Duration::from_hours(1));
    assert_eq!(bench.engine.executions()[0].status, ExecutionStatus::Failed);
    assert_eq!(
        bench.error("Approve", "Gate"),
        (
            "ApprovalExpired".into(),
            "nobody answered the approval within 60 minutes".into()
        )
    );
    assert_eq!(bench.decide(true), Err(Refused::InvalidToken));
}

#[test]
fn an_answer_names_its_stage_its_action_and_its_token() {
    let mut bench = bench();
    let token = bench.requests().pop().expect("it is asked for").token;
    for (stage, action, token, expected) in [
        (
            "Nowhere",
            "Gate",
            token.clone(),
            Refused::StageNotFound("Nowhere".into()),
        ),
        (
            "Approve",
            "Door",
            token.clone(),
            Refused::ActionNotFound {
                stage: "Approve".into(),
                action: "Door".into(),
            },
        ),
        ("Production", "Deploy", token, Refused::InvalidToken),
        (
            "Approve",
            "Gate",
            ApprovalToken::from_bits(1),
            Refused::InvalidToken,
        ),
    ] {
        let result = bench.feed(Input::Answer(towpath_engine::ApprovalAnswer {
            stage: stage.into(),
            action: action.into(),
            token,
            approved: true,
            summary: String::new(),
            by: None,
        }));
        assert_eq!(result, Err(expected), "{stage}/{action}");
    }
    bench.decide(true).expect("it still waits");
}

#[test]
fn an_abandoned_approval_cannot_be_answered() {
    let mut bench = bench();
    let execution = bench.engine.executions()[0].id.clone();
    bench
        .feed(Input::Stop {
            execution,
            abandon: true,
            reason: None,
        })
        .expect("it runs");
    assert_eq!(bench.decide(true), Err(Refused::InvalidToken));
}
