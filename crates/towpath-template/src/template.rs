//! A template: its text, its sections, and the checks that need no deployment.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::suggest::{did_you_mean, nearest};
use crate::{TemplateError, graph, yaml};

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// The sections a template may have. `Globals` belongs to SAM.
const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];
/// The attributes a resource may have beside its properties.
const ATTRIBUTES: &[&str] = &[
    "Condition",
    "Connectors",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "IgnoreGlobals",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
    "Version",
];

/// A CloudFormation or SAM template, in long form, with the order of its text kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    root: Value,
}

impl Template {
    /// Reads YAML (with short-form tags) or JSON. See [`yaml`] for what scalars mean.
    ///
    /// Only the text and the outermost shape are judged here, so that a template with sections that this crate does
    /// not know can still be packaged. [`Template::check`] judges the rest.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::from_value(yaml::read(text)?)
    }

    /// A template from a value in long form.
    pub fn from_value(root: Value) -> Result<Self, TemplateError> {
        let Some(map) = root.as_object() else {
            return Err(TemplateError::structure(
                "template",
                format!("is {}, not a mapping: start with `Resources:`", kind(&root)),
            ));
        };
        for section in [
            "Parameters",
            "Resources",
            "Outputs",
            "Mappings",
            "Conditions",
            "Globals",
        ] {
            if let Some(value) = map.get(section)
                && !value.is_object()
            {
                let what = format!(
                    "is {}, not a mapping of names: give it entries or remove it",
                    kind(value)
                );
                return Err(TemplateError::structure(section, what));
            }
        }
        if !map.contains_key("Resources") {
            let near = nearest("Resources", map.keys().map(String::as_str));
            let near = near
                .map(|near| format!("; is `{near}` meant to be it?"))
                .unwrap_or_default();
            let what = format!("has no `Resources` section, so there is nothing to deploy{near}");
            return Err(TemplateError::structure("template", what));
        }
        Ok(Self { root })
    }

    /// The whole template in long form.
    pub fn value(&self) -> &Value {
        &self.root
    }

    /// The whole template in long form.
    pub fn into_value(self) -> Value {
        self.root
    }

    /// YAML that [`Template::parse`] reads as the same template. Comments and anchors of the original are gone.
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.root)
    }

    /// Indented JSON that [`Template::parse`] reads as the same template.
    pub fn to_json(&self) -> String {
        format!("{:#}", self.root)
    }

    /// `Parameters`, empty if there are none.
    pub fn parameters(&self) -> &Map<String, Value> {
        self.section("Parameters")
    }

    /// `Resources`.
    pub fn resources(&self) -> &Map<String, Value> {
        self.section("Resources")
    }

    /// `Outputs`, empty if there are none.
    pub fn outputs(&self) -> &Map<String, Value> {
        self.section("Outputs")
    }

    /// `Mappings`, empty if there are none.
    pub fn mappings(&self) -> &Map<String, Value> {
        self.section("Mappings")
    }

    /// `Conditions`, empty if there are none.
    pub fn conditions(&self) -> &Map<String, Value> {
        self.section("Conditions")
    }

    /// The names of the template's transforms, in the order given.
    pub fn transforms(&self) -> Vec<&str> {
        fn name(value: &Value) -> Option<&str> {
            value.as_str().or_else(|| value.get("Name")?.as_str())
        }
        match self.root.get("Transform") {
            Some(Value::Array(items)) => items.iter().filter_map(name).collect(),
            Some(value) => name(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// `Description`, if there is one.
    pub fn description(&self) -> Option<&str> {
        self.root.get("Description")?.as_str()
    }

    fn section(&self, name: &str) -> &Map<String, Value> {
        self.root
            .get(name)
            .and_then(Value::as_object)
            .unwrap_or(&NOTHING)
    }

    /// What CloudFormation checks before it makes anything: known sections and attributes, a type for every
    /// resource, no nulls, every reference answered, conditions that exist, no cycle.
    ///
    /// It is meant for a template after its transforms; SAM's own types and `Globals` pass, their references to
    /// generated resources do not.
    pub fn check(&self) -> Result<(), TemplateError> {
        let root = self.root.as_object().unwrap_or(&NOTHING);
        if let Some(unknown) = root.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
            let near = did_you_mean(unknown, SECTIONS.iter().copied());
            return Err(TemplateError::structure(
                unknown,
                format!("is no section of a template{near}"),
            ));
        }
        if self.resources().is_empty() {
            return Err(TemplateError::structure(
                "Resources",
                "is empty: a stack has at least one resource",
            ));
        }
        for (id, resource) in self.resources() {
            self.check_resource(id, resource)?;
        }
        for (name, output) in self.outputs() {
            let path = format!("Outputs.{name}");
            if output.get("Value").is_none() {
                return Err(TemplateError::structure(path, "has no `Value`"));
            }
            self.check_condition(&path, output)?;
        }
        for (section, value) in root {
            refuse_nulls(section, value)?;
        }
        graph::check_references(self)?;
        graph::order(self).map(|_| ())
    }

    fn check_resource(&self, id: &str, resource: &Value) -> Result<(), TemplateError> {
        let path = format!("Resources.{id}");
        if id.starts_with("Fn::") {
            let what = "needs the transform AWS::LanguageExtensions, which is not available here: write it out";
            return Err(TemplateError::structure(path, what));
        }
        if id.is_empty()
            || !id
                .chars()
                .all(|character| character.is_ascii_alphanumeric())
        {
            return Err(TemplateError::structure(
                path,
                "is no logical id: only letters and digits may be in it",
            ));
        }
        let Some(map) = resource.as_object() else {
            return Err(TemplateError::structure(
                path,
                format!("is {}, not a mapping with a `Type`", kind(resource)),
            ));
        };
        match map.get("Type") {
            Some(Value::String(name)) if name.contains("::") => {}
            Some(Value::String(name)) => {
                let what = format!(
                    "has the type `{name}`, which is no resource type such as `AWS::S3::Bucket`"
                );
                return Err(TemplateError::structure(path, what));
            }
            _ => return Err(TemplateError::structure(path, "has no `Type`")),
        }
        if let Some(unknown) = map.keys().find(|key| !ATTRIBUTES.contains(&key.as_str())) {
            let near = did_you_mean(unknown, ATTRIBUTES.iter().copied());
            let what = format!("has the attribute `{unknown}`, which no resource has{near}");
            return Err(TemplateError::structure(path, what));
        }
        if map
            .get("Properties")
            .is_some_and(|properties| !properties.is_object())
        {
            return Err(TemplateError::structure(
                format!("{path}.Properties"),
                "is not a mapping",
            ));
        }
        self.check_condition(&path, resource)
    }

    fn check_condition(&self, path: &str, entry: &Value) -> Result<(), TemplateError> {
        let Some(condition) = entry.get("Condition") else {
            return Ok(());
        };
        let known = self.conditions();
        match condition.as_str() {
            Some(name) if known.contains_key(name) => Ok(()),
            Some(name) => {
                let near = did_you_mean(name, known.keys().map(String::as_str));
                let what = format!(
                    "depends on the condition `{name}`, which the template does not define{near}"
                );
                Err(TemplateError::structure(path, what))
            }
            None => Err(TemplateError::structure(
                path,
                "has a `Condition` that is not the name of one",
            )),
        }
    }

    /// The logical ids of all resources.
    pub(crate) fn ids(&self) -> BTreeSet<&str> {
        self.resources().keys().map(String::as_str).collect()
    }
}

/// CloudFormation refuses a null wherever it stands.
fn refuse_nulls(path: &str, value: &Value) -> Result<(), TemplateError> {
    match value {
        Value::Null => {
            let what = "is null, which CloudFormation does not allow: give it a value, remove it, or quote it";
            Err(TemplateError::structure(path, what))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| refuse_nulls(&format!("{path}.{index}"), item)),
        Value::Object(map) => map
            .iter()
            .try_for_each(|(key, item)| refuse_nulls(&format!("{path}.{key}"), item)),
        _ => Ok(()),
    }
}

/// A value's kind as a person would call it.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::Template;

    fn problem(text: &str) -> String {
        match Template::parse(text).and_then(|template| template.check()) {
            Ok(()) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_template_of_the_wrong_shape_says_where_and_what() {
        let mut seen = Vec::new();
        for text in [
            "- a",
            "Resourcs: {A: {Type: AWS::SNS::Topic}}",
            "Resources:",
            "Resources: {}",
            "Parameters:\nResources: {A: {Type: AWS::SNS::Topic}}",
            "Resources: {A: {Properties: {}}}",
            "Resources: {A: {Type: Topic}}",
            "Resources: {A-b: {Type: AWS::SNS::Topic}}",
            "Resources: {A: {Type: AWS::SNS::Topic, DependOn: B}}",
            "Resources: {A: {Type: AWS::SNS::Topic, DependsOn: B}}",
            "Resources: {A: {Type: AWS::SNS::Topic, Condition: Prod}}",
            "Resources: {A: {Type: AWS::SNS::Topic, Properties: {TopicName: }}}",
            "Resources: {A: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Nmae}}}\nParameters: {Name: {Type: String}}",
            "Resources: {A: {Type: AWS::SNS::Topic}}\nOutputs: {B: {Value: !GetAtt C.Arn}}",
            "Resources: {A: {Type: AWS::SNS::Topic}}\nOutputs: {B: {Value: !Sub 'in ${AWS::Regionn}'}}",
            "Resources: {A: {Type: AWS::SNS::Topic}}\nOutputs: {B: {Description: x}}",
            "Resources: {A: {Type: AWS::SNS::Topic}}\nResource: {}",
            "Resources: {'Fn::ForEach::Topics': [a]}",
            "Resources: {A: {Type: AWS::SNS::Topic, DependsOn: B}, B: {Type: AWS::SNS::Topic, DependsOn: [A]}}",
        ] {
            seen.push(problem(text));
        }
        insta::assert_snapshot!(seen.join("\n"), @r"
        `template` is a list, not a mapping: start with `Resources:`
        `template` has no `Resources` section, so there is nothing to deploy; is `Resourcs` meant to be it?
        `Resources` is empty, not a mapping of names: give it entries or remove it
        `Resources` is empty: a stack has at least one resource
        `Parameters` is empty, not a mapping of names: give it entries or remove it
        `Resources.A` has no `Type`
        `Resources.A` has the type `Topic`, which is no resource type such as `AWS::S3::Bucket`
        `Resources.A-b` is no logical id: only letters and digits may be in it
        `Resources.A` has the attribute `DependOn`, which no resource has; did you mean `DependsOn`?
        unresolved resource dependencies [B] in the Resources block of the template
        `Resources.A` depends on the condition `Prod`, which the template does not define
        `Resources.A.Properties.TopicName` is null, which CloudFormation does not allow: give it a value, remove it, or quote it
        unresolved resource dependencies [Nmae] in the Resources block of the template
        unresolved resource dependencies [C] in the Outputs block of the template
        unresolved resource dependencies [AWS::Regionn] in the Outputs block of the template
        `Outputs.B` has no `Value`
        `Resource` is no section of a template; did you mean `Resources`?
        `Resources.Fn::ForEach::Topics` needs the transform AWS::LanguageExtensions, which is not available here: write it out
        circular dependency between resources: [A -> B -> A]
        ");
    }

    #[test]
    fn sections_and_transforms_are_found() {
        let template = Template::parse(
            "Description: d\nTransform: [AWS::Serverless-2016-10-31, {Name: AWS::Include, Parameters: {}}]\n\
             Resources: {A: {Type: AWS::SNS::Topic}}",
        )
        .unwrap();
        assert_eq!(
            template.transforms(),
            ["AWS::Serverless-2016-10-31", "AWS::Include"]
        );
        assert_eq!(template.description(), Some("d"));
        assert!(template.parameters().is_empty());
        assert_eq!(template.resources().len(), 1);
    }

    #[test]
    fn both_texts_of_a_template_read_as_the_template() {
        let template = Template::parse(
            "Resources: {A: {Type: AWS::SNS::Topic, Properties: {T: !Sub '${A}'}}}",
        )
        .unwrap();
        assert_eq!(Template::parse(&template.to_yaml()).unwrap(), template);
        assert_eq!(Template::parse(&template.to_json()).unwrap(), template);
    }
}
