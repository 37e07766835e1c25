//! Environments of tox, sessions of nox, and the tests of pytest.

use std::path::Path;

use super::{Candidate, Task, TaskError, first, read, sections};

/// Environments that a list makes of its braces, at most.
const ENVIRONMENTS: usize = 1_000;

/// What pytest has for every project that it is for. As a module, it has the project's directory on its path.
pub(super) fn pytests() -> Candidate {
    let tasks = vec![Task::new("test", &[])];
    Candidate::new("pytest", &["python3", "-m", "pytest"], tasks)
}

/// `test` is what tox runs by itself, unless an environment is called so.
pub(super) fn tox(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    for file in ["tox.ini", "tox.toml", "setup.cfg", "pyproject.toml"] {
        let Some(text) = read(&directory.join(file))? else {
            continue;
        };
        let Some(environments) = environments(file, &text) else {
            continue;
        };
        let named = |name: &String| Task::new(name, &["-e", name]);
        let mut tasks: Vec<Task> = environments.iter().map(named).collect();
        if !environments.iter().any(|it| it == "test") {
            tasks.insert(0, Task::new("test", &[]));
        }
        return Ok(Some(Candidate::new(file, &["tox"], tasks)));
    }
    Ok(None)
}

/// The environments that a file configures; nothing if it does not configure tox.
fn environments(file: &str, text: &str) -> Option<Vec<String>> {
    let (main, environment) = match file {
        "tox.ini" => ("tox", "testenv:"),
        "setup.cfg" => ("tox:tox", "testenv:"),
        "tox.toml" => ("", "env."),
        _ => ("tool.tox", "tool.tox.env."),
    };
    let sections = sections::parse(text);
    let is_toml = file != "tox.ini" && file != "setup.cfg";
    let is_ours = |header: &str| {
        header == main || header.starts_with(environment) || (!is_toml && header == "testenv")
    };
    // tox.toml is all tox's.
    if file != "tox.toml" && !sections.iter().any(|section| is_ours(&section.header)) {
        return None;
    }
    let mut found: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let name = name.trim();
        if !name.is_empty() && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    };
    for section in &sections {
        if let Some(name) = section.header.strip_prefix(environment) {
            add(name.split('.').next().unwrap_or_default());
        }
        if section.header != main {
            continue;
        }
        for (key, value) in &section.values {
            match (key.as_str(), is_toml) {
                ("env_list" | "envlist", false) => expanded(value).iter().for_each(|it| add(it)),
                ("env_list", true) => value
                    .trim_matches(['[', ']'])
                    .split(',')
                    .for_each(|it| add(it.trim().trim_matches(['"', '\'']))),
                _ => {}
            }
        }
    }
    Some(found)
}

/// `py{311,312}-{a,b}, lint` is `py311-a`, `py311-b`, `py312-a`, `py312-b`, `lint`.
fn expanded(list: &str) -> Vec<String> {
    let mut depth = 0;
    let separated: String = list
        .chars()
        .map(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 && (c == ',' || c.is_whitespace()) {
                '\n'
            } else {
                c
            }
        })
        .collect();
    let mut names = Vec::new();
    for item in separated.lines().filter(|it| !it.is_empty()) {
        let mut made = vec![item.to_owned()];
        while let Some((start, end)) = made
            .first()
            .and_then(|it| Some((it.find('{')?, it.find('}')?)))
        {
            if start > end || made.len() > ENVIRONMENTS {
                break;
            }
            made = made
                .iter()
                .filter_map(|name| {
                    let (before, rest) = name.split_once('{')?;
                    let (choices, after) = rest.split_once('}')?;
                    Some(
                        choices
                            .split(',')
                            .map(move |it| format!("{before}{}{after}", it.trim())),
                    )
                })
                .flatten()
                .take(ENVIRONMENTS)
                .collect();
        }
        names.extend(made);
    }
    names
}

/// `test` is what nox runs by itself, unless a session is called so.
pub(super) fn nox(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    Ok(first(directory, &["noxfile.py"])?.map(|(file, text)| {
        let sessions = sessions(&text);
        let named = |name: &String| Task::new(name, &["--session", name]);
        let mut tasks: Vec<Task> = sessions.iter().map(named).collect();
        if !sessions.iter().any(|it| it == "test") {
            tasks.insert(0, Task::new("test", &[]));
        }
        Candidate::new(file, &["nox"], tasks)
    }))
}

