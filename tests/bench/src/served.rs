//! `towpath loopback`, started for a measurement.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use aws_credential_types::Credentials;

/// A loopback in a process and a folder of its own. Killed whatever happens.
pub(crate) struct Loopback {
    process: Child,
    /// The configuration of clients that may do anything.
    pub(crate) config: towpath_aws::SdkConfig,
    /// What points other programs at it.
    pub(crate) variables: Vec<(String, String)>,
    directory: tempfile::TempDir,
}

impl Loopback {
    /// Starts one: when this returns, it answers.
    pub(crate) fn start(towpath: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut process = Command::new(towpath)
            .arg("loopback")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = BufReader::new(process.stdout.take().context("no output")?);
        let mut variables = Vec::new();
        for line in output.lines() {
            let line = line?;
            let pair = line.trim_start_matches("export ").split_once('=');
            let (name, value) = pair.context("no variable")?;
            variables.push((name.to_owned(), value.to_owned()));
            if name == "AWS_EC2_METADATA_DISABLED" {
                break;
            }
        }
        let value = |wanted: &str| {
            let found = variables.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let credentials = Credentials::new(
            value("AWS_ACCESS_KEY_ID"),
            value("AWS_SECRET_ACCESS_KEY"),
            None,
            None,
            "loopback",
        );
        let config = towpath_aws::fixed(
            &value("AWS_ENDPOINT_URL"),
            &value("AWS_REGION"),
            credentials,
        );
        let loopback = Self {
            process,
            config,
            variables,
            directory,
        };
        Ok(loopback)
    }

    /// Where it keeps what it has.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
