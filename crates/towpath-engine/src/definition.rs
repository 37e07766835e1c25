//! The definition of a pipeline: CodePipeline's JSON structure, parsed once and kept for round trip.
//!
//! [`Definition::parse`] takes the `pipeline` object of `CreatePipeline`. What it does not act on
//! is carried along untouched, and [`Definition::carried`] says so in words.

mod catalogue;
mod check;
mod read;

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::constraint::Violations;

pub use catalogue::Provider;

/// A pipeline's structure, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The pipeline's name.
    pub name: String,
    /// The role that CodePipeline assumes, unless an action names its own.
    pub role_arn: String,
    /// The region that the pipeline lives in.
    pub region: String,
    /// Where artifacts are kept, by region. A single store stands under the pipeline's own region.
    pub stores: IndexMap<String, ArtifactStore>,
    /// At least two; the first holds the source actions and nothing else.
    pub stages: Vec<Stage>,
    /// `V1` or `V2`.
    pub pipeline_type: PipelineType,
    /// What happens when executions meet.
    pub mode: ExecutionMode,
    /// Pipeline-level variables.
    pub variables: Vec<Variable>,
    document: Map<String, Value>,
}

/// A bucket for artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactStore {
    /// The bucket's name.
    pub bucket: String,
    /// The id or ARN of a customer managed key.
    pub encryption_key: Option<String>,
}

/// A stage: actions in groups of equal run order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Unique in the pipeline.
    pub name: String,
    /// At least one.
    pub actions: Vec<Action>,
    /// The automatic retry of `onFailure`.
    pub retry: Option<RetryMode>,
}

/// One action of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Unique in the stage.
    pub name: String,
    /// As the definition names it.
    pub action_type: ActionType,
    /// What runs it.
    pub provider: Provider,
    /// Actions with a lower number end before this one begins.
    pub run_order: u16,
    /// As written, references to variables included.
    pub configuration: IndexMap<String, String>,
    /// Names of artifacts that earlier actions declare as output.
    pub inputs: Vec<String>,
    /// Names of artifacts, unique in the pipeline.
    pub outputs: Vec<String>,
    /// Where the action's output variables are found by later ones.
    pub namespace: Option<String>,
    /// The action's own role.
    pub role_arn: Option<String>,
    /// The action's own region.
    pub region: Option<String>,
    /// Of an approval.
    pub timeout: Option<Duration>,
}

/// `actionTypeId`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionType {
    /// `Source`, `Invoke`, `Approval`, …
    pub category: String,
    /// `AWS`, `ThirdParty` or `Custom`.
    pub owner: String,
    /// `Lambda`, …
    pub provider: String,
    /// `1`.
    pub version: String,
}

/// A pipeline-level variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Unique in the pipeline.
    pub name: String,
    /// Without one, a value must be given at the start of every execution.
    pub default: Option<String>,
}

/// `pipelineType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineType {
    /// The default.
    V1,
    /// Adds variables, triggers and the execution modes other than `SUPERSEDED`.
    V2,
}

impl PipelineType {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
        }
    }
}

/// `executionMode`: what happens when executions meet at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionMode {
    /// One execution per stage and one waiter, which a newer execution replaces. The default.
    Superseded,
    /// One execution per stage; the others wait in order.
    Queued,
    /// Executions do not meet.
    Parallel,
}

impl ExecutionMode {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Superseded => "SUPERSEDED",
            Self::Queued => "QUEUED",
            Self::Parallel => "PARALLEL",
        }
    }
}

/// Which actions of a stage are run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryMode {
    /// Those that did not succeed.
    FailedActions,
    /// Every one.
    AllActions,
}

impl RetryMode {
    /// The mode that the API writes so.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "FAILED_ACTIONS" => Some(Self::FailedActions),
            "ALL_ACTIONS" => Some(Self::AllActions),
            _ => None,
        }
    }
}

/// Why a definition is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// Members of the wrong length, pattern or range, or absent ones.
    #[error("{0}")]
    Constraint(Violations),
    /// The pipeline as a whole does not hold together.
    #[error("{0}")]
    Structure(String),
    /// A stage is wrong.
    #[error("{problem} (stage `{stage}`)")]
    Stage {
        /// Its name.
        stage: String,
        /// What is wrong.
        problem: String,
    },
    /// An action is wrong.
    #[error("{problem} (stage `{stage}`, action `{action}`)")]
    Action {
        /// The name of its stage.
        stage: String,
        /// Its name.
        action: String,
        /// What is wrong.
        problem: String,
    },
}

impl Definition {
    /// Parses and checks the `pipeline` object of `CreatePipeline`, for a pipeline that lives in `region`.
    pub fn parse(document: &Value, region: &str) -> Result<Self, DefinitionError> {
        let definition = read::read(document, region).map_err(DefinitionError::Constraint)?;
        check::check(&definition)?;
        Ok(definition)
    }

    /// The `pipeline` object as `GetPipeline` shows it, the defaults filled in.
    pub fn document(&self, version: u32) -> Value {
        let mut document = self.document.clone();
        document.insert("version".into(), version.into());
        Value::Object(document)
    }

    /// What the definition asks for and the engine does not act on, in words, each once.
    pub fn carried(&self) -> Vec<String> {
        let mut carried = Vec::new();
        if self.document.get("triggers").is_some_and(not_empty) {
            carried.push(
                "pipeline triggers (an execution is started by StartPipelineExecution)".into(),
            );
        }
        for stage in list(&self.document, "stages") {
            for member in ["beforeEntry", "onSuccess", "onFailure"] {
                let Some(conditions) = stage.get(member) else {
                    continue;
                };
                let result = conditions.get("result").and_then(Value::as_str);
                if conditions.get("conditions").is_some_and(not_empty)
                    || matches!(result, Some("ROLLBACK" | "SKIP"))
                {
                    carried.push(format!("stage conditions and rollback ({member})"));
                }
            }
        }
        let regions = self.stages.iter().flat_map(|stage| &stage.actions);
        for region in regions.filter_map(|action| action.region.as_ref()) {
            if *region != self.region {
                carried.push(format!("actions in another region ({region})"));
            }
        }
        carried.sort();
        carried.dedup();
        carried
    }

    /// The place of a stage.
    pub fn stage(&self, name: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name == name)
    }

    /// The store for artifacts made in `region`.
    pub fn store(&self, region: Option<&str>) -> &ArtifactStore {
        region
            .and_then(|region| self.stores.get(region))
            .or_else(|| self.stores.get(&self.region))
            .unwrap_or_else(|| &self.stores[0])
    }
}

fn not_empty(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
}

fn list<'a>(object: &'a Map<String, Value>, member: &str) -> &'a [Value] {
    object
        .get(member)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
