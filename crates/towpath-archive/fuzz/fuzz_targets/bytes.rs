//! Bytes of any kind, taken for an archive.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/archive/agreement.rs"]
mod agreement;
#[path = "../../tests/archive/inflate.rs"]
mod inflate;
#[path = "../../tests/archive/reference.rs"]
mod reference;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/archive/tree.rs"]
mod tree;

fuzz_target!(|bytes: &[u8]| {
    // All of it at once, and piece after piece.
    for segment in [1 << 20, 1] {
        if let Err(said) = agreement::agrees_with_the_reference(bytes, segment) {
            panic!("by segments of {segment}: {said}");
        }
    }
});