/// The functions that are decorated as sessions. The file is a program, and nox would run it to know them.
fn sessions(text: &str) -> Vec<String> {
    let mut sessions = Vec::new();
    let mut decorator: Option<String> = None;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("@nox.session") || line.starts_with("@session") {
            decorator = Some(String::new());
        }
        let Some(written) = &mut decorator else {
            continue;
        };
        let function = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("def ");
        match function.and_then(|it| it.split_once('(')) {
            Some((function, _)) => {
                sessions.push(given_name(written).unwrap_or_else(|| function.trim().to_owned()));
                decorator = None;
            }
            None => written.push_str(line),
        }
    }
    sessions
}

/// `name="…"` of a decorator.
fn given_name(decorator: &str) -> Option<String> {
    let decorator: String = decorator.chars().filter(|c| !c.is_whitespace()).collect();
    let (before, after) = decorator.split_once("name=")?;
    let quote = after.chars().next().filter(|it| matches!(it, '"' | '\''))?;
    let is_argument = before.ends_with(['(', ',']);
    is_argument.then(|| {
        after[1..]
            .split(quote)
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

pub(super) fn pytest(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    for (file, header) in [
        ("pytest.ini", ""),
        (".pytest.ini", ""),
        ("pytest.toml", ""),
        ("pyproject.toml", "tool.pytest"),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ] {
        if let Some(text) = read(&directory.join(file))? {
            let sections = sections::parse(&text);
            if header.is_empty() || sections.iter().any(|it| it.header.starts_with(header)) {
                return Ok(Some(pytests()));
            }
        }
    }
    let has_tests = [
        directory.to_owned(),
        directory.join("tests"),
        directory.join("test"),
    ]
    .iter()
    .filter_map(|place| place.read_dir().ok())
    .flat_map(Iterator::flatten)
    .any(|entry| is_test(&entry.file_name().to_string_lossy()));
    Ok(has_tests.then(pytests))
}

/// What pytest collects by itself.
fn is_test(name: &str) -> bool {
    name == "conftest.py"
        || name
            .strip_suffix(".py")
            .is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_by_table() {
        for (file, text, expected) in [
            (
                "tox.ini",
                "[tox]\nenvlist = py{311, 312}-{a,b}, lint\n[testenv]\ncommands = pytest\n[testenv:docs]\n",
                Some(&["py311-a", "py311-b", "py312-a", "py312-b", "lint", "docs"][..]),
            ),
            ("tox.ini", "[testenv]\ndeps = x\n", Some(&[])),
            ("tox.ini", "[pytest]\n", None),
            ("setup.cfg", "[metadata]\nname = x\n", None),
            (
                "setup.cfg",
                "[tox:tox]\nenvlist =\n  a\n  b\n",
                Some(&["a", "b"]),
            ),
            (
                "tox.toml",
                "env_list = [\"a\", 'b']\n[env.c]\n[env.c.d]\n",
                Some(&["a", "b", "c"]),
            ),
            (
                "pyproject.toml",
                "[tool.tox]\nenv_list = [\n  \"a\",\n]\n[tool.tox.env.lint]\n",
                Some(&["a", "lint"]),
            ),
            ("pyproject.toml", "[project]\n", None),
            ("tox.ini", "[tox]\nenvlist = a}{b\n", Some(&["a}{b"])),
        ] {
            let found = environments(file, text);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|it| it.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        let many = format!("[tox]\nenvlist = {}\n", "{a,b}".repeat(40));
        assert!(environments("tox.ini", &many).unwrap().len() <= ENVIRONMENTS);
    }

    #[test]
    fn sessions_by_table() {
        for (text, expected) in [
            ("import nox\n", &[][..]),
            (
                "@nox.session\ndef tests(session):\n    pass\n\n@nox.session(\n    python=['3.11'],\n    name=\"type-check\",\n)\n\
                 @nox.parametrize('a', [1])\ndef mypy(session, a): pass\ndef helper(): pass\n",
                &["tests", "type-check"],
            ),
            (
                "@session(python=False)\nasync def lint(s): pass\n",
                &["lint"],
            ),
        ] {
            assert_eq!(sessions(text), expected, "{text}");
        }
    }
}
