//! Every resource type that is executed: made, changed and removed again.

use aws_sdk_cloudformation::types::{ChangeSetType, StackStatus};

use crate::account::{Account, archive};

const EVERYTHING: &str = r"
Parameters:
  Word: {Type: String, Default: one}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: [lambda.amazonaws.com, codepipeline.amazonaws.com]}, Action: 'sts:AssumeRole'}]
  Inline:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: inline
      Roles: [!Ref Role]
      PolicyDocument: {Statement: [{Effect: Allow, Action: '*', Resource: !Sub '*${Word}'}]}
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      Roles: [!Ref Role]
      PolicyDocument: {Statement: [{Effect: Allow, Action: '*', Resource: !Sub '*${Word}'}]}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Role: !GetAtt Role.Arn
      Runtime: python3.12
      Handler: index.handler
      Timeout: '10'
      Code: {ZipFile: 'def handler(event, context): return 1'}
      Environment: {Variables: {WORD: !Ref Word}}
  Version: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Function}}
  Alias:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Function, Name: live, FunctionVersion: !GetAtt Version.Version, Description: !Ref Word}
  Permission:
    Type: AWS::Lambda::Permission
    Properties: {FunctionName: !Ref Alias, Action: 'lambda:InvokeFunction', Principal: apigateway.amazonaws.com}
  Invocations:
    Type: AWS::Lambda::EventInvokeConfig
    Properties: {FunctionName: !Ref Function, Qualifier: $LATEST, MaximumRetryAttempts: 0}
  Layer:
    Type: AWS::Lambda::LayerVersion
    Properties: {Content: {S3Bucket: code, S3Key: layer.zip}}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}}
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration: {Status: Enabled}
      BucketEncryption:
        ServerSideEncryptionConfiguration: [{ServerSideEncryptionByDefault: {SSEAlgorithm: 'aws:kms'}}]
  BucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument: {Statement: [{Effect: Deny, Principal: '*', Action: 's3:PutObject', Resource: !Sub '${Bucket.Arn}/${Word}'}]}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !Ref Word}
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Properties: {Topics: [!Ref Topic], PolicyDocument: {Statement: []}}
  Subscription:
    Type: AWS::SNS::Subscription
    Properties: {TopicArn: !Ref Topic, Protocol: lambda, Endpoint: !GetAtt Function.Arn}
  Parameter:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Value: !Ref Word}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: Towpath
      MetricName: Errors
      Statistic: Sum
      Period: '60'
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanThreshold
      AlarmDescription: !Ref Word
  Rest: {Type: AWS::ApiGateway::RestApi, Properties: {Name: rest}}
  RestResource:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Rest, ParentId: !GetAtt Rest.RootResourceId, PathPart: hello}
  RestMethod:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Rest
      ResourceId: !Ref RestResource
      HttpMethod: GET
      AuthorizationType: NONE
      Integration:
        Type: AWS_PROXY
        IntegrationHttpMethod: POST
        Uri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations
  RestDeployment:
    Type: AWS::ApiGateway::Deployment
    DependsOn: RestMethod
    Properties: {RestApiId: !Ref Rest}
  RestStage:
    Type: AWS::ApiGateway::Stage
    Properties: {RestApiId: !Ref Rest, DeploymentId: !Ref RestDeployment, StageName: live, Variables: {word: !Ref Word}}
  Http: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: http, ProtocolType: HTTP, Description: !Ref Word}}
  HttpIntegration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {ApiId: !Ref Http, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Function.Arn, PayloadFormatVersion: '2.0'}
  HttpRoute:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Http, RouteKey: GET /hello, Target: !Sub 'integrations/${HttpIntegration}'}
  HttpStage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Http, StageName: $default, AutoDeploy: 'true'}
  Pipeline:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      RoleArn: !GetAtt Role.Arn
      PipelineType: V2
      ArtifactStore: {Type: S3, Location: !Ref Bucket}
      Stages:
        - Name: Source
          Actions:
            - Name: Source
              ActionTypeId: {Category: Source, Owner: AWS, Provider: CodeStarSourceConnection, Version: '1'}
              Configuration: {ConnectionArn: !Ref Connection, FullRepositoryId: a/b, BranchName: main}
              OutputArtifacts: [{Name: Source}]
        - Name: Work
          Actions:
            - Name: Work
              ActionTypeId: {Category: Invoke, Owner: AWS, Provider: Lambda, Version: '1'}
              Configuration: {FunctionName: !Ref Function, UserParameters: !Sub 'task=${Word}'}
              InputArtifacts: [{Name: Source}]
  Connection:
    Type: AWS::CodeStarConnections::Connection
    Properties: {ConnectionName: c, ProviderType: GitHub}
  Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
