//! What the dependency cache saves: a hit against a cold `npm ci`, and against the restoring of the same tree as
//! `actions/cache` does it, out of an archive made by tar and zstd. All of it on this machine, with the loopback's S3.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;
use towpath_artifact::{Copy, Encryption, Location, Published, Settings, Source, Store};

use crate::Figure;
use crate::artifacts;
use crate::figure::{median, ratios};
use crate::programs::{self, run};
use crate::served::Loopback;

/// The first argument that makes this program pass an object on, to have its memory measured.
pub(crate) const WORKER: &str = "pass-on";

const BUCKET: &str = "bench";
const PEER: &str = "npm ci, nothing cached";

fn at(key: &str) -> Location<'_> {
    Location {
        bucket: BUCKET,
        key,
    }
}

pub(crate) async fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let rounds = if quick { 1 } else { 5 };
    let towpath = programs::build(&["towpath"])?.join("towpath");
    let scratch = tempfile::tempdir()?;
    let app = scratch.path().join("app");
    plant(&app)?;

    // The first run installs and fills the cache, uncounted.
    let first = pipeline(&towpath, scratch.path(), &app)?;
    ensure!(
        !first.summary.contains("from the cache"),
        "it was cached: {}",
        first.summary
    );
    let loopback = Loopback::start(&towpath)?;
    let store = Store::new(towpath_aws::s3(&loopback.config), Settings::for_here());
    let tree = scratch.path().join("tree");
    let made = towpath_aws::s3(&loopback.config)
        .create_bucket()
        .bucket(BUCKET);
    made.send().await?;
    let whole = put(&loopback, "Dependencies.zip", &first.artifact).await?;
    store.fetch(at("Dependencies.zip"), &tree).await?;
    let files = walkdir::WalkDir::new(&tree)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .count();
    let archive = scratch.path().join("cache.tzst");
    run(Command::new("tar")
        .args(["--use-compress-program", "zstd -T0", "-cf"])
        .arg(&archive)
        .arg("-C")
        .arg(&tree)
        .arg("."))?;
    put(&loopback, "cache.tzst", &archive).await?;

    let (mut hits, mut npm, mut ours, mut theirs) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds {
        let hit = pipeline(&towpath, scratch.path(), &app)?;
        ensure!(
            hit.summary.ends_with("from the cache"),
            "no hit: {}",
            hit.summary
        );
        hits.push(hit.seconds);
        npm.push(by_hand(scratch.path(), &app, round)?);

        let unpacked = scratch.path().join(format!("unpacked-{round}"));
        let began = Instant::now();
        store.fetch(at("Dependencies.zip"), &unpacked).await?;
        ours.push(hit.seconds + began.elapsed().as_secs_f64());
        theirs.push(restore(&loopback, scratch.path(), round).await?);
        for tree in [unpacked, scratch.path().join(format!("restored-{round}"))] {
            std::fs::remove_dir_all(tree)?;
        }
    }
    // Of the archive, and of one four times as large: passed on as they are, whatever they hold.
    let long = scratch.path().join("long");
    let content = std::fs::read(&first.artifact)?;
    std::fs::write(&long, content.repeat(4))?;
    let longer = put(&loopback, "long", &long).await?;
    let peak = |key: &str, object: &Published| -> anyhow::Result<f64> {
        let sha256 = object.sha256.as_deref().context("no digest")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORKER, key, sha256]);
        for (name, value) in &loopback.variables {
            command.env(name, value);
        }
        Ok(artifacts::measured(&command)?.peak_mb)
    };
    let archive_peak = peak("Dependencies.zip", &whole)?;
    let longer_peak = peak("long", &longer)?;
    eprintln!(
        "{files} files; an archive of {:.0} MB, and one of {:.0} MB",
        whole.bytes as f64 / 1e6,
        longer.bytes as f64 / 1e6
    );
    Ok(vec![
        Figure::median("install_files", "", "≥ 20,000", vec![files as f64]),
        Figure::median(
            "install_hit_speedup_over_npm_ci",
            "×",
            "≥ 20",
            ratios(&npm, &hits),
        )
        .against(PEER, 1.0),
        Figure::median("install_hit_s", "s", "", hits).against(PEER, median(&npm)),
        Figure::median(
            "install_hit_and_unpack_speedup_over_tar_zstd",
            "×",
            "> 1",
            ratios(&theirs, &ours),
        )
        .against("download, zstd and tar", 1.0),
        Figure::median("install_hit_and_unpack_s", "s", "", ours)
            .against("download, zstd and tar", median(&theirs)),
        Figure::median(
            "install_pass_on_peak_mb",
            "MB",
            "no larger",
            vec![longer_peak],
        )
        .against("an archive of a quarter", archive_peak),
    ])
}

