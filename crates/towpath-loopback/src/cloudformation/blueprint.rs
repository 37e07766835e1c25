//! What a template comes to with its parameters: the resources that shall exist, and in which order.
//!
//! Everything here is decided before anything is made. A blueprint is never changed; an update has a new one.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use towpath_template::sam::Context;
use towpath_template::{Environment, Evaluation, ResolvedParameter, Template, TemplateError};

use super::change_set::NO_UPDATES;
use super::plan::same;
use super::wire::{Object, validation};
use crate::{AwsError, input};

/// The only transform that changes anything here.
pub(crate) const SERVERLESS: &str = "AWS::Serverless-2016-10-31";
/// Accepted, since its functions are what the evaluation refuses or already knows.
const LANGUAGE_EXTENSIONS: &str = "AWS::LanguageExtensions";

/// A template with its parameters' values.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    /// As it was submitted.
    pub(crate) original: String,
    /// As the transforms left it.
    pub(crate) template: Template,
    /// In the template's order.
    pub(crate) parameters: Vec<Parameter>,
    resolved: BTreeMap<String, ResolvedParameter>,
    conditions: BTreeMap<String, bool>,
    /// Those whose conditions hold, by logical id, in the template's order.
    pub(crate) resources: IndexMap<String, Planned>,
    /// Their logical ids, each after those it needs.
    pub(crate) order: Vec<String>,
    /// The transforms that the submitted template declared.
    pub(crate) transforms: Vec<String>,
}

/// A parameter's value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    /// As given; the name, where the type refers to the parameter store.
    pub(crate) value: String,
    /// What the parameter store had, where the type refers to it.
    pub(crate) stored: Option<String>,
    pub(crate) no_echo: bool,
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}={}", self.key, self.shown())
    }
}

impl Parameter {
    fn shown(&self) -> &str {
        if self.no_echo { "****" } else { &self.value }
    }
}

/// A resource that shall exist.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub(crate) logical_id: String,
    pub(crate) resource_type: String,
    /// With its functions unevaluated.
    pub(crate) properties: Value,
    pub(crate) metadata: Value,
    pub(crate) deletion_policy: Option<String>,
    pub(crate) update_replace_policy: Option<String>,
    /// Logical ids of what has to exist before.
    pub(crate) depends_on: Vec<String>,
}

/// An output that shall be given.
#[derive(Debug, Clone)]
pub(crate) struct PlannedOutput {
    pub(crate) value: Value,
    pub(crate) description: Option<String>,
    pub(crate) export: Option<Value>,
}

/// A template that has been read, and not yet been given parameters.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    original: String,
    submitted: Template,
    transforms: Vec<String>,
}

impl Draft {
    /// Reads a template, and refuses transforms that the loopback does not have.
    pub(crate) fn read(original: String) -> Result<Self, AwsError> {
        let submitted = Template::parse(&original).map_err(|error| template_error(&error))?;
        let transforms: Vec<String> = submitted
            .transforms()
            .into_iter()
            .map(str::to_owned)
            .collect();
        if let Some(unknown) = transforms
            .iter()
            .find(|name| *name != SERVERLESS && *name != LANGUAGE_EXTENSIONS)
        {
            return Err(validation(format!(
                "No transform named {unknown} found: the loopback serves {SERVERLESS} only"
            )));
        }
        Ok(Self {
            original,
            submitted,
            transforms,
        })
    }

    /// The template as it was submitted.
    pub(crate) fn template(&self) -> &Template {
        &self.submitted
    }

    /// The declared transforms.
    pub(crate) fn transforms(&self) -> &[String] {
        &self.transforms
    }

    /// The template after its transforms, checked.
    ///
    /// A few logical ids depend on the parameters' values; those that are not in `parameters` have their defaults.
    pub(crate) fn processed(
        &self,
        region: &str,
        parameters: BTreeMap<String, String>,
    ) -> Result<Template, AwsError> {
        let context = Context {
            region: region.to_owned(),
            parameters,
        };
        let template = towpath_template::sam::transform(&self.submitted, &context)
            .map_err(|error| transform_error(&error))?;
        template.check().map_err(|error| template_error(&error))?;
        Ok(template)
    }

    /// The names that the parameter store is asked for, given these values.
    pub(crate) fn stored_names(
        &self,
        given: &BTreeMap<String, String>,
        previous: &BTreeMap<String, String>,
    ) -> Vec<String> {
        self.submitted
            .parameters()
            .iter()
            .filter(|(_, declaration)| is_stored(declaration))
            .filter_map(|(name, declaration)| {
                given
                    .get(name)
                    .or_else(|| previous.get(name))
                    .cloned()
                    .or_else(|| input::text(declaration, "Default"))
            })
            .collect()
    }

