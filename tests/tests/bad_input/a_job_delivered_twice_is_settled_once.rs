//! Lambda delivers at least once. Two processes may work on one job; CodePipeline takes the first report, and the
//! second is no error of anybody.

use towpath_tests::{Action, Pipeline, wait_for};

use crate::{script, world};

#[tokio::test(flavor = "multi_thread")]
async fn the_second_delivery_changes_nothing() {
    let world = world().await;
    let tree = script("mkdir out && echo made > out/a.txt");
    let pipeline = Pipeline::of(&tree).stage(
        "Stage",
        [Action::of("test-and-package", "command=sh+script.sh&Out=out").makes("Out")],
    );
    world.loopback().duplicate_next("test-and-package");
    let run = world.run(&pipeline).await;
    assert_eq!(run.status, "Succeeded", "{run:#?}");
    let made = world
        .file(run.action("test-and-package"), "Out", "a.txt")
        .await;
    assert_eq!(made, b"made\n");
    let jobs = world
        .loopback()
        .jobs(&run.pipeline, &run.execution)
        .expect("the jobs");
    let mut ours = jobs.as_array().expect("a list").iter();
    let job = ours.find(|job| job["stage"] == "Stage").expect("ours");
    assert_eq!(job["job_ids"].as_array().map(Vec::len), Some(1), "{jobs}");

    let log = tokio::task::block_in_place(|| {
        wait_for("both deliveries", || {
            let log = world.log();
            (log.matches("REPORT RequestId").count() == 2).then_some(log)
        })
    });
    assert_eq!(
        log.matches("job succeeded").count(),
        2,
        "both worked: {log}"
    );
    assert!(!log.contains(r#""level":"ERROR""#), "nobody failed: {log}");
    assert!(!log.contains("errorMessage"), "nobody failed: {log}");
}
