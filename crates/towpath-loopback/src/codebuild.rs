//! CodeBuild: builds are real processes that run the project's own buildspec.
//!
//! - [`project`] is what `CreateProject` keeps.
//! - [`specification`] reads a buildspec.
//! - [`build`] is where a build stands, phase by phase, and how it is told.
//! - [`run`] carries a build out: one shell for all of its commands.
//!
//! Not as in AWS: there is no container. Commands run on this machine and as its user, with an
//! environment built from nothing; the programs of an image that was handed over are in front of
//! `PATH`. Only projects without a source and without artifacts are taken. Credentials of the
//! project's role are had from `AWS_CONTAINER_CREDENTIALS_FULL_URI`, where AWS says
//! `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`.

mod build;
mod project;
mod run;
mod script;
mod specification;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::identity::now_ms;
use crate::identity::policy::Context;
use crate::server::{Request, Response, answer};
use crate::{AwsError, Caller, World, input};
use build::{Build, Stop};
use project::Project;

/// How long an idempotency token is good (API reference, `StartBuild`).
const TOKEN_MS: i64 = 5 * 60 * 1_000;

/// The service's state.
#[derive(Default)]
pub(crate) struct CodeBuild {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    projects: BTreeMap<String, Project>,
    builds: BTreeMap<String, Arc<Build>>,
    /// Those that nobody can ask for any more. They run on, until the end.
    forgotten: Vec<Arc<Build>>,
    /// By idempotency token: when it came, with which request, and the build that followed.
    tokens: BTreeMap<String, (i64, Value, String)>,
}

