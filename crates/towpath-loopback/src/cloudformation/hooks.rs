//! Hooks that refuse what is about to be made, as a script says. None runs: what a hook would say is written
//! down beforehand.

use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::wire::{Object, timestamp};

/// What a hook was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// By its id.
    ChangeSet(String),
    /// By its logical id.
    Resource(String),
}

impl Target {
    /// As `ListHookResults` calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ChangeSet(_) => "CHANGE_SET",
            Self::Resource(_) => "RESOURCE",
        }
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Self::ChangeSet(id) | Self::Resource(id) => id,
        }
    }
}

/// A hook's refusal.
#[derive(Debug, Clone)]
pub(crate) struct HookResult {
    pub(crate) id: String,
    pub(crate) target: Target,
    hook: String,
    reason: String,
    at: OffsetDateTime,
}

impl HookResult {
    /// The hook refuses its target.
    pub(crate) fn refused(hook: &str, reason: &str, target: Target, now: OffsetDateTime) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            target,
            hook: hook.to_owned(),
            reason: reason.to_owned(),
            at: now,
        }
    }

    /// What is said of the target that was refused, as AWS words it of a resource. How it words it of a
    /// change set is known of its own validations only, which it tells alike.
    pub(crate) fn consequence(&self) -> String {
        match self.target {
            Target::Resource(_) => format!("The following hook(s) failed: [{}]", self.hook),
            Target::ChangeSet(_) => {
                format!("The following hook(s)/validation failed: [{}].", self.hook)
            }
        }
    }

    /// Adds what the hook said to an event.
    pub(crate) fn tell(&self, row: Value) -> Value {
        row.with("HookType", Some(self.hook.clone()))
            .with("HookStatus", Some("HOOK_COMPLETE_FAILED"))
            .with("HookStatusReason", Some(self.reason.clone()))
            .with("HookInvocationPoint", Some("PRE_PROVISION"))
            .with("HookFailureMode", Some("FAIL"))
    }

    /// As `ListHookResults` shows it.
    pub(crate) fn summary(&self) -> Value {
        json!({
            "HookResultId": self.id,
            "InvocationPoint": "PRE_PROVISION",
            "FailureMode": "FAIL",
            "TypeName": self.hook,
            "Status": "HOOK_COMPLETE_FAILED",
            "HookStatusReason": self.reason,
            "InvokedAt": timestamp(self.at),
            "TargetType": self.target.kind(),
            "TargetId": self.target.id(),
        })
    }
}
