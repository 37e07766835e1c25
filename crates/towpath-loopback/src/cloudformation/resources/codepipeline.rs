//! AWS::CodePipeline::Pipeline: the template's structure, as CodePipeline's API spells it.

use serde_json::{Map, Value, json};
use towpath_template::did_you_mean;

use super::names::{self, Rules};
use super::properties::{camel_case, pick, tag_list, whole_numbers};
use super::{Made, Scene, Trouble, service_call, service_removal};
use crate::cloudformation::stack::Resource;
use crate::input;

/// What makes up `PipelineDeclaration`, under the template's own names.
const STRUCTURE: &[&str] = &[
    "RoleArn",
    "ArtifactStore",
    "Stages",
    "ExecutionMode",
    "PipelineType",
    "Variables",
    "Triggers",
];

/// What each property type of the resource may have, and where below a pipeline it stands: `[]`
/// goes through a list. `Configuration` has the action's own keys and is in none of them.
const PROPERTY_TYPES: &[(&[&str], &[&str])] = &[
    (
        &[],
        &[
            "ArtifactStore",
            "ArtifactStores",
            "DisableInboundStageTransitions",
            "ExecutionMode",
            "Name",
            "PipelineType",
            "RestartExecutionOnUpdate",
            "RoleArn",
            "Stages",
            "Tags",
            "Triggers",
            "Variables",
        ],
    ),
    (
        &["Stages", "[]"],
        &[
            "Actions",
            "BeforeEntry",
            "Blockers",
            "Name",
            "OnFailure",
            "OnSuccess",
        ],
    ),
    (
        &["Stages", "[]", "Actions", "[]"],
        &[
            "ActionTypeId",
            "Commands",
            "Configuration",
            "EnvironmentVariables",
            "InputArtifacts",
            "Name",
            "Namespace",
            "OutputArtifacts",
            "OutputVariables",
            "Region",
            "RoleArn",
            "RunOrder",
            "TimeoutInMinutes",
        ],
    ),
    (
        &["Stages", "[]", "Actions", "[]", "ActionTypeId"],
        &["Category", "Owner", "Provider", "Version"],
    ),
    (
        &["Stages", "[]", "Actions", "[]", "InputArtifacts", "[]"],
        &["Name"],
    ),
    (
        &["Stages", "[]", "Actions", "[]", "OutputArtifacts", "[]"],
        &["Files", "Name"],
    ),
    (&["ArtifactStore"], STORE),
    (&["ArtifactStore", "EncryptionKey"], KEY),
    (&["ArtifactStores", "[]"], &["ArtifactStore", "Region"]),
    (&["ArtifactStores", "[]", "ArtifactStore"], STORE),
    (
        &["ArtifactStores", "[]", "ArtifactStore", "EncryptionKey"],
        KEY,
    ),
    (
        &["Variables", "[]"],
        &["DefaultValue", "Description", "Name"],
    ),
    (
        &["DisableInboundStageTransitions", "[]"],
        &["Reason", "StageName"],
    ),
];

const STORE: &[&str] = &["EncryptionKey", "Location", "Type"];
const KEY: &[&str] = &["Id", "Type"];

pub(super) async fn create(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    refuse_unknown(properties)?;
    let name = names::physical(scene, properties, "Name", Rules::PIPELINE);
    let arn = scene.world.arn("codepipeline", &name);
    scene.authorize("CodePipeline", "codepipeline:CreatePipeline", &arn)?;
    if let Some(role) = input::text(properties, "RoleArn") {
        scene.pass_role("CodePipeline", &role, "codepipeline.amazonaws.com")?;
    }
    let answer = service_call!(
        scene,
        codepipeline,
        "CodePipeline",
        "CreatePipeline",
        json!({
            "pipeline": declaration(properties, &name),
            "tags": camel_case(&tag_list(&scene.tags, properties), &[]),
        })
    )?;
    disable_transitions(scene, properties, &name).await?;
    Ok(pipeline(name, &answer))
}

pub(super) async fn update(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    refuse_unknown(properties)?;
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = scene.world.arn("codepipeline", &name);
    scene.authorize("CodePipeline", "codepipeline:UpdatePipeline", &arn)?;
    let answer = service_call!(
        scene,
        codepipeline,
        "CodePipeline",
        "UpdatePipeline",
        json!({ "pipeline": declaration(properties, &name) })
    )?;
    disable_transitions(scene, properties, &name).await?;
    enable_transitions(scene, &resource.properties, properties, &name).await?;
    Ok(pipeline(name, &answer))
}

