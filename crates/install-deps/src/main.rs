//! The `install-deps` function as a Lambda executable.

fn main() {}
