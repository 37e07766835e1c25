//! Scripted delays and failures, by stack and logical id: how a deployment is made to go wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::status::ResourceOperation;
use crate::World;
use crate::faults::{Members, NotARule};

/// What is to happen to a resource instead of the ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceScript {
    /// The operation fails with this reason, every time, until the script is cleared.
    Fail {
        /// What the resource's status reason says.
        reason: String,
        /// The operation that fails.
        on: ScriptedOperation,
    },
    /// A hook of the account refuses the operation before it begins, every time, until the script is cleared.
    Refuse {
        /// The hook's type name, such as `Acme::Guard::Public`.
        hook: String,
        /// What the hook says.
        reason: String,
        /// The operation that is refused.
        on: ScriptedOperation,
    },
    /// Every operation on the resource takes this much longer.
    Delay(Duration),
}

/// The operation that a script lets fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptedOperation {
    /// The resource is made, for the first time or to replace another.
    Create,
    /// The resource is changed in place.
    Update,
    /// The resource is removed.
    Delete,
    /// A change in place is undone: what fails here ends in `UPDATE_ROLLBACK_FAILED`; that of an import in
    /// `IMPORT_ROLLBACK_FAILED`.
    Rollback,
    /// A resource that is there is taken into the stack.
    Import,
}

impl ScriptedOperation {
    /// As the resource's status tells it.
    pub(crate) fn resource(self) -> ResourceOperation {
        match self {
            Self::Create => ResourceOperation::Create,
            Self::Update | Self::Rollback => ResourceOperation::Update,
            Self::Delete => ResourceOperation::Delete,
            Self::Import => ResourceOperation::Import,
        }
    }
}

/// The operations, as a rule in JSON names them.
const OPERATIONS: [(&str, ScriptedOperation); 5] = [
    ("create", ScriptedOperation::Create),
    ("update", ScriptedOperation::Update),
    ("delete", ScriptedOperation::Delete),
    ("rollback", ScriptedOperation::Rollback),
    ("import", ScriptedOperation::Import),
];

/// Which resources meet with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRule {
    stack: String,
    logical_id: String,
    /// Nothing: every operation.
    operation: Option<ScriptedOperation>,
    delay: Duration,
    failure: Option<Failure>,
    /// Nothing: every time.
    times: Option<u64>,
}

impl ResourceRule {
    fn of(stack: &str, logical_id: &str, script: ResourceScript) -> Self {
        let (operation, delay, failure) = match script {
            ResourceScript::Fail { reason, on } => {
                let hook = None;
                (Some(on), Duration::ZERO, Some(Failure { reason, hook }))
            }
            ResourceScript::Refuse { hook, reason, on } => {
                let hook = Some(hook);
                (Some(on), Duration::ZERO, Some(Failure { reason, hook }))
            }
            ResourceScript::Delay(delay) => (None, delay, None),
        };
        Self {
            stack: stack.to_owned(),
            logical_id: logical_id.to_owned(),
            operation,
            delay,
            failure,
            times: None,
        }
    }

    /// Reads `{"stack","resource","operation","fail","hook","delay_ms","times"}`, where `operation` is `create`, `update`,
    /// `delete` or `rollback`.
    pub(crate) fn from_json(value: &Value) -> Result<Self, NotARule> {
        const KEYS: [&str; 7] = [
            "stack",
            "resource",
            "operation",
            "fail",
            "hook",
            "delay_ms",
            "times",
        ];
        let members = Members::of("a resource rule", value, &KEYS)?;
        let pattern = |key| {
            members
                .text(key)?
                .filter(|pattern| !pattern.is_empty())
                .ok_or_else(|| {
                    NotARule(format!(
                        "a resource rule needs `{key}`: a name, in which `*` stands for any text"
                    ))
                })
        };
        let (stack, logical_id) = (pattern("stack")?, pattern("resource")?);
        let operation = members
            .text("operation")?
            .map(|name| {
                OPERATIONS
                    .into_iter()
                    .find_map(|(known, operation)| (known == name).then_some(operation))
                    .ok_or_else(|| {
                        let known = OPERATIONS.map(|(known, _)| known).join(", ");
                        NotARule(format!("the operation `{name}` is none of {known}"))
                    })
            })
            .transpose()?;
        let hook = members.text("hook")?;
        let failure = members.text("fail")?;
        if hook.is_some() && failure.is_none() {
            return Err(NotARule(
                "a `hook` needs `fail` with what the hook says".into(),
            ));
        }
        let failure = failure.map(|reason| Failure { reason, hook });
        let delay = members.whole("delay_ms")?;
        if failure.is_none() && delay.is_none() {
            return Err(NotARule(
                "a resource rule needs `fail` with the reason, or `delay_ms`, or both".into(),
            ));
        }
        // Without this, what fails to be created would fail to be rolled back as well.
        if failure.is_some() && operation.is_none() {
            return Err(NotARule(
                "a `fail` needs the `operation` that fails: create, update, delete, rollback or import"
                    .into(),
            ));
        }
        let times = members.whole("times")?;
        if times == Some(0) {
            return Err(NotARule(
                "`times` is 0, so the rule would do nothing".into(),
            ));
        }
        Ok(Self {
            stack,
            logical_id,
            operation,
            delay: Duration::from_millis(delay.unwrap_or(0)),
            failure,
            times,
        })
    }

