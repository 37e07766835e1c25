//! Where nothing says what to install, install-deps says what it looked for; without a lock file it says so too.

use towpath_tests::{Action, Tree};

use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_looked_for_is_told() {
    let world = world().await;
    let tree = Tree::new().file("README.md", "nothing here");
    let install = |parameters: &str| Action::of("install-deps", parameters).makes("Dependencies");
    for (parameters, words) in [
        (
            "",
            &[
                "found nothing to install",
                "package.json",
                "requirements*.txt",
                "hint: ",
            ][..],
        ),
        ("manager=npm", &["package.json", "hint: "]),
        ("dir=web", &["no directory `web`"]),
    ] {
        let done = world.act(&tree, install(parameters)).await;
        done.failed("ConfigurationError", words);
    }
}
