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
        "{Type: AWS::Serverless::Function, Properties: {Handler: x}}",
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
    insta::assert_snapshot!(seen.join("\n"), @r"
    resource `Thing`: CodeUri names `./dist`, and [dir]/./dist does not exist
    resource `Thing`: CodeUri names `empty`, and [dir]/empty is an empty directory
    resource `Thing`: CodeUri is missing; write `CodeUri: .` to package the directory of the template
    resource `Thing`: Code names `dist`, and [dir]/dist does not exist
    resource `Thing`: ContentUri names `layer`, and [dir]/layer does not exist
    resource `Thing`: DefinitionUri names `src`, and [dir]/src is no file
    resource `Thing`: DefinitionUri names `openapi.yaml`, and [dir]/openapi.yaml does not exist
    resource `Thing`: TemplateURL names the local template `./nested.yaml`, and nested templates are not packaged yet: upload it and give its https URL
    `Resources.Thing.Properties.Fn::Transform` includes the local file `part.yaml`: upload it and give its s3:// URL
    ");
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
