//! Lenient reading of an operation's input: the query protocol delivers every scalar as a string.

use serde_json::Value;

use crate::AwsError;

/// The member as text, if it is present and a scalar.
pub(crate) fn text(input: &Value, member: &str) -> Option<String> {
    match input.get(member)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The member as text, or the error that AWS gives for a missing required member.
pub(crate) fn required(input: &Value, member: &str) -> Result<String, AwsError> {
    text(input, member).ok_or_else(|| {
        AwsError::client(
            "ValidationException",
            format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"),
        )
    })
}

/// The member as a flag; absent is `false`.
pub(crate) fn flag(input: &Value, member: &str) -> bool {
    match input.get(member) {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// The member as a whole number.
pub(crate) fn integer(input: &Value, member: &str) -> Option<i64> {
    match input.get(member)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The member's elements; absent is empty.
pub(crate) fn list<'a>(input: &'a Value, member: &str) -> &'a [Value] {
    input
        .get(member)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
