//! `AWS::Serverless::Function`: the function, its role, and what publishes and triggers it.

use serde_json::{Map, Value, json};

use super::properties::Properties;
use super::role::Role;
use super::{
    FUNCTION, Result, Source, Translation, deploy, events, get_att, object, publish, reference,
    tag_list,
};

/// Properties that the function takes over under the same name.
const PASSED: &[&str] = &[
    "Architectures",
    "CodeSigningConfigArn",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "FunctionName",
    "Handler",
    "ImageConfig",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "RecursiveLoop",
    "ReservedConcurrentExecutions",
    "Runtime",
    "RuntimeManagementConfig",
    "SnapStart",
    "Timeout",
    "VpcConfig",
];
/// All other properties.
const OTHERS: &[&str] = &[
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "CodeUri",
    "DeadLetterQueue",
    "DeploymentPreference",
    "EventInvokeConfig",
    "Events",
    "FunctionUrlConfig",
    "ImageUri",
    "InlineCode",
    "PermissionsBoundary",
    "Policies",
    "ProvisionedConcurrencyConfig",
    "Role",
    "RolePath",
    "Tags",
    "Tracing",
    "VersionDescription",
];
const UNCOVERED: &[&str] = &[
    "CapacityProviderConfig",
    "Connectors",
    "DurableConfig",
    "FunctionScalingConfig",
    "PropagateTags",
    "PublishToLatestPublished",
    "SourceKMSKeyArn",
    "TenancyConfig",
    "VersionDeletionPolicy",
];

/// How the function's own triggers name it.
pub(super) struct Target {
    /// The alias's logical id, if one is published, else the function's.
    pub(super) id: String,
    pub(super) is_alias: bool,
}

impl Target {
    /// For a permission, which takes a name or an ARN.
    pub(super) fn name(&self) -> Value {
        reference(&self.id)
    }

    pub(super) fn arn(&self) -> Value {
        if self.is_alias {
            reference(&self.id)
        } else {
            get_att(&self.id, "Arn")
        }
    }

    /// For the text of an `Fn::Sub`.
    pub(super) fn placeholder(&self) -> String {
        if self.is_alias {
            format!("${{{}}}", self.id)
        } else {
            format!("${{{}.Arn}}", self.id)
        }
    }
}

/// The target of a function's triggers; its properties need not be sound yet.
pub(super) fn target(translation: &Translation, source: &Source<'_>) -> Result<Target> {
    let alias = source
        .resource
        .get("Properties")
        .and_then(|properties| properties.get("AutoPublishAlias"));
    Ok(match alias {
        Some(alias) => Target {
            id: publish::alias_id(source, &publish::alias(translation, source, alias)?),
            is_alias: true,
        },
        None => Target {
            id: source.id.to_owned(),
            is_alias: false,
        },
    })
}

