//! A CodePipeline job: event, parameters, outcome, exactly one report.
//!
//! Everything that a Lambda action of CodePipeline has in common is here, and only here: the
//! event's JSON, the query string in `UserParameters`, the continuation token and the
//! `PutJob*Result` calls with their limits. A function crate implements [`Action`] and hands it
//! to [`run`].
//!
//! What holds whatever an action does:
//! - every job that has an id is reported exactly once: after an error, a panic, a malformed
//!   event, an overrun budget;
//! - a function returns an error to Lambda only when the report could not be delivered;
//! - success is not reported without a [`Receipt`] for every declared output artifact;
//! - neither the event nor a credential is logged or reported.

mod action;
mod artifact;
mod budget;
mod build;
mod deliver;
mod event;
mod failure;
mod handle;
mod job;
mod limits;
mod moving;
mod outcome;
pub mod parameters;
mod report;
mod runtime;
mod spill;
mod text;
mod token;
mod variables;

pub use action::Action;
pub use artifact::{Artifact, ArtifactLocation, ArtifactPath, ArtifactPathError, EncryptionKey};
pub use deliver::{ReportError, Settled};
pub use event::JobId;
pub use failure::{Failure, FailureType, Limit, aws_cause, aws_kind, chain};
pub use handle::handle;
pub use job::{Job, JobError};
pub use lambda_runtime::Error as RunError;
pub use outcome::{Outcome, Progress, Receipt};
pub use parameters::duration;
pub use parameters::{FromQuery, ParameterError, Query};
pub use runtime::run;
pub use token::Token;
pub use towpath_artifact::{ArtifactError, Found, Location, Source, Store, Tree};
pub use towpath_secret::{Secret, Secrets};
pub use variables::{Variables, VariablesError};
