//! What is a pipeline and what is not, and what the refusal says.

use std::time::Duration;

use serde_json::{Value, json};
use towpath_engine::definition::{ExecutionMode, PipelineType, Provider};

use crate::pipeline::{approval, lambda, parse, pipeline, source, stage, with};

fn two_stages(actions: &[Value]) -> Value {
    pipeline(&[stage("Source", &[source()]), stage("Work", actions)])
}

#[test]
fn a_definition_is_read_and_shown_again_with_its_defaults() {
    let mut document = two_stages(&[
        with(
            lambda("Build"),
            json!({
                "inputArtifacts": [{"name": "Source"}],
                "outputArtifacts": [{"name": "Package"}],
                "runOrder": 2,
                "roleArn": "arn:aws:iam::000000000000:role/builder",
                "region": "eu-central-1",
                "somethingNew": {"kept": true}
            }),
        ),
        with(approval("Gate"), json!({"timeoutInMinutes": 60})),
    ]);
    document["triggers"] = json!([{"providerType": "CodeStarSourceConnection"}]);
    let definition = parse(&document).expect("it is valid");

    assert_eq!(definition.pipeline_type, PipelineType::V2);
    assert_eq!(definition.mode, ExecutionMode::Superseded);
    let [build, gate] = definition.stages[1].actions.as_slice() else {
        panic!("two actions");
    };
    assert_eq!((build.provider, build.run_order), (Provider::Lambda, 2));
    assert_eq!((gate.provider, gate.run_order), (Provider::Approval, 1));
    assert_eq!(gate.timeout, Some(Duration::from_hours(1)));

    let shown = definition.document(7);
    assert_eq!(shown["version"], 7);
    assert_eq!(shown["executionMode"], "SUPERSEDED");
    let build = &shown["stages"][1]["actions"][0];
    assert_eq!(build["somethingNew"], json!({"kept": true}));
    assert_eq!(build["roleArn"], "arn:aws:iam::000000000000:role/builder");
    let gate = &shown["stages"][1]["actions"][1];
    assert_eq!(gate["runOrder"], 1);
    assert_eq!(gate["configuration"], json!({}));
    assert_eq!(gate["inputArtifacts"], json!([]));
    assert_eq!(
        parse(&shown).as_ref(),
        Ok(&parse(&shown).expect("it is valid"))
    );
    assert_eq!(
        definition.carried(),
        ["pipeline triggers (an execution is started by StartPipelineExecution)"]
    );
}

