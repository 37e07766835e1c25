//! What a function and a build tell each other, and the place in S3 where they do.
//!
//! A build runs what it is told to run, and can write whatever it likes: an [`Answer`] is read with
//! bounds, and believed no more than the output of the action's own tools.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, ArtifactLocation};
use crate::failure::{Failure, FailureType};
use crate::outcome::{Outcome, Receipt};
use crate::text;
use crate::variables::Variables;

/// More than any of these documents may have.
const LARGEST: u64 = 2 * 1024 * 1024;

/// What a build is to do. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) version: u64,
    /// The action's name.
    pub(super) action: String,
    /// The id of the action's first job.
    pub(super) job: String,
    pub(super) account: Option<String>,
    /// As the pipeline has them.
    pub(super) user_parameters: String,
    /// When the action's first step started, in milliseconds since the epoch.
    pub(super) started_at: u64,
    /// When the action must be over, in milliseconds since the epoch.
    pub(super) deadline: u64,
    pub(super) inputs: Vec<Stored>,
    pub(super) outputs: Vec<Stored>,
    /// Artifacts that CodePipeline sent without a location.
    pub(super) unlocated: Vec<String>,
}

impl Order {
    pub(super) const VERSION: u64 = 1;
    pub(super) const KEY: &'static str = "order.json";

    /// Each artifact's address here, and the one that the pipeline knows.
    pub(super) fn places(self) -> Vec<(String, String)> {
        let all = self.inputs.into_iter().chain(self.outputs);
        all.map(|it| (format!("s3://{}/{}", it.bucket, it.key), it.known_as))
            .collect()
    }
}

/// An artifact, where the build finds it or puts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) revision: Option<String>,
    pub(super) bucket: String,
    pub(super) key: String,
    /// `s3://bucket/key`, as the pipeline knows it: what messages are to say.
    pub(super) known_as: String,
}

impl Stored {
    pub(super) fn of(artifact: &Artifact, bucket: &str, key: &str) -> Self {
        Self {
            name: artifact.name.clone(),
            revision: artifact.revision.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            known_as: artifact.place().to_string(),
        }
    }

    pub(super) fn artifact(&self) -> Artifact {
        Artifact {
            name: self.name.clone(),
            revision: self.revision.clone(),
            location: ArtifactLocation {
                bucket: self.bucket.clone(),
                key: self.key.clone(),
            },
        }
    }
}

/// Which build does the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) build: String,
}

impl Claim {
    pub(super) const KEY: &'static str = "claim.json";
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) version: u64,
    pub(super) summary: String,
    pub(super) variables: Vec<(String, String)>,
    /// The outputs that are there, also when the action failed.
    pub(super) published: Vec<Stored>,
    pub(super) failure: Option<ToldFailure>,
}

/// A failure, in the words of the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldFailure {
    kind: String,
    message: String,
    output: Option<String>,
    hint: Option<String>,
}

impl From<&Failure> for ToldFailure {
    fn from(failure: &Failure) -> Self {
        // The end of the output is what is reported, and not much of it.
        const MOST: usize = 20_000;
        Self {
            kind: failure.kind.as_str().to_owned(),
            message: text::ends(&failure.message, MOST),
            output: failure
                .output
                .as_deref()
                .map(|output| text::tail(output, MOST)),
            hint: failure.hint.clone(),
        }
    }
}

impl Answer {
    pub(super) const VERSION: u64 = 1;
    pub(super) const KEY: &'static str = "answer.json";

    /// What the function reports. `log` is where the build's log is; `places` are addresses of the
    /// build's, and what the pipeline calls them.
    pub(super) fn outcome(
        self,
        receipts: Vec<Receipt>,
        places: &[(String, String)],
        build: &str,
        log: &str,
    ) -> Outcome {
        if self.version != Self::VERSION {
            return Outcome::Failed(
                Failure::job(format!(
                    "the answer of build {build} has version {}; this function understands version {}",
                    self.version,
                    Self::VERSION
                ))
                .with_hint("the functions' image and the build project's are not the same; deploy both, and retry the stage")
                .with_external_id(build),
            );
        }
        let at_home = |text: String| {
            places
                .iter()
                .fold(text, |text, (away, home)| text.replace(away, home))
        };
        let shown = if log.is_empty() {
            format!("CodeBuild {build}")
        } else {
            format!("CodeBuild {build}, log {log}")
        };
        if let Some(told) = self.failure {
            let mut failure = Failure::new(kind(&told.kind), at_home(told.message));
            let output = told.output.map(|output| at_home(output) + "\n");
            failure.output = Some(format!("{}in {shown}", output.unwrap_or_default()));
            failure.hint = told.hint.map(at_home);
            return Outcome::Failed(failure.with_external_id(build));
        }
        let mut variables = Variables::new();
        for (name, value) in self.variables {
            if let Err(error) = variables.insert(name, value) {
                return Outcome::Failed(Failure::job(error.to_string()).with_external_id(build));
            }
        }
        Outcome::Done {
            summary: format!("{}; {shown}", at_home(self.summary)),
            variables,
            receipts,
            external_id: Some(build.to_owned()),
        }
    }
}

