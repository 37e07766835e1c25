//! The functions as executables: size, time to the first call of the Runtime API, memory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::time::timeout;

use crate::Figure;
use crate::figure::{median, ratios};
use crate::programs;
use crate::runtime_api::{RuntimeApi, Seen, event};

const FUNCTIONS: [&str; 5] = [
    "install-deps",
    "test-and-package",
    "deploy-stack",
    "run-e2e",
    "approve",
];

/// What one start came to.
struct Start {
    /// From exec to the first call, in milliseconds.
    first_call_ms: f64,
    /// From exec to the answer of the first event, in milliseconds.
    response_ms: f64,
    /// Resident memory while it waits for its first event, in megabytes.
    resident_mb: f64,
}

pub(crate) async fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let rounds = if quick { 5 } else { 31 };
    let directory = programs::build(&FUNCTIONS)?;
    let node = programs::node_peer()?;
    let largest = FUNCTIONS
        .iter()
        .map(|name| Ok(std::fs::metadata(directory.join(name))?.len() as f64 / 1e6))
        .collect::<anyhow::Result<Vec<f64>>>()?
        .into_iter()
        .fold(0.0, f64::max);
    let approve = directory.join("approve");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // One of each first, uncounted: the page cache is part of neither.
    for counted in std::iter::once(false).chain(std::iter::repeat_n(true, rounds)) {
        let rust = start(Command::new(&approve)).await.context("approve")?;
        let mut peer = Command::new("node");
        peer.arg(node.join("index.mjs"));
        let peer = start(peer).await.context("the Node.js peer")?;
        if counted {
            ours.push(rust);
            theirs.push(peer);
        }
    }
    let column =
        |starts: &[Start], pick: fn(&Start) -> f64| starts.iter().map(pick).collect::<Vec<f64>>();
    let compare = |name, goal, pick: fn(&Start) -> f64| {
        Figure::median(
            name,
            "×",
            goal,
            ratios(&column(&theirs, pick), &column(&ours, pick)),
        )
        .against("Node.js with the AWS SDK", 1.0)
    };
    let absolute = |name, unit, pick: fn(&Start) -> f64| {
        Figure::median(name, unit, "", column(&ours, pick))
            .against("Node.js with the AWS SDK", median(&column(&theirs, pick)))
    };
    Ok(vec![
        Figure::median("function_binary_mb", "MB", "≤ 6", vec![largest]),
        absolute("function_start_ms", "ms", |start| start.first_call_ms),
        compare(
            "function_start_to_first_call_speedup_over_node",
            "≥ 10",
            |start| start.first_call_ms,
        ),
        compare("function_start_speedup_over_node", "≥ 25", |start| {
            start.response_ms
        }),
        absolute("function_resident_mb", "MB", |start| start.resident_mb),
        compare("function_memory_saving_over_node", "≥ 3", |start| {
            start.resident_mb
        }),
    ])
}

async fn start(mut command: Command) -> anyhow::Result<Start> {
    let mut api = RuntimeApi::start().await?;
    let endpoint = format!("http://{}", api.address);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "example")
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let mut process = Running(command.spawn().context("failed to start")?);
    let asked = expect(&mut api, |seen| match seen {
        Seen::Next(at) => Some(at),
        _ => None,
    })
    .await?;
    let resident_mb = resident(process.0.id())?;
    let waited = asked.elapsed();
    api.send(&event("bake=0s"));
    let answered = expect(&mut api, |seen| match seen {
        Seen::Answered(at) => Some(at),
        _ => None,
    })
    .await?;
    let _ = process.0.kill();
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(Start {
        first_call_ms: ms(asked - began),
        // What we took to look at its memory is not its time.
        response_ms: ms((answered - began).saturating_sub(waited)),
        resident_mb,
    })
}

/// Killed whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn expect(
    api: &mut RuntimeApi,
    pick: fn(Seen) -> Option<Instant>,
) -> anyhow::Result<Instant> {
    loop {
        let seen = timeout(Duration::from_secs(20), api.seen.recv())
            .await
            .context("the process did not call the Runtime API within 20 s")?;
        match seen {
            Some(seen) => {
                if let Some(at) = pick(seen) {
                    return Ok(at);
                }
            }
            None => bail!("the server has ended"),
        }
    }
}

/// Resident memory of a process in megabytes, from `/proc`; elsewhere from `ps`.
fn resident(pid: u32) -> anyhow::Result<f64> {
    let kilobytes = if Path::new("/proc/self/status").exists() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        line.split_whitespace()
            .nth(1)
            .context("no value")?
            .parse::<f64>()?
    } else {
        let output = Command::new("ps")
            .args(["-o", "rss=", "-p", &pid.to_string()])
            .output()?;
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse::<f64>()?
    };
    Ok(kilobytes * 1024.0 / 1e6)
}
