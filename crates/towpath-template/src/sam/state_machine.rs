//! `AWS::Serverless::StateMachine`: the state machine, its role, its alias and what starts it.

use serde_json::{Map, Value, json};

use super::events::{Callee, Timed};
use super::properties::Properties;
use super::role::Role;
use super::{
    Result, STATE_MACHINE, Source, Translation, get_att, kind, object, reference, tag_list,
};
use crate::suggest::did_you_mean;

const PROPERTIES: &[&str] = &[
    "AutoPublishAlias",
    "Definition",
    "DefinitionSubstitutions",
    "DefinitionUri",
    "DeploymentPreference",
    "Events",
    "Logging",
    "Name",
    "PermissionsBoundary",
    "Policies",
    "Role",
    "RolePath",
    "Tags",
    "Tracing",
    "Type",
    "UseAliasAsEventTarget",
];
const EVENTS: [&str; 4] = [
    "CloudWatchEvent",
    "EventBridgeRule",
    "Schedule",
    "ScheduleV2",
];

pub(super) fn expand(translation: &mut Translation, source: &Source<'_>) -> Result<()> {
    let mut given = Properties::new(source.id, STATE_MACHINE, source.resource.get("Properties"))?;
    let mut machine = Map::new();
    definition(translation, &mut given, &mut machine)?;
    for (property, name) in [
        ("Logging", "LoggingConfiguration"),
        ("Name", "StateMachineName"),
        ("Tracing", "TracingConfiguration"),
        ("Type", "StateMachineType"),
    ] {
        if let Some(value) = given.take(property) {
            machine.insert(name.to_owned(), value);
        }
    }
    let own_tags = given.mapping("Tags")?;
    let mut tags = vec![json!({"Key": "stateMachine:createdBy", "Value": "SAM"})];
    tags.extend(tag_list(&own_tags));
    machine.insert("Tags".to_owned(), tags.clone().into());

    let properties = source.resource.get("Properties").unwrap_or(&Value::Null);
    if properties.get("Role").is_some() && properties.get("Policies").is_some() {
        return Err(given.fail("has both `Role` and `Policies`: keep one"));
    }
    let boundary = properties.get("PermissionsBoundary").cloned();
    let assume = Role::assumed_by("states.amazonaws.com");
    let mut role = Role::new(translation, source, &mut given, tags, assume)?;
    role.add_policies(&mut given)?;
    let traced = machine
        .get("TracingConfiguration")
        .and_then(|tracing| tracing.get("Enabled"));
    if traced == Some(&json!(true)) {
        role.trace();
    }
    machine.insert("RoleArn".to_owned(), role.arn());
    translation.add(
        source.id,
        source.instead("AWS::StepFunctions::StateMachine", machine.into()),
    )?;
    role.finish(translation, source)?;

    let alias = publish(translation, source, &mut given)?;
    let of_alias = given.take("UseAliasAsEventTarget");
    let target = match (of_alias.is_some_and(|of_alias| of_alias == true), alias) {
        (true, Some(alias)) => alias,
        (true, None) => {
            return Err(given.fail("has `UseAliasAsEventTarget`, which needs `AutoPublishAlias`"));
        }
        (false, _) => source.id.to_owned(),
    };
    for (name, event) in &given.mapping("Events")? {
        let properties = Properties::new(
            source.id,
            &format!("event `{name}`"),
            event.get("Properties"),
        )?;
        let event_kind = kind(event);
        let timed = Timed {
            source,
            callee: Callee::StateMachine {
                id: &target,
                boundary: boundary.clone(),
            },
            id: format!("{}{name}", source.id),
        };
        match event_kind {
            "Schedule" => timed.rule(translation, properties, true)?,
            "ScheduleV2" => timed.schedule(translation, properties)?,
            "EventBridgeRule" | "CloudWatchEvent" => timed.rule(translation, properties, false)?,
            "Api" => {
                return Err(properties.fail(
                    "has the type Api, which the transform on this machine does not cover for a state machine: write \
                     the method with its integration into the API's `DefinitionBody`",
                ));
            }
            other => {
                return Err(properties.fail(format!(
                    "has the type `{other}`, which a state machine does not have{}",
                    did_you_mean(other, EVENTS)
                )));
            }
        }
    }
    given.finish(PROPERTIES, &["PropagateTags"])
}

