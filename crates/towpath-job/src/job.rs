//! A job as an action sees it: parsed, with nothing optional that the action needs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use aws_types::SdkConfig;
use serde::de::DeserializeOwned;

use towpath_artifact::{ArtifactError, Encryption, Settings};
use towpath_secret::Secrets;

use crate::artifact::{Artifact, EncryptionKey};
use crate::budget;
use crate::event::{Artifacts, Event, JobId};
use crate::failure::Failure;
use crate::moving;
use crate::token::Token;

/// One job: one invocation of an action by CodePipeline.
pub struct Job<P> {
    /// CodePipeline's id of this job. See [`Job::origin`] for one that stays.
    pub id: JobId,
    /// The action's parameters.
    pub parameters: P,
    /// The input artifacts, in the pipeline's order.
    pub inputs: Vec<Artifact>,
    /// The output artifacts, in the pipeline's order. Each must be published.
    pub outputs: Vec<Artifact>,
    /// Where the action stood after its last step; nothing at the first.
    pub token: Option<Token>,
    /// The key that the pipeline encrypts its artifacts with, when it has one of its own.
    pub encryption_key: Option<EncryptionKey>,
    /// The account that the pipeline is in.
    pub account: Option<String>,
    /// When the artifact credentials expire, where CodePipeline says so; it is not documented.
    pub artifact_credentials_expire: Option<SystemTime>,
    pub(crate) unlocated: Vec<String>,
    pub(crate) origin: JobId,
    pub(crate) attempt: u32,
    pub(crate) started_at: SystemTime,
    pub(crate) action_deadline: SystemTime,
    pub(crate) deadline: Instant,
    pub(crate) aws: SdkConfig,
    pub(crate) store: SdkConfig,
    pub(crate) settings: Settings,
    pub(crate) hidden: Hidden,
    /// How artifacts are encrypted.
    pub(crate) encryption: Encryption,
    /// The names of the outputs that have been published so far.
    pub(crate) published: Arc<Mutex<Vec<String>>>,
}

/// What an action has found out and nobody is to see. It is taken out of what is reported, however the step ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden(Arc<RwLock<Secrets>>);

impl Hidden {
    fn add(&self, values: impl IntoIterator<Item = String>) {
        let mut secrets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *secrets = secrets.and(values);
    }

    /// Beside those that were known before.
    pub(crate) fn with(&self, known: &Secrets) -> Secrets {
        known.with(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What an action asked of its job and cannot have.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No artifact of that name.
    #[error(
        "the action has no {direction} artifact `{name}`; {}",
        exist(direction, existing)
    )]
    NoArtifact {
        /// `input` or `output`.
        direction: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        existing: Vec<String>,
    },
    /// The action was set up without the artifacts it needs.
    #[error("the action has no {direction} artifact")]
    NoArtifacts {
        /// `input` or `output`.
        direction: &'static str,
    },
    /// The artifact was sent without a place in S3.
    #[error("CodePipeline sent no location for artifact `{0}`")]
    NoLocation(String),
    /// An artifact could not be read or written.
    #[error("failed to use artifact `{name}`: {source}")]
    Artifact {
        /// The artifact's name.
        name: String,
        /// Why; part of the text already.
        source: ArtifactError,
    },
    /// The continuation token's state is not this action's.
    #[error("the state in the continuation token cannot be read: {0}")]
    State(#[source] serde_json::Error),
}

fn exist(direction: &str, existing: &[String]) -> String {
    if existing.is_empty() {
        format!("it has no {direction} artifacts")
    } else {
        format!("it has {}", existing.join(", "))
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::NoArtifact { direction, .. } | JobError::NoArtifacts { direction } => {
                Failure::configuration(message).with_hint(format!(
                    "name it under the action's {} in the pipeline",
                    if direction == "input" {
                        "InputArtifacts"
                    } else {
                        "OutputArtifacts"
                    }
                ))
            }
            JobError::NoLocation(_) => Failure::unavailable(message),
            JobError::Artifact { source, .. } => moving::failure(&source, message),
            JobError::State(_) => Failure::job(message).with_hint(
                "the functions were replaced while the action was at work; retry the stage",
            ),
        }
    }
}

/// What a job is made of beside its event.
pub(crate) struct Standing {
    pub(crate) origin: JobId,
    pub(crate) attempt: u32,
    pub(crate) started_at: SystemTime,
    pub(crate) action_deadline: SystemTime,
    pub(crate) deadline: Instant,
    pub(crate) settings: Settings,
    pub(crate) hidden: Hidden,
}

