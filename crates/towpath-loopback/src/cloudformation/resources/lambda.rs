//! AWS::Lambda::Function.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use zip::write::SimpleFileOptions;

use super::names::{self, Rules};
use super::properties::{pick, tag_map, texts, whole_numbers};
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::plan::changed_properties;
use crate::cloudformation::stack::Resource;
use crate::input;

/// What `CreateFunction` and `UpdateFunctionConfiguration` both take.
const CONFIGURATION: &[&str] = &[
    "Role",
    "Runtime",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "ImageConfig",
    "Layers",
    "TracingConfig",
    "EphemeralStorage",
    "VpcConfig",
    "DeadLetterConfig",
    "KmsKeyArn",
    "FileSystemConfigs",
    "SnapStart",
    "LoggingConfig",
];

pub(super) async fn create_function(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "FunctionName", Rules::FUNCTION);
    let arn = scene.world.arn("lambda", &format!("function:{name}"));
    scene.authorize("Lambda", "lambda:CreateFunction", &arn)?;
    if let Some(role) = input::text(properties, "Role") {
        scene.pass_role("Lambda", &role, "lambda.amazonaws.com")?;
    }
    let mut request = configuration(properties);
    request.extend(pick(properties, &["PackageType", "Architectures"]));
    request.insert("FunctionName".into(), json!(name));
    let code = code(properties)?;
    may_read(scene, &code)?;
    request.insert("Code".into(), Value::Object(code));
    request.insert(
        "Tags".into(),
        Value::Object(tag_map(&system_tags(scene), properties)),
    );
    service_call!(
        scene,
        lambda,
        "Lambda",
        "CreateFunction",
        Value::Object(request)
    )?;
    Ok(function(name, &arn))
}

pub(super) async fn update_function(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = scene.world.arn("lambda", &format!("function:{name}"));
    let changed = changed_properties(&resource.properties, properties);
    let code_changed = changed
        .iter()
        .any(|property| property == "Code" || property == "Architectures");
    if code_changed {
        scene.authorize("Lambda", "lambda:UpdateFunctionCode", &arn)?;
        let mut request = code(properties)?;
        may_read(scene, &request)?;
        request.extend(pick(properties, &["Architectures"]));
        request.insert("FunctionName".into(), json!(name));
        service_call!(
            scene,
            lambda,
            "Lambda",
            "UpdateFunctionCode",
            Value::Object(request)
        )?;
    }
    let configured = changed
        .iter()
        .any(|property| CONFIGURATION.contains(&property.as_str()) || property == "Environment");
    if configured || resource.status.failed() {
        scene.authorize("Lambda", "lambda:UpdateFunctionConfiguration", &arn)?;
        if changed.iter().any(|property| property == "Role")
            && let Some(role) = input::text(properties, "Role")
        {
            scene.pass_role("Lambda", &role, "lambda.amazonaws.com")?;
        }
        let mut request = configuration(properties);
        // What the template no longer speaks of goes back to the service's default.
        for (property, default) in [
            ("Description", json!("")),
            ("Timeout", json!(3)),
            ("MemorySize", json!(128)),
            ("Environment", json!({ "Variables": {} })),
            ("Layers", json!([])),
        ] {
            if resource.properties.get(property).is_some() {
                request.entry(property).or_insert(default);
            }
        }
        request.insert("FunctionName".into(), json!(name));
        service_call!(
            scene,
            lambda,
            "Lambda",
            "UpdateFunctionConfiguration",
            Value::Object(request)
        )?;
    }
    Ok(function(name, &arn))
}

pub(super) async fn delete_function(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = scene.world.arn("lambda", &format!("function:{name}"));
    scene.authorize("Lambda", "lambda:DeleteFunction", &arn)?;
    service_removal!(
        scene,
        lambda,
        "Lambda",
        "DeleteFunction",
        json!({ "FunctionName": name })
    )
}

fn function(name: String, arn: &str) -> Made {
    Made::new(name).attribute("Arn", arn)
}

/// The tags that CloudFormation puts on what it makes; they make a function's owner findable.
fn system_tags(scene: &Scene) -> Vec<(String, String)> {
    let mut tags = scene.tags.clone();
    tags.extend([
        (
            "aws:cloudformation:stack-name".to_owned(),
            scene.stack_name.clone(),
        ),
        (
            "aws:cloudformation:stack-id".to_owned(),
            scene.stack_id.clone(),
        ),
        (
            "aws:cloudformation:logical-id".to_owned(),
            scene.logical_id.clone(),
        ),
    ]);
    tags
}