impl CodeBuild {
    /// Answers one operation.
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        authorize(world, caller, operation, &input)?;
        match operation {
            "CreateProject" => self.create_project(world, &input),
            "UpdateProject" => self.update_project(world, &input),
            "DeleteProject" => {
                let name = input::required(&input, "name")?;
                self.lock().projects.remove(project_name(&name));
                Ok(json!({}))
            }
            "BatchGetProjects" => Ok(self.projects(world, &input)),
            "StartBuild" => self.start(world, caller, &input),
            "BatchGetBuilds" => Ok(self.builds(world, &input)),
            "StopBuild" => {
                let id = input::required(&input, "id")?;
                let build = self.build(&id).ok_or_else(|| no_build(&id))?;
                build.stop(Stop::Asked);
                build.ended().await;
                Ok(json!({ "build": build.render(world) }))
            }
            "ListBuildsForProject" => {
                let name = input::required(&input, "projectName")?;
                let project = project_name(&name).to_owned();
                let state = self.lock();
                if !state.projects.contains_key(&project) {
                    return Err(no_project(world, &project));
                }
                let mut own: Vec<&Arc<Build>> = state
                    .builds
                    .values()
                    .filter(|build| build.project == project)
                    .collect();
                own.sort_by_key(|build| std::cmp::Reverse(build.number));
                let ids: Vec<&str> = own.iter().map(|build| build.id.as_str()).collect();
                Ok(json!({ "ids": ids }))
            }
            _ => Err(AwsError::unknown_operation("codebuild", operation)),
        }
    }

    fn create_project(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let project = Project::read(world, input)?;
        let mut state = self.lock();
        if state.projects.contains_key(&project.name) {
            return Err(AwsError::client(
                "ResourceAlreadyExistsException",
                format!(
                    "Project already exists: {}",
                    project_arn(world, &project.name)
                ),
            ));
        }
        let told = project.render(world);
        state.projects.insert(project.name.clone(), project);
        Ok(json!({ "project": told }))
    }

    fn update_project(&self, world: &World, input: &Value) -> Result<Value, AwsError> {
        let name = input::required(input, "name")?;
        let mut state = self.lock();
        let before = state
            .projects
            .get(&name)
            .ok_or_else(|| no_project(world, &name))?;
        let project = before.changed(world, input)?;
        let told = project.render(world);
        state.projects.insert(name, project);
        Ok(json!({ "project": told }))
    }

    fn projects(&self, world: &World, input: &Value) -> Value {
        let state = self.lock();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in input::list(input, "names").iter().filter_map(Value::as_str) {
            match state.projects.get(project_name(name)) {
                Some(project) => found.push(project.render(world)),
                None => missing.push(name),
            }
        }
        json!({ "projects": found, "projectsNotFound": missing })
    }

    fn builds(&self, world: &World, input: &Value) -> Value {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in input::list(input, "ids").iter().filter_map(Value::as_str) {
            match self.build(id) {
                Some(build) => found.push(build.render(world)),
                None => missing.push(id),
            }
        }
        json!({ "builds": found, "buildsNotFound": missing })
    }

    fn start(&self, world: &Arc<World>, caller: &Caller, input: &Value) -> Result<Value, AwsError> {
        let name = input::required(input, "projectName")?;
        let name = project_name(&name).to_owned();
        let mut state = self.lock();
        let project = state
            .projects
            .get(&name)
            .ok_or_else(|| no_project(world, &name))?
            .clone();
        let now = now_ms();
        let token = input::text(input, "idempotencyToken");
        state
            .tokens
            .retain(|_, (came, ..)| now.saturating_sub(*came) < TOKEN_MS);
        if let Some((_, before, id)) = token.as_ref().and_then(|token| state.tokens.get(token)) {
            if before != input {
                return Err(project::invalid(
                    "Idempotency token was used before with other parameters",
                ));
            }
            if let Some(build) = state.builds.get(id) {
                return Ok(json!({ "build": build.render(world) }));
            }
        }
        let number = 1 + state
            .builds
            .values()
            .filter(|build| build.project == name)
            .count();
        let build = Arc::new(Build::new(
            world,
            &project.with_overrides(world, input)?,
            number,
            caller,
        ));
        if let Some(token) = token {
            state
                .tokens
                .insert(token, (now, input.clone(), build.id.clone()));
        }
        state.builds.insert(build.id.clone(), Arc::clone(&build));
        drop(state);
        let told = build.render(world);
        world
            .tasks
            .spawn(run::run(Arc::clone(world), Arc::clone(&build)));
        Ok(json!({ "build": told }))
    }

    /// Forgets a build, as CodeBuild does after a year, or when somebody deletes it.
    pub(crate) fn forget(&self, id: &str) {
        let mut state = self.lock();
        let build = state.builds.remove(id);
        state.forgotten.extend(build);
    }

    /// The ids of all builds, the oldest first.
    pub(crate) fn ids(&self) -> Vec<String> {
        let state = self.lock();
        let mut all: Vec<&Arc<Build>> = state.builds.values().collect();
        all.sort_by_key(|build| build.number);
        all.iter().map(|build| build.id.clone()).collect()
    }

    /// Ends every build with all that it started, and waits for it.
    pub(crate) async fn shutdown(&self) {
        let all: Vec<Arc<Build>> = {
            let state = self.lock();
            state
                .builds
                .values()
                .chain(&state.forgotten)
                .cloned()
                .collect()
        };
        for build in all {
            build.stop(Stop::Asked);
            build.ended().await;
        }
    }

    /// Gives a build the credentials of its project's role: `/_codebuild/credentials/<secret>`.
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
    pub(crate) fn credentials(&self, world: &World, request: &Request) -> Response {
        let secret = request
            .uri()
            .path()
            .strip_prefix("/_codebuild/credentials/")
            .unwrap_or_default();
        let asking = self
            .lock()
            .builds
            .values()
            .find(|build| build.secret == secret && !build.is_over())
            .cloned();
        let assumed = asking.and_then(|build| {
            let session = format!("AWSCodeBuild-{}", build.uuid());
            let role = build.setting.service_role.clone();
            world.identity.assume(&role, &session, None).ok()
        });
        let mut told = match assumed {
            Some(keys) => {
                let expires = OffsetDateTime::from_unix_timestamp(keys.expiration_ms / 1_000)
                    .map(crate::cloudformation::timestamp)
                    .unwrap_or_default();
                let keys = json!({
                    "AccessKeyId": keys.access_key_id,
                    "SecretAccessKey": keys.secret_access_key,
                    "Token": keys.session_token,
                    "Expiration": expires,
                });
                answer(200, "application/json", keys.to_string())
            }
            None => answer(
                403,
                "application/json",
                json!({ "message": "there is no such build, or no longer" }).to_string(),
            ),
        };
        told.headers_mut().insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-store"),
        );
        told
    }

    fn build(&self, id: &str) -> Option<Arc<Build>> {
        let id = id.rsplit_once("build/").map_or(id, |(_, id)| id);
        self.lock().builds.get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the caller may do this, on the projects that it concerns. What a request overrides
/// is what policies may ask about.
/// <https://docs.aws.amazon.com/codebuild/latest/userguide/action-context-keys.html>
fn authorize(
    world: &World,
    caller: &Caller,
    operation: &str,
    input: &Value,
) -> Result<(), AwsError> {
    let action = format!("codebuild:{operation}");
    let named: Vec<String> = ["projectName", "name", "id"]
        .iter()
        .filter_map(|member| input::text(input, member))
        .chain(
            ["ids", "names"]
                .iter()
                .flat_map(|member| input::list(input, member))
                .filter_map(|id| id.as_str().map(str::to_owned)),
        )
        .map(|id| project_arn(world, project_of(&id)))
        .collect();
    let context = overrides(input);
    if named.is_empty() {
        return world
            .identity
            .authorize_with(caller, &action, "*", &context, None);
    }
    named.iter().try_for_each(|resource| {
        world
            .identity
            .authorize_with(caller, &action, resource, &context, None)
    })
}

/// What a `StartBuild` asks for beside what the project says, as condition keys.
fn overrides(input: &Value) -> Context {
    let mut context = Context::new();
    for (member, key) in [
        ("buildspecOverride", "codebuild:source.buildspec"),
        ("sourceLocationOverride", "codebuild:source.location"),
        ("imageOverride", "codebuild:environment.image"),
        ("computeTypeOverride", "codebuild:environment.computeType"),
        ("environmentTypeOverride", "codebuild:environment.type"),
        (
            "privilegedModeOverride",
            "codebuild:environment.privilegedMode",
        ),
        ("serviceRoleOverride", "codebuild:serviceRole"),
        ("timeoutInMinutesOverride", "codebuild:timeoutInMinutes"),
    ] {
        // Of a buildspec only that there is one can be asked.
        let value = match (member, input::text(input, member)) {
            ("buildspecOverride", Some(_)) => Some("true".to_owned()),
            (_, value) => value,
        };
        if let Some(value) = value {
            context.insert(key.to_owned(), vec![value]);
        }
    }
    for (member, key) in [
        ("artifactsOverride", "codebuild:artifacts"),
        ("secondarySourcesOverride", "codebuild:secondarySources"),
        ("logsConfigOverride", "codebuild:logsConfig"),
        ("cacheOverride", "codebuild:cache"),
    ] {
        if input.get(member).is_some() {
            context.insert(key.to_owned(), vec!["true".to_owned()]);
        }
    }
    let names: Vec<String> = input::list(input, "environmentVariablesOverride")
        .iter()
        .filter_map(|variable| input::text(variable, "name"))
        .collect();
    if !names.is_empty() {
        context.insert(
            "codebuild:environment.environmentVariables.name".to_owned(),
            names,
        );
    }
    context
}

/// A project's name, of its name or ARN.
fn project_name(given: &str) -> &str {
    given
        .rsplit_once("project/")
        .map_or(given, |(_, name)| name)
}

/// The project of whatever a request names: itself, or one of its builds.
fn project_of(given: &str) -> &str {
    let id = given.rsplit_once("build/").map_or(given, |(_, id)| id);
    let id = project_name(id);
    id.split_once(':').map_or(id, |(project, _)| project)
}

fn project_arn(world: &World, name: &str) -> String {
    world.arn("codebuild", &format!("project/{name}"))
}

fn no_project(world: &World, name: &str) -> AwsError {
    AwsError::client(
        "ResourceNotFoundException",
        format!("Project cannot be found: {}", project_arn(world, name)),
    )
}

fn no_build(id: &str) -> AwsError {
    AwsError::client(
        "ResourceNotFoundException",
        format!("Build cannot be found: {id}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_its_projects() {
        for (given, expected) in [
            ("app", "app"),
            ("app:0b5c1f", "app"),
            (
                "arn:aws:codebuild:us-east-1:000000000000:project/app",
                "app",
            ),
            (
                "arn:aws:codebuild:us-east-1:000000000000:build/app:0b5c1f",
                "app",
            ),
        ] {
            assert_eq!(project_of(given), expected, "{given}");
        }
    }

    #[test]
    fn policies_can_ask_what_a_request_overrides() {
        let context = overrides(&json!({
            "projectName": "app",
            "buildspecOverride": "version: 0.2",
            "imageOverride": "other:1",
            "privilegedModeOverride": true,
            "environmentVariablesOverride": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        }));
        for (key, expected) in [
            ("codebuild:source.buildspec", Some(&["true"][..])),
            ("codebuild:environment.image", Some(&["other:1"])),
            ("codebuild:environment.privilegedMode", Some(&["true"])),
            (
                "codebuild:environment.environmentVariables.name",
                Some(&["A", "B"]),
            ),
            ("codebuild:serviceRole", None),
        ] {
            let found: Option<Vec<&str>> = context
                .get(key)
                .map(|values| values.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{key}");
        }
        assert!(overrides(&json!({"projectName": "app"})).is_empty());
    }
}
