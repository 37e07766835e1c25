//! Repositories: the trees that were handed over in their place.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use towpath_engine::{Failure, Time};
use uuid::Uuid;
use zip::ZipArchive;

use super::CodePipeline;
use crate::{AwsError, World};

/// The newest tree of every branch, by repository and branch.
#[derive(Default)]
pub(super) struct Sources(Mutex<BTreeMap<(String, String), Source>>);

/// One revision of a branch, as a zip archive.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) revision: String,
    pub(super) message: String,
    pub(super) registered: Time,
    /// The archive. A later revision lies in another file.
    pub(super) path: PathBuf,
}

impl CodePipeline {
    /// Hands over the tree of a branch: what a connection source action of that repository and branch takes from then on.
    pub(crate) async fn register_source(
        &self,
        world: &Arc<World>,
        repository: &str,
        branch: &str,
        revision: &str,
        message: &str,
        zip: Bytes,
    ) -> Result<(), AwsError> {
        let entries = ZipArchive::new(Cursor::new(&zip)).map(|archive| archive.len());
        let problem = match entries {
            Err(error) => Some(format!("it is not a zip archive ({error})")),
            Ok(0) => Some("the archive is empty".to_owned()),
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            return Err(AwsError::client(
                "ValidationException",
                format!(
                    "the source of repository `{repository}`, branch `{branch}`, is refused: {problem}"
                ),
            ));
        }
        let directory = world.settings.state_dir.join("sources");
        let path = directory.join(format!("{}.zip", Uuid::new_v4()));
        let keep = async {
            tokio::fs::create_dir_all(&directory).await?;
            tokio::fs::write(&path, &zip).await
        };
        keep.await.map_err(|error| {
            AwsError::internal(format!(
                "failed to keep the source of repository `{repository}`, branch `{branch}`: {error}"
            ))
        })?;
        self.sources.lock().insert(
            (repository.to_owned(), branch.to_owned()),
            Source {
                revision: revision.to_owned(),
                message: message.to_owned(),
                registered: self.clock.now(),
                path,
            },
        );
        Ok(())
    }

    /// The newest tree of a branch, at `revision` when there is one to keep to.
    pub(super) fn source(
        &self,
        repository: &str,
        branch: &str,
        revision: Option<&str>,
    ) -> Result<Source, Failure> {
        let sources = self.sources.lock();
        let Some(source) = sources.get(&(repository.to_owned(), branch.to_owned())) else {
            let known: Vec<String> = sources
                .keys()
                .map(|(repository, branch)| format!("`{repository}` branch `{branch}`"))
                .collect();
            let known = if known.is_empty() {
                "none has been".to_owned()
            } else {
                format!("there is {}", known.join(", "))
            };
            return Err(Failure::new(
                "ConfigurationError",
                format!(
                    "no source tree has been handed over for repository `{repository}`, branch `{branch}` ({known}); put a zip archive of it to /_towpath/sources/<repository>/<branch>?revision=<commit id>&message=<commit message>, both parts percent-encoded"
                ),
            ));
        };
        match revision {
            Some(wanted) if wanted != source.revision => Err(Failure::new(
                "RevisionUnavailable",
                format!(
                    "revision {wanted} of repository `{repository}`, branch `{branch}`, is not here: the tree that was handed over is {}",
                    source.revision
                ),
            )),
            _ => Ok(source.clone()),
        }
    }
}

impl Sources {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
