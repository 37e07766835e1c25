//! From a template's properties to an API's members: CloudFormation is lenient about types, the APIs are not.

use serde_json::{Map, Value, json};

use crate::input;

/// The named members that are there, as they are.
pub(crate) fn pick(properties: &Value, names: &[&str]) -> Map<String, Value> {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), properties.get(*name)?.clone())))
        .collect()
}

/// Makes whole numbers of the named members where they are text.
pub(crate) fn whole_numbers(object: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        if let Some(Value::String(text)) = object.get(*name)
            && let Ok(number) = text.parse::<i64>()
        {
            object.insert((*name).to_owned(), json!(number));
        }
    }
}

/// Makes numbers of the named members where they are text.
pub(crate) fn numbers(object: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        if let Some(Value::String(text)) = object.get(*name)
            && let Ok(number) = text.parse::<f64>()
        {
            object.insert((*name).to_owned(), json!(number));
        }
    }
}

/// Makes flags of the named members where they are text.
pub(crate) fn flags(object: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        if object.contains_key(*name) {
            let flag = input::flag(&Value::Object(object.clone()), name);
            object.insert((*name).to_owned(), json!(flag));
        }
    }
}

/// A map whose scalar values all become text, as environment variables must be.
pub(crate) fn texts(object: &Value) -> Value {
    let Some(object) = object.as_object() else {
        return json!({});
    };
    object
        .keys()
        .filter_map(|key| {
            input::text(&Value::Object(object.clone()), key)
                .map(|text| (key.clone(), Value::String(text)))
        })
        .collect::<Map<_, _>>()
        .into()
}

/// Tags of a resource as a map: the stack's, then the resource's own.
pub(crate) fn tag_map(stack: &[(String, String)], properties: &Value) -> Map<String, Value> {
    let mut tags: Map<String, Value> = stack
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    match properties.get("Tags") {
        Some(Value::Array(own)) => {
            for tag in own {
                if let (Some(key), Some(value)) =
                    (input::text(tag, "Key"), input::text(tag, "Value"))
                {
                    tags.insert(key, json!(value));
                }
            }
        }
        Some(own @ Value::Object(_)) => {
            if let Value::Object(own) = texts(own) {
                tags.extend(own);
            }
        }
        _ => {}
    }
    tags
}

/// The same as `[{Key, Value}]`.
pub(crate) fn tag_list(stack: &[(String, String)], properties: &Value) -> Value {
    tag_map(stack, properties)
        .into_iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }))
        .collect()
}

/// Member names as most APIs write them: `RoleArn` becomes `roleArn`, all the way down. Below a
/// member named in `opaque`, keys are somebody's data and stay as they are, with text values.
pub(crate) fn camel_case(value: &Value, opaque: &[&str]) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| {
                let value = if opaque.contains(&key.as_str()) {
                    texts(value)
                } else {
                    camel_case(value, opaque)
                };
                (decapitalised(key), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| camel_case(item, opaque)).collect(),
        scalar => scalar.clone(),
    }
}

fn decapitalised(key: &str) -> String {
    let mut characters = key.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_leaves_configuration_keys_alone() {
        assert_eq!(
            camel_case(
                &json!({"RoleArn": "r", "Stages": [{"Name": "A", "Actions": [
                    {"RunOrder": 1, "Configuration": {"FunctionName": "f", "Poll": true, "N": 1}}
                ]}]}),
                &["Configuration"]
            ),
            json!({"roleArn": "r", "stages": [{"name": "A", "actions": [
                {"runOrder": 1, "configuration": {"FunctionName": "f", "Poll": "true", "N": "1"}}
            ]}]})
        );
    }

    #[test]
    fn a_resources_own_tag_wins() {
        assert_eq!(
            tag_list(
                &[("team".into(), "a".into()), ("env".into(), "qa".into())],
                &json!({"Tags": [{"Key": "team", "Value": "b"}]})
            ),
            json!([{"Key": "team", "Value": "b"}, {"Key": "env", "Value": "qa"}])
        );
    }
}
