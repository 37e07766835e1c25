//! Variables on their way from one action to another.

use std::collections::BTreeMap;

use serde_json::json;
use towpath_engine::{ExecutionStatus, JobSuccess, Refused};

use crate::pipeline::{Bench, lambda, pipeline, source, stage, with};

fn document() -> serde_json::Value {
    with(
        pipeline(&[
            stage("Source", &[source()]),
            stage(
                "Work",
                &[
                    with(lambda("Build"), json!({"namespace": "Built"})),
                    with(
                        lambda("Deploy"),
                        json!({"runOrder": 2, "configuration": {
                            "FunctionName": "f",
                            "UserParameters": "url=#{Built.Url}&commit=#{Src.CommitId}&to=#{variables.TARGET}&run=#{codepipeline.PipelineExecutionId}",
                        }}),
                    ),
                ],
            ),
        ]),
        json!({"variables": [{"name": "TARGET"}, {"name": "COLOUR", "defaultValue": "blue"}]}),
    )
}

#[test]
fn a_reference_is_replaced_by_what_the_earlier_action_reported() {
    let mut bench = Bench::new(&document());
    let execution = bench.start_with(&[("TARGET", "prod")]).expect("it starts");
    bench.fetched("abc");
    let job = bench.job("Build").job;
    let url = "x".repeat(2000);
    bench
        .report(
            &job,
            JobSuccess {
                variables: BTreeMap::from([("Url".into(), url.clone())]),
                ..JobSuccess::default()
            },
        )
        .expect("it is awaited");
    assert_eq!(
        bench.job("Deploy").configuration["UserParameters"],
        format!("url={url}&commit=abc&to=prod&run={execution}"),
        "a resolved value may be longer than a declared one"
    );
    let execution = bench.engine.execution(&execution).expect("it exists");
    assert_eq!(execution.variables["COLOUR"], "blue");
}

#[test]
fn a_variable_that_nobody_set_fails_the_action_and_is_named() {
    let mut bench = Bench::new(&document());
    let execution = bench.start_with(&[("TARGET", "prod")]).expect("it starts");
    bench.fetched("abc");
    let job = bench.job("Build").job;
    bench
        .report(
            &job,
            JobSuccess {
                variables: BTreeMap::from([("Uri".into(), "x".into())]),
                ..JobSuccess::default()
            },
        )
        .expect("it is awaited");
    assert_eq!(bench.status(&execution), ExecutionStatus::Failed);
    assert!(bench.jobs("Deploy").is_empty());
    assert_eq!(
        bench.error("Work", "Deploy"),
        (
            "ConfigurationError".into(),
            "configuration `UserParameters` refers to `#{Built.Url}`, but the action with namespace `Built` set no variable `Url`; it set: Uri".into()
        )
    );
}

#[test]
fn a_configuration_that_grows_too_large_fails_the_action() {
    let mut bench = Bench::new(&document());
    bench.start_with(&[("TARGET", "prod")]).expect("it starts");
    bench.fetched("abc");
    let job = bench.job("Build").job;
    bench
        .report(
            &job,
            JobSuccess {
                variables: BTreeMap::from([("Url".into(), "x".repeat(110_000))]),
                ..JobSuccess::default()
            },
        )
        .expect("it is awaited");
    let (code, message) = bench.error("Work", "Deploy");
    assert_eq!(code, "ConfigurationError");
    assert!(message.contains("the limit is 102400"), "{message}");
}

#[test]
fn pipeline_variables_are_given_or_have_a_default() {
    let mut bench = Bench::new(&document());
    for (given, expected) in [
        (&[][..], Refused::MissingVariable("TARGET".into())),
        (
            &[("TARGET", "x"), ("SHAPE", "round")][..],
            Refused::UnknownVariable("SHAPE".into()),
        ),
    ] {
        assert_eq!(bench.start_with(given), Err(expected));
    }
    assert!(
        bench.engine.executions().is_empty(),
        "a refused start leaves nothing"
    );
}
