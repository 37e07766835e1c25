//! What an SDK makes of the refusals: codes it has types for, and messages that others look for.

use aws_sdk_cloudformation::types::{Capability, ChangeSetType};

use crate::account::{Account, eventually};

const ROLE: &str = "
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Statement: []}}
";

#[tokio::test]
async fn the_sdk_tells_the_refusals_apart() {
    let account = Account::start().await;
    let client = account.cloudformation();
    let absent = client
        .describe_stacks()
        .stack_name("absent")
        .send()
        .await
        .expect_err("absent")
        .into_service_error();
    assert_eq!(absent.meta().code(), Some("ValidationError"));
    assert_eq!(
        absent.meta().message(),
        Some("Stack with id absent does not exist")
    );
    let refused = client
        .create_stack()
        .stack_name("app")
        .template_body(ROLE)
        .send()
        .await
        .expect_err("no capability")
        .into_service_error();
    assert!(
        refused.is_insufficient_capabilities_exception(),
        "{refused:?}"
    );
    let create = || {
        client
            .create_stack()
            .stack_name("app")
            .template_body(ROLE)
            .capabilities(Capability::CapabilityIam)
    };
    create().send().await.expect("created");
    account.settled("app").await;
    let exists = create()
        .send()
        .await
        .expect_err("there already")
        .into_service_error();
    assert!(exists.is_already_exists_exception(), "{exists:?}");
    let unknown = client
        .describe_change_set()
        .stack_name("app")
        .change_set_name("none")
        .send()
        .await
        .expect_err("no such change set")
        .into_service_error();
    assert!(unknown.is_change_set_not_found_exception(), "{unknown:?}");
    account.loopback.shutdown().await;
}

#[tokio::test]
async fn an_empty_list_of_tags_takes_them_away_and_an_absent_one_does_not() {
    let account = Account::start().await;
    let client = account.cloudformation();
    let tag = aws_sdk_cloudformation::types::Tag::builder()
        .key("team")
        .value("a")
        .build();
    client
        .create_stack()
        .stack_name("app")
        .template_body(ROLE)
        .capabilities(Capability::CapabilityIam)
        .tags(tag)
        .send()
        .await
        .expect("created");
    account.settled("app").await;
    for (tags, output, expected) in [(None, "one", 1), (Some(Vec::new()), "two", 0)] {
        client
            .update_stack()
            .stack_name("app")
            .template_body(format!("{ROLE}Outputs: {{O: {{Value: {output}}}}}"))
            .capabilities(Capability::CapabilityIam)
            .set_tags(tags)
            .send()
            .await
            .expect("updated");
        let stack = account.settled("app").await;
        assert_eq!(stack.tags().len(), expected, "{output}");
    }
    account.loopback.shutdown().await;
}

#[tokio::test]
async fn a_change_set_of_nothing_is_described_as_failed() {
    let account = Account::start().await;
    let client = account.cloudformation();
    account
        .deploy("app", ChangeSetType::Create, ROLE, &[])
        .await;
    client
        .create_change_set()
        .stack_name("app")
        .change_set_name("nothing")
        .template_body(ROLE)
        .capabilities(Capability::CapabilityIam)
        .send()
        .await
        .expect("accepted");
    let reason = eventually(async || {
        let described = client
            .describe_change_set()
            .stack_name("app")
            .change_set_name("nothing")
            .send()
            .await
            .expect("described");
        assert!(described.changes().is_empty());
        described.status_reason().map(str::to_owned)
    })
    .await;
    assert!(
        reason.starts_with("The submitted information didn't contain changes."),
        "{reason}"
    );
    let refused = client
        .execute_change_set()
        .stack_name("app")
        .change_set_name("nothing")
        .send()
        .await
        .expect_err("not executable")
        .into_service_error();
    assert!(
        refused.is_invalid_change_set_status_exception(),
        "{refused:?}"
    );
    account.loopback.shutdown().await;
}
