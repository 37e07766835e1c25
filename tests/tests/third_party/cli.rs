//! The AWS CLI before a loopback, as somebody at a terminal has it.

use serde_json::Value;
use tempfile::TempDir;
use towpath_loopback::{Loopback, Settings};

use crate::python::{Python, said};
use crate::scene::eventually;

/// The AWS CLI before a loopback.
pub(crate) struct Cli {
    python: Python,
    pub(crate) loopback: Loopback,
    files: TempDir,
}

impl Cli {
    /// The CLI before a fresh loopback, if there is one on this machine.
    pub(crate) async fn start() -> Option<Self> {
        let python = Python::with(&["awscli"])?;
        let files = tempfile::tempdir().expect("a directory");
        let settings = Settings::new(files.path().join("state"));
        let loopback = Loopback::start(settings).await.expect("it starts");
        Some(Self {
            python,
            loopback,
            files,
        })
    }

    /// A command that goes well, in words that have no spaces. What it says.
    pub(crate) async fn aws(&self, command: &str) -> String {
        let arguments: Vec<&str> = command.split(' ').collect();
        let output = self.python.aws(&self.loopback, &arguments).await;
        said(command, &output);
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// A command that fails. Its exit code and what it says of it.
    pub(crate) async fn refused(&self, command: &str) -> (Option<i32>, String) {
        let arguments: Vec<&str> = command.split(' ').collect();
        let output = self.python.aws(&self.loopback, &arguments).await;
        assert!(!output.status.success(), "{command}: {output:?}");
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        (output.status.code(), error.trim().to_owned())
    }

    /// A file of the test. Its path.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("written");
        path
    }

    pub(crate) fn path(&self, name: &str) -> String {
        let path = self.files.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Looks at the pipeline's state until there is an answer.
    pub(crate) async fn state<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        eventually(what, async || {
            let state = self
                .aws("codepipeline get-pipeline-state --name release --output json")
                .await;
            look(&serde_json::from_str(&state).expect("JSON"))
        })
        .await
    }
}