/// What one run of the pipeline came to.
struct Installed {
    /// What the action took, from its start to its last change.
    seconds: f64,
    summary: String,
    artifact: PathBuf,
}

/// An application with many dependencies and nothing to do.
fn plant(app: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(app)?;
    for (name, content) in [
        ("package.json", include_str!("install/package.json")),
        (
            "package-lock.json",
            include_str!("install/package-lock.json"),
        ),
        ("makefile", "nothing:\n\ttrue\n"),
        (
            "template.yaml",
            "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n",
        ),
    ] {
        std::fs::write(app.join(name), content)?;
    }
    Ok(())
}

/// Runs the pipeline as far as the action that installs.
fn pipeline(towpath: &Path, directory: &Path, app: &Path) -> anyhow::Result<Installed> {
    let output = Command::new(towpath)
        .arg("run")
        .arg(app)
        .args([
            "--until",
            "Commit",
            "--json",
            "--parameter",
            "Tasks=nothing",
        ])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        output.status.success(),
        "towpath run failed: {}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let action = all(&report["stages"])
        .iter()
        .flat_map(|stage| all(&stage["actions"]))
        .find(|action| action["name"] == "InstallDependencies")
        .context("the action did not run")?;
    let artifact = all(&report["artifacts"])
        .into_iter()
        .find(|artifact| artifact["name"] == "Dependencies")
        .context("there is no artifact")?;
    Ok(Installed {
        seconds: action["duration_ms"].as_f64().context("no duration")? / 1e3,
        summary: action["summary"].as_str().unwrap_or_default().to_owned(),
        artifact: artifact["path"].as_str().unwrap_or_default().into(),
    })
}

/// `npm ci` with an empty cache, in a fresh folder.
fn by_hand(scratch: &Path, app: &Path, round: usize) -> anyhow::Result<f64> {
    let directory = scratch.join(format!("npm-{round}"));
    std::fs::create_dir_all(&directory)?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(app.join(name), directory.join(name))?;
    }
    let began = Instant::now();
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .env("npm_config_cache", directory.join("cache"))
        .current_dir(&directory))?;
    let took = began.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&directory)?;
    Ok(took)
}

/// Downloads the archive to a file and has tar and zstd unpack it.
async fn restore(loopback: &Loopback, scratch: &Path, round: usize) -> anyhow::Result<f64> {
    let into = scratch.join(format!("restored-{round}"));
    std::fs::create_dir_all(&into)?;
    let file = scratch.join("downloaded.tzst");
    let began = Instant::now();
    let object = towpath_aws::s3(&loopback.config)
        .get_object()
        .bucket(BUCKET)
        .key("cache.tzst")
        .send()
        .await?;
    let mut sink = tokio::fs::File::create(&file).await?;
    tokio::io::copy(&mut object.body.into_async_read(), &mut sink).await?;
    tokio::io::AsyncWriteExt::flush(&mut sink).await?;
    run(Command::new("tar")
        .args(["--use-compress-program", "zstd -d", "-xf"])
        .arg(&file)
        .arg("-C")
        .arg(&into))?;
    Ok(began.elapsed().as_secs_f64())
}

async fn put(loopback: &Loopback, key: &str, file: &Path) -> anyhow::Result<Published> {
    let store = Store::new(towpath_aws::s3(&loopback.config), Settings::for_here());
    let stored = store.publish(Source::Verbatim(file), at(key), &Encryption::Bucket);
    Ok(stored.await?)
}

/// Passes an object on to another place, as a function of 3,538 MB does where S3 may not copy.
pub(crate) fn worker(arguments: &[String]) -> ExitCode {
    let passed = || -> anyhow::Result<()> {
        let [key, sha256] = arguments else {
            anyhow::bail!("which object, and of what digest?");
        };
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let client = towpath_aws::s3(&towpath_aws::sdk_config());
            let store = Store::new(client, Settings::for_memory(3_538));
            let found = store.look(at(key)).await?;
            let copy = Copy {
                from: at(key),
                found: &found,
                sha256,
                to: at("passed"),
                encryption: &Encryption::Bucket,
                metadata: &std::collections::HashMap::new(),
            };
            store.pass_on(&store, &copy).await?;
            Ok(())
        })
    };
    match passed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