#[test]
fn what_does_not_hold_together_is_refused_in_words() {
    let build = |members: Value| with(lambda("Build"), members);
    for (case, document, expected) in [
        (
            "no stages",
            with(two_stages(&[]), json!({"stages": null})),
            "1 validation error detected: Value null at 'pipeline.stages' failed to satisfy constraint: Member must not be null",
        ),
        (
            "one stage",
            pipeline(&[stage("Source", &[source()])]),
            "Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline",
        ),
        (
            "an empty stage",
            two_stages(&[]),
            "a stage has at least one action (stage `Work`)",
        ),
        (
            "stage names",
            pipeline(&[
                stage("Source", &[source()]),
                stage("Source", &[lambda("Build")]),
            ]),
            "stage names must be unique within the pipeline: `Source` occurs more than once",
        ),
        (
            "action names",
            two_stages(&[lambda("Build"), lambda("Build")]),
            "action names must be unique within a stage: `Build` occurs more than once (stage `Work`)",
        ),
        (
            "work first",
            pipeline(&[
                stage("First", &[lambda("Build")]),
                stage("Work", &[lambda("Build")]),
            ]),
            "Pipeline should start with a stage that only contains source actions (stage `First`)",
        ),
        (
            "a late source",
            two_stages(&[source()]),
            "only the first stage may contain source actions (stage `Work`)",
        ),
        (
            "an unknown provider",
            two_stages(&[build(
                json!({"actionTypeId": {"category": "Invoke", "owner": "AWS", "provider": "Lamda", "version": "1"}}),
            )]),
            "ActionType (Category: 'Invoke', Provider: 'Lamda', Owner: 'AWS', Version: '1') in action 'Build' is not available in region 'EU_CENTRAL_1'; run here (owner AWS, version 1): Source/CodeStarSourceConnection, Source/S3, Invoke/Lambda, Approval/Manual (stage `Work`, action `Build`)",
        ),
        (
            "a provider that is not run here",
            two_stages(&[build(
                json!({"actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"}}),
            )]),
            "CodePipeline has such actions, but this engine does not run them",
        ),
        (
            "an unknown category",
            two_stages(&[build(
                json!({"actionTypeId": {"category": "Invoice", "owner": "AWS", "provider": "Lambda", "version": "1"}}),
            )]),
            "Value 'Invoice' at 'pipeline.stages.2.member.actions.1.member.actionTypeId.category' failed to satisfy constraint: Member must satisfy enum value set: [Source, Build, Deploy, Test, Invoke, Approval, Compute]",
        ),
        (
            "an artifact from nowhere",
            two_stages(&[build(json!({"inputArtifacts": [{"name": "Sorce"}]}))]),
            "Input Artifact Bundle Sorce in action Build is not declared as Output Artifact Bundle in any of the preceding actions (stage `Work`, action `Build`)",
        ),
        (
            "an artifact of the same run order",
            two_stages(&[
                build(json!({"inputArtifacts": [{"name": "Other"}]})),
                with(
                    lambda("Other"),
                    json!({"outputArtifacts": [{"name": "Other"}]}),
                ),
            ]),
            "Input Artifact Bundle Other in action Build is not declared",
        ),
        (
            "an artifact made twice",
            two_stages(&[build(json!({"outputArtifacts": [{"name": "Source"}]}))]),
            "Output Artifact Bundle name must be unique within the pipeline. Source has been used more than once.",
        ),
        (
            "an artifact taken twice",
            two_stages(&[build(
                json!({"inputArtifacts": [{"name": "Source"}, {"name": "Source"}]}),
            )]),
            "input artifact `Source` is listed more than once",
        ),
        (
            "too many outputs",
            two_stages(&[build(
                json!({"outputArtifacts": [{"name": "A"}, {"name": "B"}, {"name": "C"}, {"name": "D"}, {"name": "E"}, {"name": "F"}]}),
            )]),
            "Action Build declares 6 output artifacts which is more than the maximum count (5)",
        ),
        (
            "a source without output",
            pipeline(&[
                stage("Source", &[with(source(), json!({"outputArtifacts": []}))]),
                stage("Work", &[lambda("Build")]),
            ]),
            "Action Checkout declares 0 output artifacts which is less than the minimum count (1)",
        ),
        (
            "a namespace twice",
            two_stages(&[build(json!({"namespace": "Src"}))]),
            "Namespaces must be unique across the pipeline definition. The following occur more than once in the pipeline. StageName=[Work], ActionName=[Build], Namespace=[Src]",
        ),
        (
            "a namespace like an artifact",
            two_stages(&[build(json!({"namespace": "Source"}))]),
            "Namespace=[Source]; an artifact has this name",
        ),
        (
            "a reserved namespace",
            two_stages(&[build(json!({"namespace": "codepipeline"}))]),
            "the namespace `codepipeline` is reserved",
        ),
        (
            "no function",
            two_stages(&[build(json!({"configuration": {"UserParameters": "a=b"}}))]),
            "Action configuration for action 'Build' is missing required configuration 'FunctionName'",
        ),
        (
            "a misspelt key",
            two_stages(&[build(
                json!({"configuration": {"FunctionName": "f", "UserParameter": "a=b"}}),
            )]),
            "Action configuration for action 'Build' contains unknown configuration 'UserParameter'; known: FunctionName, UserParameters",
        ),
        (
            "parameters too long",
            two_stages(&[build(
                json!({"configuration": {"FunctionName": "f", "UserParameters": "é".repeat(1001)}}),
            )]),
            "Map value must satisfy constraint: [Member must have length less than or equal to 1000, Member must have length greater than or equal to 1] (`UserParameters` of action `Build` in stage `Work` has 1001 characters)",
        ),
        (
            "parameters empty",
            two_stages(&[build(
                json!({"configuration": {"FunctionName": "f", "UserParameters": ""}}),
            )]),
            "has 0 characters)",
        ),
        (
            "a run order out of range",
            two_stages(&[build(json!({"runOrder": 0}))]),
            "Value '0' at 'pipeline.stages.2.member.actions.1.member.runOrder' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (
            "a timeout for a function",
            two_stages(&[build(json!({"timeoutInMinutes": 10}))]),
            "timeoutInMinutes is for approval actions only",
        ),
        (
            "no role",
            with(two_stages(&[lambda("Build")]), json!({"roleArn": null})),
            "Value null at 'pipeline.roleArn'",
        ),
        (
            "a role that is none",
            with(
                two_stages(&[lambda("Build")]),
                json!({"roleArn": "builder"}),
            ),
            "Value 'builder' at 'pipeline.roleArn' failed to satisfy constraint: Member must satisfy regular expression pattern",
        ),
        (
            "no store",
            with(
                two_stages(&[lambda("Build")]),
                json!({"artifactStore": null}),
            ),
            "a pipeline has either artifactStore or artifactStores, exactly one of them",
        ),
        (
            "stores elsewhere",
            with(
                two_stages(&[lambda("Build")]),
                json!({"artifactStore": null, "artifactStores": {"us-east-2": {"type": "S3", "location": "there"}}}),
            ),
            "artifactStores has no store for the pipeline's own region, eu-central-1",
        ),
        (
            "an action in a region without store",
            two_stages(&[build(json!({"region": "us-east-2"}))]),
            "artifactStores has no store for the action's region, us-east-2",
        ),
        (
            "a mode of V2",
            with(
                two_stages(&[lambda("Build")]),
                json!({"pipelineType": "V1", "executionMode": "QUEUED"}),
            ),
            "an executionMode other than SUPERSEDED: this needs pipelineType V2",
        ),
        (
            "a clone reference",
            pipeline(&[
                stage(
                    "Source",
                    &[with(
                        source(),
                        json!({"configuration": {"ConnectionArn": "c", "FullRepositoryId": "r", "BranchName": "b", "OutputArtifactFormat": "CODEBUILD_CLONE_REF"}}),
                    )],
                ),
                stage("Work", &[lambda("Build")]),
            ]),
            "OutputArtifactFormat must be CODE_ZIP",
        ),
        (
            "two errors at once",
            with(
                two_stages(&[build(json!({"namespace": "no spaces"}))]),
                json!({"name": "no spaces"}),
            ),
            "2 validation errors detected: ",
        ),
        ("not an object", json!([]), "Member must be a structure"),
    ] {
        match parse(&document) {
            Ok(_) => panic!("{case}: accepted"),
            Err(error) => {
                let error = error.to_string();
                assert!(
                    error.contains(expected),
                    "{case}:\n  {error}\nhas no\n  {expected}"
                );
            }
        }
    }
}

