//! The `run-e2e` function as a Lambda executable.

fn main() {}
