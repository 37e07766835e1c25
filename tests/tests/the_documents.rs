//! What README.md and docs/ promise, held against the program and the functions that they speak of.
//!
//! The tables are read as data: a key, an option, an exit code or a member that is documented exists, and one that
//! exists is documented. What is quoted as a command line parses, and what is quoted as an error is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use towpath_job::{Artifact, ArtifactLocation, FromQuery, ParameterError};

// --- Parameters -------------------------------------------------------------------------------------

/// Reads an action's parameters, given its output artifacts.
type Reader = fn(&str, &[Artifact]) -> Result<(), ParameterError>;

struct Function {
    name: &'static str,
    /// Its resource in template.yaml.
    resource: &'static str,
    reads: Reader,
    /// What an action needs beside the key that an example is about.
    rest: &'static [&'static str],
}

const FUNCTIONS: [Function; 5] = [
    Function {
        name: "install-deps",
        resource: "InstallDepsFunction",
        reads: reads_movable::<install_deps::Parameters>,
        rest: &["", "compute=codebuild"],
    },
    Function {
        name: "test-and-package",
        resource: "TestAndPackageFunction",
        reads: reads_movable::<test_and_package::Parameters>,
        rest: &["", "task=test", "task=test&compute=codebuild"],
    },
    Function {
        name: "deploy-stack",
        resource: "DeployStackFunction",
        reads: reads::<deploy_stack::Parameters>,
        rest: &[
            "stack=app",
            "template=A::t",
            "stack=app&template=A::t",
            "stack-for=app&template=A::t",
            "stack=app&action=execute",
            "stack=app&action=delete",
            "action=sweep",
            "stack=app&action=site&bucket=Site",
            "stack=app&action=site&site=A",
            "stack=app&action=site&site=A&bucket=Site",
        ],
    },
    Function {
        name: "run-e2e",
        resource: "RunE2eFunction",
        reads: reads_movable::<run_e2e::Parameters>,
        rest: &[
            "",
            "task=e2e",
            "task=e2e&stack=app",
            "task=e2e&compute=codebuild",
        ],
    },
    Function {
        name: "approve",
        resource: "ApproveFunction",
        reads: reads::<approve::Parameters>,
        rest: &["", "plan=Plan"],
    },
];

fn reads<P: FromQuery>(text: &str, outputs: &[Artifact]) -> Result<(), ParameterError> {
    towpath_job::parameters::check::<P>(text, outputs, false)
}

/// The same of an action that may be done in CodeBuild.
fn reads_movable<P: FromQuery>(text: &str, outputs: &[Artifact]) -> Result<(), ParameterError> {
    towpath_job::parameters::check::<P>(text, outputs, true)
}

fn artifacts<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Artifact> {
    let artifact = |name: &str| Artifact {
        name: name.to_owned(),
        revision: None,
        location: ArtifactLocation {
            bucket: "bucket".to_owned(),
            key: name.to_owned(),
        },
    };
    names.into_iter().map(artifact).collect()
}

/// The output artifact that stands for all of them in the document, and how the document calls it.
const OUTPUT: (&str, &str) = ("Package", "<output artifact>");

/// The rows of a function's table of keys: key and example. Those that every action takes come with it.
fn documented(function: &str) -> Vec<(String, String)> {
    let text = document("docs/actions.md");
    ["Every action", function]
        .into_iter()
        .flat_map(|heading| rows(section(&text, heading)))
        .filter(|cells| cells.len() == 5 && cells[0].starts_with('`'))
        .map(|cells| (plain(&cells[0]), plain(&cells[3])))
        .collect()
}

#[test]
fn every_key_of_a_function_is_documented_and_no_other() {
    for function in &FUNCTIONS {
        let packages = function.name == "test-and-package";
        let outputs = artifacts(packages.then_some(OUTPUT.0));
        let asked = (function.reads)("no-such-key=1", &outputs);
        let Err(ParameterError::Unknown { known, .. }) = asked else {
            panic!("{}: {asked:?}", function.name);
        };
        let known: BTreeSet<String> = known
            .into_iter()
            .map(|key| {
                if key == OUTPUT.0 {
                    OUTPUT.1.into()
                } else {
                    key
                }
            })
            .collect();
        let documented: BTreeSet<String> = documented(function.name)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(documented, known, "{}", function.name);
    }
}

