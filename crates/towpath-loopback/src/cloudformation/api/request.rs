//! What requests have in common: stacks by name, templates by body or URL, parameters, capabilities, roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::cloudformation::blueprint::{Blueprint, Draft, SERVERLESS};
use crate::cloudformation::deployer::values;
use crate::cloudformation::known::Known;
use crate::cloudformation::stack::Declared;
use crate::cloudformation::wire::{optional_list, required, strings, tags, validation};
use crate::{AwsError, Caller, World, input};

/// The most bytes that a template may have in a request; a longer one comes by URL.
const TEMPLATE_BODY_LIMIT: usize = 51_200;
/// The most bytes that a template may have at all.
const TEMPLATE_LIMIT: usize = 1_000_000;

/// The types that need `CAPABILITY_IAM`, and the property that makes it `CAPABILITY_NAMED_IAM`.
const IAM_TYPES: &[(&str, Option<&str>)] = &[
    ("AWS::IAM::AccessKey", None),
    ("AWS::IAM::Group", Some("GroupName")),
    ("AWS::IAM::InstanceProfile", Some("InstanceProfileName")),
    ("AWS::IAM::ManagedPolicy", Some("ManagedPolicyName")),
    ("AWS::IAM::Policy", None),
    ("AWS::IAM::Role", Some("RoleName")),
    ("AWS::IAM::User", Some("UserName")),
    ("AWS::IAM::UserToGroupAddition", None),
];

/// Whose words are used for a stack that does not exist: the service is not consistent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Absent {
    /// `Stack with id X does not exist`
    WithId,
    /// `Stack [X] does not exist`
    Brackets,
}

/// The id of the stack that the request names.
pub(super) fn stack_id(world: &World, request: &Value, absent: Absent) -> Result<String, AwsError> {
    let name = required(request, "StackName")?;
    world.cloudformation.find(&name).ok_or_else(|| {
        validation(match absent {
            Absent::WithId => format!("Stack with id {name} does not exist"),
            Absent::Brackets => format!("Stack [{name}] does not exist"),
        })
    })
}

