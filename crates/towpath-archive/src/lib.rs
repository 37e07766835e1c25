//! A zip archive, a directory tree: from each to the other, without a network.
//!
//! [`unpack()`] makes a tree of an archive that some [`Source`] has, by several threads;
//! [`read_file`] reads one file of it; [`pack()`] makes an archive of a tree.
//!
//! What comes in is not trusted: the whole central directory is judged before anything is created,
//! each entry's own header and checksum when it is read, and what is refused is refused by name
//! ([`Refusal`]). What goes out is deterministic: the same tree gives the same bytes on every
//! machine, by any number of threads.
//!
//! Memory is bounded by how one asks ([`Unpacking`]), and by the number of entries; not by the
//! size of an archive or of a file in it.

mod assembly;
mod beneath;
mod content;
mod cp437;
mod deflate;
mod end;
mod error;
mod format;
mod inflate;
mod ledger;
mod links;
mod listing;
mod name;
mod pack;
mod plan;
mod source;
mod staging;
mod unpack;

pub use content::{Content, HEAD};
pub use error::{ArchiveError, Refusal};
pub use ledger::{Contents, Ledger};
pub use links::{Links, leaving};
pub use listing::Listing;
pub use pack::{Packed, Packing, Sink, pack, pack_into};
pub use plan::Limits;
pub use source::{Each, FileSource, Source};
pub use staging::{PREFIX, ignores_case};
pub use unpack::{Tree, Unpacking, read_file, unpack, unpack_contents};
