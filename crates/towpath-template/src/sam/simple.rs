//! `AWS::Serverless::SimpleTable`, `AWS::Serverless::LayerVersion` and `AWS::Serverless::Application`.

use serde_json::{Map, Value, json};

use super::properties::Properties;
use super::{
    APPLICATION, LAYER_VERSION, Result, SIMPLE_TABLE, Source, Translation, canonical, short_hash,
    tag_list,
};

const TABLE_PROPERTIES: &[&str] = &[
    "PointInTimeRecoverySpecification",
    "PrimaryKey",
    "ProvisionedThroughput",
    "SSESpecification",
    "TableName",
    "Tags",
];
const LAYER_PROPERTIES: &[&str] = &[
    "CompatibleArchitectures",
    "CompatibleRuntimes",
    "ContentUri",
    "Description",
    "LayerName",
    "LicenseInfo",
    "RetentionPolicy",
];

pub(super) fn table(translation: &mut Translation, source: &Source<'_>) -> Result<()> {
    let mut given = Properties::new(source.id, SIMPLE_TABLE, source.resource.get("Properties"))?;
    let (mut name, mut kind) = (json!("id"), json!("S"));
    if let Some(key) = given.take("PrimaryKey") {
        name = key
            .get("Name")
            .cloned()
            .ok_or_else(|| given.fail("has a `PrimaryKey` without a `Name`"))?;
        kind = match key.get("Type").and_then(Value::as_str).unwrap_or("String") {
            "String" => json!("S"),
            "Number" => json!("N"),
            "Binary" => json!("B"),
            other => {
                return Err(given.fail(format!(
                    "has a `PrimaryKey` of the type `{other}`: String, Number or Binary"
                )));
            }
        };
    }
    let mut made = Map::new();
    made.insert(
        "AttributeDefinitions".to_owned(),
        json!([{"AttributeName": name, "AttributeType": kind}]),
    );
    made.insert(
        "KeySchema".to_owned(),
        json!([{"AttributeName": name, "KeyType": "HASH"}]),
    );
    match given.take("ProvisionedThroughput") {
        Some(throughput) => made.insert("ProvisionedThroughput".to_owned(), throughput),
        None => made.insert("BillingMode".to_owned(), json!("PAY_PER_REQUEST")),
    };
    let tags = given.mapping("Tags")?;
    if !tags.is_empty() {
        made.insert("Tags".to_owned(), tag_list(&tags).into());
    }
    given.pass(
        &[
            "TableName",
            "SSESpecification",
            "PointInTimeRecoverySpecification",
        ],
        &mut made,
    );
    given.finish(TABLE_PROPERTIES, &[])?;
    translation.add(
        source.id,
        source.instead("AWS::DynamoDB::Table", Value::Object(made)),
    )
}

/// A layer's logical id ends in a hash of its properties: a changed layer is a new version beside the old one.
pub(super) fn layer(translation: &mut Translation, source: &Source<'_>) -> Result<()> {
    let mut properties = source
        .resource
        .get("Properties")
        .cloned()
        .unwrap_or_else(|| json!({}));
    if let Some(policy) = properties.get_mut("RetentionPolicy") {
        *policy = translation.known(policy.take());
    }
    let mut hashed = json!({"Properties": properties, "Type": LAYER_VERSION});
    for attribute in ["Condition", "DependsOn"] {
        if let Some(value) = source.resource.get(attribute) {
            hashed[attribute] = value.clone();
        }
    }
    let hashed = json!({ source.id: hashed });
    let id = format!("{}{}", source.id, short_hash(&canonical(&hashed)));

    let mut given = Properties::new(source.id, LAYER_VERSION, Some(&properties))?;
    let retention = match given.take("RetentionPolicy") {
        None => source
            .resource
            .get("DeletionPolicy")
            .cloned()
            .unwrap_or_else(|| json!("Retain")),
        Some(Value::String(policy)) if policy.eq_ignore_ascii_case("retain") => json!("Retain"),
        Some(Value::String(policy)) if policy.eq_ignore_ascii_case("delete") => json!("Delete"),
        Some(_) => {
            return Err(given.fail("has a `RetentionPolicy` that is neither Retain nor Delete"));
        }
    };
    let uri = given.need("ContentUri")?;
    let content = given.location("ContentUri", uri, translation)?.code();
    let mut made = Map::from_iter([("Content".to_owned(), content)]);
    let name = given.take("LayerName").unwrap_or_else(|| json!(source.id));
    made.insert("LayerName".to_owned(), name);
    let passed = [
        "Description",
        "CompatibleArchitectures",
        "CompatibleRuntimes",
        "LicenseInfo",
    ];
    given.pass(&passed, &mut made);
    given.finish(LAYER_PROPERTIES, &["PublishLambdaVersion"])?;

    let attributes = ["DependsOn", "Condition", "UpdateReplacePolicy"];
    let mut resource = source.with(
        &attributes,
        "AWS::Lambda::LayerVersion",
        Value::Object(made),
    );
    resource["DeletionPolicy"] = retention;
    translation.renamed.insert(source.id.to_owned(), id.clone());
    translation.add(&id, resource)
}

/// A nested stack. Its template is a file, which packaging has put into S3.
pub(super) fn application(translation: &mut Translation, source: &Source<'_>) -> Result<()> {
    let mut given = Properties::new(source.id, APPLICATION, source.resource.get("Properties"))?;
    let location = match given.need("Location")? {
        Value::Object(map) if map.contains_key("ApplicationId") => {
            return Err(given.fail(
                "has a `Location` in the Serverless Application Repository, which this machine does not have: take the \
                 application's template into the project and name it by its path",
            ));
        }
        location => location,
    };
    let own_tags = given.mapping("Tags")?;
    let mut tags = vec![json!({"Key": "lambda:createdBy", "Value": "SAM"})];
    tags.extend(tag_list(&own_tags));
    let mut made = Map::from_iter([
        ("TemplateURL".to_owned(), location),
        ("Tags".to_owned(), tags.into()),
    ]);
    let passed = ["NotificationARNs", "Parameters", "TimeoutInMinutes"];
    given.pass(&passed, &mut made);
    given.finish(&[&passed[..], &["Location", "Tags"]].concat(), &[])?;
    let stack = source.instead("AWS::CloudFormation::Stack", made.into());
    translation.add(source.id, stack)
}
