//! Dialects by table; what runners really write is read in the crate's own tests.

use super::*;

fn read_text(report: &str) -> Result<Tests, String> {
    let mut tests = Tests::default();
    tests
        .read(report.as_bytes(), "/src/ann/app")
        .map(|()| tests)
}

#[test]
fn dialects_by_table() {
    for (case, report, counts, failure) in [
        (
            "one suite",
            "<testsuite><testcase name='a'/></testsuite>",
            (1, 0, 0, 0),
            None,
        ),
        ("none", "<testsuites/>", (0, 0, 0, 0), None),
        (
            "suites in suites",
            "<testsuites><testsuite name='x'><testsuite name='y'><testcase name='a'><failure message='m'/></testcase>\
             </testsuite><testcase name='b'/></testsuite></testsuites>",
            (1, 1, 0, 0),
            Some(("x > y: a", None, "m")),
        ),
        (
            "text in CDATA, with entities",
            "<testsuite><testcase classname='c' name='a &amp; &#66;'><error><![CDATA[1 < 2]]> &gt; 0\n\tat x.y(Z.java:1)</error>\
             </testcase></testsuite>",
            (0, 1, 0, 0),
            Some(("c: a & B", None, "1 < 2 > 0")),
        ),
        (
            "paths of the project",
            "<testsuite><testcase name='/src/ann/app/test/a.js'><failure message='no /src/ann/app/x'>\
             at y (/src/ann/app/test/a.js:3:4)</failure></testcase></testsuite>",
            (0, 1, 0, 0),
            Some(("test/a.js", Some("test/a.js:3"), "no x")),
        ),
        (
            "an error in the cleaning up as well",
            "<testsuite><testcase name='a'><failure message='first'/><error message='second'/></testcase></testsuite>",
            (0, 1, 0, 0),
            Some(("a", None, "first")),
        ),
        (
            "flaky",
            "<testsuite failures='1'><testcase name='a'><flakyFailure message='m'/></testcase></testsuite>",
            (1, 0, 0, 1),
            None,
        ),
        (
            "failed again",
            "<testsuite failures='2'><testcase name='a'><failure>m</failure><rerunFailure message='n'/></testcase></testsuite>",
            (0, 1, 0, 0),
            Some(("a", None, "m")),
        ),
        (
            "skipped, said in attributes",
            "<testsuite><testcase name='a' status='notrun'/><testcase name='b' result='skipped'/><testcase name='c'>\
             <skipped/></testcase></testsuite>",
            (0, 0, 3, 0),
            None,
        ),
        (
            "a suite that could not be set up",
            "<testsuite name='s'><error message='no database'/><testcase name='a'/></testsuite>",
            (1, 1, 0, 0),
            Some(("s", None, "no database")),
        ),
        (
            "counted, and not told",
            "<testsuites failures='2'><testsuite name='s' failures='2'><testcase name='a'/></testsuite></testsuites>",
            (1, 2, 0, 0),
            Some((
                "s",
                None,
                "the report counts 2 failures here, and does not say which",
            )),
        ),
        (
            "output is not what failed",
            "<testsuite><testcase name='a'><system-out>failure</system-out></testcase><system-err>x</system-err></testsuite>",
            (1, 0, 0, 0),
            None,
        ),
        (
            "a prefix, a declaration, a comment",
            "<?xml version='1.0'?><!-- x --><!DOCTYPE t SYSTEM 't.dtd'><j:testsuite xmlns:j='u'><j:testcase/></j:testsuite>\n",
            (1, 0, 0, 0),
            None,
        ),
        (
            "characters that there are not",
            "<testsuite><testcase name='a'><failure message='x'>&#0;&#xd800;&#27;</failure></testcase></testsuite>",
            (0, 1, 0, 0),
            Some(("a", None, "x")),
        ),
    ] {
        let tests = read_text(report).unwrap_or_else(|error| panic!("{case}: {error}"));
        let counted = (tests.passed, tests.failed, tests.skipped, tests.flaky);
        assert_eq!(counted, counts, "{case}");
        let told = tests.failures.first();
        let told = told.map(|it| (it.name.as_str(), it.place.as_deref(), it.message.as_str()));
        assert_eq!(told, failure, "{case}");
    }
}

