//! Whatever a function does or does not do, its action ends, and the message says what to look at.

use std::time::Duration;

use towpath_tests::{Action, Tree};

use crate::{misbehaving, setup};

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_reported_with_its_reason() {
    let world = setup()
        .function("panics", &misbehaving("panic"))
        .start()
        .await;
    let tree = Tree::new().file("a.txt", "a");
    // The second job meets the same process: one panic does not end it.
    for _ in 0..2 {
        let done = world.act(&tree, Action::of("panics", "")).await;
        done.failed(
            "JobFailed",
            &["panicked", "the index is 7 but there are only 3", "hint: "],
        );
    }
    let log = world.log();
    assert_eq!(log.matches("panic: the index is 7").count(), 2, "{log}");
    assert!(log.contains("misbehaving.rs"), "the log says where: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_come_to_an_end_is_reported_before_lambda_ends_it() {
    let world = setup()
        .function("busy", &misbehaving("busy"))
        // A tenth of it is kept back for the report, which a loaded machine takes its time for.
        .timeout_seconds("busy", 10)
        .start()
        .await;
    let tree = Tree::new().file("a.txt", "a");
    let done = world.act(&tree, Action::of("busy", "")).await;
    done.failed(
        "JobFailed",
        &["given up", "Lambda's time-out", "hint: ", "Timeout"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_ended_by_the_clock_in_the_services_own_words() {
    let world = setup()
        .function("silent", &misbehaving("silent"))
        .function("vanishes", &misbehaving("vanish"))
        .function("absent", "exit 3")
        .settings(|settings| settings.reply_timeout = Duration::from_millis(1500))
        .start()
        .await;
    let tree = Tree::new().file("a.txt", "a");
    for function in ["silent", "vanishes", "absent"] {
        let done = world.act(&tree, Action::of(function, "")).await;
        done.failed(
            "JobFailed",
            &[
                &format!("The AWS Lambda function {function} failed to return a result"),
                "PutJobSuccessResult",
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_not_there_is_named() {
    let world = setup().start().await;
    let tree = Tree::new().file("a.txt", "a");
    let done = world.act(&tree, Action::of("install-dpes", "")).await;
    done.failed("ConfigurationError", &["install-dpes"]);
}
