//! What a change set would do, resource by resource: read whole, with nested stacks, and shown to people.
//!
//! A plan holds no secret: the value of a parameter that is declared `NoEcho`, and of every property that such a value
//! flows into, is not in it.

use aws_sdk_cloudformation::types::{
    Replacement, RequiresRecreation, ResourceChange, ResourceChangeDetail,
};
use serde::{Deserialize, Serialize};

mod read;
mod render;
mod review;
mod secrets;

pub use read::read;
pub use render::Document;
pub use review::{NotAPlan, Published};
use secrets::Hidden;

/// What a plan that changes nothing has in place of a change set, because there is none.
pub const NOTHING: &str = "none";

/// What stands for a value that nobody may see.
const HIDDEN: &str = "****";

/// What stands in a change set for a value that only the deployment can know.
const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// All that a change set changes. Of a stack that changes in its outputs or settings alone, nothing is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Each resource, the stack's own before those of nested stacks.
    pub changes: Vec<Planned>,
    /// What of it is not shown, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
    /// Nested stacks that are changed, and whose change sets are there and cannot be read: what becomes of what they
    /// hold is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// What becomes of the stack if its creation fails, in AWS's words, where the change set says it: `DELETE` leaves
    /// nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_stack_failure: Option<String>,
}

/// What becomes of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The logical ids of the nested stacks that lead to it, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<String>,
    /// Its name in the template.
    pub logical_id: String,
    /// Its own id, once it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_id: Option<String>,
    /// Such as `AWS::Lambda::Function`.
    pub resource_type: String,
    /// What is done with it.
    pub action: Action,
    /// What becomes of the physical resource that goes, in AWS's words: `Delete`, `Retain`, `ReplaceAndDelete` and so
    /// on. Absent where AWS does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The properties and attributes that change it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Cause>,
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It goes.
    Remove,
    /// Another one takes its place.
    Replace,
    /// Another one may take its place; what decides is known only when it is done.
    MayReplace,
    /// It is made.
    Add,
    /// It is taken over.
    Import,
    /// It is changed where it is.
    Modify,
    /// What becomes of it is known only when it is done.
    Unknown,
}

/// Why a resource changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The property, such as `Code.S3Key`, or the attribute, such as `Tags`.
    pub what: String,
    /// Its value now, if it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Its value then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether this change makes a new resource: `never`, `maybe`, `always`.
    pub recreates: Recreates,
    /// Whether its value is known only when it is done.
    pub dynamic: bool,
    /// The parameter, resource or attribute that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Whether a change makes a new resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recreates {
    /// It does not.
    Never,
    /// It depends.
    Maybe,
    /// It does.
    Always,
}

/// How many resources a plan changes, by what is done with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Made or taken over.
    pub added: usize,
    /// Changed in place, or nobody knows.
    pub changed: usize,
    /// Replaced, or perhaps.
    pub replaced: usize,
    /// Removed.
    pub removed: usize,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = [
            (self.added, "added"),
            (self.changed, "changed"),
            (self.replaced, "replaced"),
            (self.removed, "removed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        if parts.is_empty() {
            f.write_str("outputs or settings only")
        } else {
            f.write_str(&parts.join(", "))
        }
    }
}

impl Planned {
    /// The name that says which resource it is: `Nested.Table`.
    pub fn name(&self) -> String {
        let mut parts: Vec<&str> = self.within.iter().map(String::as_str).collect();
        parts.push(&self.logical_id);
        parts.join(".")
    }
}

impl Plan {
    /// How many of each kind.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for planned in &self.changes {
            match planned.action {
                Action::Add | Action::Import => counts.added += 1,
                Action::Modify | Action::Unknown => counts.changed += 1,
                Action::Replace | Action::MayReplace => counts.replaced += 1,
                Action::Remove => counts.removed += 1,
            }
        }
        counts
    }

    /// How many of the stack's own resources it changes. A nested stack is one, whatever is in it.
    pub fn own(&self) -> usize {
        let own = self
            .changes
            .iter()
            .filter(|change| change.within.is_empty());
        own.count()
    }

    /// Whether physical resources may have to be deleted for it.
    pub fn drops(&self) -> bool {
        self.changes.iter().any(|change| match change.action {
            Action::Remove | Action::Replace | Action::MayReplace | Action::Unknown => true,
            Action::Add | Action::Import | Action::Modify => false,
        })
    }
}

fn planned(change: &ResourceChange, within: Vec<String>, hidden: &Hidden) -> Planned {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let action = change.action().map_or("", |action| action.as_str());
    let logical_id = text(change.logical_resource_id()).unwrap_or_default();
    Planned {
        within,
        physical_id: text(change.physical_resource_id()),
        resource_type: text(change.resource_type()).unwrap_or_default(),
        action: match (action, change.replacement()) {
            ("Add", _) => Action::Add,
            ("Remove", _) => Action::Remove,
            ("Import", _) => Action::Import,
            (_, Some(Replacement::True)) => Action::Replace,
            (_, Some(Replacement::Conditional)) => Action::MayReplace,
            ("Dynamic", _) => Action::Unknown,
            _ => Action::Modify,
        },
        policy: change
            .policy_action()
            .map(|policy| policy.as_str().to_owned()),
        because: causes(change.details(), &logical_id, hidden),
        logical_id,
    }
}

/// One for each property, the static reason before a dynamic one.
fn causes(details: &[ResourceChangeDetail], logical_id: &str, hidden: &Hidden) -> Vec<Cause> {
    let mut found: Vec<Cause> = Vec::new();
    for detail in details {
        let Some(target) = detail.target() else {
            continue;
        };
        let attribute = target.attribute().map_or("", |it| it.as_str());
        let what = target
            .path()
            .map(|path| path.trim_start_matches("/Properties/").replace('/', "."))
            .filter(|path| !path.is_empty() && !path.starts_with('.'))
            .or_else(|| target.name().map(str::to_owned))
            .unwrap_or_else(|| attribute.to_owned());
        let from = detail.causing_entity().map(str::to_owned);
        let property = target.name().or_else(|| what.split('.').next());
        let secret = hidden.hides(logical_id, attribute, property, from.as_deref());
        let value = |value: Option<&str>| {
            value.map(|value| {
                if value == UNKNOWN {
                    "known when it is done".to_owned()
                } else if secret {
                    HIDDEN.to_owned()
                } else {
                    value.to_owned()
                }
            })
        };
        let cause = Cause {
            before: value(target.before_value()),
            after: value(target.after_value()),
            recreates: match target.requires_recreation() {
                Some(RequiresRecreation::Always) => Recreates::Always,
                Some(RequiresRecreation::Conditionally) => Recreates::Maybe,
                _ => Recreates::Never,
            },
            dynamic: detail
                .evaluation()
                .is_some_and(|evaluation| evaluation.as_str() == "Dynamic"),
            from,
            what,
        };
        match found.iter_mut().find(|other| other.what == cause.what) {
            // AWS lists a property once for the template and once for the parameter in it.
            Some(other) => {
                let hides = [&other.before, &other.after, &cause.before, &cause.after]
                    .into_iter()
                    .any(|value| value.as_deref() == Some(HIDDEN));
                if other.dynamic && !cause.dynamic {
                    *other = cause;
                } else {
                    other.recreates = other.recreates.max(cause.recreates);
                    other.from = other.from.take().or(cause.from);
                }
                if hides {
                    for value in [&mut other.before, &mut other.after].into_iter().flatten() {
                        HIDDEN.clone_into(value);
                    }
                }
            }
            None => found.push(cause),
        }
    }
    found
}

#[cfg(test)]
mod tests;
