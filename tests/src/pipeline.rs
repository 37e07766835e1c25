//! A pipeline in few words.

use aws_sdk_codepipeline::error::BuildError;
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionDeclaration, ActionOwner, ActionTypeId, ArtifactStore, ArtifactStoreType,
    InputArtifact, OutputArtifact, PipelineDeclaration, PipelineType, StageDeclaration,
};

use crate::Tree;
use crate::deployment::{ARTIFACTS, PIPELINE_ROLE};

/// The name of the source's artifact, which every action takes unless it says otherwise.
const SOURCE: &str = "Source";

/// What the first stage delivers.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A repository's tree, as a zip archive.
    Repository(Vec<u8>),
    /// An object with these bytes, whatever they are.
    Object(Vec<u8>),
}

/// A source, and the stages behind it.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub(crate) source: Source,
    stages: Vec<(String, Vec<Action>)>,
}

impl Pipeline {
    /// A pipeline that takes a repository's tree.
    pub fn of(tree: &Tree) -> Self {
        Self {
            source: Source::Repository(tree.zip()),
            stages: Vec::new(),
        }
    }

    /// A pipeline that takes an object as it is: the way on which an artifact can be anything.
    pub fn of_object(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            source: Source::Object(bytes.into()),
            stages: Vec::new(),
        }
    }

    /// The same pipeline with one more stage. Its actions run one after the other.
    #[must_use]
    pub fn stage(mut self, name: &str, actions: impl IntoIterator<Item = Action>) -> Self {
        self.stages
            .push((name.to_owned(), actions.into_iter().collect()));
        self
    }

    /// Where the object of a source that is one has to lie.
    pub(crate) fn object_key(name: &str) -> String {
        format!("sources/{name}")
    }

    pub(crate) fn declaration(&self, name: &str) -> Result<PipelineDeclaration, BuildError> {
        let source = match self.source {
            Source::Repository(_) => ActionDeclaration::builder()
                .action_type_id(kind(ActionCategory::Source, "CodeStarSourceConnection")?)
                .configuration("ConnectionArn", connection())
                .configuration("FullRepositoryId", name)
                .configuration("BranchName", "main"),
            Source::Object(_) => ActionDeclaration::builder()
                .action_type_id(kind(ActionCategory::Source, "S3")?)
                .configuration("S3Bucket", ARTIFACTS)
                .configuration("S3ObjectKey", Self::object_key(name))
                .configuration("PollForSourceChanges", "false"),
        };
        let source = source
            .name(SOURCE)
            .output_artifacts(OutputArtifact::builder().name(SOURCE).build()?)
            .build()?;
        let mut stages = vec![
            StageDeclaration::builder()
                .name(SOURCE)
                .actions(source)
                .build()?,
        ];
        for (name, actions) in &self.stages {
            let mut stage = StageDeclaration::builder().name(name);
            for (order, action) in (1..).zip(actions) {
                stage = stage.actions(action.declaration(order)?);
            }
            stages.push(stage.build()?);
        }
        PipelineDeclaration::builder()
            .name(name)
            .pipeline_type(PipelineType::V2)
            .role_arn(PIPELINE_ROLE)
            .artifact_store(
                ArtifactStore::builder()
                    .r#type(ArtifactStoreType::S3)
                    .location(ARTIFACTS)
                    .build()?,
            )
            .set_stages(Some(stages))
            .build()
    }
}

/// An action that invokes a function.
#[derive(Debug, Clone)]
pub struct Action {
    name: String,
    function: String,
    parameters: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Action {
    /// An action, named after its function, that takes the source and makes nothing.
    pub fn of(function: &str, parameters: &str) -> Self {
        Self {
            name: function.to_owned(),
            function: function.to_owned(),
            parameters: parameters.to_owned(),
            inputs: vec![SOURCE.to_owned()],
            outputs: Vec::new(),
        }
    }

    /// The same action under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same action with other inputs than the source.
    #[must_use]
    pub fn takes(mut self, artifacts: &[&str]) -> Self {
        self.inputs = artifacts.iter().map(ToString::to_string).collect();
        self
    }

    /// The same action with one more output artifact.
    #[must_use]
    pub fn makes(mut self, artifact: &str) -> Self {
        self.outputs.push(artifact.to_owned());
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn declaration(&self, order: i32) -> Result<ActionDeclaration, BuildError> {
        let mut action = ActionDeclaration::builder()
            .name(&self.name)
            .action_type_id(kind(ActionCategory::Invoke, "Lambda")?)
            .configuration("FunctionName", &self.function)
            .run_order(order);
        if !self.parameters.is_empty() {
            action = action.configuration("UserParameters", &self.parameters);
        }
        for input in &self.inputs {
            action = action.input_artifacts(InputArtifact::builder().name(input).build()?);
        }
        for output in &self.outputs {
            action = action.output_artifacts(OutputArtifact::builder().name(output).build()?);
        }
        action.build()
    }
}

fn kind(category: ActionCategory, provider: &str) -> Result<ActionTypeId, BuildError> {
    ActionTypeId::builder()
        .category(category)
        .owner(ActionOwner::Aws)
        .provider(provider)
        .version("1")
        .build()
}

fn connection() -> String {
    "arn:aws:codestar-connections:us-east-1:000000000000:connection/00000000-0000-4000-8000-000000000000".to_owned()
}
