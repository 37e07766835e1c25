//! What test runners and coverage tools really write is understood. How each file was made is told beside it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use towpath_report::{Coverage, Tests};

fn fixture(path: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(root.join(path)).unwrap()
}

fn read(path: &str) -> Tests {
    let mut tests = Tests::default();
    tests
        .read(&fixture(path), "/src/ann/greet")
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    tests
}

#[test]
fn reports_of_tests_are_counted() {
    // passed, failed, skipped, flaky
    for (path, counts) in [
        ("junit/node.xml", (2, 2, 2, 0)),
        ("junit/mocha.xml", (2, 2, 0, 0)),
        ("junit/jest.xml", (2, 2, 1, 0)),
        ("junit/vitest.xml", (2, 2, 2, 0)),
        ("junit/pytest.xml", (1, 2, 2, 0)),
        ("junit/nextest.xml", (2, 1, 0, 1)),
        ("junit/surefire.xml", (2, 2, 1, 1)),
    ] {
        let tests = read(path);
        let counted = (tests.passed, tests.failed, tests.skipped, tests.flaky);
        assert_eq!(counted, counts, "{path}");
        let (name, took) = tests.slowest.expect(path);
        assert!(!name.is_empty() && took < Duration::from_secs(1), "{path}");
    }
}

#[test]
fn failures_are_told_with_their_place_and_their_message() {
    let told: Vec<String> = [
        "node", "mocha", "jest", "vitest", "pytest", "nextest", "surefire",
    ]
    .iter()
    .map(|runner| {
        let tests = read(&format!("junit/{runner}.xml"));
        format!(
            "{runner}: {}\n{}",
            tests.failed_sentence(),
            tests.listing(4000)
        )
    })
    .collect();
    let expected = include_str!("fixtures/listings.txt");
    assert_eq!(
        told.join("\n\n"),
        expected.trim_end(),
        "\n{}",
        told.join("\n\n")
    );
}

#[test]
fn coverage_is_measured() {
    for (path, lines, branches) in [
        ("coverage/c8-lcov.info", "100.0", "100.0"),
        ("coverage/nyc-clover.xml", "100.0", "100.0"),
        ("coverage/nyc-cobertura.xml", "100.0", "100.0"),
        ("coverage/coverage-py.lcov", "83.3", "100.0"),
        ("coverage/coverage-py-cobertura.xml", "83.3", "100.0"),
        ("coverage/jacoco.xml", "57.1", "50.0"),
    ] {
        let mut coverage = Coverage::default();
        coverage
            .read(&fixture(path), "/src/ann/greet")
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(coverage.lines().percent(), lines, "{path}");
        assert_eq!(
            coverage.branches().expect(path).percent(),
            branches,
            "{path}"
        );
    }
}

#[test]
fn one_run_in_three_formats_is_one_run() {
    let mut coverage = Coverage::default();
    for path in ["coverage/nyc-clover.xml", "coverage/nyc-cobertura.xml"] {
        coverage.read(&fixture(path), "/src/ann/greet").unwrap();
    }
    assert_eq!(coverage.lines().total, 5);
}

#[test]
fn a_report_that_is_cut_off_anywhere_is_refused() {
    for path in [
        "junit/node.xml",
        "junit/nextest.xml",
        "junit/pytest.xml",
        "junit/surefire.xml",
    ] {
        let whole = fixture(path);
        let end = whole.trim_ascii_end().len();
        for cut in 0..end {
            let read = Tests::default().read(&whole[..cut], "");
            assert!(read.is_err(), "{path} cut at {cut}");
        }
    }
    for path in ["coverage/nyc-clover.xml", "coverage/nyc-cobertura.xml"] {
        let whole = fixture(path);
        let end = whole.trim_ascii_end().len();
        for cut in 0..end {
            let read = Coverage::default().read(&whole[..cut], "");
            assert!(read.is_err(), "{path} cut at {cut}");
        }
    }
    // A whole record is a tracefile; a part of one is none.
    let whole = fixture("coverage/c8-lcov.info");
    let end = whole.trim_ascii_end().len();
    for cut in "TN:\nS".len()..end {
        let read = Coverage::default().read(&whole[..cut], "");
        assert!(read.is_err(), "cut at {cut}");
    }
}
