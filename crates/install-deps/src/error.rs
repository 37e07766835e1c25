//! Why an installation failed, and what CodePipeline is told.

use std::{
    io,
    path::{Path, PathBuf},
};

use towpath_job::{Failure, FailureType, JobError, Limit, chain};
use towpath_tool::ToolError;

use crate::detect::DetectError;
use crate::secret::SecretError;

/// Why the action failed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The job has not what the action needs, or an artifact could not be moved.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Not exactly one output artifact; the names of those there are.
    #[error("install-deps makes one output artifact, but the action declares {}", declared(.0))]
    Outputs(Vec<String>),
    /// No directory for the job.
    #[error("no room for the job: {0}")]
    Workspace(#[source] io::Error),
    /// It is not clear what is to be installed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The lock file is not what the manifest asks for.
    #[error("{manifest} and {lock} in {directory} do not match")]
    Mismatch {
        /// The manifest's name.
        manifest: String,
        /// The lock file's name.
        lock: String,
        /// As shown to people.
        directory: String,
        /// The command that mends it.
        mend: &'static str,
        /// The end of what the manager said.
        output: String,
    },
    /// Yarn or pnpm is not there, or not as the project wants it.
    #[error("{wanted} is not at hand: {found}{}", corepack_said(corepack.as_deref()))]
    NoManager {
        /// The manager with the version that is asked for: `pnpm@10.1.0`.
        wanted: String,
        /// What was found instead.
        found: String,
        /// What corepack said, where it is there.
        corepack: Option<String>,
    },
    /// The package manager failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A secret is not to be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A secret would be published.
    #[error(
        "the installation wrote secret `{secret}` to `{path}`, which would be published with it"
    )]
    Leak {
        /// The name after `Secret.`.
        secret: String,
        /// Where, relative to the output.
        path: PathBuf,
    },
    /// The tree could not be read or taken apart.
    #[error("failed to collect what was installed at `{path}`")]
    Tree {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InstallError {
    /// What stopped a walk through the tree at `root`.
    pub(crate) fn walk(root: &Path, error: walkdir::Error) -> Self {
        Self::Tree {
            path: error.path().unwrap_or(root).to_owned(),
            source: error.into(),
        }
    }
}

fn corepack_said(tail: Option<&str>) -> String {
    match tail {
        None => ", and no corepack".to_owned(),
        Some(tail) => {
            let is_told = |line: &&str| line.starts_with("Error: ");
            let said = tail.lines().map(str::trim);
            let said = said
                .clone()
                .find(is_told)
                .or_else(|| said.clone().find(|line| !line.is_empty()));
            format!(
                ", and corepack says: {}",
                said.unwrap_or_default().trim_start_matches("Error: ")
            )
        }
    }
}

fn declared(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let message = chain(&error);
        match error {
            InstallError::Job(error) => error.into(),
            InstallError::Outputs(_) => Self::configuration(message)
                .with_hint("give the action one OutputArtifacts entry, such as Dependencies"),
            InstallError::Workspace(error) | InstallError::Tree { source: error, .. } => {
                let failure = Self::job(message);
                match error.kind() {
                    io::ErrorKind::StorageFull => {
                        failure.with_hint("raise the function's ephemeral storage")
                    }
                    _ => failure,
                }
            }
            InstallError::Secret(error) => error.into(),
            InstallError::Leak { secret, .. } => Self::job(message).with_hint(format!(
                "have what is written refer to the variable, as `${{{secret}}}` does in an .npmrc, or leave it out; nothing was published"
            )),
            InstallError::Detect(error) => Self::configuration(message).with_hint(error.hint()),
            InstallError::Mismatch {
                lock, mend, output, ..
            } => Self::configuration(message)
                .with_output(told(&output))
                .with_hint(format!("run `{mend}` and commit {lock}")),
            InstallError::NoManager { wanted, .. } => Self::configuration(message).with_hint(format!(
                "install it in the function's image (`npm install --global {}`), give corepack a way to its registry \
                 (COREPACK_NPM_REGISTRY), or change `packageManager` in package.json",
                wanted.replace("yarn@4", "@yarnpkg/cli-dist@4")
            )),
            InstallError::Tool(error) => {
                let late = error.is_late().then_some(Limit::Time);
                let failure = Self::new(kind_of_tool(&error), error.cause())
                    .with_output(told(error.tail()))
                    .at_limit(late);
                let hint = match &error {
                    ToolError::NotFound { program, .. } => Some(format!(
                        "install `{program}` in the function's image (or on this machine); the tool image has npm, \
                         pip, uv and Poetry, and infra/README.md says how to add others"
                    )),
                    _ => hint(error.tail()).map(Into::into).or_else(|| error.hint()),
                };
                with_hint(failure, hint)
            }
        }
    }
}

