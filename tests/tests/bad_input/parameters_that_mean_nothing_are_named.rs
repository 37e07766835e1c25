//! A wrong `UserParameters` is a configuration error that names the key, and the one that was probably meant.

use towpath_tests::{Action, Pipeline, Tree, assert_says};

use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_or_repeated_key_is_named_with_what_was_meant() {
    let world = world().await;
    let tree = Tree::new().file("a.txt", "a");
    for (function, parameters, words) in [
        (
            "test-and-package",
            "taks=test",
            &["unknown parameter `taks`", "did you mean `task`?"][..],
        ),
        (
            "install-deps",
            "manger=npm",
            &["unknown parameter `manger`", "did you mean `manager`?"],
        ),
        (
            "deploy-stack",
            "action=delete&stak=app",
            &["unknown parameter `stak`", "did you mean `stack`?"],
        ),
        (
            "run-e2e",
            "task=e2e&timout=1m",
            &["unknown parameter `timout`", "did you mean `timeout`?"],
        ),
        (
            "approve",
            "alarm=Errors",
            &["unknown parameter `alarm`", "did you mean `alarms`?"],
        ),
        (
            "test-and-package",
            "task=lint&task=test",
            &["parameter `task` is given twice"],
        ),
        (
            "deploy-stack",
            "action=destroy&stack=app",
            &["`action`", "`destroy`", "deploy", "delete"],
        ),
        ("test-and-package", "", &["parameter `task` is missing"]),
        (
            "test-and-package",
            "task=test&timeout=soon",
            &["`timeout`", "`soon`"],
        ),
    ] {
        let action = Action::of(function, parameters);
        let action = if function == "install-deps" {
            action.makes("Dependencies")
        } else {
            action
        };
        let done = world.act(&tree, action).await;
        done.failed("ConfigurationError", words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_over_a_thousand_characters_are_refused_with_the_pipeline() {
    let world = world().await;
    let tree = Tree::new().file("a.txt", "a");
    let of_length = |length: usize| {
        let parameters = format!("task=test&Env.A={}", "a".repeat(length - 16));
        assert_eq!(parameters.len(), length);
        Pipeline::of(&tree).stage("Stage", [Action::of("test-and-package", &parameters)])
    };
    world
        .create(&of_length(1000))
        .await
        .expect("1,000 are fine");
    let refusal = world.create(&of_length(1001)).await.expect_err("1,001");
    assert_says(&refusal, &["UserParameters", "test-and-package", "1000"]);
}
