//! An execution from its start to its end.

use std::time::Duration;

use serde_json::json;
use towpath_engine::{
    ActionStatus, Effect, ExecutionStatus, Failure, Input, JobSuccess, Refused, StageStatus,
};

use crate::pipeline::{Bench, lambda, parse, pipeline, source, stage, with};

fn build_and_deploy() -> serde_json::Value {
    pipeline(&[
        stage("Source", &[source()]),
        stage(
            "Commit",
            &[
                with(
                    lambda("Build"),
                    json!({"inputArtifacts": [{"name": "Source"}], "outputArtifacts": [{"name": "PackageOfThisBuild"}]}),
                ),
                lambda("Lint"),
                with(
                    lambda("Report"),
                    json!({"runOrder": 2, "inputArtifacts": [{"name": "PackageOfThisBuild"}], "roleArn": "arn:aws:iam::000000000000:role/reporter"}),
                ),
            ],
        ),
        stage("Production", &[lambda("Deploy")]),
    ])
}

#[test]
fn run_orders_follow_each_other_and_stages_too() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    assert!(bench.jobs("Build").is_empty(), "the source comes first");
    bench.fetched("abc");

    let build = bench.job("Build");
    assert_eq!(build.role_arn, "arn:aws:iam::000000000000:role/pipeline");
    assert_eq!(build.configuration["FunctionName"], "fn-Build");
    assert_eq!(build.inputs[0].revision.as_deref(), Some("abc"));
    assert_eq!(build.outputs[0].revision, None);
    let key: Vec<&str> = build.outputs[0].key.split('/').collect();
    assert_eq!(
        key[..2],
        ["hello", "PackageOfT"],
        "the name is cut at ten characters"
    );
    assert_eq!(key[2].len(), 7);

    bench.succeed("Lint");
    assert!(
        bench.jobs("Report").is_empty(),
        "its run order has not come"
    );
    bench.succeed("Build");
    let report = bench.job("Report");
    assert_eq!(report.role_arn, "arn:aws:iam::000000000000:role/reporter");
    assert_eq!(report.inputs[0].key, build.outputs[0].key);
    assert_eq!(report.inputs[0].revision, None, "only sources have one");

    bench.succeed("Report");
    bench.succeed("Deploy");
    assert_eq!(bench.status(&execution), ExecutionStatus::Succeeded);
    assert_eq!(
        bench.effects.last(),
        Some(&Effect::ExecutionEnded {
            execution,
            status: ExecutionStatus::Succeeded
        })
    );
    assert_eq!(bench.engine.next_timer(), None);
}

#[test]
fn a_failure_stops_the_stage_once_its_siblings_have_ended() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    bench.fetched("abc");
    bench.fail("Build");
    assert_eq!(
        bench.status(&execution),
        ExecutionStatus::InProgress,
        "Lint runs"
    );
    bench.succeed("Lint");
    assert_eq!(bench.status(&execution), ExecutionStatus::Failed);
    assert!(bench.jobs("Report").is_empty());
    let execution = bench.engine.execution(&execution).expect("it exists");
    let stages: Vec<_> = execution.stages.iter().map(|stage| stage.status).collect();
    assert_eq!(
        stages,
        [
            Some(StageStatus::Succeeded),
            Some(StageStatus::Failed),
            None
        ]
    );
    assert_eq!(
        bench.error("Commit", "Build"),
        ("JobFailed".into(), "broken".into())
    );
}

#[test]
fn a_job_is_reported_once() {
    let mut bench = Bench::new(&build_and_deploy());
    bench.start();
    bench.fetched("abc");
    let job = bench.job("Build").job;
    bench.succeed("Build");
    for input in [
        Input::JobSucceeded {
            job: job.clone(),
            report: JobSuccess::default(),
        },
        Input::JobFailed {
            job: job.clone(),
            failure: Failure::new("JobFailed", "late"),
        },
    ] {
        let refused = bench.feed(input).expect_err("it is settled");
        assert_eq!(
            refused.to_string(),
            format!("job {job} is not in progress any more: its status is Succeeded")
        );
    }
    let unknown = towpath_engine::JobId::from_bits(7);
    assert_eq!(
        bench.report(&unknown, JobSuccess::default()),
        Err(Refused::JobNotFound(unknown))
    );
}

