//! What the archive half of the crate promises, one file per promise.

mod agreement;
mod failures;
mod hostile;
mod inflate;
mod mutation;
mod other_tools;
mod raw;
mod reference;
mod reproducible;
mod reuse;
mod round_trip;
mod tree;
