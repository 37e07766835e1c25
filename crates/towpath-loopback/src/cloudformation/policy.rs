//! Stack policies: what an update may do to which resource ("Prevent updates to stack resources" in the user guide).

use serde_json::Value;

use super::script::matches;

/// What an update is about to do to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateAction {
    Modify,
    Replace,
    Delete,
}

impl UpdateAction {
    /// As policies name it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Modify => "Update:Modify",
            Self::Replace => "Update:Replace",
            Self::Delete => "Update:Delete",
        }
    }
}

/// Why the policy does not let this happen, or `None` if it does. Where there is a policy, what it does not
/// allow is denied.
pub(crate) fn refusal(
    policy: &str,
    action: UpdateAction,
    logical_id: &str,
    resource_type: &str,
) -> Option<String> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement) => std::slice::from_ref(statement),
        None => &[],
    };
    let applies = |statement: &Value| {
        applies(
            statement,
            action.as_str(),
            &format!("LogicalResourceId/{logical_id}"),
            resource_type,
        )
    };
    let denying = statements
        .iter()
        .position(|statement| statement["Effect"] == "Deny" && applies(statement));
    if let Some(at) = denying {
        return Some(format!(
            "Action denied by stack policy: Statement [#{}] does not allow [{}] for resource [LogicalResourceId/{logical_id}]",
            at + 1,
            action.as_str()
        ));
    }
    let allowed = statements
        .iter()
        .any(|statement| statement["Effect"] == "Allow" && applies(statement));
    (!allowed).then(|| {
        format!(
            "Action not allowed by stack policy: [{}] for resource [LogicalResourceId/{logical_id}]",
            action.as_str()
        )
    })
}

fn applies(statement: &Value, action: &str, resource: &str, resource_type: &str) -> bool {
    let about = |member: &str, without: &str, text: &str| match (
        statement.get(member),
        statement.get(without),
    ) {
        (Some(patterns), _) => any(patterns, text),
        (None, Some(patterns)) => !any(patterns, text),
        (None, None) => false,
    };
    let condition = statement.get("Condition").and_then(Value::as_object);
    let condition_holds = condition.is_none_or(|operators| {
        operators.iter().all(|(operator, keys)| {
            let types = &keys["ResourceType"];
            match operator.as_str() {
                "StringEquals" => texts(types).any(|text| text == resource_type),
                "StringLike" => any(types, resource_type),
                _ => false,
            }
        })
    });
    about("Action", "NotAction", action)
        && about("Resource", "NotResource", resource)
        && condition_holds
}

fn any(patterns: &Value, text: &str) -> bool {
    texts(patterns).any(|pattern| matches(pattern, text))
}

/// A text, or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    let many = value.as_array().into_iter().flatten();
    one.into_iter().chain(many.filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_policy_holds_back() {
        let everything =
            json!({"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"});
        let deny = |action: Value, resource: &str| json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource});
        let tables = json!({
            "Effect": "Deny", "Principal": "*", "Action": ["Update:Replace", "Update:Delete"], "Resource": "*",
            "Condition": {"StringEquals": {"ResourceType": ["AWS::DynamoDB::Table"]}},
        });
        let all_but_orders = json!({"Effect": "Allow", "Principal": "*", "Action": "Update:*", "NotResource": "LogicalResourceId/Orders"});
        let denied = |number: usize, action: &str| {
            Some(format!(
                "Action denied by stack policy: Statement [#{number}] does not allow [{action}] for resource [LogicalResourceId/Orders]"
            ))
        };
        let not_allowed = |action: &str| {
            Some(format!(
                "Action not allowed by stack policy: [{action}] for resource [LogicalResourceId/Orders]"
            ))
        };
        for (statements, action, expected) in [
            (json!([everything]), UpdateAction::Replace, None),
            (json!(everything), UpdateAction::Delete, None),
            (
                json!([]),
                UpdateAction::Modify,
                not_allowed("Update:Modify"),
            ),
            (
                json!([
                    everything,
                    deny(json!("Update:Delete"), "LogicalResourceId/Orders")
                ]),
                UpdateAction::Delete,
                denied(2, "Update:Delete"),
            ),
            (
                json!([
                    deny(json!("Update:Delete"), "LogicalResourceId/Orders"),
                    everything
                ]),
                UpdateAction::Modify,
                None,
            ),
            (
                json!([
                    deny(json!("Update:*"), "LogicalResourceId/Ord*"),
                    everything
                ]),
                UpdateAction::Modify,
                denied(1, "Update:Modify"),
            ),
            (
                json!([
                    everything,
                    deny(json!("Update:*"), "LogicalResourceId/Others")
                ]),
                UpdateAction::Modify,
                None,
            ),
            (
                json!([everything, tables]),
                UpdateAction::Replace,
                denied(2, "Update:Replace"),
            ),
            (json!([everything, tables]), UpdateAction::Modify, None),
            (
                json!([all_but_orders]),
                UpdateAction::Modify,
                not_allowed("Update:Modify"),
            ),
        ] {
            let policy = json!({ "Statement": statements }).to_string();
            assert_eq!(
                refusal(&policy, action, "Orders", "AWS::DynamoDB::Table"),
                expected,
                "{action:?} {policy}"
            );
        }
    }
}
