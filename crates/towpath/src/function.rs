//! The suite's functions, linked in: `towpath function NAME` is the process that a loopback starts.

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

/// The hidden command.
pub(crate) const COMMAND: &str = "function";

/// The functions' names, which are those of their executables.
pub(crate) const NAMES: [&str; 5] = [
    "install-deps",
    "test-and-package",
    "deploy-stack",
    "run-e2e",
    "approve",
];

/// Serves the Runtime API as the named function.
pub(crate) fn main(name: Option<OsString>) -> ExitCode {
    let name = name.unwrap_or_default();
    match name.to_str() {
        Some("install-deps") => serve(true, towpath_job::run(install_deps::InstallDeps)),
        Some("test-and-package") => serve(true, towpath_job::run(test_and_package::TestAndPackage)),
        Some("deploy-stack") => serve(false, deploy_stack::run()),
        Some("run-e2e") => serve(true, run_e2e::run()),
        Some("approve") => serve(false, approve::run()),
        _ => {
            eprintln!(
                "error: there is no function `{}`; there are {}",
                name.display(),
                NAMES.join(", ")
            );
            ExitCode::from(crate::exit::Exit::Usage.code())
        }
    }
}

fn serve(
    runs_tools: bool,
    function: impl Future<Output = Result<(), towpath_job::RunError>>,
) -> ExitCode {
    if runs_tools && let Err(error) = towpath_tool::seal_process() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let ended = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            runtime
                .block_on(function)
                .map_err(|error| error.to_string())
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
