//! Packaging against `aws cloudformation package` and `sam package`, wherever Python has them: the same tree, the same
//! properties rewritten in the same form, the same files in each archive, the same nesting.
//!
//! Not compared, because neither packages it, or in a way nobody means: `CodeUri` in `Globals`, a `Transform` of the
//! template that includes a local file; and a single file as the code of a function in a nested template, which the AWS
//! CLI looks for in its own working directory. With `sam`, no `Fn::ForEach`, which it takes for a broken resource unless
//! it is told to expand it, and then leaves the code of a GraphQL API's resolvers where it is; and no published
//! application, which it looks up.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use towpath_template::package::{CodeKind, S3Object, plan};

const FILES: &[(&str, &str)] = &[
    ("src/index.js", "exports.handler = 1"),
    ("src/lib/a.js", "1"),
    ("one.py", "def handler(): pass"),
    ("api.yaml", "openapi: 3.0.1"),
    ("part.yaml", "paths: {}"),
    ("README.md", "read"),
    ("child/grandchild/template.yaml", GRANDCHILD),
    ("child/code/b.js", "2"),
    ("child/template.yaml", CHILD),
];

const GRANDCHILD: &str = "
Resources:
  LeftOut:
    Type: AWS::Serverless::Function
    Properties: {Handler: a.b}
";

const CHILD: &str = "
Resources:
  Up:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ../src}
  Plain:
    Type: AWS::Lambda::Function
    Properties: {Code: code/}
  Below:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: ./grandchild/template.yaml}
  Included:
    Type: AWS::Serverless::Api
    Properties: {StageName: v1, DefinitionBody: {'Fn::Transform': {Name: AWS::Include, Parameters: {Location: ../part.yaml}}}}
";

const TEMPLATE: &str = "
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Metadata:
  AWS::ServerlessRepo::Application: {Name: it, ReadmeUrl: README.md, LicenseUrl: s3://there/license}
Parameters:
  Bucket: {Type: String}
Resources:
  Directory:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/, Environment: {Variables: {BUCKET: !Ref Bucket, AT: !Sub '${AWS::Region}'}}}
  File:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: one.py}
  There:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: s3://there/code.zip}
  Placed:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: {Bucket: !Ref Bucket, Key: code.zip}}
  Inline:
    Type: AWS::Lambda::Function
    Properties: {Code: {ZipFile: x}}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: src}
  PlainFile:
    Type: AWS::Lambda::Function
    Properties: {Code: one.py}
  PlainLayer:
    Type: AWS::Lambda::LayerVersion
    Properties: {Content: ./src}
  Api:
    Type: AWS::Serverless::Api
    Properties: {StageName: v1, DefinitionUri: api.yaml}
  Body:
    Type: AWS::Serverless::Api
    Properties: {StageName: v1, DefinitionBody: {'Fn::Transform': {Name: AWS::Include, Parameters: {Location: part.yaml}}}}
  Rest:
    Type: AWS::ApiGateway::RestApi
    Properties: {BodyS3Location: api.yaml}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {DefinitionUri: part.yaml}
  PlainMachine:
    Type: AWS::StepFunctions::StateMachine
    Properties: {DefinitionS3Location: part.yaml}
  Schema:
    Type: AWS::AppSync::GraphQLSchema
    Properties: {DefinitionS3Location: part.yaml}
  Resolver:
    Type: AWS::AppSync::Resolver
    Properties: {RequestMappingTemplateS3Location: part.yaml, ResponseMappingTemplateS3Location: api.yaml}
  Step:
    Type: AWS::AppSync::FunctionConfiguration
    Properties: {RequestMappingTemplateS3Location: part.yaml, ResponseMappingTemplateS3Location: api.yaml}
  Beanstalk:
    Type: AWS::ElasticBeanstalk::ApplicationVersion
    Properties: {SourceBundle: src}
  Job:
    Type: AWS::Glue::Job
    Properties: {Command: {Name: glueetl, ScriptLocation: one.py}}
  Nested:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: child/template.yaml}
  Application:
    Type: AWS::Serverless::Application
    Properties: {Location: ./child/template.yaml}
  Elsewhere:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://s3.amazonaws.com/there/template.yaml'}
";

/// What only the AWS CLI packages, or leaves alone.
const ONLY_AWS: &str = "
  Repository:
    Type: AWS::CodeCommit::Repository
    Properties: {Code: {BranchName: main, S3: src}}
  Fn::ForEach::Each:
    - Name
    - [A, B]
    - '${Name}':
        Type: AWS::Serverless::Function
        Properties: {CodeUri: src}
  Published:
    Type: AWS::Serverless::Application
    Properties: {Location: {ApplicationId: a, SemanticVersion: 1.0.0}}
";