#[test]
fn every_example_of_a_key_is_understood() {
    for function in &FUNCTIONS {
        for (key, example) in documented(function.name) {
            let example = if function.name == "deploy-stack" {
                filled(&example)
            } else {
                example
            };
            let is_about = key.trim_end_matches("NAME").replace(OUTPUT.1, OUTPUT.0);
            assert!(example.starts_with(&is_about), "{key}: {example}");
            // Some keys need another, some exclude one, and a template needs an artifact to go into.
            let verdicts: Vec<_> = function
                .rest
                .iter()
                .flat_map(|rest| [(rest, None), (rest, Some(OUTPUT.0))])
                .map(|(rest, output)| {
                    (function.reads)(&format!("{rest}&{example}"), &artifacts(output))
                })
                .collect();
            assert!(
                verdicts.iter().any(Result::is_ok),
                "{}: `{example}`: {verdicts:?}",
                function.name
            );
        }
    }
}

#[test]
fn every_query_string_is_understood() {
    let text = document("docs/actions.md");
    let packaging = function("test-and-package");
    let mut seen = 0;
    for line in text.lines().filter(|line| line.starts_with("    task=")) {
        let line = line.trim();
        let keys = line.split('&').filter_map(|pair| pair.split('=').next());
        let mut outputs: Vec<&str> = keys
            .filter(|key| key.starts_with(char::is_uppercase))
            .collect();
        outputs.extend(line.contains("template=").then_some(OUTPUT.0));
        (packaging.reads)(line, &artifacts(outputs)).unwrap_or_else(|e| panic!("{line}: {e}"));
        seen += 1;
    }
    assert!(seen >= 2, "the document has lost its examples");
}

#[test]
fn every_recipe_is_understood() {
    let mut seen = BTreeSet::new();
    for path in documents() {
        for block in fences(&document(&path), "yaml") {
            for action in block.split("- Name: ").skip(1) {
                let Some((_, rest)) = action.split_once("FunctionName: !Ref ") else {
                    continue;
                };
                let resource = rest.split_whitespace().next().unwrap_or_default();
                let function = FUNCTIONS
                    .iter()
                    .find(|function| function.resource == resource)
                    .unwrap_or_else(|| panic!("{path}: no function {resource}"));
                let outputs = action
                    .split_once("OutputArtifacts: ")
                    .map(|(_, rest)| rest.lines().next().unwrap_or_default())
                    .unwrap_or_default();
                let outputs = outputs
                    .split("{Name: ")
                    .skip(1)
                    .filter_map(|rest| rest.split('}').next());
                let query = filled(&user_parameters(action));
                assert!(query.len() <= 1_000, "{path}: {query}");
                (function.reads)(&query, &artifacts(outputs))
                    .unwrap_or_else(|error| panic!("{path}: {query}: {error}"));
                seen.insert(function.name);
            }
        }
    }
    assert!(seen.len() >= 4, "recipes for {seen:?} only");
}

/// The value of `UserParameters`, on one line or folded over those below that are further in.
fn user_parameters(action: &str) -> String {
    let mut lines = action
        .lines()
        .skip_while(|line| !line.contains("UserParameters:"));
    let first = lines.next().expect("an action has UserParameters");
    let depth = |line: &str| line.len() - line.trim_start().len();
    let value = first.split_once("UserParameters:").expect("found").1.trim();
    let value = value.strip_prefix("!Sub ").unwrap_or(value);
    if value != ">-" {
        return value.to_owned();
    }
    lines
        .take_while(|line| depth(line) > depth(first))
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}

/// With something in place of each `${NAME}` and `#{NAMESPACE.NAME}`, of the kind that its name promises.
fn filled(text: &str) -> String {
    let mut parts = text.split(['$', '#']);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part
            .strip_prefix('{')
            .and_then(|part| part.split_once('}'))
            .expect("a closed placeholder");
        filled.push_str(match name.rsplit('.').next() {
            Some("ChangeSetArn") => {
                "arn:aws:cloudformation:us-east-1:111111111111:changeSet/value/1"
            }
            Some("Arn") => "arn:aws:iam::111111111111:role/value",
            _ => "value",
        });
        filled.push_str(rest);
    }
    filled
}

