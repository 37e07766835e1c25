//! Actions that run in CodeBuild: the same outputs and the same words as from the function, one build whatever
//! happens twice, and an end to it in time.

use std::time::Duration;

use serde_json::{Value, json};
use towpath_loopback::{Cut, FaultKind, FaultRule, FaultWhen};
use towpath_tests::{Action, CommandLine, Pipeline, Setup, Tree, World, assert_says, files_below};

const PROJECTS: &str = "arn:aws:codebuild:us-east-1:000000000000:project/*g";

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
            PROJECTS,
        )
        .allow(
            &["s3:GetObject", "s3:PutObject"],
            "arn:aws:s3:::work/builds/*",
        )
        .allow(&["s3:ListBucket"], "arn:aws:s3:::work")
        .variable("BUILD_BUCKET", "work")
        .variable("BUILD_PROJECTS", "big,nothing,waiting,nowhere")
        .settings(|settings| settings.build_minute = Duration::from_secs(1));
    let world = change(setup).start().await;
    let statements = json!([
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::work/builds/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": ["arn:aws:s3:::work", "arn:aws:s3:::cache"]},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::cache/app/protected/*"},
        {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "arn:aws:ssm:us-east-1:000000000000:parameter/app/*"},
        {"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": "*"},
    ]);
    let template = json!({"Outputs": {"Greeting": {"Value": "hello from the stack"}}, "Resources": {
        "Cache": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "cache"}},
        "Work": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "work"}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "RoleName": "builds",
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"Service": "codebuild.amazonaws.com"},
            }]},
            "Policies": [{"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}],
        }},
        "Project": project("big", &format!("\"{program}\" function \"$TOWPATH_ACTION\"")),
        // Two whose commands are not what they should be.
        "Nothing": project("nothing", "true"),
        "Waiting": project("waiting", "exec sleep 1000"),
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

fn project(name: &str, command: &str) -> Value {
    json!({"Type": "AWS::CodeBuild::Project", "Properties": {
        "Name": name,
        "ServiceRole": {"Fn::GetAtt": ["Role", "Arn"]},
        "TimeoutInMinutes": 60,
        "Source": {"Type": "NO_SOURCE", "BuildSpec": format!(
            "version: 0.2\nphases:\n  build:\n    commands:\n      - '{command}'\n"
        )},
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {"Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": "any:1"},
    }})
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
            "it may use big, nothing, waiting, nowhere",
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
    let hostile = Pipeline::of_object("no archive");
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
    let often = [("StartBuild", FaultKind::Cut(Cut::After), 3)];
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
    let action = package("&compute=codebuild&project=big&timeout=8s");
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

/// A build that does not end by itself when the action's time is over is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_knows_of_no_end_is_stopped() {
    let world = world(same).await;
    let action = package("&compute=codebuild&project=waiting&timeout=3s");
    let done = world.act(&tree(), action).await;
    done.failed(
        "JobFailed",
        &["not finished after 3s, which is its timeout"],
    );
    let builds = world.loopback().builds();
    assert_eq!(builds.len(), 1);
    assert!(
        world.log().contains("the build was stopped"),
        "{}",
        world.log()
    );
}

