//! Decision tables and properties of the query string.

use proptest::prelude::*;

use super::*;

/// Parameters with one key of each kind.
#[derive(Debug, PartialEq)]
struct Sample {
    task: String,
    env: Vec<(String, String)>,
    outputs: Vec<(String, Option<String>)>,
    bake: Option<Duration>,
}

impl FromQuery for Sample {
    fn from_query(query: &mut Query, outputs: &[Artifact]) -> Result<Self, ParameterError> {
        Ok(Self {
            env: query.take_prefix("Env."),
            outputs: outputs
                .iter()
                .map(|output| (output.name.clone(), query.take(&output.name)))
                .collect(),
            bake: query.take_duration("bake")?,
            task: query.take_required("task")?,
        })
    }
}

fn outputs(names: &[&str]) -> Vec<Artifact> {
    names
        .iter()
        .map(|name| Artifact {
            name: (*name).to_owned(),
            revision: None,
            location: crate::artifact::ArtifactLocation {
                bucket: "b".to_owned(),
                key: "p/a/k".to_owned(),
            },
        })
        .collect()
}

#[test]
fn the_classic_form_works_as_written() {
    let (common, sample) = parse::<Sample>(
        "task=package&DistSiteOutput=dist/site.zip&DistLambdaOutput=dist/lambda.zip",
        &outputs(&["DistSiteOutput", "DistLambdaOutput"]),
    )
    .unwrap();
    assert_eq!(sample.task, "package");
    assert_eq!(
        sample.outputs,
        [
            (
                "DistSiteOutput".to_owned(),
                Some("dist/site.zip".to_owned())
            ),
            (
                "DistLambdaOutput".to_owned(),
                Some("dist/lambda.zip".to_owned())
            ),
        ]
    );
    assert_eq!(common.timeout, limits::DEFAULT_TIMEOUT);
    assert_eq!(common.attempts, None);
}

#[test]
fn values_by_table() {
    for (case, given, expected) in [
        ("plain", "task=test", "test"),
        ("plus is a space", "task=a+b", "a b"),
        ("escapes", "task=a%20%26%3D%2B", "a &=+"),
        ("utf-8", "task=%C3%A9", "é"),
        ("unescaped utf-8", "task=é", "é"),
        ("a value with =", "task=a=b", "a=b"),
        ("a lone percent", "task=100%", "100%"),
        ("a percent before a letter", "task=50%x", "50%x"),
        ("folded", "task=test \n &\n timeout=1m", "test"),
        ("encoded white space is kept", "task=%20a+", " a "),
        ("empty parts", "&&task=x&", "x"),
    ] {
        let (_, sample) = parse::<Sample>(given, &[]).unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(sample.task, expected, "{case}");
    }
}

#[test]
fn prefixed_keys_keep_their_order() {
    let (_, sample) = parse::<Sample>("Env.B=2&task=t&Env.A=1&Env.A.B=3", &[]).unwrap();
    let names: Vec<_> = sample.env.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["B", "A", "A.B"]);
}

#[test]
fn errors_by_table() {
    for (case, given, message, hint) in [
        (
            "typo",
            "taks=test",
            "unknown parameter `taks`",
            "did you mean `task`?",
        ),
        (
            "typo beside a good one",
            "task=test&timeuot=1m",
            "unknown parameter `timeuot`",
            "did you mean `timeout`?",
        ),
        (
            "case",
            "Task=x",
            "unknown parameter `Task`",
            "did you mean `task`?",
        ),
        (
            "prefix in lower case",
            "task=x&env.A=1",
            "unknown parameter `env.A`",
            "did you mean `Env.A`?",
        ),
        (
            "prefix with an underscore",
            "task=x&ENV_A=1",
            "unknown parameter `ENV_A`",
            "did you mean `Env.A`?",
        ),
        (
            "like nothing",
            "task=x&zzz=1",
            "unknown parameter `zzz`",
            "the parameters are Dist, attempts, bake, connections, level, task, threads, timeout, Env.NAME",
        ),
        (
            "prefix without a name",
            "task=x&Env.=1",
            "unknown parameter `Env.`",
            "",
        ),
        (
            "repeated",
            "task=a&task=b",
            "parameter `task` is given twice",
            "keep one `task=`",
        ),
        (
            "repeated once decoded",
            "task=a&t%61sk=b",
            "parameter `task` is given twice",
            "",
        ),
        (
            "missing",
            "bake=1m",
            "parameter `task` is missing",
            "add `task=…`",
        ),
        (
            "blank",
            "task=",
            "parameter `task` is missing",
            "add `task=…`",
        ),
        (
            "no key",
            "=x",
            "a parameter has no name: `=x`",
            "key=value pairs",
        ),
        (
            "not utf-8",
            "task=%FF",
            "parameter `task` is not UTF-8 once its percent escapes are decoded",
            "",
        ),
        (
            "duration without unit",
            "task=x&bake=90",
            "parameter `bake` is `90`, which is not a duration such as 90s, 10m or 1h30m",
            "",
        ),
        (
            "timeout too long",
            "task=x&timeout=25h",
            "parameter `timeout` is `25h`, which is not more than nothing and at most 24h",
            "",
        ),
        (
            "no timeout at all",
            "task=x&timeout=0s",
            "parameter `timeout` is `0s`",
            "",
        ),
        (
            "no attempts",
            "task=x&attempts=0",
            "parameter `attempts` is `0`, which is not at least 1",
            "",
        ),
        (
            "no threads",
            "task=x&threads=0",
            "parameter `threads` is `0`, which is not a number from 1 to 64",
            "",
        ),
        (
            "a level that is none",
            "task=x&level=13",
            "parameter `level` is `13`, which is not a number from 0 (stored) to 12 (smallest)",
            "",
        ),
        (
            "attempts in words",
            "task=x&attempts=many",
            "parameter `attempts` is `many`, which is not a whole number",
            "",
        ),
    ] {
        let error = parse::<Sample>(given, &outputs(&["Dist"])).expect_err(case);
        assert!(error.to_string().starts_with(message), "{case}: {error}");
        let failure = Failure::from(error);
        assert_eq!(
            failure.kind,
            crate::failure::FailureType::ConfigurationError,
            "{case}"
        );
        let got = failure.hint.unwrap_or_default();
        assert!(got.contains(hint), "{case}: {got}");
    }
}

