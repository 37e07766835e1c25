//! API Gateway, both of them: HTTP APIs (v2) and REST APIs (v1), served over HTTP.
//!
//! The control plane keeps a definition per API, deployments as snapshots of it, and stages that
//! lead to one. Requests to `/_api/<api id>/[stage/]path` find a [route](routing), become an
//! [event](event) for a function, and its answer becomes a [reply].
//!
//! Members are read in either case, and answered as each API's model writes them: `ApiId` by the
//! second, `restApiId` by the first. Operations that both have (`CreateStage`) are told apart by
//! whether the request names a `RestApiId`.
//!
//! Not served, and refused: authorizers, API keys, WebSocket APIs, custom domains, and integrations with anything
//! but functions and mocks.

mod api;
mod cors;
mod event;
mod execute;
mod http_api;
mod members;
mod openapi;
mod reply;
mod rest_api;
mod routing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::server::{Request, Response};
use crate::{AwsError, Caller, World};
use api::{Api, Definition, Stage, conflict, epoch, identifier, iso, not_found};
use members::{required, text};

/// The service's state.
#[derive(Default)]
pub(crate) struct ApiGateway {
    apis: Mutex<BTreeMap<String, Api>>,
}

/// Which of the two an operation belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Http,
    Rest,
}

impl ApiGateway {
    /// Answers one operation. Whether the caller may is asked before: only the HTTP request says it.
    #[allow(clippy::unused_async, reason = "every service is called the same way")]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        let family = if operation.contains("Rest") || text(&input, "RestApiId").is_some() {
            Family::Rest
        } else {
            Family::Http
        };
        match operation {
            "CreateApi" | "ImportApi" => {
                let api = http_api::create(world, &input)?;
                Ok(self.add(world, api))
            }
            "CreateRestApi" | "ImportRestApi" => {
                let api = rest_api::create(world, &input)?;
                Ok(self.add(world, api))
            }
            "GetApis" | "GetRestApis" => Ok(self.list(world, family)),
            "CreateAuthorizer" | "CreateDomainName" | "CreateVpcLink" | "CreateApiKey"
            | "CreateUsagePlan" => {
                world.fidelity.refused(format!("apigateway:{operation}"));
                Err(AwsError::unknown_operation("apigateway", operation))
            }
            _ => self.on_api(world, family, operation, &input),
        }
    }

    /// The base URL of an API, without a stage.
    #[allow(clippy::unused_self, reason = "asked of the service, wherever it lies")]
    pub(crate) fn endpoint(&self, world: &World, api: &str) -> String {
        format!("{}/_api/{api}", world.endpoint)
    }

    /// Serves `/_api/<api id>/[stage/]path`.
    pub(crate) async fn execute(&self, world: &Arc<World>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let rest = path.strip_prefix("/_api/").unwrap_or_default();
        let (id, rest) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let found = {
            let apis = self.lock();
            let Some(api) = apis.get(id) else {
                return execute::no_api();
            };
            execute::find_stage(api, rest).ok_or(matches!(api.definition, Definition::Rest(_)))
        };
        match found {
            Ok(served) => {
                world.fidelity.executed("API Gateway requests to functions");
                execute::serve(world, id, &served, &request).await
            }
            Err(is_rest) => execute::no_stage(is_rest),
        }
    }

    fn add(&self, world: &World, api: Api) -> Value {
        let id = identifier(10);
        let shown = self.render(world, &id, &api);
        self.lock().insert(id, api);
        shown
    }

    fn list(&self, world: &World, family: Family) -> Value {
        let items: Vec<Value> = self
            .lock()
            .iter()
            .filter(|(_, api)| {
                matches!(api.definition, Definition::Http(_)) == (family == Family::Http)
            })
            .map(|(id, api)| self.render(world, id, api))
            .collect();
        items_of(family, items)
    }

    fn render(&self, world: &World, id: &str, api: &Api) -> Value {
        match api.definition {
            Definition::Http(_) => http_api::render(api, id, &self.endpoint(world, id)),
            Definition::Rest(_) => rest_api::render(api, id),
        }
    }

    fn on_api(
        &self,
        world: &World,
        family: Family,
        operation: &str,
        input: &Value,
    ) -> Result<Value, AwsError> {
        let unknown = || {
            world.fidelity.refused(format!("apigateway:{operation}"));
            AwsError::unknown_operation("apigateway", operation)
        };
        let member = match family {
            Family::Http => "ApiId",
            Family::Rest => "RestApiId",
        };
        let Some(id) = text(input, member) else {
            return Err(if serves(operation) {
                required(input, member).unwrap_err()
            } else {
                unknown()
            });
        };
        let mut apis = self.lock();
        let missing = || {
            not_found(format!(
                "Invalid API identifier specified {}:{id}",
                world.settings.account
            ))
        };
        let api = apis
            .get_mut(&id)
            .filter(|api| matches!(api.definition, Definition::Http(_)) == (family == Family::Http))
            .ok_or_else(missing)?;
        match operation {
            "GetApi" | "GetRestApi" => Ok(self.render(world, &id, api)),
            "UpdateApi" | "ReimportApi" => {
                http_api::update(world, api, input)?;
                Ok(self.render(world, &id, api))
            }
            "PutRestApi" | "UpdateRestApi" => {
                rest_api::update(world, api, input)?;
                Ok(self.render(world, &id, api))
            }
            "DeleteApi" | "DeleteRestApi" => {
                apis.remove(&id);
                Ok(json!({}))
            }
            _ if operation.contains("Deployment") => {
                deployment(api, family, operation, input).ok_or_else(unknown)?
            }
            _ if operation.contains("Stage") => {
                stage(api, family, operation, input).ok_or_else(unknown)?
            }
            _ => {
                let answer = match &mut api.definition {
                    Definition::Http(http) => http_api::answer(world, http, operation, input),
                    Definition::Rest(rest) => rest_api::answer(world, rest, operation, input),
                };
                answer.ok_or_else(unknown)?
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Api>> {
        self.apis.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an operation is of a kind that concerns one API.
fn serves(operation: &str) -> bool {
    [
        "Api",
        "Route",
        "Integration",
        "Stage",
        "Deployment",
        "Resource",
        "Method",
    ]
    .iter()
    .any(|noun| operation.contains(noun))
}

fn items_of(family: Family, items: Vec<Value>) -> Value {
    match family {
        Family::Http => json!({ "Items": items }),
        Family::Rest => json!({ "items": items }),
    }
}

fn deployment(
    api: &mut Api,
    family: Family,
    operation: &str,
    input: &Value,
) -> Option<Result<Value, AwsError>> {
    let render = |api: &Api, id: &str| {
        let deployment = api
            .deployments
            .get(id)
            .ok_or_else(|| not_found(format!("Invalid Deployment identifier specified {id}")))?;
        Ok(match family {
            Family::Http => json!({
                "AutoDeployed": false,
                "CreatedDate": iso(deployment.created),
                "DeploymentId": id,
                "DeploymentStatus": "DEPLOYED",
                "Description": deployment.description,
            }),
            Family::Rest => json!({
                "id": id,
                "description": deployment.description,
                "createdDate": epoch(deployment.created),
            }),
        })
    };
    Some(match operation {
        "CreateDeployment" => {
            let id = api.deploy(text(input, "Description").unwrap_or_default());
            let shown = render(api, &id);
            if let Some(name) = text(input, "StageName").filter(|name| !name.is_empty()) {
                let is_rest = family == Family::Rest;
                let variables = members::map(input, "Variables");
                match api.stages.get_mut(&name) {
                    Some(stage) => stage.deployment = Some(id),
                    None if is_rest => {
                        let stage = Stage {
                            deployment: Some(id),
                            variables,
                            ..Stage::new()
                        };
                        api.stages.insert(name, stage);
                    }
                    None => {
                        return Some(Err(not_found(format!(
                            "Unable to find Stage by name {name} within the provided API"
                        ))));
                    }
                }
            }
            shown
        }
        "GetDeployment" => required(input, "DeploymentId").and_then(|id| render(api, &id)),
        "GetDeployments" => {
            let all: Result<Vec<Value>, AwsError> =
                api.deployments.keys().map(|id| render(api, id)).collect();
            all.map(|items| items_of(family, items))
        }
        "DeleteDeployment" => required(input, "DeploymentId").and_then(|id| {
            render(api, &id)?;
            let used = api
                .stages
                .values()
                .any(|stage| stage.deployment.as_ref() == Some(&id));
            if used {
                return Err(AwsError::client(
                    "BadRequestException",
                    "Active stages pointing to this deployment must be moved or deleted",
                ));
            }
            api.deployments.remove(&id);
            Ok(json!({}))
        }),
        _ => return None,
    })
}

fn stage(
    api: &mut Api,
    family: Family,
    operation: &str,
    input: &Value,
) -> Option<Result<Value, AwsError>> {
    let render = |name: &str, stage: &Stage| match family {
        Family::Http => http_api::render_stage(name, stage),
        Family::Rest => rest_api::render_stage(name, stage),
    };
    if operation == "GetStages" {
        let all = api
            .stages
            .iter()
            .map(|(name, stage)| render(name, stage))
            .collect();
        return Some(Ok(match family {
            Family::Http => json!({ "Items": Value::Array(all) }),
            Family::Rest => json!({ "item": Value::Array(all) }),
        }));
    }
    let name = match required(input, "StageName") {
        Ok(name) => name,
        Err(error) => return Some(Err(error)),
    };
    let missing = || match family {
        Family::Http => not_found(format!(
            "Unable to find Stage by name {name} within the provided API"
        )),
        Family::Rest => not_found("Invalid stage identifier specified"),
    };
    let old = api.stages.remove(&name);
    let (kept, answer) = match (operation, old) {
        ("CreateStage", Some(old)) => (Some(old), Err(conflict("Stage already exists"))),
        ("CreateStage" | "UpdateStage", old) => {
            let existed = old.is_some();
            if operation == "UpdateStage" && !existed {
                return Some(Err(missing()));
            }
            let mut stage = old.unwrap_or_else(Stage::new);
            let applied = match family {
                Family::Http => http_api::apply_stage(api, &mut stage, input),
                Family::Rest => rest_api::apply_stage(api, &mut stage, input),
            };
            let answer = applied.map(|()| render(&name, &stage));
            ((existed || answer.is_ok()).then_some(stage), answer)
        }
        ("GetStage", Some(old)) => {
            let shown = render(&name, &old);
            (Some(old), Ok(shown))
        }
        ("DeleteStage", Some(_)) => (None, Ok(json!({}))),
        ("GetStage" | "DeleteStage", None) => (None, Err(missing())),
        (_, old) => {
            if let Some(old) = old {
                api.stages.insert(name, old);
            }
            return None;
        }
    };
    if let Some(stage) = kept {
        api.stages.insert(name.clone(), stage);
    }
    Some(answer)
}
