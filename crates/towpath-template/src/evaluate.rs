//! The values of a template's functions.
//!
//! Whatever a deployment alone knows (physical ids, attributes, exports) is asked of an [`Environment`]; everything
//! else is decided from the template, its parameters and its conditions. Only the branch of an `Fn::If` that is taken
//! is evaluated, so the other may name what does not exist.

mod cidr;
mod decide;
mod functions;
pub(crate) mod substitution;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use self::decide::conditions;
use crate::suggest::did_you_mean;
use crate::{EvaluateError, ResolvedParameter, Template, yaml};

pub(crate) type Result<T> = std::result::Result<T, EvaluateError>;

/// What a deployment knows. A name it does not know (yet) is `None`, and becomes an error that names it.
pub trait Environment {
    /// What `Ref` gives for a resource: its physical id, as a rule.
    fn reference(&self, logical_id: &str) -> Option<Value>;
    /// What `Fn::GetAtt` gives.
    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<Value>;
    /// The value of another stack's export.
    fn export(&self, name: &str) -> Option<Value>;
    /// A pseudo parameter such as `AWS::Region`. `AWS::NoValue` is never asked for.
    fn pseudo(&self, name: &str) -> Option<Value>;
    /// The availability zones of a region, for `Fn::GetAZs`.
    fn zones(&self, region: &str) -> Vec<String>;
}

/// Evaluates `value`; paths in errors start at `value`. See [`Evaluation::at`] to give them a beginning.
pub fn evaluate(
    value: &Value,
    template: &Template,
    parameters: &BTreeMap<String, ResolvedParameter>,
    conditions: &BTreeMap<String, bool>,
    environment: &dyn Environment,
) -> std::result::Result<Value, EvaluateError> {
    Evaluation {
        template,
        parameters,
        conditions,
        environment,
    }
    .at("", value)
}

/// Everything that evaluation looks at.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// For mappings, and to tell an unknown name from a resource that is not there yet.
    pub template: &'a Template,
    /// From [`crate::parameters::resolve`].
    pub parameters: &'a BTreeMap<String, ResolvedParameter>,
    /// From [`conditions`].
    pub conditions: &'a BTreeMap<String, bool>,
    /// What only the deployment knows.
    pub environment: &'a dyn Environment,
}

