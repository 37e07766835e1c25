//! What a policy document says to one request. Pure: no store, no clock of its own.
//!
//! The rules are those of "Policy evaluation logic" in the IAM User Guide, as far as one account
//! needs them: an explicit deny wins, and what nothing allows is denied.

use std::collections::BTreeMap;

use serde_json::Value;

/// The condition keys of a request, in lower case, with their values.
pub(crate) type Context = BTreeMap<String, Vec<String>>;

/// What is asked of a policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// `s3:GetObject`.
    pub(crate) action: &'a str,
    /// An ARN, or `*` for an action that has none.
    pub(crate) resource: &'a str,
    /// Who asks, in every form a policy may name them. Only resource and trust policies look at it.
    pub(crate) principals: &'a [Principal],
    /// Condition keys.
    pub(crate) context: &'a Context,
}

/// One name under which a caller may appear in a `Principal` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// An ARN or an account number.
    Aws(String),
    /// `lambda.amazonaws.com`.
    Service(String),
}

/// What one or several policies said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// A statement allows it.
    pub(crate) allowed: bool,
    /// A statement denies it, whatever allows it.
    pub(crate) denied: bool,
    /// Condition operators that this evaluator does not know; their conditions counted as not met.
    pub(crate) unknown: Vec<String>,
}

impl Verdict {
    /// Both policies apply: either may allow, either may deny.
    pub(crate) fn merge(&mut self, other: Self) {
        self.allowed |= other.allowed;
        self.denied |= other.denied;
        self.unknown.extend(other.unknown);
    }
}

/// Reads an identity or session policy: every statement concerns the caller.
pub(crate) fn evaluate(policy: &Value, question: &Question<'_>) -> Verdict {
    judge(policy, question, |_| true, true)
}

/// Reads a resource policy: only statements whose `Principal` names the caller.
pub(crate) fn evaluate_resource(policy: &Value, question: &Question<'_>) -> Verdict {
    judge(
        policy,
        question,
        |statement| names_principal(statement, question.principals),
        true,
    )
}

/// Reads a trust policy, which has principals and no resources.
pub(crate) fn evaluate_trust(policy: &Value, question: &Question<'_>) -> Verdict {
    judge(
        policy,
        question,
        |statement| names_principal(statement, question.principals),
        false,
    )
}

fn judge(
    policy: &Value,
    question: &Question<'_>,
    concerns: impl Fn(&Value) -> bool,
    has_resources: bool,
) -> Verdict {
    let mut verdict = Verdict::default();
    for statement in one_or_many(policy.get("Statement")) {
        let applies = concerns(statement)
            && matches_action(statement, question.action)
            && (!has_resources || matches_resource(statement, question))
            && conditions_hold(statement, question.context, &mut verdict.unknown);
        if !applies {
            continue;
        }
        match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => verdict.allowed = true,
            Some("Deny") => verdict.denied = true,
            _ => {}
        }
    }
    verdict
}

fn matches_action(statement: &Value, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let named =
        |member| texts(statement.get(member)).any(|p| wildcard(&p.to_ascii_lowercase(), &action));
    if statement.get("NotAction").is_some() {
        !named("NotAction")
    } else {
        named("Action")
    }
}

fn matches_resource(statement: &Value, question: &Question<'_>) -> bool {
    let named = |member| {
        texts(statement.get(member))
            .any(|pattern| wildcard(&substitute(pattern, question.context), question.resource))
    };
    if statement.get("NotResource").is_some() {
        !named("NotResource")
    } else {
        named("Resource")
    }
}

fn names_principal(statement: &Value, principals: &[Principal]) -> bool {
    if let Some(not) = statement.get("NotPrincipal") {
        return !principal_listed(not, principals);
    }
    statement
        .get("Principal")
        .is_some_and(|listed| principal_listed(listed, principals))
}

