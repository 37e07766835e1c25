//! The SAM transform `AWS::Serverless-2016-10-31`, as far as serverless applications of the usual kind need it.
//!
//! On AWS the service transforms a template; a stack on this machine needs the same resources under the same logical
//! ids, so that `Ref`, outputs and permissions mean the same. The reference is AWS's own published translator: a test
//! compares the two wherever Python has it. What is not covered is refused by name and never dropped.
//!
//! One known difference: the suffix of `…Deployment0123456789` is a hash of the API's definition here too, but not
//! the same one, since the translator hashes the text of a Python object.

mod api;
mod auth;
mod cors;
mod deploy;
mod events;
mod function;
mod globals;
mod http_api;
mod policies;
mod properties;
mod publish;
mod rename;
mod role;
mod routes;
mod simple;
mod state_machine;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

pub use self::policies::policy_templates;
use crate::suggest::did_you_mean;
use crate::{Template, TemplateError};

pub(crate) type Result<T> = std::result::Result<T, TemplateError>;

/// The name of the transform.
pub const TRANSFORM: &str = "AWS::Serverless-2016-10-31";
/// Functions of the language are evaluated anyway; what else this transform does is refused where it is used.
const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";

const FUNCTION: &str = "AWS::Serverless::Function";
const API: &str = "AWS::Serverless::Api";
const HTTP_API: &str = "AWS::Serverless::HttpApi";
const SIMPLE_TABLE: &str = "AWS::Serverless::SimpleTable";
const LAYER_VERSION: &str = "AWS::Serverless::LayerVersion";
const STATE_MACHINE: &str = "AWS::Serverless::StateMachine";
const APPLICATION: &str = "AWS::Serverless::Application";
const SUPPORTED: [&str; 7] = [
    FUNCTION,
    API,
    HTTP_API,
    SIMPLE_TABLE,
    LAYER_VERSION,
    STATE_MACHINE,
    APPLICATION,
];

/// What the transform has to know beside the template.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The region, which decides the partition in ARNs; empty is a region of the partition `aws`.
    pub region: String,
    /// Values of the template's parameters. A few properties decide logical ids (`AutoPublishAlias`), so a `Ref` in
    /// them must be known now; parameters that are not here have their defaults.
    pub parameters: BTreeMap<String, String>,
}

impl Context {
    fn partition(&self) -> &'static str {
        match self.region.split('-').take(2).collect::<Vec<_>>()[..] {
            ["cn", ..] => "aws-cn",
            ["us", "gov"] => "aws-us-gov",
            _ => "aws",
        }
    }
}

/// Replaces all SAM resources by what they stand for. A template without the transform comes back unchanged; a
/// template with another transform, and SAM resources without the transform, are refused.
pub fn transform(template: &Template, context: &Context) -> Result<Template> {
    let refuse = |what: String| {
        Err(TemplateError::Transform {
            resource: None,
            what,
        })
    };
    let transforms = template.transforms();
    if let Some(other) = transforms
        .iter()
        .find(|name| ![TRANSFORM, LANGUAGE_EXTENSIONS].contains(name))
    {
        return refuse(format!(
            "uses the transform `{other}`, which is not available here{}",
            did_you_mean(other, [TRANSFORM])
        ));
    }
    if !transforms.contains(&TRANSFORM) {
        let serverless = |resource: &Value| kind(resource).starts_with("AWS::Serverless::");
        return match template
            .resources()
            .iter()
            .find(|(_, resource)| serverless(resource))
        {
            Some((id, resource)) => Err(TemplateError::transform(
                id,
                format!(
                    "has the type {}, which needs `Transform: {TRANSFORM}` in the template",
                    kind(resource)
                ),
            )),
            None => Ok(template.clone()),
        };
    }
    let mut root = template.value().as_object().cloned().unwrap_or_default();
    root.shift_remove("Transform");
    let globals = root.shift_remove("Globals");
    let parameters = known_parameters(template, context);
    let mut translation = Translation {
        partition: context.partition(),
        parameters,
        resources: template.resources().clone(),
        conditions: template.conditions().clone(),
        made: Map::new(),
        renamed: BTreeMap::new(),
        notifications: Vec::new(),
        triggers: Vec::new(),
        preferences: Vec::new(),
    };
    routes::add_implicit_apis(&mut translation)?;
    globals::apply(globals.as_ref(), &mut translation.resources)?;
    translation.run()?;
    root.insert("Resources".to_owned(), Value::Object(translation.made));
    if !translation.conditions.is_empty() {
        root.insert(
            "Conditions".to_owned(),
            Value::Object(translation.conditions),
        );
    }
    let mut root = Value::Object(root);
    rename::apply(&mut root, &translation.renamed);
    Template::from_value(root)
}

