//! The job event, as CodePipeline sends it to a Lambda function.
//!
//! Documented in the CodePipeline user guide ("JSON event example"). Everything but the id may be
//! missing or null, so the reader asks for each member by itself and says which one is wrong;
//! it never repeats a value, because some of them are credentials.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use serde_json::Value;

use crate::artifact::{Artifact, ArtifactLocation, EncryptionKey};
use towpath_secret::Secret;

/// The one member of the event.
const JOB: &str = "CodePipeline.job";

/// CodePipeline's id of a job. A continuation makes a new job with a new id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(String);

impl JobId {
    /// An id; nothing for a blank text.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.trim().is_empty()).then_some(Self(id))
    }

    /// The id as sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A member of the event that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not {expected}")]
pub(crate) struct EventError {
    path: String,
    expected: &'static str,
}

/// A job event, read.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) account: Option<String>,
    /// Empty when the action configures none.
    pub(crate) user_parameters: String,
    pub(crate) inputs: Artifacts,
    pub(crate) outputs: Artifacts,
    pub(crate) credentials: Option<ArtifactCredentials>,
    pub(crate) token: Option<String>,
    pub(crate) encryption_key: Option<EncryptionKey>,
}

/// The artifacts of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Artifacts {
    pub(crate) located: Vec<Artifact>,
    /// The names of those that were sent without a location.
    pub(crate) unlocated: Vec<String>,
}

impl Artifacts {
    /// The names of all.
    pub(crate) fn names(&self) -> Vec<String> {
        self.located
            .iter()
            .map(|artifact| artifact.name.clone())
            .chain(self.unlocated.iter().cloned())
            .collect()
    }
}

/// The credentials that a job reads and writes its artifacts with.
#[derive(Clone, Debug)]
pub(crate) struct ArtifactCredentials {
    pub(crate) keys: Secret<Credentials>,
    /// `expirationTime`, which is sent but not documented: epoch milliseconds. What follows from
    /// it is not documented either, so it is only shown.
    pub(crate) expires: Option<SystemTime>,
}

impl ArtifactCredentials {
    /// The values that must not appear in anything that is reported.
    pub(crate) fn values(&self) -> Vec<String> {
        let keys = self.keys.expose();
        let token = keys.session_token().map(str::to_owned);
        [Some(keys.secret_access_key().to_owned()), token]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// The id of the job, whatever else is wrong with the event.
pub(crate) fn job_id(event: &Value) -> Option<JobId> {
    JobId::new(event.get(JOB)?.get("id")?.as_str()?)
}

/// What an event without an id looks like: its outermost keys, as far as they help.
pub(crate) fn describe(event: &Value) -> String {
    match event {
        Value::Object(members) if members.is_empty() => "an empty object".to_owned(),
        Value::Object(members) => {
            let keys: Vec<String> = members
                .keys()
                .take(5)
                .map(|key| format!("`{}`", crate::text::head(&crate::text::plain(key), 40)))
                .collect();
            format!("an object with {}", keys.join(", "))
        }
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
    }
}

/// Reads everything beside the id.
pub(crate) fn read(event: &Value) -> Result<Event, EventError> {
    let job = Member::root(event).member(JOB).object()?;
    let data = job.member("data").object()?;
    let configuration = data
        .member("actionConfiguration")
        .optional_object()?
        .map(|action| action.member("configuration").optional_object())
        .transpose()?
        .flatten();
    let user_parameters = configuration
        .map(|configuration| configuration.member("UserParameters").optional_text())
        .transpose()?
        .flatten();
    Ok(Event {
        account: job.member("accountId").optional_text()?,
        user_parameters: user_parameters.unwrap_or_default(),
        inputs: artifacts(&data.member("inputArtifacts"))?,
        outputs: artifacts(&data.member("outputArtifacts"))?,
        credentials: credentials(&data.member("artifactCredentials"))?,
        token: data
            .member("continuationToken")
            .optional_text()?
            .filter(|token| !token.is_empty()),
        encryption_key: encryption_key(&data.member("encryptionKey"))?,
    })
}

fn artifacts(member: &Member<'_>) -> Result<Artifacts, EventError> {
    let mut artifacts = Artifacts::default();
    for element in member.optional_list()? {
        let element = element.object()?;
        let name = element.member("name").text()?;
        let revision = element.member("revision").optional_text()?;
        let location = element
            .member("location")
            .optional_object()?
            .map(|location| location.member("s3Location").optional_object())
            .transpose()?
            .flatten();
        match location {
            Some(location) => artifacts.located.push(Artifact {
                name,
                revision,
                location: ArtifactLocation {
                    bucket: location.member("bucketName").text()?,
                    key: location.member("objectKey").text()?,
                },
            }),
            None => artifacts.unlocated.push(name),
        }
    }
    Ok(artifacts)
}

fn credentials(member: &Member<'_>) -> Result<Option<ArtifactCredentials>, EventError> {
    let Some(credentials) = member.optional_object()? else {
        return Ok(None);
    };
    let keys = Credentials::new(
        credentials.member("accessKeyId").text()?,
        credentials.member("secretAccessKey").text()?,
        credentials.member("sessionToken").optional_text()?,
        None,
        "codepipeline-job",
    );
    // An unreadable time is no reason to fail: nothing depends on it.
    let expires = credentials
        .member("expirationTime")
        .value
        .and_then(Value::as_u64)
        .and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
    Ok(Some(ArtifactCredentials {
        keys: Secret::new(keys),
        expires,
    }))
}

fn encryption_key(member: &Member<'_>) -> Result<Option<EncryptionKey>, EventError> {
    let Some(key) = member.optional_object()? else {
        return Ok(None);
    };
    Ok(Some(EncryptionKey {
        id: key.member("id").text()?,
    }))
}

/// A place in the event. Null counts as absent.
struct Member<'a> {
    value: Option<&'a Value>,
    path: String,
}

impl<'a> Member<'a> {
    fn root(event: &'a Value) -> Self {
        Self {
            value: Some(event),
            path: String::new(),
        }
    }