#[test]
fn parameters_that_mean_nothing_are_answered_as_quoted() {
    let text = document("docs/when-it-fails.md");
    let rows: Vec<_> = rows(section(&text, "UserParameters"))
        .into_iter()
        .filter(|cells| cells[0].starts_with('`'))
        .collect();
    assert!(rows.len() >= 5, "the document has lost its table");
    for cells in rows {
        let query = plain(&cells[1]);
        let error = (function(&plain(&cells[0])).reads)(&query, &[]).expect_err(&query);
        assert_eq!(error.to_string(), cells[2], "{query}");
    }
}

fn function(name: &str) -> &'static Function {
    FUNCTIONS
        .iter()
        .find(|function| function.name == name)
        .unwrap_or_else(|| panic!("there is no function {name}"))
}

// --- The command line -------------------------------------------------------------------------------

fn towpath(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towpath-under-test"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the program starts")
}

fn help(subcommand: &str) -> String {
    let output = towpath(&[subcommand, "--help"], &root());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn exit_codes_are_the_same_wherever_they_are_listed() {
    let table = |path: &str| -> BTreeMap<u8, String> {
        rows(&document(path))
            .into_iter()
            .filter_map(|cells| Some((cells[0].parse().ok()?, cells[1].clone())))
            .collect()
    };
    let readme = table("README.md");
    assert_eq!(readme, table("docs/run.md"));
    let help = help("run").split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, list) = help.split_once("Exit codes: ").expect("a list in the help");
    let list = list.split('.').next().unwrap_or_default();
    let in_help: BTreeSet<u8> = list
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let in_readme: BTreeSet<u8> = readme.into_keys().collect();
    assert_eq!(in_help, in_readme, "{list}");
}

#[test]
fn every_option_is_documented_and_no_other() {
    let text = document("docs/run.md");
    for (subcommand, heading) in [("run", "Options"), ("loopback", "The loopback alone")] {
        let documented: BTreeSet<String> = rows(section(&text, heading))
            .into_iter()
            .filter_map(|cells| {
                plain(&cells[0])
                    .split_whitespace()
                    .next()
                    .map(str::to_owned)
            })
            .filter(|word| word.starts_with("--"))
            .collect();
        let help = help(subcommand);
        let offered: BTreeSet<String> = help
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with('-'))
            .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
            .map(str::to_owned)
            .collect();
        assert_eq!(documented, offered, "towpath {subcommand}");
    }
}

#[test]
fn every_command_line_parses() {
    let mut seen = BTreeSet::new();
    for path in documents() {
        for line in command_lines(&document(&path)) {
            let mut arguments: Vec<&str> = line.split_whitespace().collect();
            arguments.push("--help");
            let output = towpath(&arguments, &root());
            assert!(
                output.status.success(),
                "{path}: towpath {line}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            seen.insert(line);
        }
    }
    for expected in [
        "run tests/apps/hello --approve all",
        "run path/to/app",
        "loopback",
    ] {
        assert!(seen.contains(expected), "{expected}: {seen:?}");
    }
}

/// What is said to the program: in code within a line, in indented lines, and after a prompt.
fn command_lines(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |code: &str| {
        let code = code.split(" > ").next().unwrap_or_default().trim();
        let said = match code.split_once(" -- ") {
            Some((cargo, said)) if cargo.starts_with("cargo run") => Some(said),
            _ => code.strip_prefix("towpath "),
        };
        found.extend(said.map(str::to_owned));
    };
    for (line, in_fence) in lines(text) {
        if in_fence {
            add(line.strip_prefix("$ ").unwrap_or_default());
        } else if let Some(code) = line.strip_prefix("    ") {
            add(code);
        } else {
            line.split('`').skip(1).step_by(2).for_each(&mut add);
        }
    }
    found
}

#[test]
fn what_is_wrong_before_anything_starts_is_said_as_quoted() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    for folder in ["empty", "app"] {
        fs::create_dir(here.join(folder)).expect("a folder");
    }
    for (file, content) in [
        ("app/package.json", "{}\n"),
        (
            "topic.yaml",
            "Resources: {Topic: {Type: AWS::SNS::Topic}}\n",
        ),
        (
            "broken.yaml",
            "Resources:\n  Pipeline: {Type: AWS::CodePipeline::Pipeline\n",
        ),
    ] {
        fs::write(here.join(file), content).expect("a file");
    }
    let text = document("docs/when-it-fails.md");
    let blocks = fences(section(&text, "Before anything starts"), "console");
    let mut seen = 0;
    for quoted in blocks
        .iter()
        .flat_map(|block| block.split("$ towpath ").skip(1))
    {
        let (line, expected) = quoted
            .split_once('\n')
            .expect("an answer below the command");
        let output = towpath(&line.split_whitespace().collect::<Vec<_>>(), here);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{line}");
        assert!(output.stdout.is_empty(), "{line}: {output:?}");
        seen += 1;
    }
    assert!(seen >= 5, "the document has lost its examples");
}

