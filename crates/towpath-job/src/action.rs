//! What a function crate implements.

use std::error::Error;

use crate::failure::Failure;
use crate::job::Job;
use crate::outcome::Outcome;
use crate::parameters::FromQuery;

/// One CodePipeline action. A step is bounded by [`Job::budget`] and safe to repeat with the same
/// job: Lambda may deliver an event twice, and cut a step off anywhere.
pub trait Action: Send + Sync + 'static {
    /// The name in logs and tokens, such as `deploy-stack`.
    const NAME: &'static str;
    /// What `UserParameters` are read into.
    type Parameters: FromQuery + Send + Sync + 'static;
    /// Whether `compute=codebuild` may have it done in CodeBuild: all of its work is one step, and
    /// what it takes from AWS beside artifacts, the build project's role can be allowed.
    const MOVABLE: bool = false;
    /// What a step fails with. It is logged with its causes, and reported as a [`Failure`].
    type Error: Error + Into<Failure> + Send + Sync + 'static;

    /// Does one step. Work that outlasts the budget goes on with [`Outcome::Continue`].
    fn step(
        &self,
        job: &Job<Self::Parameters>,
    ) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;
}
