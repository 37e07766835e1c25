//! An S3 object, a zip archive, a directory tree: from each to the others.
//!
//! [`fetch`] and [`overlay`] bring an artifact into a directory, [`fetch_file`] brings one file of
//! it, [`publish`] sends a directory or a file away, [`deposit`] does so under the name that its
//! content gives it. [`unpack`] and [`pack`] are the halves that know nothing of S3.
//!
//! What comes in is not trusted: the whole central directory is judged before anything is created,
//! sizes are enforced while inflating, and what is refused is refused by name ([`Refusal`]). What
//! goes out is deterministic: the same tree gives the same bytes on every machine.
//!
//! This crate does not know of jobs: whoever calls it brings the S3 client with the right
//! credentials and the [`Encryption`] to ask for, and maps [`ArtifactError::blame`] outward.

mod content;
mod error;
mod links;
mod merge;
mod name;
mod pack;
mod plan;
mod preflight;
mod store;
mod transfer;
mod unpack;

pub use content::Content;
pub use error::{ArtifactError, Blame, Refusal};
pub use pack::{Packed, pack};
pub use plan::Limits;
pub use store::{Encryption, Location};
pub use transfer::{Deposited, Published, Source, deposit, fetch, fetch_file, overlay, publish};
pub use unpack::{Tree, read_file, unpack};
