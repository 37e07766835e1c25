//! The service's limits, enforced before a call is made because a refused report is a lost one.
//!
//! They are the constraints of the CodePipeline API reference (PutJobSuccessResult,
//! PutJobFailureResult) and of the user guide's page of quotas.

use std::time::Duration;

/// `failureDetails.message`.
pub(crate) const MESSAGE: usize = 5_000;
/// `executionDetails.summary`.
pub(crate) const SUMMARY: usize = 2_048;
/// `continuationToken`.
pub(crate) const TOKEN: usize = 2_048;
/// `externalExecutionId`.
pub(crate) const EXTERNAL_ID: usize = 1_500;
/// All output variables of one action together, names and values, in bytes.
pub(crate) const VARIABLES_BYTES: usize = 122_880;
/// `UserParameters` once the pipeline's variables have been resolved, in bytes.
///
/// The 1,000 characters of an action's configuration value count before that.
pub(crate) const PARAMETERS_BYTES: usize = 100 * 1_024;
/// How long CodePipeline waits for a Lambda action in all.
pub(crate) const ACTION: Duration = Duration::from_hours(24);
/// What `timeout` is when an action does not set it: a little less than [`ACTION`], so that it
/// is the function that says what happened.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(23 * 60 + 45);
