//! A job's artifacts: brought into a directory, sent from one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use towpath_artifact::{
    ArtifactError, Blame, Copy, Encryption, Found, Location, Origins, Published, Source, Store,
    Tree,
};

use crate::artifact::Artifact;
use crate::failure::{Failure, FailureType, Limit, chain};
use crate::job::{Job, JobError};
use crate::outcome::Receipt;

impl<P> Job<P> {
    /// Fetches an artifact and unpacks it into `into`, which must not exist or be empty.
    pub async fn fetch(&self, artifact: &Artifact, into: &Path) -> Result<Tree, JobError> {
        let fetched = self.artifacts().fetch(artifact.place(), into).await;
        fetched.map_err(|source| failed(artifact, source))
    }

    /// Fetches an artifact and lays it over what is in `onto`.
    pub async fn overlay(&self, artifact: &Artifact, onto: &Path) -> Result<Tree, JobError> {
        let laid = self.artifacts().overlay(artifact.place(), onto).await;
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
        let laid = store.overlay_noting(artifact.place(), onto, origins).await;
        laid.map_err(|source| failed(artifact, source))
    }

    /// Fetches one file of an artifact.
    pub async fn fetch_file(&self, artifact: &Artifact, path: &str) -> Result<Vec<u8>, JobError> {
        let file = self.artifacts().fetch_file(artifact.place(), path).await;
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
        let encryption = &self.encryption;
        let published = self
            .artifacts()
            .publish_reusing(source, artifact.place(), encryption, origins)
            .await
            .map_err(|source| failed(artifact, source))?;
        Ok(self.note(receipt(artifact, published)))
    }

    /// Publishes an output artifact that lies elsewhere already, where the function's role may read it.
    ///
    /// S3 copies it, if the role or the job may have it do so; else it is read and sent. When this
    /// fails, the artifact's place may hold something that is no artifact: publish another.
    pub async fn publish_copy(
        &self,
        artifact: &Artifact,
        from: Location<'_>,
        found: &Found,
        sha256: &str,
    ) -> Result<Receipt, JobError> {
        let encryption = &self.encryption;
        let copy = Copy {
            from,
            found,
            sha256,
            to: artifact.place(),
            encryption,
            metadata: &HashMap::new(),
        };
        let (own, artifacts) = (self.own_store(), self.artifacts());
        let copied = async {
            for store in [&own, &artifacts] {
                if let Some(published) = store.copy(&copy).await? {
                    return Ok(published);
                }
            }
            own.pass_on(&artifacts, &copy).await
        };
        let published = copied.await.map_err(|source| failed(artifact, source))?;
        Ok(self.note(receipt(artifact, published)))
    }

    /// Publishes an output artifact that a build has left where the function's role may read it.
    pub(crate) async fn bring(
        &self,
        from: Location<'_>,
        artifact: &Artifact,
    ) -> Result<Receipt, JobError> {
        let to = (&self.artifacts(), artifact.place());
        let relayed = self.own_store().relay(from, to, &self.encryption).await;
        let published = relayed.map_err(|source| failed(artifact, source))?;
        Ok(self.note(receipt(artifact, published)))
    }

    /// Remembers what was published, for when the step fails afterwards.
    fn note(&self, receipt: Receipt) -> Receipt {
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        published.push(receipt.name().to_owned());
        drop(published);
        receipt
    }

    /// Stores a copy of what was published from `directory` where the function's role may write, with
    /// `metadata` beside it. S3 copies it, if the role may have it do so; else the same archive is
    /// made of the directory once more.
    pub async fn keep_copy(
        &self,
        artifact: &Artifact,
        (bytes, sha256): (u64, &str),
        directory: &Path,
        to: Location<'_>,
        metadata: HashMap<String, String>,
    ) -> Result<Published, ArtifactError> {
        let own = self.own_store();
        let found = Found::packed(bytes, &self.settings);
        let copy = Copy {
            from: artifact.place(),
            found: &found,
            sha256,
            to,
            encryption: &Encryption::Bucket,
            metadata: &metadata,
        };
        if let Some(published) = own.copy(&copy).await? {
            return Ok(published);
        }
        own.publish_again(directory, sha256, to, &Encryption::Bucket, metadata)
            .await
    }

    /// What archives are packed with, which is part of what they are.
    pub fn packing_mark(&self) -> String {
        self.settings.mark()
    }

    /// S3 with the job's own credentials, which reach the pipeline's artifacts and nothing else.
    /// A job that was sent none gets the function's.
    pub(crate) fn artifacts(&self) -> Store {
        Store::new(towpath_aws::s3(&self.store), self.settings)
    }

    /// S3 with the function's role: everything but artifacts.
    pub fn own_store(&self) -> Store {
        Store::new(towpath_aws::s3(self.aws()), self.settings)
    }
}

fn receipt(artifact: &Artifact, published: Published) -> Receipt {
    Receipt::published(&artifact.name, published.bytes).with_digest(published.sha256)
}

pub(crate) fn failed(artifact: &Artifact, source: ArtifactError) -> JobError {
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
    let limit = (error.blame() == Blame::Space).then_some(Limit::Disk);
    let failure = Failure::new(kind, message).at_limit(limit);
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
