//! Records of what serverless applications have.

use serde_json::Value;
use uuid::Uuid;

use super::super::names::{self, Rules};
use super::super::{Made, Scene};
use super::short_id;

/// The record of one of these types; nothing for another.
pub(super) fn create(scene: &Scene, resource_type: &str, properties: &Value) -> Option<Made> {
    let world = &scene.world;
    let named = |property: &str| names::physical(scene, properties, property, Rules::PLAIN);
    let text = |property: &str| properties[property].as_str().unwrap_or_default();
    // A resource that `Ref` knows by its name, with its ARN beside.
    let by_name = |property: &str, service: &str, prefix: &str| {
        let name = named(property);
        let arn = world.arn(service, &format!("{prefix}{name}"));
        Made::new(name.clone())
            .attribute("Arn", arn)
            .attribute("Name", name)
    };
    Some(match resource_type {
        "AWS::Lambda::EventSourceMapping" => {
            let id = Uuid::new_v4().to_string();
            let arn = world.arn("lambda", &format!("event-source-mapping:{id}"));
            Made::new(id.clone())
                .attribute("Id", id)
                .attribute("EventSourceMappingArn", arn)
        }
        "AWS::Lambda::Url" => {
            let target = text("TargetFunctionArn");
            let arn = if target.starts_with("arn:") {
                target.to_owned()
            } else {
                world.arn("lambda", &format!("function:{target}"))
            };
            let host = Uuid::new_v4().simple().to_string();
            let region = &world.settings.region;
            Made::new(arn.clone())
                .attribute("FunctionArn", arn)
                .attribute(
                    "FunctionUrl",
                    format!("https://{host}.lambda-url.{region}.on.aws/"),
                )
        }
        "AWS::Logs::SubscriptionFilter" => Made::new(named("FilterName")),
        "AWS::CodeDeploy::Application" => Made::new(named("ApplicationName")),
        "AWS::CodeDeploy::DeploymentGroup" => Made::new(named("DeploymentGroupName")),
        "AWS::StepFunctions::StateMachine" => {
            let name = named("StateMachineName");
            let arn = world.arn("states", &format!("stateMachine:{name}"));
            Made::new(arn.clone())
                .attribute("Arn", arn)
                .attribute("Name", name)
                .attribute("StateMachineRevisionId", Uuid::new_v4().to_string())
        }
        "AWS::StepFunctions::StateMachineVersion" => {
            // The number is among the versions of all state machines here: nothing counts them.
            let arn = format!("{}:1", text("StateMachineArn"));
            Made::new(arn.clone()).attribute("Arn", arn)
        }
        "AWS::StepFunctions::StateMachineAlias" => {
            let version = properties["DeploymentPreference"]["StateMachineVersionArn"]
                .as_str()
                .unwrap_or_default();
            let machine = version.rsplit_once(':').map_or("", |(machine, _)| machine);
            let arn = format!("{machine}:{}", named("Name"));
            Made::new(arn.clone()).attribute("Arn", arn)
        }
        "AWS::Scheduler::Schedule" => {
            let group = properties["GroupName"].as_str().unwrap_or("default");
            by_name("Name", "scheduler", &format!("schedule/{group}/"))
        }
        "AWS::Scheduler::ScheduleGroup" => by_name("Name", "scheduler", "schedule-group/"),
        "AWS::Events::EventBus" => by_name("Name", "events", "event-bus/"),
        "AWS::IoT::TopicRule" => {
            // The names of rules have no hyphens.
            let name = named("RuleName").replace('-', "_");
            let arn = world.arn("iot", &format!("rule/{name}"));
            Made::new(name).attribute("Arn", arn)
        }
        "AWS::Kinesis::Stream" => by_name("Name", "kinesis", "stream/"),
        "AWS::Cognito::UserPool" => {
            let region = &world.settings.region;
            let id = format!("{region}_{}", &short_id('x')[1..10]);
            let provider = format!("cognito-idp.{region}.amazonaws.com/{id}");
            Made::new(id.clone())
                .attribute("Arn", world.arn("cognito-idp", &format!("userpool/{id}")))
                .attribute("ProviderName", provider.clone())
                .attribute("ProviderURL", format!("https://{provider}"))
                .attribute("UserPoolId", id)
        }
        "AWS::Cognito::UserPoolClient" => {
            let id = Uuid::new_v4().simple().to_string()[..26].to_owned();
            Made::new(id.clone()).attribute("ClientId", id)
        }
        "AWS::Cognito::UserPoolDomain" => Made::new(named("Domain")),
        "AWS::SecretsManager::Secret" => {
            let suffix = short_id('x')[1..7].to_owned();
            let name = named("Name");
            let arn = world.arn("secretsmanager", &format!("secret:{name}-{suffix}"));
            Made::new(arn.clone()).attribute("Id", arn)
        }
        "AWS::ApiGateway::ApiKey" => {
            let id = short_id('x')[1..11].to_lowercase();
            Made::new(id.clone()).attribute("APIKeyId", id)
        }
        "AWS::ApiGateway::DomainName" | "AWS::ApiGatewayV2::DomainName" => {
            let host = short_id('d').to_lowercase();
            let region = &world.settings.region;
            let regional = format!("d-{host}.execute-api.{region}.amazonaws.com");
            Made::new(named("DomainName"))
                .attribute("RegionalDomainName", regional)
                .attribute("RegionalHostedZoneId", short_id('Z'))
                .attribute("DistributionDomainName", format!("{host}.cloudfront.net"))
                // CloudFront's one zone, as its documentation names it.
                .attribute("DistributionHostedZoneId", "Z2FDTNDATAQYW2")
        }
        "AWS::Route53::RecordSet" => Made::new(named("Name")),
        _ => return None,
    })
}