pub(super) fn expand(translation: &mut Translation, source: &Source<'_>) -> Result<()> {
    let mut given = Properties::new(source.id, FUNCTION, source.resource.get("Properties"))?;
    let target = target(translation, source)?;
    let code = code(translation, &mut given)?;
    let mut function = Map::from_iter([("Code".to_owned(), code.clone())]);
    given.pass(PASSED, &mut function);

    let own_tags = given.mapping("Tags")?;
    let mut tags = vec![json!({"Key": "lambda:createdBy", "Value": "SAM"})];
    tags.extend(tag_list(&own_tags));
    function.insert("Tags".to_owned(), tags.clone().into());

    let assume = given
        .take("AssumeRolePolicyDocument")
        .unwrap_or_else(|| Role::assumed_by("lambda.amazonaws.com"));
    let mut role = Role::new(translation, source, &mut given, tags, assume)?;
    role.log();
    if let Some(mode) = given.take("Tracing") {
        role.trace();
        function.insert("TracingConfig".to_owned(), json!({"Mode": mode}));
    }
    if function.contains_key("VpcConfig") {
        role.join_network();
    }
    role.add_policies(&mut given)?;
    if let Some(queue) = given.take("DeadLetterQueue") {
        let action = match queue.get("Type").and_then(Value::as_str) {
            Some("SQS") => "sqs:SendMessage",
            Some("SNS") => "sns:Publish",
            _ => {
                return Err(
                    given.fail("has a `DeadLetterQueue` whose `Type` is neither SQS nor SNS")
                );
            }
        };
        let Some(arn) = queue.get("TargetArn") else {
            return Err(given.fail("has a `DeadLetterQueue` without a `TargetArn`"));
        };
        function.insert("DeadLetterConfig".to_owned(), json!({"TargetArn": arn}));
        let statement = json!({"Action": action, "Resource": arn, "Effect": "Allow"});
        let document = json!({"Version": "2012-10-17", "Statement": [statement]});
        role.add_own("DeadLetterQueuePolicy", document);
    }
    function.insert("Role".to_owned(), role.arn());

    let preference = deploy::parse(translation, source, &mut given)?;
    if preference.is_some() && !target.is_alias {
        return Err(given.fail("has a `DeploymentPreference`, which needs `AutoPublishAlias`"));
    }
    if target.is_alias {
        publish::version_and_alias(
            translation,
            source,
            &mut given,
            &mut function,
            &target,
            &role,
            preference,
        )?;
    } else if given.take("ProvisionedConcurrencyConfig").is_some() {
        return Err(
            given.fail("has `ProvisionedConcurrencyConfig`, which needs `AutoPublishAlias`")
        );
    }
    for ignored in [
        "AutoPublishAlias",
        "AutoPublishAliasAllProperties",
        "AutoPublishCodeSha256",
        "VersionDescription",
    ] {
        given.take(ignored);
    }
    translation.add(
        source.id,
        source.instead("AWS::Lambda::Function", Value::Object(function)),
    )?;
    if let Some(url) = given.take("FunctionUrlConfig") {
        publish::url(translation, source, &target, url)?;
    }
    if let Some(configuration) = given.take("EventInvokeConfig") {
        publish::event_invoke(translation, source, &target, &mut role, &configuration)?;
    }
    let events = given.mapping("Events")?;
    // The role's policies stand in this order.
    let mut in_order: Vec<(&String, &Value)> = events.iter().collect();
    in_order.sort_by_key(|(name, event)| {
        let path = event
            .get("Properties")
            .and_then(|properties| properties.get("Path")?.as_str());
        path.unwrap_or(name).to_owned()
    });
    for (name, event) in in_order {
        events::expand(translation, source, &target, &mut role, name, event)?;
    }
    let known: Vec<&str> = PASSED.iter().chain(OTHERS).copied().collect();
    given.finish(&known, UNCOVERED)?;
    role.finish(translation, source)
}

/// `Code`, with the rules about which properties go together.
fn code(translation: &Translation, given: &mut Properties<'_>) -> Result<Value> {
    let package_type = given.take("PackageType");
    let is_image = package_type.as_ref().is_some_and(|kind| kind == "Image");
    let (uri, inline, image) = (
        given.take("CodeUri"),
        given.take("InlineCode"),
        given.take("ImageUri"),
    );
    let code = if is_image {
        let image = image.ok_or_else(|| given.fail("is an image and has no `ImageUri`"))?;
        for wrong in ["Runtime", "Handler"] {
            if given.take(wrong).is_some() {
                return Err(given.fail(format!(
                    "is an image and has a `{wrong}`, which only a zip package has"
                )));
            }
        }
        json!({"ImageUri": image})
    } else {
        let code = match (uri, inline) {
            // A globally set `CodeUri` gives way to a function's own inline code.
            (_, Some(inline)) => json!({"ZipFile": inline}),
            (Some(uri), None) => given.location("CodeUri", uri, translation)?.code(),
            (None, None) => return Err(given.fail("has neither `CodeUri` nor `InlineCode`")),
        };
        for needed in ["Runtime", "Handler"] {
            let value = given.need(needed)?;
            given.put(needed, value);
        }
        code
    };
    if let Some(kind) = package_type {
        given.put("PackageType", kind);
    }
    Ok(code)
}

/// A permission for a service to call the function.
pub(super) fn permission(
    target: &Target,
    principal: &str,
    rest: [(&str, Option<Value>); 1],
) -> Value {
    let [(name, value)] = rest;
    object([
        ("Action", Some(json!("lambda:InvokeFunction"))),
        ("FunctionName", Some(target.name())),
        ("Principal", Some(json!(principal))),
        (name, value),
    ])
}
