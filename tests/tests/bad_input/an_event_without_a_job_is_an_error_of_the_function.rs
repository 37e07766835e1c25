//! Who invokes a function without a job is told so: there is nobody to report to.

use serde_json::json;
use towpath_tests::assert_says;

use crate::world;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let world = world().await;
    for payload in [
        json!({}),
        json!({"Records": [{"eventSource": "aws:s3"}]}),
        json!({"CodePipeline.job": {"data": {}}}),
        json!({"CodePipeline.job": {"id": 7}}),
    ] {
        let (failed, answer) = world.invoke("approve", payload.clone()).await;
        assert!(failed, "{payload}: {answer}");
        assert_says(
            answer["errorMessage"].as_str().unwrap_or_default(),
            &["no job id", "`CodePipeline.job`", "CodePipeline"],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_codepipeline_does_not_know_is_named() {
    let world = world().await;
    let id = "11111111-2222-4333-8444-555555555555";
    let payload = json!({"CodePipeline.job": {"id": id, "accountId": "000000000000", "data": {}}});
    let (failed, answer) = world.invoke("approve", payload).await;
    assert!(failed, "{answer}");
    assert_says(
        answer["errorMessage"].as_str().unwrap_or_default(),
        &[id, "does not know"],
    );
}