fn configuration(properties: &Value) -> Map<String, Value> {
    let mut request = pick(properties, CONFIGURATION);
    whole_numbers(&mut request, &["Timeout", "MemorySize"]);
    if let Some(Value::Object(storage)) = request.get_mut("EphemeralStorage") {
        whole_numbers(storage, &["Size"]);
    }
    if let Some(environment) = properties.get("Environment") {
        let variables = environment.get("Variables").map_or(json!({}), texts);
        request.insert("Environment".into(), json!({ "Variables": variables }));
    }
    request
}

/// The members `S3Bucket`, `ImageUri` and so on; source text written in the template becomes a package.
fn code(properties: &Value) -> Result<Map<String, Value>, Trouble> {
    let Some(code) = properties.get("Code") else {
        return Err(Trouble::invalid(
            "Model validation failed (#: required key [Code] not found)",
        ));
    };
    if let Some(source) = input::text(code, "ZipFile") {
        let runtime = input::text(properties, "Runtime").unwrap_or_default();
        let handler = input::text(properties, "Handler").unwrap_or_default();
        let package = inline_package(&runtime, &handler, &source).map_err(|error| {
            Trouble::invalid(format!("the inline code cannot be packed: {error}"))
        })?;
        return Ok(Map::from_iter([(
            "ZipFile".to_owned(),
            json!(STANDARD.encode(package)),
        )]));
    }
    let mut code = pick(
        code,
        &[
            "S3Bucket",
            "S3Key",
            "S3ObjectVersion",
            "ImageUri",
            "SourceKMSKeyArn",
        ],
    );
    // A number in the template is still a version's name.
    if let Some(version) = code.get("S3ObjectVersion").and_then(Value::as_i64) {
        code.insert("S3ObjectVersion".into(), json!(version.to_string()));
    }
    Ok(code)
}

/// Lambda reads the package with the permissions of whoever makes the function.
fn may_read(scene: &Scene, code: &Map<String, Value>) -> Result<(), Trouble> {
    let text = |member: &str| code.get(member).and_then(Value::as_str);
    let (Some(bucket), Some(key)) = (text("S3Bucket"), text("S3Key")) else {
        return Ok(());
    };
    scene.authorize(
        "Lambda",
        "s3:GetObject",
        &format!("arn:aws:s3:::{bucket}/{key}"),
    )
}

/// The module that answers for a custom resource, which only code in a template finds beside itself.
///
/// Its name, where it lies and what it holds.
const ANSWERS: [(&str, &str, &str); 2] = [
    (
        "cfn-response",
        "node_modules/cfn-response.js",
        include_str!("cfn-response.js"),
    ),
    (
        "cfnresponse",
        "cfnresponse.py",
        include_str!("cfnresponse.py"),
    ),
];

/// One file, named as the handler expects: `index.handler` is `index.js` or `index.py`. The module for
/// answers lies beside it if the source speaks of it.
fn inline_package(runtime: &str, handler: &str, source: &str) -> zip::result::ZipResult<Vec<u8>> {
    let extension = if runtime.starts_with("python") {
        "py"
    } else {
        "js"
    };
    let module = handler
        .rsplit_once('.')
        .map_or("index", |(module, _)| module);
    let module = if module.is_empty() { "index" } else { module };
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o644);
    archive.start_file(format!("{module}.{extension}"), options)?;
    archive.write_all(source.as_bytes())?;
    for (name, file, content) in ANSWERS {
        if file.ends_with(extension) && source.contains(name) {
            archive.start_file(file, options)?;
            archive.write_all(content.as_bytes())?;
        }
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_code_becomes_a_package_that_the_handler_finds() {
        for (runtime, handler, source, files) in [
            ("nodejs20.x", "index.handler", "text", &["index.js"][..]),
            ("python3.12", "app.main", "text", &["app.py"]),
            (
                "nodejs20.x",
                "index.handler",
                "require('cfn-response')",
                &["index.js", "node_modules/cfn-response.js"],
            ),
            (
                "python3.12",
                "index.main",
                "import cfnresponse",
                &["index.py", "cfnresponse.py"],
            ),
        ] {
            let package = inline_package(runtime, handler, source).unwrap();
            let mut archive = zip::ZipArchive::new(Cursor::new(package)).unwrap();
            let names: Vec<String> = (0..archive.len())
                .map(|at| archive.by_index(at).unwrap().name().unwrap().into_owned())
                .collect();
            assert_eq!(names, files);
        }
    }

    #[test]
    fn scalars_that_the_template_wrote_as_text_become_what_the_api_wants() {
        let request = configuration(&json!({
            "Timeout": "30", "MemorySize": 128, "Environment": {"Variables": {"N": 1, "B": true}}
        }));
        assert_eq!(request["Timeout"], json!(30));
        assert_eq!(
            request["Environment"]["Variables"],
            json!({"N": "1", "B": "true"})
        );
    }
}
