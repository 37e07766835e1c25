//! What can be said on the command line. The doc comments are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Continuous delivery for serverless applications: operate a pipeline, or run it here.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the pipeline on this machine, with no AWS account and no Docker
    ///
    /// Starts an AWS on 127.0.0.1, deploys the pipeline's template into it through CloudFormation,
    /// hands it the source tree, and shows the execution. Ends with what was deployed, where the
    /// logs and artifacts lie, and what was executed, simulated or refused.
    ///
    /// Exit codes: 0 succeeded, 1 the pipeline failed, 2 usage or definition, 3 stopped or
    /// rejected, 5 waiting for an approval that nobody can give, 130 interrupted.
    Run(Run),
    /// Start the AWS on 127.0.0.1 alone
    ///
    /// Prints the environment variables that point the AWS CLI and the SDKs at it, and serves
    /// until it is interrupted.
    Loopback(Loopback),
    /// Look at releases
    #[command(subcommand)]
    Release(Release),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    /// Say what differs between two releases
    ///
    /// In which files, and why, as far as it is recorded. Each release is a file, such as the `release.json` of an
    /// output artifact with `contents.json` beside it; an address `s3://BUCKET/releases/ID.json`; or an id, with
    /// `--bucket`.
    ///
    /// Exit codes: 0 they are the same, 1 they differ, 2 one of them cannot be read.
    Diff {
        /// The first release
        first: String,
        /// The second release
        second: String,
        /// The release bucket that ids are looked up in
        #[arg(long)]
        bucket: Option<String>,
    },
    /// Show what a release consists of
    Show {
        /// The release: a file, an address or an id, as for `diff`
        release: String,
        /// The release bucket that an id is looked up in
        #[arg(long)]
        bucket: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The application's source tree
    #[arg(default_value = ".")]
    pub(crate) source: PathBuf,
    /// The pipeline's template [default: ./template.yaml if it has a pipeline, else the built-in one]
    #[arg(long, value_name = "FILE")]
    pub(crate) template: Option<PathBuf>,
    /// A value for a parameter of the pipeline's template; may be repeated
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Approve this manual approval without asking, or `all`; may be repeated
    #[arg(long, value_name = "NAME|all")]
    pub(crate) approve: Vec<String>,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE")]
    pub(crate) until: Option<String>,
    /// Keep the deployed application and the loopback up until interrupted
    #[arg(long)]
    pub(crate) hold: bool,
    /// Run the functions that were built for Lambda: `DIR/<name>/bootstrap`, `DIR/<name>.zip` or `DIR/<name>`
    #[arg(long, value_name = "DIR")]
    pub(crate) functions: Option<PathBuf>,
    /// Secrets for the functions: lines of `ssm:/path = VALUE` or `secretsmanager:NAME = VALUE`
    ///
    /// A VALUE of the form $NAME is taken from that environment variable.
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// What is to go wrong: calls that fail, and resources that fail or take long, in JSON
    ///
    /// It goes wrong from when the execution starts; the pipeline itself is made without faults.
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Loopback {
    /// The port on 127.0.0.1 [default: a free one]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The region that is served
    #[arg(long, default_value = "us-east-1")]
    pub(crate) region: String,
    /// What is to go wrong: calls that fail, and resources that fail or take long, in JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
