//! What holds of the tree itself: which crate may know which, where things are said, and what is said nowhere.
//!
//! A rule that only a document states is broken within a month. Each test here is one of them; it names every place
//! that breaks it, and what to do. Adding a crate means giving it a place in [`LAYERS`].

#[path = "the_workspace/tree.rs"]
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use towpath_job::{Artifact, ArtifactLocation, FromQuery, ParameterError};
use towpath_template::Template;

use crate::tree::{
    Findings, Kind, closure, files, matches, packages, production, root, rust_files,
};

/// Every crate, lowest layer first. A crate uses only what lies in a layer below its own.
const LAYERS: &[&[&str]] = &[
    &[
        "towpath-alarms",
        "towpath-aws",
        "towpath-archive",
        "towpath-release",
        "towpath-report",
        "towpath-secret",
    ],
    &["towpath-artifact", "towpath-tool", "towpath-template"],
    &["towpath-job", "towpath-stack", "towpath-engine"],
    &[
        "install-deps",
        "test-and-package",
        "deploy-stack",
        "run-e2e",
        "approve",
        "towpath-loopback",
    ],
    &["towpath"],
    &["towpath-tests", "towpath-bench"],
];

/// What a crate does not use: itself, not even in its tests, nor through another crate of this workspace. A name that
/// ends with `*` is a beginning.
const UNKNOWN_TO: &[(&str, &[&str], &str)] = &[
    (
        "towpath-engine",
        &[
            "towpath*", "aws*", "http*", "hyper*", "tokio*", "lambda*", "s3s",
        ],
        "a pipeline is decided without any I/O; what carries out its effects is above it",
    ),
    (
        "towpath-template",
        &["aws*", "http*", "hyper*", "tokio*", "lambda*"],
        "templates are data",
    ),
    (
        "towpath-report",
        &["towpath*", "aws*", "http*", "hyper*", "tokio*", "lambda*"],
        "reports are data",
    ),
    (
        "towpath-release",
        &["towpath*", "aws*", "http*", "hyper*", "tokio*", "lambda*"],
        "what a release is does not depend on where it lies",
    ),
    (
        "towpath-archive",
        &["aws*", "http*", "hyper*", "tokio*", "lambda*"],
        "what an archive is does not depend on where it comes from",
    ),
    (
        "towpath-tool",
        &["aws*", "http*", "hyper*", "lambda*"],
        "whoever runs a build tool holds no credentials",
    ),
    (
        "towpath-loopback",
        &[
            "install-deps",
            "test-and-package",
            "deploy-stack",
            "run-e2e",
            "approve",
            "towpath-job",
            "towpath-stack",
            "lambda_runtime",
        ],
        "the loopback serves any function; that it knows ours would make it a second reading of them",
    ),
];

/// Files that are longer than [`LONGEST`], with the reason. Not a place for new ones: look for the second idea.
const LONG: &[(&str, &str)] = &[];
const LONGEST: usize = 700;

/// Where programs are made: what prints there is their output.
const PROGRAMS: &[&str] = &["crates/towpath/src/", "tests/bench/src/"];

// --- The crates -------------------------------------------------------------------------------------

#[test]
fn dependencies_point_down() {
    let packages = packages();
    let layer_of: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(layer, names)| names.iter().map(move |name| (*name, layer)))
        .collect();
    let known: BTreeSet<&str> = layer_of.keys().copied().collect();
    let found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    assert_eq!(
        known, found,
        "LAYERS and the workspace do not name the same crates"
    );

    let mut wrong = Findings::new("a crate uses only what is in a layer below it");
    for (name, package) in &packages {
        for used in package.uses.keys() {
            if let Some(layer) = layer_of.get(used.as_str())
                && *layer >= layer_of[name.as_str()]
            {
                wrong.add(format!("{name} uses {used}"));
            }
        }
    }
    wrong.assert_none();
}

