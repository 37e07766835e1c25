//! An action that runs in CodeBuild: started there, watched, its outputs brought home.
//!
//! The job's credentials stay in the function. It brings the job's inputs to a bucket of its own,
//! with an [`Order`] beside them that says what is to be done; a build does that
//! ([`inside`]), with the same code as the function would, and leaves its outputs and an [`Answer`]
//! there; the function brings the outputs to where the job wants them. So a build is told nothing
//! that is worth stealing, and `StartBuild` says nothing but where the order is: image, role and
//! commands are the project's.
//!
//! Whatever happens twice, one build does the work. The order is written once. `StartBuild` carries
//! an idempotency token, which CodeBuild remembers for five minutes; after those a second build may
//! begin, finds the order claimed by the first, and ends.

pub(crate) mod inside;
mod observe;
mod order;

use std::marker::PhantomData;

use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::config::retry::RetryConfig;
use aws_sdk_codebuild::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_codebuild::types::EnvironmentVariable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use towpath_artifact::{Encryption, Location};
use towpath_aws::SdkConfig;

use crate::action::Action;
use crate::failure::{Failure, FailureType, aws_cause, aws_kind};
use crate::job::{Job, JobError};
use crate::moving;
use crate::outcome::{Outcome, Progress};
use crate::parameters::CodeBuild;
use crate::token::to_millis;
use observe::{Seen, Verdict};
use order::{Answer, Claim, Drawer, DrawerError, Order, Stored};

/// The variable of a function that names the bucket for orders. A build has no use for it.
pub(crate) const BUCKET: &str = "BUILD_BUCKET";
/// The variable of a function that lists the projects which `project=` may name, separated by commas.
pub(crate) const PROJECTS: &str = "BUILD_PROJECTS";
/// The variable of a build that says where its order is: `s3://bucket/key`.
pub(crate) const ORDER: &str = "TOWPATH_ORDER";
/// The variable of a build that names the action, and so the executable.
pub(crate) const ACTION: &str = "TOWPATH_ACTION";

/// How often a call is made within a step.
const ATTEMPTS: u32 = 3;

/// Why an action could not be run in CodeBuild. What the build itself came to is no such error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The function was not told where orders go.
    #[error("the function has no bucket for builds, so `compute=codebuild` cannot be done")]
    NoBucket,
    /// Neither the action nor the function names a project.
    #[error("`compute=codebuild` does not say which build project: {}", allowed(.0))]
    NoProject(Vec<String>),
    /// A project that the function may not start builds of.
    #[error("build project `{project}` is not one of those that this function may use: {}", allowed(.known))]
    Forbidden {
        /// As asked for.
        project: String,
        /// What there is.
        known: Vec<String>,
    },
    /// There is no such project.
    #[error("there is no build project `{project}` in {region}: {message}")]
    NoSuchProject {
        /// As asked for.
        project: String,
        /// Where it was looked for.
        region: String,
        /// What CodeBuild said.
        message: String,
    },
    /// CodeBuild refused.
    #[error("failed to {doing}: {message}")]
    Refused {
        /// As in "failed to start a build of `x`".
        doing: String,
        /// What the error code stands for.
        kind: FailureType,
        /// What CodeBuild said.
        message: String,
    },
    /// The order, or what lies beside it, could not be read or written.
    #[error(transparent)]
    Drawer(#[from] DrawerError),
    /// The job's artifacts, or its state.
    #[error(transparent)]
    Job(#[from] JobError),
}

fn allowed(projects: &[String]) -> String {
    match projects {
        [] => "it may use none".to_owned(),
        some => format!("it may use {}", some.join(", ")),
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let message = error.to_string();
        match error {
            BuildError::NoBucket => Self::configuration(message).with_hint(format!(
                "give the function the variable {BUCKET}; template.yaml does when its parameter BuildProjects is `yes`"
            )),
            BuildError::NoProject(_) | BuildError::Forbidden { .. } => Self::configuration(message)
                .with_hint(format!(
                    "name one with `project=`; the function's variable {PROJECTS} lists them"
                )),
            BuildError::NoSuchProject { .. } => {
                Self::configuration(message).with_hint("check `project=`")
            }
            BuildError::Refused { kind, .. } => Self::new(kind, message),
            BuildError::Drawer(error) => error.into(),
            BuildError::Job(error) => error.into(),
        }
    }
}

/// What a function is told of builds by its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Means {
    pub(crate) bucket: Option<String>,
    /// Any, if it is not said.
    pub(crate) projects: Option<Vec<String>>,
}

