//! The repository as its rules look at it: crates from cargo, files from git, and what breaks a rule.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What breaks a rule.
pub(crate) struct Findings {
    rule: &'static str,
    found: Vec<String>,
}

impl Findings {
    pub(crate) fn new(rule: &'static str) -> Self {
        Self {
            rule,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, what: impl Into<String>) {
        self.found.push(what.into());
    }

    pub(crate) fn add_lines(
        &mut self,
        path: &str,
        lines: &[(usize, &str)],
        breaks: impl Fn(&str) -> bool,
    ) {
        for (number, line) in lines {
            if breaks(line) {
                self.add(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }

    pub(crate) fn assert_none(self) {
        let mut message = String::new();
        for what in &self.found {
            let _ = writeln!(message, "  {what}");
        }
        assert!(self.found.is_empty(), "{}:\n{message}", self.rule);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Normal,
    Development,
}

pub(crate) struct Package {
    pub(crate) manifest: PathBuf,
    /// The strongest way in which each dependency is used.
    pub(crate) uses: BTreeMap<String, Kind>,
}

/// The members of the workspace as cargo sees them, by name.
pub(crate) fn packages() -> BTreeMap<String, Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {words}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let mut uses = BTreeMap::new();
            for used in list(&package["dependencies"]) {
                let kind = match used["kind"].as_str() {
                    Some("dev") => Kind::Development,
                    _ => Kind::Normal,
                };
                let strongest = uses.entry(text(&used["name"])).or_insert(kind);
                *strongest = kind.min(*strongest);
            }
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            (text(&package["name"]), Package { manifest, uses })
        })
        .collect()
}

/// What a crate uses, and through which crate of the workspace. For tests only what its own use.
pub(crate) fn closure(
    packages: &BTreeMap<String, Package>,
    name: &str,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![name.to_owned()];
    while let Some(by) = ahead.pop() {
        let Some(package) = packages.get(&by) else {
            continue;
        };
        for (used, kind) in &package.uses {
            if (*kind == Kind::Normal || by == name) && !found.contains_key(used) {
                found.insert(used.clone(), by.clone());
                ahead.push(used.clone());
            }
        }
    }
    found
}

pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}

/// The files that git tracks or would track; without git, those outside of what it ignores.
pub(crate) fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output();
    let mut found: Vec<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    if !found.iter().any(|path| path == "Cargo.toml") {
        found.clear();
        walk(&root(), &mut found);
    }
    found.retain(|path| root().join(path).is_file());
    found.sort();
    found
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    const IGNORED: [&str; 6] = [
        ".git",
        "target",
        ".towpath",
        "node_modules",
        "dist",
        ".aws-sam",
    ];
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let entry = entry.expect("an entry of a folder");
        let kind = entry.file_type().expect("a kind of file");
        if IGNORED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), found);
        } else if let Ok(path) = entry.path().strip_prefix(root()) {
            found.push(path.to_string_lossy().into_owned());
        }
    }
}

pub(crate) fn rust_files() -> Vec<(String, String)> {
    let sources: Vec<(String, String)> = files()
        .into_iter()
        .filter(|path| Path::new(path).extension().is_some_and(|kind| kind == "rs"))
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).expect("a source file is text");
            (path, text)
        })
        .collect();
    assert!(sources.len() > 50, "where are the sources?");
    sources
}

/// The lines that are neither tests nor comments, with their numbers. Relies on rustfmt's layout.
pub(crate) fn production<'a>(path: &str, text: &'a str) -> Vec<(usize, &'a str)> {
    let is_test = Path::new(path).components().any(
        |part| matches!(part, Component::Normal(name) if name == "tests" || name == "tests.rs"),
    );
    if is_test && !path.starts_with("tests/bench/") {
        return Vec::new();
    }
    let mut kept = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line == "#[cfg(test)]" {
            let opens = lines.next().is_some_and(|(_, line)| line.ends_with('{'));
            if opens {
                lines.by_ref().find(|(_, line)| *line == "}");
            }
        } else if !line.trim_start().starts_with("//") {
            kept.push((number, line));
        }
    }
    kept
}

#[test]
fn tests_inside_a_file_do_not_count() {
    let text = "//! A.\nfn a() {}\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\nmod tests {\n    fn d() {}\n}\nfn e() {}\n";
    assert_eq!(
        production("crates/x/src/a.rs", text),
        [(2, "fn a() {}"), (5, "fn c() {}"), (10, "fn e() {}")]
    );
    assert_eq!(production("crates/x/src/a/tests.rs", text), []);
}
