//! Types that serverless applications have, and of which the loopback keeps only the record.

use super::{Kind, ResourceType, of};

const fn record(
    name: &'static str,
    name_property: Option<&'static str>,
    replaced_by: &'static [&'static str],
) -> ResourceType {
    of(name, Kind::Simulated, name_property, replaced_by)
}

/// A name that several siblings may have, of different parents or by AWS's leave, is no name of the operator's choosing.
pub(super) static TYPES: &[ResourceType] = &[
    record(
        "AWS::Lambda::EventSourceMapping",
        None,
        &[
            "EventSourceArn",
            "SelfManagedEventSource",
            "StartingPosition",
            "StartingPositionTimestamp",
        ],
    ),
    record(
        "AWS::Lambda::Url",
        None,
        &["Qualifier", "TargetFunctionArn"],
    ),
    record(
        "AWS::Logs::SubscriptionFilter",
        None,
        &["FilterName", "LogGroupName"],
    ),
    record(
        "AWS::CodeDeploy::Application",
        Some("ApplicationName"),
        &["ApplicationName", "ComputePlatform"],
    ),
    record(
        "AWS::CodeDeploy::DeploymentGroup",
        None,
        &["ApplicationName", "DeploymentGroupName"],
    ),
    record(
        "AWS::StepFunctions::StateMachine",
        Some("StateMachineName"),
        &["StateMachineName", "StateMachineType"],
    ),
    record(
        "AWS::StepFunctions::StateMachineVersion",
        None,
        &["StateMachineArn", "StateMachineRevisionId"],
    ),
    record("AWS::StepFunctions::StateMachineAlias", None, &["Name"]),
    record("AWS::Scheduler::Schedule", Some("Name"), &["Name"]),
    record("AWS::Scheduler::ScheduleGroup", Some("Name"), &["Name"]),
    record("AWS::Events::EventBus", Some("Name"), &["Name"]),
    record("AWS::IoT::TopicRule", Some("RuleName"), &["RuleName"]),
    record("AWS::Kinesis::Stream", Some("Name"), &["Name"]),
    record("AWS::Cognito::UserPool", None, &[]),
    record(
        "AWS::Cognito::UserPoolClient",
        None,
        &["GenerateSecret", "UserPoolId"],
    ),
    record(
        "AWS::Cognito::UserPoolDomain",
        Some("Domain"),
        &["Domain", "UserPoolId"],
    ),
    record("AWS::SecretsManager::Secret", Some("Name"), &["Name"]),
    record(
        "AWS::ApiGateway::ApiKey",
        None,
        &["GenerateDistinctId", "Name", "Value"],
    ),
    record("AWS::ApiGateway::UsagePlan", None, &[]),
    record(
        "AWS::ApiGateway::UsagePlanKey",
        None,
        &["KeyId", "KeyType", "UsagePlanId"],
    ),
    record(
        "AWS::ApiGateway::DomainName",
        Some("DomainName"),
        &["DomainName"],
    ),
    record(
        "AWS::ApiGateway::BasePathMapping",
        None,
        &["BasePath", "DomainName"],
    ),
    record(
        "AWS::ApiGateway::GatewayResponse",
        None,
        &["ResponseType", "RestApiId"],
    ),
    record("AWS::ApiGateway::Authorizer", None, &["RestApiId"]),
    record(
        "AWS::ApiGatewayV2::DomainName",
        Some("DomainName"),
        &["DomainName"],
    ),
    record("AWS::ApiGatewayV2::ApiMapping", None, &["DomainName"]),
    record("AWS::ApiGatewayV2::Authorizer", None, &["ApiId"]),
    record(
        "AWS::Route53::RecordSet",
        None,
        &["HostedZoneId", "HostedZoneName", "Name"],
    ),
    record(
        "AWS::Route53::RecordSetGroup",
        None,
        &["HostedZoneId", "HostedZoneName"],
    ),
];