impl Means {
    /// Reads them.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let filled = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let list = |text: String| {
            let names = text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        Self {
            bucket: filled(BUCKET),
            projects: filled(PROJECTS).map(list),
        }
    }

    /// The bucket, and the project to start a build of.
    fn choose(&self, asked: Option<&str>) -> Result<(String, String), BuildError> {
        let bucket = self.bucket.clone().ok_or(BuildError::NoBucket)?;
        let project = match (asked, self.projects.as_deref()) {
            (Some(asked), None) => asked.to_owned(),
            (Some(asked), Some(known)) if known.iter().any(|known| known == asked) => {
                asked.to_owned()
            }
            (Some(asked), Some(known)) => {
                return Err(BuildError::Forbidden {
                    project: asked.to_owned(),
                    known: known.to_vec(),
                });
            }
            (None, Some([only])) => only.clone(),
            (None, known) => {
                return Err(BuildError::NoProject(known.unwrap_or_default().to_vec()));
            }
        };
        Ok((bucket, project))
    }
}

/// Where an action stands that is in CodeBuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    project: String,
    bucket: String,
    /// Nothing as long as CodeBuild has not said that it has begun one.
    build: Option<String>,
}

/// An action, with CodeBuild doing the work of it.
pub(crate) struct InCodeBuild<A> {
    pub(crate) action: PhantomData<A>,
    pub(crate) compute: CodeBuild,
    /// The action's `UserParameters`, as they came.
    pub(crate) user_parameters: String,
    pub(crate) means: Means,
}

impl<A: Action> Action for InCodeBuild<A> {
    const NAME: &'static str = A::NAME;
    type Parameters = A::Parameters;
    type Error = BuildError;

    async fn step(&self, job: &Job<A::Parameters>) -> Result<Outcome, BuildError> {
        let standing = if let Some(standing) = job.state::<Standing>()? {
            standing
        } else {
            let (bucket, project) = self.means.choose(self.compute.project.as_deref())?;
            let standing = Standing {
                project,
                bucket,
                build: None,
            };
            self.prepare(job, &standing).await?;
            standing
        };
        let drawer = drawer(A::NAME, job, &standing);
        let client = asking(job.aws());
        match standing.build.clone() {
            None => self.begin(job, &client, &drawer, standing).await,
            Some(build) => self.look(job, &client, &drawer, standing, &build).await,
        }
    }
}

fn drawer<P>(action: &str, job: &Job<P>, standing: &Standing) -> Drawer {
    Drawer::new(
        towpath_aws::s3(job.aws()),
        &standing.bucket,
        action,
        job.origin().as_str(),
    )
}

impl<A: Action> InCodeBuild<A> {
    /// Brings the inputs over and writes the order, unless that was done before.
    async fn prepare(
        &self,
        job: &Job<A::Parameters>,
        standing: &Standing,
    ) -> Result<(), BuildError> {
        let drawer = drawer(A::NAME, job, standing);
        if drawer.get::<Order>(Order::KEY).await?.is_some() {
            return Ok(());
        }
        // Two who bring the same thing at once do not write over each other.
        let attempt = &job.id.as_str();
        let (own, theirs) = (job.own_store(), job.artifacts());
        let mut inputs = Vec::new();
        for (number, input) in job.inputs.iter().enumerate() {
            let key = drawer.key(&format!("{attempt}/in/{number}"));
            let to = Location {
                bucket: &standing.bucket,
                key: &key,
            };
            theirs
                .relay(input.place(), (&own, to), &Encryption::Bucket)
                .await
                .map_err(|source| moving::failed(input, source))?;
            inputs.push(Stored::of(input, &standing.bucket, &key));
        }
        let outputs = job.outputs.iter().enumerate();
        let outputs = outputs.map(|(number, output)| {
            let key = drawer.key(&format!("{attempt}/out/{number}"));
            Stored::of(output, &standing.bucket, &key)
        });
        let order = Order {
            version: Order::VERSION,
            action: A::NAME.to_owned(),
            job: job.origin().as_str().to_owned(),
            account: job.account.clone(),
            user_parameters: self.user_parameters.clone(),
            started_at: to_millis(job.started_at()),
            deadline: to_millis(job.action_deadline()),
            inputs,
            outputs: outputs.collect(),
            unlocated: job.unlocated.clone(),
        };
        // Another one's order is as good.
        drawer.put_new(Order::KEY, &order).await?;
        Ok(())
    }

