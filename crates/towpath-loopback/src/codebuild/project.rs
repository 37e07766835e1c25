//! A project: what a build of it is to be.

use serde_json::{Map, Value, json};

use super::specification::Specification;
use super::{no_project, project_arn};
use crate::identity::now_ms;
use crate::{AwsError, World, input};

/// The members of `CreateProject` and `UpdateProject` that are kept and told as they came.
const KEPT: [&str; 13] = [
    "description",
    "source",
    "artifacts",
    "cache",
    "environment",
    "serviceRole",
    "timeoutInMinutes",
    "queuedTimeoutInMinutes",
    "encryptionKey",
    "tags",
    "vpcConfig",
    "logsConfig",
    "concurrentBuildLimit",
];

/// What `StartBuild` may say otherwise here, and the member of the project that it stands for.
const OVERRIDES: [(&str, &[&str]); 7] = [
    ("buildspecOverride", &["source", "buildspec"]),
    ("imageOverride", &["environment", "image"]),
    ("computeTypeOverride", &["environment", "computeType"]),
    ("environmentTypeOverride", &["environment", "type"]),
    ("privilegedModeOverride", &["environment", "privilegedMode"]),
    ("serviceRoleOverride", &["serviceRole"]),
    ("timeoutInMinutesOverride", &["timeoutInMinutes"]),
];

/// A project, read and found to be one that can be run here.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) name: String,
    members: Map<String, Value>,
    created_ms: i64,
    pub(crate) service_role: String,
    pub(crate) specification: Specification,
    pub(crate) image: String,
    pub(crate) timeout_minutes: u32,
    /// Name and value, in the order in which they are set.
    pub(crate) environment: Vec<(String, String)>,
}

impl Project {
    /// Reads `CreateProject`'s input.
    pub(crate) fn read(world: &World, input: &Value) -> Result<Self, AwsError> {
        let members = KEPT
            .iter()
            .filter_map(|member| Some(((*member).to_owned(), input.get(*member)?.clone())))
            .collect();
        Self::of(world, input::required(input, "name")?, members, now_ms())
    }

    /// The same project as `UpdateProject` would have it.
    pub(crate) fn changed(&self, world: &World, input: &Value) -> Result<Self, AwsError> {
        let mut members = self.members.clone();
        for member in KEPT {
            if let Some(value) = input.get(member) {
                members.insert(member.to_owned(), value.clone());
            }
        }
        Self::of(world, self.name.clone(), members, self.created_ms)
    }

    /// The same project as one build is to see it.
    pub(crate) fn with_overrides(&self, world: &World, input: &Value) -> Result<Self, AwsError> {
        let mut members = Value::Object(self.members.clone());
        for (member, path) in OVERRIDES {
            if let Some(value) = input.get(member).filter(|value| !value.is_null()) {
                let place = path
                    .iter()
                    .fold(&mut members, |place, name| &mut place[*name]);
                *place = value.clone();
            }
        }
        let known = |member: &str| {
            OVERRIDES.iter().any(|(known, _)| *known == member)
                || [
                    "projectName",
                    "idempotencyToken",
                    "environmentVariablesOverride",
                    "queuedTimeoutInMinutesOverride",
                ]
                .contains(&member)
        };
        if let Some(other) = input
            .as_object()
            .and_then(|all| all.keys().find(|member| !known(member)))
        {
            world
                .fidelity
                .refused(format!("CodeBuild StartBuild with {other}"));
            return Err(invalid(format!(
                "the loopback does not serve StartBuild with {other}"
            )));
        }
        let Value::Object(members) = members else {
            return Err(no_project(world, &self.name));
        };
        let mut project = Self::of(world, self.name.clone(), members, self.created_ms)?;
        // Those of the request win over the project's, and those over the buildspec's.
        for (name, value) in variables(world, input::list(input, "environmentVariablesOverride"))? {
            project.environment.retain(|(known, _)| *known != name);
            project.environment.push((name, value));
        }
        Ok(project)
    }