fn with_hint(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// A missing program is a matter of the function's image, the rest of the project.
fn kind_of_tool(error: &ToolError) -> FailureType {
    match error {
        ToolError::NotFound { .. } => FailureType::ConfigurationError,
        ToolError::Directory { .. }
        | ToolError::Start { .. }
        | ToolError::Wait { .. }
        | ToolError::Exit { .. }
        | ToolError::Signal { .. }
        | ToolError::Deadline { .. } => FailureType::JobFailed,
    }
}

/// The output without what npm says after every failure: how it is used, that there is a newer one, and where in
/// the job's directory, gone by then, its log lies.
fn told(tail: &str) -> String {
    let is_usage = |line: &&str| line.starts_with("npm error Usage:");
    let is_noise = |line: &&str| {
        line.starts_with("npm notice") || line.starts_with("npm error A complete log of this run")
    };
    let lines = tail.lines().filter(|line| !is_noise(line));
    lines
        .take_while(|line| !is_usage(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What the managers' own messages leave out.
fn hint(tail: &str) -> Option<&'static str> {
    let signs = [
        (
            "ERR_PNPM_IGNORED_BUILDS",
            "allow what may run scripts with `pnpm approve-builds` and commit that, or set `scripts=on` or `scripts=off`",
        ),
        (
            "No interpreter found for Python",
            "install that Python in the function's image: uv may not fetch one, since the tasks would not have it",
        ),
        (
            "This is most likely not a problem with node-gyp or the package itself",
            "a native module needs node's headers: give the function npm_config_nodedir with their directory, or a way to the internet",
        ),
        (
            "npm error code E401",
            "the registry asks for credentials: have .npmrc refer to a variable, as in `_authToken=${NPM_TOKEN}`, and give it with `Secret.NPM_TOKEN=ssm:/path`",
        ),
        (
            "npm error code E404",
            "no such package or version in the registry; a private one needs npm_config_registry or an .npmrc",
        ),
        (
            "npm error code EINTEGRITY",
            "a package is not what the lock file was made from: do not install it; look at the registry first",
        ),
        ("No module named pip", "install pip in the function's image"),
        (
            "No matching distribution found",
            "no such version for this Python and platform; a private index needs PIP_INDEX_URL, which `Secret.PIP_INDEX_URL=ssm:/path` gives",
        ),
    ];
    signs
        .iter()
        .find(|(sign, _)| tail.contains(sign))
        .map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_s_usage_does_not_bury_the_cause() {
        let told_by_npm = "npm error code EUSAGE\nnpm error Missing: a@1 from lock file\nnpm error\nnpm error Usage:\n\
            npm error npm ci\nnpm notice New minor version\nnpm error A complete log of this run can be found in: /x";
        for (given, expected) in [
            (
                told_by_npm,
                "npm error code EUSAGE\nnpm error Missing: a@1 from lock file\nnpm error",
            ),
            (
                "npm error a\nnpm notice b\nnpm error c",
                "npm error a\nnpm error c",
            ),
            (
                "ERROR: No matching distribution",
                "ERROR: No matching distribution",
            ),
            ("", ""),
        ] {
            assert_eq!(told(given), expected);
        }
    }

    #[test]
    fn each_cause_has_its_failure_type_and_a_hint() {
        let exit = |tail: &str| {
            InstallError::from(ToolError::Exit {
                command: "npm ci".into(),
                code: 1,
                tail: tail.into(),
            })
        };
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        for (error, kind, message, hint) in [
            (
                InstallError::Outputs(vec!["A".into(), "B".into()]),
                FailureType::ConfigurationError,
                "install-deps makes one output artifact, but the action declares A, B",
                "OutputArtifacts",
            ),
            (
                ToolError::NotFound {
                    program: "npm".into(),
                    path: "/bin".into(),
                }
                .into(),
                FailureType::ConfigurationError,
                "`npm` was not found on the search path /bin",
                "install `npm`",
            ),
            (
                InstallError::Mismatch {
                    manifest: "pyproject.toml".into(),
                    lock: "uv.lock".into(),
                    directory: "`api`".into(),
                    mend: "uv lock",
                    output: "error: The lockfile at `uv.lock` needs to be updated".into(),
                },
                FailureType::ConfigurationError,
                "pyproject.toml and uv.lock in `api` do not match",
                "run `uv lock` and commit uv.lock",
            ),
            (
                InstallError::NoManager {
                    wanted: "pnpm@9.1.0".into(),
                    found: "`pnpm` on the search path is 10.1.0".into(),
                    corepack: Some("x.cjs:1\n\nError: No way to the registry\n".into()),
                },
                FailureType::ConfigurationError,
                "pnpm@9.1.0 is not at hand: `pnpm` on the search path is 10.1.0, and corepack says: No way to the registry",
                "npm install --global pnpm@9.1.0",
            ),
            (
                InstallError::NoManager {
                    wanted: "yarn@4".into(),
                    found: "there is no `yarn` on the search path".into(),
                    corepack: None,
                },
                FailureType::ConfigurationError,
                "yarn@4 is not at hand: there is no `yarn` on the search path, and no corepack",
                "@yarnpkg/cli-dist@4",
            ),
            (
                exit("npm error code ENOSPC"),
                FailureType::JobFailed,
                "`npm ci` failed with exit code 1",
                "disk is full",
            ),
            (
                InstallError::Workspace(full()),
                FailureType::JobFailed,
                "no room for the job",
                "ephemeral storage",
            ),
            (
                DetectError::NoDirectory {
                    directory: "web".into(),
                }
                .into(),
                FailureType::ConfigurationError,
                "the source has no directory `web`",
                "relative to the root",
            ),
            (
                JobError::NoArtifacts { direction: "input" }.into(),
                FailureType::ConfigurationError,
                "the action has no input artifact",
                "InputArtifacts",
            ),
        ] {
            let failure = Failure::from(error);
            assert_eq!(failure.kind, kind, "{failure:?}");
            assert!(failure.message.starts_with(message), "{failure:?}");
            assert!(
                failure.hint.as_deref().unwrap_or_default().contains(hint),
                "{failure:?}"
            );
        }
    }
}