    /// Has CodeBuild begin, unless a build has begun already.
    async fn begin(
        &self,
        job: &Job<A::Parameters>,
        client: &Client,
        drawer: &Drawer,
        mut standing: Standing,
    ) -> Result<Outcome, BuildError> {
        if let Some(claim) = drawer.get::<Claim>(Claim::KEY).await? {
            standing.build = Some(claim.build);
            return Ok(going_on(&standing, "a build has begun".to_owned()));
        }
        let variable = |name: &str, value: &str| {
            EnvironmentVariable::builder()
                .name(name)
                .value(value)
                .build()
                .expect("name and value are set")
        };
        let started = client
            .start_build()
            .project_name(&standing.project)
            .idempotency_token(token(A::NAME, job.origin().as_str(), &standing.project))
            .environment_variables_override(variable(ACTION, A::NAME))
            .environment_variables_override(variable(ORDER, &drawer.url(Order::KEY)))
            .send()
            .await;
        match started {
            Ok(answer) => {
                let build = answer.build_value.and_then(|build| build.id);
                tracing::info!(build, project = standing.project, "a build was started");
                let summary = match &build {
                    Some(build) => format!("CodeBuild has taken build {build}"),
                    None => "CodeBuild has taken the build".to_owned(),
                };
                standing.build = build;
                Ok(going_on(&standing, summary))
            }
            Err(error) if is_passing(&error) => {
                let cause = aws_cause(&error);
                tracing::warn!(cause, "CodeBuild has not taken the build yet");
                let summary = format!("CodeBuild has not taken the build yet: {cause}");
                Ok(going_on(&standing, summary))
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                Err(BuildError::NoSuchProject {
                    project: standing.project,
                    region: region(job.aws()),
                    message: aws_cause(&error),
                })
            }
            Err(error) => Err(BuildError::Refused {
                doing: format!("start a build of project `{}`", standing.project),
                kind: aws_kind(&error),
                message: aws_cause(&error),
            }),
        }
    }

