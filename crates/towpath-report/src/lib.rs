//! Test reports and coverage reports: what they count, and what failed.
//!
//! A build tells by its exit code that something failed. Its reports tell what, and where, and whether anything ran at
//! all. This crate reads JUnit's XML in the dialects that test runners write ([`Tests`]), and line coverage as lcov,
//! Cobertura, Clover and JaCoCo have it ([`Coverage`]); it finds them in a tree ([`Gate`]) and judges ([`Verdict`]).
//!
//! Nothing passes by absence: a pattern that matches no file which the tasks wrote, a report without a test, a coverage
//! without a line are failures like a failing test.
//!
//! Reports are anybody's text. They are bounded in size, in depth and in what is kept of them, no entity is expanded,
//! and what cannot be read is refused in words. This crate knows nothing of AWS, of jobs or of tools.

mod clip;
mod coverage;
mod error;
mod files;
mod gate;
mod junit;
mod place;
mod tested;
mod xml;

pub use coverage::{Coverage, Minimum, Share};
pub use error::ReportError;
pub use files::Pattern;
pub use gate::{Gate, Verdict};
pub use tested::{TestFailure, Tests};
