//! What the topics of a stack are told.

use serde_json::{Value, json};

use super::{Account, ROLE, create_request};
use crate::Caller;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:events";

#[tokio::test]
async fn a_stacks_topics_are_told_each_event_once() {
    let account = Account::new();
    let world = &account.world;
    let request = json!({ "Name": "events" });
    let made = world.sns.call(world, &Caller::Root, "CreateTopic", request);
    made.await.unwrap();
    let mut request = create_request("app", ROLE);
    request["ClientRequestToken"] = json!("token-1");
    // Nobody hears the other one, and the stack does not mind.
    request["NotificationARNs"] = json!([TOPIC, format!("{TOPIC}-of-nobody")]);
    let answer = account.call("CreateStack", request).await.unwrap();
    assert_eq!(account.settled("app").await, "CREATE_COMPLETE");
    account.delete("app").await;
    let id = answer["StackId"].as_str().unwrap();
    let log = std::fs::read_to_string(world.settings.state_dir.join("sns/events.jsonl")).unwrap();
    let told: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events = account.events(id).await;
    assert_eq!(told.len(), events.len());
    for (notice, event) in told.iter().zip(&events) {
        assert_eq!(notice["Subject"], "AWS CloudFormation Notification");
        let message = notice["Message"].as_str().unwrap();
        for member in [
            "StackId",
            "EventId",
            "LogicalResourceId",
            "ResourceStatus",
            "Timestamp",
        ] {
            let line = format!("{member}='{}'\n", event[member].as_str().unwrap());
            assert!(message.contains(&line), "{line} in {message}");
        }
    }
    let first = told[0]["Message"].as_str().unwrap();
    assert!(first.contains("ClientRequestToken='token-1'\n"), "{first}");
    assert!(first.contains("ResourceProperties='null'\n"), "{first}");
}
