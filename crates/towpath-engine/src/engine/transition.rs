//! The links between stages: disabled, enabled again.
//!
//! A link belongs to the pipeline, not to an execution: it stays as it is while executions come and
//! go, and a new definition keeps it at every stage whose name it keeps. It has two ends, which are
//! disabled and enabled apart: a stage is open when its own inbound end and the outbound end of the
//! stage before it are enabled. Only coming in is prevented; whoever is inside stays, and a retry,
//! which begins inside, is no transition.

use super::{Engine, Refused, TransitionChange, Turn};
use crate::Time;
use crate::definition::ExecutionMode;

/// Which end of a link between stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransitionEnd {
    /// Into the stage.
    Inbound,
    /// Out of the stage, into the next one. Out of the last stage it leads nowhere.
    Outbound,
}

/// How one end of a link stands since somebody last changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Why it is disabled. `None` when it is enabled.
    pub disabled: Option<String>,
    /// When it was last changed.
    pub changed: Time,
    /// Who last changed it.
    pub by: Option<String>,
}

impl Transition {
    /// Whether executions pass.
    pub const fn is_enabled(&self) -> bool {
        self.disabled.is_none()
    }
}

impl Engine {
    pub(super) fn change_transition(
        &mut self,
        change: TransitionChange,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refused> {
        let Some(stage) = self.definition.stage(&change.stage) else {
            return Err(Refused::StageNotFound(change.stage));
        };
        let slot = &mut self.slots[stage];
        let (end, leads_to) = match change.end {
            TransitionEnd::Inbound => (&mut slot.inbound, stage),
            TransitionEnd::Outbound => (&mut slot.outbound, stage + 1),
        };
        *end = Some(Transition {
            disabled: change.disabled,
            changed: turn.now,
            by: change.by,
        });
        if leads_to < self.slots.len() {
            self.admit(leads_to, turn);
        }
        Ok(())
    }

    /// What decides whether a stage is open: the end that is disabled, the stage's own first, else
    /// the one that was changed last. `None` when nobody ever changed either.
    pub(super) fn transition_into(&self, stage: usize) -> Option<&Transition> {
        let inbound = self.slots[stage].inbound.as_ref();
        let before = stage.checked_sub(1).map(|before| &self.slots[before]);
        let outbound = before.and_then(|before| before.outbound.as_ref());
        let ends = [inbound, outbound];
        let mut ends = ends.into_iter().flatten();
        ends.clone()
            .find(|end| !end.is_enabled())
            .or_else(|| ends.by_ref().max_by_key(|end| end.changed))
    }

    pub(super) fn is_open(&self, stage: usize) -> bool {
        self.transition_into(stage)
            .is_none_or(Transition::is_enabled)
    }

    /// Lets in whoever may come in: the next one, or side by side everyone.
    pub(super) fn admit(&mut self, stage: usize, turn: &mut Turn<'_>) {
        while self.is_open(stage)
            && (self.slots[stage].holder.is_none() || self.mode() == ExecutionMode::Parallel)
            && let Some(next) = self.slots[stage].waiters.pop_front()
        {
            self.enter(next, stage, turn);
        }
    }
}
