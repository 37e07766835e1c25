//! What is found wrong before anything is deployed: `AWS::EarlyValidation`, as CloudFormation has it since
//! November 2025.
//!
//! A change set that would make a resource under a name which is taken, or without a property that the type
//! needs, fails; what was found is told by `DescribeEvents` and nowhere else. The loopback knows no type's
//! schema, so of properties it tells only those whose absence its own handlers would refuse.

use serde_json::Value;

use super::blueprint::Blueprint;
use super::plan::{Action, Change, Replacement, UNKNOWN};
use super::resources;
use super::wire::Object;
use crate::{World, input};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Name,
    Properties,
    Emptiness,
}

impl Check {
    /// As an event names it.
    fn name(self) -> &'static str {
        match self {
            Self::Name => "NAME_CONFLICT_VALIDATION",
            Self::Properties => "PROPERTY_VALIDATION",
            Self::Emptiness => "BUCKET_EMPTINESS_VALIDATION",
        }
    }

    /// As a change set's reason names it.
    fn source(self) -> &'static str {
        match self {
            Self::Name => "AWS::EarlyValidation::ResourceExistenceCheck",
            Self::Properties => "AWS::EarlyValidation::PropertyValidation",
            // It only warns, so that no reason ever names it.
            Self::Emptiness => "AWS::EarlyValidation::BucketEmptiness",
        }
    }
}

/// Something that would not come through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    logical_id: String,
    resource_type: String,
    check: Check,
    path: String,
    reason: String,
    /// It stops nothing.
    warns: bool,
}

impl Finding {
    /// Adds what the validation has to say to an event of its operation.
    pub(crate) fn describe(&self, row: Value) -> Value {
        row.with("EventType", Some("VALIDATION_ERROR"))
            .with("LogicalResourceId", Some(self.logical_id.clone()))
            .with("ResourceType", Some(self.resource_type.clone()))
            .with(
                "ValidationFailureMode",
                Some(if self.warns { "WARN" } else { "FAIL" }),
            )
            .with("ValidationName", Some(self.check.name()))
            .with("ValidationStatus", Some("FAILED"))
            .with("ValidationStatusReason", Some(self.reason.clone()))
            .with("ValidationPath", Some(self.path.clone()))
    }
}

/// Why a change set with these findings fails, if it does.
pub(crate) fn refusal(findings: &[Finding]) -> Option<String> {
    let mut sources: Vec<&str> = Vec::new();
    for finding in findings.iter().filter(|finding| !finding.warns) {
        let source = finding.check.source();
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    (!sources.is_empty()).then(|| {
        format!(
            "The following hook(s)/validation failed: [{}]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information.",
            sources.join(", ")
        )
    })
}

/// What is wrong with the changes.
pub(crate) fn findings(world: &World, blueprint: &Blueprint, changes: &[Change]) -> Vec<Finding> {
    let mut found = Vec::new();
    for change in changes {
        if let Some(bucket) = full_bucket(world, change) {
            found.push(Finding {
                logical_id: change.logical_id.clone(),
                resource_type: change.resource_type.clone(),
                check: Check::Emptiness,
                path: format!("/Resources/{}", change.logical_id),
                reason: format!(
                    "The bucket '{bucket}' is not empty. You must either delete all objects and versions or use the deletion policy to retain it, otherwise the delete operation will fail."
                ),
                warns: true,
            });
        }
        let is_new = change.action == Action::Add || change.replacement == Some(Replacement::True);
        let Some(properties) = change
            .after
            .as_ref()
            .and_then(|after| after.get("Properties"))
            .filter(|_| is_new)
        else {
            continue;
        };
        let finding = |check, path, reason| Finding {
            logical_id: change.logical_id.clone(),
            resource_type: change.resource_type.clone(),
            check,
            path,
            reason,
            warns: false,
        };
        for required in resources::required(&change.resource_type) {
            if properties.get(*required).is_none() {
                found.push(finding(
                    Check::Properties,
                    format!("/Resources/{}/Properties", change.logical_id),
                    format!("Required property [{required}] not found"),
                ));
            }
        }
        if let Some(name) = taken(world, change, properties) {
            found.push(finding(
                Check::Name,
                format!("/Resources/{}", change.logical_id),
                blueprint.mask(format!(
                    "Resource of type '{}' with identifier '{name}' already exists.",
                    change.resource_type
                )),
            ));
        }
    }
    found
}

/// The name that the resource is to have, if another has it.
fn taken(world: &World, change: &Change, properties: &Value) -> Option<String> {
    let property = resources::find(&change.resource_type)?.name_property?;
    let name = input::text(properties, property).filter(|name| !name.is_empty())?;
    // A replacement that keeps its own name is refused in words of its own.
    let own = change
        .before
        .as_ref()
        .and_then(|before| before.get("Properties"));
    if name.contains(UNKNOWN)
        || own.and_then(|own| input::text(own, property)) == Some(name.clone())
    {
        return None;
    }
    resources::exists(world, &change.resource_type, &name).then_some(name)
}

/// The bucket that is to be deleted and holds something.
fn full_bucket<'a>(world: &World, change: &'a Change) -> Option<&'a str> {
    let deleted = change.action == Action::Remove && change.policy_action == Some("Delete");
    let bucket = change.physical_id.as_deref()?;
    (deleted && change.resource_type == "AWS::S3::Bucket" && world.s3.holds_anything(bucket))
        .then_some(bucket)
}
