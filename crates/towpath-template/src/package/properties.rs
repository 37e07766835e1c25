//! Which properties of which resources name local files, and how each names an object in S3.
//!
//! The union of what `aws cloudformation package` and `sam package` know.

use serde_json::{Value, json};

use super::S3Object;

/// What a property names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Code of a function or layer: always an archive. Left out, it is the template's directory.
    Code,
    /// Always an archive.
    Archive,
    /// A directory, which becomes an archive, or any file as it is.
    Bundle,
    /// A file as it is.
    Definition,
    /// A template, which is packaged itself.
    Template,
}

/// How a property names an object in S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `s3://bucket/key`, or `{Bucket, Key, Version}` if there is a version.
    Uri,
    /// `s3://bucket/key`, which cannot say a version.
    Text,
    /// `{S3Bucket, S3Key, S3ObjectVersion}`
    Code,
    /// `{S3Bucket, S3Key}`
    Bundle,
    /// `{Bucket, Key, Version}`
    Location,
    /// `{Bucket, Key, ObjectVersion}`
    Repository,
    /// `https://s3.region.amazonaws.com/bucket/key`, the only form that CloudFormation takes.
    Url,
}

pub(super) struct Property {
    pub(super) resource_type: &'static str,
    /// Names joined by `.`
    pub(super) name: &'static str,
    pub(super) content: Content,
    pub(super) shape: Shape,
}

impl Property {
    pub(super) fn path(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.name.split('.')
    }
}

const fn of(
    resource_type: &'static str,
    name: &'static str,
    content: Content,
    shape: Shape,
) -> Property {
    Property {
        resource_type,
        name,
        content,
        shape,
    }
}

pub(super) const FUNCTION: &str = "AWS::Serverless::Function";
const RESOLVER: &str = "AWS::AppSync::Resolver";
const RESOLVER_FUNCTION: &str = "AWS::AppSync::FunctionConfiguration";
const REQUEST: &str = "RequestMappingTemplateS3Location";
const RESPONSE: &str = "ResponseMappingTemplateS3Location";

use Content::{Archive, Bundle, Code, Definition, Template};

#[rustfmt::skip]
pub(super) const PROPERTIES: &[Property] = &[
    of(FUNCTION, "CodeUri", Code, Shape::Uri),
    of("AWS::Serverless::WebFunction", "CodeUri", Code, Shape::Uri),
    of("AWS::Serverless::LayerVersion", "ContentUri", Code, Shape::Uri),
    of("AWS::Lambda::Function", "Code", Code, Shape::Code),
    of("AWS::Lambda::LayerVersion", "Content", Code, Shape::Code),
    of("AWS::Serverless::Api", "DefinitionUri", Definition, Shape::Uri),
    of("AWS::Serverless::HttpApi", "DefinitionUri", Definition, Shape::Uri),
    of("AWS::Serverless::StateMachine", "DefinitionUri", Definition, Shape::Location),
    of("AWS::Serverless::GraphQLApi", "SchemaUri", Definition, Shape::Text),
    of("AWS::AppSync::GraphQLSchema", "DefinitionS3Location", Definition, Shape::Text),
    of(RESOLVER, REQUEST, Definition, Shape::Text),
    of(RESOLVER, RESPONSE, Definition, Shape::Text),
    of(RESOLVER, "CodeS3Location", Definition, Shape::Text),
    of(RESOLVER_FUNCTION, REQUEST, Definition, Shape::Text),
    of(RESOLVER_FUNCTION, RESPONSE, Definition, Shape::Text),
    of(RESOLVER_FUNCTION, "CodeS3Location", Definition, Shape::Text),
    of("AWS::ApiGateway::RestApi", "BodyS3Location", Definition, Shape::Location),
    of("AWS::ApiGatewayV2::Api", "BodyS3Location", Definition, Shape::Location),
    of("AWS::StepFunctions::StateMachine", "DefinitionS3Location", Definition, Shape::Location),
    of("AWS::ElasticBeanstalk::ApplicationVersion", "SourceBundle", Bundle, Shape::Bundle),
    of("AWS::Glue::Job", "Command.ScriptLocation", Bundle, Shape::Text),
    of("AWS::CodeCommit::Repository", "Code.S3", Archive, Shape::Repository),
    of("AWS::CloudFormation::ModuleVersion", "ModulePackage", Bundle, Shape::Text),
    of("AWS::CloudFormation::ResourceVersion", "SchemaHandlerPackage", Bundle, Shape::Text),
    of("AWS::CloudFormation::Stack", "TemplateURL", Template, Shape::Url),
    // Not packaged itself: its stacks are in other accounts, which cannot read the release bucket.
    of("AWS::CloudFormation::StackSet", "TemplateURL", Definition, Shape::Url),
    of("AWS::Serverless::Application", "Location", Template, Shape::Url),
];

impl Shape {
    pub(super) fn render(self, object: S3Object) -> Value {
        let S3Object {
            bucket,
            key,
            version,
            region,
        } = object;
        let with = |bucket_name: &str, key_name: &str, version_name: &str| {
            let mut value = json!({ bucket_name: bucket, key_name: key });
            if let Some(version) = &version {
                value[version_name] = json!(version);
            }
            value
        };
        match self {
            Self::Uri if version.is_none() => json!(format!("s3://{bucket}/{key}")),
            Self::Text => json!(format!("s3://{bucket}/{key}")),
            Self::Uri | Self::Location => with("Bucket", "Key", "Version"),
            Self::Code => with("S3Bucket", "S3Key", "S3ObjectVersion"),
            Self::Repository => with("Bucket", "Key", "ObjectVersion"),
            Self::Bundle => json!({"S3Bucket": bucket, "S3Key": key}),
            Self::Url => {
                let host = match region.as_deref() {
                    None | Some("us-east-1") => "s3.amazonaws.com".to_owned(),
                    Some(region) if region.starts_with("cn-") => {
                        format!("s3.{region}.amazonaws.com.cn")
                    }
                    Some(region) => format!("s3.{region}.amazonaws.com"),
                };
                let version = version.map(|it| format!("?versionId={it}"));
                json!(format!(
                    "https://{host}/{bucket}/{key}{}",
                    version.unwrap_or_default()
                ))
            }
        }
    }
}
