//! The engine's promises, seen from outside: inputs, effects and what can be asked of it.

mod approvals;
mod continuations;
mod definitions;
mod executions;
mod invariants;
mod modes;
mod pipeline;
mod retries;
mod transitions;
mod variables;
