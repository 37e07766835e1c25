//! Small pieces of reading requests and building answers.

use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::{AwsError, input};

/// Building an answer member by member: absent ones stay out.
pub(crate) trait Object {
    /// Adds the member if there is a value.
    #[must_use]
    fn with(self, member: &str, value: Option<impl Into<Value>>) -> Self;
}

impl Object for Value {
    fn with(mut self, member: &str, value: Option<impl Into<Value>>) -> Self {
        if let (Some(object), Some(value)) = (self.as_object_mut(), value) {
            object.insert(member.to_owned(), value.into());
        }
        self
    }
}

/// As the query protocol writes a time: `2026-01-31T12:00:00.000Z`.
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    at.format(format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    ))
    .unwrap_or_default()
}

/// CloudFormation's error for nearly everything.
pub(crate) fn validation(message: impl Into<String>) -> AwsError {
    AwsError::client("ValidationError", message)
}

/// A member that must be there, as CloudFormation says so.
pub(crate) fn required(request: &Value, member: &str) -> Result<String, AwsError> {
    input::text(request, member).ok_or_else(|| {
        let mut name = member.to_owned();
        name[..1].make_ascii_lowercase();
        validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

/// The member's elements, or `None` if the request does not speak of it. An empty list arrives as
/// an empty string, and is not the same as nothing.
pub(crate) fn optional_list<'a>(request: &'a Value, member: &str) -> Option<&'a [Value]> {
    match request.get(member)? {
        Value::Array(items) => Some(items),
        Value::String(text) if text.is_empty() => Some(&[]),
        _ => None,
    }
}

/// A list of strings.
pub(crate) fn strings(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Tags as `[{Key, Value}]`.
pub(crate) fn tags(items: &[Value]) -> Vec<(String, String)> {
    items
        .iter()
        .filter_map(|tag| Some((input::text(tag, "Key")?, input::text(tag, "Value")?)))
        .collect()
}

/// A page of `items` after the token of the page before, and the token of the next one.
pub(crate) fn page<T>(
    items: Vec<T>,
    request: &Value,
    size: usize,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let start = match input::text(request, "NextToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|start| start.parse::<usize>().ok())
            .ok_or_else(|| validation(format!("Invalid NextToken: {token}")))?,
    };
    let end = start.saturating_add(size);
    let next = (end < items.len()).then(|| format!("page-{end}"));
    Ok((items.into_iter().skip(start).take(size).collect(), next))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_cover_everything_once() {
        let all: Vec<u32> = (0..25).collect();
        let mut seen = Vec::new();
        let mut request = json!({});
        loop {
            let (items, next) = page(all.clone(), &request, 10).unwrap();
            seen.extend(items);
            let Some(next) = next else { break };
            request = json!({ "NextToken": next });
        }
        assert_eq!(seen, all);
        assert!(page(all, &json!({"NextToken": "nonsense"}), 10).is_err());
    }

    #[test]
    fn an_empty_list_is_not_an_absent_one() {
        assert!(optional_list(&json!({}), "Tags").is_none());
        assert_eq!(optional_list(&json!({"Tags": ""}), "Tags"), Some(&[][..]));
    }
}
