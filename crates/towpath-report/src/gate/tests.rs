//! Trees before and after, by table.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const GOOD: &str = "<testsuite><testcase name='a' time='0.2'/></testsuite>";
const BAD: &str = "<testsuite><testcase name='a'/><testcase name='b'><failure message='m'/></testcase></testsuite>";
const LCOV: &str = "SF:a\nDA:1,1\nDA:2,0\nend_of_record\n";

fn gate(reports: &[&str], coverage: &[&str], minimum: Option<&str>) -> Gate {
    let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Gate {
        reports: patterns(reports),
        coverage: patterns(coverage),
        minimum: minimum.map(|text| text.parse().unwrap()),
    }
}

/// What the gate says when a tree that holds `before` gets `after`.
fn judged(gate: &Gate, before: &[(&str, &str)], after: &[(&str, &str)]) -> Result<String, String> {
    let tree = tempfile::tempdir().unwrap();
    let write = |files: &[(&str, &str)]| {
        for (name, text) in files {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    };
    write(before);
    let seen = gate.before(tree.path());
    write(after);
    gate.judge(tree.path(), tree.path(), &seen)
        .map(|verdict| verdict.summary().join("; "))
        .map_err(|error| error.to_string())
}

#[test]
fn nothing_passes_by_absence() {
    for (case, gate, before, after, expected) in [
        (
            "all is well",
            gate(&["r/*.xml"], &["lcov.info"], Some("50")),
            &[][..],
            &[("r/a.xml", GOOD), ("lcov.info", LCOV)][..],
            Ok("1 test, slowest a 0.2 s; coverage 50.0 % (min 50 %)"),
        ),
        ("nothing asked", gate(&[], &[], None), &[], &[], Ok("")),
        (
            "no report",
            gate(&["r/*.xml"], &[], None),
            &[],
            &[],
            Err(
                "the tasks wrote no file that `report=r/*.xml` matches; they wrote no *.xml, *.info or *.lcov at all",
            ),
        ),
        (
            "no report there",
            gate(&["r/*.xml"], &[], None),
            &[],
            &[("build/junit.xml", GOOD)],
            Err(
                "the tasks wrote no file that `report=r/*.xml` matches; what they wrote that could be it is `build/junit.xml`",
            ),
        ),
        (
            "a folder",
            gate(&["r"], &[], None),
            &[],
            &[("r/a.xml", GOOD)],
            Err(
                "the tasks wrote no file that `report=r` matches; it is a folder: `report=r/*.xml` names the files in it",
            ),
        ),
        (
            "one of two patterns",
            gate(&["r/*.xml", "s/*.xml"], &[], None),
            &[],
            &[("r/a.xml", GOOD)],
            Err(
                "the tasks wrote no file that `report=s/*.xml` matches; what they wrote that could be it is `r/a.xml`",
            ),
        ),
        (
            "a report of yesterday",
            gate(&["r/*.xml"], &[], None),
            &[("r/a.xml", GOOD)],
            &[],
            Err("`r/a.xml` was there before the tasks ran, and they did not write it anew"),
        ),
        (
            "one of yesterday beside one of today",
            gate(&["r/*.xml"], &[], None),
            &[("r/a.xml", BAD)],
            &[("r/b.xml", GOOD)],
            Ok("1 test, slowest a 0.2 s"),
        ),
        (
            "one that is written anew",
            gate(&["r/*.xml"], &[], None),
            &[("r/a.xml", GOOD)],
            &[("r/a.xml", BAD)],
            Err("1 of 2 tests failed"),
        ),
        (
            "no test",
            gate(&["r/*.xml"], &[], None),
            &[],
            &[("r/a.xml", "<testsuites/>"), ("r/b.xml", "<testsuite/>")],
            Err("no test ran: `r/a.xml`, `r/b.xml` has none in it"),
        ),
        (
            "a failure before a coverage that is not there",
            gate(&["r/*.xml"], &["lcov.info"], None),
            &[],
            &[("r/a.xml", BAD)],
            Err("1 of 2 tests failed"),
        ),
        (
            "not a report",
            gate(&["r/*.xml"], &[], None),
            &[],
            &[("r/a.xml", GOOD), ("r/b.xml", "<html/>")],
            Err(
                "`r/b.xml` is not a test report in JUnit's XML: its first element is `html`, a web page, not `testsuites` or `testsuite`",
            ),
        ),
        (
            "no coverage",
            gate(&[], &["cov/**"], Some("80")),
            &[],
            &[],
            Err(
                "the tasks wrote no file that `coverage=cov/**` matches; they wrote no *.xml, *.info or *.lcov at all",
            ),
        ),
        (
            "not enough",
            gate(&[], &["cov/**"], Some("50.1")),
            &[],
            &[("cov/x.info", LCOV)],
            Err("50.0 % of the lines are covered (1 of 2), and 50.1 % is the least"),
        ),
        (
            "what was installed is not looked into",
            gate(&["**/*.xml"], &[], None),
            &[],
            &[("a.xml", GOOD), ("node_modules/x/b.xml", "<html/>")],
            Ok("1 test, slowest a 0.2 s"),
        ),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(judged(&gate, before, after), expected, "{case}");
    }
}

#[test]
fn a_report_that_leads_out_of_the_tree_is_not_read() {
    let outside = tempfile::tempdir().unwrap();
    let tree = outside.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(outside.path().join("secret.xml"), GOOD).unwrap();
    let gate = gate(&["*.xml"], &[], None);
    let before = gate.before(&tree);
    symlink("../secret.xml", tree.join("a.xml")).unwrap();
    let error = gate.judge(&tree, &tree, &before).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a.xml` is a link out of the source tree"
    );
    assert_eq!(gate.after_failure(&tree, &tree, &before), None);
}

#[test]
fn after_a_failure_the_reports_that_are_there_are_read() {
    let tree = tempfile::tempdir().unwrap();
    let gate = gate(&["*.xml", "no/such"], &["lcov.info"], Some("90"));
    let before = gate.before(tree.path());
    assert_eq!(gate.after_failure(tree.path(), tree.path(), &before), None);
    fs::write(tree.path().join("a.xml"), BAD).unwrap();
    fs::write(tree.path().join("b.xml"), "<testsuite><testcase").unwrap();
    let tests = gate
        .after_failure(tree.path(), tree.path(), &before)
        .unwrap();
    assert_eq!((tests.passed, tests.failed), (1, 1));
    assert_eq!(tests.listing(1000), "- b\n    m");
}
