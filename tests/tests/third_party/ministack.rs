//! An AWS that nobody here wrote: ministack, as a process on a free port of 127.0.0.1.
//!
//! It ends with the value that stands for it, and all that it started ends with it.
//!
//! Where 1.5 differs from AWS, as seen, and what follows from it here:
//!
//! - `PutObject` with `aws:kms` and no key is an `InvalidArgument`; AWS takes the account's own key. The pipeline names
//!   a key, as `template.yaml` does; artifacts of a pipeline without one are tested on the loopback alone.
//! - `DescribeStacks` tells no `ChangeSetId`, and `LastUpdatedTime` from the creation on instead of from the first
//!   update. deploy-stack knows its own update by the time that has moved.
//! - Change sets are ready, and most stacks are made, before the call has returned. What takes time is a wait
//!   condition, made when it is signalled; that is how continuation tokens, and failures, come about.
//! - A function whose code is nowhere is made all the same, with an answer of ministack's own. So what fails to be
//!   made is the wait condition, and the tests look at what the deployed function answers.
//! - No signature is verified, no role assumed, no permission missed. Whose credentials an action uses is tested on the
//!   loopback, which refuses the wrong ones.
//! - A stack's output has the API's address in AWS, where nothing of it is. The function is called by its name.

use aws_sdk_s3::config::Credentials;
use serde_json::Value;
use towpath_aws::SdkConfig;

use crate::python::{Python, finish, said};
use crate::server::Server;

/// A running ministack.
pub(crate) struct Ministack {
    server: Server,
    python: Python,
}

impl Ministack {
    /// Starts one and waits until it answers.
    pub(crate) async fn start(python: &Python) -> Self {
        let server = Server::start("ministack", "/_ministack/health", |port, directory| {
            let mut command = python.command(&["-m", "ministack"]);
            command
                // Its default is every interface.
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .env("MINISTACK_REGION", "us-east-1")
                // Whatever it keeps, it keeps here; and it has no use for the port of a broker.
                .env("TMPDIR", directory)
                .env("STATE_DIR", directory.join("state"))
                .env("S3_DATA_DIR", directory.join("s3"))
                .env("IOT_MTLS_ENABLED", "0");
            command
        })
        .await;
        Self {
            server,
            python: python.clone(),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// It knows no credentials and takes any; an access key id of twelve digits would choose an account.
    pub(crate) fn config(&self) -> SdkConfig {
        let anybody = Credentials::new("anybody", "anything", None, None, "test");
        towpath_aws::fixed(&self.endpoint(), "us-east-1", anybody)
    }

    /// Calls a function that was deployed into it, with the client that is at hand.
    pub(crate) async fn invoke(&self, function: &str) -> Value {
        const SCRIPT: &str = "import boto3, sys\n\
            answer = boto3.client('lambda').invoke(FunctionName=sys.argv[1])\n\
            assert 'FunctionError' not in answer, answer\n\
            print(answer['Payload'].read().decode())";
        let mut command = self.python.command(&["-c", SCRIPT, function]);
        command
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "anybody")
            .env("AWS_SECRET_ACCESS_KEY", "anything");
        let output = finish(command).await;
        said("invoke", &output);
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}
