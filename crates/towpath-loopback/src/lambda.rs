//! Lambda: functions are real processes that speak the Runtime API.
//!
//! - [`operations`] answers the control plane, with [`alias`], [`permission`] and [`delivery`].
//! - [`invoke`] carries an event to an answer, with time-outs and asynchronous retries.
//! - [`pool`] decides which environment serves an event; [`environment`] is where the event and the
//!   process meet; [`process`] starts and ends the process; [`launch`] says what is started.
//! - [`runtime_api`] is the HTTP side of an environment.
//!
//! Not as in AWS: environments are not frozen between events, memory is not limited, the task root
//! is not `/var/task`, weighted aliases always lead to their main version, and code is active at once.

mod alias;
mod code;
mod configuration;
mod delivery;
mod environment;
mod function;
mod host;
mod invoke;
mod launch;
mod name;
mod operations;
mod permission;
mod policy;
mod pool;
mod process;
mod runtime_api;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use crate::server::{Request, Response};
use crate::{AwsError, Caller, World, input};
use code::Code;
use function::{Function, Version};
use host::Host;
use name::FunctionName;
use pool::Pool;

pub(crate) use host::passed;
pub(crate) use invoke::{Invocation, Outcome};

/// The service's state.
#[derive(Default)]
pub(crate) struct Lambda {
    state: Mutex<State>,
    pool: Pool,
    host: Host,
}

#[derive(Default)]
struct State {
    functions: BTreeMap<String, Function>,
    /// Unpacked images by URI.
    images: BTreeMap<String, Arc<Code>>,
    /// Functions whose next asynchronous event arrives twice.
    duplicates: BTreeSet<String>,
    /// The newest version number of each layer.
    layers: BTreeMap<String, u64>,
}

impl Lambda {
    /// Answers one operation.
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        let name = match input::text(&input, "FunctionName") {
            Some(text) => Some(FunctionName::parse(
                world,
                &text,
                input::text(&input, "Qualifier").as_deref(),
            )?),
            None => None,
        };
        let resource = match (&name, input::text(&input, "Resource")) {
            (Some(name), _) => name.arn(world),
            (None, Some(arn)) => arn,
            (None, None) => "*".to_owned(),
        };
        let action = match operation {
            "Invoke" => "lambda:InvokeFunction".to_owned(),
            other => format!("lambda:{other}"),
        };
        world.identity.authorize(caller, &action, &resource)?;
        if operation == "Invoke" {
            let name = name.ok_or_else(|| missing("FunctionName"))?;
            return invoke::invoke(world, name, &input).await;
        }
        operations::answer(world, operation, name, &input).await
    }

    /// The names of the functions that there are, if the one that is meant is none of them.
    pub(crate) fn missing(&self, world: &World, function: &str) -> Option<Vec<String>> {
        let name = FunctionName::parse(world, function, None).ok()?.name;
        let state = self.lock();
        (!state.functions.contains_key(&name)).then(|| state.functions.keys().cloned().collect())
    }

    /// Whether there is a function of that name.
    pub(crate) fn exists(&self, function: &str) -> bool {
        self.lock().functions.contains_key(function)
    }

    /// Unpacks a zipped root file system that functions may name as `ImageUri`.
    pub(crate) async fn register_image(
        &self,
        world: &World,
        uri: &str,
        zip: Bytes,
    ) -> Result<(), AwsError> {
        let parent =
            directory(world, "images").map_err(|error| AwsError::internal(error.to_string()))?;
        let code = code::unpack(parent, zip, Some(uri.to_owned())).await?;
        self.lock().images.insert(uri.to_owned(), Arc::new(code));
        Ok(())
    }

    /// Where the root of an image lies that was handed over.
    pub(crate) fn image_root(&self, uri: &str) -> Option<PathBuf> {
        Some(self.lock().images.get(uri)?.root.clone())
    }

    /// The folders in which an image that was handed over has programs.
    pub(crate) fn image_path(&self, uri: &str) -> Option<BTreeSet<PathBuf>> {
        let root = self.image_root(uri)?;
        let programs = walkdir::WalkDir::new(root)
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file());
        Some(
            programs
                .filter_map(|entry| Some(entry.path().parent()?.to_owned()))
                .collect(),
        )
    }

    /// Serves the Runtime API below `/_runtime/<environment id>` of the loopback's own port.
    pub(crate) async fn runtime(&self, _world: &Arc<World>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let found = path
            .strip_prefix("/_runtime/")
            .and_then(|rest| rest.split_at_checked(rest.find('/')?))
            .and_then(|(id, path)| Some((self.pool.find(id)?, path)));
        match found {
            Some((environment, path)) => runtime_api::respond(&environment, path, &request).await,
            None => runtime_api::error(
                403,
                "Forbidden",
                "there is no such environment, or no longer",
            ),
        }
    }

    /// Whether the function's resource policy lets a service invoke it: `function` is its ARN, as
    /// the service was given it, `source_arn` is what the service acts for.
    pub(crate) fn permits(
        &self,
        world: &World,
        function: &str,
        principal: &str,
        source_arn: &str,
    ) -> bool {
        let Ok(name) = FunctionName::parse(world, function, None) else {
            return false;
        };
        self.read(&name.name, |function| {
            function.permits(
                name.qualifier.as_deref(),
                principal,
                source_arn,
                &world.settings.account,
            )
        })
        .unwrap_or(false)
    }

    /// Invokes a function by its ARN for a service, and waits. No policy is asked.
    pub(crate) async fn run(
        &self,
        world: &Arc<World>,
        function: &str,
        payload: impl Into<Bytes>,
    ) -> Result<Outcome, AwsError> {
        let name = FunctionName::parse(world, function, None)?;
        let version = self.version(world, &name)?;
        invoke::run(world, version, Invocation::new(name, payload)).await
    }

    /// The next asynchronous event of that function is delivered twice, as Lambda's queue may do.
    pub(crate) fn duplicate_next(&self, function: &str) {
        self.lock().duplicates.insert(function.to_owned());
    }

    /// Ends every environment with all that its process started, and waits for it.
    pub(crate) async fn shutdown(&self) {
        for environment in self.pool.clear() {
            environment.ended().await;
        }
    }

    fn take_duplicate(&self, function: &str) -> bool {
        self.lock().duplicates.remove(function)
    }

    /// The version that a name leads to, or that there is none.
    fn version(&self, world: &World, name: &FunctionName) -> Result<Arc<Version>, AwsError> {
        self.read(&name.name, |function| function.require(world, name))
            .ok_or_else(|| name.not_found(world))?
    }

    fn read<T>(&self, function: &str, look: impl FnOnce(&Function) -> T) -> Option<T> {
        self.lock().functions.get(function).map(look)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A directory of the service below the state directory, absolute: processes start elsewhere.
fn directory(world: &World, name: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(world.settings.state_dir.join(name))
}

fn missing(member: &str) -> AwsError {
    AwsError::client(
        "ValidationException",
        format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ),
    )
}
