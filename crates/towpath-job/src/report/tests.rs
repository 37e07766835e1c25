//! What follows from which outcome.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::event::JobId;
use crate::outcome::Receipt;

fn token(attempt: u32) -> Token {
    let started_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    Token {
        action: "deploy-stack".to_owned(),
        origin: JobId::new("first").unwrap(),
        attempt,
        started_at,
        deadline: started_at + Duration::from_mins(10),
        state: serde_json::Value::Null,
        last: String::new(),
    }
}

fn at(seconds: u64) -> SystemTime {
    token(1).started_at + Duration::from_secs(seconds)
}

fn common(attempts: Option<u64>) -> Common {
    Common {
        timeout: Duration::from_mins(10),
        attempts,
        threads: None,
        connections: None,
        level: None,
    }
}

fn waiting() -> Outcome {
    Outcome::Continue {
        state: json!({"stack": "app"}),
        progress: Progress {
            percent: Some(140),
            ..Progress::new("UPDATE_IN_PROGRESS")
        },
    }
}

#[test]
fn success_needs_every_receipt() {
    let done = |receipts: &[&str]| Outcome::Done {
        summary: "ok".to_owned(),
        variables: Variables::new(),
        receipts: receipts
            .iter()
            .map(|name| Receipt::published(*name, 0))
            .collect(),
        external_id: Some("build-1".to_owned()),
    };
    for (declared, receipts, expected) in [
        (&[][..], &[][..], None),
        (&["A"], &["A"], None),
        (&["A", "B", "C"], &["B"], Some("output artifact `A`, `C`")),
    ] {
        let names: Vec<String> = declared.iter().map(ToString::to_string).collect();
        let next = judge(done(receipts), &names, common(None), token(1), at(1));
        match (next, expected) {
            (
                Next::Report(Report::Done {
                    summary,
                    external_id,
                    ..
                }),
                None,
            ) => {
                assert_eq!(summary.as_deref(), Some("ok"));
                assert_eq!(external_id.as_deref(), Some("build-1"));
            }
            (Next::Report(Report::Failed { kind, message, .. }), Some(part)) => {
                assert_eq!(kind, FailureType::JobFailed);
                assert!(message.contains(part), "{message}");
            }
            (next, _) => panic!("{declared:?} with {receipts:?}: {next:?}"),
        }
    }
}

#[test]
fn continuing_is_bounded_by_timeout_and_attempts() {
    for (case, attempt, attempts, now, expected) in [
        ("in time", 1, None, 1, None),
        ("just in time", 7, None, 599, None),
        (
            "too late",
            7,
            None,
            600,
            Some("not finished after 10m, which is its timeout: UPDATE_IN_PROGRESS"),
        ),
        ("steps left", 2, Some(3), 1, None),
        (
            "no steps left",
            3,
            Some(3),
            1,
            Some("not finished after 3 steps"),
        ),
    ] {
        match (
            judge(waiting(), &[], common(attempts), token(attempt), at(now)),
            expected,
        ) {
            (Next::Continue(token, _), None) => {
                assert_eq!(token.state, json!({"stack": "app"}), "{case}");
                assert_eq!(token.attempt, attempt, "{case}");
                assert_eq!(token.last, "UPDATE_IN_PROGRESS", "{case}");
            }
            (Next::Report(Report::Failed { message, .. }), Some(part)) => {
                assert!(message.contains(part), "{case}: {message}");
            }
            (next, _) => panic!("{case}: {next:?}"),
        }
    }
}

#[test]
fn details_are_within_the_limits() {
    let progress = Progress {
        percent: Some(140),
        summary: "x".repeat(5_000),
        external_id: Some("i".repeat(2_000)),
    };
    let Report::Continue {
        summary,
        percent,
        external_id,
        ..
    } = continued("t".to_owned(), &progress)
    else {
        panic!("a continuation");
    };
    assert_eq!(percent, Some(100));
    assert_eq!(text::length(&external_id.unwrap()), limits::EXTERNAL_ID);
    assert_eq!(text::length(&summary.unwrap()), limits::SUMMARY);
    assert_eq!(clip(" \n"), None);
    let failure = Failure::job("x").with_external_id("i".repeat(2_000));
    let Report::Failed { external_id, .. } = failed(&failure) else {
        panic!("a failure");
    };
    assert_eq!(text::length(&external_id.unwrap()), limits::EXTERNAL_ID);
}
