//! Templates beside real directories.

use std::fs;
use std::path::Path;

use super::{CodeKind, S3Object, content_key, plan};
use crate::Template;

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("src/index.js", "x"),
        ("ready.zip", "zip"),
        ("one.py", "x"),
        ("api.yaml", "openapi: 3.0.1"),
    ] {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir(directory.path().join("empty")).unwrap();
    directory
}

const TEMPLATE: &str = "
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {CodeUri: src, Runtime: nodejs20.x}
Resources:
  Shared:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: esbuild}
  Own:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ./one.py, Description: yes it is, Environment: {Variables: {A: !Sub '${AWS::Region}', B: 'no'}}}
  Ready:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ready.zip}
  Image:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image, ImageUri: !Ref Uri}
  Inline:
    Type: AWS::Serverless::Function
    Properties: {InlineCode: 'exports.handler = 1'}
  There:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: s3://bucket/key}
  Computed:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: !Sub 's3://${Bucket}/key'}
  Plain:
    Type: AWS::Lambda::Function
    Properties: {Code: src}
  PlainInline:
    Type: AWS::Lambda::Function
    Properties: {Code: {ZipFile: x}}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: src}
  Api:
    Type: AWS::Serverless::Api
    Properties: {StageName: v1, DefinitionUri: api.yaml}
  Rest:
    Type: AWS::ApiGateway::RestApi
    Properties: {BodyS3Location: api.yaml}
  Nested:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: https://s3.amazonaws.com/bucket/key}
";

#[test]
fn local_code_is_found_and_nothing_else() {
    let directory = directory();
    let plan = plan(TEMPLATE, directory.path()).unwrap();
    let found: Vec<String> = plan
        .artifacts
        .iter()
        .map(|code| {
            let path = code
                .path
                .strip_prefix(directory.path())
                .unwrap()
                .components()
                .as_path();
            format!(
                "{} {} {} {:?}",
                code.resource,
                code.property,
                path.display(),
                code.kind
            )
        })
        .collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    Shared CodeUri src Zip
    Own CodeUri one.py Zip
    Ready CodeUri ready.zip File
    Plain Code src Zip
    Layer ContentUri src Zip
    Api DefinitionUri api.yaml File
    Rest BodyS3Location api.yaml File
    ");
    assert!(
        plan.artifacts
            .iter()
            .all(|code| code.kind != CodeKind::Template)
    );
}

