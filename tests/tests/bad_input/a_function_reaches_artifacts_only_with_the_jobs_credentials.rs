//! The artifact bucket is open to a job's own credentials and closed to the function's role, here as in AWS.

use towpath_tests::{Action, Tree};

use crate::{misbehaving, setup};

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_own_role_is_denied() {
    let world = setup()
        .function("thief", &misbehaving("thief"))
        .start()
        .await;
    let tree = Tree::new().file("a.txt", "a");
    let done = world.act(&tree, Action::of("thief", "")).await;
    done.failed(
        "PermissionError",
        &[
            "AccessDenied",
            "assumed-role/function/thief",
            "s3:GetObject",
            "no identity-based policy allows",
        ],
    );
    let honest = Action::of("test-and-package", "command=cat+a.txt");
    world.act(&tree, honest).await.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_tool_sees_no_credentials() {
    let world = setup().start().await;
    let tree = Tree::new().file("script.sh", "env > all.txt");
    let action = Action::of(
        "test-and-package",
        "command=sh+script.sh&Env.GREETING=hello&Out=all.txt",
    );
    let done = world.act(&tree, action.makes("Out")).await;
    let environment = world.file(done.succeeded(), "Out", "all.txt").await;
    let environment = String::from_utf8(environment).expect("text");
    assert!(environment.contains("GREETING=hello"), "{environment}");
    for secret in [
        "AWS_ACCESS_KEY",
        "AWS_SECRET",
        "AWS_SESSION",
        "RUNTIME_API",
        "ASIA",
    ] {
        assert!(!environment.contains(secret), "{secret}: {environment}");
    }
}
