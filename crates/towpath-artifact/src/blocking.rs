//! Work that blocks, off the threads that serve the network.

use std::io;

use crate::error::ArtifactError;

/// Runs to its end even if nobody waits for it any more; whoever it works for tells it to stop. A
/// panic in it is a panic here.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(ArtifactError::io(
                "wait for",
                std::path::Path::new("a blocking task"),
                io::Error::other(error),
            )),
        },
    }
}
