//! Tasks that every project of a kind has: cargo's commands, Maven's phases, go's commands.

use std::path::Path;

use super::{Candidate, Task, TaskError, first, read, sections};

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

/// For all packages of the module; where there is none but a workspace, for those of all of its modules.
pub(super) fn go(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    let (file, modules) = match read(&directory.join("go.work"))? {
        _ if directory.join("go.mod").is_file() => ("go.mod", Vec::new()),
        Some(text) => ("go.work", go_modules(&text)),
        None => return Ok(None),
    };
    let tasks = ["test", "vet", "build"].map(|name| Task {
        name: name.to_owned(),
        arguments: [name.to_owned()]
            .into_iter()
            .chain(go_packages(&modules))
            .collect(),
    });
    Ok(Some(Candidate::new(file, &["go"], tasks.into())))
}

/// Where the modules of a workspace lie, relative to their go.work, as its `use` directives have it. Those outside of its
/// directory are left out. <https://go.dev/ref/mod#workspaces>
pub fn go_modules(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    let mut is_listed = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let path = match line.strip_prefix("use") {
            Some(rest) if rest.trim() == "(" => {
                is_listed = true;
                continue;
            }
            Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim(),
            _ if line == ")" => {
                is_listed = false;
                continue;
            }
            _ if is_listed => line,
            _ => continue,
        };
        let path = path.trim_matches(['"', '`']);
        let path = path.trim_start_matches("./").trim_end_matches('/');
        let is_inside = !path.starts_with('/') && !path.split('/').any(|part| part == "..");
        if is_inside && !(path.is_empty() && is_listed) {
            modules.push(if path.is_empty() { "." } else { path }.to_owned());
        }
    }
    modules
}

/// How `go` is told of all packages of these modules; of the one in its directory, if there are none.
pub fn go_packages(modules: &[String]) -> Vec<String> {
    let of = |module: &String| match module.as_str() {
        "." => "./...".to_owned(),
        module => format!("./{module}/..."),
    };
    match modules {
        [] => vec!["./...".to_owned()],
        modules => modules.iter().map(of).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_of_go_by_table() {
        for (text, expected) in [
            ("go 1.22\n", &["./..."][..]),
            (
                "go 1.22\nuse ./api\nuse \"./b c\"\n",
                &["./api/...", "./b c/..."],
            ),
            (
                "go 1.22\n\nuse (\n\t./api // the server\n\t.\n\n\t../beside\n\t./tools/gen/\n)\n\nreplace (\n\ta => ./x\n)\n",
                &["./api/...", "./...", "./tools/gen/..."],
            ),
            ("useful ./x\n", &["./..."]),
        ] {
            assert_eq!(go_packages(&go_modules(text)), expected, "{text}");
        }
    }
}