    fn matches(&self, stack: &str, logical_id: &str, operation: ScriptedOperation) -> bool {
        self.operation.is_none_or(|own| own == operation)
            && matches(&self.stack, stack)
            && matches(&self.logical_id, logical_id)
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    rules: Mutex<Vec<Armed>>,
    refusals: Mutex<Vec<Refusal>>,
}

/// A rule and how often it was followed.
#[derive(Debug)]
struct Armed {
    rule: ResourceRule,
    hits: u64,
}

/// What the rules come to for one operation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Directions {
    pub(crate) delay: Duration,
    pub(crate) failure: Option<Failure>,
}

/// Why an operation is to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// The hook that refuses it.
    pub(crate) hook: Option<String>,
}

/// A hook that refuses change sets.
#[derive(Debug)]
struct Refusal {
    stack: String,
    hook: String,
    reason: String,
}

impl Scripts {
    /// Puts a rule in force.
    pub(crate) fn add(&self, rule: ResourceRule) {
        self.with(|rules| rules.push(Armed { rule, hits: 0 }));
    }

    /// Forgets every rule.
    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
        self.refusals().clear();
    }

    /// The hook that refuses the change sets of this stack, and what it says.
    pub(crate) fn refusal(&self, stack: &str) -> Option<(String, String)> {
        self.refusals()
            .iter()
            .find(|refusal| matches(&refusal.stack, stack))
            .map(|refusal| (refusal.hook.clone(), refusal.reason.clone()))
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is scripted for this operation on this resource. Delays add up; the first rule that fails it has the word.
    pub(crate) fn directions(
        &self,
        stack: &str,
        logical_id: &str,
        operation: ScriptedOperation,
    ) -> Directions {
        let mut directions = Directions::default();
        self.with(|rules| {
            for armed in rules.iter_mut().filter(|armed| {
                armed.rule.matches(stack, logical_id, operation)
                    && armed.rule.times.is_none_or(|times| armed.hits < times)
            }) {
                armed.hits += 1;
                directions.delay += armed.rule.delay;
                if directions.failure.is_none() {
                    directions.failure.clone_from(&armed.rule.failure);
                }
            }
        });
        directions
    }

    /// Each rule with the number of operations that it was followed in.
    pub(crate) fn report(&self) -> Value {
        self.with(|rules| {
            rules
                .iter()
                .map(|armed| {
                    let operation = OPERATIONS.into_iter().find_map(|(name, operation)| {
                        (Some(operation) == armed.rule.operation).then_some(name)
                    });
                    json!({
                        "stack": armed.rule.stack,
                        "resource": armed.rule.logical_id,
                        "operation": operation,
                        "hits": armed.hits,
                    })
                })
                .collect()
        })
    }

    /// The rules that were followed in no operation, in words.
    pub(crate) fn unmet(&self) -> Vec<String> {
        self.with(|rules| {
            rules
                .iter()
                .filter(|armed| armed.hits == 0)
                .map(|armed| {
                    let ResourceRule {
                        stack, logical_id, ..
                    } = &armed.rule;
                    format!("resource `{logical_id}` of stack `{stack}`")
                })
                .collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Armed>) -> T) -> T {
        act(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl World {
    /// Scripts what becomes of a stack's resource. `stack` and `logical_id` may hold `*` for any text.
    pub fn script_resource(&self, stack: &str, logical_id: &str, script: ResourceScript) {
        let rule = ResourceRule::of(stack, logical_id, script);
        self.cloudformation.scripts.add(rule);
    }

    /// Lets a hook of the account refuse every change set of the stacks that `stack` stands for.
    pub fn refuse_change_sets(&self, stack: &str, hook: &str, reason: &str) {
        self.cloudformation.scripts.refusals().push(Refusal {
            stack: stack.to_owned(),
            hook: hook.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Forgets every script: what was scripted to fail succeeds from now on.
    pub fn clear_resource_scripts(&self) {
        self.cloudformation.scripts.clear();
    }
}

/// `*` stands for any text; everything else for itself.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => {
            let Some(tail) = text.strip_prefix(head) else {
                return false;
            };
            tail.char_indices()
                .map(|(at, _)| at)
                .chain([tail.len()])
                .any(|at| matches(rest, &tail[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("app", "app", true),
            ("app", "apple", false),
            ("app*", "apple", true),
            ("*-prod", "hello-prod", true),
            ("*-prod", "hello-prod-2", false),
            ("*", "", true),
            ("a*c*e", "abcde", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn rules_add_up_and_are_cleared() {
        let scripts = Scripts::default();
        let add = |stack, id, script| scripts.add(ResourceRule::of(stack, id, script));
        let fail = |on| ResourceScript::Fail {
            reason: "no".into(),
            on,
        };
        add("app*", "Fn", fail(ScriptedOperation::Update));
        add("*", "*", ResourceScript::Delay(Duration::from_secs(1)));
        let update = scripts.directions("app-1", "Fn", ScriptedOperation::Update);
        assert_eq!(
            update.failure.map(|failure| failure.reason),
            Some("no".to_owned())
        );
        assert_eq!(update.delay, Duration::from_secs(1));
        let create = scripts.directions("app-1", "Fn", ScriptedOperation::Create);
        assert_eq!(create.failure, None);
        scripts.clear();
        assert_eq!(
            scripts.directions("app-1", "Fn", ScriptedOperation::Update),
            Directions::default()
        );
    }

    #[test]
    fn a_rule_is_followed_as_often_as_it_says() {
        let scripts = Scripts::default();
        let rule = json!({
            "stack": "app", "resource": "*", "operation": "update", "fail": "no", "delay_ms": 7, "times": 2,
        });
        scripts.add(ResourceRule::from_json(&rule).expect("a rule"));
        let mut failed = Vec::new();
        for operation in [
            ScriptedOperation::Create,
            ScriptedOperation::Update,
            ScriptedOperation::Rollback,
            ScriptedOperation::Update,
            ScriptedOperation::Update,
        ] {
            let directions = scripts.directions("app", "Fn", operation);
            assert_eq!(directions.failure.is_some(), !directions.delay.is_zero());
            failed.push(directions.failure.is_some());
        }
        assert_eq!(failed, [false, true, false, true, false]);
        assert_eq!(
            scripts.report(),
            json!([{"stack": "app", "resource": "*", "operation": "update", "hits": 2}])
        );
    }

    #[test]
    fn a_hook_is_read_with_what_it_says() {
        let scripts = Scripts::default();
        let rule = json!({
            "stack": "app", "resource": "Fn", "operation": "create", "hook": "Acme::Guard::Public", "fail": "no",
        });
        scripts.add(ResourceRule::from_json(&rule).expect("a rule"));
        let directions = scripts.directions("app", "Fn", ScriptedOperation::Create);
        let failure = Failure {
            reason: "no".into(),
            hook: Some("Acme::Guard::Public".into()),
        };
        assert_eq!(directions.failure, Some(failure));
    }

    #[test]
    fn rules_are_read_from_json_or_refused_in_words() {
        for (given, expected) in [
            (json!([]), "a resource rule is a JSON object"),
            (json!({"stack": "app", "fail": "no"}), "needs `resource`"),
            (json!({"stack": "", "resource": "Fn"}), "needs `stack`"),
            (
                json!({"stack": "app", "resource": "Fn"}),
                "needs `fail` with the reason, or `delay_ms`",
            ),
            (
                json!({"stack": "app", "resource": "Fn", "hook": "A::B::C", "delay_ms": 3}),
                "a `hook` needs `fail`",
            ),
            (
                json!({"stack": "app", "resource": "Fn", "fail": "no"}),
                "needs the `operation` that fails",
            ),
            (
                json!({"stack": "app", "resource": "Fn", "fail": "no", "operation": "destroy"}),
                "`destroy` is none of create, update, delete, rollback",
            ),
            (
                json!({"stack": "app", "resource": "Fn", "delay": 3}),
                "no `delay`: it has stack, resource",
            ),
            (
                json!({"stack": "app", "resource": "Fn", "delay_ms": "3s"}),
                "`delay_ms` is a whole number",
            ),
            (
                json!({"stack": "app", "resource": ["Fn"], "delay_ms": 3}),
                "`resource` is a text",
            ),
            (
                json!({"stack": "app", "resource": "Fn", "delay_ms": 3, "times": 0}),
                "`times` is 0",
            ),
        ] {
            let error = ResourceRule::from_json(&given).expect_err("refused");
            assert!(error.to_string().contains(expected), "{given}: {error}");
        }
    }
}
