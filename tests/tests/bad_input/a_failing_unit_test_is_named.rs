//! When a project's tests fail, the action's message ends with the runner's own words about it.

use towpath_tests::{Action, Tree};

use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_output_names_the_failing_test() {
    let world = world().await;
    let tree = Tree::new()
        .file(
            "package.json",
            r#"{"name": "sums", "version": "1.0.0", "scripts": {"lint": "true", "test": "node --test sums.test.js"}}"#,
        )
        .file(
            "sums.test.js",
            "const { test } = require('node:test');
            const assert = require('node:assert');
            test('zero is neutral', () => assert.strictEqual(1 + 0, 1));
            test('two and two are five', () => assert.strictEqual(2 + 2, 5));",
        );
    let action = Action::of("test-and-package", "task=lint,test");
    let done = world.act(&tree, action).await;
    let message = done.failed(
        "JobFailed",
        &["task `test` failed", "exit code 1", "two and two are five"],
    );
    assert!(message.starts_with("task `test`"), "cause first: {message}");

    let done = world
        .act(&tree, Action::of("test-and-package", "task=tset"))
        .await;
    done.failed(
        "ConfigurationError",
        &["there is no task `tset`", "did you mean `test`?"],
    );
}
