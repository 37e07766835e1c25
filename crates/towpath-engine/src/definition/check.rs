//! Whether a pipeline holds together: stages, artifacts, namespaces and references.
//!
//! Wording follows the service where its text is known; the first problem found is the one reported.

use std::collections::{HashMap, HashSet};

use super::catalogue;
use super::{Action, Definition, DefinitionError, ExecutionMode, PipelineType, Provider, Stage};
use crate::variables;

/// Stages of a pipeline (CodePipeline User Guide, quotas).
const STAGES: std::ops::RangeInclusive<usize> = 2..=50;
/// Actions of a stage. The guide says both 50 and 100; the wider is taken.
const ACTIONS_PER_STAGE: usize = 100;
/// Actions of a pipeline (the same page).
const ACTIONS: usize = 1000;

pub(super) fn check(definition: &Definition) -> Result<(), DefinitionError> {
    whole(definition)?;
    for (index, stage) in definition.stages.iter().enumerate() {
        stage_alone(index, stage)?;
    }
    let mut artifacts = Artifacts::default();
    let mut namespaces = Namespaces::collect(definition)?;
    for stage in &definition.stages {
        // Actions are looked at in the order in which they run, whatever their order in the text.
        let mut actions: Vec<&Action> = stage.actions.iter().collect();
        actions.sort_by_key(|action| action.run_order);
        for group in actions.chunk_by(|one, other| one.run_order == other.run_order) {
            for action in group {
                action_alone(definition, stage, action)?;
                artifacts.consume(stage, action)?;
                namespaces.refer(stage, action)?;
            }
            for action in group {
                artifacts.produce(stage, action)?;
                namespaces.reach(action);
            }
        }
    }
    Ok(())
}

fn whole(definition: &Definition) -> Result<(), DefinitionError> {
    let structure = |problem: String| Err(DefinitionError::Structure(problem));
    let document = &definition.document;
    let one = document.contains_key("artifactStore");
    let several = document.contains_key("artifactStores");
    if one == several {
        return structure(
            "a pipeline has either artifactStore or artifactStores, exactly one of them".into(),
        );
    }
    if !definition.stores.contains_key(&definition.region) {
        return structure(format!(
            "artifactStores has no store for the pipeline's own region, {}",
            definition.region
        ));
    }
    let count = definition.stages.len();
    if count < *STAGES.start() {
        return structure(format!(
            "Pipeline has only {count} stage(s). There should be a minimum of 2 stages in a pipeline"
        ));
    }
    if count > *STAGES.end() {
        return structure(format!(
            "a pipeline has at most 50 stages, this one {count}"
        ));
    }
    let mut names = HashSet::new();
    if let Some(stage) = definition
        .stages
        .iter()
        .find(|stage| !names.insert(&stage.name))
    {
        return structure(format!(
            "stage names must be unique within the pipeline: `{}` occurs more than once",
            stage.name
        ));
    }
    let actions: usize = definition.stages.iter().map(|s| s.actions.len()).sum();
    if actions > ACTIONS {
        return structure(format!(
            "a pipeline has at most 1000 actions, this one {actions}"
        ));
    }
    let mut names = HashSet::new();
    if let Some(variable) = definition
        .variables
        .iter()
        .find(|variable| !names.insert(&variable.name))
    {
        return structure(format!(
            "variable names must be unique within the pipeline: `{}` occurs more than once",
            variable.name
        ));
    }
    if definition.variables.len() > 50 {
        return structure("a pipeline has at most 50 variables".into());
    }
    if definition.pipeline_type == PipelineType::V1 {
        for (what, used) in [
            ("variables", !definition.variables.is_empty()),
            (
                "triggers",
                document.get("triggers").is_some_and(super::not_empty),
            ),
            (
                "an executionMode other than SUPERSEDED",
                definition.mode != ExecutionMode::Superseded,
            ),
        ] {
            if used {
                return structure(format!("{what}: this needs pipelineType V2"));
            }
        }
    }
    Ok(())
}

