//! `DeploymentPreference`: how CodeDeploy moves a function's alias to a new version.
//!
//! All functions of a template share one application and one role; each has a deployment group of its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::properties::Properties;
use super::role::Role;
use super::{Result, Source, Translation, get_att, object, reference, routes};

const APPLICATION: &str = "ServerlessDeploymentApplication";
const ROLE: &str = "CodeDeployServiceRole";
/// The configurations that CodeDeploy has under `CodeDeployDefault.Lambda…`.
const CONFIGURATIONS: [&str; 9] = [
    "Canary10Percent5Minutes",
    "Canary10Percent10Minutes",
    "Canary10Percent15Minutes",
    "Canary10Percent30Minutes",
    "Linear10PercentEvery1Minute",
    "Linear10PercentEvery2Minutes",
    "Linear10PercentEvery3Minutes",
    "Linear10PercentEvery10Minutes",
    "AllAtOnce",
];

/// The preference of one function.
pub(super) struct Preference {
    /// The deployment group's logical id.
    group: String,
    condition: Option<String>,
    role: Option<Value>,
    configuration: Value,
    alarms: Option<Value>,
    triggers: Option<Value>,
    before: Option<Value>,
    after: Option<Value>,
}

/// The preference that a function has, unless it is disabled.
pub(super) fn parse(
    translation: &Translation,
    source: &Source<'_>,
    properties: &mut Properties<'_>,
) -> Result<Option<Preference>> {
    let Some(value) = properties.take("DeploymentPreference") else {
        return Ok(None);
    };
    let mut given = Properties::new(source.id, "DeploymentPreference", Some(&value))?;
    let flag = |given: &mut Properties<'_>, name: &str, default: bool| {
        match given
        .take(name)
        .map(|value| translation.known(value))
    {
        None => Ok(default),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(given.fail(format!(
            "has an `{name}` that is not known before the stack is made: say true or false, or refer to a parameter"
        ))),
    }
    };
    if !flag(&mut given, "Enabled", true)? {
        return Ok(None);
    }
    let kind = given.need("Type")?;
    let passes_condition = flag(&mut given, "PassthroughCondition", false)?;
    let mut hooks = Properties::new(
        source.id,
        "DeploymentPreference.Hooks",
        given.take("Hooks").as_ref(),
    )?;
    let preference = Preference {
        group: format!("{}DeploymentGroup", source.id),
        condition: source
            .condition()
            .filter(|_| passes_condition)
            .map(str::to_owned),
        role: given.take("Role"),
        configuration: configuration(translation.known(kind), None),
        alarms: match given.take("Alarms") {
            None => None,
            Some(alarms) => alarm_configuration(&given, alarms)?,
        },
        triggers: given.take("TriggerConfigurations"),
        before: hooks.take("PreTraffic"),
        after: hooks.take("PostTraffic"),
    };
    hooks.finish(&["PreTraffic", "PostTraffic"], &[])?;
    let known = [
        "Alarms",
        "Enabled",
        "Hooks",
        "PassthroughCondition",
        "Role",
        "TriggerConfigurations",
        "Type",
    ];
    given.finish(&known, &[])?;
    Ok(Some(preference))
}

/// CodeDeploy's own configurations by their full names, wherever they stand in a value; others as they are.
fn configuration(value: Value, function: Option<&str>) -> Value {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| configuration(item, None))
            .collect(),
        Value::Object(map) if map.len() == 1 => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let value = configuration(value, Some(&key));
                    (key, value)
                })
                .collect(),
        ),
        Value::String(name) if CONFIGURATIONS.contains(&name.as_str()) => {
            let arguments = json!(["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": name}]);
            // One `Fn::Sub` does not stand in another.
            if function == Some("Fn::Sub") {
                arguments
            } else {
                json!({ "Fn::Sub": arguments })
            }
        }
        other => other,
    }
}

