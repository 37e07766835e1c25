//! What is started for a version, and with which environment variables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::configuration::Runtime;
use super::environment::Environment;
use super::function::Version;
use crate::World;
use crate::identity::Credentials;

/// A process to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) directory: PathBuf,
}

/// Why nothing could be started: an error type and a message for whoever invoked the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unstartable {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

/// What runs a handler that is no program by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// `None` when this machine has none.
    pub(crate) program: Option<PathBuf>,
    /// What the interpreter runs, and what loads the handler.
    pub(crate) bootstrap: PathBuf,
}

/// Decides what is started for a version.
pub(crate) fn launch(version: &Version, interpreter: &Interpreter) -> Result<Launch, Unstartable> {
    let root = &version.code.root;
    let interpreted = |name: &str, options: &[&str]| {
        let program = interpreter.program.clone().ok_or_else(|| Unstartable {
            kind: "Runtime.HostRuntimeMissing",
            message: format!(
                "{} needs `{name}` on this machine's PATH, and there is none: install it, or run the function elsewhere",
                version
                    .configuration
                    .runtime
                    .identifier()
                    .unwrap_or("the function")
            ),
        })?;
        let mut arguments: Vec<OsString> = options.iter().map(OsString::from).collect();
        arguments.push(interpreter.bootstrap.clone().into());
        Ok(Launch {
            program,
            arguments,
            directory: root.clone(),
        })
    };
    match &version.configuration.runtime {
        Runtime::Provided(_) => {
            let program = root.join("bootstrap");
            if !program.is_file() {
                return Err(Unstartable {
                    kind: "Runtime.InvalidEntrypoint",
                    message: format!("Couldn't find valid bootstrap(s): [{}]", program.display()),
                });
            }
            Ok(Launch {
                program,
                arguments: Vec::new(),
                directory: root.clone(),
            })
        }
        Runtime::Node(_) => interpreted("node", &[]),
        Runtime::Python(_) => interpreted("python3", &["-u"]),
        Runtime::Image => image(version),
    }
}

fn image(version: &Version) -> Result<Launch, Unstartable> {
    let root = &version.code.root;
    let config = &version.configuration.image;
    let Some((program, arguments)) = config.entry_point.split_first() else {
        return Err(Unstartable {
            kind: "Runtime.InvalidEntrypoint",
            message:
                "the loopback does not read an image's own entry point: set ImageConfig.EntryPoint"
                    .into(),
        });
    };
    let outside = |what: &str| Unstartable {
        kind: "Runtime.InvalidEntrypoint",
        message: format!("`{what}` is not a path inside the image"),
    };
    let program = inside(root, program).ok_or_else(|| outside(program))?;
    let directory = match &config.working_directory {
        Some(directory) => inside(root, directory).ok_or_else(|| outside(directory))?,
        None => root.clone(),
    };
    if !program.is_file() {
        return Err(Unstartable {
            kind: "Runtime.InvalidEntrypoint",
            message: format!("the image has no file `{}`", config.entry_point[0]),
        });
    }
    let arguments = arguments
        .iter()
        .chain(&config.command)
        .map(OsString::from)
        .collect();
    Ok(Launch {
        program,
        arguments,
        directory,
    })
}

/// A path of the image as a path of this machine.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let mut joined = root.to_path_buf();
    for component in Path::new(path).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => joined.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(joined)
}

/// The process's whole environment: what Lambda sets, what the function asks for, and the few
/// things of this machine without which nothing can be reached.
pub(crate) fn variables(
    world: &World,
    version: &Version,
    environment: &Environment,
    credentials: &Credentials,
    runtime_api: &str,
    directory: &Path,
    host: impl Iterator<Item = (OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    let configuration = &version.configuration;
    let region = &world.settings.region;
    let mut variables: BTreeMap<OsString, OsString> = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        variables.insert(name.into(), value.into());
    };
    set("LANG", "en_US.UTF-8");
    set("TZ", ":UTC");
    set("AWS_ENDPOINT_URL", &world.endpoint);
    // A role of the loopback has nothing to ask the instance metadata service.
    set("AWS_EC2_METADATA_DISABLED", "true");
    set("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR");
    variables.extend(host);
    for (name, value) in &world.settings.function_environment {
        variables.insert(name.into(), value.into());
    }
    let mut set = |name: &str, value: &str| {
        variables.insert(name.into(), value.into());
    };
    // As in AWS there is no such directory: what needs a HOME has to make one below TMPDIR.
    set("HOME", &directory.join("home").to_string_lossy());
    set("TMPDIR", &directory.join("tmp").to_string_lossy());
    for (name, value) in &configuration.environment {
        set(name, value);
    }
    if let Runtime::Node(runtime) | Runtime::Python(runtime) = &configuration.runtime {
        set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{runtime}"));
    }
    if let Some(format) = configuration.logging("LogFormat") {
        set("AWS_LAMBDA_LOG_FORMAT", format);
    }
    if let Some(level) = configuration.logging("ApplicationLogLevel") {
        set("AWS_LAMBDA_LOG_LEVEL", level);
    }
    for (name, value) in [
        ("_HANDLER", configuration.handler.as_str()),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ACCESS_KEY_ID", &credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key),
        ("AWS_SESSION_TOKEN", &credentials.session_token),
        ("AWS_LAMBDA_FUNCTION_NAME", &version.function),
        ("AWS_LAMBDA_FUNCTION_VERSION", &version.number),
        (
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            &configuration.memory.to_string(),
        ),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &environment.log_group),
        ("AWS_LAMBDA_LOG_STREAM_NAME", &environment.log_stream),
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("LAMBDA_TASK_ROOT", &version.code.root.to_string_lossy()),
        ("LAMBDA_RUNTIME_DIR", &version.code.root.to_string_lossy()),
    ] {
        set(name, value);
    }
    variables
}
