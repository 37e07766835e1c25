//! `AWS::Include` of a local file, in whatever position.
//!
//! It may be the value of `Fn::Transform` anywhere in a template, and one of the template's own `Transform`s.

use serde_json::Value;

use super::local;

/// Where each location of a local file stands, and what it says.
pub(super) fn of(root: &Value) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    look(root, &mut Vec::new(), &mut found);
    found
}

fn look(value: &Value, place: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                place.push(index.to_string());
                look(item, place, found);
                place.pop();
            }
        }
        Value::Object(map) => {
            let top = place.is_empty();
            for (key, item) in map {
                place.push(key.clone());
                if key == "Fn::Transform" || (top && key == "Transform") {
                    include(item, place, found);
                }
                look(item, place, found);
                place.pop();
            }
        }
        _ => {}
    }
}

fn include(value: &Value, place: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            place.push(index.to_string());
            include(item, place, found);
            place.pop();
        }
        return;
    }
    let location = value
        .get("Parameters")
        .and_then(|parameters| parameters.get("Location"));
    if value.get("Name").is_some_and(|name| name == "AWS::Include")
        && let Some(given) = location.and_then(local)
    {
        let mut place = place.clone();
        place.extend(["Parameters", "Location"].map(str::to_owned));
        found.push((place, given.to_owned()));
    }
}