    /// The blueprint with these parameter values.
    pub(crate) fn resolve(
        self,
        given: &BTreeMap<String, String>,
        previous: &BTreeMap<String, String>,
        stored: &BTreeMap<String, String>,
        region: &str,
        environment: &dyn Environment,
    ) -> Result<Blueprint, AwsError> {
        let mut values = previous.clone();
        values.extend(given.clone());
        let template = self.processed(region, values)?;
        let resolved = towpath_template::parameters::resolve(&template, given, previous, &|name| {
            stored.get(name).cloned()
        })
        .map_err(|error| template_error(&error))?;
        let parameters = template
            .parameters()
            .iter()
            .filter_map(|(key, declaration)| {
                let parameter = resolved.get(key)?;
                Some(Parameter {
                    key: key.clone(),
                    value: parameter.text.clone(),
                    stored: is_stored(declaration)
                        .then(|| stored.get(&parameter.text).cloned())
                        .flatten(),
                    no_echo: parameter.no_echo,
                })
            })
            .collect();
        let conditions = towpath_template::conditions(&template, &resolved, environment)
            .map_err(|error| template_error(&error.into()))?;
        let order: Vec<String> = towpath_template::order_with(&template, &conditions)
            .map_err(|error| template_error(&error))?
            .into_iter()
            .flatten()
            .collect();
        let kept: BTreeSet<&str> = order.iter().map(String::as_str).collect();
        let resources = template
            .resources()
            .iter()
            .filter(|(id, _)| kept.contains(id.as_str()))
            .map(|(id, resource)| {
                (
                    id.clone(),
                    planned(id, resource, &template, &conditions, &kept),
                )
            })
            .collect();
        Ok(Blueprint {
            original: self.original,
            template,
            parameters,
            resolved,
            conditions,
            resources,
            order,
            transforms: self.transforms,
        })
    }
}

impl Blueprint {
    /// A blueprint of nothing: what a stack has whose first change set has not been executed.
    pub(crate) fn empty() -> Self {
        Self {
            original: String::new(),
            template: Template::from_value(json!({ "Resources": {} }))
                .unwrap_or_else(|_| unreachable!("a mapping with resources is a template")),
            parameters: Vec::new(),
            resolved: BTreeMap::new(),
            conditions: BTreeMap::new(),
            resources: IndexMap::new(),
            order: Vec::new(),
            transforms: Vec::new(),
        }
    }

    /// Evaluates a value that stands at `path` of the template.
    pub(crate) fn evaluate(
        &self,
        path: &str,
        raw: &Value,
        environment: &dyn Environment,
    ) -> Result<Value, String> {
        Evaluation {
            template: &self.template,
            parameters: &self.resolved,
            conditions: &self.conditions,
            environment,
        }
        .at(path, raw)
        .map_err(|error| format!("Template error: {error}"))
    }

    /// The value of a parameter, as given.
    pub(crate) fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|parameter| parameter.key == key)
            .map(|parameter| parameter.value.as_str())
    }

    /// The outputs whose conditions hold.
    pub(crate) fn outputs(&self) -> Vec<(String, PlannedOutput)> {
        self.template
            .outputs()
            .iter()
            .filter(|(_, output)| {
                input::text(output, "Condition")
                    .is_none_or(|condition| self.conditions.get(&condition) != Some(&false))
            })
            .map(|(key, output)| {
                let planned = PlannedOutput {
                    value: output.get("Value").cloned().unwrap_or_default(),
                    description: input::text(output, "Description"),
                    export: output
                        .get("Export")
                        .and_then(|export| export.get("Name"))
                        .cloned(),
                };
                (key.clone(), planned)
            })
            .collect()
    }

    /// The parameters as the API shows them: what must not be echoed is masked.
    pub(crate) fn describe_parameters(&self) -> Vec<Value> {
        self.parameters
            .iter()
            .map(|parameter| {
                json!({
                    "ParameterKey": parameter.key,
                    "ParameterValue": parameter.shown(),
                })
                .with("ResolvedValue", parameter.stored.clone())
            })
            .collect()
    }

    /// A text in which no value appears that must not be echoed.
    pub(crate) fn mask(&self, mut text: String) -> String {
        for parameter in &self.parameters {
            if parameter.no_echo && !parameter.value.is_empty() && text.contains(&parameter.value) {
                text = text.replace(&parameter.value, "****");
            }
        }
        text
    }

    /// The same for every text within a value.
    pub(crate) fn mask_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask(text)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.mask_value(item))
                .collect(),
            Value::Object(object) => object
                .into_iter()
                .map(|(key, value)| (key, self.mask_value(value)))
                .collect::<Map<_, _>>()
                .into(),
            other => other,
        }
    }

    /// Whether outputs would be the same, as far as the template decides that.
    pub(crate) fn same_outputs(&self, other: &Self) -> bool {
        let both = (
            Value::Object(self.template.outputs().clone()),
            Value::Object(other.template.outputs().clone()),
        );
        same(&both.0, &both.1)
    }

    /// What is said of an update that changes nothing.
    pub(crate) fn nothing_to_do(&self) -> &'static str {
        if self.transforms.is_empty() {
            super::change_set::NO_CHANGES
        } else {
            NO_UPDATES
        }
    }
}