fn kind(name: &str) -> FailureType {
    [
        FailureType::ConfigurationError,
        FailureType::PermissionError,
        FailureType::RevisionOutOfSync,
        FailureType::RevisionUnavailable,
        FailureType::SystemUnavailable,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == name)
    .unwrap_or(FailureType::JobFailed)
}

/// Why a document could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DrawerError {
    /// S3 refused, or did not answer.
    #[error("failed to {doing} {location}: {message}")]
    S3 {
        /// `read` or `write`.
        doing: &'static str,
        /// `s3://bucket/key`.
        location: String,
        /// What the error stands for.
        kind: FailureType,
        /// What was said.
        message: String,
    },
    /// Not what it should be.
    #[error("{location} cannot be read as what it should be: {message}")]
    Foreign {
        /// `s3://bucket/key`.
        location: String,
        /// Why.
        message: String,
    },
}

impl DrawerError {
    /// Whether it may go well the next time.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::S3 {
                kind: FailureType::SystemUnavailable,
                ..
            }
        )
    }
}

impl From<DrawerError> for Failure {
    fn from(error: DrawerError) -> Self {
        let message = error.to_string();
        match error {
            DrawerError::S3 { kind, .. } => Self::new(kind, message),
            DrawerError::Foreign { .. } => Self::job(message),
        }
    }
}

/// The place of one action's documents: `builds/<action>/<job>/` in the bucket for builds.
#[derive(Debug, Clone)]
pub(super) struct Drawer {
    client: Client,
    bucket: String,
    prefix: String,
}

impl Drawer {
    pub(super) fn new(client: Client, bucket: &str, action: &str, job: &str) -> Self {
        Self {
            client,
            bucket: bucket.to_owned(),
            prefix: format!("builds/{action}/{job}/"),
        }
    }

    /// The place that the address of an order is in.
    pub(super) fn of_order(client: Client, url: &str) -> Option<Self> {
        let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
        let prefix = key.strip_suffix(Order::KEY)?;
        (!bucket.is_empty() && prefix.ends_with('/')).then(|| Self {
            client,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("s3://{}/{}{name}", self.bucket, self.prefix)
    }

    /// Reads a document; nothing if there is none.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, DrawerError> {
        let location = self.url(name);
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(self.key(name))
            .send()
            .await;
        let object = match got {
            Ok(object) => object,
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NotFound")) => {
                return Ok(None);
            }
            Err(error) => return Err(failed("read", location, &error)),
        };
        let foreign = |message: String| DrawerError::Foreign {
            location: location.clone(),
            message,
        };
        let length = object.content_length().and_then(|n| u64::try_from(n).ok());
        if length.is_none_or(|length| length > LARGEST) {
            return Err(foreign(format!("it has more than {LARGEST} bytes")));
        }
        let body = object
            .body
            .collect()
            .await
            .map_err(|error| DrawerError::S3 {
                doing: "read",
                location: location.clone(),
                kind: FailureType::SystemUnavailable,
                message: DisplayErrorContext(&error).to_string(),
            })?;
        serde_json::from_slice(&body.into_bytes())
            .map(Some)
            .map_err(|error| foreign(error.to_string()))
    }

    /// Writes a document over what is there.
    pub(super) async fn put<T: Serialize>(
        &self,
        name: &str,
        content: &T,
    ) -> Result<(), DrawerError> {
        self.write(name, content, false).await.map(drop)
    }

    /// Writes a document unless there is one already; whether it was written. Also after it was
    /// written and that was not heard, it was not.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
    pub(super) async fn put_new<T: Serialize>(
        &self,
        name: &str,
        content: &T,
    ) -> Result<bool, DrawerError> {
        self.write(name, content, true).await
    }