/// A stack's or change set's name: the rule is the service's own pattern.
pub(super) fn check_name(member: &str, name: &str) -> Result<(), AwsError> {
    let shaped = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '-');
    if !shaped {
        return Err(validation(format!(
            "1 validation error detected: Value '{name}' at '{member}' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )));
    }
    if name.len() > 128 {
        return Err(validation(format!(
            "1 validation error detected: Value '{name}' at '{member}' failed to satisfy constraint: Member must have length less than or equal to 128"
        )));
    }
    Ok(())
}

/// The client's token for the operation.
pub(super) fn token(request: &Value) -> Result<Option<String>, AwsError> {
    let Some(token) = input::text(request, "ClientRequestToken") else {
        return Ok(None);
    };
    let shaped = (1..=128).contains(&token.len())
        && token.starts_with(|first: char| first.is_ascii_alphanumeric())
        && token
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '-');
    if shaped {
        Ok(Some(token))
    } else {
        Err(validation(format!(
            "1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*"
        )))
    }
}

/// The template that the request brings, by body or by URL.
pub(super) async fn template_text(
    world: &Arc<World>,
    caller: &Caller,
    request: &Value,
) -> Result<Option<String>, AwsError> {
    let body = input::text(request, "TemplateBody");
    let url = input::text(request, "TemplateURL");
    match (body, url) {
        (Some(_), Some(_)) => Err(validation(
            "Either Template URL or Template Body must be specified, not both.",
        )),
        (Some(body), None) if body.len() > TEMPLATE_BODY_LIMIT => Err(validation(format!(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {TEMPLATE_BODY_LIMIT}: this template has {} bytes and needs a TemplateURL",
            body.len()
        ))),
        (Some(body), None) => Ok(Some(body)),
        (None, Some(url)) => fetch(world, caller, &url).await.map(Some),
        (None, None) => Ok(None),
    }
}

async fn fetch(world: &Arc<World>, caller: &Caller, url: &str) -> Result<String, AwsError> {
    let Some(location) = locate(url, &world.endpoint) else {
        return Err(validation(format!(
            "TemplateURL must be a supported URL. ({url})"
        )));
    };
    let resource = format!("arn:aws:s3:::{}/{}", location.bucket, location.key);
    world
        .identity
        .authorize(caller, "s3:GetObject", &resource)
        .map_err(|_| validation("S3 error: Access Denied\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"))?;
    let object = world
        .s3
        .get(
            &location.bucket,
            &location.key,
            location.version.as_deref(),
        )
        .await
        .map_err(|error| {
            validation(format!(
                "S3 error: {}\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
                error.message
            ))
        })?;
    if object.bytes.len() > TEMPLATE_LIMIT {
        return Err(validation(format!(
            "Template may not exceed {TEMPLATE_LIMIT} bytes in size."
        )));
    }
    String::from_utf8(object.bytes.to_vec())
        .map_err(|_| validation("Template format error: the template is not UTF-8 text"))
}

/// Where in S3 a URL points.
#[derive(Debug, PartialEq, Eq)]
struct Location {
    bucket: String,
    key: String,
    version: Option<String>,
}

/// Path style of the loopback, and both styles of Amazon's hosts.
fn locate(url: &str, endpoint: &str) -> Option<Location> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let version = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "versionId")
        .map(|(_, value)| value.into_owned());
    let (bucket, key) = if let Some(path) = address.strip_prefix(endpoint) {
        path.strip_prefix('/')?.split_once('/')?
    } else {
        let (host, path) = address.strip_prefix("https://")?.split_once('/')?;
        if is_s3_host(host) {
            path.split_once('/')?
        } else {
            // The host of a bucket whose name has dots: the service's part is the last that matches.
            let at = host
                .rmatch_indices(".s3")
                .map(|(at, _)| at)
                .find(|at| is_s3_host(&host[at + 1..]))?;
            (&host[..at], path)
        }
    };
    if bucket.is_empty() || key.is_empty() {
        return None;
    }
    Some(Location {
        bucket: bucket.to_owned(),
        key: percent_encoding::percent_decode_str(key)
            .decode_utf8()
            .ok()?
            .into_owned(),
        version,
    })
}

/// `s3.amazonaws.com`, `s3.eu-west-1.amazonaws.com`, `s3-eu-west-1.amazonaws.com`.
fn is_s3_host(host: &str) -> bool {
    let Some(rest) = host.strip_prefix("s3") else {
        return false;
    };
    let Some(region) = rest
        .strip_suffix(".amazonaws.com")
        .or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    else {
        return false;
    };
    region.is_empty()
        || region
            .strip_prefix(['.', '-'])
            .is_some_and(|region| !region.is_empty() && !region.contains("website"))
}

/// Parameter values by name.
type Values = BTreeMap<String, String>;

/// What an operation wants to build: a template, values, and what goes with them.
pub(super) struct Submission<'a> {
    pub(super) world: &'a Arc<World>,
    pub(super) request: &'a Value,
    /// What the stack has, if it has anything.
    pub(super) former: Option<&'a Declared>,
    pub(super) stack_id: &'a str,
    pub(super) stack_name: &'a str,
    /// Whether a transform needs `CAPABILITY_AUTO_EXPAND`: not where its result can be reviewed first.
    pub(super) expand_needs_capability: bool,
}

