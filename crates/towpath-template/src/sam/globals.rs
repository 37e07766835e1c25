//! The `Globals` section: properties that every resource of a kind has unless it says otherwise.

use serde_json::{Map, Value};

use super::{API, FUNCTION, HTTP_API, LAYER_VERSION, Result, SIMPLE_TABLE, STATE_MACHINE};
use crate::TemplateError;
use crate::suggest::did_you_mean;

const SECTIONS: [(&str, &str); 8] = [
    ("Function", FUNCTION),
    ("Api", API),
    ("HttpApi", HTTP_API),
    ("SimpleTable", SIMPLE_TABLE),
    ("LayerVersion", LAYER_VERSION),
    ("StateMachine", STATE_MACHINE),
    ("CapacityProvider", "AWS::Serverless::CapacityProvider"),
    ("WebSocketApi", "AWS::Serverless::WebSocketApi"),
];

/// Merges the globals into the properties of every resource they are for.
pub(super) fn apply(globals: Option<&Value>, resources: &mut Map<String, Value>) -> Result<()> {
    let nothing = Map::new();
    let globals = globals.and_then(Value::as_object).unwrap_or(&nothing);
    if let Some(unknown) = globals
        .keys()
        .find(|name| SECTIONS.iter().all(|(section, _)| section != name))
    {
        let near = did_you_mean(unknown, SECTIONS.iter().map(|(section, _)| *section));
        return Err(TemplateError::structure(
            format!("Globals.{unknown}"),
            format!("is no kind of SAM resource{near}"),
        ));
    }
    for resource in resources.values_mut() {
        let section = SECTIONS
            .iter()
            .find(|(_, kind)| *kind == super::kind(resource));
        let Some(resource) = resource.as_object_mut() else {
            continue;
        };
        let ignored = resource.shift_remove("IgnoreGlobals");
        let Some(common) = section.and_then(|(section, _)| globals.get(*section)?.as_object())
        else {
            continue;
        };
        let ignores = |name: &str| match &ignored {
            Some(Value::String(all)) => all == "*",
            Some(Value::Array(names)) => names.iter().any(|ignored| ignored == name),
            _ => false,
        };
        let common: Map<String, Value> = common
            .iter()
            .filter(|(name, _)| !ignores(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let own = resource
            .shift_remove("Properties")
            .unwrap_or_else(|| Value::Object(Map::new()));
        resource.insert("Properties".to_owned(), merge(Value::Object(common), own));
    }
    Ok(())
}

/// Mappings are merged, lists are joined with the common part first, and of anything else the resource's own counts.
fn merge(common: Value, own: Value) -> Value {
    match (common, own) {
        (Value::Object(mut common), Value::Object(own))
            if !is_function(&common) && !is_function(&own) =>
        {
            for (key, value) in own {
                let value = match common.get_mut(&key).map(Value::take) {
                    Some(shared) => merge(shared, value),
                    None => value,
                };
                common.insert(key, value);
            }
            Value::Object(common)
        }
        (Value::Array(mut common), Value::Array(own)) => {
            common.extend(own);
            Value::Array(common)
        }
        (_, own) => own,
    }
}

/// Whether a mapping is a call of a function of the language.
pub(super) fn is_function(map: &Map<String, Value>) -> bool {
    map.len() == 1
        && map
            .keys()
            .all(|key| key == "Ref" || key == "Condition" || key.starts_with("Fn::"))
}
