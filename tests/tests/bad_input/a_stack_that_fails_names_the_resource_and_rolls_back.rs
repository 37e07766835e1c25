//! When a resource cannot be made, the message has the first cause, not its consequences, and nothing is left.

use towpath_tests::{Action, Tree};

use crate::world;

const ROLE: &str = "role=arn:aws:iam::000000000000:role/deployment";

#[tokio::test(flavor = "multi_thread")]
async fn the_root_cause_is_in_the_message() {
    let world = world().await;
    // The bucket's name is taken once the stack's other bucket is there, which nobody can know before.
    let tree = Tree::new().file(
        "template.yaml",
        "Resources:
  Topic:
    Type: AWS::SNS::Topic
  First: {Type: AWS::S3::Bucket, Properties: {BucketName: twice}}
  Site:
    Type: AWS::S3::Bucket
    DependsOn: [Topic, First]
    Properties: {BucketName: twice}
  Address:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: !GetAtt Site.Arn}
",
    );
    let parameters = format!("stack=app&template=Source::template.yaml&{ROLE}");
    let done = world
        .act(&tree, Action::of("deploy-stack", &parameters))
        .await;
    let message = done.failed(
        "JobFailed",
        &["`app`", "Site", "AWS::S3::Bucket", "already exists"],
    );
    assert!(!message.contains("Address"), "a consequence: {message}");
    let stack = world.stack("app").await;
    assert!(
        stack
            .as_ref()
            .is_none_or(|(status, _)| status == "ROLLBACK_COMPLETE"),
        "{stack:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_wrong_is_told_before_anything_is_made() {
    let world = world().await;
    for (template, words) in [
        ("Resources:\n  Topic: [\n", &["line"][..]),
        (
            "Resources:\n  T:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: !Ref Nowhere}\n",
            &["Nowhere"],
        ),
    ] {
        let tree = Tree::new().file("template.yaml", template);
        let parameters = format!("stack=app&template=Source::template.yaml&{ROLE}");
        let done = world
            .act(&tree, Action::of("deploy-stack", &parameters))
            .await;
        done.failed("ConfigurationError", words);
    }
    let tree = Tree::new().file("app.yaml", "Resources: {}");
    let parameters = format!("stack=app&template=Source::template.yaml&{ROLE}");
    let done = world
        .act(&tree, Action::of("deploy-stack", &parameters))
        .await;
    done.failed(
        "ConfigurationError",
        &["no file `template.yaml`", "app.yaml"],
    );
}