/// A list of alarms, or one of two by a condition.
fn alarm_configuration(given: &Properties<'_>, alarms: Value) -> Result<Option<Value>> {
    let is_none = |value: &Value| *value == super::no_value();
    match alarms {
        Value::Array(names) if names.is_empty() => Ok(None),
        Value::Array(names) => Ok(Some(if is_none(&names[0]) {
            json!({})
        } else {
            let names: Vec<Value> = names
                .into_iter()
                .map(|name| json!({"Name": name}))
                .collect();
            json!({"Enabled": true, "Alarms": names})
        })),
        none if is_none(&none) => Ok(None),
        Value::Object(mut map) => match map.remove("Fn::If") {
            Some(Value::Array(parts)) if parts.len() == 3 => {
                let branch = |part: &Value| match part {
                    Value::Array(names) if names.is_empty() => Ok(json!({})),
                    Value::Array(_) => {
                        Ok(alarm_configuration(given, part.clone())?.unwrap_or_else(|| json!({})))
                    }
                    _ => Err(given.fail("has `Alarms` that are no list in a branch of `Fn::If`")),
                };
                let branches = (branch(&parts[1])?, branch(&parts[2])?);
                Ok(Some(json!({"Fn::If": [parts[0], branches.0, branches.1]})))
            }
            _ => Err(given.fail("has `Alarms` that are no list")),
        },
        _ => Err(given.fail("has `Alarms` that are no list")),
    }
}

impl Preference {
    /// The attribute by which CloudFormation leaves the alias to CodeDeploy.
    pub(super) fn update_policy(&self) -> Value {
        let update = object([
            ("ApplicationName", Some(reference(APPLICATION))),
            ("DeploymentGroupName", Some(reference(&self.group))),
            ("BeforeAllowTrafficHook", self.before.clone()),
            ("AfterAllowTrafficHook", self.after.clone()),
        ]);
        json!({ "CodeDeployLambdaAliasUpdate": update })
    }

    fn deployment_group(self) -> Value {
        let role = self.role.unwrap_or_else(|| get_att(ROLE, "Arn"));
        let properties = object([
            ("AlarmConfiguration", self.alarms),
            ("ApplicationName", Some(reference(APPLICATION))),
            (
                "AutoRollbackConfiguration",
                Some(json!({
                    "Enabled": true,
                    "Events": [
                        "DEPLOYMENT_FAILURE",
                        "DEPLOYMENT_STOP_ON_ALARM",
                        "DEPLOYMENT_STOP_ON_REQUEST",
                    ],
                })),
            ),
            ("DeploymentConfigName", Some(self.configuration)),
            (
                "DeploymentStyle",
                Some(json!({
                    "DeploymentType": "BLUE_GREEN",
                    "DeploymentOption": "WITH_TRAFFIC_CONTROL",
                })),
            ),
            ("ServiceRoleArn", Some(role)),
            ("TriggerConfigurations", self.triggers),
        ]);
        object([
            ("Type", Some(json!("AWS::CodeDeploy::DeploymentGroup"))),
            ("Condition", self.condition.map(Value::String)),
            ("Properties", Some(properties)),
        ])
    }
}

/// Adds what all preferences share, and a deployment group for each.
pub(super) fn finish(translation: &mut Translation) -> Result<()> {
    let preferences = std::mem::take(&mut translation.preferences);
    if preferences.is_empty() {
        return Ok(());
    }
    let conditions: Option<BTreeSet<String>> = preferences
        .iter()
        .map(|preference| preference.condition.clone())
        .collect();
    let condition = conditions
        .map(|all| routes::any_of(translation, &all, "ServerlessCodeDeployCondition"))
        .transpose()?;
    let shared = |kind: &str, properties: Value| {
        object([
            ("Type", Some(json!(kind))),
            ("Condition", condition.clone().map(Value::String)),
            ("Properties", Some(properties)),
        ])
    };
    let application = json!({"ComputePlatform": "Lambda"});
    translation.add(
        APPLICATION,
        shared("AWS::CodeDeploy::Application", application),
    )?;
    if preferences
        .iter()
        .any(|preference| preference.role.is_none())
    {
        let policy = format!(
            "arn:{}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda",
            translation.partition
        );
        let role = json!({
            "AssumeRolePolicyDocument": Role::assumed_by("codedeploy.amazonaws.com"),
            "ManagedPolicyArns": [policy],
        });
        translation.add(ROLE, shared("AWS::IAM::Role", role))?;
    }
    for preference in preferences {
        let id = preference.group.clone();
        translation.add(&id, preference.deployment_group())?;
    }
    Ok(())
}
