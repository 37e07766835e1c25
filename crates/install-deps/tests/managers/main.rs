//! Every manager, with its real program and without a network: installed twice it comes to the same bytes; what comes
//! out of the archive works at another path; a lock file that its manifest has left behind is told.
//!
//! A manager that is not on this machine is skipped, with a line that says so.

mod java;
mod node;
mod npm_and_pip;
mod python;
mod rust_and_go;
mod scene;