fn stage_alone(index: usize, stage: &Stage) -> Result<(), DefinitionError> {
    let fail = |problem: String| {
        Err(DefinitionError::Stage {
            stage: stage.name.clone(),
            problem,
        })
    };
    if stage.actions.is_empty() {
        return fail("a stage has at least one action".into());
    }
    if stage.actions.len() > ACTIONS_PER_STAGE {
        return fail(format!("a stage has at most {ACTIONS_PER_STAGE} actions"));
    }
    let mut names = HashSet::new();
    if let Some(action) = stage.actions.iter().find(|a| !names.insert(&a.name)) {
        return fail(format!(
            "action names must be unique within a stage: `{}` occurs more than once",
            action.name
        ));
    }
    let sources = stage
        .actions
        .iter()
        .filter(|action| action.action_type.category == "Source")
        .count();
    if index == 0 && sources < stage.actions.len() {
        return fail("Pipeline should start with a stage that only contains source actions".into());
    }
    if index > 0 && sources > 0 {
        return fail("only the first stage may contain source actions".into());
    }
    Ok(())
}

fn failure(stage: &Stage, action: &Action, problem: String) -> DefinitionError {
    DefinitionError::Action {
        stage: stage.name.clone(),
        action: action.name.clone(),
        problem,
    }
}

fn action_alone(
    definition: &Definition,
    stage: &Stage,
    action: &Action,
) -> Result<(), DefinitionError> {
    let fail = |problem: String| Err(failure(stage, action, problem));
    if catalogue::find(&action.action_type).is_none() {
        return fail(catalogue::refusal(
            &action.name,
            &action.action_type,
            &definition.region,
        ));
    }
    let entry = catalogue::entry(action.provider);
    for (what, declared, allowed) in [
        ("input", action.inputs.len(), &entry.inputs),
        ("output", action.outputs.len(), &entry.outputs),
    ] {
        if declared < *allowed.start() {
            return fail(format!(
                "Action {} declares {declared} {what} artifacts which is less than the minimum count ({})",
                action.name,
                allowed.start()
            ));
        }
        if declared > *allowed.end() {
            return fail(format!(
                "Action {} declares {declared} {what} artifacts which is more than the maximum count ({})",
                action.name,
                allowed.end()
            ));
        }
    }
    for key in entry.required {
        if !action.configuration.contains_key(*key) {
            return fail(format!(
                "Action configuration for action '{}' is missing required configuration '{key}'",
                action.name
            ));
        }
    }
    for key in action.configuration.keys() {
        if !entry.required.contains(&key.as_str()) && !entry.optional.contains(&key.as_str()) {
            return fail(format!(
                "Action configuration for action '{}' contains unknown configuration '{key}'; known: {}",
                action.name,
                [entry.required, entry.optional].concat().join(", ")
            ));
        }
    }
    if action.timeout.is_some() && action.provider != Provider::Approval {
        return fail("timeoutInMinutes is for approval actions only".into());
    }
    if let Some(region) = &action.region {
        if action.action_type.category == "Source" && *region != definition.region {
            return fail("a source action runs in the pipeline's own region".into());
        }
        let several = definition.document.contains_key("artifactStores");
        if *region != definition.region && !(several && definition.stores.contains_key(region)) {
            return fail(format!(
                "artifactStores has no store for the action's region, {region}"
            ));
        }
    }
    if action
        .configuration
        .get("OutputArtifactFormat")
        .is_some_and(|format| format != "CODE_ZIP")
    {
        return fail(
            "OutputArtifactFormat must be CODE_ZIP: a clone reference is for CodeBuild actions only"
                .into(),
        );
    }
    Ok(())
}

/// Which artifacts have been made so far.
#[derive(Default)]
struct Artifacts<'a> {
    made: HashSet<&'a str>,
}

impl<'a> Artifacts<'a> {
    fn consume(&self, stage: &Stage, action: &Action) -> Result<(), DefinitionError> {
        let mut names = HashSet::new();
        for name in &action.inputs {
            if !names.insert(name) {
                return Err(failure(
                    stage,
                    action,
                    format!("input artifact `{name}` is listed more than once"),
                ));
            }
            if !self.made.contains(name.as_str()) {
                return Err(failure(
                    stage,
                    action,
                    format!(
                        "Input Artifact Bundle {name} in action {} is not declared as Output Artifact Bundle in any of the preceding actions",
                        action.name
                    ),
                ));
            }
        }
        Ok(())
    }

