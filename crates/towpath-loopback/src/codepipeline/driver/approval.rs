//! Tells people that an approval waits for them.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use towpath_engine::{ApprovalRequest, Failure, Input, Time};

use super::super::role;
use super::tell;
use crate::{AwsError, World};

pub(super) async fn request(world: &Arc<World>, pipeline: &str, request: &ApprovalRequest) {
    world
        .fidelity
        .executed("CodePipeline action Approval/Manual");
    let Some(topic) = request.configuration.get("NotificationArn") else {
        return;
    };
    if let Err(failure) = publish(world, pipeline, request, topic).await {
        tell(
            world,
            pipeline,
            Input::ActionFailed {
                action_execution: request.action_execution.clone(),
                failure,
            },
        );
    }
}

async fn publish(
    world: &Arc<World>,
    pipeline: &str,
    request: &ApprovalRequest,
    topic: &str,
) -> Result<(), Failure> {
    let name = request.action_execution.as_str();
    let session = role::assume(world, pipeline, &request.role_arn, name, None)?;
    world
        .identity
        .authorize(&session.caller, "sns:Publish", topic)
        .map_err(|error| role::permission(&error))?;
    let message = json!({
        "TopicArn": topic,
        // SNS takes at most 100 characters.
        "Subject": format!("APPROVAL NEEDED: AWS CodePipeline {pipeline} for action {}", request.action)
            .chars()
            .take(100)
            .collect::<String>(),
        "Message": notification(&world.settings.region, pipeline, request).to_string(),
    });
    world
        .sns
        .call(world, &session.caller, "Publish", message)
        .await
        .map(|_| ())
        .map_err(|error: AwsError| {
            Failure::new(
                "ConfigurationError",
                format!(
                    "the notification could not be published to {topic}: {} ({})",
                    error.message, error.code
                ),
            )
        })
}

/// The message, as "JSON data format for manual approval notifications" in the User Guide has it.
fn notification(region: &str, pipeline: &str, request: &ApprovalRequest) -> Value {
    let console = format!(
        "https://console.aws.amazon.com/codepipeline/home?region={region}#/view/{pipeline}"
    );
    let review = format!(
        "{console}/{}/{}/approve/{}",
        request.stage, request.action, request.token
    );
    json!({
        "region": region,
        "consoleLink": console,
        "approval": {
            "pipelineName": pipeline,
            "stageName": request.stage,
            "actionName": request.action,
            "token": request.token.as_str(),
            "expires": minutes(request.expires),
            "externalEntityLink": request.configuration.get("ExternalEntityLink"),
            "approvalReviewLink": review,
            "customData": request.configuration.get("CustomData"),
        },
    })
}

/// `2016-07-07T20:22Z`: the format of `expires`.
fn minutes(time: Time) -> String {
    let seconds = i64::try_from(time.as_millis() / 1000).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|date| {
            date.format(format_description!("[year]-[month]-[day]T[hour]:[minute]Z"))
                .ok()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use towpath_engine::{ActionExecutionId, ApprovalToken, ExecutionId};

    use super::*;

    #[test]
    fn the_notification_has_the_documented_members() {
        let request = ApprovalRequest {
            execution: ExecutionId::from_bits(1),
            action_execution: ActionExecutionId::from_bits(2),
            stage: "Approve".into(),
            action: "Gate".into(),
            role_arn: "arn:aws:iam::000000000000:role/pipeline".into(),
            token: ApprovalToken::from_bits(0),
            expires: Time::from_millis(1_467_922_979_999),
            configuration: BTreeMap::from([("CustomData".into(), "deploy abc?".into())]),
        };
        let console = "https://console.aws.amazon.com/codepipeline/home?region=us-east-2#/view/app";
        assert_eq!(
            notification("us-east-2", "app", &request),
            json!({
                "region": "us-east-2",
                "consoleLink": console,
                "approval": {
                    "pipelineName": "app",
                    "stageName": "Approve",
                    "actionName": "Gate",
                    "token": "00000000-0000-4000-8000-000000000000",
                    "expires": "2016-07-07T20:22Z",
                    "externalEntityLink": null,
                    "approvalReviewLink": format!("{console}/Approve/Gate/approve/00000000-0000-4000-8000-000000000000"),
                    "customData": "deploy abc?",
                },
            })
        );
    }
}
