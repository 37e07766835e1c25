//! A function's process: started with an environment of its own, and ended with all that it started.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::environment::{End, Environment};
use super::function::Version;
use super::launch::{Launch, Unstartable, launch, variables};
use super::{directory, host, runtime_api};
use crate::processes::{LAST_WORDS, LINE};
use crate::{World, processes};

/// How often a program that is still open for writing is tried again.
const BUSY_TRIES: u32 = 100;

/// Starts a process for `version` in a fresh environment. It has not asked for an event yet.
pub(crate) async fn start(
    world: &Arc<World>,
    version: &Version,
) -> Result<Arc<Environment>, Unstartable> {
    let runtime = &version.configuration.runtime;
    let interpreter = world
        .lambda
        .host
        .interpreter(world, runtime)
        .await
        .map_err(|error| Unstartable {
            kind: "Runtime.Unknown",
            message: format!("failed to write the bootstrap of a handler: {error}"),
        })?;
    let launch = launch(version, &interpreter)?;
    let environment = Arc::new(Environment::new(version));
    let credentials = world
        .identity
        .assume(&version.configuration.role, &version.function, None)
        .map_err(|error| Unstartable {
            kind: "AccessDeniedException",
            message: format!(
                "The role defined for the function cannot be assumed by Lambda. ({})",
                error.message
            ),
        })?;
    let directory = directory(world, "environments")
        .unwrap_or_default()
        .join(&environment.instance);
    let disk = |error: std::io::Error| Unstartable {
        kind: "Runtime.Unknown",
        message: format!(
            "failed to prepare an environment in `{}`: {error}",
            directory.display()
        ),
    };
    tokio::fs::create_dir_all(directory.join("tmp"))
        .await
        .map_err(disk)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(disk)?;
    let address = listener.local_addr().map_err(disk)?;
    let variables = variables(
        world,
        version,
        &environment,
        &credentials,
        &address.to_string(),
        &directory,
        host::passed(),
    );
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .current_dir(&launch.directory)
        .env_clear()
        .envs(variables)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = match spawn(&mut command, &launch).await {
        Ok(child) => child,
        Err(unstartable) => {
            let _ = tokio::fs::remove_dir_all(&directory).await;
            return Err(unstartable);
        }
    };
    let output = [
        child
            .stdout
            .take()
            .map(|pipe| pump(world, &environment, pipe)),
        child
            .stderr
            .take()
            .map(|pipe| pump(world, &environment, pipe)),
    ];
    world.fidelity.executed(match runtime.identifier() {
        Some(identifier) => format!("Lambda functions of runtime {identifier}"),
        None => "Lambda functions from images".to_owned(),
    });
    runtime_api::serve(world, &environment, listener);
    world.tasks.spawn(own(
        Arc::clone(world),
        Arc::clone(&environment),
        child,
        output,
        directory,
    ));
    Ok(environment)
}

/// Spawns, and waits while the program is busy: another thread of ours may fork while the program
/// is being written, and its child holds the file open until it becomes something else.
async fn spawn(command: &mut Command, launch: &Launch) -> Result<Child, Unstartable> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            result => return result.map_err(|error| unstartable(&launch.program, &error)),
        }
    }
}

fn unstartable(program: &Path, error: &std::io::Error) -> Unstartable {
    let reason = match error.kind() {
        ErrorKind::NotFound => {
            "no such file or directory (of the program or of its interpreter)".to_owned()
        }
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Unstartable {
        kind: "Runtime.InvalidEntrypoint",
        message: format!("fork/exec {}: {reason}", program.display()),
    }
}

/// Sees a process through to its end.
async fn own(
    world: Arc<World>,
    environment: Arc<Environment>,
    mut child: Child,
    output: [Option<JoinHandle<()>>; 2],
    directory: PathBuf,
) {
    let pid = child.id();
    let ended = tokio::select! {
        status = child.wait() => Some(status),
        () = environment.kill.cancelled() => None,
        () = world.stopping.cancelled() => None,
    };
    environment.kill.cancel(); // no more events for it
    let status = if let Some(status) = ended {
        status
    } else {
        processes::kill(pid).await;
        let _ = child.start_kill();
        child.wait().await
    };
    let mark = format!("AWS_LAMBDA_LOG_STREAM_NAME={}", environment.log_stream);
    processes::kill_left_behind(pid, mark).await;
    for pump in output.into_iter().flatten() {
        let abort = pump.abort_handle();
        if tokio::time::timeout(LAST_WORDS, pump).await.is_err() {
            abort.abort();
        }
    }
    let _ = tokio::fs::remove_dir_all(&directory).await;
    environment.end(status.map_or(End::Signal(9), end_of));
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Signal(signal.unwrap_or(9)),
    }
}

/// Carries one stream of output into the log, line by line.
fn pump(
    world: &Arc<World>,
    environment: &Arc<Environment>,
    pipe: impl AsyncRead + Send + Unpin + 'static,
) -> JoinHandle<()> {
    let (world, environment) = (Arc::clone(world), Arc::clone(environment));
    tokio::spawn(async move {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while let Ok(1..) = (&mut reader).take(LINE).read_until(b'\n', &mut line).await {
            let text = String::from_utf8_lossy(&line);
            environment.log(&world, text.trim_end_matches(['\n', '\r']));
            line.clear();
        }
    })
}