Outputs:
  Topic: {Value: !GetAtt Topic.TopicName}
  Http: {Value: !GetAtt Http.ApiEndpoint}
";

#[tokio::test]
async fn every_executed_type_is_made_changed_and_removed() {
    let account = Account::start().await;
    let layer = archive(&[("python/x.py", "")]);
    account.upload("code", "layer.zip", layer).await;
    let stack = account
        .deploy("all", ChangeSetType::Create, EVERYTHING, &[])
        .await;
    let id = stack.stack_id().expect("an id");
    let status = |stack: &aws_sdk_cloudformation::types::Stack| {
        stack
            .stack_status()
            .map(|status| status.as_str().to_owned())
    };
    assert_eq!(
        status(&stack).as_deref(),
        Some("CREATE_COMPLETE"),
        "{:#?}",
        account.reasons(id).await
    );
    let stack = account
        .deploy("all", ChangeSetType::Update, EVERYTHING, &[("Word", "two")])
        .await;
    assert_eq!(
        status(&stack).as_deref(),
        Some("UPDATE_COMPLETE"),
        "{:#?}",
        account.reasons(id).await
    );
    let pipeline = account
        .cloudformation()
        .describe_stack_resource()
        .stack_name(id)
        .logical_resource_id("Pipeline")
        .send()
        .await
        .expect("a resource");
    let name = pipeline
        .stack_resource_detail()
        .and_then(|detail| detail.physical_resource_id())
        .expect("a name");
    let pipeline = account
        .codepipeline()
        .get_pipeline()
        .name(name)
        .send()
        .await
        .expect("a pipeline");
    let declaration = pipeline.pipeline().expect("a declaration");
    assert_eq!(declaration.version(), Some(2));
    let action = &declaration.stages()[1].actions()[0];
    assert_eq!(
        action
            .configuration()
            .and_then(|configuration| configuration.get("UserParameters"))
            .map(String::as_str),
        Some("task=two")
    );
    account
        .cloudformation()
        .delete_stack()
        .stack_name(id)
        .send()
        .await
        .expect("accepted");
    assert_eq!(
        status(&account.settled(id).await).as_deref(),
        Some("DELETE_COMPLETE"),
        "{:#?}",
        account.reasons(id).await
    );
    account.loopback.shutdown().await;
}

#[tokio::test]
async fn a_template_disables_a_transition_and_enables_it_again() {
    const PIPELINE: &str = "
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: codepipeline.amazonaws.com}, Action: sts:AssumeRole}]
  Pipeline:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      Name: held
      RoleArn: !GetAtt Role.Arn
      PipelineType: V2
      ArtifactStore: {Type: S3, Location: !Ref Bucket}
      Stages:
        - Name: Source
          Actions:
            - Name: Source
              ActionTypeId: {Category: Source, Owner: AWS, Provider: CodeStarSourceConnection, Version: '1'}
              Configuration: {ConnectionArn: 'arn:aws:codeconnections:us-east-1:000000000000:connection/one', FullRepositoryId: a/b, BranchName: main}
              OutputArtifacts: [{Name: Source}]
        - Name: Gate
          Actions:
            - Name: Gate
              ActionTypeId: {Category: Approval, Owner: AWS, Provider: Manual, Version: '1'}
