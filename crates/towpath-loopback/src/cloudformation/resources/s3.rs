//! AWS::S3::Bucket and AWS::S3::BucketPolicy.

use serde_json::Value;

use super::names::{self, Rules};
use super::{Made, Scene, Trouble, is_missing};
use crate::cloudformation::stack::Resource;
use crate::input;

pub(super) fn create_bucket(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = names::physical(scene, properties, "BucketName", Rules::BUCKET);
    scene.authorize("S3", "s3:CreateBucket", &arn(&name))?;
    if scene.world.s3.exists(&name) {
        // S3 would hand the owner's own bucket back; CloudFormation does not.
        return Err(Trouble::handler(
            &format!("{name} already exists"),
            "AlreadyExists",
        ));
    }
    scene
        .world
        .s3
        .create_bucket(&name)
        .map_err(|error| Trouble::from_service("S3", &error))?;
    set_versioning(scene, &name, properties, false)?;
    set_encryption(scene, &name, properties, false)?;
    Ok(bucket(scene, &name))
}

pub(super) fn update_bucket(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
) -> Result<Made, Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    let was = versioning(&resource.properties).is_some();
    set_versioning(scene, &name, properties, was)?;
    let was = encryption(&resource.properties).is_some();
    set_encryption(scene, &name, properties, was)?;
    Ok(bucket(scene, &name))
}

/// A bucket that is there, whoever made it.
pub(super) fn adopt_bucket(scene: &Scene, name: &str) -> Option<Made> {
    scene.world.s3.exists(name).then(|| bucket(scene, name))
}

pub(super) fn delete_bucket(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("S3", "s3:DeleteBucket", &arn(&name))?;
    match scene.world.s3.delete_bucket(&name) {
        Ok(()) => Ok(()),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(Trouble::from_service("S3", &error)),
    }
}

pub(super) fn put_bucket_policy(scene: &Scene, properties: &Value) -> Result<Made, Trouble> {
    let name = input::text(properties, "Bucket").unwrap_or_default();
    scene.authorize("S3", "s3:PutBucketPolicy", &arn(&name))?;
    scene
        .world
        .s3
        .set_policy(&name, properties.get("PolicyDocument").cloned())
        .map_err(|error| Trouble::from_service("S3", &error))?;
    Ok(Made::new(name))
}

pub(super) fn delete_bucket_policy(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let name = resource.physical_id.clone().unwrap_or_default();
    scene.authorize("S3", "s3:DeleteBucketPolicy", &arn(&name))?;
    match scene.world.s3.set_policy(&name, None) {
        Ok(()) => Ok(()),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(Trouble::from_service("S3", &error)),
    }
}

fn set_versioning(
    scene: &Scene,
    name: &str,
    properties: &Value,
    was_set: bool,
) -> Result<(), Trouble> {
    let wanted = versioning(properties);
    if wanted.is_none() && !was_set {
        return Ok(());
    }
    scene.authorize("S3", "s3:PutBucketVersioning", &arn(name))?;
    scene
        .world
        .s3
        .set_versioning(name, wanted.as_deref() == Some("Enabled"))
        .map_err(|error| Trouble::from_service("S3", &error))
}

fn versioning(properties: &Value) -> Option<String> {
    input::text(properties.get("VersioningConfiguration")?, "Status")
}

fn set_encryption(
    scene: &Scene,
    name: &str,
    properties: &Value,
    was_set: bool,
) -> Result<(), Trouble> {
    let wanted = encryption(properties);
    if wanted.is_none() && !was_set {
        return Ok(());
    }
    scene.authorize("S3", "s3:PutEncryptionConfiguration", &arn(name))?;
    scene
        .world
        .s3
        .set_encryption(name, wanted)
        .map_err(|error| Trouble::from_service("S3", &error))
}

/// The algorithm and the key of the first rule.
fn encryption(properties: &Value) -> Option<(String, Option<String>)> {
    let rule = input::list(
        properties.get("BucketEncryption")?,
        "ServerSideEncryptionConfiguration",
    )
    .first()?
    .get("ServerSideEncryptionByDefault")?;
    Some((
        input::text(rule, "SSEAlgorithm")?,
        input::text(rule, "KMSMasterKeyID"),
    ))
}

fn bucket(scene: &Scene, name: &str) -> Made {
    let region = &scene.world.settings.region;
    Made::new(name)
        .attribute("Arn", arn(name))
        .attribute("DomainName", format!("{name}.s3.amazonaws.com"))
        .attribute(
            "RegionalDomainName",
            format!("{name}.s3.{region}.amazonaws.com"),
        )
        .attribute(
            "DualStackDomainName",
            format!("{name}.s3.dualstack.{region}.amazonaws.com"),
        )
        .attribute(
            "WebsiteURL",
            format!("http://{name}.s3-website-{region}.amazonaws.com"),
        )
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}
