//! A function's code: fetched, verified and unpacked once, shared by every environment that runs it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use towpath_archive::{ArchiveError, Unpacking};

use crate::{AwsError, World, input};

/// Unpacked code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    /// Base64 of the package's SHA-256, as `CodeSha256` shows it.
    pub(crate) sha256: String,
    /// Bytes of the package.
    pub(crate) size: u64,
    /// Where it lies unpacked; not to be written to.
    pub(crate) root: PathBuf,
    /// The image it came from, if it is one.
    pub(crate) image: Option<String>,
}

impl Code {
    /// The `Code` member of a `GetFunction` answer.
    pub(crate) fn render(&self) -> Value {
        match &self.image {
            Some(uri) => json!({
                "RepositoryType": "ECR",
                "ImageUri": uri,
                "ResolvedImageUri": uri,
            }),
            None => json!({
                "RepositoryType": "S3",
                "Location": format!("file://{}", self.root.display()),
            }),
        }
    }
}

/// The package that a request names by `S3Bucket` and `S3Key`, or carries as `ZipFile`.
pub(crate) async fn package(world: &World, code: &Value) -> Result<Bytes, AwsError> {
    if let Some(encoded) = input::text(code, "ZipFile") {
        return BASE64_STANDARD
            .decode(encoded)
            .map(Bytes::from)
            .map_err(|error| {
                invalid(format!("Could not read ZipFile: it is not base64: {error}"))
            });
    }
    let (Some(bucket), Some(key)) = (input::text(code, "S3Bucket"), input::text(code, "S3Key"))
    else {
        return Err(invalid(
            "Please provide a source for function code: S3Bucket and S3Key, ZipFile or ImageUri.",
        ));
    };
    let version = input::text(code, "S3ObjectVersion");
    match world.s3.get(&bucket, &key, version.as_deref()).await {
        Ok(object) => Ok(object.bytes),
        Err(error) => Err(invalid(format!(
            "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {} (s3://{bucket}/{key})",
            error.code, error.message
        ))),
    }
}

/// Unpacks a package below `parent`, in a directory named after its content, unless it is there.
pub(crate) async fn unpack(
    parent: PathBuf,
    package: Bytes,
    image: Option<String>,
) -> Result<Code, AwsError> {
    let digest = Sha256::digest(&package);
    let code = Code {
        sha256: BASE64_STANDARD.encode(digest),
        size: package.len() as u64,
        root: parent.join(hex::encode(digest)),
        image,
    };
    let root = code.root.clone();
    tokio::task::spawn_blocking(move || unpack_into(&parent, &root, package))
        .await
        .map_err(|error| AwsError::internal(format!("the unpacking was cut off: {error}")))??;
    Ok(code)
}

fn unpack_into(parent: &Path, root: &Path, package: Bytes) -> Result<(), AwsError> {
    let disk = |error: io::Error| {
        AwsError::internal(format!(
            "failed to unpack code into `{}`: {error}",
            root.display()
        ))
    };
    if root.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(parent).map_err(disk)?;
    let staging = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(parent)
        .map_err(disk)?;
    let tree = staging.path().join("tree");
    std::fs::create_dir(&tree).map_err(disk)?;
    towpath_archive::unpack(&package[..], &tree, &Unpacking::default()).map_err(|error| match error {
        // Not the file's fault.
        ArchiveError::NoSpace { .. } => disk(io::Error::new(io::ErrorKind::StorageFull, error)),
        ArchiveError::TooLittleSpace { .. } => disk(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("no space left: {error}"),
        )),
        error => invalid(format!(
            "Could not unzip uploaded file. Please check your file, then try to upload again. ({error})"
        )),
    })?;
    protect(&tree);
    match std::fs::rename(&tree, root) {
        Ok(()) => Ok(()),
        Err(_) if root.exists() => Ok(()), // the same code, unpacked by somebody else meanwhile
        Err(error) => Err(disk(error)),
    }
}

/// In AWS the task root is read-only. Here files are; directories stay writable so that the state
/// directory can be deleted by whoever owns it.
fn protect(tree: &Path) {
    for entry in walkdir::WalkDir::new(tree).into_iter().flatten() {
        if entry.file_type().is_file()
            && let Ok(metadata) = entry.metadata()
        {
            let mode = metadata.permissions().mode() & 0o555;
            let _ = std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(mode | 0o444));
        }
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterValueException", message)
}
