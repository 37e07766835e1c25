//! Local code in a template, and the S3 objects that take its place.
//!
//! [`plan()`] finds what must be uploaded, the caller zips and uploads it, and [`Plan::rewrite`] gives the template
//! that can be deployed. What is packaged is what `aws cloudformation package` and `sam package` package;
//! `package/properties.rs` has the table. Values that are in S3 already, and functions such as `!Sub`, stay as they
//! are. Where the two tools differ from each other or from this module:
//!
//! - A function or layer whose code is left out gets the directory of its template, as with both. A Beanstalk version
//!   or a Glue job without its property stays as it is: an archive of the whole directory is never what is meant.
//! - A definition (of an API, a state machine, a schema) has to be a file. Both would upload an archive of a directory,
//!   which the service refuses later.
//! - `InlineCode` is left alone, as with `sam`.
//! - Container images are not packaged; a local one is an error.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Template, TemplateError};

mod includes;
mod properties;

use properties::{Content, PROPERTIES, Property, Shape};

/// A path in a template that has to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalCode {
    /// The logical id of the resource; for what belongs to none, where it is in the template.
    pub resource: String,
    /// The property, such as `CodeUri` or `Command.ScriptLocation`.
    pub property: String,
    /// The path, under the template's directory unless it is absolute.
    pub path: PathBuf,
    /// How it is uploaded.
    pub kind: CodeKind,
    /// The names that lead from the root of the template to the value. Unique in a plan.
    pub place: Vec<String>,
    shape: Shape,
}

/// How a path is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// As a zip archive of the directory, or of the single file.
    Zip,
    /// As it is: an archive that is made already, or a definition.
    File,
    /// A nested template, which must be packaged itself first.
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
    /// The bucket's Region, for the https URL of a nested template.
    pub region: Option<String>,
}

/// A template and the local code in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In the order of the template.
    pub artifacts: Vec<LocalCode>,
    template: Template,
}

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
    let mut found = Found {
        template: &template,
        directory,
        artifacts: Vec::new(),
    };
    found.metadata()?;
    found.includes()?;
    found.resources(template.resources(), &["Resources".to_owned()])?;
    let artifacts = found.artifacts;
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
            set(
                &mut root,
                &artifact.place,
                artifact.shape.render(place(artifact)),
            );
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

/// Puts a value at a place, with the mappings that lead there.
fn set(root: &mut Value, place: &[String], value: Value) {
    let mut here = root;
    for name in place {
        here = match here {
            Value::Array(items) => {
                let index = name.parse::<usize>().ok();
                match index.and_then(|index| items.get_mut(index)) {
                    Some(item) => item,
                    None => return,
                }
            }
            here => {
                if !here.is_object() {
                    *here = Value::Object(Map::new());
                }
                &mut here[name.as_str()]
            }
        };
    }
    *here = value;
}

struct Found<'t> {
    template: &'t Template,
    directory: &'t Path,
    artifacts: Vec<LocalCode>,
}

impl<'t> Found<'t> {
    /// What the Serverless Application Repository shows of an application.
    fn metadata(&mut self) -> Result<(), TemplateError> {
        const APPLICATION: &str = "AWS::ServerlessRepo::Application";
        let entry = self.template.value().get("Metadata");
        let Some(entry) = entry.and_then(|metadata| metadata.get(APPLICATION)) else {
            return Ok(());
        };
        for name in ["LicenseUrl", "ReadmeUrl"] {
            if let Some(given) = entry.get(name).and_then(local) {
                let place = ["Metadata", APPLICATION, name].map(str::to_owned).to_vec();
                let what = (Content::Bundle, Shape::Text);
                self.add(APPLICATION, name, given, place, what)?;
            }
        }
        Ok(())
    }

    fn includes(&mut self) -> Result<(), TemplateError> {
        for (place, given) in includes::of(self.template.value()) {
            let at = place[..place.len() - 3].join(".");
            let at = if at.is_empty() {
                "Transform".to_owned()
            } else {
                at
            };
            let what = (Content::Definition, Shape::Text);
            self.add(&at, "AWS::Include Location", &given, place, what)?;
        }
        Ok(())
    }

    fn resources(
        &mut self,
        resources: &'t Map<String, Value>,
        place: &[String],
    ) -> Result<(), TemplateError> {
        for (id, resource) in resources {
            let mut place = place.to_vec();
            place.push(id.clone());
            // A loop: its variable, what it goes over, and the resources in it.
            if id.starts_with("Fn::ForEach::") {
                if let Some(body) = resource.get(2).and_then(Value::as_object) {
                    place.push("2".to_owned());
                    self.resources(body, &place)?;
                }
                continue;
            }
            let Some(kind) = resource.get("Type").and_then(Value::as_str) else {
                continue;
            };
            place.push("Properties".to_owned());
            for property in PROPERTIES.iter().filter(|it| it.resource_type == kind) {
                self.property(id, resource, property, &place)?;
            }
            if kind == "AWS::Serverless::GraphQLApi" {
                self.resolvers(id, resource.get("Properties"), &place)?;
            }
        }
        Ok(())
    }

    fn property(
        &mut self,
        id: &str,
        resource: &'t Value,
        property: &Property,
        place: &[String],
    ) -> Result<(), TemplateError> {
        if property.content == Content::Code && self.is_without_code(id, resource, property)? {
            return Ok(());
        }
        let own = resource.get("Properties").and_then(|properties| {
            let mut names = property.path();
            names.try_fold(properties, |value, name| value.get(name))
        });
        let shared = || {
            let globals = self.template.value().get("Globals")?;
            globals.get("Function")?.get("CodeUri")
        };
        let value = match own {
            None if property.resource_type == properties::FUNCTION => shared(),
            own => own,
        };
        let given = match value {
            Some(value) => local(value).or_else(|| {
                asset(resource, property).filter(|it| self.directory.join(it).exists())
            }),
            None if property.content == Content::Code => Some("."),
            None => None,
        };
        let Some(given) = given else { return Ok(()) };
        let mut place = place.to_vec();
        place.extend(property.path().map(str::to_owned));
        let what = (property.content, property.shape);
        self.add(id, property.name, given, place, what)
    }