impl Submission<'_> {
    /// The declaration that the request comes to, or why it is refused.
    pub(super) async fn declare(
        &self,
        caller: &Caller,
        draft: Draft,
    ) -> Result<Declared, AwsError> {
        let request = self.request;
        for name in draft.transforms().iter().filter(|name| *name == SERVERLESS) {
            // A transform is a resource of its own, which belongs to AWS.
            let transform = format!(
                "arn:aws:cloudformation:{}:aws:transform/{}",
                self.world.settings.region,
                name.trim_start_matches("AWS::")
            );
            self.world
                .identity
                .authorize(caller, "cloudformation:CreateChangeSet", &transform)?;
        }
        let capabilities = strings(input::list(request, "Capabilities"));
        let (given, previous) = self.parameters()?;
        let notification_arns = optional_list(request, "NotificationARNs").map_or_else(
            || {
                self.former
                    .map(|former| former.notification_arns.clone())
                    .unwrap_or_default()
            },
            strings,
        );
        if !notification_arns.is_empty() {
            // They are kept and shown, and no event is sent to them.
            let ledger = &self.world.fidelity;
            ledger.simulated("CloudFormation notification topics");
        }
        let mut stored = BTreeMap::new();
        for name in draft.stored_names(&given, &previous) {
            if let Ok(value) = values::parameter(self.world, &name).await {
                stored.insert(name, value);
            }
        }
        let blueprint = {
            let known = Known::nothing(
                self.world,
                self.stack_id,
                self.stack_name,
                &notification_arns,
            );
            draft.resolve(
                &given,
                &previous,
                &stored,
                &self.world.settings.region,
                &known,
            )?
        };
        check_capabilities(&blueprint, &capabilities, self.expand_needs_capability)?;
        let role_arn = input::text(request, "RoleARN");
        if let Some(role) = &role_arn {
            pass_role(self.world, caller, role)?;
        }
        let former = self.former;
        Ok(Declared {
            blueprint: Arc::new(blueprint),
            capabilities,
            tags: optional_list(request, "Tags").map_or_else(
                || former.map(|former| former.tags.clone()).unwrap_or_default(),
                tags,
            ),
            notification_arns,
            // Once a stack has a role it keeps it.
            role_arn: role_arn.or_else(|| former.and_then(|former| former.role_arn.clone())),
            rollback_configuration: request
                .get("RollbackConfiguration")
                .filter(|configuration| configuration.is_object())
                .cloned()
                .or_else(|| former.map(|former| former.rollback_configuration.clone()))
                .unwrap_or_else(|| serde_json::json!({})),
        })
    }

    /// The values that are given, and those to be used again.
    fn parameters(&self) -> Result<(Values, Values), AwsError> {
        let mut given = BTreeMap::new();
        let mut previous = BTreeMap::new();
        for parameter in input::list(self.request, "Parameters") {
            let key = required(parameter, "ParameterKey")?;
            if !input::flag(parameter, "UsePreviousValue") {
                given.insert(
                    key,
                    input::text(parameter, "ParameterValue").unwrap_or_default(),
                );
                continue;
            }
            let value = self
                .former
                .and_then(|former| former.blueprint.parameter(&key));
            let Some(value) = value else {
                return Err(validation(format!(
                    "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
                )));
            };
            previous.insert(key, value.to_owned());
        }
        Ok((given, previous))
    }
}

