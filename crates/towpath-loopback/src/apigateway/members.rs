//! Reading members whose first letter may be of either case.
//!
//! The same thing is called `ApiId` by the second API Gateway, `restApiId` by the first and
//! `RestApiId` in a template. Names are given here as the second one writes them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::{AwsError, input};

/// The member, in either case, unless it is null.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value
        .get(name)
        .or_else(|| value.get(lower(name).as_ref()))
        .filter(|found| !found.is_null())
}

/// The member as text.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    input::text(value, name).or_else(|| input::text(value, &lower(name)))
}

/// The member as text, or what API Gateway answers when it is missing.
pub(super) fn required(value: &Value, name: &str) -> Result<String, AwsError> {
    text(value, name).ok_or_else(|| {
        AwsError::client(
            "BadRequestException",
            format!("{} is required", lower(name)),
        )
    })
}

/// The member as a flag; absent is `false`.
pub(super) fn flag(value: &Value, name: &str) -> bool {
    input::flag(value, name) || input::flag(value, &lower(name))
}

/// The member as a whole number.
pub(super) fn integer(value: &Value, name: &str) -> Option<i64> {
    input::integer(value, name).or_else(|| input::integer(value, &lower(name)))
}

/// The member as texts; absent is empty.
pub(super) fn texts(value: &Value, name: &str) -> Vec<String> {
    let list = member(value, name).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// The member as a map of texts; absent is empty.
pub(super) fn map(value: &Value, name: &str) -> BTreeMap<String, String> {
    let map = member(value, name).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| match value {
            Value::String(text) => Some((key.clone(), text.clone())),
            Value::Number(_) | Value::Bool(_) => Some((key.clone(), value.to_string())),
            _ => None,
        })
        .collect()
}

fn lower(name: &str) -> Cow<'_, str> {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) if first.is_ascii_uppercase() => Cow::Owned(format!(
            "{}{}",
            first.to_ascii_lowercase(),
            letters.as_str()
        )),
        _ => Cow::Borrowed(name),
    }
}
