//! An API as it is kept: a definition that changes, deployments that do not, stages that lead to one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::http_api::HttpApi;
use super::rest_api::RestApi;
use crate::AwsError;

/// The stage of an HTTP API that has no name in paths.
pub(super) const DEFAULT: &str = "$default";

/// Who may start an event's journey (`Principal` in a function's policy).
pub(super) const PRINCIPAL: &str = "apigateway.amazonaws.com";

/// One API.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) created: OffsetDateTime,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) definition: Definition,
    pub(super) deployments: BTreeMap<String, Deployment>,
    pub(super) stages: BTreeMap<String, Stage>,
}

/// What kind of API it is, with what only that kind has.
#[derive(Debug)]
pub(super) enum Definition {
    Http(HttpApi),
    Rest(RestApi),
}

/// The routes as they were at one time.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) description: String,
    pub(super) created: OffsetDateTime,
    pub(super) table: Arc<Table>,
}

/// A name under which a deployment is served.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) deployment: Option<String>,
    /// Serve the definition as it is now. HTTP APIs only.
    pub(super) auto_deploy: bool,
    pub(super) description: String,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) created: OffsetDateTime,
    pub(super) tags: BTreeMap<String, String>,
}

/// Everything needed to serve requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) routes: Vec<Route>,
    /// A REST API's resources, with or without methods.
    pub(super) resources: Vec<String>,
    pub(super) binary_media_types: Vec<String>,
}

/// A method of a path, and what answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// `ANY` or an HTTP method.
    pub(super) method: String,
    /// `/items/{id}`, `/{proxy+}` or `$default`.
    pub(super) path: String,
    /// A REST API's resource; empty otherwise.
    pub(super) resource_id: String,
    pub(super) target: Target,
}

impl Route {
    /// `GET /items/{id}` or `$default`.
    pub(super) fn key(&self) -> String {
        if self.path == DEFAULT {
            DEFAULT.to_owned()
        } else {
            format!("{} {}", self.method, self.path)
        }
    }
}

/// What answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A function: its ARN, or the URI of its invocations.
    Function {
        uri: String,
        format: Format,
        timeout: Duration,
    },
    /// API Gateway itself.
    Mock(Mock),
    /// Nothing yet.
    Nothing,
}

/// The payload format of events and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    One,
    Two,
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Mock {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Api {
    /// The definition as it is now.
    pub(super) fn table(&self) -> Table {
        match &self.definition {
            Definition::Http(http) => http.table(),
            Definition::Rest(rest) => rest.table(),
        }
    }

    /// Keeps the definition as it is now, and answers the deployment's id.
    pub(super) fn deploy(&mut self, description: String) -> String {
        let id = identifier(6);
        let deployment = Deployment {
            description,
            created: OffsetDateTime::now_utc(),
            table: Arc::new(self.table()),
        };
        self.deployments.insert(id.clone(), deployment);
        id
    }

    /// What a stage serves.
    pub(super) fn served(&self, stage: &Stage) -> Option<Arc<Table>> {
        if stage.auto_deploy {
            return Some(Arc::new(self.table()));
        }
        let deployment = self.deployments.get(stage.deployment.as_ref()?)?;
        Some(Arc::clone(&deployment.table))
    }
}

impl Stage {
    /// A stage that serves nothing yet.
    pub(super) fn new() -> Self {
        Self {
            deployment: None,
            auto_deploy: false,
            description: String::new(),
            variables: BTreeMap::new(),
            created: OffsetDateTime::now_utc(),
            tags: BTreeMap::new(),
        }
    }
}

/// A new id of that many letters and digits.
pub(super) fn identifier(length: usize) -> String {
    let mut random = u128::from_le_bytes(*uuid::Uuid::new_v4().as_bytes());
    (0..length)
        .map(|_| {
            let digit = (random % 36) as u32;
            random /= 36;
            char::from_digit(digit, 36).unwrap_or('a')
        })
        .collect()
}

/// A time as the second API Gateway shows it.
pub(super) fn iso(time: OffsetDateTime) -> Value {
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    Value::String(seconds.format(&Rfc3339).unwrap_or_default())
}

/// A time as the first API Gateway shows it.
pub(super) fn epoch(time: OffsetDateTime) -> Value {
    Value::from(time.unix_timestamp())
}

/// What API Gateway answers when something is not there.
pub(super) fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::client("NotFoundException", message).with_status(404)
}

/// What API Gateway answers to a request that cannot be right.
pub(super) fn bad_request(message: impl Into<String>) -> AwsError {
    AwsError::client("BadRequestException", message)
}

/// What API Gateway answers when something is there already.
pub(super) fn conflict(message: impl Into<String>) -> AwsError {
    AwsError::client("ConflictException", message).with_status(409)
}
