//! The `test-and-package` function as a Lambda executable.

fn main() {}
