//! CloudFormation: from an observed state to the next step, change sets, and the first cause of a
//! failure.
//!
//! The decisions ([`step`], [`teardown`], [`sweep`], [`change_set::verdict`], [`gate`],
//! [`cause::first_cause`]) are pure and hold in
//! tables. The calls around them address a stack by its ARN once it is known, because a name can
//! come to mean another stack. This crate knows nothing of CodePipeline.

pub mod cause;
pub mod change_set;
mod error;
pub mod gate;
mod importers;
pub mod name;
mod observe;
pub mod plan;
pub mod progress;
pub mod resources;
mod status;
pub mod step;
pub mod summary;
pub mod sweep;
pub mod teardown;

pub use error::{Fault, StackError};
pub use importers::{Importer, importers};
pub use observe::{NESTED_DEPTH, Observed, STACK_TYPE, Stack, describe, describe_all};
pub use status::StackStatus;
