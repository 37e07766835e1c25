//! Links between stages: disable, enable.

use std::sync::Arc;

use serde_json::{Value, json};
use towpath_engine::constraint::Rule;
use towpath_engine::{Input, Transition, TransitionChange, TransitionEnd};

use super::CodePipeline;
use super::answer::{object, seconds};
use super::request::Request;
use crate::{AwsError, Caller, World};

/// <https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_DisableStageTransition.html>
const REASON: Rule = Rule::length(1, 300).of(r"[a-zA-Z0-9!@ \(\)\.\*\?\-]+", |c| {
    c.is_ascii_alphanumeric() || "!@ ().*?-".contains(c)
});

impl CodePipeline {
    pub(super) fn disable_transition(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let reason = request.required("reason", &REASON);
        self.change_transition(world, caller, request, Some(reason))
    }

    pub(super) fn enable_transition(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        input: &Value,
    ) -> Result<Value, AwsError> {
        self.change_transition(world, caller, Request::new(input), None)
    }

    fn change_transition(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        mut request: Request<'_>,
        disabled: Option<String>,
    ) -> Result<Value, AwsError> {
        let name = request.name("pipelineName");
        let stage = request.name("stageName");
        let end = request.one_of("transitionType", &["Inbound", "Outbound"]);
        request.finish()?;
        let change = TransitionChange {
            stage,
            // One of the two: it was checked.
            end: if end == "Inbound" {
                TransitionEnd::Inbound
            } else {
                TransitionEnd::Outbound
            },
            disabled,
            by: Some(caller.arn(&world.settings.account)),
        };
        self.feed(world, &name, Input::ChangeTransition(change))?;
        Ok(json!({}))
    }
}

/// `inboundTransitionState`: a link that nobody ever touched is enabled, and says no more.
pub(super) fn transition_state(transition: Option<&Transition>) -> Value {
    object(json!({
        "enabled": transition.is_none_or(Transition::is_enabled),
        "disabledReason": transition.and_then(|link| link.disabled.as_ref()),
        "lastChangedAt": transition.map(|link| seconds(link.changed)),
        "lastChangedBy": transition.and_then(|link| link.by.as_ref()),
    }))
}
