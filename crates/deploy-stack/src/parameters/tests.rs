//! Query strings, and what they come to.

use super::*;
use towpath_job::parameters::parse;

fn read(text: &str) -> Result<Parameters, ParameterError> {
    parse::<Parameters>(text, &[]).map(|(_, own)| own)
}

#[test]
fn a_deployment_is_read_whole() {
    let parameters = read(
        "action=deploy&stack=app-qa&template=Package::infra/t.yaml&Param.Stage=qa&Tag.team=a\
         &capabilities=CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND&role=arn:aws:iam::1:role/x&timeout=1h",
    )
    .expect("valid");
    assert_eq!(parameters.operation, Operation::Deploy);
    assert_eq!(
        parameters.template.expect("given").to_string(),
        "Package::infra/t.yaml"
    );
    assert_eq!(parameters.values["Stage"], "qa");
    assert_eq!(parameters.tags["team"], "a");
    assert_eq!(parameters.capabilities.len(), 2);
    assert_eq!(parameters.on_failure, OnFailure::Recover);
}

#[test]
fn what_is_not_said_of_a_stack_stays_and_off_takes_it_away() {
    for (text, notify, alarms, monitor, protect) in [
        ("", None, None, None, None),
        ("&notify=&alarms=", None, None, None, None),
        ("&notify=off&alarms=off", Some(0), Some(0), None, None),
        (
            "&notify=arn:aws:sns:us-east-1:1:t&alarms=A,B&monitor=10m&protect=on",
            Some(1),
            Some(2),
            Some(10),
            Some(true),
        ),
        (
            "&monitor=3h&protect=off",
            None,
            None,
            Some(180),
            Some(false),
        ),
    ] {
        let read = read(&format!("stack=a&template=s3://b/k.yaml{text}")).expect(text);
        assert_eq!(read.notify.map(|all| all.len()), notify, "{text}");
        assert_eq!(read.alarms.map(|all| all.len()), alarms, "{text}");
        assert_eq!((read.monitor, read.protect), (monitor, protect), "{text}");
        assert_eq!(read.template.expect("given").to_string(), "s3://b/k.yaml");
    }
}

#[test]
fn a_stack_that_lives_for_a_while_says_what_it_is_of() {
    for (text, ephemeral) in [
        ("stack=a", false),
        ("stack=a&ttl=2d", true),
        ("stack-for=a", true),
    ] {
        let read = read(&format!("{text}&template=A::b")).expect(text);
        assert_eq!(read.ephemeral, ephemeral, "{text}");
    }
    let read = read("stack-for=a&template=A::b&owner=&branch=fix%2312&commit=1f8b12c");
    let origin: Vec<_> = read.expect("valid").ending.origin.into_iter().collect();
    let expected = [("branch", "fix-12"), ("commit", "1f8b12c")]
        .map(|(key, value)| (format!("towpath:{key}"), value.to_owned()));
    assert_eq!(origin, expected, "an empty one is as if it were not there");
}

