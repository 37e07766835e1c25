//! Local code in a template, and the S3 objects that take its place.
//!
//! [`plan()`] finds what must be uploaded, the caller zips and uploads it, and [`Plan::rewrite`] gives the template
//! that can be deployed. Values that are in S3 already, and functions such as `!Sub`, stay as they are. A property
//! that is left out is an error here: the AWS CLI would package the whole directory of the template.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::{Template, TemplateError};

/// A path in a template that has to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCode {
    /// The logical id of the resource.
    pub resource: String,
    /// The property, such as `CodeUri`.
    pub property: String,
    /// The path, under the template's directory unless it is absolute.
    pub path: PathBuf,
    /// How it is uploaded.
    pub kind: CodeKind,
}

/// How a path is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// As a zip archive of the directory, or of the single file.
    Zip,
    /// As it is: an archive that is made already, or a definition.
    File,
    /// A nested template, which must be packaged itself first. [`plan()`] refuses those for now.
    Template,
}

/// Where something was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Object {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version, in a versioned bucket.
    pub version: Option<String>,
}

/// A template and the local code in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In the order of the template.
    pub artifacts: Vec<LocalCode>,
    template: Template,
}

/// How a property names an object in S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `s3://bucket/key`, or `{Bucket, Key, Version}` if there is a version.
    Uri,
    /// `{S3Bucket, S3Key, S3ObjectVersion}`
    Code,
    /// `{Bucket, Key, Version}`
    Location,
    /// A nested template or application.
    Nested,
}

struct Property {
    resource_type: &'static str,
    name: &'static str,
    is_code: bool,
    shape: Shape,
}

const fn code(resource_type: &'static str, name: &'static str, shape: Shape) -> Property {
    Property {
        resource_type,
        name,
        is_code: true,
        shape,
    }
}

const fn definition(resource_type: &'static str, name: &'static str, shape: Shape) -> Property {
    Property {
        resource_type,
        name,
        is_code: false,
        shape,
    }
}

const FUNCTION: &str = "AWS::Serverless::Function";
const PROPERTIES: &[Property] = &[
    code(FUNCTION, "CodeUri", Shape::Uri),
    code("AWS::Serverless::LayerVersion", "ContentUri", Shape::Uri),
    code("AWS::Lambda::Function", "Code", Shape::Code),
    code("AWS::Lambda::LayerVersion", "Content", Shape::Code),
    definition("AWS::Serverless::Api", "DefinitionUri", Shape::Uri),
    definition("AWS::Serverless::HttpApi", "DefinitionUri", Shape::Uri),
    definition("AWS::Serverless::StateMachine", "DefinitionUri", Shape::Uri),
    definition(
        "AWS::ApiGateway::RestApi",
        "BodyS3Location",
        Shape::Location,
    ),
    definition("AWS::ApiGatewayV2::Api", "BodyS3Location", Shape::Location),
    definition(
        "AWS::StepFunctions::StateMachine",
        "DefinitionS3Location",
        Shape::Location,
    ),
    definition("AWS::CloudFormation::Stack", "TemplateURL", Shape::Nested),
    definition("AWS::Serverless::Application", "Location", Shape::Nested),
];

/// The key of an object that is named after its content, under `prefix` (which may be empty).
pub fn content_key(prefix: &str, sha256: &str) -> String {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() {
        sha256.to_owned()
    } else {
        format!("{prefix}/{sha256}")
    }
}

/// Finds the local code of a template. Paths are resolved against `directory`, the template's own.
pub fn plan(text: &str, directory: &Path) -> Result<Plan, TemplateError> {
    let template = Template::parse(text)?;
    refuse_includes(template.value(), "")?;
    let mut artifacts = Vec::new();
    for (id, resource) in template.resources() {
        let Some(property) = property_of(resource) else {
            continue;
        };
        let Some(value) = value_of(&template, id, resource, property)? else {
            continue;
        };
        let Some(given) = local(value) else { continue };
        let fail = |path: Option<PathBuf>, what: String| TemplateError::LocalCode {
            resource: id.clone(),
            property: property.name.to_owned(),
            path,
            what,
        };
        if property.shape == Shape::Nested {
            let what = format!(
                "names the local template `{given}`, and nested templates are not packaged yet: upload it and give its \
                 https URL"
            );
            return Err(fail(None, what));
        }
        let path = directory.join(given);
        let kind = kind(property, &path).map_err(|what| {
            fail(
                Some(path.clone()),
                format!("names `{given}`, and {} {what}", path.display()),
            )
        })?;
        artifacts.push(LocalCode {
            resource: id.clone(),
            property: property.name.to_owned(),
            path,
            kind,
        });
    }
    Ok(Plan {
        artifacts,
        template,
    })
}

