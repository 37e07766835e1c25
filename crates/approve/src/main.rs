//! The `approve` function as a Lambda executable.

fn main() {}
