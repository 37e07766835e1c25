//! An end-to-end test sees the deployed stack, and when it fails it is the end of the message.

use towpath_tests::{Action, Pipeline, Tree};

use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn the_test_that_fails_against_the_deployed_stack_is_named() {
    let world = world().await;
    let tree = Tree::new()
        .file(
            "template.yaml",
            "Resources:
  Greeting:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: hello}
Outputs:
  Greeting: {Value: hello from production}
",
        )
        .file(
            "package.json",
            r#"{"name": "app", "version": "1.0.0", "scripts": {"e2e": "node --test e2e.test.js"}}"#,
        )
        .file(
            "e2e.test.js",
            "const { test } = require('node:test');
            const assert = require('node:assert');
            test('greets the staging people', () => assert.strictEqual(
                Object.entries(process.env).find(([name]) => name.toLowerCase() === 'greeting')?.[1],
                'hello from staging'));",
        );
    let deploy =
        "stack=app&template=Source::template.yaml&role=arn:aws:iam::000000000000:role/deployment";
    let run = world
        .run(&Pipeline::of(&tree).stage(
            "Acceptance",
            [
                Action::of("deploy-stack", deploy),
                Action::of("run-e2e", "task=e2e&stack=app"),
                Action::of("deploy-stack", "action=delete&stack=app").named("Delete"),
            ],
        ))
        .await;
    assert_eq!(run.status, "Failed");
    run.action("deploy-stack").succeeded();
    run.action("run-e2e").failed(
        "JobFailed",
        &["e2e", "greets the staging people", "hello from production"],
    );
    assert_eq!(run.actions.len(), 3, "nothing follows a failure: {run:#?}");

    let missing = Action::of("run-e2e", "task=e2e&stack=nowhere");
    let done = world.act(&tree, missing).await;
    done.failed("ConfigurationError", &["no stack `nowhere`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_decides_beside_the_exit_code() {
    let world = world().await;
    let tree = Tree::new()
        .file(
            "Makefile",
            "run = node --test --test-reporter=junit --test-reporter-destination=out.xml e2e.test.js
e2e:\n\t@$(run)
forgiving:\n\t@$(run) || true
good:\n\t@GREETING=hello $(run)
silent:\n\t@true
",
        )
        .file(
            "e2e.test.js",
            "const { test } = require('node:test');
            const assert = require('node:assert');
            test('greets', () => assert.strictEqual(process.env.GREETING, 'hello'));",
        );
    for (task, words) in [
        (
            "e2e",
            &[
                "1 of 1 test failed; `make e2e` failed",
                "greets (e2e.test.js:3)",
            ][..],
        ),
        (
            "forgiving",
            &[
                "1 of 1 test failed, though every task ended",
                "greets (e2e.test.js:3)",
            ],
        ),
        (
            "silent",
            &["the tasks wrote no file that `report=out.xml`", "hint: "],
        ),
    ] {
        let action = Action::of("run-e2e", &format!("task={task}&report=out.xml"));
        world.act(&tree, action).await.failed("JobFailed", words);
    }
    let action = Action::of("run-e2e", "task=good&report=out.xml").makes("Report");
    let done = world.act(&tree, action).await;
    assert_eq!(done.succeeded().variables["TestsPassed"], "1", "{done:?}");
    let report = world.file(&done, "Report", "out.xml").await;
    assert!(
        String::from_utf8_lossy(&report).contains("<testcase"),
        "{done:?}"
    );
}