// --- The JSON document ------------------------------------------------------------------------------

/// Members whose own members are named by the pipeline.
const FREE: [&str; 2] = ["variables", "outputs"];

#[test]
fn the_example_of_the_json_document_has_the_members_of_the_table() {
    let text = document("docs/run.md");
    let section = section(&text, "The JSON document");
    let example = fences(section, "json").concat();
    let example: Value = serde_json::from_str(&example).expect("the example is JSON");
    let mut found = BTreeSet::new();
    members("", &example, &mut found);
    let documented: BTreeSet<String> = rows(section)
        .into_iter()
        .filter(|cells| cells[0].starts_with('`'))
        .map(|cells| plain(&cells[0]))
        .collect();
    assert_eq!(found, documented);
}

fn members(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{name}");
                if !FREE.contains(&name.as_str()) {
                    members(&path, value, found);
                }
                found.insert(path);
            }
        }
        Value::Array(items) => {
            for item in items {
                members(&format!("{path}[]"), item, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

// --- Links ------------------------------------------------------------------------------------------

#[test]
fn links_lead_to_a_file_and_to_a_heading_of_it() {
    let mut wrong = Vec::new();
    for path in documents() {
        for target in targets(&document(&path)) {
            if target.contains(':') {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let linked = if file.is_empty() {
                root().join(&path)
            } else {
                root().join(&path).with_file_name("").join(file)
            };
            let is_there = linked.exists()
                && (heading.is_empty()
                    || fs::read_to_string(&linked)
                        .is_ok_and(|text| anchors(&text).contains(heading)));
            if !is_there {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn targets(text: &str) -> Vec<String> {
    lines(text)
        .filter(|(_, in_fence)| !in_fence)
        .flat_map(|(line, _)| line.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .map(str::to_owned)
        .collect()
}

/// What a heading is called in a link: small letters, hyphens for spaces, no other punctuation.
fn anchors(text: &str) -> BTreeSet<String> {
    lines(text)
        .filter(|(line, in_fence)| !in_fence && line.starts_with('#'))
        .map(|(line, _)| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
                .collect()
        })
        .collect()
}

// --- Documents as data ------------------------------------------------------------------------------

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("tests/ lies in the repository")
        .to_owned()
}

/// README.md and everything in docs/.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root().join("docs")).expect("docs/") {
        let name = entry.expect("an entry").file_name();
        found.push(format!("docs/{}", name.to_string_lossy()));
    }
    assert!(found.len() >= 5, "where are the documents? {found:?}");
    found.retain(|path| Path::new(path).extension().is_some_and(|kind| kind == "md"));
    found.sort();
    found
}

fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines with whether they are in a fenced block. The fences themselves are left out.
fn lines(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut in_fence = false;
    text.lines().filter_map(move |line| {
        if line.starts_with("```") {
            in_fence = !in_fence;
            return None;
        }
        Some((line, in_fence))
    })
}

/// What stands below a heading of the second level, up to the next.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("there is no section `{heading}`"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// The contents of fenced blocks of a kind.
fn fences(text: &str, kind: &str) -> Vec<String> {
    text.split(&format!("```{kind}\n"))
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .map(str::to_owned)
        .collect()
}

/// The rows of every table, each with its cells.
fn rows(text: &str) -> Vec<Vec<String>> {
    lines(text)
        .filter(|(line, in_fence)| !in_fence && line.starts_with("| "))
        .map(|(line, _)| {
            let line = line.trim().trim_start_matches('|').trim_end_matches('|');
            line.split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// A cell without the marks of code.
fn plain(cell: &str) -> String {
    cell.replace('`', "")
}