#[test]
fn crates_do_not_know_what_is_not_theirs() {
    let packages = packages();
    let mut wrong = Findings::new("these crates are kept apart; see UNKNOWN_TO for why");
    for (name, unknown, why) in UNKNOWN_TO {
        for (used, by) in closure(&packages, name) {
            if unknown.iter().any(|pattern| matches(pattern, &used)) {
                wrong.add(format!("{name} uses {used} (through {by}): {why}"));
            }
        }
    }
    wrong.assert_none();
}

#[test]
fn only_the_job_reports_to_codepipeline() {
    let mut wrong = Findings::new("a job is reported by towpath-job's run loop and nothing else");
    for (path, text) in rust_files() {
        if !path.starts_with("crates/towpath-job/") {
            for call in ["put_job_success_result", "put_job_failure_result"] {
                wrong.add_lines(&path, &production(&path, &text), |line| line.contains(call));
            }
        }
    }
    for (name, package) in packages() {
        let function = LAYERS[3].contains(&name.as_str()) && name != "towpath-loopback";
        if function && package.uses.get("aws-sdk-codepipeline") == Some(&Kind::Normal) {
            wrong.add(format!(
                "{name} depends on aws-sdk-codepipeline; a function speaks through towpath-job"
            ));
        }
    }
    wrong.assert_none();
}

#[test]
fn only_programs_print_or_exit() {
    let mut wrong = Findings::new("a library returns or logs; the command line prints and exits");
    for (path, text) in rust_files() {
        if PROGRAMS.iter().any(|program| path.starts_with(program)) {
            continue;
        }
        wrong.add_lines(&path, &production(&path, &text), |line| {
            ["println!(", "eprintln!(", "print!(", "process::exit("]
                .iter()
                .any(|word| line.contains(word))
        });
    }
    wrong.assert_none();
}

#[test]
fn versions_are_in_the_root_manifest_only() {
    let mut wrong = Findings::new(
        "a dependency's version and source are in the root manifest's [workspace.dependencies]; a crate says `NAME.workspace = true`",
    );
    for (name, package) in packages() {
        let text = fs::read_to_string(&package.manifest).expect("a manifest");
        if !text.contains("[lints]\nworkspace = true") {
            wrong.add(format!(
                "{name} does not take the workspace's lints: add `[lints]` with `workspace = true`"
            ));
        }
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
                if section.contains("dependencies.") {
                    wrong.add(format!("{name}: {line}"));
                }
            } else if section.ends_with("dependencies]")
                && line.contains('=')
                && !line.starts_with('#')
                && !line.replace(' ', "").contains("workspace=true")
            {
                wrong.add(format!("{name}: {line}"));
            }
        }
    }
    wrong.assert_none();
}

#[test]
fn the_readmes_map_names_every_crate() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let mut wrong = Findings::new("README.md draws the map of the crates");
    for (name, package) in packages() {
        let folder = package.manifest.parent().and_then(Path::file_name);
        let folder = folder.expect("a folder").to_string_lossy();
        if package.manifest.starts_with(root().join("crates")) {
            if folder != name {
                wrong.add(format!("crate {name} lies in folder {folder}"));
            }
            if !readme.contains(&format!("  {folder}/")) {
                wrong.add(format!("{folder}/ is not there"));
            }
        }
    }
    wrong.assert_none();
}

// --- The files --------------------------------------------------------------------------------------

#[test]
fn every_source_file_says_what_it_is_for() {
    let mut wrong = Findings::new("a file's first line is `//! What it is for`");
    for (path, text) in rust_files() {
        let opening = text.lines().next().unwrap_or_default();
        if opening
            .strip_prefix("//! ")
            .is_none_or(|purpose| purpose.trim().len() < 10)
        {
            wrong.add(path);
        }
    }
    wrong.assert_none();
}

#[test]
fn files_stay_small_enough_to_hold_in_the_head() {
    let mut wrong = Findings::new("look for the second idea in a long file and give it its own");
    for (path, text) in rust_files() {
        let lines = production(&path, &text).len();
        let listed = LONG.iter().any(|(long, _)| *long == path);
        if lines > LONGEST && !listed {
            wrong.add(format!("{path}: {lines} lines, at most {LONGEST}"));
        }
        if lines <= LONGEST && listed {
            wrong.add(format!("{path}: is no longer long; take it off LONG"));
        }
    }
    wrong.assert_none();
}

