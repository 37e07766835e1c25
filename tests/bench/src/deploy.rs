//! What a deployment takes of `deploy-stack`: how often it calls CloudFormation, how long it is billed for, how soon the
//! pipeline goes on after the stack has ended, and what 500 resources cost it. All of it over `towpath loopback`, which
//! looks again five seconds after a continuation token; AWS publishes no number for that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zip::write::SimpleFileOptions;

use crate::Figure;
use crate::counted::Counted;
use crate::figure::median;
use crate::programs;
use crate::served::Loopback;

/// The bucket for code, sources and artifacts.
const BUCKET: &str = "bench";
const PEER: &str = "aws cloudformation deploy";
/// How many resources the two stacks have.
const FEW: usize = 5;
const MANY: usize = 500;

pub(crate) fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let towpath = programs::build(&["towpath"])?.join("towpath");
    let scene = Scene::start(towpath)?;
    let rounds = if quick { 1 } else { 5 };
    let (mut billed, mut few_billed, mut causes, mut few_causes) = (vec![], vec![], vec![], vec![]);
    let (mut peaks, mut few_peaks) = (vec![], vec![]);
    for round in 0..rounds {
        for (count, billed, causes, peaks) in [
            (FEW, &mut few_billed, &mut few_causes, &mut few_peaks),
            (MANY, &mut billed, &mut causes, &mut peaks),
        ] {
            let name = format!("of-{count}-{round}");
            let template = parameters(count, &name, None);
            let made = scene.deploy(&name, &template, "", "Succeeded")?;
            // The next update fails in its last resource, whose name another has already.
            let taken = format!("/{name}/0");
            let broken = scene.again(&name, &parameters(count, &name, Some(&taken)), "Failed")?;
            billed.push(made.billed_ms.iter().sum());
            causes.push(broken.billed_ms.last().copied().context("no last look")?);
            peaks.push(broken.peak_mb.max(made.peak_mb));
        }
    }
    let seconds = if quick { 20 } else { 600 };
    let slow = slow(&scene, seconds)?;
    let total = |calls: &BTreeMap<String, u64>| calls.values().sum::<u64>() as f64;
    eprintln!(
        "calls of deploy-stack: {:?}; of {PEER}: {:?}; looks: {}",
        slow.ours.calls,
        slow.peer_calls,
        slow.ours.billed_ms.len()
    );
    Ok(vec![
        Figure::median(
            "deploy_api_calls",
            "",
            "fewer",
            vec![total(&slow.ours.calls)],
        )
        .against(PEER, total(&slow.peer_calls)),
        Figure::median(
            "deploy_billed_s",
            "s",
            "",
            vec![slow.ours.billed_ms.iter().sum::<f64>() / 1e3],
        )
        .against("a function that sleeps meanwhile", f64::from(seconds)),
        Figure::median(
            "deploy_end_to_next_s",
            "s",
            "sooner",
            vec![slow.ours.ended_after_stack],
        )
        .against(PEER, slow.peer_after_stack),
        Figure::median("deploy_500_billed_ms", "ms", "", billed)
            .against("5 resources", median(&few_billed)),
        Figure::median("deploy_500_cause_ms", "ms", "", causes)
            .against("5 resources", median(&few_causes)),
        Figure::median("deploy_500_peak_mb", "MB", "", peaks)
            .against("5 resources", median(&few_peaks)),
    ])
}

/// The long deployment, by both at the same time.
struct Slow {
    ours: Deployed,
    peer_calls: BTreeMap<String, u64>,
    /// From the end of the peer's stack to the peer's own end, in seconds.
    peer_after_stack: f64,
}

fn slow(scene: &Scene, seconds: u32) -> anyhow::Result<Slow> {
    let template = include_str!("deploy/slow.yaml");
    let file = scene.scratch.path().join("slow.yaml");
    std::fs::write(&file, template)?;
    let mut peer = scene.cli();
    peer.args([
        "cloudformation",
        "deploy",
        "--stack-name",
        "peer",
        "--template-file",
    ])
    .arg(&file)
    .args(["--capabilities", "CAPABILITY_IAM", "--parameter-overrides"])
    .arg(format!("Seconds={seconds}"))
    .arg("--endpoint-url")
    .arg(format!("http://{}", scene.peer.address))
    .stdout(Stdio::null());
    let waiting = std::thread::spawn(move || (peer.status(), OffsetDateTime::now_utc()));
    let more = format!("&Param.Seconds={seconds}");
    let ours = scene.deploy("slow", template, &more, "Succeeded")?;
    let (status, ended) = waiting
        .join()
        .map_err(|_| anyhow::anyhow!("the AWS CLI could not be waited for"))?;
    ensure!(status?.success(), "{PEER} failed");
    Ok(Slow {
        ours,
        peer_calls: scene.peer.take(),
        peer_after_stack: (ended - scene.stack_ended("peer")?).as_seconds_f64(),
    })
}