impl<P> Job<P> {
    pub(crate) fn new(
        id: JobId,
        event: Event,
        token: Option<Token>,
        parameters: P,
        standing: Standing,
        aws: &SdkConfig,
    ) -> Self {
        let store = store_config(&event, aws);
        let encryption = sse(event.encryption_key.as_ref());
        let Artifacts { located, unlocated } = event.outputs;
        let unlocated = [unlocated, event.inputs.unlocated].concat();
        Self {
            id,
            parameters,
            inputs: event.inputs.located,
            outputs: located,
            token,
            encryption_key: event.encryption_key,
            artifact_credentials_expire: event
                .credentials
                .and_then(|credentials| credentials.expires),
            account: event.account,
            unlocated,
            origin: standing.origin,
            attempt: standing.attempt,
            started_at: standing.started_at,
            action_deadline: standing.action_deadline,
            deadline: standing.deadline,
            aws: aws.clone(),
            store,
            settings: standing.settings,
            hidden: standing.hidden,
            encryption,
            published: Arc::default(),
        }
    }

    /// The input artifact of a name.
    pub fn input(&self, name: &str) -> Result<&Artifact, JobError> {
        self.find("input", &self.inputs, name)
    }

    /// The output artifact of a name.
    pub fn output(&self, name: &str) -> Result<&Artifact, JobError> {
        self.find("output", &self.outputs, name)
    }

    /// The first input artifact, for actions whose first input has a meaning of its own.
    pub fn first_input(&self) -> Result<&Artifact, JobError> {
        self.inputs
            .first()
            .ok_or(JobError::NoArtifacts { direction: "input" })
    }

    fn find<'a>(
        &self,
        direction: &'static str,
        artifacts: &'a [Artifact],
        name: &str,
    ) -> Result<&'a Artifact, JobError> {
        if let Some(found) = artifacts.iter().find(|artifact| artifact.name == name) {
            return Ok(found);
        }
        if self.unlocated.iter().any(|known| known == name) {
            return Err(JobError::NoLocation(name.to_owned()));
        }
        Err(JobError::NoArtifact {
            direction,
            name: name.to_owned(),
            existing: artifacts.iter().map(|a| a.name.clone()).collect(),
        })
    }

    /// AWS with the function's role: everything but artifacts.
    pub fn aws(&self) -> &SdkConfig {
        &self.aws
    }

    /// Has values that must not be seen taken out of whatever is reported of this job.
    pub fn hide(&self, values: impl IntoIterator<Item = String>) {
        self.hidden.add(values);
    }

    /// When the step should have come to an outcome. A little later the run loop gives it up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When a tool should have ended that begins now. About a tenth of the budget is kept back, so
    /// that what it printed can be reported and what it made be published.
    pub fn work_deadline(&self) -> Instant {
        Instant::now() + budget::work(self.budget())
    }

    /// How long [`Job::deadline`] is from now.
    pub fn budget(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// What the last step handed on; nothing at the first step.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, JobError> {
        self.token
            .as_ref()
            .map(|token| T::deserialize(&token.state))
            .transpose()
            .map_err(JobError::State)
    }

    /// Which step of the action this is: 1 is the first.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The id of the action's first job: the same in every step, and in a step that is repeated.
    /// Good for names and idempotency tokens.
    pub fn origin(&self) -> &JobId {
        &self.origin
    }

    /// When the action's first step started.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// When the whole action must be over.
    pub fn action_deadline(&self) -> SystemTime {
        self.action_deadline
    }
}

impl<P: fmt::Debug> fmt::Debug for Job<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Job")
            .field("id", &self.id)
            .field("parameters", &self.parameters)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The configuration that reaches the artifacts.
pub(crate) fn store_config(event: &Event, aws: &SdkConfig) -> SdkConfig {
    match &event.credentials {
        Some(credentials) => towpath_aws::with_credentials(aws, credentials.keys.expose().clone()),
        None => aws.clone(),
    }
}

/// How artifacts must be encrypted: with the pipeline's key, else with the account's own.
/// (User guide, "Create and add a custom action".)
pub(crate) fn sse(key: Option<&EncryptionKey>) -> Encryption {
    key.map_or(Encryption::Kms, |key| Encryption::KmsKey(key.id.clone()))
}