/// The definition, in S3 or as a text in which what only CloudFormation can fill in has become substitutions.
fn definition(
    translation: &Translation,
    given: &mut Properties<'_>,
    machine: &mut Map<String, Value>,
) -> Result<()> {
    let mut substitutions = given.mapping("DefinitionSubstitutions")?;
    match (given.take("Definition"), given.take("DefinitionUri")) {
        (Some(_), Some(_)) => {
            return Err(given.fail("has both `Definition` and `DefinitionUri`: keep one"));
        }
        (None, None) => return Err(given.fail("has neither `Definition` nor `DefinitionUri`")),
        (None, Some(uri)) => {
            let location = given.location("DefinitionUri", uri, translation)?.body();
            machine.insert("DefinitionS3Location".to_owned(), location);
        }
        (Some(mut definition), None) => {
            definition.sort_all_objects();
            let mut made = Vec::new();
            substitute(&mut definition, &mut made);
            for (index, value) in made.into_iter().enumerate() {
                substitutions.insert(format!("definition_substitution_{}", index + 1), value);
            }
            let text = indented(&definition);
            let lines: Vec<&str> = text.split('\n').collect();
            machine.insert(
                "DefinitionString".to_owned(),
                json!({"Fn::Join": ["\n", lines]}),
            );
        }
    }
    if !substitutions.is_empty() {
        machine.insert("DefinitionSubstitutions".to_owned(), substitutions.into());
    }
    Ok(())
}

/// Takes functions and dynamic references out of a definition whose keys are sorted.
fn substitute(value: &mut Value, made: &mut Vec<Value>) {
    let is_dynamic = |value: &Value| match value {
        Value::Object(map) => super::globals::is_function(map),
        Value::String(text) => text.starts_with("{{resolve:") && text.ends_with("}}"),
        _ => false,
    };
    let parts: Vec<&mut Value> = match value {
        Value::Object(map) => map.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => return,
    };
    for part in parts {
        if is_dynamic(part) {
            let name = format!("${{definition_substitution_{}}}", made.len() + 1);
            made.push(std::mem::replace(part, Value::String(name)));
        } else {
            substitute(part, made);
        }
    }
}

/// JSON in lines of ASCII, indented by four.
fn indented(value: &Value) -> String {
    fn write(value: &Value, indent: usize, out: &mut String) {
        let line = |out: &mut String, indent: usize| {
            out.push('\n');
            out.push_str(&" ".repeat(4 * indent));
        };
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (index, (key, value)) in map.iter().enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    line(out, indent + 1);
                    out.push_str(&super::canonical(&json!(key)));
                    out.push_str(": ");
                    write(value, indent + 1, out);
                }
                line(out, indent);
                out.push('}');
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    line(out, indent + 1);
                    write(item, indent + 1, out);
                }
                line(out, indent);
                out.push(']');
            }
            scalar => out.push_str(&super::canonical(scalar)),
        }
    }
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

/// The version and the alias on it; the result is the alias's logical id.
fn publish(
    translation: &mut Translation,
    source: &Source<'_>,
    given: &mut Properties<'_>,
) -> Result<Option<String>> {
    let preference = given.take("DeploymentPreference");
    let Some(alias) = given.take("AutoPublishAlias") else {
        return match preference {
            Some(_) => {
                Err(given.fail("has a `DeploymentPreference`, which needs `AutoPublishAlias`"))
            }
            None => Ok(None),
        };
    };
    let Value::String(alias) = translation.known(alias) else {
        return Err(given.fail(
            "has an `AutoPublishAlias` that is no plain text: it is part of a logical id, so it may at most be a \
             `Ref` to a parameter",
        ));
    };
    let version = format!("{}Version", source.id);
    let properties = json!({
        "StateMachineArn": reference(source.id),
        "StateMachineRevisionId": get_att(source.id, "StateMachineRevisionId"),
    });
    let mut resource = source.beside("AWS::StepFunctions::StateMachineVersion", properties);
    // A gradual deployment needs the version before.
    for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
        if resource.get(policy).is_none() {
            resource[policy] = json!("Retain");
        }
    }
    translation.add(&version, resource)?;
    let mut preference = match preference {
        None => Map::from_iter([("Type".to_owned(), json!("ALL_AT_ONCE"))]),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(given.fail("has a `DeploymentPreference` that is no mapping")),
    };
    preference.insert("StateMachineVersionArn".to_owned(), reference(&version));
    let id = format!("{}Alias{alias}", source.id);
    let properties = object([
        ("Name", Some(json!(alias))),
        ("DeploymentPreference", Some(preference.into())),
    ]);
    translation.add(
        &id,
        source.beside("AWS::StepFunctions::StateMachineAlias", properties),
    )?;
    Ok(Some(id))
}