#[test]
fn no_test_is_skipped_and_nothing_is_left_to_do() {
    // Put together here, so that this file does not say them.
    let words = [
        concat!("#[", "ignore"),
        concat!("#[", "should_panic"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
    ];
    let mut wrong =
        Findings::new("a test runs, and fails by an assertion; code is there or is not");
    for (path, text) in rust_files() {
        let lines: Vec<_> = (1..).zip(text.lines()).collect();
        wrong.add_lines(&path, &lines, |line| {
            words.iter().any(|word| line.contains(word))
        });
    }
    wrong.assert_none();
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // The beginnings of home directories, and where packages came from: a lock file with addresses works for one
    // network only. Put together here, so that this file does not say them.
    let homes = [
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/."),
    ];
    let hosts = [
        concat!("registry.", "npmjs"),
        concat!("registry.", "yarnpkg"),
        concat!("py", "pi.org"),
        concat!("files.", "pythonhosted"),
        concat!("static.", "crates.io"),
        concat!("index.", "crates.io"),
    ];
    let mut wrong = Findings::new("a checkout works on any machine, behind any mirror");
    for path in files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue; // Not text.
        };
        let lines: Vec<_> = (1..).zip(text.lines()).collect();
        wrong.add_lines(&path, &lines, |line| {
            // Lambda's own user is the same everywhere.
            let line = line.replace(concat!("/ho", "me/sbx_user"), "");
            let home = |home: &&str| {
                line.match_indices(*home).any(|(at, _)| {
                    let after = line[at + home.len()..].chars().next();
                    after.is_some_and(|character| character.is_ascii_alphanumeric())
                })
            };
            homes.iter().any(home) || hosts.iter().any(|host| line.contains(host))
        });
    }
    wrong.assert_none();
}

#[test]
fn lock_files_of_node_record_no_addresses() {
    let mut wrong = Findings::new(
        "npm writes no addresses with `omit-lockfile-registry-resolved=true`; delete the `resolved` lines",
    );
    let mut seen = 0;
    for path in files() {
        if !path.ends_with("package-lock.json") {
            continue;
        }
        seen += 1;
        let text = fs::read_to_string(root().join(&path)).expect("a lock file");
        let lock: Value = serde_json::from_str(&text).expect("a lock file is JSON");
        for (name, package) in lock["packages"].as_object().expect("lock file version 3") {
            if package.get("resolved").is_some() {
                wrong.add(format!("{path}: {name} says where it was resolved"));
            }
            // What a package bundles is in that package's own digest.
            let bundled = package["inBundle"] == true || !package["link"].is_null();
            if !name.is_empty() && package["integrity"].is_null() && !bundled {
                wrong.add(format!("{path}: {name} has no integrity digest"));
            }
        }
    }
    assert!(seen > 0, "the sample application has lost its lock file");
    wrong.assert_none();
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut wrong =
        Findings::new("a link names a file of the repository, relative to its document");
    for path in files() {
        if Path::new(&path).extension().is_none_or(|kind| kind != "md") {
            continue;
        }
        let document = root().join(&path);
        let text = fs::read_to_string(&document).expect("a document is text");
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            let folder = document.parent().expect("a document lies in a folder");
            if !target.is_empty() && !target.contains(':') && !folder.join(target).exists() {
                wrong.add(format!("{path}: {target}"));
            }
        }
    }
    wrong.assert_none();
}

// --- The pipeline -----------------------------------------------------------------------------------

/// Reads an action's parameters, given its output artifacts.
type Reader = fn(&str, &[Artifact]) -> Result<(), ParameterError>;

/// The functions of the pipeline, by the name of their executable.
const FUNCTIONS: &[(&str, Reader)] = &[
    ("install-deps", reads::<install_deps::Parameters>),
    ("test-and-package", reads::<test_and_package::Parameters>),
    ("deploy-stack", reads::<deploy_stack::Parameters>),
    ("run-e2e", reads::<run_e2e::Parameters>),
    ("approve", reads::<approve::Parameters>),
];