#[test]
fn the_rewritten_template_names_objects_and_keeps_the_rest() {
    let directory = directory();
    let plan = plan(TEMPLATE, directory.path()).unwrap();
    let version =
        |resource: &str| (resource == "Own" || resource == "Plain").then(|| "v1".to_owned());
    let text = plan.rewrite(|code| S3Object {
        bucket: "releases".to_owned(),
        key: content_key("app/", &format!("{}-sha", code.resource)),
        version: version(&code.resource),
        region: Some("eu-west-1".to_owned()),
    });
    insta::assert_snapshot!(text, @r"
    Transform: AWS::Serverless-2016-10-31
    Globals:
      Function:
        Runtime: nodejs20.x
    Resources:
      Shared:
        Type: AWS::Serverless::Function
        Metadata:
          BuildMethod: esbuild
        Properties:
          CodeUri: s3://releases/app/Shared-sha
      Own:
        Type: AWS::Serverless::Function
        Properties:
          CodeUri:
            Bucket: releases
            Key: app/Own-sha
            Version: v1
          Description: yes it is
          Environment:
            Variables:
              A: !Sub ${AWS::Region}
              B: 'no'
      Ready:
        Type: AWS::Serverless::Function
        Properties:
          CodeUri: s3://releases/app/Ready-sha
      Image:
        Type: AWS::Serverless::Function
        Properties:
          PackageType: Image
          ImageUri: !Ref Uri
      Inline:
        Type: AWS::Serverless::Function
        Properties:
          InlineCode: exports.handler = 1
      There:
        Type: AWS::Serverless::Function
        Properties:
          CodeUri: s3://bucket/key
      Computed:
        Type: AWS::Serverless::Function
        Properties:
          CodeUri: !Sub s3://${Bucket}/key
      Plain:
        Type: AWS::Lambda::Function
        Properties:
          Code:
            S3Bucket: releases
            S3Key: app/Plain-sha
            S3ObjectVersion: v1
      PlainInline:
        Type: AWS::Lambda::Function
        Properties:
          Code:
            ZipFile: x
      Layer:
        Type: AWS::Serverless::LayerVersion
        Properties:
          ContentUri: s3://releases/app/Layer-sha
      Api:
        Type: AWS::Serverless::Api
        Properties:
          StageName: v1
          DefinitionUri: s3://releases/app/Api-sha
      Rest:
        Type: AWS::ApiGateway::RestApi
        Properties:
          BodyS3Location:
            Bucket: releases
            Key: app/Rest-sha
      Nested:
        Type: AWS::CloudFormation::Stack
        Properties:
          TemplateURL: https://s3.amazonaws.com/bucket/key
    ");
    // What is packaged holds nothing local.
    assert_eq!(
        super::plan(&text, Path::new("/nowhere")).unwrap().artifacts,
        []
    );
    assert_eq!(Template::parse(&text).unwrap().to_yaml(), text);
}

#[test]
fn a_path_that_cannot_be_packaged_is_named_with_its_resource_and_property() {
    let directory = directory();
    let mut seen = Vec::new();
    for resource in [
        "{Type: AWS::Serverless::Function, Properties: {CodeUri: ./dist}}",
        "{Type: AWS::Serverless::Function, Properties: {CodeUri: empty}}",
        "{Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: 'hello:latest'}}",
        "{Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: src}}",
        "{Type: AWS::Lambda::Function, Properties: {Code: dist}}",
        "{Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: layer}}",
        "{Type: AWS::Serverless::Api, Properties: {DefinitionUri: src}}",
        "{Type: AWS::Serverless::HttpApi, Properties: {DefinitionUri: openapi.yaml}}",
        "{Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: ./nested.yaml}}",
        "{Type: AWS::X::Y, Properties: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: part.yaml}}}}",
    ] {
        let error = plan(
            &format!("Resources: {{Thing: {resource}}}"),
            directory.path(),
        )
        .unwrap_err();
        let line = error
            .to_string()
            .replace(&directory.path().display().to_string(), "[dir]");
        seen.push(line);
    }
    let listed = "there is api.yaml, empty, one.py, ready.zip, src";
    for (said, expected) in seen.iter().zip([
        format!("resource `Thing`: CodeUri names `./dist`, and [dir]/./dist does not exist; {listed}"),
        "resource `Thing`: CodeUri names `empty`, and [dir]/empty is an empty directory".to_owned(),
        "resource `Thing`: ImageUri names the local image `hello:latest`, and images are not packaged: push it to ECR and give its URI".to_owned(),
        "resource `Thing`: TemplateURL names `src`, and [dir]/src is no file".to_owned(),
        format!("resource `Thing`: Code names `dist`, and [dir]/dist does not exist; {listed}"),
        format!("resource `Thing`: ContentUri names `layer`, and [dir]/layer does not exist; {listed}"),
        "resource `Thing`: DefinitionUri names `src`, and [dir]/src is no file".to_owned(),
        format!("resource `Thing`: DefinitionUri names `openapi.yaml`, and [dir]/openapi.yaml does not exist; {listed}"),
        format!("resource `Thing`: TemplateURL names `./nested.yaml`, and [dir]/./nested.yaml does not exist; {listed}"),
        format!("resource `Resources.Thing.Properties`: AWS::Include Location names `part.yaml`, and [dir]/part.yaml does not exist; {listed}"),
    ]) {
        assert_eq!(*said, expected);
    }
    assert_eq!(seen.len(), 10);
}

/// Each type that is packaged, and what its property is afterwards.
#[test]
fn every_property_that_is_packaged_names_its_object_as_its_service_reads_it() {
    let directory = directory();
    for (kind, property, given, content, expected) in [
        (
            "AWS::Serverless::Function",
            "CodeUri",
            "src",
            CodeKind::Zip,
            "s3://b/k",
        ),
        (
            "AWS::Serverless::Function",
            "CodeUri",
            "",
            CodeKind::Zip,
            "s3://b/k",
        ),
        (
            "AWS::Serverless::LayerVersion",
            "ContentUri",
            "src",
            CodeKind::Zip,
            "s3://b/k",
        ),
        (
            "AWS::Lambda::Function",
            "Code",
            "one.py",
            CodeKind::Zip,
            "{S3Bucket: b, S3Key: k}",
        ),
        (
            "AWS::Lambda::LayerVersion",
            "Content",
            "ready.zip",
            CodeKind::File,
            "{S3Bucket: b, S3Key: k}",
        ),
        (
            "AWS::Serverless::Api",
            "DefinitionUri",
            "api.yaml",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::Serverless::HttpApi",
            "DefinitionUri",
            "api.yaml",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::Serverless::StateMachine",
            "DefinitionUri",
            "api.yaml",
            CodeKind::File,
            "{Bucket: b, Key: k}",
        ),
        (
            "AWS::Serverless::GraphQLApi",
            "SchemaUri",
            "api.yaml",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::Serverless::GraphQLApi",
            "Resolvers.Query.Get.CodeUri",
            "one.py",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::AppSync::GraphQLSchema",
            "DefinitionS3Location",
            "api.yaml",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::AppSync::Resolver",
            "RequestMappingTemplateS3Location",
            "api.yaml",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::AppSync::Resolver",
            "CodeS3Location",
            "api.yaml",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::AppSync::FunctionConfiguration",
            "ResponseMappingTemplateS3Location",
            "api.yaml",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::ApiGateway::RestApi",
            "BodyS3Location",
            "api.yaml",
            CodeKind::File,
            "{Bucket: b, Key: k}",
        ),
        (
            "AWS::ApiGatewayV2::Api",
            "BodyS3Location",
            "api.yaml",
            CodeKind::File,
            "{Bucket: b, Key: k}",
        ),
        (
            "AWS::StepFunctions::StateMachine",
            "DefinitionS3Location",
            "api.yaml",
            CodeKind::File,
            "{Bucket: b, Key: k}",
        ),
        (
            "AWS::ElasticBeanstalk::ApplicationVersion",
            "SourceBundle",
            "src",
            CodeKind::Zip,
            "{S3Bucket: b, S3Key: k}",
        ),
        (
            "AWS::Glue::Job",
            "Command.ScriptLocation",
            "one.py",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::CodeCommit::Repository",
            "Code.S3",
            "one.py",
            CodeKind::Zip,
            "{Bucket: b, Key: k}",
        ),
        (
            "AWS::CloudFormation::ModuleVersion",
            "ModulePackage",
            "src",
            CodeKind::Zip,
            "s3://b/k",
        ),
        (
            "AWS::CloudFormation::ResourceVersion",
            "SchemaHandlerPackage",
            "ready.zip",
            CodeKind::File,
            "s3://b/k",
        ),
        (
            "AWS::CloudFormation::Stack",
            "TemplateURL",
            "api.yaml",
            CodeKind::Template,
            "https://s3.eu-west-1.amazonaws.com/b/k",
        ),
        (
            "AWS::CloudFormation::StackSet",
            "TemplateURL",
            "api.yaml",
            CodeKind::File,
            "https://s3.eu-west-1.amazonaws.com/b/k",
        ),
        (
            "AWS::Serverless::Application",
            "Location",
            "api.yaml",
            CodeKind::Template,
            "https://s3.eu-west-1.amazonaws.com/b/k",
        ),
    ] {
        let mut properties = serde_json::json!({});
        let place: Vec<String> = property.split('.').map(str::to_owned).collect();
        if !given.is_empty() {
            super::set(&mut properties, &place, given.into());
        }
        let text =
            serde_json::json!({"Resources": {"It": {"Type": kind, "Properties": properties}}});
        let plan = plan(&text.to_string(), directory.path()).unwrap();
        assert_eq!(plan.artifacts.len(), 1, "{kind} {property}");
        assert_eq!(plan.artifacts[0].kind, content, "{kind} {property}");
        assert_eq!(plan.artifacts[0].property, property, "{kind}");
        let rewritten = Template::parse(&plan.rewrite(|_| S3Object {
            bucket: "b".to_owned(),
            key: "k".to_owned(),
            version: None,
            region: Some("eu-west-1".to_owned()),
        }))
        .unwrap();
        let value = place.iter().fold(
            &rewritten.value()["Resources"]["It"]["Properties"],
            |value, name| &value[name.as_str()],
        );
        assert_eq!(
            *value,
            crate::yaml::read(expected).unwrap(),
            "{kind} {property}"
        );
    }
}

#[test]
fn includes_loops_metadata_and_assets_are_packaged() {
    let directory = directory();
    let plan = plan(
        "
Transform: [{Name: AWS::Include, Parameters: {Location: api.yaml}}]
Metadata:
  AWS::ServerlessRepo::Application: {ReadmeUrl: api.yaml, LicenseUrl: s3://b/license}
Resources:
  Fn::Transform: {Name: AWS::Include, Parameters: {Location: one.py}}
  'Fn::ForEach::All': [Name, [A, B], {'F${Name}': {Type: AWS::Serverless::Function, Properties: {CodeUri: src}}}]
  Api:
    Type: AWS::Serverless::Api
    Properties: {DefinitionBody: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: api.yaml}}}}
  There:
    Type: AWS::Serverless::Api
    Properties: {DefinitionBody: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://b/k}}}}
  Other:
    Type: AWS::Serverless::Api
    Properties: {DefinitionBody: {Fn::Transform: {Name: Mine, Parameters: {Location: nowhere}}}}
  Asset:
    Type: AWS::Lambda::Function
    Metadata: {'aws:asset:path': src, 'aws:asset:property': Code}
    Properties: {Code: {S3Bucket: cdk, S3Key: a.zip}}
  Gone:
    Type: AWS::Lambda::Function
    Metadata: {'aws:asset:path': gone, 'aws:asset:property': Code}
    Properties: {Code: {S3Bucket: cdk, S3Key: b.zip}}
",
        directory.path(),
    )
    .unwrap();
    let places: Vec<String> = plan.artifacts.iter().map(|it| it.place.join("/")).collect();
    assert_eq!(
        places,
        [
            "Metadata/AWS::ServerlessRepo::Application/ReadmeUrl",
            "Transform/0/Parameters/Location",
            "Resources/Fn::Transform/Parameters/Location",
            "Resources/Api/Properties/DefinitionBody/Fn::Transform/Parameters/Location",
            "Resources/Fn::ForEach::All/2/F${Name}/Properties/CodeUri",
            "Resources/Asset/Properties/Code",
        ]
    );
}

#[test]
fn a_content_key_is_the_prefix_and_the_hash() {
    for (prefix, expected) in [
        ("", "abc"),
        ("app", "app/abc"),
        ("/app/code/", "app/code/abc"),
    ] {
        assert_eq!(content_key(prefix, "abc"), expected, "{prefix}");
    }
}
