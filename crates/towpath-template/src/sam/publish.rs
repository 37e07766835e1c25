//! What publishes a function: version, alias, URL, and the configuration of asynchronous calls.

use serde_json::{Map, Value, json};

use super::deploy::Preference;
use super::function::Target;
use super::properties::Properties;
use super::role::Role;
use super::{Result, Source, Translation, canonical, get_att, object, reference, short_hash};

/// The name in `AutoPublishAlias`.
pub(super) fn alias(
    translation: &Translation,
    source: &Source<'_>,
    value: &Value,
) -> Result<String> {
    match translation.known(value.clone()) {
        Value::String(name) if !name.is_empty() => Ok(name),
        _ => Err(source.fail(
            "has an `AutoPublishAlias` that is no plain text: it is part of a logical id, so it may at most be a `Ref` \
             to a parameter",
        )),
    }
}

/// Logical ids are letters and digits; the other two characters of an alias have letters of their own.
pub(super) fn alias_id(source: &Source<'_>, alias: &str) -> String {
    format!(
        "{}Alias{}",
        source.id,
        alias.replace('-', "D").replace('_', "U")
    )
}

pub(super) fn version_and_alias(
    translation: &mut Translation,
    source: &Source<'_>,
    given: &mut Properties<'_>,
    function: &mut Map<String, Value>,
    target: &Target,
    role: &Role,
    preference: Option<Preference>,
) -> Result<()> {
    let alias = alias(translation, source, &given.need("AutoPublishAlias")?)?;
    let all = given
        .take("AutoPublishAliasAllProperties")
        .is_some_and(|all| all == true);
    let suffix = match given
        .take("AutoPublishCodeSha256")
        .map(|hash| translation.known(hash))
    {
        Some(Value::String(hash)) => {
            function
                .entry("Description")
                .or_insert_with(|| hash.clone().into());
            hash.chars().take(10).collect()
        }
        Some(_) => return Err(given.fail("has an `AutoPublishCodeSha256` that is no text")),
        None => short_hash(&canonical(&published(function, all, role.is_own()))),
    };
    let version = format!("{}Version{suffix}", source.id);
    let properties = object([
        ("Description", given.take("VersionDescription")),
        ("FunctionName", Some(reference(source.id))),
    ]);
    let mut resource = source.beside("AWS::Lambda::Version", properties);
    // An older version stays callable while the alias moves on, unless the function says otherwise.
    if resource.get("DeletionPolicy").is_none() {
        resource["DeletionPolicy"] = json!("Retain");
    }
    translation.add(&version, resource)?;
    let properties = object([
        ("Name", Some(json!(alias))),
        ("FunctionName", Some(reference(source.id))),
        ("FunctionVersion", Some(get_att(&version, "Version"))),
        (
            "ProvisionedConcurrencyConfig",
            given.take("ProvisionedConcurrencyConfig"),
        ),
    ]);
    let mut resource = source.beside("AWS::Lambda::Alias", properties);
    if let Some(preference) = preference {
        resource["UpdatePolicy"] = preference.update_policy();
        translation.preferences.push(preference);
    }
    translation.add(&target.id, resource)?;
    translation
        .renamed
        .insert(format!("{}.Version", source.id), version);
    translation
        .renamed
        .insert(format!("{}.Alias", source.id), target.id.clone());
    Ok(())
}

/// What must change for a new version to be published.
fn published(function: &Map<String, Value>, all: bool, own_role: bool) -> Value {
    if all {
        let mut function = function.clone();
        if own_role {
            function.shift_remove("Role");
        }
        return Value::Object(function);
    }
    let mut hashed = function
        .get("Code")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(memory) = function.get("MemorySize") {
        hashed.insert("MemorySize".to_owned(), memory.clone());
    }
    if let Some(environment) = function.get("Environment").and_then(Value::as_object) {
        hashed.extend(environment.clone());
    }
    if let Some(snap_start) = function
        .get("SnapStart")
        .filter(|snap| snap.get("ApplyOn") != Some(&json!("None")))
    {
        hashed.insert("SnapStart".to_owned(), snap_start.clone());
    }
    Value::Object(hashed)
}

