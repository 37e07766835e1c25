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

use std::fs::{File, read_to_string};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::Child;
use std::time::{Duration, Instant};

use aws_sdk_s3::config::Credentials;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towpath_aws::SdkConfig;

use crate::python::{Python, finish, said};

/// How long it may take to answer on a busy machine.
const START: Duration = Duration::from_mins(1);

/// How often a port that was free a moment ago may be taken.
const PORTS: u32 = 5;

/// A running ministack.
pub(crate) struct Ministack {
    process: Child,
    python: Python,
    port: u16,
    // Dropped after the process has ended: its log, its temporary files and the code of its functions.
    _directory: TempDir,
}

impl Ministack {
    /// Starts one and waits until it answers.
    pub(crate) async fn start(python: &Python) -> Self {
        let mut last = String::new();
        for _ in 0..PORTS {
            match Self::on_a_free_port(python).await {
                Ok(started) => return started,
                Err(log) => last = log,
            }
        }
        panic!("ministack does not start: {last}");
    }

    async fn on_a_free_port(python: &Python) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let output = File::create(&log).expect("a log");
        // It cannot say which free port it took, so one is found for it.
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut command = python.command(&["-m", "ministack"]);
        command
            // Its default is every interface.
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_REGION", "us-east-1")
            // Whatever it keeps, it keeps here; and it has no use for the port of a broker.
            .env("TMPDIR", directory.path())
            .env("STATE_DIR", directory.path().join("state"))
            .env("S3_DATA_DIR", directory.path().join("s3"))
            .env("IOT_MTLS_ENABLED", "0")
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .process_group(0);
        let process = command.spawn().expect("python starts");
        let mut started = Self {
            process,
            python: python.clone(),
            port,
            _directory: directory,
        };
        let end = Instant::now() + START;
        loop {
            if started
                .process
                .try_wait()
                .is_ok_and(|ended| ended.is_some())
            {
                return Err(read_to_string(&log).unwrap_or_default());
            }
            if answers(port).await {
                return Ok(started);
            }
            assert!(
                Instant::now() < end,
                "ministack does not answer: {}",
                read_to_string(&log).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
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

impl Drop for Ministack {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// Whether its health endpoint says so.
async fn answers(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request =
            "GET /_ministack/health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let Ok(answer) = tokio::time::timeout(Duration::from_secs(5), ask).await else {
        return false;
    };
    answer.is_ok_and(|answer| {
        answer.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            head.starts_with("HTTP/1.1 200") && body.contains("\"cloudformation\"")
        })
    })
}