/// Given values over defaults.
fn known_parameters(template: &Template, context: &Context) -> BTreeMap<String, String> {
    let defaults = template
        .parameters()
        .iter()
        .filter_map(|(name, declaration)| {
            Some((
                name.clone(),
                crate::parameters::scalar_text(declaration.get("Default")?)?,
            ))
        });
    defaults.chain(context.parameters.clone()).collect()
}

fn kind(resource: &Value) -> &str {
    resource
        .get("Type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The template on its way.
struct Translation {
    partition: &'static str,
    parameters: BTreeMap<String, String>,
    /// What is to be translated, with implicit APIs and globals.
    resources: Map<String, Value>,
    conditions: Map<String, Value>,
    /// What has been made.
    made: Map<String, Value>,
    /// Names in references and what they are now: `Layer` or `Function.Alias`.
    renamed: BTreeMap<String, String>,
    /// S3 events, which change a bucket that may come later in the template.
    notifications: Vec<events::Notification>,
    /// Cognito events, which change a user pool likewise.
    triggers: Vec<events::Trigger>,
    /// How the functions' aliases move on.
    preferences: Vec<deploy::Preference>,
}

impl Translation {
    fn run(&mut self) -> Result<()> {
        let routes = routes::collect(self)?;
        for (id, resource) in self.resources.clone() {
            let source = Source::new(&id, &resource);
            match source.kind {
                FUNCTION => function::expand(self, &source)?,
                API => api::expand(
                    self,
                    &source,
                    routes.get(&id).map(Vec::as_slice).unwrap_or_default(),
                )?,
                HTTP_API => http_api::expand(
                    self,
                    &source,
                    routes.get(&id).map(Vec::as_slice).unwrap_or_default(),
                )?,
                SIMPLE_TABLE => simple::table(self, &source)?,
                LAYER_VERSION => simple::layer(self, &source)?,
                STATE_MACHINE => state_machine::expand(self, &source)?,
                APPLICATION => simple::application(self, &source)?,
                other if other.starts_with("AWS::Serverless::") => {
                    let name = |kind: &'static str| kind.rsplit("::").next().unwrap_or(kind);
                    let given = other.rsplit("::").next().unwrap_or(other);
                    let near = did_you_mean(given, SUPPORTED.map(name));
                    let what = format!(
                        "has the type {other}, which the transform on this machine does not cover{near}"
                    );
                    return Err(TemplateError::transform(&id, what));
                }
                _ => self.add(&id, resource)?,
            }
        }
        for notification in std::mem::take(&mut self.notifications) {
            notification.attach(&mut self.made)?;
        }
        for trigger in std::mem::take(&mut self.triggers) {
            trigger.attach(&mut self.made)?;
        }
        deploy::finish(self)?;
        Ok(())
    }

    fn add(&mut self, id: &str, resource: Value) -> Result<()> {
        if self.made.insert(id.to_owned(), resource).is_some() {
            let what = "is generated by the SAM transform, and the template has a resource of that name too: rename it";
            return Err(TemplateError::transform(id, what));
        }
        Ok(())
    }

    /// A `Ref` to a parameter whose value is known becomes that value.
    fn known(&self, value: Value) -> Value {
        let name = value
            .as_object()
            .filter(|map| map.len() == 1)
            .and_then(|map| map.get("Ref")?.as_str());
        match name.and_then(|name| self.parameters.get(name)) {
            Some(text) => Value::String(text.clone()),
            None => value,
        }
    }
}

/// A SAM resource and the attributes that what it stands for inherits.
struct Source<'a> {
    id: &'a str,
    kind: &'a str,
    resource: &'a Value,
}

impl<'a> Source<'a> {
    fn new(id: &'a str, resource: &'a Value) -> Self {
        Self {
            id,
            kind: kind(resource),
            resource,
        }
    }

    fn condition(&self) -> Option<&'a str> {
        self.resource.get("Condition")?.as_str()
    }

    /// A resource of `kind` that stands beside the main one.
    fn beside(&self, kind: &str, properties: Value) -> Value {
        self.with(
            &["Condition", "DeletionPolicy", "UpdateReplacePolicy"],
            kind,
            properties,
        )
    }

    /// The resource of `kind` that takes the place of the source.
    fn instead(&self, kind: &str, properties: Value) -> Value {
        let inherited = [
            "DependsOn",
            "Condition",
            "DeletionPolicy",
            "UpdateReplacePolicy",
            "UpdatePolicy",
            "Metadata",
        ];
        self.with(&inherited, kind, properties)
    }

    fn with(&self, attributes: &[&str], kind: &str, properties: Value) -> Value {
        let mut made = Map::from_iter([("Type".to_owned(), json!(kind))]);
        for attribute in attributes {
            if let Some(value) = self.resource.get(*attribute) {
                made.insert((*attribute).to_owned(), value.clone());
            }
        }
        made.insert("Properties".to_owned(), properties);
        Value::Object(made)
    }

    fn fail(&self, what: impl Into<String>) -> TemplateError {
        TemplateError::transform(self.id, what)
    }
}