    fn member(&self, name: &str) -> Member<'a> {
        let separator = if self.path.is_empty() { "" } else { "." };
        Member {
            value: self
                .value
                .and_then(|value| value.get(name))
                .filter(|value| !value.is_null()),
            path: format!("{}{separator}{name}", self.path),
        }
    }

    fn refuse(&self, expected: &'static str) -> EventError {
        EventError {
            path: self.path.clone(),
            expected,
        }
    }

    fn object(&self) -> Result<Member<'a>, EventError> {
        self.optional_object()?
            .ok_or_else(|| self.refuse("an object"))
    }

    fn optional_object(&self) -> Result<Option<Member<'a>>, EventError> {
        match self.value {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(Member {
                value: Some(value),
                path: self.path.clone(),
            })),
            Some(_) => Err(self.refuse("an object")),
        }
    }

    fn optional_list(&self) -> Result<Vec<Member<'a>>, EventError> {
        match self.value {
            None => Ok(Vec::new()),
            Some(Value::Array(elements)) => Ok(elements
                .iter()
                .enumerate()
                .map(|(at, value)| Member {
                    value: Some(value),
                    path: format!("{}[{at}]", self.path),
                })
                .collect()),
            Some(_) => Err(self.refuse("a list")),
        }
    }

    fn text(&self) -> Result<String, EventError> {
        self.optional_text()?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.refuse("a text"))
    }

    fn optional_text(&self) -> Result<Option<String>, EventError> {
        match self.value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.refuse("a text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> Value {
        json!({"CodePipeline.job": {
            "id": "11111111-abcd-1111-abcd-111111abcdef",
            "accountId": "111111111111",
            "data": {
                "actionConfiguration": {"configuration": {
                    "FunctionName": "install", "UserParameters": "task=x"
                }},
                "inputArtifacts": [{
                    "name": "Source", "revision": "abc",
                    "location": {"type": "S3", "s3Location": {"bucketName": "b", "objectKey": "p/Source/1"}}
                }],
                "outputArtifacts": [{
                    "name": "Deps", "revision": null,
                    "location": {"type": "S3", "s3Location": {"bucketName": "b", "objectKey": "p/Deps/2"}}
                }],
                "artifactCredentials": {
                    "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "very-secret-key",
                    "sessionToken": "very-secret-token", "expirationTime": 1_575_493_418_000u64
                },
                "continuationToken": "t",
                "encryptionKey": {"id": "arn:aws:kms:key", "type": "KMS"},
                "somethingNew": [1]
            }
        }})
    }

    #[test]
    fn a_full_event_is_read() {
        let event = read(&full()).unwrap();
        assert_eq!(event.user_parameters, "task=x");
        assert_eq!(event.account.as_deref(), Some("111111111111"));
        assert_eq!(event.inputs.located[0].revision.as_deref(), Some("abc"));
        assert_eq!(event.outputs.located[0].revision, None);
        assert_eq!(event.outputs.located[0].location.key, "p/Deps/2");
        assert_eq!(event.token.as_deref(), Some("t"));
        assert_eq!(event.encryption_key.as_ref().unwrap().id, "arn:aws:kms:key");
        let credentials = event.credentials.as_ref().unwrap();
        assert_eq!(
            credentials.expires,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_575_493_418))
        );
        let printed = format!("{event:?}");
        assert!(!printed.contains("very-secret"), "{printed}");
        assert!(!printed.contains("AKIDEXAMPLE"), "{printed}");
    }

    #[test]
    fn what_may_be_missing_may_be_null_too() {
        for name in [
            "actionConfiguration",
            "inputArtifacts",
            "outputArtifacts",
            "artifactCredentials",
            "continuationToken",
            "encryptionKey",
        ] {
            let mut missing = full();
            missing[JOB]["data"]
                .as_object_mut()
                .unwrap()
                .shift_remove(name);
            let mut null = full();
            null[JOB]["data"][name] = Value::Null;
            for event in [missing, null] {
                read(&event).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }

    #[test]
    fn an_artifact_without_a_location_is_remembered_by_name() {
        let mut event = full();
        event[JOB]["data"]["outputArtifacts"][0]["location"] = Value::Null;
        let outputs = read(&event).unwrap().outputs;
        assert!(outputs.located.is_empty());
        assert_eq!(outputs.names(), ["Deps"]);
    }

    #[test]
    fn a_malformed_event_says_where_and_keeps_its_id() {
        for (case, change, expected) in [
            (
                "data",
                json!("x"),
                "`CodePipeline.job.data` is not an object",
            ),
            (
                "inputArtifacts",
                json!({"data": {"inputArtifacts": 3}}),
                "`CodePipeline.job.data.inputArtifacts` is not a list",
            ),
            (
                "artifact name",
                json!({"data": {"outputArtifacts": [{}]}}),
                "`CodePipeline.job.data.outputArtifacts[0].name` is not a text",
            ),
            (
                "credentials",
                json!({"data": {"artifactCredentials": {"accessKeyId": "secret", "secretAccessKey": 7}}}),
                "`CodePipeline.job.data.artifactCredentials.secretAccessKey` is not a text",
            ),
            (
                "parameters",
                json!({"data": {"actionConfiguration": {"configuration": {"UserParameters": {}}}}}),
                "`CodePipeline.job.data.actionConfiguration.configuration.UserParameters` is not a text",
            ),
            (
                "nothing",
                json!({}),
                "`CodePipeline.job.data` is not an object",
            ),
        ] {
            let mut job = match change {
                object @ Value::Object(_) => object,
                other => json!({ "data": other }),
            };
            job["id"] = json!("some-id");
            let event = json!({ JOB: job });
            assert_eq!(job_id(&event), JobId::new("some-id"), "{case}");
            assert_eq!(read(&event).unwrap_err().to_string(), expected, "{case}");
        }
    }

    #[test]
    fn events_without_an_id_by_table() {
        for (event, description) in [
            (json!({}), "an empty object"),
            (
                json!({"CodePipeline.job": {"id": ""}}),
                "an object with `CodePipeline.job`",
            ),
            (
                json!({"CodePipeline.job": {"id": 7}}),
                "an object with `CodePipeline.job`",
            ),
            (
                json!({"id": "x", "detail-type": "y"}),
                "an object with `id`, `detail-type`",
            ),
            (json!([1]), "a list"),
            (Value::Null, "null"),
        ] {
            assert_eq!(job_id(&event), None, "{event}");
            assert_eq!(describe(&event), description, "{event}");
        }
    }
}
