//! Which values of a plan must not be shown: those that a `NoEcho` parameter flows into.
//!
//! The templates tell. When in doubt a value is hidden: a text that merely contains the name of
//! the parameter counts as one that uses it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::STACK_TYPE;

/// What is not to be shown of one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hidden {
    /// No value.
    Everything,
    /// The values that these names flow into.
    Some {
        /// Parameters that are secret, and resources whose attributes give a secret away.
        carriers: BTreeSet<String>,
        /// By logical id: the properties, and the other attributes, that a secret flows into.
        places: BTreeMap<String, BTreeSet<String>>,
    },
}

impl Hidden {
    /// Whether a value is hidden: of a property or of another attribute of a resource, changed
    /// because of `cause`.
    pub(super) fn hides(
        &self,
        logical_id: &str,
        attribute: &str,
        property: Option<&str>,
        cause: Option<&str>,
    ) -> bool {
        let Self::Some { carriers, places } = self else {
            return true;
        };
        let cause = cause.map(|cause| cause.split('.').next().unwrap_or(cause));
        if cause.is_some_and(|cause| carriers.contains(cause)) {
            return true;
        }
        let Some(places) = places.get(logical_id) else {
            return false;
        };
        match (attribute, property) {
            ("Properties", Some(property)) => places.contains(property),
            // Nothing says which property it is.
            ("Properties", None) => true,
            (attribute, _) => places.contains(attribute),
        }
    }
}

/// Works out what is hidden, from every template that values come from. `handed` are parameters
/// that are given a secret by the stack around this one.
pub(super) fn hidden(templates: &[Value], handed: &BTreeSet<String>) -> Hidden {
    let mut carriers = handed.clone();
    for template in templates {
        let parameters = template.get("Parameters").and_then(Value::as_object);
        for (name, declaration) in parameters.into_iter().flatten() {
            if declaration.get("NoEcho").is_some_and(is_true) {
                carriers.insert(name.clone());
            }
        }
    }
    let mut places = BTreeMap::<String, BTreeSet<String>>::new();
    // A resource may carry a secret on to the next one, whichever order they stand in.
    loop {
        let known = carriers.len();
        for (id, resource) in templates.iter().flat_map(resources) {
            let resource_type = resource.get("Type").and_then(Value::as_str).unwrap_or("");
            for (place, value) in values(resource) {
                if !mentions(value, &carriers) {
                    continue;
                }
                places.entry(id.clone()).or_default().insert(place.clone());
                if gives_away(resource_type, place) {
                    carriers.insert(id.clone());
                }
            }
        }
        if carriers.len() == known {
            return Hidden::Some { carriers, places };
        }
    }
}

/// The parameters by which a stack hands secrets to one of its nested stacks; `None` when that
/// cannot be told.
pub(super) fn handed_down(
    templates: &[Value],
    nested: &str,
    hidden: &Hidden,
) -> Option<BTreeSet<String>> {
    let Hidden::Some { carriers, .. } = hidden else {
        return None;
    };
    Some(
        templates
            .iter()
            .filter_map(|template| {
                template
                    .get("Resources")?
                    .get(nested)?
                    .get("Properties")?
                    .get("Parameters")?
                    .as_object()
            })
            .flatten()
            .filter(|(_, value)| mentions(value, carriers))
            .map(|(name, _)| name.clone())
            .collect(),
    )
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        // An intrinsic function, which nothing here evaluates.
        _ => true,
    }
}

fn resources(template: &Value) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    template
        .get("Resources")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(id, resource)| Some((id, resource.as_object()?)))
}

/// The properties of a resource, and its other attributes.
fn values(resource: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let properties = resource.get("Properties").and_then(Value::as_object);
    let others = resource.iter().filter(|(name, _)| *name != "Properties");
    properties.into_iter().flatten().chain(others)
}

/// Whether what is given to this property can be read back from the resource by `Ref` or
/// `Fn::GetAtt`: some types answer with what they were given, and names become ids.
fn gives_away(resource_type: &str, property: &str) -> bool {
    matches!(
        resource_type,
        "AWS::SSM::Parameter"
            | "AWS::CloudFormation::CustomResource"
            | "AWS::CloudFormation::WaitCondition"
    ) || resource_type == STACK_TYPE
        || resource_type.starts_with("Custom::")
        || property.ends_with("Name")
        || property.ends_with("Id")
        || property.ends_with("Identifier")
}

