//! Packaging: an application of ten functions, unchanged since it was packaged before, against hashing the same files;
//! and the memory that it takes, against an application a tenth as large.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use test_and_package::{Output, Parameters, package};
use towpath_artifact::{Settings, Store};

use crate::Figure;
use crate::artifacts::measured;
use crate::figure::median;
use crate::programs;
use crate::served::Loopback;

/// The first argument that makes this program package an application, to have its memory measured.
pub(crate) const WORKER: &str = "package-application";

const BUCKET: &str = "releases";
const FUNCTIONS: usize = 10;
const FILES: usize = 300;

pub(crate) async fn measure(quick: bool) -> anyhow::Result<Vec<Figure>> {
    let rounds = if quick { 1 } else { 9 };
    let towpath = programs::build(&["towpath"])?.join("towpath");
    let loopback = Loopback::start(&towpath)?;
    let bucket = towpath_aws::s3(&loopback.config).create_bucket();
    bucket.bucket(BUCKET).send().await?;
    let scratch = tempfile::tempdir()?;
    let (app, small) = (scratch.path().join("app"), scratch.path().join("small"));
    plant(&app, FUNCTIONS, FILES)?;
    plant(&small, FUNCTIONS, FILES / 10)?;
    let result = scratch.path().join("result");
    let run = |tree: &Path| -> anyhow::Result<(f64, usize, f64)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WORKER).arg(tree).arg(&result);
        command.envs(loopback.variables.iter().cloned());
        let peak = measured(&command)?.peak_mb;
        let told = fs::read_to_string(&result)?;
        let (seconds, uploaded) = told.split_once(' ').context("the worker said nothing")?;
        Ok((seconds.parse()?, uploaded.trim().parse()?, peak))
    };
    for tree in [&app, &small] {
        let (_, uploaded, _) = run(tree)?;
        ensure!(uploaded == FUNCTIONS, "{uploaded} were uploaded at first");
    }
    let (mut took, mut hashed, mut peaks, mut small_peaks) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (seconds, uploaded, peak) = run(&app)?;
        ensure!(uploaded == 0, "{uploaded} were uploaded again");
        took.push(seconds);
        peaks.push(peak);
        hashed.push(hash(&app)?);
        small_peaks.push(run(&small)?.2);
    }
    let beyond = took.iter().zip(&hashed).map(|(all, hash)| all - hash);
    Ok(vec![
        Figure::median("package_unchanged_uploads", "", "0", vec![0.0]),
        Figure::median(
            "package_unchanged_beyond_hashing_s",
            "s",
            "< 1",
            beyond.collect(),
        )
        .against("hashing the files", median(&hashed)),
        Figure::median("package_peak_mb", "MB", "no larger", peaks)
            .against("an application of a tenth", median(&small_peaks)),
    ])
}

/// An application of functions with so many files each, of some kilobytes, none like another.
fn plant(app: &Path, functions: usize, files: usize) -> anyhow::Result<()> {
    let mut template = "Transform: AWS::Serverless-2016-10-31\nResources:\n".to_owned();
    for function in 0..functions {
        let code = app.join(format!("code/{function}"));
        fs::create_dir_all(&code)?;
        for file in 0..files {
            let mut text = String::new();
            let mut seed = Sha256::digest(format!("{function}/{file}"));
            while text.len() < 8_000 {
                seed = Sha256::digest(seed);
                let _ = writeln!(
                    text,
                    "exports.n{} = () => \"{}\";",
                    text.len(),
                    hex::encode(seed)
                );
            }
            fs::write(code.join(format!("{file}.js")), text)?;
        }
        let _ = write!(
            template,
            "  F{function}:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: code/{function}, Handler: 0.h, Runtime: nodejs20.x}}\n"
        );
    }
    fs::write(app.join("template.yaml"), template)?;
    Ok(())
}

/// How long it takes to read and hash every file.
fn hash(app: &Path) -> anyhow::Result<f64> {
    let began = Instant::now();
    for entry in walkdir::WalkDir::new(app) {
        let entry = entry?;
        if entry.file_type().is_file() {
            std::hint::black_box(Sha256::digest(fs::read(entry.path())?));
        }
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Packages an application as a function of 3,538 MB does, and writes down how long it took and what was uploaded.
pub(crate) fn worker(arguments: &[String]) -> ExitCode {
    let packaged = || -> anyhow::Result<()> {
        let [tree, result] = arguments else {
            anyhow::bail!("which application, and where to?");
        };
        let tree = Path::new(tree);
        let output = Output {
            artifact: "Package".to_owned(),
            path: "template.yaml".into(),
        };
        let text = format!("command=true&release-bucket={BUCKET}");
        let (_, parameters) = towpath_job::parameters::parse::<Parameters>(&text, &[])?;
        let runtime = tokio::runtime::Runtime::new()?;
        let client = towpath_aws::s3(&towpath_aws::sdk_config());
        let store = Store::new(client, Settings::for_memory(3_538));
        let places = tempfile::tempdir()?;
        let (staged, scratch) = (places.path().join("staged"), places.path().join("nested"));
        let began = Instant::now();
        let done = package(
            tree,
            tree,
            &output,
            &parameters,
            &store,
            (&staged, &scratch),
        );
        let packaged = runtime.block_on(done)?;
        let seconds = began.elapsed().as_secs_f64();
        fs::write(result, format!("{seconds} {}", packaged.uploaded))?;
        Ok(())
    };
    match packaged() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
