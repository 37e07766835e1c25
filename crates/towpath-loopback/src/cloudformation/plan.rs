//! What would change: the difference between what a stack has and what a template asks for.
//!
//! Pure. A change set shows it; an empty one means that there is nothing to do.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::blueprint::{Blueprint, Planned};
use super::references::{References, references};
use super::resources;
use super::stack::Resource;
use super::wire::Object;

/// Stands for a value that only the deployment can know, as change sets write it.
pub(crate) const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// What is to be done with one resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) logical_id: String,
    pub(crate) physical_id: Option<String>,
    pub(crate) resource_type: String,
    pub(crate) replacement: Option<Replacement>,
    /// What happens to the physical resource, where that is not plain.
    pub(crate) policy_action: Option<&'static str>,
    pub(crate) scope: Vec<&'static str>,
    pub(crate) details: Vec<Detail>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    /// The change set of a nested stack.
    pub(crate) inner: Option<String>,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Add,
    Import,
    Modify,
    Remove,
}

/// Whether a modification makes a new physical resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replacement {
    True,
    False,
    /// It depends on a value that only the deployment can know.
    Conditional,
}

/// Why a resource changes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Detail {
    pub(crate) attribute: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) requires_recreation: &'static str,
    pub(crate) evaluation: &'static str,
    pub(crate) source: &'static str,
    pub(crate) causing_entity: Option<String>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

/// The names of the properties that differ, in the order of the new ones. A number and its text are the same.
pub(crate) fn changed_properties(before: &Value, after: &Value) -> Vec<String> {
    let empty = Map::new();
    let old = before.as_object().unwrap_or(&empty);
    let new = after.as_object().unwrap_or(&empty);
    new.iter()
        .filter(|(name, value)| !old.get(*name).is_some_and(|former| same(former, value)))
        .map(|(name, _)| name.clone())
        .chain(old.keys().filter(|name| !new.contains_key(*name)).cloned())
        .collect()
}

