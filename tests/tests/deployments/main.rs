//! Stacks: planned, reviewed and executed, stopped before they lose data, and brought out of whatever state they are in.

mod a_broken_stack_is_brought_back;
mod a_deployment_says_what_it_waits_for_and_what_it_left;
mod a_failure_is_told_by_its_cause;
mod a_plan_is_approved_for_what_it_is;
mod a_plan_is_reviewed_and_executed;
mod a_plan_shows_no_secret;
mod a_site_is_put_into_its_bucket;
mod a_stack_ends_with_what_it_holds;
mod data_is_not_lost_unasked;
mod faults_are_met_as_documented;
mod inputs_are_checked_before_anything_is_made;
mod the_page_shows_what_is_said;
mod what_lives_for_a_while_leaves_nothing;

use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_cloudformation::types::ChangeSetSummary;
use towpath_tests::{Action, Done, Setup, Tree, World};

const ROLE: &str = "role=arn:aws:iam::000000000000:role/deployment";

/// A world with the suite's functions.
async fn world() -> World {
    setup().start().await
}

/// The same, to be changed before it starts.
fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_towpath-under-test"))
}

/// Runs `deploy-stack` on a template for the stack `app`.
async fn act(world: &World, template: &str, parameters: &str) -> Done {
    let tree = Tree::new().file("template.yaml", template);
    let operation = ["action=execute", "action=delete"];
    let template = if operation.iter().any(|it| parameters.contains(it)) {
        ""
    } else {
        "&template=Source::template.yaml"
    };
    let parameters = format!("stack=app&{ROLE}{template}{parameters}");
    let mut action = Action::of("deploy-stack", &parameters);
    if !parameters.contains("action=delete") {
        action = action.makes("Told");
    }
    world.act(&tree, action).await
}

/// The file of what the action has told.
async fn told(world: &World, done: &Done, file: &str) -> String {
    let bytes = world.file(done, "Told", file).await;
    String::from_utf8(bytes).expect("text")
}

/// That the page for who looks for a message has this one, as it is but for identifiers.
fn is_on_the_page(done: &Done) {
    let page = include_str!("../../../docs/when-it-fails.md");
    let message = done.message.as_deref().expect("a message");
    let mut quoted = String::new();
    for line in message.lines() {
        let mut parts = line.split("changeSet/");
        let mut line = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest =
                part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-/".contains(c));
            line.push_str("changeSet/…");
            line.push_str(rest);
        }
        let _ = writeln!(quoted, "    {line}");
    }
    assert!(
        page.contains(&quoted),
        "docs/when-it-fails.md has no\n{quoted}"
    );
}

/// The change sets that the stack `app` has.
async fn change_sets(world: &World) -> Vec<ChangeSetSummary> {
    let listing = world.cloudformation.list_change_sets().stack_name("app");
    let listed = listing.send().await.expect("a list");
    listed.summaries.unwrap_or_default()
}

/// Waits until the stack `app` has this status.
async fn until(world: &World, wanted: &str) {
    for _ in 0..2_000 {
        let (status, _) = world.stack("app").await.expect("the stack");
        if status == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the stack is not {wanted}: {:?}", world.stack("app").await);
}

/// A template with a topic and a table of that name.
fn table(name: &str, attributes: &str) -> String {
    format!(
        "Resources:
  Orders:
    Type: AWS::DynamoDB::Table
{attributes}    Properties:
      TableName: {name}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: id, AttributeType: S}}]
      KeySchema: [{{AttributeName: id, KeyType: HASH}}]
"
    )
}

/// A template with so many topics, and an output.
fn topics(count: usize) -> String {
    let mut text = "Resources:\n".to_owned();
    for number in 1..=count {
        let _ = writeln!(text, "  Topic{number}:\n    Type: AWS::SNS::Topic");
    }
    text + "Outputs:\n  First:\n    Value: !Ref Topic1\n"
}
