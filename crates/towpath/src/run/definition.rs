//! The pipeline's template: which one, and what of it has to be built for this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use towpath_template::Template;

/// The template that this program was built with.
const BUILT_IN: &str = include_str!("../../../../template.yaml");

/// The type of resource that makes a template a pipeline's.
const PIPELINE: &str = "AWS::CodePipeline::Pipeline";

/// A template with exactly one pipeline.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its text, as written.
    pub(crate) template: Template,
    /// The directory that its local paths are relative to.
    pub(crate) directory: PathBuf,
    /// What it is called in messages.
    pub(crate) name: String,
}

impl Definition {
    /// Loads the named template, else the one in the working directory when it has a pipeline,
    /// else the built-in one.
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = path {
            return Self::read(path);
        }
        let here = Path::new("template.yaml");
        // An application's own template is no concern of ours, sound or not. One that speaks of a
        // pipeline and cannot be read is not passed over in silence.
        if let Ok(text) = std::fs::read_to_string(here)
            && text.contains(PIPELINE)
            && !pipelines(&template(&text, "template.yaml")?).is_empty()
        {
            return Self::read(here);
        }
        Self::parse(BUILT_IN, "the built-in template", Path::new("."))
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("failed to read template {}", path.display()))?;
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self::parse(
            &text,
            &path.display().to_string(),
            directory.unwrap_or(Path::new(".")),
        )
    }

    fn parse(text: &str, name: &str, directory: &Path) -> anyhow::Result<Self> {
        let template = template(text, name)?;
        let pipelines = pipelines(&template);
        match pipelines.len() {
            1 => {}
            0 => bail!(
                "template {name} has no pipeline; `towpath run` runs a template with a resource of type {PIPELINE}, and an application's own template is deployed by that pipeline"
            ),
            _ => bail!(
                "template {name} has {} pipelines ({pipelines:?}); keep one",
                pipelines.len()
            ),
        }
        Ok(Self {
            template,
            directory: directory.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Refuses a stage that the template's pipeline does not have, as far as it names its stages
    /// plainly.
    pub(crate) fn check_stage(&self, name: &str) -> anyhow::Result<()> {
        let stages: Option<Vec<&str>> = self
            .template
            .resources()
            .values()
            .find(|resource| kind(resource) == "AWS::CodePipeline::Pipeline")
            .and_then(|pipeline| pipeline["Properties"]["Stages"].as_array())
            .and_then(|stages| stages.iter().map(|stage| stage["Name"].as_str()).collect());
        match stages {
            Some(stages) if !stages.contains(&name) => {
                let meant = stages.iter().find(|stage| stage.eq_ignore_ascii_case(name));
                let meant = meant.map_or(String::new(), |stage| format!(", did you mean {stage}?"));
                bail!(
                    "the pipeline has no stage `{name}`; it has {}{meant}",
                    stages.join(", ")
                )
            }
            _ => Ok(()),
        }
    }

    /// The functions that the template builds from this repository, by resource.
    pub(crate) fn functions(&self) -> anyhow::Result<Vec<Function>> {
        let mut functions = Vec::new();
        for (id, resource) in self.template.resources() {
            if kind(resource) != "AWS::Serverless::Function" {
                continue;
            }
            let properties = &resource["Properties"];
            if properties["PackageType"] == "Image" {
                let Some(parameter) = properties["ImageUri"]["Ref"].as_str() else {
                    continue;
                };
                let entry = properties["ImageConfig"]["EntryPoint"][0]
                    .as_str()
                    .unwrap_or_default();
                let name = entry.rsplit('/').next().unwrap_or_default();
                ensure!(
                    entry.starts_with('/') && !name.is_empty(),
                    "function {id} of template {} has no ImageConfig.EntryPoint; name the executable in the image, such as /functions/install-deps",
                    self.name
                );
                functions.push(Function {
                    resource: id.clone(),
                    name: name.to_owned(),
                    code: Code::Image {
                        parameter: parameter.to_owned(),
                        entry: entry.to_owned(),
                    },
                });
            } else if resource["Metadata"]["BuildMethod"] == "rust-cargolambda" {
                let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str();
                let uri = properties["CodeUri"].as_str().unwrap_or_default();
                let name = binary.unwrap_or_else(|| {
                    uri.trim_end_matches('/')
                        .rsplit('/')
                        .next()
                        .unwrap_or_default()
                });
                functions.push(Function {
                    resource: id.clone(),
                    name: name.to_owned(),
                    code: Code::Zip,
                });
            }
        }
        Ok(functions)
    }
}

fn template(text: &str, name: &str) -> anyhow::Result<Template> {
    Template::parse(text).with_context(|| format!("failed to read template {name}"))
}

/// The names of the resources that are pipelines.
fn pipelines(template: &Template) -> Vec<&String> {
    let resources = template.resources().iter();
    resources
        .filter(|(_, resource)| kind(resource) == PIPELINE)
        .map(|(id, _)| id)
        .collect()
}

fn kind(resource: &Value) -> &str {
    resource["Type"].as_str().unwrap_or_default()
}

/// A function that is built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// The resource in the template.
    pub(crate) resource: String,
    /// The executable's name.
    pub(crate) name: String,
    /// How it is shipped.
    pub(crate) code: Code,
}

/// How a function's code is shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Code {
    /// A zip with `bootstrap`.
    Zip,
    /// A container image, named by a parameter, with the executable at a path.
    Image { parameter: String, entry: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_template_has_the_suites_functions() {
        let definition =
            Definition::parse(BUILT_IN, "built-in", Path::new(".")).expect("a pipeline");
        let mut names: Vec<String> = definition
            .functions()
            .expect("functions")
            .into_iter()
            .map(|one| one.name)
            .collect();
        names.sort();
        let mut expected = crate::function::NAMES.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_stage_is_checked_before_anything_starts() {
        let definition =
            Definition::parse(BUILT_IN, "built-in", Path::new(".")).expect("a pipeline");
        definition.check_stage("Commit").expect("there");
        let error = definition
            .check_stage("commit")
            .expect_err("misspelt")
            .to_string();
        assert!(error.contains("did you mean Commit?"), "{error}");
    }

    #[test]
    fn a_template_without_a_pipeline_or_with_broken_yaml_is_named() {
        for (text, words) in [
            (
                "Resources:\n  T:\n    Type: AWS::SNS::Topic\n",
                "template t.yaml has no pipeline",
            ),
            ("Resources:\n  T: [\n", "failed to read template t.yaml"),
        ] {
            let error = Definition::parse(text, "t.yaml", Path::new(".")).expect_err(words);
            assert!(format!("{error:#}").contains(words), "{error:#}");
        }
    }
}
