//! How a function is named in a request: by name, by ARN, with or without a qualifier.

use crate::{AwsError, World};

/// The version that changes; every other is a snapshot.
pub(crate) const LATEST: &str = "$LATEST";

/// A function, and perhaps one of its versions or aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionName {
    /// The bare name.
    pub(crate) name: String,
    /// A version number, `$LATEST` or an alias.
    pub(crate) qualifier: Option<String>,
}

impl FunctionName {
    /// Reads `name`, `name:qualifier`, `account:function:name` or an ARN, each as Lambda accepts it
    /// in `FunctionName`; `qualifier` is the request's own `Qualifier` member.
    pub(crate) fn parse(
        world: &World,
        text: &str,
        qualifier: Option<&str>,
    ) -> Result<Self, AwsError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (rest, ours) = match parts.as_slice() {
            ["arn", _, "lambda", region, account, "function", rest @ ..] => (
                rest,
                *region == world.settings.region && *account == world.settings.account,
            ),
            [account, "function", rest @ ..] => (rest, *account == world.settings.account),
            ["function", rest @ ..] => (rest, true),
            rest => (rest, true),
        };
        let (name, inner) = match rest {
            [name] => (*name, None),
            [name, qualifier] => (*name, Some(*qualifier)),
            _ => return Err(malformed(text)),
        };
        if !is_name(name) || !inner.is_none_or(is_qualifier) {
            return Err(malformed(text));
        }
        if !ours {
            return Err(not_found(text));
        }
        let qualifier = match (inner, qualifier.filter(|given| !given.is_empty())) {
            (Some(inner), Some(given)) if inner != given => {
                return Err(AwsError::client(
                    "InvalidParameterValueException",
                    "The derived qualifier from the function name does not match the specified qualifier.",
                ));
            }
            (inner, given) => inner.or(given),
        };
        Ok(Self {
            name: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
        })
    }

    /// The ARN of what is named, qualified when the name is.
    pub(crate) fn arn(&self, world: &World) -> String {
        arn(world, &self.name, self.qualifier.as_deref())
    }

    /// What Lambda answers when there is no such function.
    pub(crate) fn not_found(&self, world: &World) -> AwsError {
        not_found(&self.arn(world))
    }
}

/// The ARN of a function, or of one of its versions or aliases.
pub(crate) fn arn(world: &World, name: &str, qualifier: Option<&str>) -> String {
    match qualifier {
        None => world.arn("lambda", &format!("function:{name}")),
        Some(qualifier) => world.arn("lambda", &format!("function:{name}:{qualifier}")),
    }
}

fn not_found(what: &str) -> AwsError {
    AwsError::client(
        "ResourceNotFoundException",
        format!("Function not found: {what}"),
    )
    .with_status(404)
}

fn malformed(text: &str) -> AwsError {
    AwsError::client(
        "ValidationException",
        format!(
            "1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{{2}}(-gov)?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?"
        ),
    )
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(is_word)
}

fn is_qualifier(text: &str) -> bool {
    text == LATEST || ((1..=128).contains(&text.len()) && text.bytes().all(is_word))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[test]
    fn every_way_to_name_a_function() {
        let world = World::new(Settings::new("/nowhere"), 1);
        let long = "x".repeat(65);
        for (text, qualifier, expected) in [
            ("app", None, Ok(("app", None))),
            ("app", Some("7"), Ok(("app", Some("7")))),
            ("app", Some(""), Ok(("app", None))),
            ("app:live", None, Ok(("app", Some("live")))),
            ("app:live", Some("live"), Ok(("app", Some("live")))),
            ("app:$LATEST", None, Ok(("app", Some("$LATEST")))),
            ("000000000000:function:app", None, Ok(("app", None))),
            ("function:app:1", None, Ok(("app", Some("1")))),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:app",
                None,
                Ok(("app", None)),
            ),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:app:live",
                None,
                Ok(("app", Some("live"))),
            ),
            (
                "arn:aws:lambda:eu-west-1:000000000000:function:app",
                None,
                Err("ResourceNotFoundException"),
            ),
            (
                "app:live",
                Some("other"),
                Err("InvalidParameterValueException"),
            ),
            ("a b", None, Err("ValidationException")),
            ("", None, Err("ValidationException")),
            ("app:a:b", None, Err("ValidationException")),
            (long.as_str(), None, Err("ValidationException")),
        ] {
            let got = FunctionName::parse(&world, text, qualifier);
            match expected {
                Ok((name, qualifier)) => {
                    let got = got.unwrap();
                    assert_eq!(
                        (got.name.as_str(), got.qualifier.as_deref()),
                        (name, qualifier),
                        "{text}"
                    );
                }
                Err(code) => assert_eq!(got.unwrap_err().code, code, "{text}"),
            }
        }
    }
}
