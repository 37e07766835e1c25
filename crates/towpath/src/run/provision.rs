//! From a template to a pipeline on the loopback: through CloudFormation, as on AWS.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use aws_credential_types::Credentials;
use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_codepipeline::Client as CodePipeline;
use aws_sdk_codepipeline::types::StageTransitionType;
use aws_sdk_s3::Client as S3;
use serde_json::json;
use sha2::{Digest, Sha256};
use towpath_archive::Packing;
use towpath_aws::SdkConfig;
use towpath_loopback::Loopback;
use towpath_stack::change_set::{self, Desired, Making, ParameterValue, TemplateSource, Verdict};
use towpath_stack::plan;
use towpath_stack::step::{self, Kind, Progress, Sign};
use towpath_stack::{Observed, cause, describe};
use towpath_template::Template;
use towpath_template::package::{self, CodeKind, S3Object};

use crate::run::definition::{Code, Definition};
use crate::run::functions::Functions;
use crate::run::progress::{Event, Reporter};
use crate::run::source::Source;

/// The stack that holds the pipeline.
pub(crate) const STACK: &str = "towpath";

/// Where the packages of the template's functions go.
const PACKAGES: &str = "towpath-packages";

/// How often a stack is looked at. The loopback answers in under a millisecond.
const LOOK: Duration = Duration::from_millis(20);

/// The configuration of clients that talk to the loopback as its root user.
pub(crate) fn config(loopback: &Loopback) -> SdkConfig {
    let (key, secret) = loopback.root_credentials();
    let credentials = Credentials::new(key, secret, None, None, "loopback");
    towpath_aws::fixed(loopback.endpoint(), loopback.region(), credentials)
}

/// The pipeline as it was created.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// Its name.
    pub(crate) name: String,
    /// Its stages, in order.
    pub(crate) stages: Vec<Stage>,
    /// Where it takes its source from.
    pub(crate) source: Origin,
    /// Stage and action of each manual approval.
    pub(crate) approvals: Vec<(String, String)>,
}

/// A stage's name and those of its actions.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) actions: Vec<String>,
}

/// Where the first source action takes its source from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A repository behind a connection.
    Connection { repository: String, branch: String },
    /// An object.
    Object { bucket: String, key: String },
}

impl Pipeline {
    /// The stage of that name, or an error that lists those that exist.
    pub(crate) fn stage(&self, name: &str) -> anyhow::Result<&Stage> {
        self.stages
            .iter()
            .find(|stage| stage.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self
                    .stages
                    .iter()
                    .map(|stage| stage.name.as_str())
                    .collect();
                anyhow!(
                    "the pipeline has no stage `{name}`; it has {}",
                    names.join(", ")
                )
            })
    }
}

/// What provisioning needs at hand.
pub(crate) struct Provision<'a> {
    pub(crate) config: &'a SdkConfig,
    pub(crate) loopback: &'a Loopback,
    pub(crate) reporter: &'a Reporter,
}

