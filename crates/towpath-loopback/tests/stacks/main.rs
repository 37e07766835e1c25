//! Stacks over the wire: an ordinary SDK deploys applications, and what they consist of works.

mod account;
mod applications;
mod refusals;
mod resources;