impl Plan {
    /// The template as it was read.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The template as YAML, with the place of every artifact in its property. Everything else, `Metadata` included,
    /// is kept.
    pub fn rewrite(&self, place: impl Fn(&LocalCode) -> S3Object) -> String {
        let mut root = self.template.value().clone();
        for artifact in &self.artifacts {
            let resource = &mut root["Resources"][&artifact.resource];
            let Some(property) = property_of(resource) else {
                continue;
            };
            let object = place(artifact);
            if resource.get("Properties").is_none() {
                resource["Properties"] = Value::Object(Map::new());
            }
            resource["Properties"][&artifact.property] = property.shape.render(object);
        }
        // What was shared is now said by each function.
        if let Some(shared) = root
            .get_mut("Globals")
            .and_then(|globals| globals.get_mut("Function"))
            && shared
                .get("CodeUri")
                .is_some_and(|uri| local(uri).is_some())
            && let Some(shared) = shared.as_object_mut()
        {
            shared.shift_remove("CodeUri");
        }
        crate::yaml::write(&root)
    }
}

impl Shape {
    fn render(self, object: S3Object) -> Value {
        let S3Object {
            bucket,
            key,
            version,
        } = object;
        match (self, version) {
            (Self::Uri, None) => json!(format!("s3://{bucket}/{key}")),
            (Self::Uri | Self::Location | Self::Nested, Some(version)) => {
                json!({"Bucket": bucket, "Key": key, "Version": version})
            }
            (Self::Location | Self::Nested, None) => json!({"Bucket": bucket, "Key": key}),
            (Self::Code, Some(version)) => {
                json!({"S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": version})
            }
            (Self::Code, None) => json!({"S3Bucket": bucket, "S3Key": key}),
        }
    }
}

fn property_of(resource: &Value) -> Option<&'static Property> {
    let resource_type = resource.get("Type")?.as_str()?;
    PROPERTIES
        .iter()
        .find(|property| property.resource_type == resource_type)
}

/// The property's value; for a SAM function possibly from `Globals`.
fn value_of<'t>(
    template: &'t Template,
    id: &str,
    resource: &'t Value,
    property: &Property,
) -> Result<Option<&'t Value>, TemplateError> {
    let own = |name: &str| {
        resource
            .get("Properties")
            .and_then(|properties| properties.get(name))
    };
    if property.resource_type != FUNCTION {
        return Ok(own(property.name));
    }
    let shared = template
        .value()
        .get("Globals")
        .and_then(|globals| globals.get("Function"));
    let either = |name: &str| own(name).or_else(|| shared.and_then(|shared| shared.get(name)));
    if either("PackageType").is_some_and(|kind| kind == "Image") || own("InlineCode").is_some() {
        return Ok(None);
    }
    let value = either("CodeUri").ok_or_else(|| TemplateError::LocalCode {
        resource: id.to_owned(),
        property: "CodeUri".to_owned(),
        path: None,
        what: "is missing; write `CodeUri: .` to package the directory of the template".to_owned(),
    })?;
    Ok(Some(value))
}

/// The path in a value that is neither in S3 nor a function.
fn local(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let remote = ["s3://", "https://", "http://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    (!remote && !text.contains("${") && !text.contains("{{resolve:")).then_some(text)
}

fn kind(property: &Property, path: &Path) -> Result<CodeKind, String> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    if !property.is_code {
        return if metadata.is_file() {
            Ok(CodeKind::File)
        } else {
            Err("is no file".to_owned())
        };
    }
    if metadata.is_dir() {
        let mut entries = fs::read_dir(path).map_err(|error| format!("cannot be read: {error}"))?;
        return if entries.next().is_some() {
            Ok(CodeKind::Zip)
        } else {
            Err("is an empty directory".to_owned())
        };
    }
    let archive = path
        .extension()
        .is_some_and(|extension| extension == "zip" || extension == "jar");
    Ok(if archive {
        CodeKind::File
    } else {
        CodeKind::Zip
    })
}

/// `AWS::Include` of a local file, which only the AWS CLI's own packaging resolves.
fn refuse_includes(value: &Value, path: &str) -> Result<(), TemplateError> {
    match value {
        Value::Array(items) => items
            .iter()
            .try_for_each(|item| refuse_includes(item, path)),
        Value::Object(map) => map.iter().try_for_each(|(key, item)| {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let location = item
                .get("Parameters")
                .and_then(|parameters| parameters.get("Location"));
            let include = matches!(key.as_str(), "Fn::Transform" | "Transform")
                && item.get("Name").is_some_and(|name| name == "AWS::Include");
            match location.filter(|_| include).and_then(local) {
                Some(file) => {
                    let what = format!(
                        "includes the local file `{file}`: upload it and give its s3:// URL"
                    );
                    Err(TemplateError::structure(path, what))
                }
                None => refuse_includes(item, &path),
            }
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