fn planned(
    id: &str,
    resource: &Value,
    template: &Template,
    conditions: &BTreeMap<String, bool>,
    kept: &BTreeSet<&str>,
) -> Planned {
    Planned {
        logical_id: id.to_owned(),
        resource_type: input::text(resource, "Type").unwrap_or_default(),
        properties: resource
            .get("Properties")
            .cloned()
            .unwrap_or_else(|| Value::Object(Map::new())),
        metadata: resource.get("Metadata").cloned().unwrap_or_default(),
        deletion_policy: input::text(resource, "DeletionPolicy"),
        update_replace_policy: input::text(resource, "UpdateReplacePolicy"),
        depends_on: towpath_template::dependencies(resource, template, conditions)
            .into_iter()
            .filter(|need| kept.contains(need.as_str()) && need != id)
            .collect(),
    }
}

fn is_stored(declaration: &Value) -> bool {
    input::text(declaration, "Type")
        .is_some_and(|kind| kind.starts_with("AWS::SSM::Parameter::Value<"))
}

/// What the transform refuses, in the words of the service that runs it.
fn transform_error(error: &TemplateError) -> AwsError {
    let subject = match error {
        TemplateError::Transform {
            resource: Some(id),
            what,
        } => format!("Resource with id [{id}] is invalid. {what}"),
        TemplateError::Transform {
            resource: None,
            what,
        } => format!("the template {what}"),
        other => return template_error(other),
    };
    validation(format!(
        "Transform {SERVERLESS} failed with: Invalid Serverless Application Specification document. Number of errors found: 1. {subject}"
    ))
}

/// A template's fault in CloudFormation's words, with what to do about it where those are silent.
pub(crate) fn template_error(error: &TemplateError) -> AwsError {
    validation(match error {
        TemplateError::Syntax(syntax) => format!(
            "Template format error: YAML not well-formed. (line {}, column {}): {}; {}",
            syntax.line, syntax.column, syntax.what, syntax.fix
        ),
        TemplateError::Structure { path, what }
            if path == "Resources" || what.contains("no `Resources` section") =>
        {
            format!(
                "Template format error: At least one Resources member must be defined. (`{path}` {what})"
            )
        }
        TemplateError::Unresolved { names, section } if *section == "Conditions" => format!(
            "Template format error: Unresolved dependencies [{}]. Cannot reference resources in the Conditions block of the template",
            names.join(", ")
        ),
        TemplateError::Unresolved { names, section } => format!(
            "Template format error: Unresolved resource dependencies [{}] in the {section} block of the template",
            names.join(", ")
        ),
        TemplateError::Cycle { chain } => {
            let mut names: Vec<&str> = chain.iter().map(String::as_str).collect();
            names.pop();
            format!(
                "Circular dependency between resources: [{}]",
                names.join(", ")
            )
        }
        TemplateError::MissingParameters { names } => {
            format!("Parameters: [{}] must have values", names.join(", "))
        }
        TemplateError::UnknownParameters { names, .. } => {
            format!(
                "Parameters: [{}] do not exist in the template",
                names.join(", ")
            )
        }
        TemplateError::Parameter { name, what } => format!("Parameter '{name}' {what}"),
        TemplateError::Evaluate(error) => format!("Template error: {error}"),
        other => format!("Template format error: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_templates_faults_are_told_in_cloudformations_words() {
        for (text, expected) in [
            (
                "Resources: {A: {Type: AWS::SNS::Topic, Properties: {N: !Ref Missing}}}",
                "Template format error: Unresolved resource dependencies [Missing] in the Resources block of the template",
            ),
            (
                "Resources: {A: {Type: AWS::SNS::Topic, DependsOn: B}, B: {Type: AWS::SNS::Topic, DependsOn: A}}",
                "Circular dependency between resources: [A, B]",
            ),
            (
                "Resources: {}",
                "Template format error: At least one Resources member must be defined. (`Resources` is empty: a stack has at least one resource)",
            ),
        ] {
            let error = Draft::read(text.to_owned())
                .and_then(|draft| draft.processed("us-east-1", BTreeMap::new()))
                .unwrap_err();
            assert_eq!(error.code, "ValidationError", "{text}");
            assert_eq!(error.message, expected, "{text}");
        }
        let broken = Draft::read("Resources: [".to_owned()).unwrap_err();
        assert!(
            broken
                .message
                .starts_with("Template format error: YAML not well-formed. (line "),
            "{broken}"
        );
        let macro_error =
            Draft::read("Transform: MyMacro\nResources: {A: {Type: AWS::SNS::Topic}}".to_owned())
                .unwrap_err();
        assert!(macro_error.message.contains("MyMacro"), "{macro_error}");
    }
}
