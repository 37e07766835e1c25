//! The `deploy-stack` function as a Lambda executable.

fn main() {}
