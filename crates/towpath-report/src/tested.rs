//! What tests came to.

use std::fmt::Write as _;
use std::time::Duration;

use crate::clip;
use crate::error::ReportError;
use crate::junit;

/// Failures of which the name and the message are kept. The others are counted.
const KEPT: usize = 200;

/// What tests came to, over any number of reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tests {
    /// Those that passed in the end.
    pub passed: u64,
    /// Those that failed, errors among them.
    pub failed: u64,
    /// Those that were not run.
    pub skipped: u64,
    /// Those among `passed` that did not pass the first time.
    pub flaky: u64,
    /// The test that took longest.
    pub slowest: Option<(String, Duration)>,
    /// What failed, in the reports' order; at most 200 of them.
    pub failures: Vec<TestFailure>,
}

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// With its class or suite, where the name alone does not say it.
    pub name: String,
    /// `file:line`, relative to the project, where the report tells.
    pub place: Option<String>,
    /// What went wrong, without the stack trace. Empty where the report does not tell.
    pub message: String,
}

impl Tests {
    /// Adds what a report in JUnit's XML counts. `root` is the project's directory: paths below it are shown without it.
    pub fn read(&mut self, report: &[u8], root: &str) -> Result<(), String> {
        let mut read = Self::default();
        junit::read(report, root, &mut read)?;
        self.add(read);
        Ok(())
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.flaky += other.flaky;
        if let Some((name, duration)) = other.slowest {
            self.took(&name, duration);
        }
        let room = KEPT - self.failures.len().min(KEPT);
        self.failures.extend(other.failures.into_iter().take(room));
    }

    /// A test took so long.
    pub(crate) fn took(&mut self, name: &str, duration: Duration) {
        if self.slowest.as_ref().is_none_or(|it| it.1 < duration) {
            self.slowest = Some((name.to_owned(), duration));
        }
    }

    /// A test, or a suite as a whole, failed.
    pub(crate) fn fail(&mut self, failure: TestFailure) {
        self.failed += 1;
        if self.failures.len() < KEPT {
            self.failures.push(failure);
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    /// Fails if something failed, or if nothing ran. `files` says where the reports are.
    pub fn judge(self, files: &str) -> Result<Self, ReportError> {
        if self.failed > 0 {
            return Err(ReportError::Failed(Box::new(self)));
        }
        if self.passed == 0 {
            let found = match self.skipped {
                0 => format!("{files} has none in it"),
                skipped => format!("all {skipped} in {files} were skipped"),
            };
            return Err(ReportError::NoTest { found });
        }
        Ok(self)
    }

    /// `412 tests, 3 skipped, slowest greets in German 4.1 s`.
    pub fn summary(&self) -> String {
        let mut text = clip::count(self.total(), "test");
        for (number, what) in [
            (self.failed, "failed"),
            (self.skipped, "skipped"),
            (self.flaky, "passed only when run again"),
        ] {
            if number > 0 {
                let _ = write!(text, ", {number} {what}");
            }
        }
        if let Some((name, duration)) = &self.slowest {
            let name = clip::head(name, 80);
            let _ = write!(text, ", slowest {name} {:.1} s", duration.as_secs_f64());
        }
        text
    }

    /// `2 of 6 tests failed`.
    pub fn failed_sentence(&self) -> String {
        format!(
            "{} of {} failed",
            self.failed,
            clip::count(self.total(), "test")
        )
    }

    /// The failures below a message, in about `limit` characters.
    pub fn below(&self, message: &str, limit: usize) -> String {
        let listing = self.listing(limit);
        let separator = if listing.is_empty() { "" } else { "\n" };
        format!("{message}{separator}{listing}")
    }

    /// What the reports say of a task that failed, in front of how it ended.
    pub fn prelude(&self) -> String {
        match self.failed {
            0 => format!("its reports have no failure in {}; ", self.summary()),
            _ => format!("{}; ", self.failed_sentence()),
        }
    }

    /// The failures by name, with what they say, in about `limit` characters; those that do not fit are counted.
    pub fn listing(&self, limit: usize) -> String {
        /// One failure may not take the room of all.
        const NAME: usize = 200;
        const MESSAGE: usize = 600;
        const LINES: usize = 8;
        let mut text = String::new();
        let mut length = 0;
        let mut told = 0;
        for failure in &self.failures {
            let mut entry = format!("- {}", clip::head(&failure.name, NAME));
            if let Some(place) = &failure.place {
                let _ = write!(entry, " ({place})");
            }
            let message = clip::head(failure.message.trim(), MESSAGE);
            for line in message
                .lines()
                .filter(|it| !it.trim().is_empty())
                .take(LINES)
            {
                let _ = write!(entry, "\n    {}", line.trim_end());
            }
            let size = entry.chars().count() + 1;
            if told > 0 && length + size > limit {
                break;
            }
            length += size;
            told += 1;
            text.push_str(&entry);
            text.push('\n');
        }
        match self.failed - told {
            0 => {}
            more => {
                let _ = writeln!(text, "and {more} more");
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod in_words {
    use super::*;

    fn failure(name: &str, message: &str) -> TestFailure {
        TestFailure {
            name: name.to_owned(),
            place: None,
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_listing_keeps_its_bound_and_counts_the_rest() {
        let mut tests = Tests::default();
        for number in 0..500 {
            tests.fail(failure(&format!("test {number}"), &"x\n".repeat(5000)));
        }
        for limit in [10, 300, 2000, 4000] {
            let text = tests.listing(limit);
            assert!(
                text.chars().count() <= limit.max(200) + 20,
                "{limit}: {text}"
            );
            let told = text.matches("- test").count();
            assert!(
                text.ends_with(&format!("\nand {} more", 500 - told)),
                "{text}"
            );
        }
        assert_eq!(tests.failures.len(), KEPT);
        assert_eq!(tests.failed_sentence(), "500 of 500 tests failed");
    }

    #[test]
    fn a_summary_has_what_there_is() {
        for (tests, expected) in [
            (
                Tests {
                    passed: 409,
                    skipped: 3,
                    slowest: Some(("greets".into(), Duration::from_millis(4123))),
                    ..Tests::default()
                },
                "412 tests, 3 skipped, slowest greets 4.1 s",
            ),
            (
                Tests {
                    passed: 1,
                    flaky: 1,
                    ..Tests::default()
                },
                "1 test, 1 passed only when run again",
            ),
        ] {
            assert_eq!(tests.summary(), expected);
        }
    }

    #[test]
    fn nothing_passes_that_did_not_run() {
        let judged = |passed, failed, skipped| {
            let mut tests = Tests {
                passed,
                skipped,
                ..Tests::default()
            };
            for _ in 0..failed {
                tests.fail(failure("a", ""));
            }
            tests.judge("`a.xml`").map_err(|error| error.to_string())
        };
        assert!(judged(1, 0, 1).is_ok());
        for (passed, failed, skipped, expected) in [
            (0, 0, 0, "no test ran: `a.xml` has none in it"),
            (0, 0, 2, "no test ran: all 2 in `a.xml` were skipped"),
            (5, 1, 0, "1 of 6 tests failed"),
        ] {
            assert_eq!(judged(passed, failed, skipped).unwrap_err(), expected);
        }
    }
}
