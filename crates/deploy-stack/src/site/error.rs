//! Why a site is not put where it is to go.

use std::io;
use std::path::PathBuf;

use towpath_job::Failure;
use towpath_stack::StackStatus;

/// Why a site is not put where it is to go.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// There is no such stack.
    #[error("stack `{0}` does not exist")]
    NoStack(String),
    /// The stack is not what a template says.
    #[error("stack `{stack}` is {status}")]
    NotComplete {
        /// The stack.
        stack: String,
        /// Its status.
        status: StackStatus,
    },
    /// The stack has no such output.
    #[error("stack `{stack}` has no output `{output}`; it has {}", list(.known))]
    NoOutput {
        /// The stack.
        stack: String,
        /// The output.
        output: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The output names something else than a bucket of the stack.
    #[error(
        "output `{output}` of stack `{stack}` is `{bucket}`, which is no bucket of that stack or of one nested in it"
    )]
    ForeignBucket {
        /// The stack.
        stack: String,
        /// The output.
        output: String,
        /// Its value.
        bucket: String,
    },
    /// The tree has what is to be made.
    #[error("the artifact has a file `config.json`, and site-config= makes one")]
    TwoConfigs,
    /// There is no such folder in the artifact, or nothing in it.
    #[error("there is no file in `{0}` of the artifact")]
    Empty(String),
    /// A link, or something stranger.
    #[error("`{0}` is neither a file nor a folder")]
    NotAFile(String),
    /// An object's key is UTF-8.
    #[error("the name of `{}` is not UTF-8 text", .0.display())]
    Name(PathBuf),
    /// The function's own disk.
    #[error("failed to use the function's disk: {0}")]
    Disk(#[source] io::Error),
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        format!("`{}`", names.join("`, `"))
    }
}

impl From<SiteError> for Failure {
    fn from(error: SiteError) -> Self {
        let message = error.to_string();
        match error {
            SiteError::NoStack(_) => {
                Failure::configuration(message).with_hint("deploy it before, with action=deploy")
            }
            SiteError::NotComplete { .. } => {
                Failure::configuration(message).with_hint("deploy it before, with action=deploy")
            }
            SiteError::NoOutput { .. } => Failure::configuration(message)
                .with_hint("declare it in the template's Outputs and deploy that; of a nested stack the outputs are `!GetAtt Nested.Outputs.NAME`"),
            SiteError::ForeignBucket { .. } => Failure::configuration(message).with_hint(
                "name an output whose value is the name of a bucket that the stack makes: `!Ref Bucket`, or `!GetAtt Nested.Outputs.Bucket` for one of a nested stack",
            ),
            SiteError::TwoConfigs => {
                Failure::configuration(message).with_hint("leave one of them out")
            }
            SiteError::Empty(_) => Failure::configuration(message)
                .with_hint("name the folder that the build writes, as in site=Package::dist"),
            SiteError::NotAFile(_) => Failure::job(message)
                .with_hint("a bucket knows no links: let the build copy what it links to"),
            SiteError::Name(_) => Failure::job(message).with_hint("rename it"),
            SiteError::Disk(_) => Failure::unavailable(message),
        }
    }
}
