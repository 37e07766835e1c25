//! A loopback for one test, and SDK clients of it.

use std::io::{Cursor, Write};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Capability, ChangeSetStatus, ChangeSetType, Stack};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towpath_aws::SdkConfig;
use towpath_loopback::{Loopback, Settings};

/// A running loopback whose resources are ready at once.
pub(crate) struct Account {
    pub(crate) loopback: Loopback,
    config: SdkConfig,
    _directory: TempDir,
}

impl Account {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = Settings::new(directory.path().join("state"));
        settings.resource_delay = Duration::ZERO;
        let loopback = Loopback::start(settings).await.expect("started");
        let (key, secret) = loopback.root_credentials();
        let credentials = Credentials::new(key, secret, None, None, "test");
        let config = towpath_aws::fixed(loopback.endpoint(), "us-east-1", credentials);
        Self {
            loopback,
            config,
            _directory: directory,
        }
    }

    pub(crate) fn cloudformation(&self) -> Client {
        Client::new(&self.config)
    }

    pub(crate) fn codepipeline(&self) -> aws_sdk_codepipeline::Client {
        aws_sdk_codepipeline::Client::new(&self.config)
    }

    /// Puts an object into a bucket, which is made if need be.
    pub(crate) async fn upload(&self, bucket: &str, key: &str, content: Vec<u8>) {
        let s3 = towpath_aws::s3(&self.config);
        // The second upload finds the bucket there, which is all that matters.
        let _ = s3.create_bucket().bucket(bucket).send().await;
        s3.put_object()
            .bucket(bucket)
            .key(key)
            .body(content.into())
            .send()
            .await
            .expect("uploaded");
    }

    /// Proposes, executes and waits, as deploy tools do. Returns the stack, addressed by its ARN.
    pub(crate) async fn deploy(
        &self,
        stack: &str,
        kind: ChangeSetType,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> Stack {
        let client = self.cloudformation();
        let proposed = client
            .create_change_set()
            .stack_name(stack)
            .change_set_name(format!("deploy-{}", kind.as_str()))
            .change_set_type(kind.clone())
            .template_body(template)
            .capabilities(Capability::CapabilityIam)
            .set_parameters(Some(
                parameters
                    .iter()
                    .map(|(key, value)| {
                        aws_sdk_cloudformation::types::Parameter::builder()
                            .parameter_key(*key)
                            .parameter_value(*value)
                            .build()
                    })
                    .collect(),
            ))
            .send()
            .await
            .expect("proposed");
        let id = proposed.id().expect("an id");
        eventually(async || {
            let described = client
                .describe_change_set()
                .change_set_name(id)
                .send()
                .await
                .expect("described");
            match described.status() {
                Some(ChangeSetStatus::CreateComplete) => Some(()),
                Some(ChangeSetStatus::Failed) => panic!("{:?}", described.status_reason()),
                _ => None,
            }
        })
        .await;
        client
            .execute_change_set()
            .change_set_name(id)
            .client_request_token(format!("token-{}", kind.as_str()))
            .send()
            .await
            .expect("executed");
        self.settled(proposed.stack_id().expect("an id")).await
    }

    /// The stack once nothing is in progress.
    pub(crate) async fn settled(&self, stack: &str) -> Stack {
        let client = self.cloudformation();
        eventually(async || {
            let answer = client
                .describe_stacks()
                .stack_name(stack)
                .send()
                .await
                .expect("described");
            let stack = answer.stacks().first().cloned().expect("a stack");
            let status = stack.stack_status().expect("a status").as_str().to_owned();
            (!status.ends_with("IN_PROGRESS")).then_some(stack)
        })
        .await
    }

    /// `Logical STATUS: reason` of every event with a reason, oldest first.
    pub(crate) async fn reasons(&self, stack: &str) -> Vec<String> {
        let mut events: Vec<String> = self
            .cloudformation()
            .describe_stack_events()
            .stack_name(stack)
            .send()
            .await
            .expect("described")
            .stack_events()
            .iter()
            .filter_map(|event| {
                Some(format!(
                    "{} {}: {}",
                    event.logical_resource_id()?,
                    event.resource_status()?.as_str(),
                    event.resource_status_reason()?
                ))
            })
            .collect();
        events.reverse();
        events
    }

    /// Status and body of a plain request to an address of the loopback.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.loopback.port()))
            .await
            .expect("connected");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(body).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        (status, body.to_owned())
    }
}

/// Asks until there is an answer; one that never comes fails the test.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait)
        .await
        .expect("it comes to an end")
}

/// A zip archive of these files, each of them executable.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        archive.start_file(*name, options).expect("started");
        archive.write_all(content.as_bytes()).expect("written");
    }
    archive.finish().expect("finished").into_inner()
}