    fn of(
        world: &World,
        name: String,
        members: Map<String, Value>,
        created_ms: i64,
    ) -> Result<Self, AwsError> {
        let of = |member: &str| members.get(member).cloned().unwrap_or_default();
        let (source, artifacts, environment) = (of("source"), of("artifacts"), of("environment"));
        for (what, kind, only) in [
            ("source", input::text(&source, "type"), "NO_SOURCE"),
            ("artifacts", input::text(&artifacts, "type"), "NO_ARTIFACTS"),
        ] {
            let kind = kind.ok_or_else(|| invalid(format!("Project {what} is required")))?;
            if kind != only {
                world
                    .fidelity
                    .refused(format!("CodeBuild projects with {what} of type {kind}"));
                return Err(invalid(format!(
                    "the loopback runs projects with {what} of type {only} only, and not {kind}"
                )));
            }
        }
        let service_role = input::text(&Value::Object(members.clone()), "serviceRole")
            .ok_or_else(|| invalid("Service role is required"))?;
        if !world.identity.trusts_service(
            &service_role,
            "codebuild.amazonaws.com",
            Some(&project_arn(world, &name)),
        ) {
            return Err(invalid(format!(
                "CodeBuild is not authorized to perform: sts:AssumeRole on {service_role}"
            )));
        }
        let timeout =
            input::integer(&Value::Object(members.clone()), "timeoutInMinutes").unwrap_or(60);
        if !(5..=2_160).contains(&timeout) {
            return Err(invalid(format!(
                "Invalid timeout: {timeout}; it is between 5 and 2160 minutes"
            )));
        }
        let text = input::text(&source, "buildspec")
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| {
                invalid("a project without a source must have a buildspec of its own")
            })?;
        let specification = Specification::read(&text)
            .map_err(|error| invalid(format!("YAML_FILE_ERROR Message: {error}")))?;
        let mut all = specification.variables.clone();
        for (name, value) in variables(world, input::list(&environment, "environmentVariables"))? {
            all.retain(|(known, _)| *known != name);
            all.push((name, value));
        }
        Ok(Self {
            name,
            created_ms,
            service_role,
            specification,
            image: input::text(&environment, "image")
                .ok_or_else(|| invalid("Environment image is required"))?,
            timeout_minutes: u32::try_from(timeout).unwrap_or(60),
            environment: all,
            members,
        })
    }

    /// As `BatchGetProjects` tells it. Times are seconds since the epoch.
    pub(crate) fn render(&self, world: &World) -> Value {
        let mut all = self.members.clone();
        all.insert("name".into(), json!(self.name));
        all.insert("arn".into(), json!(project_arn(world, &self.name)));
        let created = json!(self.created_ms as f64 / 1_000.0);
        all.insert("created".into(), created.clone());
        all.insert("lastModified".into(), created);
        all.insert("timeoutInMinutes".into(), json!(self.timeout_minutes));
        all.into()
    }

    /// A member as it came.
    pub(crate) fn member(&self, name: &str) -> Value {
        self.members.get(name).cloned().unwrap_or_default()
    }
}

/// Variables that are plain text. A value from elsewhere is not looked up here.
fn variables(world: &World, given: &[Value]) -> Result<Vec<(String, String)>, AwsError> {
    given
        .iter()
        .map(|variable| {
            let name = input::required(variable, "name")?;
            let value = input::text(variable, "value").unwrap_or_default();
            match input::text(variable, "type").as_deref() {
                None | Some("PLAINTEXT") => Ok((name, value)),
                Some(kind) => {
                    world
                        .fidelity
                        .refused(format!("CodeBuild variables of type {kind}"));
                    Err(invalid(format!(
                        "the loopback does not look up variable {name} of type {kind}"
                    )))
                }
            }
        })
        .collect()
}

/// CodeBuild's error for nearly everything.
pub(crate) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidInputException", message)
}
