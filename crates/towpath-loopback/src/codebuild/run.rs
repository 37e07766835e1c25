//! Carries a build out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use time::OffsetDateTime;
use time::macros::format_description;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStdout, Command};

use super::build::{Build, Status, Stop};
use super::script::{self, Mark};
use super::specification::Specification;
use crate::processes::{LAST_WORDS, LINE};
use crate::{World, processes};

/// The names of the phases that have commands, as the API has them.
const PHASES: [&str; 4] = ["INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD"];

/// Runs a build to its end.
pub(crate) async fn run(world: Arc<World>, build: Arc<Build>) {
    build.end(Status::Succeeded, None);
    build.pass("PROVISIONING");
    world.fidelity.executed("CodeBuild builds");
    world.fidelity.simulated(
        "CodeBuild images and compute types: builds run on this machine, with its programs",
    );
    let log = Log::of(&world, &build);
    log.say("Waiting for agent ping");
    build.pass("DOWNLOAD_SOURCE");
    let directory = match prepare(&world, &build).await {
        Ok(directory) => directory,
        Err(error) => {
            build.begin("INSTALL");
            let message = format!("failed to prepare a directory for the build: {error}");
            build.end(Status::Fault, Some(("INTERNAL_ERROR", message)));
            build.finish(Status::Fault);
            return;
        }
    };
    let status = carry_out(&world, &build, &log, &directory).await;
    if let Err(error) = tokio::fs::remove_dir_all(&directory).await {
        tracing::debug!(directory = %directory.display(), %error, "a build's directory stays");
    }
    if status == Status::Succeeded {
        build.pass("UPLOAD_ARTIFACTS");
    }
    build.pass("FINALIZING");
    build.finish(status);
}

async fn prepare(world: &World, build: &Build) -> io::Result<PathBuf> {
    let directory =
        std::path::absolute(world.settings.state_dir.join("builds"))?.join(build.uuid());
    for part in ["home", "tmp", "src"] {
        tokio::fs::create_dir_all(directory.join(part)).await?;
    }
    Ok(directory)
}

/// Has the commands find what they name by its path in an image that was handed over.
fn lead_inside(specification: &mut Specification, root: &Path) {
    let Some(place) = root.to_str() else { return };
    let folders: Vec<String> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !Path::new("/").join(name).exists())
        .collect();
    for phase in &mut specification.phases {
        for command in phase.commands.iter_mut().chain(&mut phase.finally) {
            *command = script::inside(command, place, &folders);
        }
    }
}

async fn carry_out(world: &Arc<World>, build: &Build, log: &Log, directory: &Path) -> Status {
    let mut specification = build.setting.specification.clone();
    if let Some(root) = world.lambda.image_root(&build.setting.image) {
        lead_inside(&mut specification, &root);
    }
    let word = format!("towpath-{}", uuid::Uuid::new_v4().simple());
    let shell = if specification.bash { "bash" } else { "sh" };
    let spawned = Command::new(shell)
        .arg("-c")
        .arg(script::script(&specification, &word))
        .current_dir(directory.join("src"))
        .env_clear()
        .envs(variables(world, build, directory))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            build.begin("INSTALL");
            let message = format!("failed to start `{shell}`: {error}");
            build.end(Status::Fault, Some(("INTERNAL_ERROR", message)));
            return Status::Fault;
        }
    };
    let pid = child.id();
    let mut course = Course {
        build,
        log,
        word: &word,
        at: None,
        failed: None,
        status: Status::Succeeded,
        line: Vec::new(),
    };
    let time = world.settings.build_minute * build.setting.timeout_minutes;
    let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
    let ended = tokio::select! {
        // Whoever holds the pipe open after the shell has ended is killed below.
        ended = async {
            tokio::select! {
                () = course.follow(&mut output) => child.wait().await,
                status = child.wait() => status,
            }
        } => ended.ok(),
        () = build.stopping.cancelled() => None,
        () = tokio::time::sleep(time) => {
            build.stop(Stop::Late);
            None
        }
    };
    if ended.is_none() {
        processes::kill(pid).await;
        let _ = child.start_kill();
        let _ = child.wait().await;
    }
    let mark = format!("CODEBUILD_BUILD_ID={}", build.id);
    processes::kill_left_behind(pid, mark).await;
    let _ = tokio::time::timeout(LAST_WORDS, course.follow(&mut output)).await;
    course.conclude(ended.map(|status| {
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(9))
    }))
}

/// What a build's output tells of it.
struct Course<'a> {
    build: &'a Build,
    log: &'a Log,
    word: &'a str,
    /// The phase that it is in, and the command.
    at: Option<(usize, Option<usize>)>,
    /// The first command of the phase that failed, with its exit code.
    failed: Option<(usize, i32)>,
    status: Status,
    /// What has come of a line that has no end yet.
    line: Vec<u8>,
}