pub(super) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let arn = scene.world.arn("codepipeline", &name);
    scene.authorize("CodePipeline", "codepipeline:DeletePipeline", &arn)?;
    service_removal!(
        scene,
        codepipeline,
        "CodePipeline",
        "DeletePipeline",
        json!({ "name": name })
    )
}

/// Refuses what CloudFormation's schema of the resource does not have, in its words.
fn refuse_unknown(properties: &Value) -> Result<(), Trouble> {
    for (place, known) in PROPERTY_TYPES {
        let mut found = Vec::new();
        at(properties, place, &mut found);
        let unknown = found
            .into_iter()
            .filter_map(Value::as_object)
            .flat_map(Map::keys)
            .find(|name| !known.contains(&name.as_str()));
        if let Some(unknown) = unknown {
            let path: Vec<&str> = place.iter().copied().filter(|step| *step != "[]").collect();
            let path = if path.is_empty() {
                String::new()
            } else {
                format!(" in {}", path.join("."))
            };
            let near = did_you_mean(unknown, known.iter().copied());
            return Err(Trouble::told(format!(
                "Encountered unsupported property {unknown}{path}{near}"
            )));
        }
    }
    Ok(())
}

/// What stands at a place of [`PROPERTY_TYPES`].
fn at<'a>(value: &'a Value, place: &[&str], found: &mut Vec<&'a Value>) {
    match place.split_first() {
        None => found.push(value),
        Some((&"[]", rest)) => {
            for item in value.as_array().into_iter().flatten() {
                at(item, rest, found);
            }
        }
        Some((name, rest)) => {
            if let Some(value) = value.get(*name) {
                at(value, rest, found);
            }
        }
    }
}

fn pipeline(name: String, answer: &Value) -> Made {
    let version = answer
        .get("pipeline")
        .and_then(|pipeline| input::integer(pipeline, "version"))
        .unwrap_or(1);
    Made::new(name).attribute("Version", version.to_string())
}

async fn disable_transitions(scene: &Scene, properties: &Value, name: &str) -> Result<(), Trouble> {
    for transition in input::list(properties, "DisableInboundStageTransitions") {
        service_call!(
            scene,
            codepipeline,
            "CodePipeline",
            "DisableStageTransition",
            json!({
                "pipelineName": name,
                "stageName": input::text(transition, "StageName"),
                "transitionType": "Inbound",
                "reason": input::text(transition, "Reason"),
            })
        )?;
    }
    Ok(())
}

/// Enables what the template does not disable any more.
async fn enable_transitions(
    scene: &Scene,
    before: &Value,
    properties: &Value,
    name: &str,
) -> Result<(), Trouble> {
    for stage in enabled_again(before, properties) {
        service_call!(
            scene,
            codepipeline,
            "CodePipeline",
            "EnableStageTransition",
            json!({
                "pipelineName": name,
                "stageName": stage,
                "transitionType": "Inbound",
            })
        )?;
    }
    Ok(())
}

/// The stages that were disabled, are not to be any more, and still exist.
fn enabled_again(before: &Value, properties: &Value) -> Vec<String> {
    let names = |properties: &Value, list: &str, member: &str| -> Vec<String> {
        input::list(properties, list)
            .iter()
            .filter_map(|entry| input::text(entry, member))
            .collect()
    };
    let disabled = |properties| names(properties, "DisableInboundStageTransitions", "StageName");
    let (still, exist) = (disabled(properties), names(properties, "Stages", "Name"));
    disabled(before)
        .into_iter()
        .filter(|stage| !still.contains(stage) && exist.contains(stage))
        .collect()
}