fn reads<P: FromQuery>(text: &str, outputs: &[Artifact]) -> Result<(), ParameterError> {
    towpath_job::parameters::parse::<P>(text, outputs).map(|_| ())
}

#[test]
fn the_pipelines_functions_understand_their_parameters() {
    let text = fs::read_to_string(root().join("template.yaml")).expect("template.yaml");
    let template = Template::parse(&text).expect("template.yaml is a template");
    let mut wrong = Findings::new("an action's UserParameters are what its function takes");
    let mut used = BTreeSet::new();
    for action in lambda_actions(&template) {
        let name = action["Name"].as_str().expect("an action has a name");
        let executable = executable(&template, &action["Configuration"]["FunctionName"]);
        let outputs: Vec<Artifact> = action["OutputArtifacts"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|output| output["Name"].as_str().map(artifact))
            .collect();
        let (_, reads) = FUNCTIONS
            .iter()
            .find(|(known, _)| *known == executable)
            .unwrap_or_else(|| panic!("action {name}: no function is called `{executable}`"));
        for text in texts(&template, &action["Configuration"]["UserParameters"]) {
            // AWS: 1,000 characters for a value of an action's configuration.
            if text.len() > 1_000 {
                wrong.add(format!("{name}: {} characters: {text}", text.len()));
            }
            if let Err(error) = reads(&text, &outputs) {
                wrong.add(format!("{name}: {error}: {text}"));
            }
        }
        used.insert(executable);
    }
    let all: BTreeSet<String> = FUNCTIONS.iter().map(|(name, _)| (*name).into()).collect();
    assert_eq!(used, all, "the pipeline uses every function");
    wrong.assert_none();
}

fn lambda_actions(template: &Template) -> Vec<&Value> {
    template
        .resources()
        .values()
        .filter(|resource| resource["Type"] == "AWS::CodePipeline::Pipeline")
        .flat_map(|pipeline| pipeline["Properties"]["Stages"].as_array().expect("stages"))
        .flat_map(|stage| stage["Actions"].as_array().expect("actions"))
        .filter(|action| action["ActionTypeId"]["Provider"] == "Lambda")
        .collect()
}

/// The name of the executable behind a function, whichever way it is packaged.
fn executable(template: &Template, function: &Value) -> String {
    let id = function["Ref"]
        .as_str()
        .expect("a function of the template");
    let resource = &template.resources()[id];
    let entry = &resource["Properties"]["ImageConfig"]["EntryPoint"][0];
    let binary = &resource["Metadata"]["BuildProperties"]["Binary"];
    let path = binary.as_str().or(entry.as_str()).expect("an executable");
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn artifact(name: &str) -> Artifact {
    Artifact {
        name: name.to_owned(),
        revision: None,
        location: ArtifactLocation {
            bucket: "bucket".to_owned(),
            key: name.to_owned(),
        },
    }
}

/// Every text that a value may come to: both sides of an `Fn::If`, placeholders filled.
fn texts(template: &Template, value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec![String::new()],
        Value::String(text) => vec![text.clone()],
        _ if value["Fn::Sub"].is_string() => {
            vec![filled(template, value["Fn::Sub"].as_str().expect("text"))]
        }
        _ if value["Fn::If"].is_array() => [
            texts(template, &value["Fn::If"][1]),
            texts(template, &value["Fn::If"][2]),
        ]
        .concat(),
        other => panic!("this test does not know how to read {other}"),
    }
}

/// `${NAME}` by the parameter's default, `${NAME.Arn}` by a role's ARN as long as they get.
fn filled(template: &Template, text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').expect("a closed placeholder");
        filled.push_str(before);
        if let Some(parameter) = template.parameters().get(name) {
            let default = parameter["Default"].as_str().unwrap_or_default();
            filled.push_str(if default.is_empty() { "value" } else { default });
        } else {
            let arn = format!("arn:aws-us-gov:iam::123456789012:role/{name:a<64}");
            filled.push_str(&arn.replace('.', "-"));
        }
        rest = after;
    }
    filled + rest
}
