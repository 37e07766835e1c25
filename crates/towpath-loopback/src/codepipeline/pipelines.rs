//! Pipelines and their tags: create, update, get, delete, list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use towpath_engine::constraint::Rule;
use towpath_engine::{Definition, Engine, Input, Settings};

use super::answer::seconds;
use super::request::{Request, page};
use super::{CodePipeline, Pipeline, driver, find, find_mut, refusal, role};
use crate::{AwsError, World};

const TAG_KEY: Rule = Rule::length(1, 128);
const TAG_VALUE: Rule = Rule::length(0, 256);
const TOKEN: Rule = Rule::length(1, 2048);

impl CodePipeline {
    pub(super) fn create_pipeline(
        &self,
        world: &Arc<World>,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let definition = parse(world, input)?;
        let tags = tags(input)?;
        let name = definition.name.clone();
        let mut state = self.lock();
        if state.pipelines.contains_key(&name) {
            return Err(AwsError::client(
                "PipelineNameInUseException",
                format!(
                    "A pipeline with the name '{name}' already exists in account '{}'",
                    world.settings.account
                ),
            ));
        }
        let now = self.clock.now();
        let document = definition.document(1);
        let settings = Settings {
            reinvocation_interval: world.settings.reinvocation_interval,
            reply_timeout: world.settings.reply_timeout,
            ..Settings::default()
        };
        let (timer, alarm) = watch::channel(None);
        driver::keep_time(world, &name, alarm);
        state.pipelines.insert(
            name,
            Pipeline {
                engine: Engine::new(definition, settings),
                documents: vec![document.clone()],
                created: now,
                updated: now,
                tags: tags.clone(),
                starts: HashMap::new(),
                timer,
            },
        );
        Ok(json!({"pipeline": document, "tags": tag_list(&tags)}))
    }

    pub(super) fn update_pipeline(
        &self,
        world: &Arc<World>,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let definition = parse(world, input)?;
        let name = definition.name.clone();
        let (document, effects) = {
            let mut state = self.lock();
            let pipeline = find_mut(&mut state, &name)?;
            let document = definition.document(pipeline.engine.version() + 1);
            let effects = self.handle(pipeline, Input::Update(Box::new(definition)))?;
            pipeline.documents.push(document.clone());
            pipeline.updated = self.clock.now();
            (document, effects)
        };
        driver::perform(world, &name, effects);
        Ok(json!({"pipeline": document}))
    }

    pub(super) fn get_pipeline(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("name");
        let version = request.integer("version", 1, i64::MAX);
        request.finish()?;
        let state = self.lock();
        let pipeline = find(&state, &name)?;
        let index = match version {
            None => Some(pipeline.documents.len() - 1),
            Some(version) => usize::try_from(version - 1).ok(),
        };
        let document = index
            .and_then(|index| pipeline.documents.get(index))
            .ok_or_else(|| {
                AwsError::client(
                    "PipelineVersionNotFoundException",
                    format!(
                        "pipeline `{name}` has no version {}; its newest is {}",
                        version.unwrap_or_default(),
                        pipeline.documents.len()
                    ),
                )
            })?;
        Ok(json!({
            "pipeline": document,
            "metadata": {
                "pipelineArn": world.arn("codepipeline", &name),
                "created": seconds(pipeline.created),
                "updated": seconds(pipeline.updated),
            },
        }))
    }

    /// A pipeline that is not there is deleted already.
    pub(super) fn delete_pipeline(
        &self,
        world: &Arc<World>,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let name = request.name("name");
        request.finish()?;
        let effects = {
            let mut state = self.lock();
            match state.pipelines.remove(&name) {
                Some(mut pipeline) => self.handle(&mut pipeline, Input::Delete)?,
                None => Vec::new(),
            }
        };
        driver::perform(world, &name, effects);
        Ok(json!({}))
    }

    pub(super) fn list_pipelines(&self, input: &Value) -> Result<Value, AwsError> {
        let mut request = Request::new(input);
        let most = request.integer("maxResults", 1, 1000);
        let token = request.text("nextToken", &TOKEN);
        request.finish()?;
        let state = self.lock();
        let all = state.pipelines.iter().collect();
        let (pipelines, next) = page(all, |(name, _)| (*name).clone(), most, token.as_deref())?;
        let pipelines: Vec<Value> = pipelines
            .into_iter()
            .map(|(name, pipeline)| {
                let definition = pipeline.engine.definition();
                json!({
                    "name": name,
                    "version": pipeline.engine.version(),
                    "pipelineType": definition.pipeline_type.as_str(),
                    "executionMode": definition.mode.as_str(),
                    "created": seconds(pipeline.created),
                    "updated": seconds(pipeline.updated),
                })
            })
            .collect();
        Ok(super::answer::object(
            json!({"pipelines": pipelines, "nextToken": next}),
        ))
    }

    pub(super) fn tag_resource(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let tags = tags(input)?;
        self.with_tags(world, input, |known| known.extend(tags))?;
        Ok(json!({}))
    }

    pub(super) fn untag_resource(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let keys: Vec<&str> = crate::input::list(input, "tagKeys")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        self.with_tags(world, input, |known| {
            known.retain(|key, _| !keys.contains(&key.as_str()));
        })?;
        Ok(json!({}))
    }

    pub(super) fn list_tags(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let tags = self.with_tags(world, input, |known| tag_list(known))?;
        Ok(json!({ "tags": tags }))
    }

    fn with_tags<T>(
        &self,
        world: &World,
        input: &Value,
        act: impl FnOnce(&mut BTreeMap<String, String>) -> T,
    ) -> Result<T, AwsError> {
        let mut request = Request::new(input);
        let arn = request.required("resourceArn", &Rule::length(1, 2048));
        request.finish()?;
        let name = arn
            .strip_prefix(&world.arn("codepipeline", ""))
            .ok_or_else(|| {
                AwsError::client(
                    "InvalidArnException",
                    format!("`{arn}` is no pipeline's ARN"),
                )
            })?;
        let mut state = self.lock();
        let pipeline = state.pipelines.get_mut(name).ok_or_else(|| {
            AwsError::client(
                "ResourceNotFoundException",
                format!("no pipeline has the ARN {arn}"),
            )
        })?;
        Ok(act(&mut pipeline.tags))
    }
}

fn parse(world: &World, input: &Value) -> Result<Definition, AwsError> {
    let document = input.get("pipeline").unwrap_or(&Value::Null);
    let definition =
        Definition::parse(document, &world.settings.region).map_err(refusal::of_definition)?;
    role::check(world, &definition)?;
    for feature in definition.carried() {
        world.fidelity.simulated(format!("CodePipeline: {feature}"));
    }
    Ok(definition)
}

fn tags(input: &Value) -> Result<BTreeMap<String, String>, AwsError> {
    let mut request = Request::new(input);
    let tags = request.list("tags", |tag| {
        (
            tag.required("key", &TAG_KEY),
            tag.required("value", &TAG_VALUE),
        )
    });
    request.finish()?;
    if tags.len() > 50 {
        return Err(AwsError::client(
            "TooManyTagsException",
            format!("a pipeline has at most 50 tags, not {}", tags.len()),
        ));
    }
    Ok(tags.into_iter().collect())
}

fn tag_list(tags: &BTreeMap<String, String>) -> Value {
    tags.iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect()
}