/// The pipeline's structure. Below `Configuration` keys are the actions' own and stay as they are.
fn declaration(properties: &Value, name: &str) -> Value {
    let mut structure = match camel_case(
        &Value::Object(pick(properties, STRUCTURE)),
        &["Configuration"],
    ) {
        Value::Object(structure) => structure,
        _ => Map::new(),
    };
    structure.insert("name".into(), json!(name));
    let stores: Map<String, Value> = input::list(properties, "ArtifactStores")
        .iter()
        .filter_map(|entry| {
            Some((
                input::text(entry, "Region")?,
                camel_case(entry.get("ArtifactStore")?, &[]),
            ))
        })
        .collect();
    if !stores.is_empty() {
        structure.insert("artifactStores".into(), Value::Object(stores));
    }
    let stages = structure.get_mut("stages").and_then(Value::as_array_mut);
    for stage in stages.into_iter().flatten() {
        let actions = stage.get_mut("actions").and_then(Value::as_array_mut);
        for action in actions.into_iter().flatten() {
            let Some(action) = action.as_object_mut() else {
                continue;
            };
            whole_numbers(action, &["runOrder", "timeoutInMinutes"]);
            if let Some(Value::Object(id)) = action.get_mut("actionTypeId") {
                let version = input::text(&Value::Object(id.clone()), "version");
                id.insert("version".into(), json!(version));
            }
        }
    }
    Value::Object(structure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_that_is_not_listed_any_more_is_enabled() {
        let disabling = |stages: &[&str]| {
            let list: Vec<Value> = stages
                .iter()
                .map(|stage| json!({"StageName": stage, "Reason": "x"}))
                .collect();
            json!({
                "Stages": [{"Name": "Source"}, {"Name": "Commit"}, {"Name": "Production"}],
                "DisableInboundStageTransitions": list,
            })
        };
        for (before, after, expected) in [
            (&[][..], &["Commit"][..], &[][..]),
            (&["Commit"], &["Commit"], &[]),
            (&["Commit", "Production"], &["Commit"], &["Production"]),
            (&["Commit"], &[], &["Commit"]),
            (&["Gone"], &[], &[]),
        ] {
            assert_eq!(
                enabled_again(&disabling(before), &disabling(after)),
                expected,
                "{before:?} to {after:?}"
            );
        }
    }

    #[test]
    fn a_property_that_the_resource_does_not_have_is_refused_with_the_one_that_was_meant() {
        let whole = json!({
            "RoleArn": "r",
            "ArtifactStore": {"Type": "S3", "Location": "b", "EncryptionKey": {"Id": "k", "Type": "KMS"}},
            "Stages": [
                {"Name": "A", "Actions": [{"Name": "a", "RunOrder": 1, "Namespace": "n", "Configuration": {"Any": "thing"},
                    "ActionTypeId": {"Category": "Invoke", "Owner": "AWS", "Provider": "Lambda", "Version": "1"}}]},
            ],
        });
        assert_eq!(refuse_unknown(&whole), Ok(()));
        for (place, unknown, expected) in [
            ("", "Bogus", "Bogus"),
            ("", "Stagse", "Stagse; did you mean `Stages`?"),
            (
                "/Stages/0",
                "Action",
                "Action in Stages; did you mean `Actions`?",
            ),
            (
                "/Stages/0/Actions/0",
                "Namespce",
                "Namespce in Stages.Actions; did you mean `Namespace`?",
            ),
            (
                "/Stages/0/Actions/0",
                "RunOder",
                "RunOder in Stages.Actions; did you mean `RunOrder`?",
            ),
            (
                "/Stages/0/Actions/0/ActionTypeId",
                "Ownr",
                "Ownr in Stages.Actions.ActionTypeId; did you mean `Owner`?",
            ),
            ("/ArtifactStore", "Bucket", "Bucket in ArtifactStore"),
        ] {
            let mut properties = whole.clone();
            properties.pointer_mut(place).unwrap()[unknown] = json!(1);
            assert_eq!(
                refuse_unknown(&properties).map_err(|trouble| trouble.reason),
                Err(format!("Encountered unsupported property {expected}")),
                "{place}/{unknown}"
            );
        }
    }

    #[test]
    fn a_pipeline_becomes_what_the_api_calls_it() {
        let properties = json!({
            "Name": "ignored: the physical name counts",
            "RoleArn": "arn:role",
            "PipelineType": "V2",
            "ExecutionMode": "SUPERSEDED",
            "RestartExecutionOnUpdate": true,
            "ArtifactStore": {"Type": "S3", "Location": "bucket", "EncryptionKey": {"Id": "k", "Type": "KMS"}},
            "Variables": [{"Name": "Branch", "DefaultValue": "main"}],
            "Stages": [{"Name": "Commit", "Actions": [{
                "Name": "Test",
                "ActionTypeId": {"Category": "Invoke", "Owner": "AWS", "Provider": "Lambda", "Version": 1},
                "Configuration": {"FunctionName": "f", "UserParameters": "task=test"},
                "InputArtifacts": [{"Name": "Source"}],
                "RunOrder": "2",
                "Namespace": "Ns",
            }]}],
        });
        assert_eq!(
            declaration(&properties, "p"),
            json!({
                "roleArn": "arn:role",
                "artifactStore": {"type": "S3", "location": "bucket", "encryptionKey": {"id": "k", "type": "KMS"}},
                "stages": [{"name": "Commit", "actions": [{
                    "name": "Test",
                    "actionTypeId": {"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"},
                    "configuration": {"FunctionName": "f", "UserParameters": "task=test"},
                    "inputArtifacts": [{"name": "Source"}],
                    "runOrder": 2,
                    "namespace": "Ns",
                }]}],
                "executionMode": "SUPERSEDED",
                "pipelineType": "V2",
                "variables": [{"name": "Branch", "defaultValue": "main"}],
                "name": "p",
            })
        );
    }
}
