//! Writing an answer: absent members are left out, times are seconds.

use serde_json::{Map, Value, json};
use towpath_engine::definition::ActionType;
use towpath_engine::{Artifact, Time};

/// Seconds since the epoch, as the JSON protocol writes a timestamp.
pub(super) fn seconds(time: Time) -> Value {
    json!(time.as_millis() as f64 / 1000.0)
}

/// An object without its null members: a member that is not set is not there.
pub(super) fn object(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

/// `actionTypeId`.
pub(super) fn action_type(action_type: &ActionType) -> Value {
    json!({
        "category": action_type.category,
        "owner": action_type.owner,
        "provider": action_type.provider,
        "version": action_type.version,
    })
}

/// An artifact as a job shows it. Outputs and what was built have no revision: the event says `null`.
pub(super) fn job_artifact(artifact: &Artifact) -> Value {
    json!({
        "name": artifact.name,
        "revision": artifact.revision,
        "location": {
            "type": "S3",
            "s3Location": {"bucketName": artifact.bucket, "objectKey": artifact.key},
        },
    })
}

/// An artifact as an action's history shows it.
pub(super) fn listed_artifact(artifact: &Artifact) -> Value {
    json!({
        "name": artifact.name,
        "s3location": {"bucket": artifact.bucket, "key": artifact.key},
    })
}

/// A text that the model wants to have at least one character.
pub(super) fn text(text: Option<&String>) -> Value {
    text.filter(|text| !text.is_empty())
        .map_or(Value::Null, |text| json!(text))
}