#[test]
fn references_to_variables_are_checked_with_the_definition() {
    let parameters =
        |value: &str| json!({"configuration": {"FunctionName": "f", "UserParameters": value}});
    for (value, expected) in [
        ("commit=#{Src.CommitId}", None),
        ("id=#{codepipeline.PipelineExecutionId}", None),
        ("to=#{variables.TARGET}", None),
        ("#{Earlier.x}", None),
        ("#{Later.x}", Some("comes too early")),
        ("#{Beside.x}", Some("comes too early")),
        ("#{Own.x}", Some("comes too early")),
        ("#{Nobody.x}", Some("no action declares namespace `Nobody`")),
        (
            "#{variables.OTHER}",
            Some("the pipeline declares no variable of that name"),
        ),
        ("#{codepipeline.Name}", Some("has PipelineExecutionId only")),
        (
            "#{Src}",
            Some("a namespace and a key separated by a period"),
        ),
    ] {
        let mut document = pipeline(&[
            stage("Source", &[source()]),
            stage(
                "Work",
                &[
                    with(
                        lambda("After"),
                        json!({"runOrder": 3, "namespace": "Later"}),
                    ),
                    with(
                        with(lambda("Build"), parameters(value)),
                        json!({"runOrder": 2, "namespace": "Own"}),
                    ),
                    with(
                        lambda("Beside"),
                        json!({"runOrder": 2, "namespace": "Beside"}),
                    ),
                    with(lambda("Before"), json!({"namespace": "Earlier"})),
                ],
            ),
        ]);
        document["variables"] = json!([{"name": "TARGET", "defaultValue": "x"}]);
        match (parse(&document), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(text)) => {
                let error = error.to_string();
                assert!(error.contains(text), "{value}: {error}");
                assert!(
                    error.contains("in configuration `UserParameters`"),
                    "{value}: {error}"
                );
                assert!(
                    error.contains("(stage `Work`, action `Build`)"),
                    "{value}: {error}"
                );
            }
            (result, _) => panic!("{value}: {result:?}"),
        }
    }
}

#[test]
fn a_source_action_cannot_use_pipeline_variables() {
    let mut configured = source();
    configured["configuration"]["BranchName"] = json!("#{variables.BRANCH}");
    let mut document = pipeline(&[
        stage("Source", &[configured]),
        stage("Work", &[lambda("Build")]),
    ]);
    document["variables"] = json!([{"name": "BRANCH", "defaultValue": "main"}]);
    let error = parse(&document).expect_err("it is refused").to_string();
    assert!(
        error.contains("pipeline variables cannot be used in source actions"),
        "{error}"
    );
}
