//! JUnit's XML, which has no standard: what test runners agree on, and where they differ.
//!
//! Suites may lie in suites, or there may be one without `testsuites` around it. Counts in attributes are left out by
//! some, and count runs instead of tests in surefire's: tests are counted as they come. A test failed if it holds a
//! `failure` or an `error`; `rerunFailure` beside one adds nothing, and `flakyFailure` without one is a test that passed
//! when it was run again. The message is in an attribute, in the text, or in both.

use std::time::Duration;

use crate::clip;
use crate::place;
use crate::tested::{TestFailure, Tests};
use crate::xml::{Document, Element, Piece, decoded, unescaped_again};

/// Of a name, in characters.
const NAME: usize = 300;
/// Of what a failure says, in bytes, its stack trace included: enough to find its place in the source.
const TEXT: usize = 16 * 1024;
/// Of its message, in characters.
const MESSAGE: usize = 2_000;

/// Adds what a report counts to `tests`. The error says what is wrong, as in "is not a report: …".
pub(crate) fn read(report: &[u8], root: &str, tests: &mut Tests) -> Result<(), String> {
    let text = decoded(report)?;
    let mut document = Document::new(&text);
    let mut reading = Reading {
        root: match root {
            "" | "/" => String::new(),
            root => format!("{}/", root.trim_end_matches('/')),
        },
        open: Vec::new(),
    };
    while let Some(piece) = document.next()? {
        match piece {
            Piece::Open(element) => reading.open(&element, tests)?,
            Piece::Text(text) => reading.text(&text),
            Piece::Close => reading.close(tests),
        }
    }
    Ok(())
}

struct Reading {
    /// With a slash at its end; empty if paths stay as they are.
    root: String,
    open: Vec<Open>,
}

/// An element whose end is still to come.
enum Open {
    Suite {
        name: String,
        /// Failures that its attributes count.
        declared: u64,
        /// How many tests had failed, and how many were flaky, when it began.
        before: (u64, u64),
    },
    Case(Case),
    Fault {
        message: Option<String>,
        text: String,
    },
    Other,
}

struct Case {
    name: String,
    class: String,
    took: Option<Duration>,
    fault: Option<TestFailure>,
    is_skipped: bool,
    is_flaky: bool,
}

impl Reading {
    fn open(&mut self, element: &Element<'_>, tests: &Tests) -> Result<(), String> {
        let name = element.name();
        if self.open.is_empty() && !matches!(&*name, "testsuites" | "testsuite") {
            let known = match &*name {
                "assemblies" | "assembly" => ", as xUnit.net has it",
                "test-run" | "test-results" => ", as NUnit has it",
                "TestRun" => ", as Visual Studio has it",
                "coverage" => ", a coverage report",
                "html" => ", a web page",
                _ => "",
            };
            return Err(format!(
                "its first element is `{}`{known}, not `testsuites` or `testsuite`",
                clip::head(&name, 40)
            ));
        }
        let counted = |name| element.number(name).map_or(0, |number| number as u64);
        let open = match (&*name, self.open.last()) {
            ("testsuites" | "testsuite", _) => Open::Suite {
                name: self.shown(element.get("name")),
                declared: counted("failures") + counted("errors"),
                before: (tests.failed, tests.flaky),
            },
            ("testcase", _) => Open::Case(Case {
                name: self.shown(element.get("name")),
                class: self.shown(element.get("classname")),
                took: element.get("time").as_deref().and_then(seconds),
                fault: None,
                // GoogleTest says it in attributes alone.
                is_skipped: element.get("status").as_deref() == Some("notrun")
                    || matches!(
                        element.get("result").as_deref(),
                        Some("skipped" | "suppressed")
                    ),
                is_flaky: false,
            }),
            ("failure" | "error", Some(Open::Case(_) | Open::Suite { .. })) => Open::Fault {
                message: element.get("message"),
                text: String::new(),
            },
            _ => Open::Other,
        };
        if let Some(Open::Case(case)) = self.open.last_mut() {
            match &*name {
                "skipped" => case.is_skipped = true,
                "flakyFailure" | "flakyError" => case.is_flaky = true,
                _ => {}
            }
        }
        self.open.push(open);
        Ok(())
    }

    fn text(&mut self, more: &str) {
        if let Some(Open::Fault { text, .. }) = self.open.last_mut() {
            let mut room = TEXT.saturating_sub(text.len()).min(more.len());
            while !more.is_char_boundary(room) {
                room -= 1;
            }
            text.push_str(&more[..room]);
        }
    }

