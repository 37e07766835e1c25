//! Tables of functions and their values.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Environment, conditions, evaluate};
use crate::{Template, parameters, yaml};

struct World;

impl Environment for World {
    fn reference(&self, logical_id: &str) -> Option<Value> {
        (logical_id == "Bucket").then(|| json!("bucket-1"))
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<Value> {
        match (logical_id, attribute) {
            ("Bucket", "Arn") => Some(json!("arn:aws:s3:::bucket-1")),
            ("Nested", "Outputs.Url") => Some(json!("https://example")),
            ("Nested", "Ports") => Some(json!([80, 443])),
            _ => None,
        }
    }

    fn export(&self, name: &str) -> Option<Value> {
        (name == "shared").then(|| json!("exported"))
    }

    fn pseudo(&self, name: &str) -> Option<Value> {
        match name {
            "AWS::Region" => Some(json!("eu-west-1")),
            "AWS::NotificationARNs" => Some(json!(["arn:1"])),
            _ => None,
        }
    }

    fn zones(&self, region: &str) -> Vec<String> {
        vec![format!("{region}a"), format!("{region}b")]
    }
}

const TEMPLATE: &str = "
Parameters:
  Stage: {Type: String, Default: prod}
  Names: {Type: CommaDelimitedList, Default: 'a,b'}
  Empty: {Type: String, Default: ''}
Mappings:
  Sizes:
    prod: {memory: 512, zones: [x, y]}
    dev: {memory: 128}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsDev: !Not [!Condition IsProd]
  Either: !Or [!Condition IsDev, {Condition: IsProd}]
  Both: !And [!Condition IsDev, !Condition IsProd]
  HasNames: !Not [!Equals [!Join ['', !Ref Names], '']]
  Big: !Equals [!FindInMap [Sizes, !Ref Stage, memory], '512']
  Here: !Equals [!Ref AWS::Region, eu-west-1]
Resources:
  Bucket: {Type: AWS::S3::Bucket}
  Late: {Type: AWS::S3::Bucket}
  Nested: {Type: AWS::CloudFormation::Stack}
";

fn value(text: &str) -> Result<Value, String> {
    let template = Template::parse(TEMPLATE).unwrap();
    let parameters =
        parameters::resolve(&template, &BTreeMap::new(), &BTreeMap::new(), &|_| None).unwrap();
    let conditions = conditions(&template, &parameters, &World).unwrap();
    let value = yaml::read(text).unwrap();
    evaluate(&value, &template, &parameters, &conditions, &World).map_err(|error| error.to_string())
}

#[test]
fn conditions_are_decided() {
    let template = Template::parse(TEMPLATE).unwrap();
    for (stage, expected) in [
        ("prod", "Big Either HasNames Here IsProd"),
        ("dev", "Either HasNames Here IsDev"),
    ] {
        let given = BTreeMap::from([("Stage".to_owned(), stage.to_owned())]);
        let parameters =
            parameters::resolve(&template, &given, &BTreeMap::new(), &|_| None).unwrap();
        let decided = conditions(&template, &parameters, &World).unwrap();
        let met: Vec<&str> = decided
            .iter()
            .filter(|(_, met)| **met)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(met.join(" "), expected, "{stage}");
    }
}

#[test]
fn functions_have_their_values() {
    for (text, expected) in [
        (
            "plain: [1, true, text]",
            json!({"plain": [1, true, "text"]}),
        ),
        ("!Ref Stage", json!("prod")),
        ("!Ref Names", json!(["a", "b"])),
        ("!Ref Bucket", json!("bucket-1")),
        ("!Ref AWS::Region", json!("eu-west-1")),
        ("!Ref AWS::NoValue", Value::Null),
        (
            "{a: !Ref AWS::NoValue, b: [!Ref AWS::NoValue, 1]}",
            json!({"b": [1]}),
        ),
        ("!GetAtt Bucket.Arn", json!("arn:aws:s3:::bucket-1")),
        ("Fn::GetAtt: Bucket.Arn", json!("arn:aws:s3:::bucket-1")),
        ("!GetAtt Nested.Outputs.Url", json!("https://example")),
        (
            "!Sub 'x-${Stage}-${Bucket.Arn}-${!Stage}-${AWS::Region}-$'",
            json!("x-prod-arn:aws:s3:::bucket-1-${Stage}-eu-west-1-$"),
        ),
        (
            "!Sub ['${A}-${Stage}-${B}', {A: !Ref Bucket, B: 5, Stage: mine}]",
            json!("bucket-1-mine-5"),
        ),
        (
            "!Join ['-', [a, !Ref Stage, 1, !Ref AWS::NoValue, true]]",
            json!("a-prod-1-true"),
        ),
        ("!Join [',', !Ref Names]", json!("a,b")),
        ("!Join ['', []]", json!("")),
        (
            "!Split [':', !GetAtt Bucket.Arn]",
            json!(["arn", "aws", "s3", "", "", "bucket-1"]),
        ),
        ("!Select [1, !Ref Names]", json!("b")),
        ("!Select ['0', !Split ['.', a.b]]", json!("a")),
        ("!Select [0, !GetAZs '']", json!("eu-west-1a")),
        (
            "Fn::GetAZs: !Ref AWS::Region",
            json!(["eu-west-1a", "eu-west-1b"]),
        ),
        ("!FindInMap [Sizes, !Ref Stage, memory]", json!(512)),
        ("!FindInMap [Sizes, !Ref Stage, zones]", json!(["x", "y"])),
        (
            "!FindInMap [Sizes, qa, memory, {DefaultValue: !Ref Stage}]",
            json!("prod"),
        ),
        ("!If [IsProd, yes, !Ref Nonsense]", json!(true)),
        (
            "{a: !If [IsDev, x, !Ref AWS::NoValue], b: 1}",
            json!({"b": 1}),
        ),
        ("!Base64 hello", json!("aGVsbG8=")),
        ("Fn::Base64: !Sub '${Stage}'", json!("cHJvZA==")),
        ("!ImportValue shared", json!("exported")),
        (
            "!Cidr [10.0.0.0/16, 2, 8]",
            json!(["10.0.0.0/24", "10.0.1.0/24"]),
        ),
        (
            "Fn::ToJsonString: {b: !Ref Stage, a: [1, !Ref AWS::NoValue]}",
            json!(r#"{"b":"prod","a":[1]}"#),
        ),
        ("!Length [1, 2, !Ref AWS::NoValue]", json!(2)),
        ("Fn::Length: !Ref Names", json!(2)),
        (
            "{Statement: {Condition: {StringEquals: {a: b}}, Ref: x, Y: z}}",
            json!({"Statement": {"Condition": {"StringEquals": {"a": "b"}}, "Ref": "x", "Y": "z"}}),
        ),
        ("{Condition: Name}", json!({"Condition": "Name"})),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_has_no_value_says_where_and_why() {
    let mut seen = Vec::new();
    for text in [
        "Name: !Ref Stge",
        "Name: [a, !Ref Late]",
        "Name: !Ref AWS::Regoin",
        "Name: !GetAtt Bucket.Nope",
        "Name: !GetAtt Bukcet.Arn",
        "Name: {Fn::GetAtt: Bucket}",
        "Name: !Sub '${Late}'",
        "Name: !Sub '${Names}'",
        "Name: !Sub '${Stage'",
        "Name: !Sub '${Stage Name}'",
        "Name: !Sub '${AWS::NoValue}'",
        "Name: !Sub [1, {}]",
        "Name: !Join [',', text]",
        "Name: !Join [',', [{a: b}]]",
        "Name: !Select [2, !Ref Names]",
        "Name: !Select [x, !Ref Names]",
        "Name: !Split ['', x]",
        "Name: !FindInMap [Size, prod, memory]",
        "Name: !FindInMap [Sizes, prd, memory]",
        "Name: !FindInMap [Sizes, prod, cpu]",
        "Name: !If [IsPrd, 1, 2]",
        "Name: !If [IsProd, 1]",
        "Name: !ImportValue other",
        "Name: !Cidr [10.0.0.0, 1]",
        "Name: !Equals [a, b]",
        "Name: {Fn::Transform: {Name: AWS::Include}}",
        "Name: {Fn::Subb: x}",
        "Name: {Fn::Sub: x, Other: y}",
        "Name: !Length x",
    ] {
        seen.push(value(text).unwrap_err());
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    `Name.Ref`: `Stge` is neither a resource nor a parameter of this template; did you mean `Stage`?
    `Name.1.Ref`: resource `Late` does not exist yet, or not at all in this deployment
    `Name.Ref`: `AWS::Regoin` is no pseudo parameter that is known here
    `Name.Fn::GetAtt`: `Bucket` (AWS::S3::Bucket) has no attribute `Nope`, or none yet
    `Name.Fn::GetAtt`: `Bukcet` is neither a resource nor a parameter of this template; did you mean `Bucket`?
    `Name.Fn::GetAtt`: takes a resource and an attribute
    `Name.Fn::Sub`: resource `Late` does not exist yet, or not at all in this deployment
    `Name.Fn::Sub`: `${Names}` is a list, and only a text fits here
    `Name.Fn::Sub`: `${Stage` opens a `${` and does not close it
    `Name.Fn::Sub`: `${Stage Name}` is no name; write `${!Stage Name}` for that text itself
    `Name.Fn::Sub`: `${AWS::NoValue}` has no value to put into a text
    `Name.Fn::Sub`: takes a text, or a list of a text and a mapping of variables
    `Name.Fn::Join.1`: comes to a text, and a list is needed
    `Name.Fn::Join`: joins texts, and an item of the list is none
    `Name.Fn::Select`: has no item 2: the list has 2, counted from 0
    `Name.Fn::Select`: `x` is no index of a list
    `Name.Fn::Split`: needs a delimiter that is not empty
    `Name.Fn::FindInMap`: `Mappings` has no key `Size`; did you mean `Sizes`?
    `Name.Fn::FindInMap`: `Mappings.Sizes` has no key `prd`; did you mean `prod`?
    `Name.Fn::FindInMap`: `Mappings.Sizes.prod` has no key `cpu`
    `Name.Fn::If`: `IsPrd` is no condition of this template; did you mean `IsProd`?
    `Name.Fn::If`: takes the name of a condition and two values
    `Name.Fn::ImportValue`: no stack exports `other`
    `Name.Fn::Cidr`: `10.0.0.0` is no address block such as `10.0.0.0/16`
    `Name.Fn::Equals`: decides a condition: it belongs in the `Conditions` section, and `Fn::If` uses it here
    `Name.Fn::Transform`: calls a macro, which is not available here
    `Name.Fn::Subb`: is no function; did you mean `Fn::Sub`?
    `Name`: `Fn::Sub` must be the only key of its mapping
    `Name.Fn::Length`: comes to a text, and a list is needed
    ");
}

#[test]
fn a_condition_that_cannot_be_decided_says_why() {
    let mut seen = Vec::new();
    for text in [
        "A: !Condition B\n  B: !Not [!Condition A]",
        "A: !Condition C",
        "A: !Equals [a]",
        "A: !And [!Equals [a, a]]",
        "A: text",
        "A: !Equals [!Ref Bucket, x]",
        "A: !If [B, 1, 2]",
    ] {
        let template = Template::parse(&format!(
            "Conditions:\n  {text}\nResources: {{Bucket: {{Type: AWS::S3::Bucket}}}}"
        ))
        .unwrap();
        let undecided = conditions(&template, &BTreeMap::new(), &World).unwrap_err();
        seen.push(undecided.to_string());
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    `Conditions.B.Fn::Not.0.Condition`: condition `A` depends on itself: A -> B -> A
    `Conditions.A.Condition`: `C` is no condition of this template
    `Conditions.A.Fn::Equals`: takes two values
    `Conditions.A.Fn::And`: takes 2 to 10 conditions, not 1
    `Conditions.A`: is no condition: use Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition
    `Conditions.A.Fn::Equals.0.Ref`: resource `Bucket` does not exist yet, or not at all in this deployment
    `Conditions.A`: is no condition: use Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition
    ");
}