#[test]
fn what_is_no_report_is_refused_in_words() {
    let deep = "<testsuite>".repeat(100_000);
    let bomb = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><testsuite name='&b;'/>";
    for (report, expected) in [
        ("", "it is empty"),
        ("  \n", "it is empty"),
        (
            "TAP version 13\nok 1",
            "text precedes the document: `TAP version 13\nok 1`",
        ),
        (
            "<testsuite><testcase>",
            "it is cut off: not every element has its end",
        ),
        (
            "<testsuite></testcase></testsuite>",
            "it is not XML at byte 11:",
        ),
        (
            "<testsuite/><testsuite/>",
            "it has more than one document in it",
        ),
        ("<testsuite/>done", "text follows the document: `done`"),
        (
            "<html/>",
            "its first element is `html`, a web page, not `testsuites` or `testsuite`",
        ),
        (
            "<assemblies/>",
            "its first element is `assemblies`, as xUnit.net has it",
        ),
        (&deep, "its elements lie more than 200 deep"),
        (bomb, "it declares entities of its own"),
        ("<testsuite>&b;</testsuite>", "it refers to an entity `&b;`"),
        (
            "<?xml version='1.0' encoding='EBCDIC'?><testsuite/>",
            "it is written in `ebcdic`",
        ),
    ] {
        let error = read_text(report).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn encodings_by_table() {
    let report = |encoding: &str| {
        format!(
            "<?xml version='1.0' encoding='{encoding}'?><testsuite><testcase name='Grüße'><failure/></testcase></testsuite>"
        )
    };
    let latin = |text: String| {
        text.chars()
            .map(|c| u8::try_from(c).unwrap())
            .collect::<Vec<u8>>()
    };
    let utf16 = |text: String, of: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(of)
            .collect()
    };
    for (case, bytes) in [
        ("utf-8", report("UTF-8").into_bytes()),
        (
            "a byte order mark",
            format!("\u{feff}{}", report("utf-8")).into_bytes(),
        ),
        ("latin-1", latin(report("ISO-8859-1"))),
        ("windows", latin(report("windows-1252"))),
        ("utf-16, little", utf16(report("UTF-16"), u16::to_le_bytes)),
        ("utf-16, big", utf16(report("UTF-16"), u16::to_be_bytes)),
    ] {
        let mut tests = Tests::default();
        tests
            .read(&bytes, "")
            .unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(tests.failures[0].name, "Grüße", "{case}");
    }
    let wrong = latin(report("UTF-8"));
    assert_eq!(
        Tests::default().read(&wrong, ""),
        Err("it is not UTF-8 at byte 67".to_owned())
    );
}

#[test]
fn durations_by_table() {
    for (text, expected) in [
        ("1.5", Some(1500)),
        ("0", Some(0)),
        (" 0,25 ", Some(250)),
        ("1,234.5", Some(1_234_500)),
        ("1.234,5", Some(1_234_500)),
        ("1,234,567", Some(1_234_567_000)),
        ("2s", Some(2000)),
        ("1e-3", Some(1)),
        ("-1", None),
        ("NaN", None),
        ("1e300", None),
        ("soon", None),
        ("", None),
    ] {
        let expected = expected.map(Duration::from_millis);
        assert_eq!(seconds(text), expected, "{text}");
    }
}

#[test]
fn what_is_kept_does_not_grow_with_the_report() {
    let case = format!(
        "<testcase name='{0}'><failure message='{0}'>{0}</failure></testcase>",
        "x".repeat(5_000)
    );
    let report = format!("<testsuite>{}</testsuite>", case.repeat(300));
    let tests = read_text(&report).unwrap();
    assert_eq!(tests.failed, 300);
    let kept: usize = tests
        .failures
        .iter()
        .map(|it| it.name.len() + it.message.len())
        .sum();
    assert!(kept < 200 * 3_000, "{kept}");
}
