//! References to what a SAM resource stood for, put right.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluate::substitution::{Part, parts};

/// Renames in `Ref`, `Fn::GetAtt`, `Fn::Sub` and `DependsOn`, everywhere below `value`.
///
/// `renamed` maps `Layer` to its new id, and `Function.Alias` (which is how a template names a generated resource) to
/// the id of that resource.
pub(super) fn apply(value: &mut Value, renamed: &BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| apply(item, renamed)),
        Value::Object(map) => {
            let alone = map.len() == 1;
            for (key, part) in map.iter_mut() {
                match key.as_str() {
                    "Ref" if alone => name(part, renamed),
                    "Fn::GetAtt" if alone => attribute(part, renamed),
                    "Fn::Sub" if alone => substitution(part, renamed),
                    "DependsOn" => match part {
                        Value::Array(items) => {
                            for item in items {
                                name(item, renamed);
                            }
                        }
                        _ => name(part, renamed),
                    },
                    _ => {}
                }
                apply(part, renamed);
            }
        }
        _ => {}
    }
}

fn name(value: &mut Value, renamed: &BTreeMap<String, String>) {
    if let Some(new) = value.as_str().and_then(|old| renamed.get(old)) {
        *value = Value::String(new.clone());
    }
}

/// `[Layer, Arn]`, and `[Function, Alias.Arn]` for an attribute of a generated resource.
fn attribute(value: &mut Value, renamed: &BTreeMap<String, String>) {
    if let Some((resource, attribute)) = value.as_str().and_then(|dotted| dotted.split_once('.')) {
        *value = Value::from(vec![resource, attribute]);
    }
    let Some([Value::String(resource), Value::String(attribute)]) =
        value.as_array().map(Vec::as_slice)
    else {
        return;
    };
    if let Some(new) = renamed.get(resource) {
        *value = Value::from(vec![new.clone(), attribute.clone()]);
    } else if let Some((generated, rest)) = attribute.split_once('.')
        && let Some(new) = renamed.get(&format!("{resource}.{generated}"))
    {
        *value = Value::from(vec![new.clone(), rest.to_owned()]);
    }
}

fn substitution(value: &mut Value, renamed: &BTreeMap<String, String>) {
    let Some(text) = (match &mut *value {
        Value::Array(arguments) => arguments.first_mut(),
        text => Some(text),
    }) else {
        return;
    };
    let Some(old) = text.as_str() else { return };
    let Ok(parts) = parts(old) else { return };
    let new: Vec<String> = parts
        .into_iter()
        .map(|part| rename_part(part, renamed))
        .collect();
    *text = Value::String(new.concat());
}

fn rename_part(part: Part<'_>, renamed: &BTreeMap<String, String>) -> String {
    match part {
        Part::Text(text) => text.to_owned(),
        Part::Literal(name) => format!("${{!{name}}}"),
        Part::Reference(name) => format!("${{{}}}", renamed.get(name).map_or(name, String::as_str)),
        Part::Attribute(resource, attribute) => {
            let (generated, rest) = attribute.split_once('.').unwrap_or((attribute, ""));
            let dot = if rest.is_empty() { "" } else { "." };
            match (
                renamed.get(resource),
                renamed.get(&format!("{resource}.{generated}")),
            ) {
                (Some(id), _) => format!("${{{id}.{attribute}}}"),
                (None, Some(id)) => format!("${{{id}{dot}{rest}}}"),
                (None, None) => format!("${{{resource}.{attribute}}}"),
            }
        }
    }
}
