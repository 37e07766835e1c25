//! Actions that run in CodeBuild: the same outputs and the same words as from the function, one build whatever
//! happens twice, and an end to it in time.

use std::time::Duration;

use serde_json::json;
use towpath_loopback::{Cut, FaultKind, FaultRule, FaultWhen};
use towpath_tests::{Action, Setup, Tree, World};

const PROJECT: &str = "arn:aws:codebuild:us-east-1:000000000000:project/big";

/// A world with a build project, which the functions may start builds of and nothing else.
async fn world(change: impl FnOnce(Setup) -> Setup) -> World {
    let program = env!("CARGO_BIN_EXE_towpath-under-test");
    let setup = Setup::new(program)
        .allow(
            &[
                "codebuild:StartBuild",
                "codebuild:BatchGetBuilds",
                "codebuild:StopBuild",
            ],
            PROJECT,
        )
        .allow(
            &["s3:GetObject", "s3:PutObject"],
            "arn:aws:s3:::work/builds/*",
        )
        .allow(&["s3:ListBucket"], "arn:aws:s3:::work")
        .variable("BUILD_BUCKET", "work")
        .variable("BUILD_PROJECTS", "big,nowhere")
        .settings(|settings| settings.build_minute = Duration::from_secs(1));
    let world = change(setup).start().await;
    let statements = json!([
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::work/builds/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::work"},
    ]);
    let template = json!({"Resources": {
        "Work": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "work"}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "RoleName": "builds",
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"Service": "codebuild.amazonaws.com"},
            }]},
            "Policies": [{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}],
        }},
        "Project": {"Type": "AWS::CodeBuild::Project", "Properties": {
            "Name": "big",
            "ServiceRole": {"Fn::GetAtt": ["Role", "Arn"]},
            "TimeoutInMinutes": 60,
            "Source": {"Type": "NO_SOURCE", "BuildSpec": format!(
                "version: 0.2\nphases:\n  build:\n    commands:\n      - '\"{program}\" function \"$TOWPATH_ACTION\"'\n"
            )},
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": {"Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": "any:1"},
        }},
    }});
    world
        .cloudformation
        .create_stack()
        .stack_name("builds")
        .template_body(template.to_string())
        .capabilities("CAPABILITY_NAMED_IAM".into())
        .send()
        .await
        .expect("a stack");
    loop {
        let (status, reason) = world.stack("builds").await.expect("the stack");
        match status.as_str() {
            "CREATE_COMPLETE" => return world,
            "CREATE_IN_PROGRESS" => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => panic!("the stack is {status}: {reason}"),
        }
    }
}

fn same(setup: Setup) -> Setup {
    setup
}

fn tree() -> Tree {
    Tree::new()
        .file("src/index.js", "exports.answer = 42;\n".repeat(2_000))
        .file(
            "build.sh",
            "mkdir dist && cp -r src dist/ && echo $GREETING > dist/greeting && echo built\n",
        )
}

fn package(more: &str) -> Action {
    Action::of(
        "test-and-package",
        &format!("command=sh+build.sh&Env.GREETING=hello&Package=dist{more}"),
    )
    .makes("Package")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outputs_are_the_same_bytes_as_from_the_function() {
    let world = world(same).await;
    let there = world
        .act(&tree(), package("&compute=codebuild&project=big"))
        .await;
    let here = world.act(&tree(), package("")).await;
    let summary = there.succeeded().summary.clone().unwrap_or_default();
    assert!(
        summary.contains("CodeBuild big:")
            && summary.contains("/aws/codebuild/big".replace('/', "$252F").as_str()),
        "{summary}"
    );
    assert_eq!(world.loopback().builds().len(), 1);
    let (there, here) = (
        world.artifact(&there, "Package").await,
        world.artifact(here.succeeded(), "Package").await,
    );
    assert!(there == here, "{} bytes, {} bytes", there.len(), here.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_has_the_actions_own_words() {
    let world = world(same).await;
    let failing = Tree::new().file("build.sh", "echo one is not two; exit 3\n");
    let action = package("&compute=codebuild&project=big");
    let done = world.act(&failing, action).await;
    let message = done.failed(
        "JobFailed",
        &[
            "failed with exit code 3",
            "one is not two",
            "in CodeBuild big:",
        ],
    );
    assert!(!message.contains("s3://work"), "{message}");
    for (parameters, code, words) in [
        (
            "&compute=codebuild&project=small",
            "ConfigurationError",
            "`small` is not one of",
        ),
        (
            "&compute=codebuild&project=nowhere",
            "PermissionError",
            "project/nowhere",
        ),
        (
            "&compute=codebuild",
            "ConfigurationError",
            "it may use big, nowhere",
        ),
        (
            "&project=big",
            "ConfigurationError",
            "`project` is for `compute=codebuild`",
        ),
        (
            "&compute=cloud",
            "ConfigurationError",
            "one of lambda, codebuild",
        ),
    ] {
        world
            .act(&tree(), package(parameters))
            .await
            .failed(code, &[words]);
    }
    // An artifact that is none is told for what it is, and where the pipeline has it.
    let hostile = towpath_tests::Pipeline::of_object("no archive");
    let action = package("&compute=codebuild&project=big");
    let done = world.act_on(hostile, action).await;
    done.failed("JobFailed", &["s3://artifacts/", "is not a zip archive"]);
}

/// Every call of CodeBuild that a job makes, each failing in each way: one build does the work.
#[tokio::test(flavor = "multi_thread")]
async fn any_call_of_codebuild_may_fail_and_one_build_does_the_work() {
    let world = world(same).await;
    let kinds = [
        FaultKind::Throttle,
        FaultKind::Error,
        FaultKind::Cut(Cut::Before),
        FaultKind::Cut(Cut::After),
    ];
    let once = ["StartBuild", "BatchGetBuilds"]
        .into_iter()
        .flat_map(|operation| kinds.map(|kind| (operation, kind, 1)));
    // As often as the SDK tries: it took effect, nobody heard of it, and the next step finds the build.
    let often = [("StartBuild", FaultKind::Cut(Cut::After), 7)];
    for (operation, kind, times) in once.chain(often) {
        let before = world.loopback().builds().len();
        world.loopback().inject(FaultRule {
            service: Some("codebuild".to_owned()),
            operation: Some(operation.to_owned()),
            when: FaultWhen::Nth { first: 1, times },
            kind,
        });
        let action = package("&compute=codebuild&project=big");
        world.act(&tree(), action).await.succeeded();
        let builds = world.loopback().builds().len() - before;
        assert_eq!(builds, 1, "{operation} {kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_delivered_twice_is_one_build() {
    let world = world(same).await;
    world.loopback().duplicate_next("test-and-package");
    let done = world
        .act(&tree(), package("&compute=codebuild&project=big"))
        .await;
    done.succeeded();
    assert_eq!(world.loopback().builds().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_ends_with_its_action() {
    let world = world(same).await;
    let endless = Tree::new().file("build.sh", "echo waiting; sleep 1000\n");
    let action = package("&compute=codebuild&project=big&timeout=4s");
    let done = world.act(&endless, action).await;
    // By the build itself, in the action's own words.
    done.failed(
        "JobFailed",
        &["did not end within", "waiting", "in CodeBuild big:"],
    );
    assert!(
        !world
            .log()
            .contains("Phase complete: BUILD State: SUCCEEDED")
    );
}