/// What only `sam` packages.
const ONLY_SAM: &str = "
  HttpApi:
    Type: AWS::Serverless::HttpApi
    Properties: {DefinitionUri: api.yaml}
  Graph:
    Type: AWS::Serverless::GraphQLApi
    Properties:
      Auth: {Type: API_KEY}
      SchemaUri: part.yaml
      Functions: {Read: {Runtime: {Name: APPSYNC_JS, Version: 1.0.0}, DataSource: None, CodeUri: src/index.js}}
      Resolvers: {Query: {read: {CodeUri: src/lib/a.js, Pipeline: [Read]}}}
  PlainHttp:
    Type: AWS::ApiGatewayV2::Api
    Properties: {BodyS3Location: api.yaml}
  CodeOfResolver:
    Type: AWS::AppSync::Resolver
    Properties: {CodeS3Location: src/index.js}
  CodeOfStep:
    Type: AWS::AppSync::FunctionConfiguration
    Properties: {CodeS3Location: src/index.js}
  Module:
    Type: AWS::CloudFormation::ModuleVersion
    Properties: {ModulePackage: src}
  ResourceType:
    Type: AWS::CloudFormation::ResourceVersion
    Properties: {SchemaHandlerPackage: src}
  Set:
    Type: AWS::CloudFormation::StackSet
    Properties: {TemplateURL: child/grandchild/template.yaml}
  Web:
    Type: AWS::Serverless::WebFunction
    Properties: {CodeUri: src, Runtime: nodejs24.x, AuthType: NONE}
  WebOfFile:
    Type: AWS::Serverless::WebFunction
    Properties: {CodeUri: one.py, Runtime: nodejs24.x, AuthType: NONE}
";

/// The packaged text of a template; what it refers to is in `objects`.
fn packaged(path: &Path, objects: &mut Map<String, Value>) -> String {
    let text = fs::read_to_string(path).unwrap();
    let plan = plan(&text, path.parent().unwrap()).unwrap();
    let mut keys = Vec::new();
    for code in &plan.artifacts {
        let kind = format!("{:?}", code.kind);
        let object = if code.kind == CodeKind::Template {
            json!({"kind": kind, "text": packaged(&code.path, objects)})
        } else {
            json!({"kind": kind, "path": code.path})
        };
        let key = format!("object-{}", objects.len());
        objects.insert(key.clone(), object);
        keys.push((code.place.clone(), key));
    }
    plan.rewrite(|code| S3Object {
        bucket: "releases".to_owned(),
        key: keys
            .iter()
            .find(|(place, _)| *place == code.place)
            .unwrap()
            .1
            .clone(),
        version: None,
        region: Some("eu-west-1".to_owned()),
    })
}

/// A tool's result and ours, for a template that is completed by `more`; nothing if the tool is not there and need not be.
/// `demanded` is the Python that has it, if that has to be.
fn both(tool: &str, more: &str, demanded: Option<OsString>) -> Option<Value> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let template = root.join("template.yaml");
    for (name, text) in FILES {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(
        &template,
        format!("{TEMPLATE}{}", more.trim_start_matches('\n')),
    )
    .unwrap();
    let mut objects = Map::new();
    let text = packaged(&template, &mut objects);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws_package.py");
    let is_demanded = demanded.is_some();
    let child = Command::new(demanded.unwrap_or_else(|| "python3".into()))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(!is_demanded, "the Python for `{tool}` cannot be run");
        eprintln!("skipped: python3 is not installed");
        return None;
    };
    let given = json!({"tool": tool, "template": template, "text": text, "objects": objects});
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(given.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    if output.status.code() == Some(3) && !is_demanded {
        eprintln!("skipped: python3 has no `{tool}`");
        return None;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The variable's value, unless it is empty.
fn named(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|name| !name.is_empty())
}

/// Compares the two, and what was compared: so many resources, down to the innermost template.
fn agree(both: &Value, expected: usize) {
    let (theirs, ours) = (&both["theirs"], &both["ours"]);
    let resources = theirs["Resources"].as_object().unwrap();
    assert_eq!(resources.len(), expected);
    for (id, resource) in resources {
        assert_eq!(ours["Resources"][id], *resource, "{id}");
    }
    assert_eq!(ours, theirs);
    let properties = |id: &str| &theirs["Resources"][id]["Properties"];
    assert!(properties("Directory")["CodeUri"]["s3"]["archive"]["lib/a.js"].is_string());
    let child = &properties("Nested")["TemplateURL"]["url"]["template"]["Resources"];
    let below = &child["Below"]["Properties"]["TemplateURL"]["url"]["template"]["Resources"];
    let left_out = &below["LeftOut"]["Properties"]["CodeUri"]["s3"]["archive"];
    assert!(left_out["template.yaml"].is_string(), "{theirs}");
}

#[test]
fn a_template_is_packaged_as_the_aws_cli_packages_it() {
    if let Some(both) = both("aws", ONLY_AWS, named("TOWPATH_TEST_PYTHON")) {
        agree(&both, 24);
    }
}

#[test]
fn a_template_is_packaged_as_sam_packages_it() {
    if let Some(both) = both("sam", ONLY_SAM, named("TOWPATH_TEST_SAM")) {
        agree(&both, 31);
        let graph = &both["theirs"]["Resources"]["Graph"]["Properties"];
        assert!(graph["Resolvers"]["Query"]["read"]["CodeUri"]["s3"].is_string());
    }
}
