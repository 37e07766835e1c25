//! Bad texts and their messages; good texts and their values; and that writing loses nothing.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{read, write};

#[test]
fn short_forms_become_long_forms() {
    for (text, expected) in [
        ("!Ref A", json!({"Ref": "A"})),
        ("!Condition A", json!({"Condition": "A"})),
        ("!Sub '${A}'", json!({"Fn::Sub": "${A}"})),
        (
            "!Sub ['${A}', {A: 1}]",
            json!({"Fn::Sub": ["${A}", {"A": 1}]}),
        ),
        ("!GetAtt A.B", json!({"Fn::GetAtt": ["A", "B"]})),
        (
            "!GetAtt A.Outputs.B",
            json!({"Fn::GetAtt": ["A", "Outputs.B"]}),
        ),
        (
            "!GetAtt [A, !Ref B]",
            json!({"Fn::GetAtt": ["A", {"Ref": "B"}]}),
        ),
        ("Fn::GetAtt: A.B", json!({"Fn::GetAtt": "A.B"})),
        ("!GetAZs ''", json!({"Fn::GetAZs": ""})),
        (
            "!Join [',', [!Ref A, 1]]",
            json!({"Fn::Join": [",", [{"Ref": "A"}, 1]]}),
        ),
        (
            "!Transform {Name: X}",
            json!({"Fn::Transform": {"Name": "X"}}),
        ),
        (
            "!Base64\n  Fn::Sub: x",
            json!({"Fn::Base64": {"Fn::Sub": "x"}}),
        ),
        (
            "!If [A, !Ref B, !Ref C]",
            json!({"Fn::If": ["A", {"Ref": "B"}, {"Ref": "C"}]}),
        ),
        ("!Ref 12", json!({"Ref": "12"})),
    ] {
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn scalars_keys_and_anchors_are_read() {
    for (text, expected) in [
        ("Version: 2012-10-17", json!({"Version": "2012-10-17"})),
        ("{Version: 2012-10-17}", json!({"Version": "2012-10-17"})),
        (
            "a: '2012-10-17'\nb: \"yes\"\nc: yes",
            json!({"a": "2012-10-17", "b": "yes", "c": true}),
        ),
        (
            "a: !!str 12\nb: ! yes\nc: !!int 3\nd: !!bool on",
            json!({"a": "12", "b": "yes", "c": 3, "d": true}),
        ),
        (
            "a: !!map {b: 1}\nc: !!seq [1]",
            json!({"a": {"b": 1}, "c": [1]}),
        ),
        (
            "123456789012: x\non: y\nnull: z",
            json!({"123456789012": "x", "on": "y", "null": "z"}),
        ),
        (
            "a: |\n  x\n  y\nb: >-\n  x\n  y",
            json!({"a": "x\ny\n", "b": "x y"}),
        ),
        ("a: &x [1]\nb: *x", json!({"a": [1], "b": [1]})),
        (
            "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3",
            json!({"a": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}}),
        ),
        (
            "b:\n  <<: [{p: 1}, {p: 2, r: 3}]",
            json!({"b": {"p": 1, "r": 3}}),
        ),
        ("b: {'<<': {p: 1}}", json!({"b": {"<<": {"p": 1}}})),
        (
            "{\"a\": 1.50, \"b\": [true, null, \"\\ud83d\\ude00\"]}",
            json!({"a": 1.5, "b": [true, null, "\u{1f600}"]}),
        ),
        ("\u{feff}{\"a\": 1}", json!({"a": 1})),
        ("{a: b} # flow", json!({"a": "b"})),
        ("---\na: 1\n...\n", json!({"a": 1})),
    ] {
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_bad_text_says_where_what_and_how_to_repair_it() {
    let deep = "[".repeat(120) + &"]".repeat(120);
    let deep_block: Vec<String> = (0..110)
        .map(|depth| format!("{}a:", " ".repeat(depth)))
        .collect();
    let deep_block = deep_block.join("\n");
    let mut bomb = vec![format!("a: &a [{}]", ["x"; 10].join(", "))];
    for name in b'b'..=b'h' {
        let (name, inner) = (char::from(name), char::from(name - 1));
        bomb.push(format!(
            "{name}: &{name} [{}]",
            vec![format!("*{inner}"); 10].join(", ")
        ));
    }
    let bomb = bomb.join("\n");
    let mut seen = Vec::new();
    for text in [
        "",
        "# only a comment",
        "a: 1\na: 2",
        "Resources:\n  A: {Type: x}\n  B: {Type: x}\n  A: {Type: y}",
        "{\"a\": {\"b\": 1, \"b\": 2}}",
        "{\"a\": 1,}",
        "{\"a\": 1",
        "{\"a\": [1, 2",
        "a:\n\t- b",
        "a:\n  - b\n - c",
        "a: b: c",
        "a: \"unclosed",
        "a: 'unclosed\nb: c",
        "a: [1, 2\nb: 3",
        "a: {b: 1\nc: 2",
        "a: \"\\q\"",
        "key\nother: 1",
        "Resources:\n  A:\n    Type: x\n   Properties: {}",
        "a: !Base64 !Sub x",
        "a: !Subb x",
        "a: !GetAtt Bucket",
        "a: !Ref [x]",
        "a: !!binary aGk=",
        "a: !!timestamp 2001-01-01",
        "a: !!int x",
        "a: !!set {b}",
        "!Ref a: b",
        "[a, b]: c",
        "a: *nowhere",
        "a: &a [*a]",
        "a: {<<: 1}",
        "a: 1\n---\nb: 2",
        "a: @b",
        "a: `b`",
        "a: %b",
        "a: *.txt",
        &deep,
        &deep_block,
        &bomb,
    ] {
        match read(text) {
            Ok(value) => seen.push(format!("ACCEPTED {text:?} as {value}")),
            Err(error) => seen.push(error.to_string()),
        }
    }
    insta::assert_snapshot!(seen.join("\n"), @r#"
    line 1, column 1: the text is empty; write at least a `Resources` section
    line 1, column 1: the text is empty; write at least a `Resources` section
    line 2, column 1: the key `a` is given twice in the template, first on line 1; only one of the two could take effect: rename or remove one
    line 4, column 3: the key `A` is given twice in `Resources`, first on line 2; only one of the two could take effect: rename or remove one
    line 1, column 18: the key `b` is given twice in `a`; only one of the two could take effect: rename or remove one
    ACCEPTED "{\"a\": 1,}" as {"a":1}
    line 1, column 7: this is not JSON: EOF while parsing an object; repair the JSON there, or just before; a template may also be YAML
    line 1, column 11: this is not JSON: EOF while parsing a list; repair the JSON there, or just before; a template may also be YAML
    line 2, column 2: a tab indents this line; YAML is indented with spaces only
    line 3, column 2: the indentation or a missing `:` breaks the structure; align this line with its neighbours and check that every key ends with `:`
    line 1, column 5: a `: ` stands where none can; check that the line before is complete, and quote a text that holds `: `
    line 1, column 4: a quoted text is not closed; add the closing quote, or indent the lines that it goes on in
    line 1, column 4: a quoted text is not closed; add the closing quote, or indent the lines that it goes on in
    line 2, column 2: a `: ` stands where none can; check that the line before is complete, and quote a text that holds `: `
    line 2, column 2: a `[` or `{` is not closed where it should be, or its parts are not separated; check the brackets and commas, and quote texts that hold any of `[]{},`
    line 1, column 4: a quoted text is malformed (while parsing a quoted scalar, found unknown escape character); write `\\` for a backslash, or use single quotes
    line 2, column 6: a `: ` stands where none can; check that the line before is complete, and quote a text that holds `: `
    line 4, column 4: the indentation or a missing `:` breaks the structure; align this line with its neighbours and check that every key ends with `:`
    line 1, column 12: two short-form functions follow each other; YAML allows one tag for a value: write the outer one in full, as `Fn::Base64: !Sub …`
    line 1, column 4: `!Subb` is not a function of CloudFormation; write `!Sub` if that is meant, or quote the value if it only starts with `!`
    line 1, column 4: `!GetAtt Bucket` names no attribute; write `!GetAtt Bucket.Attribute`
    line 1, column 4: `!Ref` takes one name; write `!Ref Name`
    line 1, column 4: CloudFormation does not support the YAML tag `!!binary`; write the value as plain text, a list or a mapping
    line 1, column 4: CloudFormation does not support the YAML tag `!!timestamp`; write the value as plain text, a list or a mapping
    line 1, column 4: `x` is tagged as a number, which it is not; correct the value or the tag
    line 1, column 4: CloudFormation does not support the YAML tag `!!set`; write the value as plain text, a list or a mapping
    line 1, column 1: a key carries the tag `!Ref`; a key is plain text: remove the tag
    line 1, column 1: a key is a list or a mapping; a key is plain text; quote it if it is meant so
    line 1, column 4: the alias names an anchor that is not defined before it; define it with `&name`, or quote a `*`
    line 1, column 8: the alias stands inside the value that it stands for; a template cannot contain itself: write the value out
    line 1, column 5: `<<` merges something that is no mapping; give it an alias of a mapping, or quote the key if it is meant literally
    line 2, column 1: a second YAML document starts here; a template is one document: remove the `---` or what follows it
    line 1, column 4: a text starts with a character that means something else in YAML; put the text in quotes
    line 1, column 4: a text starts with a character that means something else in YAML; put the text in quotes
    line 1, column 4: a text starts with a character that means something else in YAML; put the text in quotes
    line 1, column 4: the alias names an anchor that is not defined before it; define it with `&name`, or quote a `*`
    line 1, column 102: more than 100 levels of nesting; make the template flatter
    line 102, column 102: more than 100 levels of nesting; make the template flatter
    line 5, column 36: aliases expand to more than 100000 values; write the values out, or use a mapping or a nested stack
    "#);
}

#[test]
fn yaml_is_written_for_people() {
    let value = read(
        "
Description: It's a test, 100% of it
Version: '2012-10-17'
Empty: [{}, [], '', null]
Numbers: [1, -2.5, '1', '0755', true, 'true', 'on', '1e3']
Functions:
  - !Ref A
  - !GetAtt A.B
  - !GetAtt [A.B, C]
  - {Fn::GetAtt: A.B}
  - !Join [':', [a, !Sub '${A}', {k: !Ref B, l: 1}]]
  - !If [C, {a: b}, !Ref AWS::NoValue]
  - Fn::Base64: !Sub |
      #!/bin/sh
      echo ${A}

      exit
  - Fn::Transform: {Name: AWS::Include}
  - {Condition: C}
  - {Condition: {StringEquals: {a: b}}}
Lists:
  - - a
    - - b
  - {x: [y]}
'key: with # odd': a
'': b
Arn: arn:aws:s3:::bucket/*
Odd: ['*', '- a', 'a: b', 'a #b', ' a', \"tab\\t\", \"\\u2028\", 'ünïcode', '{{resolve:ssm:x}}', '@x', '%x', '`x', 'a:', '~']
",
    )
    .unwrap();
    let text = write(&value);
    assert_eq!(read(&text).unwrap(), value);
    insta::assert_snapshot!(text, @r#"
    Description: It's a test, 100% of it
    Version: '2012-10-17'
    Empty:
      - {}
      - []
      - ''
      - null
    Numbers:
      - 1
      - -2.5
      - '1'
      - '0755'
      - true
      - 'true'
      - 'on'
      - '1e3'
    Functions:
      - !Ref A
      - !GetAtt A.B
      - !GetAtt
        - A.B
        - C
      - Fn::GetAtt: A.B
      - !Join
        - ':'
        - - a
          - !Sub ${A}
          - k: !Ref B
            l: 1
      - !If
        - C
        - a: b
        - !Ref AWS::NoValue
      - Fn::Base64: !Sub |
          #!/bin/sh
          echo ${A}

          exit
      - Fn::Transform:
          Name: AWS::Include
      - !Condition C
      - Condition:
          StringEquals:
            a: b
    Lists:
      - - a
        - - b
      - x:
          - 'y'
    'key: with # odd': a
    '': b
    Arn: arn:aws:s3:::bucket/*
    Odd:
      - '*'
      - '- a'
      - 'a: b'
      - 'a #b'
      - ' a'
      - "tab\t"
      - "\u2028"
      - 'ünïcode'
      - '{{resolve:ssm:x}}'
      - '@x'
      - '%x'
      - '`x'
      - 'a:'
      - '~'
    "#);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9 :#'\"\\\\{}\\[\\],&*!|>%@`~?$./=+-]{0,12}",
        2 => "[ \\na-c:#-]{0,14}",
        1 => any::<String>(),
        1 => prop::sample::select(vec![
            "yes", "no", "on", "null", "~", "", "2012-10-17", "0755", "1e3", "-", "?", ":", "<<", "=", "---", "...",
            "true", "1_000", "22:22", ".inf", "a\n\nb\n", "\n", " x", "x ", "\ta", "a\r\nb", "\u{feff}", "\u{85}",
            "# x", "- x", "? x", "|", "key: value", "a\n b", "a\n  b\nc", "!Ref A", "&a", "*a", "\u{1f600}", "\u{2028}",
        ])
        .prop_map(str::to_owned),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => text(),
        3 => prop::sample::select(vec![
            "Ref", "Condition", "Fn::Sub", "Fn::GetAtt", "Fn::Join", "Fn::If", "Fn::Base64", "Fn::Transform", "Fn::Odd",
            "Type", "Properties", "DependsOn",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        2 => any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        6 => text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_as_the_same_value(value in value()) {
        let text = write(&value);
        let again = read(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(again, value, "{}", text);
    }

    #[test]
    fn json_reads_as_the_same_value(value in value()) {
        let value = json!({ "root": value });
        prop_assert_eq!(read(&value.to_string()).unwrap(), value);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z0-9:\\-\\[\\]{},&*!|>'\"# \\n\\t?%@]{0,60}") {
        let _ = read(&text);
    }
}

/// `serde_json` shows numbers so that reading gives them back; the writer relies on it.
#[test]
fn extreme_numbers_survive() {
    for number in [
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        -0.0,
        1e16,
        1e-7,
        0.1 + 0.2,
        5e-324,
    ] {
        let value = json!([number]);
        assert_eq!(read(&write(&value)).unwrap(), value, "{number:e}");
    }
}

#[test]
fn a_key_longer_than_yaml_allows_on_a_line_is_written_explicitly() {
    let value = json!({"x".repeat(3_000): {"a": [1]}, "y": 1});
    assert_eq!(read(&write(&value)).unwrap(), value);
}
