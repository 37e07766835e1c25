//! The programs that are measured: built in release, or installed beside the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The repository.
pub(crate) fn repository() -> PathBuf {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    bench
        .ancestors()
        .nth(2)
        .expect("tests/bench lies two below")
        .to_owned()
}

/// Builds executables in release and returns the directory that they are in.
pub(crate) fn build(packages: &[&str]) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--quiet"])
        .current_dir(repository());
    for package in packages {
        command.args(["-p", package]);
    }
    ensure!(
        command.status().context("failed to start cargo")?.success(),
        "failed to build {packages:?}"
    );
    // This program lies where they do.
    let own = std::env::current_exe()?;
    Ok(own
        .parent()
        .context("this program has no folder")?
        .to_owned())
}

/// A directory of our own that outlives a measurement: what the peers need is installed into it once.
pub(crate) fn workshop(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own
        .ancestors()
        .nth(2)
        .context("this program has no target directory")?;
    let directory = target.join("bench").join(name);
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Runs a program to its end and fails with its output when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {shown}"))?;
    ensure!(
        output.status.success(),
        "{shown} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// `node_modules` with the two SDK clients, and the handler: the peer of our functions.
pub(crate) fn node_peer() -> anyhow::Result<PathBuf> {
    let directory = workshop("node-peer")?;
    std::fs::write(
        directory.join("package.json"),
        include_str!("peer/package.json"),
    )?;
    std::fs::write(directory.join("index.mjs"), include_str!("peer/index.mjs"))?;
    if !directory.join("node_modules/@aws-sdk/client-s3").is_dir() {
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund"])
            .current_dir(&directory))?;
    }
    Ok(directory)
}
