//! An S3 object, a directory tree: from each to the other, with nothing in between.
//!
//! A [`Store`] brings an artifact into a directory ([`Store::fetch`], [`Store::overlay`]), or one
//! file of it ([`Store::fetch_file`]); it sends a directory or a file away ([`Store::publish`]), or
//! does so under the name that its content gives it ([`Store::deposit`]). What lies in one place is
//! brought to another by S3 itself ([`Store::copy`]), or through here ([`Store::pass_on`]). What is
//! between the bytes and the tree, and what is refused of it, is `towpath-archive`'s matter.
//!
//! Ranges of an object go straight into inflation, by several requests at once, each tried again by
//! itself and all of the very same object; what is deflated goes straight into the parts of an
//! upload. No archive is on disk in either direction, and memory is bounded by [`Settings`].
//!
//! This crate does not know of jobs: whoever calls it brings the S3 client with the right
//! credentials and the [`Encryption`] to ask for, and maps [`ArtifactError::blame`] outward.

mod blocking;
mod copy;
mod error;
mod get;
mod merge;
mod object;
mod origins;
mod put;
mod request;
mod settings;
mod store;
mod upload;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::Client;

pub use copy::{Copy, Found};
pub use error::{ArtifactError, Blame};
pub use origins::Origins;
pub use put::{Deposited, Published, Source};
pub use settings::Settings;
pub use store::{Encryption, Location};
pub use towpath_archive::{ArchiveError, Content, Limits, Listing, Refusal, Tree};

/// S3, and how much of this machine may be used to move objects from and to it.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    settings: Settings,
}

impl Store {
    /// With the credentials of the client.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings }
    }

    /// The Region of the requests, if there is one.
    pub fn region(&self) -> Option<String> {
        let region = self.client.config().region();
        region.map(|region| region.as_ref().to_owned())
    }

    /// Fetches an artifact and unpacks it into `into`, which must not exist or be empty.
    ///
    /// The tree is there when all of it is, and not before.
    pub async fn fetch(&self, location: Location<'_>, into: &Path) -> Result<Tree, ArtifactError> {
        get::fetch(&self.client, &self.settings, location, into).await
    }

    /// Fetches an artifact and lays it over what is in `onto`: what is new is added, files and
    /// links replace files and links. A directory that is not there, or empty, is unpacked into
    /// directly.
    ///
    /// The artifact is unpacked beside `onto` and moved over only when it is whole.
    pub async fn overlay(
        &self,
        location: Location<'_>,
        onto: &Path,
    ) -> Result<Tree, ArtifactError> {
        let (client, settings) = (&self.client, &self.settings);
        let laid = get::overlay(client, settings, location, onto, false).await;
        laid.map(|(tree, _)| tree)
    }

    /// The same, noting in `origins` what was unpacked. All layers of a tree have to be noted.
    pub async fn overlay_noting(
        &self,
        location: Location<'_>,
        onto: &Path,
        origins: &mut Origins,
    ) -> Result<Tree, ArtifactError> {
        let (client, settings) = (&self.client, &self.settings);
        let (tree, layer) = get::overlay(client, settings, location, onto, true).await?;
        if let Some(layer) = layer {
            origins.lay(layer);
        }
        Ok(tree)
    }

    /// Fetches one file of an artifact, at most 64 MiB of it, and not much else.
    pub async fn fetch_file(
        &self,
        location: Location<'_>,
        path_in_zip: &str,
    ) -> Result<Vec<u8>, ArtifactError> {
        get::fetch_file(&self.client, &self.settings, location, path_in_zip).await
    }

    /// Stores something at a place; S3 verifies what arrives. An artifact is always one zip
    /// archive, so never [`Source::Verbatim`].
    ///
    /// An upload that fails, or that nobody waits for any more, is aborted.
    pub async fn publish(
        &self,
        source: Source<'_>,
        location: Location<'_>,
        encryption: &Encryption,
    ) -> Result<Published, ArtifactError> {
        self.publish_reusing(source, location, encryption, &Arc::default())
            .await
    }

    /// The same object, made in less time where the files of a directory are as they were in
    /// `origins`: their entries are not deflated again, but taken from there. What makes a part of
    /// an upload of its own, S3 copies from the one object to the other.
    pub async fn publish_reusing(
        &self,
        source: Source<'_>,
        location: Location<'_>,
        encryption: &Encryption,
        origins: &Arc<Origins>,
    ) -> Result<Published, ArtifactError> {
        put::publish(
            &self.client,
            &self.settings,
            source,
            location,
            encryption,
            origins,
        )
        .await
    }

    /// Stores a directory as an archive that has this SHA-256, or not at all, with `metadata`
    /// beside it: a second copy of what was published elsewhere.
    pub async fn publish_again(
        &self,
        directory: &Path,
        sha256: &str,
        location: Location<'_>,
        encryption: &Encryption,
        metadata: HashMap<String, String>,
    ) -> Result<Published, ArtifactError> {
        put::publish_again(self, directory, sha256, location, encryption, metadata).await
    }

    /// Looks at an object without reading it.
    pub async fn look(&self, location: Location<'_>) -> Result<Found, ArtifactError> {
        copy::look(self, location).await
    }

    /// Has S3 copy an object from one place to another; no byte of it comes here. The client has to
    /// be allowed to read the one and to write the other. `None` if S3 does not, for this client or
    /// at all: [`Store::pass_on`] does.
    ///
    /// S3 states the digest of what it has written. If that is another one, the object at the new
    /// place is not what it should be, and has to be written over.
    pub async fn copy(&self, copy: &Copy<'_>) -> Result<Option<Published>, ArtifactError> {
        copy::in_store(self, copy).await
    }

    /// Reads an object and sends it to a place of another store, a bounded part of it at a time.
    /// Nothing is stored there if the digest turns out to be another one.
    pub async fn pass_on(&self, to: &Store, copy: &Copy<'_>) -> Result<Published, ArtifactError> {
        copy::through_here(self, to, copy).await
    }

    /// Reads an object and sends it to a place of another store, whatever it is: byte by byte the
    /// same, a bounded part of it at a time. For when nobody's credentials reach both.
    pub async fn relay(
        &self,
        from: Location<'_>,
        to: (&Store, Location<'_>),
        encryption: &Encryption,
    ) -> Result<Published, ArtifactError> {
        copy::relay((self, from), to, encryption).await
    }

    /// Stores something under the name that its content gives it,
    /// `<prefix>/<sha256>.<extension>`, if it is not there already. The extension is `zip`, and a
    /// verbatim file's own.
    pub async fn deposit(
        &self,
        source: Source<'_>,
        bucket: &str,
        prefix: &str,
        encryption: &Encryption,
    ) -> Result<Deposited, ArtifactError> {
        put::deposit(
            &self.client,
            &self.settings,
            source,
            bucket,
            prefix,
            encryption,
        )
        .await
    }
}
