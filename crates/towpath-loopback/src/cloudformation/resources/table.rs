//! The table of resource types: how each is served, what names it and what replaces it.

mod serverless;

/// What is known of a resource type before any resource of it exists.
#[derive(Debug)]
pub(crate) struct ResourceType {
    pub(crate) name: &'static str,
    pub(super) kind: Kind,
    /// Properties whose change needs a new physical resource.
    pub(crate) replaced_by: &'static [&'static str],
    /// The property that gives the resource a name of the operator's choosing.
    pub(crate) name_property: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LambdaFunction,
    LambdaVersion,
    LambdaAlias,
    LambdaPermission,
    LambdaEventInvokeConfig,
    LambdaLayerVersion,
    Bucket,
    BucketPolicy,
    Role,
    Policy,
    ManagedPolicy,
    LogGroup,
    Topic,
    TopicPolicy,
    Subscription,
    Parameter,
    Alarm,
    BuildProject,
    Pipeline,
    RestApi,
    RestResource,
    RestMethod,
    RestDeployment,
    RestStage,
    RestAccount,
    HttpApi,
    HttpRoute,
    HttpIntegration,
    HttpStage,
    HttpDeployment,
    WaitConditionHandle,
    NestedStack,
    Custom,
    Simulated,
}

const fn of(
    name: &'static str,
    kind: Kind,
    name_property: Option<&'static str>,
    replaced_by: &'static [&'static str],
) -> ResourceType {
    ResourceType {
        name,
        kind,
        replaced_by,
        name_property,
    }
}

/// The one type behind all of a template's own, `Custom::*`.
const CUSTOM: &str = "AWS::CloudFormation::CustomResource";