fn principal_listed(listed: &Value, principals: &[Principal]) -> bool {
    if listed.as_str() == Some("*") {
        return true;
    }
    texts(listed.get("AWS")).any(|pattern| {
        pattern == "*"
            || principals.iter().any(|principal| match principal {
                Principal::Aws(name) => name == pattern,
                Principal::Service(_) => false,
            })
    }) || texts(listed.get("Service")).any(|pattern| {
        principals.iter().any(|principal| match principal {
            Principal::Service(name) => name == pattern,
            Principal::Aws(_) => false,
        })
    })
}

fn conditions_hold(statement: &Value, context: &Context, unknown: &mut Vec<String>) -> bool {
    let Some(conditions) = statement.get("Condition").and_then(Value::as_object) else {
        return true;
    };
    conditions.iter().all(|(operator, keys)| {
        keys.as_object().is_none_or(|keys| {
            keys.iter()
                .all(|(key, expected)| condition_holds(operator, key, expected, context, unknown))
        })
    })
}

fn condition_holds(
    operator: &str,
    key: &str,
    expected: &Value,
    context: &Context,
    unknown: &mut Vec<String>,
) -> bool {
    let (quantifier, rest) = match operator.split_once(':') {
        Some((quantifier, rest)) => (Some(quantifier), rest),
        None => (None, operator),
    };
    let (name, if_exists) = match rest.strip_suffix("IfExists") {
        Some(name) => (name, true),
        None => (rest, false),
    };
    let expected: Vec<String> = one_or_many(Some(expected))
        .filter_map(scalar)
        .map(|text| substitute(&text, context))
        .collect();
    let actual = context
        .get(&key.to_ascii_lowercase())
        .map_or(&[][..], Vec::as_slice);

    if name == "Null" {
        let wants_absent = expected.iter().any(|text| text == "true");
        return actual.is_empty() == wants_absent;
    }
    let Some((comparison, negated)) = comparison(name) else {
        unknown.push(operator.to_owned());
        return false;
    };
    if actual.is_empty() {
        // A negated operator is met by a key that is not there; so is `ForAllValues`.
        return if_exists || negated || quantifier == Some("ForAllValues");
    }
    let one = |value: &String| expected.iter().any(|pattern| comparison(value, pattern)) != negated;
    match quantifier {
        Some("ForAllValues") => actual.iter().all(one),
        Some("ForAnyValue") | None => actual.iter().any(one),
        Some(_) => {
            unknown.push(operator.to_owned());
            false
        }
    }
}

type Comparison = fn(&str, &str) -> bool;

/// How the operator compares (actual, expected), and whether the result is turned around.
fn comparison(operator: &str) -> Option<(Comparison, bool)> {
    let positive = match operator {
        "StringNotEquals" => "StringEquals",
        "StringNotEqualsIgnoreCase" => "StringEqualsIgnoreCase",
        "StringNotLike" => "StringLike",
        "ArnNotEquals" | "ArnNotLike" | "ArnEquals" => "ArnLike",
        "NumericNotEquals" => "NumericEquals",
        "DateNotEquals" => "DateEquals",
        other => other,
    };
    let comparison: Comparison = match positive {
        "StringEquals" | "DateEquals" => |actual, expected| actual == expected,
        "StringEqualsIgnoreCase" | "Bool" => {
            |actual, expected| actual.eq_ignore_ascii_case(expected)
        }
        "StringLike" | "ArnLike" => |actual, expected| wildcard(expected, actual),
        "NumericEquals" => |a, b| numbers(a, b).is_some_and(|(a, b)| a.total_cmp(&b).is_eq()),
        "NumericLessThan" => |a, b| numbers(a, b).is_some_and(|(a, b)| a < b),
        "NumericLessThanEquals" => |a, b| numbers(a, b).is_some_and(|(a, b)| a <= b),
        "NumericGreaterThan" => |a, b| numbers(a, b).is_some_and(|(a, b)| a > b),
        "NumericGreaterThanEquals" => |a, b| numbers(a, b).is_some_and(|(a, b)| a >= b),
        // ISO 8601 in UTC sorts as text.
        "DateLessThan" => |a, b| a < b,
        "DateLessThanEquals" => |a, b| a <= b,
        "DateGreaterThan" => |a, b| a > b,
        "DateGreaterThanEquals" => |a, b| a >= b,
        _ => return None,
    };
    Some((comparison, operator.contains("Not")))
}

