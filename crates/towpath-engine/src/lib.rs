//! A pipeline: definition, executions, scheduling; sans I/O.
//!
//! The crate answers one question: given what has happened so far and what happens now, what is
//! to be done next? It opens no socket, reads no clock and draws no random number.
//!
//! ```text
//! JSON definition --Definition::parse--> Definition --Engine::new--> Engine
//! Input + now + random bits --Engine::handle--> effects: invoke, fetch, ask for approval, set a timer
//! ```
//!
//! - [`definition`]: CodePipeline's own JSON structure, checked as CodePipeline checks it, kept for round trip.
//! - [`Engine`]: one pipeline with its executions. Its [`Input`]s are reports, answers and the passing of time.
//! - [`constraint`]: the texts in which CodePipeline rejects a value of the wrong length, pattern or range.
//!
//! Invariants: an action reaches one terminal status and keeps it; no job is made for an action
//! that has ended; a stage is held by at most one execution (except in `PARALLEL` mode); nobody
//! enters a stage whose transition is disabled; whoever delivers the timers sees every execution
//! end, save those that wait for a disabled transition.

pub mod constraint;
pub mod definition;
mod engine;
mod id;
mod time;
mod variables;

pub use definition::{Definition, DefinitionError};
pub use engine::{
    ActionRun, ActionStatus, Approval, ApprovalAnswer, ApprovalRequest, Artifact, Effect, Engine,
    Execution, ExecutionStatus, Failure, Fetch, Input, Invocation, Job, JobStatus, JobSuccess,
    JobView, Refused, RetryRequest, Revision, Settings, SourceFetched, SourceOverride, StageRun,
    StageState, StageStatus, StartExecution, Stop, Transition, TransitionChange, TransitionEnd,
    Trigger,
};
pub use id::{ActionExecutionId, ApprovalToken, ExecutionId, JobId};
pub use time::Time;
