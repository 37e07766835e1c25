//! The SAM transform against AWS's own translator, wherever Python has it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use towpath_template::Template;
use towpath_template::sam::{Context, policy_templates, transform};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// What the translator makes of the templates, or nothing if it is not installed.
fn translated(templates: &[Value]) -> Option<Vec<Value>> {
    let child = Command::new("python3")
        .arg(tests().join("translate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: python3 is not installed");
        return None;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(json!(templates).to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.code() == Some(3) {
        eprintln!("skipped: python3 has no samtranslator (`pip install aws-sam-translator`)");
        return None;
    }
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The known difference: the hash in a REST API's deployment.
fn without_deployment_hashes(value: &Value) -> Value {
    let mut text = value.to_string();
    for (before, digits) in [("Deployment", 10), ("RestApi deployment id: ", 40)] {
        let mut from = 0;
        while let Some(found) = text[from..].find(before) {
            let start = from + found + before.len();
            let is_hash = text[start..]
                .chars()
                .take(digits)
                .filter(char::is_ascii_hexdigit)
                .count()
                == digits;
            if is_hash {
                text.replace_range(start..start + digits, "#");
            }
            from = start;
        }
    }
    serde_json::from_str(&text).unwrap()
}

/// The translator adds to `DependsOn` as to a set.
fn without_order_of_dependencies(value: &mut Value) {
    for resource in value["Resources"].as_object_mut().unwrap().values_mut() {
        if let Some(Value::Array(names)) = resource.get_mut("DependsOn") {
            names.sort_by_key(ToString::to_string);
        }
    }
}

/// Where two values differ.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in ours {
                match theirs.get(key) {
                    Some(other) => differences(&format!("{path}.{key}"), value, other, found),
                    None => found.push(format!("{path}.{key}: only ours has {value}")),
                }
            }
            for (key, value) in theirs.iter().filter(|(key, _)| !ours.contains_key(*key)) {
                found.push(format!("{path}.{key}: only theirs has {value}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differences(&format!("{path}.{index}"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

fn compare(cases: &[(String, Template)]) {
    let templates: Vec<Value> = cases
        .iter()
        .map(|(_, template)| template.value().clone())
        .collect();
    let Some(theirs) = translated(&templates) else {
        return;
    };
    let mut found = Vec::new();
    for ((name, template), theirs) in cases.iter().zip(theirs) {
        assert!(theirs.get("template").is_some(), "{name}: {theirs}");
        let ours = transform(template, &Context::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut ours, mut theirs) = (
            without_deployment_hashes(ours.value()),
            without_deployment_hashes(&theirs["template"]),
        );
        without_order_of_dependencies(&mut ours);
        without_order_of_dependencies(&mut theirs);
        differences(name, &ours, &theirs, &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn our_templates_become_what_the_translator_makes_of_them() {
    let mut cases = Vec::new();
    for entry in fs::read_dir(tests().join("sam")).unwrap() {
        let path = entry.unwrap().path();
        let template = Template::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        cases.push((
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            template,
        ));
    }
    assert!(cases.len() >= 6, "the templates have gone");
    compare(&cases);
}

#[test]
fn policy_templates_grant_what_the_translator_grants() {
    let policies: Vec<Value> = policy_templates()
        .into_iter()
        .map(|(name, parameters)| {
            let parameters: Map<String, Value> = parameters
                .into_iter()
                .map(|parameter| (parameter, json!({"Ref": "Thing"})))
                .collect();
            json!({ name: parameters })
        })
        .collect();
    let function = json!({"Type": "AWS::Serverless::Function", "Properties": {
        "InlineCode": "x", "Handler": "h", "Runtime": "nodejs20.x", "Policies": policies,
    }});
    let template = json!({"Transform": "AWS::Serverless-2016-10-31", "Resources": {"F": function, "Thing": {"Type": "AWS::SNS::Topic"}}});
    compare(&[(
        "policies".to_owned(),
        Template::from_value(template).unwrap(),
    )]);
}

#[test]
fn the_pipeline_of_this_repository_becomes_what_the_translator_makes_of_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let text = fs::read_to_string(path).unwrap();
    // The translator takes packaged templates only.
    let text = text.lines().map(|line| match line.split_once("CodeUri: ") {
        Some((before, uri)) if !uri.starts_with("s3://") => {
            format!("{before}CodeUri: s3://bucket/key\n")
        }
        _ => format!("{line}\n"),
    });
    compare(&[(
        "template.yaml".to_owned(),
        Template::parse(&text.collect::<String>()).unwrap(),
    )]);
}
