//! What the transform makes and what it refuses, without the translator at hand.

use std::collections::BTreeMap;

use super::{Context, transform};
use crate::Template;

const HELLO: &str = "
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: nodejs20.x, Timeout: 10}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: s3://bucket/key
      Handler: index.handler
      Policies: [SSMParameterReadPolicy: {ParameterName: !Ref Greeting}]
      Events:
        Root: {Type: HttpApi, Properties: {Path: /, Method: get}}
        Named: {Type: HttpApi, Properties: {Path: '/{name}', Method: get}}
  Greeting: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: hello}}
Outputs:
  Url: {Value: !Sub 'https://${ServerlessHttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/'}
";

fn made(text: &str) -> Template {
    transform(&Template::parse(text).unwrap(), &Context::default()).unwrap()
}

/// `id type`, one resource a line.
fn inventory(template: &Template) -> String {
    let line =
        |(id, resource): (&String, &serde_json::Value)| format!("{id} {}", super::kind(resource));
    template
        .resources()
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_function_behind_an_http_api_becomes_plain_cloudformation() {
    let template = made(HELLO);
    template.check().unwrap();
    insta::assert_snapshot!(template.to_yaml(), @r"
    Resources:
      Hello:
        Type: AWS::Lambda::Function
        Properties:
          Code:
            S3Bucket: bucket
            S3Key: key
          Handler: index.handler
          Runtime: nodejs20.x
          Timeout: 10
          Tags:
            - Key: lambda:createdBy
              Value: SAM
          Role: !GetAtt HelloRole.Arn
      HelloRootPermission:
        Type: AWS::Lambda::Permission
        Properties:
          Action: lambda:InvokeFunction
          FunctionName: !Ref Hello
          Principal: apigateway.amazonaws.com
          SourceArn: !Sub
            - arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/${__Stage__}/GET/
            - __ApiId__: !Ref ServerlessHttpApi
              __Stage__: '*'
      HelloNamedPermission:
        Type: AWS::Lambda::Permission
        Properties:
          Action: lambda:InvokeFunction
          FunctionName: !Ref Hello
          Principal: apigateway.amazonaws.com
          SourceArn: !Sub
            - arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/${__Stage__}/GET/*
            - __ApiId__: !Ref ServerlessHttpApi
              __Stage__: '*'
      HelloRole:
        Type: AWS::IAM::Role
        Properties:
          AssumeRolePolicyDocument:
            Version: '2012-10-17'
            Statement:
              - Action:
                  - sts:AssumeRole
                Effect: Allow
                Principal:
                  Service:
                    - lambda.amazonaws.com
          Tags:
            - Key: lambda:createdBy
              Value: SAM
          ManagedPolicyArns:
            - arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
          Policies:
            - PolicyName: HelloRolePolicy0
              PolicyDocument:
                Statement:
                  - Action:
                      - ssm:DescribeParameters
                    Effect: Allow
                    Resource: '*'
                  - Action:
                      - ssm:GetParameters
                      - ssm:GetParameter
                      - ssm:GetParametersByPath
                    Effect: Allow
                    Resource: !Sub
                      - arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/${parameterName}
                      - parameterName: !Ref Greeting
      Greeting:
        Type: AWS::SSM::Parameter
        Properties:
          Type: String
          Value: hello
      ServerlessHttpApi:
        Type: AWS::ApiGatewayV2::Api
        Properties:
          Body:
            openapi: '3.0.1'
            info:
              version: '1.0'
              title: !Ref AWS::StackName
            paths:
              /:
                get:
                  x-amazon-apigateway-integration:
                    httpMethod: POST
                    type: aws_proxy
                    uri: !Sub arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Hello.Arn}/invocations
                    payloadFormatVersion: '2.0'
                  responses: {}
              /{name}:
                get:
                  x-amazon-apigateway-integration:
                    httpMethod: POST
                    type: aws_proxy
                    uri: !Sub arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Hello.Arn}/invocations
                    payloadFormatVersion: '2.0'
                  responses: {}
                  parameters:
                    - name: name
                      in: path
                      required: true
            tags:
              - name: httpapi:createdBy
                x-amazon-apigateway-tag-value: SAM
      ServerlessHttpApiApiGatewayDefaultStage:
        Type: AWS::ApiGatewayV2::Stage
        Properties:
          ApiId: !Ref ServerlessHttpApi
          StageName: $default
          AutoDeploy: true
          Tags:
            httpapi:createdBy: SAM
    Outputs:
      Url:
        Value: !Sub https://${ServerlessHttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/
    ");
}

#[test]
fn a_function_with_everything_becomes_many_resources_in_the_template_s_order() {
    let text = include_str!("../../tests/sam/everything_about_a_function.yaml");
    insta::assert_snapshot!(inventory(&made(text)), @r"
    Minimal AWS::Lambda::Function
    MinimalRole AWS::IAM::Role
    FullVersiona74b2ab157 AWS::Lambda::Version
    FullAliaszedD1 AWS::Lambda::Alias
    Full AWS::Lambda::Function
    FullUrl AWS::Lambda::Url
    FullUrlPublicPermissions AWS::Lambda::Permission
    FullURLInvokeAllowPublicAccess AWS::Lambda::Permission
    FullEventInvokeConfigOnSuccessQueue AWS::SQS::Queue
    FullEventInvokeConfig AWS::Lambda::EventInvokeConfig
    FullRole AWS::IAM::Role
    InlineVersiondd0f914200 AWS::Lambda::Version
    InlineAliasaUb AWS::Lambda::Alias
    Inline AWS::Lambda::Function
    InlineUrl AWS::Lambda::Url
    InlineEventInvokeConfigOnFailureTopic AWS::SNS::Topic
    InlineEventInvokeConfig AWS::Lambda::EventInvokeConfig
    HashedVersion9240093e01 AWS::Lambda::Version
    HashedAliaslive AWS::Lambda::Alias
    Hashed AWS::Lambda::Function
    HashedRole AWS::IAM::Role
    FixedVersion6b86b273ff AWS::Lambda::Version
    FixedAliaslive AWS::Lambda::Alias
    Fixed AWS::Lambda::Function
    FixedRole AWS::IAM::Role
    Shared0026bccaa8 AWS::Lambda::LayerVersion
    Keptaf55659eaf AWS::Lambda::LayerVersion
    Deletedd3ba552983 AWS::Lambda::LayerVersion
    Policy AWS::IAM::ManagedPolicy
    Role AWS::IAM::Role
    Topic AWS::SNS::Topic
    ");
}

#[test]
fn rest_apis_get_deployments_and_stages() {
    insta::assert_snapshot!(inventory(&made(include_str!("../../tests/sam/plain_rest_api.yaml"))), @r"
    Hello AWS::Lambda::Function
    HelloRootPermissionProd AWS::Lambda::Permission
    HelloItemPermissionProd AWS::Lambda::Permission
    HelloProxyPermissionProd AWS::Lambda::Permission
    HelloRole AWS::IAM::Role
    Stored AWS::ApiGateway::RestApi
    StoredDeployment2eb222fb1b AWS::ApiGateway::Deployment
    StoredxStage AWS::ApiGateway::Stage
    Empty AWS::ApiGateway::RestApi
    EmptyDeploymentf44fecd64f AWS::ApiGateway::Deployment
    EmptyStage AWS::ApiGateway::Stage
    ServerlessRestApi AWS::ApiGateway::RestApi
    ServerlessRestApiDeployment507cbbf0df AWS::ApiGateway::Deployment
    ServerlessRestApiProdStage AWS::ApiGateway::Stage
    ");
}

#[test]
fn a_changed_definition_is_a_new_deployment_and_an_unchanged_one_is_not() {
    let text = include_str!("../../tests/sam/plain_rest_api.yaml");
    let deployment = |text: &str| {
        let template = made(text);
        let ids = template
            .resources()
            .keys()
            .find(|id| id.starts_with("ServerlessRestApiDeployment"));
        ids.unwrap().clone()
    };
    assert_eq!(deployment(text), deployment(text));
    assert_ne!(
        deployment(text),
        deployment(&text.replace("/item/", "/items/"))
    );
}

#[test]
fn changed_code_is_a_new_version_and_a_changed_timeout_is_not() {
    let version = |code: &str, timeout: u32| {
        let template = made(&format!(
            "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    \
             Properties: {{InlineCode: {code}, Handler: h, Runtime: r, AutoPublishAlias: live, Timeout: {timeout}}}"
        ));
        let ids = template
            .resources()
            .keys()
            .find(|id| id.starts_with("FVersion"));
        ids.unwrap().clone()
    };
    assert_eq!(version("a", 1), version("a", 2));
    assert_ne!(version("a", 1), version("b", 1));
}

#[test]
fn every_made_template_holds_together_and_is_left_alone_by_a_second_transform() {
    for text in [
        include_str!("../../tests/sam/everything_about_a_function.yaml"),
        include_str!("../../tests/sam/events.yaml"),
        include_str!("../../tests/sam/http_apis.yaml"),
        include_str!("../../tests/sam/images_and_tables.yaml"),
        include_str!("../../tests/sam/plain_rest_api.yaml"),
        include_str!("../../tests/sam/rest_apis.yaml"),
    ] {
        let title = text.lines().next().unwrap_or_default();
        let template = made(text);
        template
            .check()
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        assert_eq!(
            transform(&template, &Context::default()).unwrap(),
            template,
            "{title}"
        );
        assert_eq!(
            Template::parse(&template.to_yaml()).unwrap(),
            template,
            "{title}"
        );
    }
}

#[test]
fn the_region_decides_the_partition_and_a_given_parameter_the_alias() {
    let template = Template::parse(
        "Transform: AWS::Serverless-2016-10-31\nParameters: {Alias: {Type: String, Default: live}}\nResources:\n  F:\n    \
         Type: AWS::Serverless::Function\n    Properties: {InlineCode: x, Handler: h, Runtime: r, AutoPublishAlias: !Ref Alias}",
    )
    .unwrap();
    for (region, alias, expected) in [
        ("eu-west-1", None, "aws FAliaslive"),
        ("", Some("blue"), "aws FAliasblue"),
        ("cn-north-1", Some("a-b"), "aws-cn FAliasaDb"),
        ("us-gov-west-1", None, "aws-us-gov FAliaslive"),
    ] {
        let parameters: BTreeMap<String, String> = alias
            .map(|alias| ("Alias".to_owned(), alias.to_owned()))
            .into_iter()
            .collect();
        let made = transform(
            &template,
            &Context {
                region: region.to_owned(),
                parameters,
            },
        )
        .unwrap();
        let role = &made.resources()["FRole"]["Properties"]["ManagedPolicyArns"][0];
        let partition = role.as_str().unwrap().split(':').nth(1).unwrap();
        let alias = made
            .resources()
            .keys()
            .find(|id| id.starts_with("FAlias"))
            .unwrap();
        assert_eq!(format!("{partition} {alias}"), expected, "{region}");
    }
}

#[test]
fn a_template_without_sam_comes_back_as_it_was() {
    let template = Template::parse("Resources: {A: {Type: AWS::SNS::Topic}}").unwrap();
    assert_eq!(transform(&template, &Context::default()).unwrap(), template);
}

#[test]
fn what_the_transform_cannot_do_is_refused_by_name() {
    let function = |properties: &str| {
        format!(
            "Resources: {{F: {{Type: AWS::Serverless::Function, Properties: {{Handler: h, Runtime: r, {properties}}}}}}}"
        )
    };
    let event = |event: &str| function(&format!("InlineCode: x, Events: {{E: {event}}}"));
    let api = |properties: &str| {
        format!("Resources: {{A: {{Type: AWS::Serverless::Api, Properties: {properties}}}}}")
    };
    let http = |properties: &str| {
        format!("Resources: {{A: {{Type: AWS::Serverless::HttpApi, Properties: {properties}}}}}")
    };
    let mut seen = Vec::new();
    for text in [
        "Resources: {A: {Type: AWS::Serverless::StateMachine}}".to_owned(),
        "Resources: {A: {Type: AWS::Serverless::Funktion}}".to_owned(),
        "Globals: {Functon: {Timeout: 1}}\nResources: {A: {Type: AWS::SNS::Topic}}".to_owned(),
        function("Description: x"),
        function("CodeUri: ./src"),
        function("CodeUri: {Bucket: b}"),
        function("InlineCode: x, MemorySise: 1"),
        function("InlineCode: x, DeploymentPreference: {Type: AllAtOnce}"),
        function("InlineCode: x, AutoPublishAlias: live, DeploymentPreference: {Hooks: {}}"),
        function("InlineCode: x, AutoPublishAlias: live, DeploymentPreference: {Type: AllAtOnce, Enabled: !If [C, true, false]}"),
        "Resources: {A: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: s3://b/k, Events: {E: {Type: Api}}}}}".to_owned(),
        "Resources: {A: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: s3://b/k, Events: {E: {Type: S3}}}}}".to_owned(),
        "Resources: {A: {Type: AWS::Serverless::Application, Properties: {Location: {ApplicationId: a, SemanticVersion: 1.0.0}}}}".to_owned(),
        "Resources: {A: {Type: AWS::Serverless::GraphQLApi}}".to_owned(),
        function("InlineCode: x, AutoPublishAlias: !Sub '${x}'"),
        function("InlineCode: x, Policies: [{S3ReadPolice: {}}]"),
        function("InlineCode: x, Policies: [{S3ReadPolicy: {}}]"),
        function("InlineCode: x, Policies: [{Version: x, Id: y}]"),
        function("InlineCode: x, Policies: [!If [C, {Statement: []}, AdministratorAccess]]"),
        function("InlineCode: x, Role: !If [C, a, b]"),
        function("InlineCode: x, DeadLetterQueue: {Type: SQL, TargetArn: a}"),
        function("InlineCode: x, EventInvokeConfig: {DestinationConfig: {OnSuccess: {Type: Lambda}}}"),
        function("InlineCode: x, FunctionUrlConfig: {}"),
        function("PackageType: Image"),
        function("PackageType: Image, ImageUri: x"),
        "Resources: {F: {Type: AWS::Serverless::Function, Properties: {InlineCode: x, Runtime: r}}}".to_owned(),
        "Resources: {F: {Type: AWS::Serverless::Function, Properties: text}}".to_owned(),
        event("{Type: Apo}"),
        event("{Type: MSK}"),
        event("{Type: MQ, Properties: {Broker: b, SourceAccessConfigurations: [{Type: VIRTUAL_HOST, URI: v}]}}"),
        event("{Type: SelfManagedKafka, Properties: {KafkaBootstrapServers: [a], Topics: [t], SourceAccessConfigurations: [{Type: VPC_SUBNET, URI: s}]}}"),
        event("{Type: Kinesis, Properties: {Stream: s, StartingPosition: LATEST, DestinationConfig: {OnFailure: {Type: FTP}}}}"),
        event("{Type: Cognito, Properties: {UserPool: !Ref Nope, Trigger: PreSignUp}}"),
        event("{Type: ScheduleV2, Properties: {ScheduleExpression: x, Name: n, OmitName: true}}"),
        event("{Type: Schedule, Properties: {Schedule: x, DeadLetterConfig: {Arn: a, Type: SQS}}}"),
        event("{Type: Api, Properties: {Path: /x}}"),
        event("{Type: Api, Properties: {Path: x, Method: get}}"),
        event("{Type: Api, Properties: {Path: /x, Method: fetch}}"),
        event("{Type: Api, Properties: {Path: /x, Method: get, RestApiId: !Ref Nope}}"),
        event("{Type: Api, Properties: {Path: /x, Method: get, Auth: {Authorizer: AWS_IAM}}}"),
        event("{Type: Api, Properties: {Path: /x, Method: get, Auth: {ResourcePolicy: {}}}}"),
        event("{Type: Api, Properties: {Path: /x, Method: get, Auth: {Authorizer: Pool}}}"),
        event("{Type: Api, Properties: {Path: /x, Method: get, Auth: {Authorizer: NONE}}}"),
        event("{Type: Api, Properties: {Path: /x, Method: get, Auth: {ApiKeyRequired: false}}}"),
        event("{Type: HttpApi, Properties: {Path: /x, Method: get, Auth: {AuthorizationScopes: [a]}}}"),
        event("{Type: Api, Properties: {Path: /x, Method: get}}, E2: {Type: Api, Properties: {Path: /x, Method: GET}}"),
        event("{Type: HttpApi, Properties: {ApiId: !ImportValue x, Path: /x, Method: get}}"),
        event("{Type: Schedule, Properties: {Schedule: rate(1 day), Enabled: true, State: ENABLED}}"),
        event("{Type: Schedule, Properties: {Rate: rate(1 day)}}"),
        event("{Type: SNS, Properties: {}}"),
        event("{Type: Kinesis, Properties: {Stream: arn}}"),
        event("{Type: S3, Properties: {Bucket: name, Events: s3:ObjectCreated:*}}"),
        event("{Type: S3, Properties: {Bucket: !Ref Nope, Events: s3:ObjectCreated:*}}"),
        api("{}"),
        api("{StageName: x, Domain: {DomainName: !Sub '${x}', CertificateArn: c}}"),
        api("{StageName: x, Domain: {DomainName: d, CertificateArn: c, Route53: {}}}"),
        api("{StageName: x, GatewayResponses: {DEFAULT_4XX: {StatusCod: 1}}}"),
        api("{StageName: x, Auth: {UsagePlan: {}}}"),
        api("{StageName: x, Auth: {DefaultAuthorizer: Pol, Authorizers: {Pool: {UserPoolArn: a}}}}"),
        api("{StageName: x, Auth: {Authorizers: {A: {}}}}"),
        api("{StageName: x, Auth: {Authorizers: {A: {FunctionArn: f, FunctionPayloadType: REQUEST}}}}"),
        api("{StageName: x, DefinitionUri: s3://a/b, Auth: {ApiKeyRequired: true}}"),
        api("{StageName: x, DefinitionBody: {}, DefinitionUri: s3://a/b}"),
        api("{StageName: x, DefinitionUri: api.yaml}"),
        api("{StageName: x, Cors: {AllowOrigins: x}}"),
        http("{Auth: {Authorizers: {A: {JwtConfiguration: {issuer: i}}}}}"),
        http("{Auth: {Authorizers: {A: {FunctionArn: f}}}}"),
        http("{DefinitionUri: s3://a/b, Auth: {EnableIamAuthorizer: true}}"),
        http("{DefinitionUri: s3://a/b, Tags: {a: b}}"),
        http("{CorsConfiguration: text}"),
        http("{Name: n, DefinitionBody: {info: {title: t}, paths: {}}}"),
        "Resources: {L: {Type: AWS::Serverless::LayerVersion}}".to_owned(),
        "Resources: {L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: s3://a/b, RetentionPolicy: Keep}}}".to_owned(),
        "Resources: {T: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Name: a, Type: Text}}}}".to_owned(),
        format!("{}\n", function("InlineCode: x").replace("Resources: {", "Resources: {FRole: {Type: AWS::IAM::Role}, ")),
    ] {
        let template = Template::parse(&format!("Transform: AWS::Serverless-2016-10-31\n{text}")).unwrap();
        seen.push(match transform(&template, &Context::default()) {
            Ok(_) => format!("ACCEPTED {text}"),
            Err(error) => error.to_string(),
        });
    }
    for text in [
        "Transform: AWS::Serverles-2016-10-31\nResources: {A: {Type: AWS::SNS::Topic}}",
        "Transform: [AWS::Serverless-2016-10-31, MyMacro]\nResources: {A: {Type: AWS::SNS::Topic}}",
        "Resources: {A: {Type: AWS::Serverless::Function}}",
    ] {
        seen.push(
            transform(&Template::parse(text).unwrap(), &Context::default())
                .unwrap_err()
                .to_string(),
        );
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    resource `A` (AWS::Serverless::StateMachine) has neither `Definition` nor `DefinitionUri`
    resource `A` has the type AWS::Serverless::Funktion, which the transform on this machine does not cover; did you mean `Function`?
    `Globals.Functon` is no kind of SAM resource; did you mean `Function`?
    resource `F` (AWS::Serverless::Function) has neither `CodeUri` nor `InlineCode`
    resource `F` (AWS::Serverless::Function) has a `CodeUri` that is no object in S3: package the template first, which turns a local path into one
    resource `F` (AWS::Serverless::Function) has a `CodeUri` that is no object in S3: package the template first, which turns a local path into one
    resource `F` (AWS::Serverless::Function) has no property `MemorySise`; did you mean `MemorySize`?
    resource `F` (AWS::Serverless::Function) has a `DeploymentPreference`, which needs `AutoPublishAlias`
    resource `F` (DeploymentPreference) has no `Type`, which it needs
    resource `F` (DeploymentPreference) has an `Enabled` that is not known before the stack is made: say true or false, or refer to a parameter
    resource `A` (event `E`) has the type Api, which the transform on this machine does not cover for a state machine: write the method with its integration into the API's `DefinitionBody`
    resource `A` (event `E`) has the type `S3`, which a state machine does not have
    resource `A` (AWS::Serverless::Application) has a `Location` in the Serverless Application Repository, which this machine does not have: take the application's template into the project and name it by its path
    resource `A` has the type AWS::Serverless::GraphQLApi, which the transform on this machine does not cover
    resource `F` has an `AutoPublishAlias` that is no plain text: it is part of a logical id, so it may at most be a `Ref` to a parameter
    resource `F` (AWS::Serverless::Function) has a policy that has no `Statement`, and `S3ReadPolice` is no policy template that is known here; did you mean `S3ReadPolicy`?
    resource `F` (AWS::Serverless::Function) has a policy that uses S3ReadPolicy without its parameter `BucketName`
    resource `F` (AWS::Serverless::Function) has a policy that has no `Statement` and is no policy template
    resource `F` (AWS::Serverless::Function) has policies of different kinds in one `Fn::If`: use one for each kind
    resource `F` (AWS::Serverless::Function) has a `Role` that depends on a condition, which the transform on this machine does not cover
    resource `F` (AWS::Serverless::Function) has a `DeadLetterQueue` whose `Type` is neither SQS nor SNS
    resource `F` has a destination of the type Lambda without a `Destination`
    resource `F` has a `FunctionUrlConfig` without an `AuthType` of NONE or AWS_IAM
    resource `F` (AWS::Serverless::Function) is an image and has no `ImageUri`
    resource `F` (AWS::Serverless::Function) is an image and has a `Runtime`, which only a zip package has
    resource `F` (AWS::Serverless::Function) has no `Handler`, which it needs
    resource `F` (AWS::Serverless::Function) has properties that are no mapping
    resource `F` (event `E`) has the type `Apo`, which does not exist; did you mean `Api`?
    resource `F` (event `E`) has no `Stream`, which it needs
    resource `F` (event `E`) needs `SourceAccessConfigurations` with one entry of the type BASIC_AUTH that has a `URI`
    resource `F` (event `E`) needs both VPC_SUBNET and VPC_SECURITY_GROUP in `SourceAccessConfigurations`, or neither
    resource `F` (event `E`) has a destination of failures whose `Type` is not SQS, SNS, S3 or Kafka
    resource `F` (event `E`) has a `UserPool` that is no `Ref` to a user pool of this template
    resource `F` (event `E`) has both `Name` and `OmitName`: keep one
    resource `F` (event `E`) has a `DeadLetterConfig` that needs either the `Arn` of a queue or the `Type` SQS
    resource `F` (event `E`) has no `Method`, which it needs
    resource `F` (event `E`) has the `Path` `x`: start it with a slash
    resource `F` (event `E`) has the `Method` `fetch`, which is no method of HTTP; `any` is all of them
    resource `F` (event `E`) names no AWS::Serverless::Api of this template in `RestApiId`
    resource `F` (event `E`) has the authorizer AWS_IAM, which the transform on this machine does not cover for a REST API
    resource `F` (event `E`, Auth) has `ResourcePolicy`, which the transform on this machine does not cover
    resource `ServerlessRestApi` (AWS::Serverless::Api) has the route `get /x`, whose `Authorizer` `Pool` is none of the API's `Authorizers`
    resource `ServerlessRestApi` (AWS::Serverless::Api) has the route `get /x`, whose `Authorizer` is NONE while the API has no `DefaultAuthorizer`
    resource `ServerlessRestApi` (AWS::Serverless::Api) has the route `get /x`, which needs no key, and no other route of the API does
    resource `ServerlessHttpApi` (AWS::Serverless::HttpApi) has the route `get /x`, whose `Auth` names no `Authorizer` while the API has no `DefaultAuthorizer`
    resource `F` (event `E2`) takes get /x, which another event takes too
    resource `F` (event `E`) names no AWS::Serverless::HttpApi of this template in `ApiId`
    resource `F` (event `E`) has both `State` and `Enabled`: keep one
    resource `F` (event `E`) has no `Schedule`, which it needs
    resource `F` (event `E`) has no `Topic`, which it needs
    resource `F` (event `E`) has no `StartingPosition`, which a stream needs
    resource `F` (event `E`) has a `Bucket` that is no `Ref` to a bucket of this template
    resource `F` has an S3 event of `Nope`, which is no bucket of this template
    resource `A` (AWS::Serverless::Api) has no `StageName`, which it needs
    resource `A` (Domain) has a `DomainName` that is neither a text nor a `Ref`: logical ids are made of it, so it must be known now
    resource `A` (Domain.Route53) has neither `HostedZoneId` nor `HostedZoneName`
    resource `A` (GatewayResponses.DEFAULT_4XX) has no property `StatusCod`; did you mean `StatusCode`?
    resource `A` (Auth) has `UsagePlan`, which the transform on this machine does not cover
    resource `A` (Auth) has the `DefaultAuthorizer` `Pol`, which is none of the `Authorizers` that are covered; did you mean `Pool`?
    resource `A` (Auth.Authorizers.A) has neither `UserPoolArn` nor `FunctionArn`
    resource `A` (Auth.Authorizers.A) needs an `Identity` with `Headers`, `QueryStrings`, `StageVariables` or `Context`
    resource `A` (AWS::Serverless::Api) has `Auth`, which needs a definition in the template instead of `DefinitionUri`
    resource `A` (AWS::Serverless::Api) has both `DefinitionBody` and `DefinitionUri`: keep one
    resource `A` (AWS::Serverless::Api) has a `DefinitionUri` that is no object in S3: package the template first, which turns a local path into one
    resource `A` (AWS::Serverless::Api) has no property `Cors.AllowOrigins`
    resource `A` (Auth.Authorizers.A) has no `IdentitySource`, which it needs
    resource `A` (Auth.Authorizers.A) has no `AuthorizerPayloadFormatVersion`, which it needs
    resource `A` (AWS::Serverless::HttpApi) has `Auth`, which needs a definition in the template instead of `DefinitionUri`
    resource `A` (AWS::Serverless::HttpApi) has `Tags`, which need a definition in the template instead of `DefinitionUri`
    resource `A` (AWS::Serverless::HttpApi) has a `CorsConfiguration` that is neither true nor a mapping
    resource `A` (AWS::Serverless::HttpApi) has `Name`, which its `DefinitionBody` says too: keep one
    resource `L` (AWS::Serverless::LayerVersion) has no `ContentUri`, which it needs
    resource `L` (AWS::Serverless::LayerVersion) has a `RetentionPolicy` that is neither Retain nor Delete
    resource `T` (AWS::Serverless::SimpleTable) has a `PrimaryKey` of the type `Text`: String, Number or Binary
    resource `FRole` is generated by the SAM transform, and the template has a resource of that name too: rename it
    the template uses the transform `AWS::Serverles-2016-10-31`, which is not available here; did you mean `AWS::Serverless-2016-10-31`?
    the template uses the transform `MyMacro`, which is not available here
    resource `A` has the type AWS::Serverless::Function, which needs `Transform: AWS::Serverless-2016-10-31` in the template
    ");
}