/// The types that are served, but for those in [`serverless`]. What replaces a resource is as the CloudFormation resource reference says.
static TYPES: &[ResourceType] = &[
    of(
        "AWS::Lambda::Function",
        Kind::LambdaFunction,
        Some("FunctionName"),
        &["FunctionName", "PackageType"],
    ),
    of(
        "AWS::Lambda::Version",
        Kind::LambdaVersion,
        None,
        &[
            "FunctionName",
            "CodeSha256",
            "Description",
            "ProvisionedConcurrencyConfig",
            "RuntimePolicy",
        ],
    ),
    of(
        "AWS::Lambda::Alias",
        Kind::LambdaAlias,
        Some("Name"),
        &["FunctionName", "Name"],
    ),
    of(
        "AWS::Lambda::Permission",
        Kind::LambdaPermission,
        None,
        &[
            "Action",
            "EventSourceToken",
            "FunctionName",
            "FunctionUrlAuthType",
            "InvokedViaFunctionUrl",
            "Principal",
            "PrincipalOrgID",
            "SourceAccount",
            "SourceArn",
        ],
    ),
    of(
        "AWS::Lambda::EventInvokeConfig",
        Kind::LambdaEventInvokeConfig,
        None,
        &["FunctionName", "Qualifier"],
    ),
    of(
        "AWS::Lambda::LayerVersion",
        Kind::LambdaLayerVersion,
        None,
        &[
            "CompatibleArchitectures",
            "CompatibleRuntimes",
            "Content",
            "Description",
            "LayerName",
            "LicenseInfo",
        ],
    ),
    of(
        "AWS::S3::Bucket",
        Kind::Bucket,
        Some("BucketName"),
        &["BucketName", "BucketNamePrefix"],
    ),
    of(
        "AWS::S3::BucketPolicy",
        Kind::BucketPolicy,
        None,
        &["Bucket"],
    ),
    of(
        "AWS::IAM::Role",
        Kind::Role,
        Some("RoleName"),
        &["RoleName", "Path"],
    ),
    of("AWS::IAM::Policy", Kind::Policy, None, &[]),
    of(
        "AWS::IAM::ManagedPolicy",
        Kind::ManagedPolicy,
        Some("ManagedPolicyName"),
        &["ManagedPolicyName", "Path", "Description"],
    ),
    of(
        "AWS::Logs::LogGroup",
        Kind::LogGroup,
        Some("LogGroupName"),
        &["LogGroupName"],
    ),
    of(
        "AWS::SNS::Topic",
        Kind::Topic,
        Some("TopicName"),
        &["TopicName", "FifoTopic"],
    ),
    of("AWS::SNS::TopicPolicy", Kind::TopicPolicy, None, &[]),
    of(
        "AWS::SNS::Subscription",
        Kind::Subscription,
        None,
        &["Endpoint", "Protocol", "TopicArn"],
    ),
    of(
        "AWS::SSM::Parameter",
        Kind::Parameter,
        Some("Name"),
        &["Name", "Type"],
    ),
    of(
        "AWS::CodeBuild::Project",
        Kind::BuildProject,
        Some("Name"),
        &["Name"],
    ),
    of(
        "AWS::CloudWatch::Alarm",
        Kind::Alarm,
        Some("AlarmName"),
        &["AlarmName"],
    ),
    of(
        "AWS::CodePipeline::Pipeline",
        Kind::Pipeline,
        Some("Name"),
        &["Name"],
    ),
    of("AWS::ApiGateway::RestApi", Kind::RestApi, None, &[]),
    of(
        "AWS::ApiGateway::Resource",
        Kind::RestResource,
        None,
        &["ParentId", "PathPart", "RestApiId"],
    ),
    of(
        "AWS::ApiGateway::Method",
        Kind::RestMethod,
        None,
        &["HttpMethod", "ResourceId", "RestApiId"],
    ),
    of(
        "AWS::ApiGateway::Deployment",
        Kind::RestDeployment,
        None,
        &["RestApiId", "DeploymentCanarySettings"],
    ),
    of(
        "AWS::ApiGateway::Stage",
        Kind::RestStage,
        None,
        &["RestApiId", "StageName"],
    ),
    of("AWS::ApiGateway::Account", Kind::RestAccount, None, &[]),
    of(
        "AWS::ApiGatewayV2::Api",
        Kind::HttpApi,
        None,
        &["ProtocolType"],
    ),
    of(
        "AWS::ApiGatewayV2::Route",
        Kind::HttpRoute,
        None,
        &["ApiId"],
    ),
    of(
        "AWS::ApiGatewayV2::Integration",
        Kind::HttpIntegration,
        None,
        &["ApiId"],
    ),
    of(
        "AWS::ApiGatewayV2::Stage",
        Kind::HttpStage,
        None,
        &["ApiId", "StageName"],
    ),
    of(
        "AWS::ApiGatewayV2::Deployment",
        Kind::HttpDeployment,
        None,
        &["ApiId"],
    ),
    of(
        "AWS::CloudFormation::WaitConditionHandle",
        Kind::WaitConditionHandle,
        None,
        &[],
    ),
    of("AWS::CloudFormation::Stack", Kind::NestedStack, None, &[]),
    // What replaces a custom resource, only its provider knows.
    of(CUSTOM, Kind::Custom, None, &[]),
    of(
        "AWS::KMS::Key",
        Kind::Simulated,
        None,
        &["KeySpec", "KeyUsage", "MultiRegion"],
    ),
    of(
        "AWS::KMS::Alias",
        Kind::Simulated,
        Some("AliasName"),
        &["AliasName"],
    ),
    of(
        "AWS::CodeStarConnections::Connection",
        Kind::Simulated,
        None,
        &["ConnectionName", "HostArn", "ProviderType"],
    ),
    of(
        "AWS::CodeConnections::Connection",
        Kind::Simulated,
        None,
        &["ConnectionName", "HostArn", "ProviderType"],
    ),
    of(
        "AWS::Events::Rule",
        Kind::Simulated,
        Some("Name"),
        &["Name", "EventBusName"],
    ),
    of(
        "AWS::IAM::InstanceProfile",
        Kind::Simulated,
        Some("InstanceProfileName"),
        &["InstanceProfileName", "Path"],
    ),
    of(
        "AWS::SQS::Queue",
        Kind::Simulated,
        Some("QueueName"),
        &["QueueName", "FifoQueue"],
    ),
    of("AWS::SQS::QueuePolicy", Kind::Simulated, None, &[]),
    of(
        "AWS::DynamoDB::Table",
        Kind::Simulated,
        Some("TableName"),
        &["TableName", "KeySchema", "LocalSecondaryIndexes"],
    ),
    of("AWS::CloudFront::Distribution", Kind::Simulated, None, &[]),
    of(
        "AWS::CloudFront::OriginAccessControl",
        Kind::Simulated,
        None,
        &[],
    ),
    of(
        "AWS::CloudFront::CloudFrontOriginAccessIdentity",
        Kind::Simulated,
        None,
        &[],
    ),
    of("AWS::CloudFront::CachePolicy", Kind::Simulated, None, &[]),
    of(
        "AWS::CloudFront::OriginRequestPolicy",
        Kind::Simulated,
        None,
        &[],
    ),
    of(
        "AWS::CloudFront::ResponseHeadersPolicy",
        Kind::Simulated,
        None,
        &[],
    ),
    of(
        "AWS::CloudFront::Function",
        Kind::Simulated,
        Some("Name"),
        &["Name"],
    ),
];

fn all() -> impl Iterator<Item = &'static ResourceType> {
    TYPES.iter().chain(serverless::TYPES)
}

/// The type of that name, if it is served.
pub(crate) fn find(name: &str) -> Option<&'static ResourceType> {
    let name = if name.starts_with("Custom::") {
        CUSTOM
    } else {
        name
    };
    all().find(|known| known.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_type_once() {
        let mut names: Vec<_> = all().map(|known| known.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_name_of_ones_own_needs_a_replacement_to_change() {
        for known in all() {
            if let Some(name) = known.name_property {
                assert!(known.replaced_by.contains(&name), "{}", known.name);
            }
        }
    }

    #[test]
    fn every_type_that_the_sam_transform_makes_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../towpath-template/tests/sam");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let template = towpath_template::Template::parse(&text).unwrap();
            let made = towpath_template::sam::transform(
                &template,
                &towpath_template::sam::Context::default(),
            );
            for (id, resource) in made.unwrap().resources() {
                let kind = resource["Type"].as_str().unwrap();
                assert!(find(kind).is_some(), "{}: {id} is {kind}", path.display());
                count += 1;
            }
        }
        assert!(count > 100, "the templates have gone");
    }
}
