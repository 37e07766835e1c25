//! The suite's functions, linked in: `towpath function NAME` is the process that a loopback starts.

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

/// The hidden command.
pub(crate) const COMMAND: &str = "function";

/// How often a function looks whether its loopback is still there.
const ORPHAN_CHECK: Duration = Duration::from_secs(1);

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
            let served = runtime.block_on(async {
                tokio::select! {
                    ended = function => ended,
                    () = orphaned() => {
                        towpath_tool::tree::kill_descendants(std::process::id());
                        Ok(())
                    }
                }
            });
            runtime.shutdown_background();
            served.map_err(|error| error.to_string())
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until the loopback that started this process is gone without having ended it: killed, or
/// crashed. Lambda has no such thing; a laptop must not be left with a build that nobody waits for.
async fn orphaned() {
    let parent = rustix::process::getppid();
    let mut look = tokio::time::interval(ORPHAN_CHECK);
    while rustix::process::getppid() == parent {
        look.tick().await;
    }
}
