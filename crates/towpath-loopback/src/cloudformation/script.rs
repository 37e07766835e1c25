//! Scripted delays and failures, by stack and logical id: how tests make a deployment go wrong.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::status::ResourceOperation;
use crate::World;

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
    /// A change in place is undone: what fails here ends in `UPDATE_ROLLBACK_FAILED`.
    Rollback,
}

impl ScriptedOperation {
    /// As the resource's status tells it.
    pub(crate) fn resource(self) -> ResourceOperation {
        match self {
            Self::Create => ResourceOperation::Create,
            Self::Update | Self::Rollback => ResourceOperation::Update,
            Self::Delete => ResourceOperation::Delete,
        }
    }
}

/// The rules in force. The stack pattern may hold `*`.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    rules: Mutex<Vec<Rule>>,
}

#[derive(Debug, Clone)]
struct Rule {
    stack: String,
    logical_id: String,
    script: ResourceScript,
}

/// What the rules come to for one operation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Directions {
    pub(crate) delay: Duration,
    pub(crate) failure: Option<String>,
}

impl Scripts {
    fn add(&self, stack: &str, logical_id: &str, script: ResourceScript) {
        self.with(|rules| {
            rules.push(Rule {
                stack: stack.to_owned(),
                logical_id: logical_id.to_owned(),
                script,
            });
        });
    }

    fn clear(&self) {
        self.with(Vec::clear);
    }

    /// What is scripted for this operation on this resource.
    pub(crate) fn directions(
        &self,
        stack: &str,
        logical_id: &str,
        operation: ScriptedOperation,
    ) -> Directions {
        let mut directions = Directions::default();
        self.with(|rules| {
            for rule in rules
                .iter()
                .filter(|rule| matches(&rule.stack, stack) && matches(&rule.logical_id, logical_id))
            {
                match &rule.script {
                    ResourceScript::Fail { reason, on } if *on == operation => {
                        directions.failure.get_or_insert_with(|| reason.clone());
                    }
                    ResourceScript::Fail { .. } => {}
                    ResourceScript::Delay(delay) => directions.delay += *delay,
                }
            }
        });
        directions
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Rule>) -> T) -> T {
        act(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl World {
    /// Scripts what becomes of a stack's resource. `stack` and `logical_id` may hold `*` for any text.
    pub fn script_resource(&self, stack: &str, logical_id: &str, script: ResourceScript) {
        self.cloudformation.scripts.add(stack, logical_id, script);
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
        let fail = |on| ResourceScript::Fail {
            reason: "no".into(),
            on,
        };
        scripts.add("app*", "Fn", fail(ScriptedOperation::Update));
        scripts.add("*", "*", ResourceScript::Delay(Duration::from_secs(1)));
        let update = scripts.directions("app-1", "Fn", ScriptedOperation::Update);
        assert_eq!(update.failure.as_deref(), Some("no"));
        assert_eq!(update.delay, Duration::from_secs(1));
        let create = scripts.directions("app-1", "Fn", ScriptedOperation::Create);
        assert_eq!(create.failure, None);
        scripts.clear();
        assert_eq!(
            scripts.directions("app-1", "Fn", ScriptedOperation::Update),
            Directions::default()
        );
    }
}
