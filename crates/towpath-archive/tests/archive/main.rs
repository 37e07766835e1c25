//! What the archive half of the crate promises, one file per promise.

mod hostile;
mod other_tools;
mod raw;
mod reproducible;
mod round_trip;
mod tree;