/// Equality as CloudFormation sees it: scalars by their text, objects without order.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right))
        }
        (left, right) => match (scalar(left), scalar(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Whether changing these properties of a type needs a new physical resource.
pub(crate) fn needs_replacement(resource_type: &str, changed: &[String]) -> bool {
    let replaced_by = resources::find(resource_type).map_or(&[][..], |known| known.replaced_by);
    changed
        .iter()
        .any(|property| replaced_by.contains(&property.as_str()))
}

/// What the deployment of `after` would do to a stack that has `current`.
///
/// `project` evaluates a resource's properties with everything that is known now, with
/// [`UNKNOWN`] in place of what the named resources (new, or to be replaced) would give.
pub(crate) fn changes(
    current: &IndexMap<String, Resource>,
    before: Option<&Blueprint>,
    after: &Blueprint,
    mut project: impl FnMut(&Planned, &BTreeSet<String>) -> Value,
) -> Vec<Change> {
    let mut unknown: BTreeSet<String> = after
        .resources
        .keys()
        .filter(|id| !exists(current, id))
        .cloned()
        .collect();
    let mut replaced: BTreeMap<String, Replacement> = BTreeMap::new();
    let mut found = Vec::new();
    for logical_id in &after.order {
        let Some(planned) = after.resources.get(logical_id) else {
            continue;
        };
        let properties = project(planned, &unknown);
        let change = match current
            .get(logical_id)
            .filter(|_| exists(current, logical_id))
        {
            None => Some(addition(planned, properties)),
            Some(resource) => {
                let former = before.and_then(|before| before.resources.get(logical_id));
                modification(
                    resource, former, planned, properties, before, after, &replaced,
                )
            }
        };
        let Some(change) = change else { continue };
        if let Some(replacement @ (Replacement::True | Replacement::Conditional)) =
            change.replacement
        {
            unknown.insert(logical_id.clone());
            replaced.insert(logical_id.clone(), replacement);
        }
        found.push(change);
    }
    for resource in current.values().rev() {
        if !resource.status.gone() && !after.resources.contains_key(&resource.logical_id) {
            found.push(removal(resource));
        }
    }
    found
}

fn exists(current: &IndexMap<String, Resource>, id: &str) -> bool {
    current
        .get(id)
        .is_some_and(|resource| !resource.status.gone() && resource.physical_id.is_some())
}

fn addition(planned: &Planned, properties: Value) -> Change {
    Change {
        action: Action::Add,
        logical_id: planned.logical_id.clone(),
        physical_id: None,
        resource_type: planned.resource_type.clone(),
        replacement: None,
        policy_action: None,
        scope: Vec::new(),
        details: Vec::new(),
        before: None,
        after: Some(json!({ "Properties": properties })),
        inner: None,
    }
}

fn removal(resource: &Resource) -> Change {
    let policy_action = match resource.deletion_policy.as_deref() {
        Some("Retain" | "RetainExceptOnCreate") => "Retain",
        Some("Snapshot") => "Snapshot",
        _ => "Delete",
    };
    Change {
        action: Action::Remove,
        logical_id: resource.logical_id.clone(),
        physical_id: resource.physical_id.clone(),
        resource_type: resource.resource_type.clone(),
        replacement: None,
        policy_action: Some(policy_action),
        scope: Vec::new(),
        details: Vec::new(),
        before: Some(json!({ "Properties": resource.properties })),
        after: None,
        inner: None,
    }
}

fn modification(
    resource: &Resource,
    former: Option<&Planned>,
    planned: &Planned,
    properties: Value,
    before: Option<&Blueprint>,
    after: &Blueprint,
    replaced: &BTreeMap<String, Replacement>,
) -> Option<Change> {
    let type_changed = resource.resource_type != planned.resource_type;
    let mut details = Vec::new();
    let mut scope = Vec::new();
    let mut replacement = Replacement::False;
    for property in changed_properties(&resource.properties, &properties) {
        let recreates = needs_replacement(&planned.resource_type, std::slice::from_ref(&property));
        let cause = cause(former, planned, &property, before, after, replaced);
        let attribute = if property == "Tags" {
            "Tags"
        } else {
            "Properties"
        };
        if !scope.contains(&attribute) {
            scope.push(attribute);
        }
        if recreates {
            replacement = match (cause.evaluation, replacement) {
                ("Static", _) | (_, Replacement::True) => Replacement::True,
                _ => Replacement::Conditional,
            };
        }
        details.push(Detail {
            attribute,
            name: (attribute == "Properties").then(|| property.clone()),
            requires_recreation: if recreates { "Always" } else { "Never" },
            evaluation: cause.evaluation,
            source: cause.source,
            causing_entity: cause.entity,
            before: resource.properties.get(&property).cloned(),
            after: properties.get(&property).cloned(),
        });
    }
    for (attribute, changed) in [
        ("Metadata", !same(&resource.metadata, &planned.metadata)),
        (
            "DeletionPolicy",
            resource.deletion_policy != planned.deletion_policy,
        ),
        (
            "UpdateReplacePolicy",
            resource.update_replace_policy != planned.update_replace_policy,
        ),
    ] {
        if changed {
            scope.push(attribute);
            details.push(Detail {
                attribute,
                name: None,
                requires_recreation: "Never",
                evaluation: "Static",
                source: "DirectModification",
                causing_entity: None,
                before: None,
                after: None,
            });
        }
    }
    if type_changed {
        replacement = Replacement::True;
        if scope.is_empty() {
            scope.push("Properties");
        }
    }
    if details.is_empty() && !type_changed && !resource.status.failed() {
        return None;
    }
    let policy_action = match resource.update_replace_policy.as_deref() {
        _ if replacement != Replacement::True => None,
        Some("Retain") => Some("ReplaceAndRetain"),
        Some("Snapshot") => Some("ReplaceAndSnapshot"),
        _ => Some("ReplaceAndDelete"),
    };
    Some(Change {
        action: Action::Modify,
        logical_id: planned.logical_id.clone(),
        physical_id: resource.physical_id.clone(),
        resource_type: planned.resource_type.clone(),
        replacement: Some(replacement),
        policy_action,
        scope,
        details,
        before: Some(json!({ "Properties": resource.properties })),
        after: Some(json!({ "Properties": properties })),
        inner: None,
    })
}

struct Cause {
    source: &'static str,
    evaluation: &'static str,
    entity: Option<String>,
}

/// Where the new value of a property comes from: the template itself, a parameter, or another resource.
fn cause(
    former: Option<&Planned>,
    planned: &Planned,
    property: &str,
    before: Option<&Blueprint>,
    after: &Blueprint,
    replaced: &BTreeMap<String, Replacement>,
) -> Cause {
    let raw = planned.properties.get(property);
    let References { names, attributes } = raw.map(references).unwrap_or_default();
    for (resource, attribute) in &attributes {
        if replaced.contains_key(resource) {
            return Cause {
                source: "ResourceAttribute",
                evaluation: "Dynamic",
                entity: Some(format!("{resource}.{attribute}")),
            };
        }
    }
    for name in &names {
        if replaced.contains_key(name) {
            return Cause {
                source: "ResourceReference",
                evaluation: "Dynamic",
                entity: Some(name.clone()),
            };
        }
    }
    let untouched = former.is_some_and(|former| former.properties.get(property) == raw);
    if untouched && let Some(before) = before {
        for name in &names {
            if after.parameter(name).is_some() && after.parameter(name) != before.parameter(name) {
                return Cause {
                    source: "ParameterReference",
                    evaluation: "Static",
                    entity: Some(name.clone()),
                };
            }
        }
    }
    Cause {
        source: "DirectModification",
        evaluation: "Static",
        entity: None,
    }
}

impl Change {
    /// Of a nested stack whose own properties stay as they are: what is within may change.
    pub(crate) fn automatic(resource: &Resource) -> Self {
        let context = json!({ "Properties": resource.properties });
        Self {
            action: Action::Modify,
            logical_id: resource.logical_id.clone(),
            physical_id: resource.physical_id.clone(),
            resource_type: resource.resource_type.clone(),
            replacement: Some(Replacement::False),
            policy_action: None,
            scope: vec!["Properties"],
            details: vec![Detail {
                attribute: "Properties",
                name: None,
                requires_recreation: "Never",
                evaluation: "Dynamic",
                source: "Automatic",
                causing_entity: None,
                before: None,
                after: None,
            }],
            before: Some(context.clone()),
            after: Some(context),
            inner: None,
        }
    }

    /// As `DescribeChangeSet` shows it.
    pub(crate) fn describe(&self, with_values: bool) -> Value {
        let details: Vec<Value> = self
            .details
            .iter()
            .map(|detail| detail.describe(with_values))
            .collect();
        let change = json!({
            "Action": match self.action {
                Action::Add => "Add",
                Action::Import => "Import",
                Action::Modify => "Modify",
                Action::Remove => "Remove",
            },
            "LogicalResourceId": self.logical_id,
            "ResourceType": self.resource_type,
            "Scope": self.scope,
            "Details": details,
        })
        .with("PolicyAction", self.policy_action)
        .with("PhysicalResourceId", self.physical_id.clone())
        .with("ChangeSetId", self.inner.clone())
        .with(
            "Replacement",
            self.replacement.map(|replacement| match replacement {
                Replacement::True => "True",
                Replacement::False => "False",
                Replacement::Conditional => "Conditional",
            }),
        )
        .with(
            "BeforeContext",
            self.before
                .as_ref()
                .filter(|_| with_values)
                .map(Value::to_string),
        )
        .with(
            "AfterContext",
            self.after
                .as_ref()
                .filter(|_| with_values)
                .map(Value::to_string),
        );
        json!({ "Type": "Resource", "ResourceChange": change })
    }
}

impl Detail {
    fn describe(&self, with_values: bool) -> Value {
        let value = |value: &Option<Value>| {
            value
                .as_ref()
                .filter(|_| with_values)
                .map(|value| scalar(value).unwrap_or_else(|| value.to_string()))
        };
        let kind = match (&self.before, &self.after) {
            (None, None) => None,
            (None, Some(_)) => Some("Add"),
            (Some(_), None) => Some("Remove"),
            (Some(_), Some(_)) => Some("Modify"),
        };
        let path = self.name.as_ref().map(|name| format!("/Properties/{name}"));
        let target = json!({
            "Attribute": self.attribute,
            "RequiresRecreation": self.requires_recreation,
        })
        .with("Name", self.name.clone())
        .with("Path", path.filter(|_| with_values))
        .with("AttributeChangeType", kind.filter(|_| with_values))
        .with("BeforeValue", value(&self.before))
        .with("AfterValue", value(&self.after));
        json!({
            "Target": target,
            "Evaluation": self.evaluation,
            "ChangeSource": self.source,
        })
        .with("CausingEntity", self.causing_entity.clone())
    }
}
