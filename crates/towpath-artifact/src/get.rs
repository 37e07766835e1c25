//! From an object to a directory, without a file in between.

use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use tokio_util::sync::CancellationToken;
use towpath_archive::{Tree, ignores_case, read_file, unpack, unpack_contents};

use crate::blocking::blocking;
use crate::error::ArtifactError;
use crate::merge;
use crate::object::Object;
use crate::origins::Layer;
use crate::settings::Settings;
use crate::store::Location;

/// The largest file that [`fetch_file`] reads into memory.
const LARGEST_FILE: u64 = 64 << 20;

/// Unpacks an artifact into `into`, which must not exist or be empty.
pub(crate) async fn fetch(
    store: &Client,
    settings: &Settings,
    location: Location<'_>,
    into: &Path,
) -> Result<Tree, ArtifactError> {
    let into = into.to_owned();
    reading(store, settings, location, move |object| {
        unpack(object, &into, &object.unpacking())
    })
    .await
}

/// Lays an artifact over what is in `onto`. Also what that made of the artifact, if `noting`.
pub(crate) async fn overlay(
    store: &Client,
    settings: &Settings,
    location: Location<'_>,
    onto: &Path,
    noting: bool,
) -> Result<(Tree, Option<Layer>), ArtifactError> {
    let occupied = std::fs::read_dir(onto).is_ok_and(|mut entries| entries.next().is_some());
    let (onto, beside) = (onto.to_owned(), beside(onto));
    reading(store, settings, location, move |object| {
        let laid_out = |into: &Path| -> Result<(Tree, Option<Layer>), ArtifactError> {
            let how = object.unpacking();
            if !noting {
                return Ok((unpack(object, into, &how)?, None));
            }
            let (tree, contents) = unpack_contents(object, into, &how)?;
            Ok((tree, Some(Layer::of(object, contents))))
        };
        if !occupied {
            return laid_out(&onto);
        }
        let layer = tempfile::Builder::new()
            .prefix(".towpath-layer-")
            .tempdir_in(&beside)
            .map_err(|error| ArtifactError::io("create a directory in", &beside, error))?;
        let upper = layer.path().join("tree");
        let laid = laid_out(&upper)?;
        merge::merge(&upper, &onto, ignores_case(layer.path()))?;
        Ok(laid)
    })
    .await
}

/// Fetches one file of an artifact, at most 64 MiB of it.
pub(crate) async fn fetch_file(
    store: &Client,
    settings: &Settings,
    location: Location<'_>,
    path: &str,
) -> Result<Vec<u8>, ArtifactError> {
    let (path, limits) = (path.to_owned(), settings.limits);
    reading(store, settings, location, move |object| {
        read_file(object, &path, LARGEST_FILE, &limits)
    })
    .await
}

/// Reads an object on a thread that may wait. When nobody waits for that any more, it is given up.
async fn reading<T: Send + 'static>(
    store: &Client,
    settings: &Settings,
    location: Location<'_>,
    work: impl FnOnce(&Object) -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    let given_up = CancellationToken::new();
    let _guard = given_up.clone().drop_guard();
    let object = Object::open(store, location, settings, given_up).await?;
    blocking(move || work(&object))
        .await
        .map_err(|error| error.named(&location.to_string()))
}

/// The directory that `path` is in.
fn beside(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
