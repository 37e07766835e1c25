//! Tasks that every project of a kind has: cargo's commands, Maven's phases, go's commands.

use std::path::Path;

use super::{Candidate, Task, TaskError, first, sections};

/// cargo's commands, and its aliases before them. `test` is nextest's where the project configures that, and `fmt` looks
/// and does not write: what it wrote would be thrown away.
pub(super) fn cargo(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    if !directory.join("Cargo.toml").is_file() {
        return Ok(None);
    }
    let aliases = first(directory, &[".cargo/config.toml", ".cargo/config"])?
        .map(|(_, text)| aliases(&text))
        .unwrap_or_default();
    let nextest = Task::new("nextest", &["nextest", "run"]);
    let test = if directory.join(".config/nextest.toml").is_file() {
        Task::new("test", &["nextest", "run"])
    } else {
        Task::named("test")
    };
    let commands = ["build", "check", "clippy", "doc", "bench"].map(Task::named);
    let mut tasks: Vec<Task> = aliases.into_iter().map(Task::named).collect();
    tasks.extend([test, nextest, Task::new("fmt", &["fmt", "--check"])]);
    tasks.extend(commands);
    let mut known = std::collections::BTreeSet::new();
    tasks.retain(|task| known.insert(task.name.clone()));
    Ok(Some(Candidate::new("Cargo.toml", &["cargo"], tasks)))
}

fn aliases(config: &str) -> Vec<String> {
    sections::parse(config)
        .into_iter()
        .filter(|section| section.header == "alias")
        .flat_map(|section| section.values)
        .map(|(name, _)| name)
        .collect()
}

/// The phases that make and check something, by the project's wrapper where it has one.
pub(super) fn maven(directory: &Path) -> Option<Candidate> {
    if !directory.join("pom.xml").is_file() {
        return None;
    }
    let program = if directory.join("mvnw").is_file() {
        "./mvnw"
    } else {
        "mvn"
    };
    let phases = ["validate", "compile", "test", "package", "verify"].map(Task::named);
    Some(Candidate::new(
        "pom.xml",
        &[program, "--batch-mode", "--no-transfer-progress"],
        phases.into(),
    ))
}

/// For all packages of the module.
pub(super) fn go(directory: &Path) -> Option<Candidate> {
    let commands = ["test", "vet", "build"];
    let tasks = commands.map(|name| Task::new(name, &[name, "./..."]));
    directory
        .join("go.mod")
        .is_file()
        .then(|| Candidate::new("go.mod", &["go"], tasks.into()))
}