/// What one execution of a pipeline came to.
struct Deployed {
    /// What each of the function's invocations is billed for.
    billed_ms: Vec<f64>,
    peak_mb: f64,
    /// What it asked CloudFormation for.
    calls: BTreeMap<String, u64>,
    /// From the end of the stack to the end of the action, in seconds.
    ended_after_stack: f64,
}

/// A loopback, the AWS CLI, and listeners between them that count.
struct Scene {
    towpath: PathBuf,
    aws: PathBuf,
    loopback: Loopback,
    ours: Counted,
    peer: Counted,
    scratch: tempfile::TempDir,
}

impl Scene {
    fn start(towpath: PathBuf) -> anyhow::Result<Self> {
        let loopback = Loopback::start(&towpath)?;
        let target = loopback
            .variables
            .iter()
            .find(|(name, _)| name == "AWS_ENDPOINT_URL")
            .and_then(|(_, value)| value.strip_prefix("http://"))
            .context("the loopback told no address")?
            .to_owned();
        let scene = Self {
            towpath,
            aws: aws_cli(),
            loopback,
            ours: Counted::before(&target)?,
            peer: Counted::before(&target)?,
            scratch: tempfile::tempdir()?,
        };
        scene.aws(&["s3api", "create-bucket", "--bucket", BUCKET])?;
        Ok(scene)
    }

    /// The AWS CLI as the loopback's root.
    fn cli(&self) -> Command {
        let mut command = Command::new(&self.aws);
        for (name, value) in &self.loopback.variables {
            command.env(name, value);
        }
        command.stdin(Stdio::null());
        command
    }

    fn aws(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self
            .cli()
            .args(arguments)
            .args(["--output", "json"])
            .output()
            .with_context(|| {
                format!(
                    "failed to start {}; install awscli from PyPI",
                    self.aws.display()
                )
            })?;
        ensure!(
            output.status.success(),
            "aws {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        if output.stdout.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Makes a pipeline that deploys the template, and runs it to the end that is expected.
    fn deploy(
        &self,
        name: &str,
        template: &str,
        more: &str,
        expected: &str,
    ) -> anyhow::Result<Deployed> {
        let bootstrap = format!(
            "#!/bin/sh\necho $$ > '{}'\nexec '{}' function deploy-stack\n",
            self.pid_file(name).display(),
            self.towpath.display()
        );
        self.upload(&format!("{name}.zip"), "bootstrap", &bootstrap)?;
        let pipeline = self.scratch.path().join("pipeline.yaml");
        std::fs::write(&pipeline, include_str!("deploy/pipeline.yaml"))?;
        self.aws(&[
            "cloudformation",
            "create-stack",
            "--stack-name",
            &format!("{name}-pipeline"),
            "--template-body",
            &format!("file://{}", pipeline.display()),
            "--capabilities",
            "CAPABILITY_IAM",
            "--parameters",
            &format!("ParameterKey=Name,ParameterValue={name}"),
            &format!("ParameterKey=Code,ParameterValue={BUCKET}"),
            &format!(
                "ParameterKey=CloudFormationEndpoint,ParameterValue=http://{}",
                self.ours.address
            ),
            &format!("ParameterKey=More,ParameterValue={more}"),
        ])?;
        self.until(&format!("stack `{name}-pipeline` is there"), || {
            let status = self.stack_status(&format!("{name}-pipeline"))?;
            ensure!(!status.contains("ROLLBACK"), "it is {status}");
            Ok((status == "CREATE_COMPLETE").then_some(()))
        })?;
        self.again(name, template, expected)
    }

    /// Runs a pipeline that is there, with another template.
    fn again(&self, name: &str, template: &str, expected: &str) -> anyhow::Result<Deployed> {
        let before = self.billed(name)?.len();
        self.upload(&format!("{name}-source.zip"), "template.yaml", template)?;
        self.ours.take();
        let started = self.aws(&["codepipeline", "start-pipeline-execution", "--name", name])?;
        let execution = text(&started["pipelineExecutionId"]);
        self.until(&format!("pipeline `{name}` has ended"), || {
            let seen = self.aws(&[
                "codepipeline",
                "get-pipeline-execution",
                "--pipeline-name",
                name,
                "--pipeline-execution-id",
                &execution,
            ])?;
            let status = text(&seen["pipelineExecution"]["status"]);
            if status == "InProgress" {
                return Ok(None);
            }
            ensure!(status == expected, "it ended as {status}");
            Ok(Some(()))
        })?;
        let actions = self.aws(&[
            "codepipeline",
            "list-action-executions",
            "--pipeline-name",
            name,
            "--filter",
            &format!("pipelineExecutionId={execution}"),
        ])?;
        let ended = actions["actionExecutionDetails"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|action| action["actionName"] == "Deploy")
            .map(|action| moment(&action["lastUpdateTime"]))
            .context("the action did not run")??;
        let after = ended - self.stack_ended(&format!("{name}-app"))?;
        Ok(Deployed {
            billed_ms: self.billed(name)?.split_off(before),
            peak_mb: peak_mb(&self.pid_file(name))?,
            calls: self.ours.take(),
            ended_after_stack: after.as_seconds_f64(),
        })
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(format!("{name}.pid"))
    }

    fn upload(&self, key: &str, name: &str, content: &str) -> anyhow::Result<()> {
        let file = self.scratch.path().join("upload.zip");
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&file)?);
        archive.start_file(name, SimpleFileOptions::default().unix_permissions(0o755))?;
        archive.write_all(content.as_bytes())?;
        archive.finish()?;
        let body = file.display().to_string();
        self.aws(&[
            "s3api",
            "put-object",
            "--bucket",
            BUCKET,
            "--key",
            key,
            "--body",
            &body,
        ])?;
        Ok(())
    }