fn mentions(value: &Value, names: &BTreeSet<String>) -> bool {
    match value {
        Value::String(text) => text
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| names.contains(word)),
        Value::Array(items) => items.iter().any(|item| mentions(item, names)),
        Value::Object(members) => members.values().any(|member| mentions(member, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template() -> Value {
        json!({
            "Parameters": {
                "Password": {"Type": "String", "NoEcho": true},
                "Stage": {"Type": "String"},
            },
            "Resources": {
                "Database": {"Type": "AWS::RDS::DBInstance", "Properties": {
                    "MasterUserPassword": {"Ref": "Password"}, "DBInstanceClass": "db.t4g.micro",
                }},
                "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                    "Environment": {"Variables": {"URL": {"Fn::Sub": "db://admin:${Password}@${Database.Endpoint.Address}"}}},
                    "Description": {"Fn::Sub": "for ${Stage}"},
                }},
                "Kept": {"Type": "AWS::SSM::Parameter", "Properties": {"Value": {"Ref": "Password"}}},
                "Reader": {"Type": "AWS::Lambda::Function", "Properties": {
                    "Environment": {"Variables": {"P": {"Fn::GetAtt": ["Kept", "Value"]}}},
                }},
                "Address": {"Type": "AWS::Route53::RecordSet", "Properties": {
                    "Name": {"Fn::GetAtt": ["Function", "Arn"]},
                }},
                "Nested": {"Type": STACK_TYPE, "Properties": {
                    "Parameters": {"Secret": {"Ref": "Password"}, "Stage": {"Ref": "Stage"}},
                }},
            },
        })
    }

    #[test]
    fn what_a_secret_flows_into_is_hidden_and_nothing_else() {
        let hidden = hidden(&[template()], &BTreeSet::new());
        for (id, attribute, property, cause, expected) in [
            (
                "Database",
                "Properties",
                Some("MasterUserPassword"),
                None,
                true,
            ),
            (
                "Database",
                "Properties",
                Some("DBInstanceClass"),
                None,
                false,
            ),
            (
                "Function",
                "Properties",
                Some("Environment"),
                Some("Stage"),
                true,
            ),
            (
                "Function",
                "Properties",
                Some("Description"),
                Some("Stage"),
                false,
            ),
            // Nothing says which property it is.
            ("Function", "Properties", None, None, true),
            ("Kept", "Properties", Some("Value"), None, true),
            // By way of another resource.
            ("Reader", "Properties", Some("Environment"), None, true),
            (
                "Address",
                "Properties",
                Some("Name"),
                Some("Function.Arn"),
                false,
            ),
            // The cause alone gives it away.
            (
                "New",
                "Properties",
                Some("Anything"),
                Some("Password"),
                true,
            ),
            (
                "New",
                "Properties",
                Some("Anything"),
                Some("Kept.Value"),
                true,
            ),
            ("Database", "Metadata", None, None, false),
        ] {
            assert_eq!(
                hidden.hides(id, attribute, property, cause),
                expected,
                "{id} {attribute} {property:?} {cause:?}"
            );
        }
    }

    #[test]
    fn a_value_that_goes_is_hidden_by_the_template_that_goes() {
        let mut new = template();
        new["Parameters"] = json!({});
        new["Resources"]["Database"]["Properties"]["MasterUserPassword"] =
            json!("{{resolve:secretsmanager:db}}");
        let only_new = hidden(&[new.clone()], &BTreeSet::new());
        assert!(!only_new.hides("Database", "Properties", Some("MasterUserPassword"), None));
        let both = hidden(&[new, template()], &BTreeSet::new());
        assert!(both.hides("Database", "Properties", Some("MasterUserPassword"), None));
    }

    #[test]
    fn a_secret_is_followed_into_a_nested_stack() {
        let outer = hidden(&[template()], &BTreeSet::new());
        let handed = handed_down(&[template()], "Nested", &outer).expect("known");
        assert_eq!(handed, BTreeSet::from(["Secret".to_owned()]));
        let inner = json!({
            "Parameters": {"Secret": {"Type": "String"}},
            "Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"Tags": [{"Key": "k", "Value": {"Ref": "Secret"}}]}}},
        });
        let inner = hidden(&[inner], &handed);
        assert!(inner.hides("Q", "Properties", Some("Tags"), None));
        assert_eq!(handed_down(&[], "Nested", &Hidden::Everything), None);
        assert!(Hidden::Everything.hides("Q", "Tags", None, None));
    }
}