    async fn write<T: Serialize>(
        &self,
        name: &str,
        content: &T,
        new: bool,
    ) -> Result<bool, DrawerError> {
        let text =
            serde_json::to_string(content).expect("texts and numbers can be written as JSON");
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(name))
            .content_type("application/json")
            .set_if_none_match(new.then(|| "*".to_owned()))
            .body(ByteStream::from(text.into_bytes()))
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            // The second is said of two who write at the same time.
            Err(error)
                if new
                    && matches!(
                        error.code(),
                        Some("PreconditionFailed" | "ConditionalRequestConflict")
                    ) =>
            {
                Ok(false)
            }
            Err(error) => Err(failed("write", self.url(name), &error)),
        }
    }
}

fn failed<E>(doing: &'static str, location: String, error: &SdkError<E>) -> DrawerError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let server = error
        .raw_response()
        .is_some_and(|response| response.status().is_server_error());
    DrawerError::S3 {
        doing,
        location,
        kind: match crate::failure::aws_kind(error) {
            FailureType::JobFailed if server => FailureType::SystemUnavailable,
            kind => kind,
        },
        message: crate::failure::aws_cause(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(failure: Option<&Failure>) -> Answer {
        Answer {
            version: Answer::VERSION,
            summary: "test (1.0 s)".to_owned(),
            variables: vec![("Url".to_owned(), "x".to_owned())],
            published: Vec::new(),
            failure: failure.map(ToldFailure::from),
        }
    }

    #[test]
    fn a_failure_in_a_build_reads_as_one_in_the_function() {
        let failed = Failure::configuration("s3://work/builds/a/in/0 is not a zip archive")
            .with_output("one\ntwo")
            .with_hint("look at s3://work/builds/a/in/0");
        let written = serde_json::to_string(&answer(Some(&failed))).unwrap();
        let read: Answer = serde_json::from_str(&written).unwrap();
        let places = [(
            "s3://work/builds/a/in/0".to_owned(),
            "s3://arts/app/Source/x".to_owned(),
        )];
        let Outcome::Failed(failure) = read.outcome(Vec::new(), &places, "app:1", "https://log")
        else {
            panic!("it failed");
        };
        assert_eq!(failure.kind, FailureType::ConfigurationError);
        assert_eq!(
            failure.render(),
            "s3://arts/app/Source/x is not a zip archive\none\ntwo\nin CodeBuild app:1, log https://log\nhint: look at s3://arts/app/Source/x"
        );
        assert_eq!(failure.external_id.as_deref(), Some("app:1"));
    }

    #[test]
    fn a_success_says_where_the_log_is() {
        let Outcome::Done {
            summary,
            variables,
            external_id,
            ..
        } = answer(None).outcome(Vec::new(), &[], "app:1", "https://log")
        else {
            panic!("it succeeded");
        };
        assert_eq!(summary, "test (1.0 s); CodeBuild app:1, log https://log");
        assert_eq!(variables.get("Url"), Some("x"));
        assert_eq!(external_id.as_deref(), Some("app:1"));
    }

    #[test]
    fn an_answer_of_another_version_is_refused_in_words() {
        let mut other = answer(None);
        other.version = 2;
        let Outcome::Failed(failure) = other.outcome(Vec::new(), &[], "app:1", "") else {
            panic!("it cannot be understood");
        };
        assert!(failure.message.contains("has version 2"), "{failure:?}");
    }

    #[test]
    fn an_order_is_found_by_its_address() {
        let client = || {
            let keys = aws_credential_types::Credentials::new("a", "b", None, None, "test");
            towpath_aws::s3(&towpath_aws::fixed("http://127.0.0.1:1", "us-east-1", keys))
        };
        for (url, expected) in [
            (
                "s3://work/builds/a/1/order.json",
                Some("s3://work/builds/a/1/claim.json"),
            ),
            ("s3://work/order.json", None),
            ("s3:///builds/order.json", None),
            ("https://work/builds/order.json", None),
            ("s3://work/builds/a/1/other.json", None),
        ] {
            let found = Drawer::of_order(client(), url).map(|drawer| drawer.url(Claim::KEY));
            assert_eq!(found.as_deref(), expected, "{url}");
        }
    }
}
