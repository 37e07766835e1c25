//! The control requests of [`crate::control`], for who runs in the same process.

use bytes::Bytes;
use serde_json::Value;

use crate::{AwsError, Loopback};

impl Loopback {
    /// The account number that appears in ARNs.
    pub fn account(&self) -> &str {
        &self.world().settings.account
    }

    /// The one region that is served.
    pub fn region(&self) -> &str {
        &self.world().settings.region
    }

    /// Makes a container image known by its URI: a zip of its files.
    pub async fn register_image(&self, uri: &str, zip: Bytes) -> Result<(), AwsError> {
        self.world()
            .lambda
            .register_image(self.world(), uri, zip)
            .await
    }

    /// Hands over the tree that a connection's repository and branch stand for: a zip.
    pub async fn register_source(
        &self,
        repository: &str,
        branch: &str,
        revision: &str,
        message: &str,
        zip: Bytes,
    ) -> Result<(), AwsError> {
        let world = self.world();
        world
            .codepipeline
            .register_source(world, repository, branch, revision, message, zip)
            .await
    }

    /// What was executed, simulated and refused, each a sorted list.
    pub fn fidelity(&self) -> Value {
        self.world().fidelity.report()
    }

    /// The jobs of an execution: a list of `{stage, action, job_ids, invocations}`.
    pub fn jobs(&self, pipeline: &str, execution: &str) -> Result<Value, AwsError> {
        self.world()
            .codepipeline
            .jobs(Some(pipeline), Some(execution))
    }
}
