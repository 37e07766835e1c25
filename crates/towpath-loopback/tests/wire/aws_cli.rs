//! The AWS CLI, pointed here by the variables that `towpath loopback` prints.

use std::process::Stdio;

use tokio::process::Command;

use crate::world::World;

#[tokio::test]
async fn the_aws_cli_is_content() {
    let version = Command::new("aws")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    if !version.is_ok_and(|status| status.success()) {
        println!("skipped: there is no AWS CLI on the PATH");
        return;
    }
    let world = World::start().await;
    let file = world.directory.path().join("file.txt");
    std::fs::write(&file, "content").expect("written");
    let file = file.to_str().expect("text");
    for (arguments, expected) in [
        (vec!["s3", "mb", "s3://bucket"], "make_bucket: bucket"),
        (
            vec!["s3", "cp", file, "s3://bucket/a/b", "--sse", "aws:kms"],
            "upload: ",
        ),
        (vec!["s3", "ls", "s3://bucket"], "PRE a/"),
        (vec!["s3", "cp", "s3://bucket/a/b", "-"], "content"),
        (
            vec!["s3", "rb", "s3://bucket", "--force"],
            "remove_bucket: bucket",
        ),
        (
            vec!["sts", "get-caller-identity"],
            "arn:aws:iam::000000000000:root",
        ),
        (vec!["cloudwatch", "describe-alarms"], "MetricAlarms"),
    ] {
        let output = Command::new("aws")
            .args(&arguments)
            .env_remove("AWS_PROFILE")
            .env("AWS_PAGER", "")
            .envs(world.loopback.environment())
            .kill_on_drop(true)
            .output()
            .await
            .expect("aws runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains(expected),
            "{arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    world.loopback.shutdown().await;
}
