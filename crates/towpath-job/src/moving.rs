//! A job's artifacts: brought into a directory, sent from one.

use std::path::Path;
use std::sync::Arc;

use towpath_artifact::{ArtifactError, Blame, Location, Origins, Source, Store, Tree};

use crate::artifact::Artifact;
use crate::failure::{Failure, FailureType, chain};
use crate::job::{Job, JobError, sse};
use crate::outcome::Receipt;

impl<P> Job<P> {
    /// Fetches an artifact and unpacks it into `into`, which must not exist or be empty.
    pub async fn fetch(&self, artifact: &Artifact, into: &Path) -> Result<Tree, JobError> {
        let fetched = self.artifacts().fetch(location(artifact), into).await;
        fetched.map_err(|source| failed(artifact, source))
    }

    /// Fetches an artifact and lays it over what is in `onto`.
    pub async fn overlay(&self, artifact: &Artifact, onto: &Path) -> Result<Tree, JobError> {
        let laid = self.artifacts().overlay(location(artifact), onto).await;
        laid.map_err(|source| failed(artifact, source))
    }

    /// The same, noting what was unpacked, for [`Job::publish_reusing`].
    pub async fn overlay_noting(
        &self,
        artifact: &Artifact,
        onto: &Path,
        origins: &mut Origins,
    ) -> Result<Tree, JobError> {
        let store = self.artifacts();
        let laid = store
            .overlay_noting(location(artifact), onto, origins)
            .await;
        laid.map_err(|source| failed(artifact, source))
    }

    /// Fetches one file of an artifact.
    pub async fn fetch_file(&self, artifact: &Artifact, path: &str) -> Result<Vec<u8>, JobError> {
        let file = self.artifacts().fetch_file(location(artifact), path).await;
        file.map_err(|source| failed(artifact, source))
    }

    /// Publishes an output artifact, encrypted as the pipeline wants it.
    pub async fn publish(
        &self,
        artifact: &Artifact,
        source: Source<'_>,
    ) -> Result<Receipt, JobError> {
        self.publish_reusing(artifact, source, &Arc::default())
            .await
    }

    /// The same, from a tree that inputs were laid into: what nobody has changed of them is not
    /// deflated again.
    pub async fn publish_reusing(
        &self,
        artifact: &Artifact,
        source: Source<'_>,
        origins: &Arc<Origins>,
    ) -> Result<Receipt, JobError> {
        let encryption = sse(self.encryption_key.as_ref());
        let published = self
            .artifacts()
            .publish_reusing(source, location(artifact), &encryption, origins)
            .await
            .map_err(|source| failed(artifact, source))?;
        Ok(Receipt::published(&artifact.name, published.bytes))
    }

    /// S3 with the job's own credentials, which reach the pipeline's artifacts and nothing else.
    /// A job that was sent none gets the function's.
    fn artifacts(&self) -> Store {
        Store::new(towpath_aws::s3(&self.store), self.settings)
    }

    /// S3 with the function's role: everything but artifacts.
    pub fn own_store(&self) -> Store {
        Store::new(towpath_aws::s3(self.aws()), self.settings)
    }
}

fn location(artifact: &Artifact) -> Location<'_> {
    Location {
        bucket: &artifact.location.bucket,
        key: &artifact.location.key,
    }
}

fn failed(artifact: &Artifact, source: ArtifactError) -> JobError {
    JobError::Artifact {
        name: artifact.name.clone(),
        source,
    }
}

/// What CodePipeline is told of it, in these words.
pub(crate) fn failure(error: &ArtifactError, message: String) -> Failure {
    let kind = match error.blame() {
        Blame::Permission => FailureType::PermissionError,
        Blame::Definition => FailureType::ConfigurationError,
        Blame::Revision => FailureType::RevisionUnavailable,
        Blame::Content | Blame::Project | Blame::Space => FailureType::JobFailed,
        Blame::Service => FailureType::SystemUnavailable,
    };
    let failure = Failure::new(kind, message);
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

impl From<ArtifactError> for Failure {
    fn from(error: ArtifactError) -> Self {
        failure(&error, chain(&error))
    }
}