/// An object without the entries that are absent.
fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let present = entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect())
}

/// `[{Key, Value}, …]`
fn tag_list<'t>(tags: impl IntoIterator<Item = (&'t String, &'t Value)>) -> Vec<Value> {
    tags.into_iter()
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

fn get_att(id: &str, attribute: &str) -> Value {
    json!({"Fn::GetAtt": [id, attribute]})
}

fn reference(id: &str) -> Value {
    json!({"Ref": id})
}

fn no_value() -> Value {
    reference("AWS::NoValue")
}

/// `value` if the condition holds, and nothing otherwise; just `value` without a condition.
fn only_if(condition: Option<&str>, value: Value) -> Value {
    match condition {
        Some(condition) => json!({"Fn::If": [condition, value, no_value()]}),
        None => value,
    }
}

/// The first ten digits of the SHA-1 of a text; logical ids end in it.
fn short_hash(text: &str) -> String {
    let mut hash = hex::encode(Sha1::digest(text.as_bytes()));
    hash.truncate(10);
    hash
}

/// JSON with sorted keys, no spaces and ASCII only: the form that the translator hashes.
fn canonical(value: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(map) => {
                let sorted: BTreeMap<&String, &Value> = map.iter().collect();
                out.push('{');
                for (index, (key, value)) in sorted.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    text(key, out);
                    out.push(':');
                    write(value, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write(item, out);
                }
                out.push(']');
            }
            Value::String(string) => text(string, out),
            scalar => *out += &scalar.to_string(),
        }
    }
    fn text(string: &str, out: &mut String) {
        for character in Value::from(string).to_string().chars() {
            if character.is_ascii() {
                out.push(character);
            } else {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    let mut out = String::new();
    write(value, &mut out);
    out
}

#[cfg(test)]
mod tests;
