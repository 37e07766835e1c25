//! The loopback: how soon it answers, and what it adds to a job.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Figure;
use crate::figure::median;
use crate::programs;
use crate::runtime_api::{RuntimeApi, Seen, event};

/// How many jobs more the longer of two executions has. A stage holds a hundred in a row.
const JOBS: usize = 90;

pub(crate) async fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let rounds = if quick { 3 } else { 15 };
    let towpath = programs::build(&["towpath"])?.join("towpath");
    let mut starts = Vec::new();
    for _ in 0..=rounds {
        starts.push(start(&towpath).await?);
    }
    starts.remove(0);

    let own = own_work(&towpath, if quick { 20 } else { 200 }).await?;
    let mut overheads = Vec::new();
    for _ in 0..if quick { 1 } else { 5 } {
        overheads.push(per_job(&towpath)? - own);
    }
    Ok(vec![
        Figure::median("loopback_start_ms", "ms", "< 100", starts),
        Figure::median("loopback_overhead_per_job_ms", "ms", "< 20", overheads)
            .against("the function's own work", own),
    ])
}

/// From exec to the first answer over HTTP.
async fn start(towpath: &std::path::Path) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let began = Instant::now();
    let mut process = Running(
        Command::new(towpath)
            .arg("loopback")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let output = process.0.stdout.take().context("no output")?;
    let mut line = String::new();
    let mut reader = BufReader::new(output);
    let address = loop {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the loopback ended");
        if let Some(endpoint) = line.trim().strip_prefix("export AWS_ENDPOINT_URL=http://") {
            break endpoint.to_owned();
        }
    };
    let mut stream = TcpStream::connect(&address).await?;
    stream
        .write_all(
            format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1"), "no HTTP answer");
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// What the function itself needs for one warm job, report included, in milliseconds.
async fn own_work(towpath: &std::path::Path, jobs: usize) -> anyhow::Result<f64> {
    let mut api = RuntimeApi::start().await?;
    let _process = Running(
        Command::new(towpath)
            .args(["function", "approve"])
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_ENDPOINT_URL", format!("http://{}", api.address))
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "example")
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut times = Vec::new();
    let mut sent = None;
    while times.len() <= jobs {
        let seen = tokio::time::timeout(Duration::from_secs(20), api.seen.recv())
            .await
            .context("the function did not answer within 20 s")?
            .context("the server has ended")?;
        match seen {
            Seen::Next(_) => {
                let mut next = event("bake=0s");
                // A job settled before is not worked on again.
                next["CodePipeline.job"]["id"] =
                    format!("11111111-2222-3333-4444-{:012}", times.len()).into();
                sent = Some(Instant::now());
                api.send(&next);
            }
            Seen::Answered(at) => {
                let began = sent.take().context("an answer without an event")?;
                times.push((at - began).as_secs_f64() * 1e3);
            }
            Seen::Reported(_) => {}
        }
    }
    Ok(median(&times[1..]))
}

/// What one job takes on the loopback, in milliseconds: a run of many jobs in a row against a run of
/// one, by the wall clock. What both share (start, deployment, the function's own start) cancels.
fn per_job(towpath: &std::path::Path) -> anyhow::Result<f64> {
    let one = run_of(towpath, 1)?;
    let many = run_of(towpath, 1 + JOBS)?;
    Ok((many - one) / JOBS as f64)
}

/// The wall time of a run with so many jobs, in milliseconds.
fn run_of(towpath: &std::path::Path, jobs: usize) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    std::fs::create_dir(directory.path().join("app"))?;
    std::fs::write(directory.path().join("app/README"), "nothing\n")?;
    std::fs::write(directory.path().join("pipeline.yaml"), template(jobs))?;
    let began = Instant::now();
    let output = Command::new(towpath)
        .args(["run", "app", "--template", "pipeline.yaml", "--json"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    ensure!(
        output.status.success(),
        "towpath run failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let actions = report["stages"][1]["actions"]
        .as_array()
        .map_or(0, Vec::len);
    ensure!(actions == jobs, "expected {jobs} actions, got {actions}");
    Ok(took)
}

/// A pipeline of a source and many approvals by an empty policy, one after the other.
fn template(jobs: usize) -> String {
    use std::fmt::Write as _;
    let mut text = include_str!("peer/jobs.yaml").to_owned();
    for job in 1..=jobs {
        let _ = write!(
            text,
            "            - Name: Job{job}\n              RunOrder: {job}\n              ActionTypeId: {{Category: Invoke, Owner: AWS, Provider: Lambda, Version: \"1\"}}\n              Configuration:\n                FunctionName: !Ref ApproveFunction\n                UserParameters: bake=0s\n"
        );
    }
    text
}

/// Killed whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