fn numbers(left: &str, right: &str) -> Option<(f64, f64)> {
    Some((left.parse().ok()?, right.parse().ok()?))
}

/// Whether `pattern`, in which `*` is any text and `?` any one character, is the whole of `text`.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
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
    pattern[p..].iter().all(|c| *c == '*')
}

/// Replaces `${aws:username}` and the like by what the request's context holds.
fn substitute(pattern: &str, context: &Context) -> String {
    let mut result = String::new();
    let mut rest = pattern;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        result.push_str(&rest[..start]);
        let name = &rest[start + 2..start + length];
        match name {
            "*" | "?" | "$" => result.push_str(name),
            _ => {
                if let Some(value) = context
                    .get(&name.to_ascii_lowercase())
                    .and_then(|values| values.first())
                {
                    result.push_str(value);
                } else {
                    result.push_str(&rest[start..=start + length]);
                }
            }
        }
        rest = &rest[start + length + 1..];
    }
    result.push_str(rest);
    result
}

fn one_or_many(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let (many, one) = match value {
        Some(Value::Array(values)) => (values.as_slice(), None),
        other => (&[][..], other),
    };
    many.iter().chain(one)
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    one_or_many(value).filter_map(Value::as_str)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wildcards_match_as_iam_matches() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("s3:Get*", "s3:GetObject", true),
            ("s3:Get*", "s3:PutObject", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y", true),
            ("arn:aws:s3:::b", "arn:aws:s3:::b/x", false),
            ("*a*b", "xxaxxb", true),
            ("*a*b", "xxaxxbx", false),
            ("a*", "ba", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} on {text}");
        }
    }

    fn ask(policy: &Value, action: &str, resource: &str, context: &[(&str, &str)]) -> Verdict {
        let context: Context = context
            .iter()
            .map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()]))
            .collect();
        evaluate(
            policy,
            &Question {
                action,
                resource,
                principals: &[],
                context: &context,
            },
        )
    }

    #[test]
    fn statements_allow_and_deny() {
        let object = "arn:aws:s3:::b/k";
        for (case, statement, expected) in [
            (
                "a matching allow",
                json!({"Effect":"Allow","Action":"s3:getobject","Resource":"*"}),
                (true, false),
            ),
            (
                "an allow of another action",
                json!({"Effect":"Allow","Action":["s3:PutObject"],"Resource":"*"}),
                (false, false),
            ),
            (
                "an allow of another resource",
                json!({"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::c/*"}),
                (false, false),
            ),
            (
                "a deny beside an allow",
                json!([
                    {"Effect":"Allow","Action":"*","Resource":"*"},
                    {"Effect":"Deny","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"},
                ]),
                (true, true),
            ),
            (
                "NotAction allows everything else",
                json!({"Effect":"Allow","NotAction":"iam:*","Resource":"*"}),
                (true, false),
            ),
            (
                "NotAction does not allow what it names",
                json!({"Effect":"Allow","NotAction":"s3:*","Resource":"*"}),
                (false, false),
            ),
            (
                "NotResource",
                json!({"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::b/*"}),
                (false, false),
            ),
            (
                "a statement without a resource says nothing",
                json!({"Effect":"Allow","Action":"*"}),
                (false, false),
            ),
        ] {
            let verdict = ask(
                &json!({"Statement": statement}),
                "s3:GetObject",
                object,
                &[],
            );
            assert_eq!((verdict.allowed, verdict.denied), expected, "{case}");
        }
    }

    #[test]
    fn conditions_hold_as_iam_says() {
        let kms = ("s3:x-amz-server-side-encryption", "aws:kms");
        let key = "s3:x-amz-server-side-encryption";
        for (condition, context, expected) in [
            (json!({"StringEquals": {key: "aws:kms"}}), Some(kms), true),
            (json!({"StringEquals": {key: "aws:kms"}}), None, false),
            (
                json!({"StringEqualsIfExists": {key: "aws:kms"}}),
                None,
                true,
            ),
            (
                json!({"StringNotEquals": {key: "aws:kms"}}),
                Some(kms),
                false,
            ),
            (json!({"StringNotEquals": {key: "aws:kms"}}), None, true),
            (
                json!({"StringLike": {key: ["x", "aws:*"]}}),
                Some(kms),
                true,
            ),
            (json!({"Null": {key: "true"}}), None, true),
            (json!({"Null": {key: true}}), Some(kms), false),
            (json!({"Null": {key: "false"}}), Some(kms), true),
            (
                json!({"ForAllValues:StringEquals": {key: "aws:kms"}}),
                None,
                true,
            ),
            (
                json!({"ForAnyValue:StringEquals": {key: "aws:kms"}}),
                Some(kms),
                true,
            ),
            (
                json!({"NumericLessThan": {"n": "10"}}),
                Some(("n", "9")),
                true,
            ),
            (
                json!({"Bool": {"aws:securetransport": "false"}}),
                Some(("aws:securetransport", "true")),
                false,
            ),
            (
                json!({"ArnLike": {"aws:sourcearn": "arn:aws:s3:::*"}}),
                Some(("aws:sourcearn", "arn:aws:s3:::b")),
                true,
            ),
        ] {
            let policy = json!({"Statement": {
                "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition,
            }});
            let context: Vec<_> = context.into_iter().collect();
            let verdict = ask(&policy, "s3:PutObject", "*", &context);
            assert_eq!(verdict.allowed, expected, "{condition} in {context:?}");
        }
    }

    #[test]
    fn an_unknown_operator_is_not_met_and_is_told() {
        let policy = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}});
        let verdict = ask(&policy, "s3:PutObject", "*", &[]);
        assert_eq!(
            (verdict.allowed, verdict.unknown),
            (false, vec!["IpAddress".to_owned()])
        );
    }

    #[test]
    fn a_resource_policy_concerns_whom_it_names() {
        let role = Principal::Aws("arn:aws:iam::1:role/r".into());
        let service = Principal::Service("lambda.amazonaws.com".into());
        for (listed, who, expected) in [
            (json!("*"), &role, true),
            (json!({"AWS": "*"}), &role, true),
            (json!({"AWS": ["arn:aws:iam::1:role/r"]}), &role, true),
            (json!({"AWS": "arn:aws:iam::1:role/s"}), &role, false),
            (json!({"Service": "lambda.amazonaws.com"}), &service, true),
            (json!({"Service": "lambda.amazonaws.com"}), &role, false),
        ] {
            let policy = json!({"Statement": {
                "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": listed,
            }});
            let verdict = evaluate_trust(
                &policy,
                &Question {
                    action: "sts:AssumeRole",
                    resource: "*",
                    principals: std::slice::from_ref(who),
                    context: &Context::new(),
                },
            );
            assert_eq!(verdict.allowed, expected, "{listed} for {who:?}");
        }
    }

    #[test]
    fn policy_variables_come_from_the_context() {
        let context = Context::from([("aws:principalaccount".into(), vec!["1".into()])]);
        for (pattern, expected) in [
            ("a/${aws:PrincipalAccount}/b", "a/1/b"),
            ("${aws:username}", "${aws:username}"),
            ("${*}", "*"),
            ("${open", "${open"),
        ] {
            assert_eq!(substitute(pattern, &context), expected, "{pattern}");
        }
    }
}