impl Provision<'_> {
    /// Packages the template's functions, deploys it, and reads the pipeline back.
    pub(crate) async fn pipeline(
        &self,
        definition: &Definition,
        functions: &Functions,
        given: &[(String, String)],
    ) -> anyhow::Result<Pipeline> {
        self.reporter
            .event(&Event::Note(format!("deploying {}", definition.name)));
        let mut values: BTreeMap<String, String> = given.iter().cloned().collect();
        let text = self.packaged(definition, functions, &mut values).await?;
        let client = CloudFormation::new(self.config);
        self.deploy(&client, &definition.name, text, values).await?;
        let resources = client
            .describe_stack_resources()
            .stack_name(STACK)
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_cloudformation::Error::from(error)))?;
        let name = resources
            .stack_resources()
            .iter()
            .find(|resource| resource.resource_type() == Some("AWS::CodePipeline::Pipeline"))
            .and_then(|resource| resource.physical_resource_id())
            .with_context(|| {
                format!(
                    "template {} made no pipeline: is its condition false?",
                    definition.name
                )
            })?;
        self.read_back(name).await
    }

    /// Uploads every function's code and returns the template that points at it.
    async fn packaged(
        &self,
        definition: &Definition,
        functions: &Functions,
        values: &mut BTreeMap<String, String>,
    ) -> anyhow::Result<String> {
        let store = towpath_aws::s3(self.config);
        store
            .create_bucket()
            .bucket(PACKAGES)
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))?;
        let mut root = definition.template.value().clone();
        let mut images: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for function in definition.functions()? {
            match function.code {
                Code::Zip => {
                    let key = upload(&store, functions.package(&function.name)?).await?;
                    root["Resources"][&function.resource]["Properties"]["CodeUri"] =
                        json!({"Bucket": PACKAGES, "Key": key});
                }
                Code::Image { parameter, entry } if !values.contains_key(&parameter) => {
                    images
                        .entry(parameter)
                        .or_default()
                        .push((function.name, entry));
                }
                Code::Image { .. } => {}
            }
        }
        for (parameter, entries) in images {
            let uri = format!(
                "{}.dkr.ecr.{}.amazonaws.com/{}:local",
                self.loopback.account(),
                self.loopback.region(),
                parameter.to_lowercase()
            );
            self.loopback
                .register_image(&uri, functions.image(&entries)?.into())
                .await?;
            values.insert(parameter, uri);
        }
        let text = Template::from_value(root)?.to_yaml();
        let plan = package::plan(&text, &definition.directory)
            .with_context(|| format!("failed to package template {}", definition.name))?;
        let mut keys = BTreeMap::new();
        for code in &plan.artifacts {
            let doing = || format!("failed to package {} of {}", code.property, code.resource);
            if code.kind == CodeKind::Template {
                anyhow::bail!(
                    "{}: a nested template beside the pipeline's is not packaged; write its \
                     resources into {}, or give the https URL of a packaged one",
                    doing(),
                    definition.name
                );
            }
            let bytes = match code.kind {
                CodeKind::Zip if code.path.is_dir() => {
                    let mut zip = Vec::new();
                    towpath_archive::pack(&code.path, &mut zip, &Packing::default())
                        .with_context(doing)?;
                    zip
                }
                _ => std::fs::read(&code.path).with_context(doing)?,
            };
            keys.insert(code.path.clone(), upload(&store, bytes).await?);
        }
        Ok(plan.rewrite(|code| S3Object {
            bucket: PACKAGES.to_owned(),
            key: keys[&code.path].clone(),
            version: None,
            region: None,
        }))
    }

    async fn deploy(
        &self,
        client: &CloudFormation,
        name: &str,
        text: String,
        values: BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let desired = Desired {
            template: self.source(text).await?,
            parameters: values
                .into_iter()
                .map(|(name, value)| (name, ParameterValue::Given(value)))
                .collect(),
            capabilities: [
                "CAPABILITY_IAM",
                "CAPABILITY_NAMED_IAM",
                "CAPABILITY_AUTO_EXPAND",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Desired::default()
        };
        let token = "towpath-run";
        let doing = || format!("failed to deploy {name}");
        let made = match change_set::create(client, STACK, token, Kind::Create, &desired)
            .await
            .with_context(doing)?
        {
            Making::Made(made) => made,
            Making::NothingToDo | Making::Clash => bail!("template {name} has no resources"),
        };
        loop {
            match plan::read(client, &made.change_set, &made.stack).await?.0 {
                Verdict::Pending => tokio::time::sleep(LOOK).await,
                Verdict::Ready => break,
                Verdict::Failed(reason) | Verdict::ExecutionFailed(reason) => {
                    bail!("failed to deploy {name}: {reason}")
                }
                Verdict::Empty => bail!("template {name} has no resources"),
                Verdict::Executing | Verdict::Executed | Verdict::Obsolete => {
                    bail!("failed to deploy {name}: something else changes stack `{STACK}`")
                }
            }
        }
        change_set::execute(client, &made.change_set, &made.stack, token, false).await?;
        loop {
            let observed = describe(client, &made.stack).await?;
            match step::execution(Kind::Create, observed.status(), Sign::Ours) {
                Progress::Wait | Progress::Stale | Progress::RollingBack => {
                    tokio::time::sleep(LOOK).await;
                }
                Progress::Succeeded => return Ok(()),
                Progress::Failed | Progress::Superseded => {
                    return Err(failure(client, name, &made.stack, token, &observed).await);
                }
            }
        }
    }

    async fn source(&self, text: String) -> anyhow::Result<TemplateSource> {
        if text.len() <= change_set::BODY_LIMIT {
            return Ok(TemplateSource::Body(text));
        }
        let key = upload(&towpath_aws::s3(self.config), text.into_bytes()).await?;
        Ok(TemplateSource::Url(format!(
            "https://{PACKAGES}.s3.{}.amazonaws.com/{key}",
            self.loopback.region()
        )))
    }

    async fn read_back(&self, name: &str) -> anyhow::Result<Pipeline> {
        let answer = CodePipeline::new(self.config)
            .get_pipeline()
            .name(name)
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_codepipeline::Error::from(error)))?;
        let declaration = answer
            .pipeline()
            .context("the pipeline cannot be read back")?;
        let stages: Vec<Stage> = declaration
            .stages()
            .iter()
            .map(|stage| Stage {
                name: stage.name().to_owned(),
                actions: stage
                    .actions()
                    .iter()
                    .map(|action| action.name().to_owned())
                    .collect(),
            })
            .collect();
        let approvals = declaration
            .stages()
            .iter()
            .flat_map(|stage| stage.actions().iter().map(move |action| (stage, action)))
            .filter(|(_, action)| {
                action
                    .action_type_id()
                    .is_some_and(|id| id.category().as_str() == "Approval")
            })
            .map(|(stage, action)| (stage.name().to_owned(), action.name().to_owned()))
            .collect();
        let first = declaration
            .stages()
            .first()
            .and_then(|stage| stage.actions().first())
            .context("the pipeline has no source action")?;
        let provider = first.action_type_id().map_or("", |id| id.provider());
        let setting = |key: &str| {
            first
                .configuration()
                .and_then(|configuration| configuration.get(key))
                .cloned()
                .with_context(|| format!("source action `{}` has no {key}", first.name()))
        };
        let source = match provider {
            "CodeStarSourceConnection" => Origin::Connection {
                repository: setting("FullRepositoryId")?,
                branch: setting("BranchName")?,
            },
            "S3" => Origin::Object {
                bucket: setting("S3Bucket")?,
                key: setting("S3ObjectKey")?,
            },
            other => bail!(
                "source action `{}` has provider {other}; a source tree can be handed to CodeStarSourceConnection and to S3",
                first.name()
            ),
        };
        Ok(Pipeline {
            name: name.to_owned(),
            stages,
            source,
            approvals,
        })
    }

    /// Puts the source tree where the pipeline takes its source from.
    pub(crate) async fn hand_over(
        &self,
        pipeline: &Pipeline,
        source: &Source,
    ) -> anyhow::Result<()> {
        self.reporter.event(&Event::Note(format!(
            "source: {} files, revision {}, {}",
            source.files,
            &source.revision[..12.min(source.revision.len())],
            source.message
        )));
        match &pipeline.source {
            Origin::Connection { repository, branch } => Ok(self
                .loopback
                .register_source(
                    repository,
                    branch,
                    &source.revision,
                    &source.message,
                    source.zip.clone().into(),
                )
                .await?),
            Origin::Object { bucket, key } => {
                towpath_aws::s3(self.config)
                    .put_object()
                    .bucket(bucket)
                    .key(key)
                    .body(source.zip.clone().into())
                    .send()
                    .await
                    .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))
                    .with_context(|| format!("failed to hand the source to s3://{bucket}/{key}"))?;
                Ok(())
            }
        }
    }

    /// Keeps executions from going on after a stage.
    pub(crate) async fn stop_after(
        &self,
        client: &CodePipeline,
        pipeline: &Pipeline,
        stage: &str,
    ) -> anyhow::Result<()> {
        let next = pipeline
            .stages
            .iter()
            .skip_while(|one| one.name != stage)
            .nth(1);
        let Some(next) = next else { return Ok(()) };
        client
            .disable_stage_transition()
            .pipeline_name(&pipeline.name)
            .stage_name(&next.name)
            .transition_type(StageTransitionType::Inbound)
            .reason("towpath run --until")
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_codepipeline::Error::from(error)))
            .with_context(|| format!("failed to hold executions before stage {}", next.name))?;
        Ok(())
    }

    /// Starts an execution and returns its id.
    pub(crate) async fn start(
        &self,
        client: &CodePipeline,
        pipeline: &Pipeline,
    ) -> anyhow::Result<String> {
        let answer = client
            .start_pipeline_execution()
            .name(&pipeline.name)
            .send()
            .await
            .map_err(|error| anyhow!(aws_sdk_codepipeline::Error::from(error)))
            .context("failed to start the pipeline")?;
        answer
            .pipeline_execution_id()
            .map(str::to_owned)
            .context("the execution has no id")
    }
}

async fn failure(
    client: &CloudFormation,
    name: &str,
    stack: &str,
    token: &str,
    observed: &Observed,
) -> anyhow::Error {
    if let Ok(Some(cause)) = cause::find(client, stack, token, 0.0).await {
        return anyhow!(
            "failed to deploy {name}: {} ({}): {}",
            cause.logical_id,
            cause.resource_type,
            cause.reason
        );
    }
    let reason = observed.stack().and_then(|stack| stack.reason.clone());
    anyhow!(
        "failed to deploy {name}: {}",
        reason.unwrap_or_else(|| "no reason was given".into())
    )
}

async fn upload(store: &S3, bytes: Vec<u8>) -> anyhow::Result<String> {
    let key = package::content_key("", &hex::encode(Sha256::digest(&bytes)));
    store
        .put_object()
        .bucket(PACKAGES)
        .key(&key)
        .body(bytes.into())
        .send()
        .await
        .map_err(|error| anyhow!(aws_sdk_s3::Error::from(error)))
        .context("failed to upload a package")?;
    Ok(key)
}
