//! Types of which only the record exists: plausible ids and attributes, no effect.

mod serverless;

use serde_json::Value;
use uuid::Uuid;

use super::names::{self, Rules};
use super::{Made, Scene};

/// A record with the physical id and the attributes that the type would have.
pub(super) fn create(scene: &Scene, resource_type: &str, properties: &Value) -> Made {
    if let Some(made) = serverless::create(scene, resource_type, properties) {
        return made;
    }
    let world = &scene.world;
    let named = |property: &str| names::physical(scene, properties, property, Rules::PLAIN);
    match resource_type {
        "AWS::KMS::Key" => {
            let id = Uuid::new_v4().to_string();
            let arn = world.arn("kms", &format!("key/{id}"));
            Made::new(id.clone())
                .attribute("Arn", arn)
                .attribute("KeyId", id)
        }
        "AWS::KMS::Alias" => Made::new(named("AliasName")),
        "AWS::CodeStarConnections::Connection" | "AWS::CodeConnections::Connection" => {
            let service = if resource_type.contains("CodeStar") {
                "codestar-connections"
            } else {
                "codeconnections"
            };
            let arn = world.arn(service, &format!("connection/{}", Uuid::new_v4()));
            Made::new(arn.clone())
                .attribute("ConnectionArn", arn)
                // In AWS somebody has to complete the handshake first; the loopback needs none.
                .attribute("ConnectionStatus", "AVAILABLE")
                .attribute("OwnerAccountId", world.settings.account.clone())
        }
        "AWS::Events::Rule" => {
            let name = named("Name");
            let arn = world.arn("events", &format!("rule/{name}"));
            Made::new(name).attribute("Arn", arn)
        }
        "AWS::IAM::InstanceProfile" => {
            let name = named("InstanceProfileName");
            let arn = format!(
                "arn:aws:iam::{}:instance-profile/{name}",
                world.settings.account
            );
            Made::new(name).attribute("Arn", arn)
        }
        "AWS::SQS::Queue" => {
            let name = named("QueueName");
            let url = format!(
                "https://sqs.{}.amazonaws.com/{}/{name}",
                world.settings.region, world.settings.account
            );
            Made::new(url.clone())
                .attribute("Arn", world.arn("sqs", &name))
                .attribute("QueueName", name)
                .attribute("QueueUrl", url)
        }
        "AWS::DynamoDB::Table" => {
            let name = named("TableName");
            let arn = world.arn("dynamodb", &format!("table/{name}"));
            let stream = format!("{arn}/stream/2026-01-01T00:00:00.000");
            Made::new(name)
                .attribute("Arn", arn)
                .attribute("StreamArn", stream)
        }
        "AWS::CloudFront::Distribution" => {
            let id = short_id('E');
            let domain = format!("d{}.cloudfront.net", &short_id('x')[1..].to_lowercase());
            Made::new(id.clone())
                .attribute("Id", id)
                .attribute("DomainName", domain)
        }
        "AWS::CloudFront::Function" => {
            let name = named("Name");
            let arn = format!(
                "arn:aws:cloudfront::{}:function/{name}",
                world.settings.account
            );
            let mut made = Made::new(arn.clone()).attribute("FunctionARN", arn.clone());
            made = made.attribute("FunctionMetadata.FunctionARN", arn);
            made.attribute("Stage", "LIVE")
        }
        _ => {
            let id = short_id('E');
            Made::new(id.clone())
                .attribute("Id", id.clone())
                .attribute("S3CanonicalUserId", id)
        }
    }
}

/// A presigned URL that nobody will ever call; templates use the handle as a placeholder.
pub(super) fn wait_condition_handle(scene: &Scene) -> Made {
    Made::new(format!(
        "https://cloudformation-waitcondition-{}.s3.amazonaws.com/{}/{}",
        scene.world.settings.region,
        scene.stack_name,
        Uuid::new_v4()
    ))
}

fn short_id(first: char) -> String {
    let random = Uuid::new_v4().simple().to_string().to_ascii_uppercase();
    format!("{first}{}", &random[..13])
}