";
    let account = Account::start().await;
    let disabling = format!(
        "{PIPELINE}      DisableInboundStageTransitions: [{{StageName: Gate, Reason: not yet}}]\n"
    );
    for (change, template, expected) in [
        (ChangeSetType::Create, &*disabling, Some("not yet")),
        (ChangeSetType::Update, PIPELINE, None),
    ] {
        let stack = account.deploy("held", change, template, &[]).await;
        let id = stack.stack_id().expect("an id");
        let status = stack.stack_status().map(StackStatus::as_str);
        assert!(
            status.is_some_and(|status| matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE")),
            "{:#?}",
            account.reasons(id).await
        );
        let state = account
            .codepipeline()
            .get_pipeline_state()
            .name("held")
            .send()
            .await
            .expect("a state");
        let link = state.stage_states()[1]
            .inbound_transition_state()
            .expect("a transition");
        assert_eq!(link.enabled(), expected.is_none());
        assert_eq!(link.disabled_reason(), expected);
    }
    account.loopback.shutdown().await;
}

#[tokio::test]
async fn a_function_makes_a_custom_resource_and_answers_over_http() {
    let account = Account::start().await;
    let template = include_str!("../../../../tests/bench/src/deploy/slow.yaml");
    let seconds = [("Seconds", "0")];
    let stack = account
        .deploy("slow", ChangeSetType::Create, template, &seconds)
        .await;
    let id = stack.stack_id().expect("an id");
    let status = stack.stack_status().expect("a status").as_str().to_owned();
    let reasons = account.reasons(id).await;
    assert_eq!(status, "CREATE_COMPLETE", "{reasons:?}");
    let client = account.cloudformation();
    let waited = client
        .describe_stack_resource()
        .stack_name(id)
        .logical_resource_id("Waited")
        .send()
        .await
        .expect("described");
    let detail = waited.stack_resource_detail().expect("a detail");
    assert_eq!(detail.physical_resource_id(), Some("waited"));
    let deleted = client.delete_stack().stack_name(id).send().await;
    deleted.expect("deleted");
    let stack = account.settled(id).await;
    let status = stack.stack_status().expect("a status").as_str();
    assert_eq!(status, "DELETE_COMPLETE");
    // Nobody can answer for a resource without knowing its address.
    let (status, _) = account.request("PUT", "/_custom/guess", "", b"{}").await;
    assert_eq!(status, 403);
}

/// Two functions written into a template, which answer by the module that lies beside such code.
const ANSWERING: &str = r#"
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Node:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: nodejs22.x
      Handler: index.handler
      Timeout: 60
      Role: !GetAtt Role.Arn
      Code:
        ZipFile: |
          const response = require("cfn-response");
          exports.handler = (event, context) =>
            response.send(event, context, response.SUCCESS, { From: "node" }, "by-node");
  Python:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Timeout: 60
      Role: !GetAtt Role.Arn
      Code:
        ZipFile: |
          import cfnresponse
          def handler(event, context):
              cfnresponse.send(event, context, cfnresponse.SUCCESS, {"From": "python"}, "by-python")
  ByNode: {Type: Custom::Answer, Properties: {ServiceToken: !GetAtt Node.Arn}}
  ByPython: {Type: Custom::Answer, Properties: {ServiceToken: !GetAtt Python.Arn}}
Outputs:
  Answers: {Value: !Sub "${ByNode} ${ByNode.From} ${ByPython} ${ByPython.From}"}
"#;

#[tokio::test]
async fn code_in_a_template_finds_the_module_that_answers() {
    let account = Account::start().await;
    let stack = account
        .deploy("answering", ChangeSetType::Create, ANSWERING, &[])
        .await;
    let reasons = account.reasons(stack.stack_id().expect("an id")).await;
    let answers = stack
        .outputs()
        .first()
        .and_then(|output| output.output_value());
    assert_eq!(
        answers,
        Some("by-node node by-python python"),
        "{reasons:?}"
    );
}
