//! What a value of a template refers to.

use serde_json::Value;

/// What a value of the template refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct References {
    /// By `Ref`: resources and parameters.
    pub(crate) names: Vec<String>,
    /// By `Fn::GetAtt`: resource and attribute.
    pub(crate) attributes: Vec<(String, String)>,
}

/// The references within a value, in the order in which they stand.
pub(crate) fn references(value: &Value) -> References {
    let mut found = References::default();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut References) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(object) => {
            for (key, argument) in object {
                match (key.as_str(), argument) {
                    ("Ref", Value::String(name)) => found.names.push(name.clone()),
                    ("Fn::GetAtt", Value::String(dotted)) => {
                        let (name, attribute) = dotted.split_once('.').unwrap_or((dotted, ""));
                        found
                            .attributes
                            .push((name.to_owned(), attribute.to_owned()));
                    }
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        if let [Value::String(name), attribute] = parts.as_slice() {
                            let attribute = attribute.as_str().unwrap_or_default();
                            found.attributes.push((name.clone(), attribute.to_owned()));
                        }
                    }
                    ("Fn::Sub", Value::String(text)) => substitutions(text, found),
                    ("Fn::Sub", Value::Array(arguments)) => {
                        if let Some(text) = arguments.first().and_then(Value::as_str) {
                            substitutions(text, found);
                        }
                        arguments
                            .iter()
                            .skip(1)
                            .for_each(|argument| collect(argument, found));
                    }
                    _ => collect(argument, found),
                }
            }
        }
        _ => {}
    }
}

fn substitutions(text: &str, found: &mut References) {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else {
            return;
        };
        rest = tail;
        match name.split_once('.') {
            _ if name.starts_with('!') => {}
            Some((resource, attribute)) => found
                .attributes
                .push((resource.to_owned(), attribute.to_owned())),
            None => found.names.push(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_told_apart() {
        let found = references(&json!({
            "A": {"Ref": "P"},
            "B": {"Fn::GetAtt": ["R", "Arn"]},
            "C": {"Fn::Sub": "x-${Q}-${!Literal}-${S.Name}"},
            "D": [{"Fn::Join": ["", [{"Ref": "T"}]]}],
        }));
        assert_eq!(found.names, ["P", "Q", "T"]);
        assert_eq!(
            found.attributes,
            [
                ("R".to_owned(), "Arn".to_owned()),
                ("S".to_owned(), "Name".to_owned())
            ]
        );
    }
}