#[test]
fn a_deletion_with_an_output_artifact_is_refused_before_anything_is_deleted() {
    let output = Artifact {
        name: "Outputs".into(),
        revision: None,
        location: towpath_job::ArtifactLocation {
            bucket: "b".into(),
            key: "k".into(),
        },
    };
    let error = parse::<Parameters>("action=delete&stack=a", &[output]).expect_err("refused");
    assert!(
        error.to_string().contains("output artifact `Outputs`"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (text, words) in [
        ("stack=a", "`template` is missing"),
        ("template=A::b", "`stack` is missing"),
        ("stack=a_b&template=A::b", "a stack's name"),
        (
            "action=replace&stack=a&template=A::b",
            "one of deploy, plan, execute, delete, sweep, site",
        ),
        ("stack=a&template=t.yaml", "Artifact::path"),
        ("stack=a&template=s3://bucket", "s3://bucket/key"),
        ("stack=a&template=http://b/t", "https://address"),
        ("stack=a&template=A::b&notify=me", "ARN of an SNS topic"),
        ("stack=a&template=A::b&monitor=4h", "up to 3h"),
        ("stack=a&template=A::b&monitor=90s", "whole minutes"),
        (
            "stack=a&template=A::b&alarms=a,b,c,d,e,f",
            "more than 5 alarms",
        ),
        (
            "stack=a&template=A::b&Param.X=1&previous=X",
            "kept by `previous`",
        ),
        (
            "action=plan&stack=a&template=A::b&protect=on",
            "means nothing with action=plan",
        ),
        (
            "stack=a&template=A::b&capabilities=IAM",
            "one of CAPABILITY_IAM",
        ),
        (
            "action=delete&stack=a&template=A::b",
            "means nothing with action=delete",
        ),
        (
            "action=delete&stack=a&on-failure=panic",
            "one of fail, recover, replace",
        ),
        ("action=delete&stak=a", "`stak`"),
        ("action=execute&stack=a", "`change-set` is missing"),
        (
            "action=execute&stack=a&change-set=my-plan",
            "`my-plan`, which is not the ARN of a change set",
        ),
        (
            "action=execute&stack=a&change-set=arn:aws:cloudformation:us-east-1:1:stack/a/1",
            "not the ARN of a change set",
        ),
        (
            "stack=a&template=A::b&region=eu-west1",
            "`eu-west1`, which is not a Region's name",
        ),
        (
            "stack=a&template=A::b&stateful=AWS::Logs",
            "`AWS::Logs`, which is not a type of resources",
        ),
        (
            "stack=a&template=A::b&role=deployer",
            "`deployer`, which is not a role's ARN",
        ),
        (
            "action=execute&stack=a&change-set=arn:aws:cloudformation:us-east-1:1:changeSet/x/1&template=A::b",
            "`template` means nothing with action=execute",
        ),
        (
            "action=plan&stack=a&template=A::b&replace=deny",
            "`replace` means nothing with action=plan",
        ),
        (
            "action=delete&stack=a&nested=on",
            "`nested` means nothing with action=delete",
        ),
        (
            "stack=a&template=A::b&notify=arn:aws:sns:r:1:a,arn:aws:sns:r:1:b,arn:aws:sns:r:1:c,arn:aws:sns:r:1:d,arn:aws:sns:r:1:e,arn:aws:sns:r:1:f",
            "more than 5 topics",
        ),
        (
            "action=plan&stack=a&template=A::b&replace=allow",
            "`replace` means nothing with action=plan",
        ),
        (
            "stack=a&template=A::b&change-set=arn:aws:cloudformation:us-east-1:1:changeSet/x/1",
            "`change-set` means nothing with action=deploy",
        ),
        ("stack=a&template=A::b&force=on", "`force` means nothing"),
        ("action=delete&stack=a&ttl=2d", "`ttl` means nothing"),
        (
            "stack=a&template=A::b&ttl=10m",
            "a duration from 1h to 365d",
        ),
        ("action=delete&stack=a&branch=b", "`branch` means nothing"),
        ("stack=a&template=A::b&commit=1f8b12c", "Tag.commit"),
        ("action=delete&stack=a&cap=3", "`cap` means nothing"),
        ("action=sweep&cap=0", "from 1 to 50"),
        ("action=sweep&stack=a", "prefix="),
        ("action=sweep&dry-run=off", "needs an output artifact"),
        ("stack=a&stack-for=b&template=A::b", "exclude each other"),
        ("action=site&stack=a", "`site` is missing"),
        ("action=site&stack=a&site=A", "`bucket` is missing"),
        (
            "stack=a&template=A::b&site=A&bucket=B",
            "`site` means nothing",
        ),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn regions_and_types_as_aws_has_them_are_taken() {
    for text in [
        "region=eu-west-1",
        "region=us-gov-west-1",
        "region=us-iso-east-1",
        "region=eusc-de-east-1",
        "region=ap-southeast-7",
        "stateful=AWS::Logs::LogGroup,Custom::Ledger_2,Custom::A@b-c",
        "stateful=Alexa::ASK::Skill,MongoDB::Atlas::Cluster::MODULE",
    ] {
        read(&format!("stack=a&template=A::b&{text}")).expect(text);
    }
}
