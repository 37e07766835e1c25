//! The release is written down: beside the packaged template, and in the release bucket for good.

use std::path::Path;

use towpath_artifact::{Encryption, Source, Store};
use towpath_release::{Made, Release, ReleaseId};

use crate::error::ActionError;
use crate::package::{Packaged, stage};
use crate::parameters::{Parameters, Work};

/// The document's path in the output artifact.
pub(crate) const DOCUMENT: &str = "release.json";

/// In front of the ids in the release bucket.
const PREFIX: &str = "releases";

/// Writes the release's document to `staged`, and its identity to the release bucket, under its
/// id. That is the digest of what is stored, so an object there never becomes another one.
pub(crate) async fn record(
    packaged: &Packaged,
    parameters: &Parameters,
    figures: &[(&'static str, String)],
    store: &Store,
    (staged, scratch): (&Path, &Path),
) -> Result<ReleaseId, ActionError> {
    let figures = figures
        .iter()
        .map(|(name, figure)| ((*name).to_owned(), figure.clone()));
    let made = Made {
        by: concat!("towpath ", env!("CARGO_PKG_VERSION")).to_owned(),
        bucket: packaged.bucket.clone(),
        tasks: match &parameters.work {
            Work::Tasks { names, .. } => names.clone(),
            // Its text may be long, and is in the pipeline's definition.
            Work::Command(_) => vec!["command".to_owned()],
        },
        figures: figures.collect(),
    };
    let identity = &packaged.identity;
    let release = Release::new(identity.clone(), made);
    stage(staged, Path::new(DOCUMENT), release.text().as_bytes())?;
    if let Some(bucket) = &packaged.bucket {
        stage(scratch, Path::new(DOCUMENT), &identity.canonical())?;
        let identity = scratch.join(DOCUMENT);
        let source = Source::Verbatim(&identity);
        let encryption = Encryption::Bucket;
        let stored = store.deposit(source, bucket, PREFIX, &encryption).await?;
        tracing::info!(
            key = stored.key,
            uploaded = stored.uploaded,
            "the release is in the release bucket"
        );
    }
    Ok(release.id)
}
