//! Formats by table; what tools really write is read in the crate's own tests.

use super::*;

fn measured(reports: &[&str]) -> Result<(Share, Option<Share>), String> {
    let mut coverage = Coverage::default();
    for report in reports {
        coverage.read(report.as_bytes(), "/src/ann/app")?;
    }
    Ok((coverage.lines(), coverage.branches()))
}

fn of(covered: u64, total: u64) -> Share {
    Share { covered, total }
}

const LCOV: &str = "TN:x\nSF:src/a.js\nFN:1,f\nDA:1,1\nDA:2,0,checksum\nBRDA:1,0,0,-\nBRDA:1,0,jump to line 2,3\nLF:2\nLH:1\n\
                    end_of_record\n";

#[test]
fn formats_by_table() {
    for (case, reports, lines, branches) in [
        ("lcov", &[LCOV][..], of(1, 2), Some(of(1, 2))),
        (
            "lcov twice, another line covered",
            &[
                LCOV,
                "SF:/src/ann/app/src/a.js\r\nDA:2,5\r\nend_of_record\r\n",
            ],
            of(2, 2),
            Some(of(1, 2)),
        ),
        (
            "cobertura, with a method's lines",
            &[
                "<coverage line-rate='0.5'><packages><package><classes><class filename='src/a.py'><methods><method><lines>\
               <line number='9' hits='0'/></lines></method></methods><lines><line number='1' hits='1' \
               condition-coverage='50% (1/2)'/><line number='2' hits='0'/></lines></class></classes></package></packages>\
               </coverage>",
            ],
            of(1, 2),
            Some(of(1, 2)),
        ),
        (
            "clover, as PHPUnit has it",
            &[
                "<coverage generated='1'><project><file name='/src/ann/app/src/a.php'><class name='A'><metrics \
               conditionals='8' coveredconditionals='8'/></class><line num='3' type='method' count='0'/><line num='4' \
               type='stmt' count='2'/><line num='5' type='stmt' count='0'/><metrics conditionals='2' \
               coveredconditionals='1'/></file></project></coverage>",
            ],
            of(1, 2),
            Some(of(1, 2)),
        ),
        (
            "one file in two formats is counted once",
            &[
                LCOV,
                "<coverage clover='3'><project><file name='a.js' path='/src/ann/app/src/a.js'><line num='1' count='1' \
                     type='stmt'/><metrics conditionals='2' coveredconditionals='2'/></file></project></coverage>",
            ],
            of(1, 2),
            Some(of(1, 2)),
        ),
        (
            "jacoco, of a module and of all of them: each line once",
            &[
                "<!DOCTYPE report PUBLIC '-//JACOCO//DTD Report 1.1//EN' 'report.dtd'><report name='a'><package name='p'>\
                 <class name='p/A' sourcefilename='A.java'><method name='f'><counter type='LINE' missed='9' covered='9'/>\
                 </method></class><sourcefile name='A.java'><line nr='3' mi='1' ci='1' mb='1' cb='1'/><line nr='4' mi='2' \
                 ci='0' mb='0' cb='0'/></sourcefile></package></report>",
                "<report name='all'><group name='a'><package name='p'><sourcefile name='A.java'><line nr='3' mi='2' ci='0' \
                 mb='2' cb='0'/><line nr='4' mi='2' ci='0' mb='0' cb='0'/></sourcefile></package></group><group name='b'>\
                 <package name='q'><sourcefile name='A.java'><line nr='3' mi='0' ci='1' mb='0' cb='0'/></sourcefile>\
                 </package></group></report>",
            ],
            of(2, 3),
            Some(of(1, 2)),
        ),
        ("nothing", &["<coverage/>"], of(0, 0), None),
    ] {
        assert_eq!(measured(reports), Ok((lines, branches)), "{case}");
    }
}

#[test]
fn what_is_no_coverage_is_refused_in_words() {
    let many = format!(
        "<coverage><class filename='a'><line number='1' hits='1' condition-coverage='0% (0/{})'/></class></coverage>",
        u64::MAX
    );
    for (report, expected) in [
        ("", "it is empty"),
        (
            "All files | 100 |",
            "line 1 is `All files | 100 |`, which lcov does not have",
        ),
        (
            "{\"total\": 1}",
            "line 1 is `{\"total\": 1}`, which lcov does not have",
        ),
        ("SF:a\nDA:x,1\nend_of_record", "line 2 is `DA:x,1`"),
        (
            "SF:a\nDA:1,1\n",
            "it is cut off: the record of `a` has no end",
        ),
        ("SF:a\nSF:b\nend_of_record", "the record of `a` has no end"),
        ("DA:1,1", "line 1 is `DA:1,1`"),
        (
            "<testsuites name='x'/>",
            "its first element is `testsuites`, a report of tests, neither `coverage` nor JaCoCo's `report`",
        ),
        (
            "<report><package name='p'><sourcefile name='A.java'><line nr='3'/></sourcefile></package></report>",
            "line 3 of `p/A.java` does not say how much of it ran",
        ),
        (
            "<coverage><class filename='a'><line/></class></coverage>",
            "a line of `a` has no number",
        ),
        ("<coverage><class filename='a'>", "it is cut off"),
        (
            &many,
            "with it, the reports tell of more than 5000000 lines",
        ),
    ] {
        let error = measured(&[report]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_minimum_is_met_exactly_or_not() {
    for (minimum, covered, total, is_met) in [
        ("80", 80, 100, true),
        ("80", 79, 100, false),
        ("80", 7_999, 10_000, false),
        ("80.0001", 8, 10, false),
        ("33.3333", 1, 3, true),
        ("33.3334", 1, 3, false),
        ("100", 9_999_999, 10_000_000, false),
        ("0", 0, 1, true),
    ] {
        let minimum: Minimum = minimum.parse().unwrap();
        assert_eq!(
            minimum.is_met_by(of(covered, total)),
            is_met,
            "{minimum} {covered}/{total}"
        );
    }
    for (text, expected) in [
        ("80", Some("80 %")),
        ("87.50", Some("87.5 %")),
        ("80%", Some("80 %")),
        ("100.0", Some("100 %")),
        ("100.1", None),
        ("-1", None),
        ("80,5", None),
        ("eighty", None),
        ("", None),
        (".5", None),
        ("1.23456", None),
    ] {
        let read = text.parse::<Minimum>().ok().map(|it| it.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }
}

#[test]
fn a_share_is_never_shown_as_more_than_it_is() {
    for (share, expected) in [
        (of(7_999, 10_000), "79.9 %"),
        (of(0, 0), "0.0 %"),
        (of(3, 3), "100.0 %"),
        (of(873, 1000), "87.3 %"),
    ] {
        assert_eq!(share.to_string(), expected);
    }
}

#[test]
fn a_coverage_below_its_minimum_says_both() {
    let mut coverage = Coverage::default();
    coverage.read(LCOV.as_bytes(), "").unwrap();
    let minimum = |text: &str| Some(text.parse().unwrap());
    assert_eq!(coverage.judge(minimum("50"), "`x`").unwrap(), of(1, 2));
    for (coverage, expected) in [
        (
            &coverage,
            "50.0 % of the lines are covered (1 of 2), and 80 % is the least",
        ),
        (
            &Coverage::default(),
            "no line was measured: `x` has none in it",
        ),
    ] {
        assert_eq!(
            coverage
                .judge(minimum("80"), "`x`")
                .unwrap_err()
                .to_string(),
            expected
        );
    }
}