    fn close(&mut self, tests: &mut Tests) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        match closed {
            Open::Fault { message, text } => {
                let failure = self.failure(message, &text);
                match self.open.last_mut() {
                    // The first says what happened; a second one is from the cleaning up.
                    Some(Open::Case(case)) if case.fault.is_none() => case.fault = Some(failure),
                    Some(Open::Suite { .. }) => tests.fail(failure),
                    _ => {}
                }
            }
            Open::Case(case) => {
                let name = self.title(&case);
                if let Some(took) = case.took {
                    tests.took(&name, took);
                }
                match case.fault {
                    Some(failure) => tests.fail(TestFailure { name, ..failure }),
                    None if case.is_skipped => tests.skipped += 1,
                    None => {
                        tests.passed += 1;
                        tests.flaky += u64::from(case.is_flaky);
                    }
                }
            }
            // Surefire counts the first run of a flaky test as a failure.
            Open::Suite {
                name,
                declared,
                before,
            } if declared > 0 && before == (tests.failed, tests.flaky) => {
                let counted = clip::count(declared, "failure");
                tests.failed += declared - 1;
                tests.fail(TestFailure {
                    name,
                    place: None,
                    message: format!("the report counts {counted} here, and does not say which"),
                });
            }
            Open::Suite { .. } | Open::Other => {}
        }
    }

    /// A text as it is shown: without the way to the project.
    fn shown(&self, text: Option<String>) -> String {
        let text = text.unwrap_or_default();
        clip::head(self.relative(&text).trim(), NAME)
    }

    fn relative(&self, text: &str) -> String {
        if self.root.is_empty() {
            text.to_owned()
        } else {
            text.replace(&self.root, "")
        }
    }

    /// The name, behind its class or its suites if it does not hold them.
    fn title(&self, case: &Case) -> String {
        let mut group = case.class.clone();
        if case.name.contains(&group) && !group.is_empty() {
            return case.name.clone();
        }
        // Node calls every class `test`.
        if group.is_empty() || group == "test" {
            let suites = self.open.iter().filter_map(|open| match open {
                Open::Suite { name, .. } if !name.is_empty() => Some(name.as_str()),
                _ => None,
            });
            group = suites.collect::<Vec<_>>().join(" > ");
        }
        let title = match (group.as_str(), case.name.as_str()) {
            ("", "") => "a test without a name".to_owned(),
            ("", name) => name.to_owned(),
            (group, "") => group.to_owned(),
            (group, name) => format!("{group}: {name}"),
        };
        clip::head(&title, NAME)
    }

    /// What a `failure` or an `error` says. It gets its test's name when that ends.
    fn failure(&self, message: Option<String>, text: &str) -> TestFailure {
        let text = self.relative(text);
        let (class, name) = match self.open.last() {
            Some(Open::Case(case)) => (case.class.as_str(), String::new()),
            Some(Open::Suite { name, .. }) => ("", name.clone()),
            _ => ("", String::new()),
        };
        let message = message
            .map(|message| self.relative(&unescaped_again(&message)).trim().to_owned())
            .filter(|message| !message.is_empty());
        let place = place::find(&text, class)
            .or_else(|| message.as_deref().and_then(|it| place::find(it, class)));
        let told = without_trace(&text);
        let message = match message {
            // It is only how the text begins.
            Some(message) if told.trim_start().starts_with(&message) => told,
            Some(message) => message,
            None => told,
        };
        TestFailure {
            name,
            place,
            message: clip::head(message.trim(), MESSAGE),
        }
    }
}

/// What stands before the stack trace.
fn without_trace(text: &str) -> String {
    let is_trace = |line: &str| {
        let line = line.trim_start();
        line.starts_with("at ")
            || line == "stack backtrace:"
            || line.starts_with("note: run with `RUST_BACKTRACE")
    };
    let lines: Vec<&str> = text.lines().take_while(|line| !is_trace(line)).collect();
    lines.join("\n")
}

/// Seconds, as they are written in different countries: `1.5`, `1,5`, `1,234.5`. What cannot be read is not told.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim().trim_end_matches('s').trim_end();
    let number = match (text.rfind(','), text.rfind('.')) {
        (Some(comma), Some(point)) if comma < point => text.replace(',', ""),
        (Some(_), Some(_)) => text.replace('.', "").replace(',', "."),
        (Some(_), None) if text.matches(',').count() == 1 => text.replace(',', "."),
        (Some(_), None) => text.replace(',', ""),
        (None, _) => text.to_owned(),
    };
    Duration::try_from_secs_f64(number.parse().ok()?).ok()
}

#[cfg(test)]
mod tests;