#[test]
fn a_source_that_cannot_be_fetched_fails_the_execution() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    let fetch = bench.fetches().pop().expect("a fetch");
    assert_eq!(fetch.configuration["FullRepositoryId"], "team/hello");
    let input = Input::ActionFailed {
        action_execution: fetch.action_execution,
        failure: Failure::new("ConfigurationError", "no such repository"),
    };
    bench.feed(input.clone()).expect("it is awaited");
    assert_eq!(bench.status(&execution), ExecutionStatus::Failed);
    assert!(
        matches!(bench.feed(input), Err(Refused::NotWaiting(_))),
        "and only once"
    );
}

#[test]
fn a_source_that_never_answers_fails_after_an_hour() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    bench.pass(Duration::from_mins(59));
    assert_eq!(bench.status(&execution), ExecutionStatus::InProgress);
    bench.pass(Duration::from_mins(1));
    assert_eq!(bench.status(&execution), ExecutionStatus::Failed);
    assert_eq!(
        bench.error("Source", "Checkout").1,
        "the action did not end within its limit of 60 minutes"
    );
}

#[test]
fn stop_and_wait_lets_running_actions_finish() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    bench.fetched("abc");
    let stop = |abandon| Input::Stop {
        execution: execution.clone(),
        abandon,
        reason: Some("lunch".into()),
    };
    bench.feed(stop(false)).expect("it runs");
    assert_eq!(bench.status(&execution), ExecutionStatus::Stopping);
    assert_eq!(
        bench.feed(stop(false)),
        Err(Refused::StoppingAlready(execution.clone()))
    );
    bench.succeed("Build");
    bench.succeed("Lint");
    assert_eq!(bench.status(&execution), ExecutionStatus::Stopped);
    assert!(bench.jobs("Report").is_empty());
    assert!(matches!(
        bench.feed(stop(true)),
        Err(Refused::NotStoppable { .. })
    ));
    let stage = &bench
        .engine
        .execution(&execution)
        .expect("it exists")
        .stages[1];
    assert_eq!(stage.status, Some(StageStatus::Stopped));
}

#[test]
fn stop_and_abandon_leaves_running_actions_to_themselves() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    bench.fetched("abc");
    for abandon in [false, true] {
        bench
            .feed(Input::Stop {
                execution: execution.clone(),
                abandon,
                reason: None,
            })
            .expect("abandon is allowed while stopping");
    }
    assert_eq!(bench.status(&execution), ExecutionStatus::Stopped);
    assert_eq!(
        bench.log(&execution)[1..],
        [
            ("Build".into(), ActionStatus::Abandoned),
            ("Lint".into(), ActionStatus::Abandoned)
        ]
    );
    let job = bench.job("Build").job;
    assert!(matches!(
        bench.report(&job, JobSuccess::default()),
        Err(Refused::JobSettled { .. })
    ));
    assert_eq!(bench.engine.next_timer(), None);
}

#[test]
fn an_action_that_fails_while_stopping_fails_the_execution() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    bench.fetched("abc");
    bench
        .feed(Input::Stop {
            execution: execution.clone(),
            abandon: false,
            reason: None,
        })
        .expect("it runs");
    bench.fail("Build");
    bench.succeed("Lint");
    assert_eq!(bench.status(&execution), ExecutionStatus::Failed);
}

#[test]
fn a_new_definition_cancels_what_runs() {
    let mut bench = Bench::new(&build_and_deploy());
    let first = bench.start();
    bench.fetched("abc");
    let waiting = bench.start();
    bench.fetched("def");
    let definition = parse(&build_and_deploy()).expect("it is valid");
    bench
        .feed(Input::Update(Box::new(definition)))
        .expect("an update is never refused");
    assert_eq!(bench.status(&first), ExecutionStatus::Cancelled);
    assert_eq!(bench.status(&waiting), ExecutionStatus::Cancelled);
    assert_eq!(bench.engine.version(), 2);
    assert_eq!(bench.stages(), vec![(None, vec![]); 3]);
    assert_eq!(bench.jobs("Build").len(), 1, "nobody moved up");
    let third = bench.start();
    bench.fetched("ghi");
    bench.succeed("Build");
    assert_eq!(bench.status(&third), ExecutionStatus::InProgress);
}

#[test]
fn revisions_of_sources_are_told() {
    let mut bench = Bench::new(&build_and_deploy());
    let execution = bench.start();
    bench.fetched("abc");
    let execution = bench.engine.execution(&execution).expect("it exists");
    let revisions: Vec<_> = execution
        .revisions()
        .map(|(_, artifact, revision)| (artifact.name.as_str(), revision.id.as_str()))
        .collect();
    assert_eq!(revisions, [("Source", "abc")]);
}