    fn stack_status(&self, stack: &str) -> anyhow::Result<String> {
        let seen = self.aws(&["cloudformation", "describe-stacks", "--stack-name", stack])?;
        Ok(text(&seen["Stacks"][0]["StackStatus"]))
    }

    /// When the stack's last operation came to its end.
    fn stack_ended(&self, stack: &str) -> anyhow::Result<OffsetDateTime> {
        let seen = self.aws(&[
            "cloudformation",
            "describe-stack-events",
            "--stack-name",
            stack,
            "--max-items",
            "1",
        ])?;
        moment(&seen["StackEvents"][0]["Timestamp"])
    }

    /// What each invocation of a function is billed for, as its log says.
    fn billed(&self, function: &str) -> anyhow::Result<Vec<f64>> {
        let mut billed = Vec::new();
        for entry in walkdir::WalkDir::new(self.loopback.directory())
            .sort_by_file_name()
            .into_iter()
            .flatten()
        {
            let path = entry.path();
            let folder = path.parent().and_then(Path::file_name);
            if !entry.file_type().is_file() || folder != Some(function.as_ref()) {
                continue;
            }
            let log = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
            for line in log.lines() {
                if let Some((_, rest)) = line.split_once("Billed Duration: ") {
                    let number = rest.split(' ').next().unwrap_or_default();
                    billed.push(number.parse()?);
                }
            }
        }
        Ok(billed)
    }

    /// Looks until there is something.
    fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_mins(20) {
            if let Some(seen) = look().with_context(|| format!("waiting until {what}"))? {
                return Ok(seen);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        bail!(
            "waited in vain until {what}; {}",
            self.scratch.path().display()
        )
    }
}

/// The AWS CLI: beside the Python that `TOWPATH_TEST_PYTHON` names, else on the path.
fn aws_cli() -> PathBuf {
    std::env::var_os("TOWPATH_TEST_PYTHON")
        .map(|python| Path::new(&python).with_file_name("aws"))
        .filter(|aws| aws.is_file())
        .unwrap_or_else(|| "aws".into())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A time as the AWS CLI writes it: as the service sent it, which is text or seconds.
fn moment(value: &Value) -> anyhow::Result<OffsetDateTime> {
    if let Some(seconds) = value.as_f64() {
        let nanoseconds = (seconds * 1e9) as i128;
        return Ok(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)?);
    }
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no time"))?;
    OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("`{text}` is no time"))
}

/// The most memory that the process with this id has had resident.
fn peak_mb(pid_file: &Path) -> anyhow::Result<f64> {
    let pid = std::fs::read_to_string(pid_file).context("the function never started")?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()))
        .context("the function's process is gone")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no peak")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1_024.0 / 1e6)
}

/// A template of so many parameters, the last one made after all others; under another name if one is given.
fn parameters(count: usize, prefix: &str, last: Option<&str>) -> String {
    let mut text = "Resources:\n".to_owned();
    for number in 0..count - 1 {
        let _ = write!(
            text,
            "  Parameter{number}:\n    Type: AWS::SSM::Parameter\n    Properties: {{Type: String, Name: /{prefix}/{number}, Value: \"{}\"}}\n",
            last.is_some()
        );
    }
    let others: Vec<String> = (0..count - 1).map(|n| format!("Parameter{n}")).collect();
    let own = format!("/{prefix}/last");
    let _ = write!(
        text,
        "  Last:\n    Type: AWS::SSM::Parameter\n    DependsOn: [{}]\n    Properties: {{Type: String, Name: {}, Value: \"x\"}}\n",
        others.join(", "),
        last.unwrap_or(&own)
    );
    text
}