/// What was started is not there any more, or has left nothing: that is said, with where to look.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_vanishes_or_leaves_no_answer_fails_the_action() {
    let world = world(same).await;
    let action = package("&compute=codebuild&project=nothing");
    world.act(&tree(), action).await.failed(
        "JobFailed",
        &["succeeded and left no answer at s3://work/builds/"],
    );

    let before = world.loopback().builds().len();
    let sources = tree();
    let vanishing = world.act(
        &sources,
        package("&compute=codebuild&project=waiting&timeout=30s"),
    );
    let forgetting = async {
        loop {
            let builds = world.loopback().builds();
            if let Some(id) = builds.get(before) {
                world.loopback().forget_build(id);
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (done, ()) = tokio::join!(vanishing, forgetting);
    done.failed("JobFailed", &["CodeBuild knows nothing of build waiting:"]);
}

/// Requests of S3, for the work bucket and for the job's artifacts, each failing once: one build does the work.
#[tokio::test(flavor = "multi_thread")]
async fn any_request_of_s3_may_fail_and_one_build_does_the_work() {
    let world = world(same).await;
    for request in 1..=12 {
        let before = world.loopback().builds().len();
        let kind = match request % 3 {
            0 => FaultKind::Throttle,
            1 => FaultKind::Error,
            _ => FaultKind::Cut(Cut::After),
        };
        world.loopback().inject(FaultRule {
            service: Some("s3".to_owned()),
            operation: None,
            when: FaultWhen::Nth {
                first: request,
                times: 1,
            },
            kind,
        });
        let action = package("&compute=codebuild&project=big");
        world.act(&tree(), action).await.succeeded();
        let builds = world.loopback().builds().len() - before;
        assert_eq!(builds, 1, "request {request}");
    }
}

/// The stack is looked at from within the build, under the role of its project.
#[tokio::test(flavor = "multi_thread")]
async fn end_to_end_tests_in_a_build_know_their_stack() {
    let world = world(same).await;
    let tests = Tree::new().file(
        "e2e.sh",
        "env | grep ^AWS_; echo \"$GREETING, $WHO\" | tee greeting.txt; test \"$WHO\" != nobody\n",
    );
    let action = |who: &str| {
        let parameters = format!(
            "command=sh+e2e.sh&stack=builds&Env.WHO={who}&report=greeting.txt&compute=codebuild&project=big"
        );
        Action::of("run-e2e", &parameters).makes("Report")
    };
    let done = world.act(&tests, action("Ada")).await;
    let summary = done.succeeded().summary.clone().unwrap_or_default();
    assert_says(&summary, &["against stack `builds`", "CodeBuild big:"]);
    let report = world.file(&done, "Report", "greeting.txt").await;
    assert_eq!(
        String::from_utf8_lossy(&report),
        "hello from the stack, Ada\n"
    );
    let failed = world.act(&tests, action("nobody")).await;
    let message = failed.failed(
        "JobFailed",
        &[
            "exit code 1",
            "hello from the stack, nobody",
            "in CodeBuild big:",
        ],
    );
    assert!(!message.contains("AWS_"), "{message}");
    let ids = [&done, &failed].map(|done| done.external_id.clone().unwrap_or_default());
    assert_eq!(ids.as_slice(), world.loopback().builds());
}

/// A secret is fetched within the build, and the cache is read and written there, under the role of its project.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_in_a_build_has_its_secret_and_its_cache() {
    const TOKEN: &str = "npm_4f8a90bc";
    let world = world(|setup| {
        setup
            .variable("CACHE_BUCKET", "cache")
            .variable("CACHE_PREFIX", "app")
    })
    .await;
    aws_sdk_ssm::Client::new(world.config())
        .put_parameter()
        .name("/app/token")
        .value(TOKEN)
        .r#type(aws_sdk_ssm::types::ParameterType::SecureString)
        .send()
        .await
        .expect("a parameter");
    let project =
        scripted("test ${#TOKEN} = 12 && echo with $TOKEN && mkdir -p made && echo 1 > made/file");
    let parameters = "trust=protected&Secret.TOKEN=ssm:/app/token&compute=codebuild&project=big";
    for from_cache in [false, true] {
        let action = Action::of("install-deps", parameters).makes("Dependencies");
        let done = world.act(&project, action).await;
        let summary = done.succeeded().summary.clone().unwrap_or_default();
        assert_eq!(
            summary.contains(", from the cache; CodeBuild big:"),
            from_cache,
            "{summary}\n{}",
            world.log()
        );
        let made = world.file(&done, "Dependencies", "made/file").await;
        assert_eq!(made, b"1\n");
    }
    assert_says(&world.log(), &["with ***"]);
    for path in files_below(world.state()) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let found = bytes.windows(TOKEN.len()).any(|it| it == TOKEN.as_bytes());
        assert!(!found, "the token is in {}", path.display());
    }
}