#[test]
fn resolved_values_may_be_longer_than_a_configuration_value() {
    let long = format!("task={}", "x".repeat(50_000));
    assert_eq!(parse::<Sample>(&long, &[]).unwrap().1.task.len(), 50_000);
    let too_long = format!("task={}", "x".repeat(limits::PARAMETERS_BYTES));
    assert!(matches!(
        parse::<Sample>(&too_long, &[]),
        Err(ParameterError::TooLong(_))
    ));
}

#[test]
fn a_bad_variable_is_named_without_its_value() {
    for (given, expected) in [
        ("Env.STAGE=dev&Env._x1=", Ok(2)),
        ("Env.1X=hunter22", Err("`Env.1X`: a variable's name has")),
        ("Env.A B=hunter22", Err("`Env.A B`: a variable's name has")),
        ("Env.A-B=hunter22", Err("`Env.A-B`: a variable's name has")),
        (
            "Env.\u{e9}=hunter22",
            Err("`Env.\u{e9}`: a variable's name has"),
        ),
        (
            "Env.A=hunter22%00",
            Err("`Env.A`: a variable's value has no NUL"),
        ),
    ] {
        let taken = Query::parse(given).unwrap().take_variables("Env.");
        match (taken, expected) {
            (Ok(variables), Ok(count)) => assert_eq!(variables.len(), count, "{given}"),
            (Err(error), Err(begins)) => {
                let text = error.to_string();
                assert!(text.starts_with(begins), "{given}: {text}");
                assert!(!text.contains("hunter"), "{given}: {text}");
            }
            (taken, _) => panic!("{given}: {taken:?}"),
        }
    }
}

#[test]
fn choices_lists_and_booleans_by_table() {
    let mut query = Query::parse("mode=b&bad=z&list=a,+b,,c&on=YES&off=0&what=maybe").unwrap();
    let choices = [("a", 1), ("b", 2)];
    assert_eq!(query.take_choice("mode", &choices), Ok(Some(2)));
    assert_eq!(query.take_choice("none", &choices), Ok(None));
    assert_eq!(
        query.take_choice("bad", &choices).unwrap_err().to_string(),
        "parameter `bad` is `z`, which is not one of a, b"
    );
    assert_eq!(query.take_list("list"), ["a", "b", "c"]);
    assert_eq!(query.take_bool("on"), Ok(Some(true)));
    assert_eq!(query.take_bool("off"), Ok(Some(false)));
    assert!(query.take_bool("what").is_err());
    assert_eq!(query.finish(), Ok(()));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse::<Sample>(&text, &[]);
    }

    #[test]
    fn escaped_pairs_come_back(pairs in proptest::collection::btree_map("\\PC{1,8}", "\\PC{0,12}", 0..6)) {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let text = pairs
            .iter()
            .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
            .collect::<Vec<_>>()
            .join("&");
        let query = Query::parse(&text).unwrap();
        let got: Vec<_> = query.remaining().to_vec();
        let expected: Vec<_> = pairs.into_iter().collect();
        prop_assert_eq!(got, expected);
    }
}