impl Evaluation<'_> {
    /// Evaluates the value that stands at `path`, such as `Resources.Name.Properties`.
    ///
    /// `AWS::NoValue` removes the key or list item that it stands for; at the very top it gives null.
    pub fn at(&self, path: &str, value: &Value) -> std::result::Result<Value, EvaluateError> {
        Ok(self.value(&Path::Root(path), value)?.unwrap_or(Value::Null))
    }

    /// `None` is `AWS::NoValue`.
    fn value(&self, path: &Path<'_>, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    list.extend(self.value(&path.index(index), item)?);
                }
                Ok(Some(Value::Array(list)))
            }
            Value::Object(map) => self.object(path, map),
            scalar => Ok(Some(scalar.clone())),
        }
    }

    fn object(&self, path: &Path<'_>, map: &Map<String, Value>) -> Result<Option<Value>> {
        if let Some((key, argument)) = map.iter().next().filter(|_| map.len() == 1)
            && (key == "Ref" && argument.is_string() || key.starts_with("Fn::"))
        {
            return self.function(&path.key(key), key, argument);
        }
        if let Some(function) = map.keys().find(|key| key.starts_with("Fn::")) {
            return Err(path.fail(format!("`{function}` must be the only key of its mapping")));
        }
        let mut evaluated = Map::new();
        for (key, part) in map {
            if let Some(value) = self.value(&path.key(key), part)? {
                evaluated.insert(key.clone(), value);
            }
        }
        Ok(Some(Value::Object(evaluated)))
    }

    fn function(&self, path: &Path<'_>, name: &str, argument: &Value) -> Result<Option<Value>> {
        match name {
            "Ref" => self.reference(path, argument.as_str().unwrap_or_default()),
            "Fn::If" => self.choose(path, argument),
            "Fn::GetAtt" => self.get_att(path, argument).map(Some),
            "Fn::Sub" => self.sub(path, argument).map(Some),
            "Fn::Join" => self.join(path, argument).map(Some),
            "Fn::Split" => self.split(path, argument).map(Some),
            "Fn::Select" => self.select(path, argument).map(Some),
            "Fn::FindInMap" => self.find_in_map(path, argument),
            "Fn::Base64" => self.base64(path, argument).map(Some),
            "Fn::ImportValue" => self.import(path, argument).map(Some),
            "Fn::GetAZs" => self.zones(path, argument).map(Some),
            "Fn::Cidr" => self.cidr(path, argument).map(Some),
            "Fn::ToJsonString" => self.json_string(path, argument).map(Some),
            "Fn::Length" => self.length(path, argument).map(Some),
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                Err(path.fail("decides a condition: it belongs in the `Conditions` section, and `Fn::If` uses it here"))
            }
            "Fn::Transform" => Err(path.fail("calls a macro, which is not available here")),
            _ => {
                let names: Vec<String> = yaml::FUNCTIONS.iter().map(|name| yaml::long_form(name)).collect();
                Err(path.fail(format!("is no function{}", did_you_mean(name, names.iter().map(String::as_str)))))
            }
        }
    }

    /// `None` is `AWS::NoValue`.
    fn reference(&self, path: &Path<'_>, name: &str) -> Result<Option<Value>> {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(parameter) = self.parameters.get(name) {
            return Ok(Some(parameter.value.clone()));
        }
        if name.starts_with("AWS::") {
            let missing = || {
                path.fail(format!(
                    "`{name}` is no pseudo parameter that is known here"
                ))
            };
            return self.environment.pseudo(name).map(Some).ok_or_else(missing);
        }
        self.resource(path, name)?;
        let missing = || {
            path.fail(format!(
                "resource `{name}` does not exist yet, or not at all in this deployment"
            ))
        };
        self.environment
            .reference(name)
            .map(Some)
            .ok_or_else(missing)
    }

    fn attribute(&self, path: &Path<'_>, name: &str, attribute: &str) -> Result<Value> {
        let resource = self.resource(path, name)?;
        let kind = resource
            .get("Type")
            .and_then(Value::as_str)
            .unwrap_or("resource");
        let missing = || {
            path.fail(format!(
                "`{name}` ({kind}) has no attribute `{attribute}`, or none yet"
            ))
        };
        self.environment
            .attribute(name, attribute)
            .ok_or_else(missing)
    }

    /// The template's resource of that name.
    fn resource(&self, path: &Path<'_>, name: &str) -> Result<&Value> {
        let resources = self.template.resources();
        resources.get(name).ok_or_else(|| {
            let known = resources
                .keys()
                .chain(self.template.parameters().keys())
                .map(String::as_str);
            let near = did_you_mean(name, known);
            path.fail(format!(
                "`{name}` is neither a resource nor a parameter of this template{near}"
            ))
        })
    }
}

/// Where evaluation stands; rendered only for an error.
pub(crate) enum Path<'p> {
    Root(&'p str),
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn key<'p>(&'p self, key: &'p str) -> Path<'p> {
        Path::Key(self, key)
    }

    fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }

    fn render(&self) -> String {
        match self {
            Path::Root(root) => (*root).to_owned(),
            Path::Key(parent, key) => join(parent, key),
            Path::Index(parent, index) => join(parent, &index.to_string()),
        }
    }

    pub(crate) fn fail(&self, what: impl Into<String>) -> EvaluateError {
        EvaluateError {
            path: self.render(),
            what: what.into(),
        }
    }
}

fn join(parent: &Path<'_>, part: &str) -> String {
    let parent = parent.render();
    if parent.is_empty() {
        part.to_owned()
    } else {
        format!("{parent}.{part}")
    }
}

#[cfg(test)]
mod tests;
