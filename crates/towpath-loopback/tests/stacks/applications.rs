//! Applications that are deployed and then do what they are for.

use aws_sdk_cloudformation::types::{Capability, ChangeSetType, Parameter, Stack, StackStatus};
use aws_sdk_codepipeline::types::StageDeclaration;

use crate::account::{Account, archive};

const HELLO: &str = "
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting: {Type: String, Default: Hello}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: nodejs22.x
      Handler: index.handler
      CodeUri: s3://code/hello.zip
      Environment: {Variables: {GREETING: !Ref Greeting}}
      Events:
        Greet: {Type: HttpApi, Properties: {Path: '/hello/{name}', Method: get}}
Outputs:
  Url: {Value: !Sub 'https://${ServerlessHttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/hello/you'}
";

const HANDLER: &str = "exports.handler = async (event) =>
  ({ statusCode: 200, body: `${process.env.GREETING}, ${event.pathParameters.name}` });";

#[tokio::test]
async fn a_serverless_application_answers_changes_and_goes() {
    let account = Account::start().await;
    account
        .upload("code", "hello.zip", archive(&[("index.js", HANDLER)]))
        .await;
    let stack = account
        .deploy("hello", ChangeSetType::Create, HELLO, &[])
        .await;
    let id = stack.stack_id().expect("an id");
    let status = |stack: &Stack| {
        stack
            .stack_status()
            .map(|status| status.as_str().to_owned())
    };
    assert_eq!(
        status(&stack).as_deref(),
        Some("CREATE_COMPLETE"),
        "{:?}",
        account.reasons(id).await
    );
    let url = stack.outputs()[0].output_value().expect("a value");
    let path = url
        .strip_prefix(account.loopback.endpoint())
        .expect("an address of the loopback");
    assert_eq!(
        account.request("GET", path, "", b"").await,
        (200, "Hello, you".to_owned())
    );
    let stack = account
        .deploy(id, ChangeSetType::Update, HELLO, &[("Greeting", "Bye")])
        .await;
    assert_eq!(status(&stack).as_deref(), Some("UPDATE_COMPLETE"));
    assert_eq!(
        account.request("GET", path, "", b"").await,
        (200, "Bye, you".to_owned())
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
        Some("DELETE_COMPLETE")
    );
    assert_eq!(account.request("GET", path, "", b"").await.0, 404);
    account.loopback.shutdown().await;
}

#[tokio::test]
async fn the_template_of_this_repository_deploys_and_is_then_unchanged() {
    let account = Account::start().await;
    let bootstrap = archive(&[("bootstrap", "#!/bin/sh\n")]);
    account.upload("code", "function.zip", bootstrap).await;
    let image = archive(&[("functions/install-deps", "#!/bin/sh\n")]);
    let token = format!("x-towpath-token: {}\r\n", account.loopback.control_token());
    let (status, body) = account
        .request("PUT", "/_towpath/images/tools%3Alocal", &token, &image)
        .await;
    assert!((200..300).contains(&status), "{status} {body}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    let template = std::fs::read_to_string(path)
        .expect("the template")
        .replace(
            "CodeUri: crates/deploy-stack",
            "CodeUri: s3://code/function.zip",
        )
        .replace("CodeUri: crates/approve", "CodeUri: s3://code/function.zip");
    let parameters = [("ToolImageUri", "tools:local")];
    let stack = account
        .deploy("towpath", ChangeSetType::Create, &template, &parameters)
        .await;
    let id = stack.stack_id().expect("an id");
    assert_eq!(
        stack.stack_status().map(StackStatus::as_str),
        Some("CREATE_COMPLETE"),
        "{:?}",
        account.reasons(id).await
    );
    let output = |key: &str| {
        stack
            .outputs()
            .iter()
            .find(|output| output.output_key() == Some(key))
            .and_then(|output| output.output_value())
            .expect("an output")
    };
    let pipeline = account
        .codepipeline()
        .get_pipeline()
        .name(output("PipelineName"))
        .send()
        .await
        .expect("a pipeline");
    let stages: Vec<&str> = pipeline
        .pipeline()
        .expect("a declaration")
        .stages()
        .iter()
        .map(StageDeclaration::name)
        .collect();
    assert_eq!(
        stages,
        ["Source", "Commit", "Acceptance", "Approve", "Production"]
    );
    // Evaluating the same template again gives the same values, or every deployment would change something.
    let error = account
        .cloudformation()
        .update_stack()
        .stack_name(id)
        .template_body(&template)
        .capabilities(Capability::CapabilityIam)
        .capabilities(Capability::CapabilityAutoExpand)
        .parameters(
            Parameter::builder()
                .parameter_key("ToolImageUri")
                .use_previous_value(true)
                .build(),
        )
        .send()
        .await
        .expect_err("nothing to do")
        .into_service_error();
    assert_eq!(
        error.meta().message(),
        Some("No updates are to be performed.")
    );
    account.loopback.shutdown().await;
}