    /// Whether a function's code is in the template, or in an image.
    fn is_without_code(
        &self,
        id: &str,
        resource: &Value,
        property: &Property,
    ) -> Result<bool, TemplateError> {
        let own = resource.get("Properties");
        let globals = self.template.value().get("Globals");
        let shared = globals
            .and_then(|globals| globals.get("Function"))
            .filter(|_| property.resource_type == properties::FUNCTION);
        let get = |name: &str| {
            own.and_then(|own| own.get(name))
                .or_else(|| shared.and_then(|shared| shared.get(name)))
        };
        if own.is_some_and(|own| own.get("InlineCode").is_some()) {
            return Ok(true);
        }
        let nested = get("Code").and_then(|code| code.get("ImageUri"));
        let uri = nested.or_else(|| get("ImageUri"));
        let is_image = get("PackageType").is_some_and(|kind| kind == "Image") || nested.is_some();
        if is_image && let Some(image) = uri.and_then(local).filter(|uri| !uri.contains(".dkr.ecr"))
        {
            return Err(TemplateError::LocalCode {
                resource: id.to_owned(),
                property: "ImageUri".to_owned(),
                path: None,
                what: format!(
                    "names the local image `{image}`, and images are not packaged: push it to ECR and give its URI"
                ),
            });
        }
        Ok(is_image)
    }

    /// The code of a GraphQL API's resolvers and functions, wherever it stands.
    fn resolvers(
        &mut self,
        id: &str,
        value: Option<&Value>,
        place: &[String],
    ) -> Result<(), TemplateError> {
        let Some(Value::Object(map)) = value else {
            return Ok(());
        };
        for (name, value) in map {
            let mut place = place.to_vec();
            place.push(name.clone());
            match local(value).filter(|_| name == "CodeUri") {
                Some(given) => {
                    // After `Resources`, the id and `Properties`.
                    let start = place.iter().rposition(|it| it == "Properties");
                    let property = place[start.map_or(0, |it| it + 1)..].join(".");
                    let what = (Content::Bundle, Shape::Text);
                    self.add(id, &property, given, place, what)?;
                }
                None => self.resolvers(id, Some(value), &place)?,
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        resource: &str,
        property: &str,
        given: &str,
        place: Vec<String>,
        (content, shape): (Content, Shape),
    ) -> Result<(), TemplateError> {
        let path = self.directory.join(given);
        let kind = kind(content, &path).map_err(|what| TemplateError::LocalCode {
            resource: resource.to_owned(),
            property: property.to_owned(),
            path: Some(path.clone()),
            what: format!("names `{given}`, and {} {what}", path.display()),
        })?;
        self.artifacts.push(LocalCode {
            resource: resource.to_owned(),
            property: property.to_owned(),
            path,
            kind,
            place,
            shape,
        });
        Ok(())
    }
}

/// Where the AWS CDK says that it has left what a property needs.
fn asset<'t>(resource: &'t Value, property: &Property) -> Option<&'t str> {
    let metadata = resource.get("Metadata")?;
    let named = metadata.get("aws:asset:property")?.as_str()?;
    (named == property.name).then_some(())?;
    local(metadata.get("aws:asset:path")?)
}

/// The path in a value that is neither in S3 nor a function.
fn local(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let remote = ["s3://", "https://", "http://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    (!remote && !text.is_empty() && !text.contains("${") && !text.contains("{{resolve:"))
        .then_some(text)
}

fn kind(content: Content, path: &Path) -> Result<CodeKind, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            format!("does not exist{}", beside(path))
        }
        _ => unreadable(error),
    })?;
    if metadata.is_dir() {
        if matches!(content, Content::Definition | Content::Template) {
            return Err("is no file".to_owned());
        }
        let mut entries = fs::read_dir(path).map_err(unreadable)?;
        return if entries.next().is_some() {
            Ok(CodeKind::Zip)
        } else {
            Err("is an empty directory".to_owned())
        };
    }
    if !metadata.is_file() {
        return Err("is no file".to_owned());
    }
    Ok(match content {
        Content::Template => CodeKind::Template,
        Content::Code | Content::Archive if !is_archive(path).map_err(unreadable)? => CodeKind::Zip,
        Content::Code | Content::Archive | Content::Bundle | Content::Definition => CodeKind::File,
    })
}

/// By its name or by how it starts.
fn is_archive(path: &Path) -> io::Result<bool> {
    let named = path.extension().is_some_and(|extension| {
        ["zip", "jar", "war"]
            .iter()
            .any(|known| extension == *known)
    });
    if named {
        return Ok(true);
    }
    let mut start = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == *b"PK\x03\x04")
}

/// What is in the directory where a path should be.
fn beside(path: &Path) -> String {
    const LISTED: usize = 12;
    let Some(directory) = path.ancestors().skip(1).find(|it| it.is_dir()) else {
        return String::new();
    };
    let mut names: Vec<String> = fs::read_dir(directory)
        .map(|entries| {
            let names = entries.flatten().map(|entry| entry.file_name());
            names
                .map(|name| name.to_string_lossy().escape_debug().to_string())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    if names.is_empty() {
        "; there is nothing".to_owned()
    } else {
        format!("; there is {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests;