/// A function URL, with the two permissions that make it public if it is to be.
pub(super) fn url(
    translation: &mut Translation,
    source: &Source<'_>,
    target: &Target,
    url: Value,
) -> Result<()> {
    let Value::Object(mut url) = url else {
        return Err(source.fail("has a `FunctionUrlConfig` that is no mapping"));
    };
    let Some(auth) = url
        .get("AuthType")
        .and_then(Value::as_str)
        .map(str::to_owned)
    else {
        return Err(
            source.fail("has a `FunctionUrlConfig` without an `AuthType` of NONE or AWS_IAM")
        );
    };
    url.insert("TargetFunctionArn".to_owned(), target.name());
    translation.add(
        &format!("{}Url", source.id),
        source.beside("AWS::Lambda::Url", Value::Object(url)),
    )?;
    if auth != "NONE" {
        return Ok(());
    }
    let permissions = [
        (
            "UrlPublicPermissions",
            "lambda:InvokeFunctionUrl",
            ("FunctionUrlAuthType", json!("NONE")),
        ),
        (
            "URLInvokeAllowPublicAccess",
            "lambda:InvokeFunction",
            ("InvokedViaFunctionUrl", json!(true)),
        ),
    ];
    for (suffix, action, (key, value)) in permissions {
        let properties =
            json!({"Action": action, "FunctionName": target.name(), "Principal": "*", key: value});
        let id = format!("{}{suffix}", source.id);
        translation.add(&id, source.beside("AWS::Lambda::Permission", properties))?;
    }
    Ok(())
}

/// Retries and destinations of asynchronous calls.
pub(super) fn event_invoke(
    translation: &mut Translation,
    source: &Source<'_>,
    target: &Target,
    role: &mut Role,
    configuration: &Value,
) -> Result<()> {
    let subject = "EventInvokeConfig";
    let mut given = Properties::new(source.id, subject, Some(configuration))?;
    let id = format!("{}EventInvokeConfig", source.id);
    let mut destinations = Map::new();
    for (outcome, destination) in given.mapping("DestinationConfig")? {
        let arn = destination_arn(
            translation,
            source,
            role,
            &format!("{id}{outcome}"),
            &destination,
        )?;
        destinations.insert(outcome, json!({"Destination": arn}));
    }
    let mut made = Map::from_iter([
        ("DestinationConfig".to_owned(), Value::Object(destinations)),
        ("FunctionName".to_owned(), reference(source.id)),
    ]);
    let known = ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"];
    given.pass(&known, &mut made);
    given.finish(&[&known[..], &["DestinationConfig"]].concat(), &[])?;
    let qualifier = if target.is_alias {
        let properties = source
            .resource
            .get("Properties")
            .and_then(|properties| properties.get("AutoPublishAlias"));
        json!(alias(
            translation,
            source,
            properties.unwrap_or(&Value::Null)
        )?)
    } else {
        json!("$LATEST")
    };
    made.insert("Qualifier".to_owned(), qualifier);
    let inherited = [
        "Condition",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "UpdatePolicy",
        "Metadata",
    ];
    let mut resource = source.with(
        &inherited,
        "AWS::Lambda::EventInvokeConfig",
        Value::Object(made),
    );
    if target.is_alias {
        resource["DependsOn"] = json!([target.id]);
    }
    translation.add(&id, resource)
}

/// The ARN of a destination, which is made if none is named, and the policy that lets the function send to it.
fn destination_arn(
    translation: &mut Translation,
    source: &Source<'_>,
    role: &mut Role,
    id: &str,
    destination: &Value,
) -> Result<Value> {
    let kind = destination
        .get("Type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let action = match kind {
        "SQS" => "sqs:SendMessage",
        "SNS" => "sns:publish",
        "Lambda" => "lambda:InvokeFunction",
        "EventBridge" => "events:PutEvents",
        _ => {
            return Err(source
                .fail("has a destination whose `Type` is not SQS, SNS, Lambda or EventBridge"));
        }
    };
    let arn = match (destination.get("Destination"), kind) {
        (Some(arn), _) => arn.clone(),
        (None, "SQS") => {
            let queue = format!("{id}Queue");
            translation.add(&queue, source.beside("AWS::SQS::Queue", json!({})))?;
            get_att(&queue, "Arn")
        }
        (None, "SNS") => {
            let topic = format!("{id}Topic");
            translation.add(&topic, source.beside("AWS::SNS::Topic", json!({})))?;
            reference(&topic)
        }
        (None, _) => {
            return Err(source.fail(format!(
                "has a destination of the type {kind} without a `Destination`"
            )));
        }
    };
    let statement = json!({"Action": action, "Effect": "Allow", "Resource": arn});
    role.add_own(
        &format!("{id}{kind}Policy"),
        json!({"Statement": [statement]}),
    );
    Ok(arn)
}