/// An npm project that installs what its own script makes.
fn scripted(postinstall: &str) -> Tree {
    let manifest = json!({
        "name": "app", "version": "1.0.0",
        "scripts": {"postinstall": postinstall, "package": "true", "e2e": "test $GREETING = hello && cat made/file"},
    });
    let lock = json!({
        "name": "app", "version": "1.0.0", "lockfileVersion": 3,
        "packages": {"": {"name": "app", "version": "1.0.0", "hasInstallScript": true}},
    });
    Tree::new()
        .file("package.json", manifest.to_string())
        .file("package-lock.json", lock.to_string())
}

/// The template that goes to AWS, with all the work that can be in CodeBuild: its projects, roles and buildspecs.
#[test]
fn a_local_run_carries_out_the_templates_own_builds() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let template = repository.with_file_name("template.yaml");
    let template = std::fs::read_to_string(template).expect("a template");
    let mut away = template.clone();
    for (plain, times) in [
        ("!Sub trust=${TrustLevel}&", 1),
        ("task=${Tasks}&", 1),
        ("task=${EndToEndTask}&", 2),
    ] {
        assert_eq!(template.matches(plain).count(), times, "{plain}");
        away = away.replace(plain, &format!("{plain}compute=codebuild&"));
    }
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test"))
        .with(&Tree::new().file("pipeline.yaml", away));
    scripted("mkdir -p made && echo 1 > made/file")
        .file(
            "template.yaml",
            "Parameters:\n  Stage: {Type: String}\nResources:\n  Bucket:\n    Type: AWS::S3::Bucket\nOutputs:\n  Greeting:\n    Value: hello\n",
        )
        .write(&towpath.directory().join("app"));
    let finished = towpath.run(&[
        "run",
        "app",
        "--template",
        "pipeline.yaml",
        "--until",
        "Acceptance",
        "--json",
        "--parameter",
        "Tasks=package",
        "--parameter",
        "BuildProjects=yes",
    ]);
    finished.exited(0, &["[Acceptance/EndToEnd] succeeded"]);
    let document = finished.json();
    let mut built = Vec::new();
    for stage in document["stages"].as_array().expect("a list") {
        for action in stage["actions"].as_array().expect("a list") {
            let summary = action["summary"].as_str().unwrap_or_default();
            if summary.contains("CodeBuild ") {
                built.push(action["name"].as_str().expect("a name"));
            }
        }
    }
    assert_eq!(
        built,
        ["InstallDependencies", "TestAndPackage", "EndToEnd"],
        "{document:#}"
    );
    assert_eq!(document["fidelity"]["refused"], json!([]));
}

/// Nobody asks for the action of an execution that was stopped. Its build was told when its time is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_nobody_asks_for_any_more_ends_itself() {
    let world = world(same).await;
    let endless = Tree::new().file("build.sh", "echo waiting; sleep 1000\n");
    let action = package("&compute=codebuild&project=big&timeout=8s");
    let pipeline = Pipeline::of(&endless).stage("Stage", [action]);
    let name = world.create(&pipeline).await.expect("a pipeline");
    let execution = world.start(&name).await;
    until("the build is at work", || world.log().contains("waiting")).await;
    world
        .codepipeline
        .stop_pipeline_execution()
        .pipeline_name(&name)
        .pipeline_execution_id(&execution)
        .abandon(true)
        .send()
        .await
        .expect("it is stopped");
    assert_eq!(world.ended(&name, &execution).await.status, "Stopped");
    let is_over = || world.log().contains("Phase complete: BUILD State: FAILED");
    until("the build is over", is_over).await;
    assert_says(&world.log(), &["`sh build.sh` did not end within"]);
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(towpath_tests::PATIENCE, waiting).await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}
