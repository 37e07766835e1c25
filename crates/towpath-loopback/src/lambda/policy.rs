//! A function's resource policy: who, beside the roles of this account, may invoke it.

use serde_json::{Map, Value, json};

use crate::{AwsError, input};

/// One statement of a resource policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) id: String,
    action: String,
    principal: String,
    source_arn: Option<String>,
    source_account: Option<String>,
}

impl Statement {
    /// Reads an `AddPermission` request.
    pub(crate) fn parse(request: &Value) -> Result<Self, AwsError> {
        Ok(Self {
            id: input::required(request, "StatementId")?,
            action: input::required(request, "Action")?,
            principal: input::required(request, "Principal")?,
            source_arn: input::text(request, "SourceArn"),
            source_account: input::text(request, "SourceAccount"),
        })
    }

    /// Whether the service `principal`, acting for `source_arn`, may invoke.
    pub(crate) fn permits(&self, principal: &str, source_arn: &str, account: &str) -> bool {
        let action = matches!(
            self.action.as_str(),
            "lambda:InvokeFunction" | "lambda:Invoke*" | "lambda:*"
        );
        action
            && (self.principal == "*" || self.principal == principal)
            && self
                .source_account
                .as_deref()
                .is_none_or(|given| given == account)
            && self
                .source_arn
                .as_deref()
                .is_none_or(|pattern| arn_like(pattern, source_arn))
    }

    /// The statement as a policy document holds it.
    pub(crate) fn render(&self, resource: &str) -> Value {
        let principal = match self.principal.as_str() {
            "*" => json!("*"),
            service if service.contains(".amazonaws.com") => json!({ "Service": service }),
            arn if arn.starts_with("arn:") => json!({ "AWS": arn }),
            account => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
        };
        let mut statement = json!({
            "Sid": self.id,
            "Effect": "Allow",
            "Principal": principal,
            "Action": self.action,
            "Resource": resource,
        });
        let mut condition = Map::new();
        if let Some(account) = &self.source_account {
            condition.insert(
                "StringEquals".into(),
                json!({ "AWS:SourceAccount": account }),
            );
        }
        if let Some(arn) = &self.source_arn {
            condition.insert("ArnLike".into(), json!({ "AWS:SourceArn": arn }));
        }
        if !condition.is_empty() {
            statement["Condition"] = Value::Object(condition);
        }
        statement
    }
}

/// IAM's `ArnLike`: each of the six parts between colons is compared by itself, with `*` and `?`.
fn arn_like(pattern: &str, arn: &str) -> bool {
    let (patterns, parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    patterns.clone().count() == parts.clone().count()
        && patterns
            .zip(parts)
            .all(|(pattern, part)| glob(pattern.as_bytes(), part.as_bytes()))
}

/// Whether `text` matches a pattern in which `*` stands for any text and `?` for one character.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_permits_its_principal_for_its_source() {
        let api = "arn:aws:execute-api:us-east-1:000000000000:abc/$default/GET/items/{id}";
        for (source, account, principal, expected) in [
            (None, None, "apigateway.amazonaws.com", true),
            (None, None, "*", true),
            (None, None, "sns.amazonaws.com", false),
            (
                Some("arn:aws:execute-api:us-east-1:000000000000:abc/*/GET/items/*"),
                None,
                "apigateway.amazonaws.com",
                true,
            ),
            (
                Some("arn:aws:execute-api:us-east-1:000000000000:abc/*"),
                None,
                "apigateway.amazonaws.com",
                true,
            ),
            (
                Some("arn:aws:execute-api:us-east-1:000000000000:abc/*/POST/*"),
                None,
                "apigateway.amazonaws.com",
                false,
            ),
            (
                Some("arn:aws:execute-api:us-east-1:000000000000:xyz/*"),
                None,
                "apigateway.amazonaws.com",
                false,
            ),
            (
                Some("arn:aws:execute-api:*:abc/*"),
                None,
                "apigateway.amazonaws.com",
                false,
            ),
            (None, Some("000000000000"), "apigateway.amazonaws.com", true),
            (
                None,
                Some("999999999999"),
                "apigateway.amazonaws.com",
                false,
            ),
        ] {
            let statement = Statement {
                id: "s".into(),
                action: "lambda:InvokeFunction".into(),
                principal: principal.into(),
                source_arn: source.map(str::to_owned),
                source_account: account.map(str::to_owned),
            };
            assert_eq!(
                statement.permits("apigateway.amazonaws.com", api, "000000000000"),
                expected,
                "{source:?} {account:?} {principal}"
            );
        }
    }

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("**b*", "aab", true),
            ("", "a", false),
        ] {
            assert_eq!(
                glob(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
