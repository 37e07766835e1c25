//! Every declared output is published, or the action fails and says which one is missing and what there is instead.

use towpath_tests::Action;

use crate::{script, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_output_is_named_with_what_there_is() {
    let world = world().await;
    let tree =
        script("mkdir build && echo site > build/site.html && cp build/site.html build/site.zip");
    let act = |parameters: &str| {
        let action = Action::of("test-and-package", parameters).makes("DistSiteOutput");
        world.act(&tree, action)
    };
    act("command=sh+script.sh&DistSiteOutput=dist/site.zip")
        .await
        .failed(
            "JobFailed",
            &[
                "`DistSiteOutput` was not produced",
                "`dist/site.zip`",
                "build",
            ],
        );
    act("command=sh+script.sh").await.failed(
        "ConfigurationError",
        &["output artifact `DistSiteOutput`", "DistSiteOutput=path"],
    );
    act("command=sh+script.sh&DistSiteOutput=build/site.zip")
        .await
        .failed(
            "JobFailed",
            &[
                "output artifact `DistSiteOutput` would be `build/site.zip`",
                "not a zip archive",
                "a plain text file",
                "hint: ",
            ],
        );
    act("command=sh+script.sh&DistSiteOutput=build/site.html")
        .await
        .succeeded();
}