impl Course<'_> {
    /// Reads until the output ends. May be given up anywhere, and gone on with.
    async fn follow(&mut self, output: &mut BufReader<ChildStdout>) {
        loop {
            let mut some = (&mut *output).take(LINE);
            let ended = !matches!(some.read_until(b'\n', &mut self.line).await, Ok(1..));
            if !self.line.is_empty() {
                let line = std::mem::take(&mut self.line);
                self.hear(&String::from_utf8_lossy(&line));
            }
            if ended {
                return;
            }
        }
    }

    fn hear(&mut self, line: &str) {
        let (printed, mark) = script::read(line.trim_end_matches(['\n', '\r']), self.word);
        if mark.is_none() || !printed.is_empty() {
            self.log.line(printed);
        }
        match mark {
            None => {}
            Some(Mark::Phase(phase)) => {
                self.at = Some((phase, None));
                self.build.begin(PHASES[phase]);
                self.log.say(&format!("Entering phase {}", PHASES[phase]));
            }
            Some(Mark::Command(phase, number)) => {
                self.at = Some((phase, Some(number)));
                let command = self.command(phase, number);
                self.log.say(&format!("Running command {command}"));
            }
            Some(Mark::Failed(_, number, code)) => {
                self.failed.get_or_insert((number, code));
            }
            Some(Mark::Ended(phase)) => self.end_phase(phase),
        }
    }

    fn command(&self, phase: usize, number: usize) -> String {
        let all = script::commands(&self.build.setting.specification, phase);
        all.get(number)
            .map_or("", |command| command.trim_end())
            .to_owned()
    }

    fn end_phase(&mut self, phase: usize) {
        self.at = None;
        let (status, context) = match self.failed.take() {
            None => (Status::Succeeded, None),
            Some((number, code)) => {
                let message = format!(
                    "Error while executing command: {}. Reason: exit status {code}",
                    self.command(phase, number)
                );
                (Status::Failed, Some(("COMMAND_EXECUTION_ERROR", message)))
            }
        };
        self.settle(phase, status, context);
    }

    fn settle(&mut self, phase: usize, status: Status, context: Option<(&'static str, String)>) {
        self.log.say(&format!(
            "Phase complete: {} State: {}",
            PHASES[phase],
            status.as_str()
        ));
        let (code, message) = context
            .as_ref()
            .map_or(("", ""), |(code, message)| (*code, message.as_str()));
        self.log.say(&format!(
            "Phase context status code: {code} Message: {message}"
        ));
        self.build.end(status, context);
        if status != Status::Succeeded {
            self.status = status;
        }
    }

    /// What the build came to. `code` is the shell's own exit code, if it was left to end.
    fn conclude(mut self, code: Option<i32>) -> Status {
        // A phase that has not ended: it was ended, or a command ended the shell.
        match (code, self.at) {
            (Some(0), None) => {}
            (Some(code), Some((phase, command))) => {
                if code != 0 {
                    self.failed.get_or_insert((command.unwrap_or(0), code));
                }
                self.end_phase(phase);
            }
            (Some(_), None) => self.status = Status::Failed,
            (None, at) => {
                let (status, context) = match self.build.stopped() {
                    Some(Stop::Late) => (
                        Status::TimedOut,
                        Some(("BUILD_TIMED_OUT", "Build has timed out. ".to_owned())),
                    ),
                    Some(Stop::Asked) | None => (Status::Stopped, None),
                };
                match at {
                    Some((phase, _)) => self.settle(phase, status, context),
                    None => self.status = status,
                }
            }
        }
        self.status
    }
}

/// Where a build's lines go.
struct Log {
    world: Arc<World>,
    group: String,
    stream: String,
}

impl Log {
    fn of(world: &Arc<World>, build: &Build) -> Self {
        Self {
            world: Arc::clone(world),
            group: build.log_group(),
            stream: build.uuid().to_owned(),
        }
    }

    fn line(&self, line: &str) {
        self.world.logs.append(&self.group, &self.stream, line);
    }

    /// A line of CodeBuild's own.
    fn say(&self, what: &str) {
        let now = OffsetDateTime::now_utc()
            .format(format_description!(
                "[year]/[month]/[day] [hour]:[minute]:[second].[subsecond digits:6]"
            ))
            .unwrap_or_default();
        self.line(&format!("[Container] {now} {what}"));
    }
}

/// The build's whole environment.
/// <https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html>
fn variables(world: &World, build: &Build, directory: &Path) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> = crate::lambda::passed().collect();
    for (name, value) in &world.settings.function_environment {
        variables.insert(name.into(), value.into());
    }
    if let Some(programs) = world.lambda.image_path(&build.setting.image) {
        let usual = variables.get(&OsString::from("PATH")).cloned();
        let all = programs
            .into_iter()
            .chain(usual.iter().flat_map(std::env::split_paths));
        if let Ok(path) = std::env::join_paths(all) {
            variables.insert("PATH".into(), path);
        }
    }
    let mut set = |name: &str, value: &str| {
        variables.insert(name.into(), value.into());
    };
    for (name, value) in &build.setting.environment {
        set(name, value);
    }
    let at = |part: &str| directory.join(part).to_string_lossy().into_owned();
    let credentials = format!("{}/_codebuild/credentials/{}", world.endpoint, build.secret);
    for (name, value) in [
        ("HOME", at("home").as_str()),
        ("TMPDIR", &at("tmp")),
        ("AWS_ENDPOINT_URL", &world.endpoint),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", &world.settings.region),
        ("AWS_DEFAULT_REGION", &world.settings.region),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &credentials),
        ("CI", "true"),
        ("CODEBUILD_CI", "true"),
        ("CODEBUILD_BUILD_ID", &build.id),
        ("CODEBUILD_BUILD_ARN", &build.arn(world)),
        ("CODEBUILD_BUILD_NUMBER", &build.number.to_string()),
        ("CODEBUILD_BUILD_IMAGE", &build.setting.image),
        ("CODEBUILD_INITIATOR", build.initiator()),
        ("CODEBUILD_KMS_KEY_ID", &world.arn("kms", "alias/aws/s3")),
        ("CODEBUILD_LOG_PATH", build.uuid()),
        ("CODEBUILD_SRC_DIR", &at("src")),
        ("CODEBUILD_START_TIME", &build.start_ms.to_string()),
    ] {
        set(name, value);
    }
    variables
}