    fn produce(&mut self, stage: &Stage, action: &'a Action) -> Result<(), DefinitionError> {
        for name in &action.outputs {
            if !self.made.insert(name) {
                return Err(failure(
                    stage,
                    action,
                    format!(
                        "Output Artifact Bundle name must be unique within the pipeline. {name} has been used more than once."
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Where each namespace is declared, and whether the walk has come past it.
struct Namespaces<'a> {
    declared: HashMap<&'a str, bool>,
    variables: HashSet<&'a str>,
}

impl<'a> Namespaces<'a> {
    fn collect(definition: &'a Definition) -> Result<Self, DefinitionError> {
        let mut declared = HashMap::new();
        let actions = || {
            definition
                .stages
                .iter()
                .flat_map(|stage| stage.actions.iter().map(move |action| (stage, action)))
        };
        let artifacts: HashSet<&str> = actions()
            .flat_map(|(_, action)| action.outputs.iter().map(String::as_str))
            .collect();
        for (stage, action) in actions() {
            let Some(namespace) = action.namespace.as_deref() else {
                continue;
            };
            if matches!(namespace, "codepipeline" | "variables") {
                return Err(failure(
                    stage,
                    action,
                    format!("the namespace `{namespace}` is reserved"),
                ));
            }
            let repeated = declared.insert(namespace, false).is_some();
            if repeated || artifacts.contains(namespace) {
                let why = if repeated {
                    ""
                } else {
                    "; an artifact has this name"
                };
                return Err(failure(
                    stage,
                    action,
                    format!(
                        "Namespaces must be unique across the pipeline definition. The following occur more than once in the pipeline. StageName=[{}], ActionName=[{}], Namespace=[{namespace}]{why}",
                        stage.name, action.name
                    ),
                ));
            }
        }
        Ok(Self {
            declared,
            variables: definition
                .variables
                .iter()
                .map(|variable| variable.name.as_str())
                .collect(),
        })
    }

    fn reach(&mut self, action: &'a Action) {
        if let Some(namespace) = action.namespace.as_deref() {
            self.declared.insert(namespace, true);
        }
    }

    fn refer(&mut self, stage: &Stage, action: &Action) -> Result<(), DefinitionError> {
        for (key, value) in &action.configuration {
            let fail = |problem: String| {
                Err(failure(
                    stage,
                    action,
                    format!("in configuration `{key}`, {problem}"),
                ))
            };
            let references = match variables::references(value) {
                Ok(references) => references,
                Err(variables::Malformed(text)) => {
                    return fail(format!(
                        "`{text}` is no reference to a variable: one is a namespace and a key separated by a period, #{{namespace.key}}"
                    ));
                }
            };
            for reference in references {
                let text = reference.text;
                match reference.namespace {
                    "codepipeline" if reference.key == "PipelineExecutionId" => {}
                    "codepipeline" => {
                        return fail(format!(
                            "`{text}` is unknown: the namespace codepipeline has PipelineExecutionId only"
                        ));
                    }
                    "variables" if action.action_type.category == "Source" => {
                        return fail(format!(
                            "`{text}`: pipeline variables cannot be used in source actions"
                        ));
                    }
                    "variables" if self.variables.contains(reference.key) => {}
                    "variables" => {
                        return fail(format!(
                            "`{text}`: the pipeline declares no variable of that name"
                        ));
                    }
                    namespace => match self.declared.get(namespace) {
                        Some(true) => {}
                        Some(false) => {
                            return fail(format!(
                                "`{text}` comes too early: the action with namespace `{namespace}` must be in an earlier stage or have a lower runOrder"
                            ));
                        }
                        None => {
                            return fail(format!(
                                "`{text}` refers to a namespace that does not exist: no action declares namespace `{namespace}`"
                            ));
                        }
                    },
                }
            }
        }
        Ok(())
    }
}
