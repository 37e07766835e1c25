//! Run a build tool the way a shared machine needs it: a clean environment, a deadline, nothing left behind.
//!
//! A build tool (npm, pip, make, a project's own tests) is code that nobody here wrote. It gets an
//! [environment](mod@environment) built from nothing, a [`Workspace`] of its own in which HOME and every
//! cache lie, a process group of its own, a deadline, and no way to read the function's credentials
//! ([`seal_process`]). When it ends, so does everything that it started ([`run`]).
//!
//! This crate knows nothing of AWS, of jobs or of artifacts. Which tool runs a named task is decided by
//! [`task::detect`].
//!
//! What Linux gives and other systems do not: the sub-reaper and the protection of the process's memory
//! ([`seal_process`]), and the reading of other processes' environments by which daemons are found
//! ([`tree`]). Elsewhere the process group alone is killed.

pub mod command;
pub mod environment;
mod error;
pub mod installed;
mod output;
mod run;
mod seal;
mod survivors;
pub mod task;
pub mod tree;
mod workspace;

pub use command::Command;
pub use error::ToolError;
pub use run::{Finished, Limits, run};
pub use seal::seal_process;
pub use workspace::Workspace;
