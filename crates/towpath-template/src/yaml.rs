//! YAML and JSON as CloudFormation reads them.
//!
//! - `!Name value` is `{"Fn::Name": value}`; `!Ref` and `!Condition` keep their bare names; `!GetAtt A.B` is a list.
//! - `yes`, `no`, `on` and `off` are booleans, as in YAML 1.1; CloudFormation reads them so.
//! - A number stays a number only if writing it again gives the same text. `0755`, `1_000`, `1.10`, `22:22` and an
//!   account id that starts with a zero stay text: CloudFormation turns text into a number wherever one is wanted,
//!   and only the text loses nothing.
//! - A date is text (`Version: 2012-10-17`).
//! - Anchors, aliases and `<<` are expanded (the service itself refuses them, so what is written here has none), up
//!   to a limit that stops an alias bomb.
//! - A repeated key, a second document and a tag that is no function are refused.

mod json;
mod read;
mod scalar;
mod write;

use serde_json::Value;

use crate::SyntaxError;

/// The functions that have a short form, without `Fn::`.
pub(crate) const FUNCTIONS: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Condition",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Ref",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

/// The long-form key of a short-form function: `Sub` is `Fn::Sub`, `Ref` is `Ref`.
pub(crate) fn long_form(function: &str) -> String {
    match function {
        "Ref" | "Condition" => function.to_owned(),
        _ => format!("Fn::{function}"),
    }
}

/// Reads a text that is JSON if it starts with `{` and parses as such, and YAML otherwise.
pub fn read(text: &str) -> Result<Value, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with('{') {
        return read::read(text);
    }
    match json::read(text) {
        Ok(value) => Ok(value),
        Err(json::JsonError::Refused(error)) => Err(error),
        // A flow mapping of YAML starts with a brace too.
        Err(json::JsonError::NotJson(error)) => read::read(text).map_err(|_| error),
    }
}

/// Writes YAML that [`read`] turns into the same value. Functions are in short form where YAML allows it, and a
/// string that any YAML reader might take for something else is quoted.
pub fn write(value: &Value) -> String {
    write::write(value)
}

#[cfg(test)]
mod tests;