/// The capabilities that a template needs, and the types because of which it does.
pub(super) fn needed_capabilities(
    template: &towpath_template::Template,
) -> (Vec<&'static str>, Vec<String>) {
    let mut types: Vec<String> = Vec::new();
    let mut named = false;
    for resource in template.resources().values() {
        let Some(kind) = input::text(resource, "Type") else {
            continue;
        };
        let Some((_, name)) = IAM_TYPES.iter().find(|(known, _)| *known == kind) else {
            continue;
        };
        named |= name.is_some_and(|name| {
            resource
                .get("Properties")
                .is_some_and(|properties| properties.get(name).is_some())
        });
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    let capabilities = match (types.is_empty(), named) {
        (true, _) => Vec::new(),
        (false, true) => vec!["CAPABILITY_NAMED_IAM"],
        (false, false) => vec!["CAPABILITY_IAM"],
    };
    (capabilities, types)
}

fn check_capabilities(
    blueprint: &Blueprint,
    given: &[String],
    expand_needs_capability: bool,
) -> Result<(), AwsError> {
    let has = |capability: &str| given.iter().any(|given| given == capability);
    let (mut missing, _) = needed_capabilities(&blueprint.template);
    missing.retain(|needed| {
        !(has(needed) || *needed == "CAPABILITY_IAM" && has("CAPABILITY_NAMED_IAM"))
    });
    if expand_needs_capability
        && blueprint.transforms.iter().any(|name| name == SERVERLESS)
        && !has("CAPABILITY_AUTO_EXPAND")
    {
        missing.push("CAPABILITY_AUTO_EXPAND");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(AwsError::client(
        "InsufficientCapabilitiesException",
        format!("Requires capabilities : [{}]", missing.join(", ")),
    ))
}

/// Whether the caller may give this role to the service, and the service may take it.
pub(super) fn pass_role(world: &World, caller: &Caller, role: &str) -> Result<(), AwsError> {
    const SERVICE: &str = "cloudformation.amazonaws.com";
    let context = [("iam:PassedToService".to_owned(), vec![SERVICE.to_owned()])].into();
    world
        .identity
        .authorize_with(caller, "iam:PassRole", role, &context, None)?;
    if world.identity.trusts_service(role, SERVICE, None) {
        Ok(())
    } else {
        Err(validation(format!(
            "Role {role} is invalid or cannot be assumed"
        )))
    }
}

/// Whose permissions count for the stack's resources: the stack's role, or the caller's own.
pub(super) fn principal(
    world: &World,
    caller: &Caller,
    role: Option<&str>,
) -> Result<Caller, AwsError> {
    let Some(role) = role else {
        return Ok(caller.clone());
    };
    let invalid = || validation(format!("Role {role} is invalid or cannot be assumed"));
    let credentials = world
        .identity
        .assume(role, "AWSCloudFormation", None)
        .map_err(|_| invalid())?;
    world
        .identity
        .known(&credentials.access_key_id)
        .map(|known| known.caller)
        .ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_urls() {
        let at = |bucket: &str, key: &str, version: Option<&str>| {
            Some(Location {
                bucket: bucket.into(),
                key: key.into(),
                version: version.map(str::to_owned),
            })
        };
        for (url, expected) in [
            (
                "http://127.0.0.1:9/b/dir/t.yaml",
                at("b", "dir/t.yaml", None),
            ),
            (
                "http://127.0.0.1:9/b/a%20b.yaml?versionId=v1",
                at("b", "a b.yaml", Some("v1")),
            ),
            ("https://s3.amazonaws.com/b/k", at("b", "k", None)),
            ("https://s3.eu-west-1.amazonaws.com/b/k", at("b", "k", None)),
            ("https://s3-eu-west-1.amazonaws.com/b/k", at("b", "k", None)),
            ("https://b.s3.amazonaws.com/dir/k", at("b", "dir/k", None)),
            ("https://b.s3.eu-west-1.amazonaws.com/k", at("b", "k", None)),
            (
                "https://my.s3.bucket.s3.us-east-1.amazonaws.com/k",
                at("my.s3.bucket", "k", None),
            ),
            ("https://b.s3-website-us-east-1.amazonaws.com/k", None),
            ("https://example.com/b/k", None),
            ("http://127.0.0.1:9/only-a-bucket", None),
            ("s3://b/k", None),
        ] {
            assert_eq!(locate(url, "http://127.0.0.1:9"), expected, "{url}");
        }
    }

    #[test]
    fn names_follow_the_services_pattern() {
        for (name, good) in [
            ("app", true),
            ("App-2", true),
            ("2app", false),
            ("my_app", false),
            ("", false),
            (&"a".repeat(129), false),
        ] {
            assert_eq!(check_name("stackName", name).is_ok(), good, "{name}");
        }
    }
}