    /// Looks at the build, and brings home what it made when it is over.
    async fn look(
        &self,
        job: &Job<A::Parameters>,
        client: &Client,
        drawer: &Drawer,
        mut standing: Standing,
        id: &str,
    ) -> Result<Outcome, BuildError> {
        let asked = client.batch_get_builds().ids(id).send().await;
        let seen = match asked {
            Ok(answer) => answer
                .builds
                .and_then(|builds| builds.into_iter().find(|build| build.id() == Some(id)))
                .map(|build| Seen::of(&build)),
            Err(error) if is_passing(&error) => {
                let cause = aws_cause(&error);
                tracing::warn!(build = id, cause, "the build could not be looked at");
                let summary = format!("build {id} could not be looked at: {cause}");
                return Ok(going_on(&standing, summary));
            }
            Err(error) => {
                return Err(BuildError::Refused {
                    doing: format!("look at build {id}"),
                    kind: aws_kind(&error),
                    message: aws_cause(&error),
                });
            }
        };
        if let Some(seen) = &seen
            && let Verdict::Running(summary) = seen.verdict(id)
        {
            return Ok(going_on(&standing, summary));
        }
        let answer = match drawer.get::<Answer>(Answer::KEY).await {
            Ok(answer) => answer,
            // What it made is there; it is fetched the next time.
            Err(error) if error.is_passing() => {
                let summary = format!("build {id} is over: {error}");
                return Ok(going_on(&standing, summary));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(answer) = answer {
            return self
                .bring_home(job, drawer, answer, id, seen.as_ref())
                .await;
        }
        if let Some(claim) = drawer.get::<Claim>(Claim::KEY).await?
            && claim.build != id
        {
            let summary = format!("build {} does the work, not {id}", claim.build);
            standing.build = Some(claim.build);
            return Ok(going_on(&standing, summary));
        }
        let failure = match &seen {
            Some(seen) => seen.failure(id, &drawer.url(Answer::KEY)),
            None => observe::vanished(id),
        };
        Ok(Outcome::Failed(failure.with_external_id(id)))
    }

    /// Brings the outputs to where the job wants them, and tells what the build told.
    async fn bring_home(
        &self,
        job: &Job<A::Parameters>,
        drawer: &Drawer,
        answer: Answer,
        id: &str,
        seen: Option<&Seen>,
    ) -> Result<Outcome, BuildError> {
        let log = seen.map(Seen::log).unwrap_or_default();
        let mut receipts = Vec::new();
        let failed = answer.failure.is_some();
        let order = drawer.get::<Order>(Order::KEY).await?;
        let places = order.map(Order::places).unwrap_or_default();
        for stored in &answer.published {
            // A build is not to be believed which artifacts the action has.
            let Some(output) = job.outputs.iter().find(|output| output.name == stored.name) else {
                continue;
            };
            let from = Location {
                bucket: &stored.bucket,
                key: &stored.key,
            };
            match job.bring(from, output).await {
                Ok(receipt) => receipts.push(receipt),
                Err(error) if failed => {
                    tracing::warn!("an output of a build that failed is left behind: {error}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(answer.outcome(receipts, &places, id, &log))
    }
}

/// Stops the build of an action whose time is over. That it may fail is only told: the project's
/// own time-out ends the build then.
pub(crate) async fn stop(aws: &SdkConfig, state: &Value) {
    let Some(build) = Standing::deserialize(state)
        .ok()
        .and_then(|standing| standing.build)
    else {
        return;
    };
    match client(aws).stop_build().id(&build).send().await {
        Ok(_) => tracing::info!(build, "the build was stopped: the action's time is over"),
        Err(error) => tracing::warn!(
            build,
            "failed to stop the build, whose project's time-out will end it: {}",
            aws_cause(&error)
        ),
    }
}

/// For what the next step asks again: it waits no longer than that, and not in a function that costs money.
fn asking(aws: &SdkConfig) -> Client {
    let config = aws_sdk_codebuild::config::Builder::from(&towpath_aws::control_plane(aws));
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    Client::from_conf(config.retry_config(retries).build())
}

fn client(aws: &SdkConfig) -> Client {
    Client::new(&towpath_aws::control_plane(aws))
}

fn region(aws: &SdkConfig) -> String {
    aws.region()
        .map_or_else(|| "an unknown Region".to_owned(), ToString::to_string)
}

fn going_on(standing: &Standing, summary: String) -> Outcome {
    Outcome::Continue {
        state: serde_json::to_value(standing).expect("texts can be written as JSON"),
        progress: Progress::new(summary).with_external_id(standing.build.clone()),
    }
}

/// The same for the same action, project and job, whoever asks: a repeated request starts nothing
/// new. Of CodeBuild's tokens nothing is documented but that they are texts.
fn token(action: &str, job: &str, project: &str) -> String {
    hex::encode(&Sha256::digest(format!("{action}\n{job}\n{project}"))[..16])
}

/// Whether a call may go well when it is made again: throttled, not answered, or too many builds.
fn is_passing<E, R>(error: &SdkError<E, R>) -> bool
where
    E: ProvideErrorMetadata,
{
    aws_kind(error) == FailureType::SystemUnavailable
        || error.code() == Some("AccountLimitExceededException")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_one_that_the_function_may_use() {
        let means = |bucket: Option<&str>, projects: Option<&str>| {
            Means::of(|name| match name {
                BUCKET => bucket.map(str::to_owned),
                _ => projects.map(str::to_owned),
            })
        };
        for (bucket, projects, asked, expected) in [
            (None, Some("a"), Some("a"), Err("no bucket for builds")),
            (Some("b"), None, Some("any"), Ok("any")),
            (Some("b"), None, None, Err("it may use none")),
            (Some("b"), Some("a"), None, Ok("a")),
            (Some("b"), Some("a, c"), Some("c"), Ok("c")),
            (Some("b"), Some("a, c"), None, Err("it may use a, c")),
            (Some("b"), Some("a"), Some("c"), Err("`c` is not one of")),
            (Some("b"), Some(" "), Some("c"), Ok("c")),
        ] {
            let chosen = means(bucket, projects).choose(asked);
            match (chosen, expected) {
                (Ok((_, project)), Ok(expected)) => assert_eq!(project, expected),
                (Err(error), Err(part)) => {
                    let failure = Failure::from(error);
                    assert_eq!(failure.kind, FailureType::ConfigurationError);
                    assert!(failure.message.contains(part), "{}", failure.message);
                }
                (chosen, expected) => panic!("{asked:?}: {chosen:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_token_is_the_same_for_the_same_and_for_nothing_else() {
        let one = token("install-deps", "job-1", "app");
        assert_eq!(one, token("install-deps", "job-1", "app"));
        for (action, job, project) in [
            ("run-e2e", "job-1", "app"),
            ("install-deps", "job-2", "app"),
            ("install-deps", "job-1", "other"),
        ] {
            assert_ne!(one, token(action, job, project), "{action} {job} {project}");
        }
    }
}
