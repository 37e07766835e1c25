//! A function's configuration: what a request may set, what it may not, and how it is shown.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{AwsError, World, input};

/// Members that are kept and shown, and change nothing here.
const RECORDED: [&str; 8] = [
    "DeadLetterConfig",
    "EphemeralStorage",
    "FileSystemConfigs",
    "KMSKeyArn",
    "LoggingConfig",
    "SnapStart",
    "TracingConfig",
    "VpcConfig",
];

/// Variables that Lambda sets and a function may not.
const RESERVED: [&str; 17] = [
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
];

/// Lambda allows four kilobytes of variables, names and values together.
const ENVIRONMENT_LIMIT: usize = 4096;

/// The runtime identifiers whose functions run here. The host's own `node` and `python3` run them,
/// whatever their version:
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html>.
const SERVED: [&str; 14] = [
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "nodejs26.x",
    "python3.9",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "python3.15",
    "provided.al2",
    "provided.al2023",
];

/// The identifiers that Lambda has or had, and that nothing here runs.
const NOT_SERVED: [&str; 29] = [
    "dotnet10",
    "dotnet6",
    "dotnet8",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "java11",
    "java17",
    "java21",
    "java25",
    "java8",
    "java8.al2",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs16.x",
    "nodejs4.3",
    "nodejs6.10",
    "nodejs8.10",
    "provided",
    "python2.7",
    "python3.6",
    "python3.7",
    "python3.8",
    "ruby2.7",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "ruby4.0",
];

/// What starts a function's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// `provided*`: the package's own `bootstrap`.
    Provided(String),
    /// `nodejsNN.x`: the host's `node`.
    Node(String),
    /// `python3.N`: the host's `python3`.
    Python(String),
    /// A container image: its entry point.
    Image,
}

impl Runtime {
    /// Reads a runtime identifier.
    fn parse(world: &World, text: &str) -> Result<Self, AwsError> {
        if SERVED.contains(&text) {
            let text = text.to_owned();
            return Ok(match text.get(..6) {
                Some("nodejs") => Self::Node(text),
                Some("python") => Self::Python(text),
                _ => Self::Provided(text),
            });
        }
        let served = SERVED.join(", ");
        world.fidelity.refused(format!("Lambda runtime {text}"));
        Err(invalid(if NOT_SERVED.contains(&text) {
            format!(
                "Value {text} at 'runtime' failed to satisfy constraint: the loopback does not serve this runtime; it serves {served} and container images"
            )
        } else {
            format!(
                "Value {text} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{served}]; Lambda has no such runtime"
            )
        }))
    }

    /// The identifier; an image has none.
    pub(crate) fn identifier(&self) -> Option<&str> {
        match self {
            Self::Provided(text) | Self::Node(text) | Self::Python(text) => Some(text),
            Self::Image => None,
        }
    }
}

/// `ImageConfig`: what overrides the image's own entry point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageConfig {
    pub(crate) entry_point: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) working_directory: Option<String>,
}

/// Everything about a version that is not its code.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Configuration {
    pub(crate) runtime: Runtime,
    /// Of the execution role.
    pub(crate) role: String,
    /// `file.function`; empty for an image.
    pub(crate) handler: String,
    /// Seconds, 1 to 900.
    pub(crate) timeout: u32,
    /// Megabytes, 128 to 10,240. Told to the function, not enforced.
    pub(crate) memory: u32,
    pub(crate) description: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) image: ImageConfig,
    pub(crate) architecture: String,
    /// ARNs of layer versions, in order.
    pub(crate) layers: Vec<String>,
    recorded: Map<String, Value>,
}

impl Configuration {
    /// Reads a `CreateFunction` request.
    pub(crate) fn create(world: &World, request: &Value) -> Result<Self, AwsError> {
        let package = input::text(request, "PackageType").unwrap_or_else(|| "Zip".into());
        let architecture = input::list(request, "Architectures")
            .first()
            .and_then(Value::as_str)
            .unwrap_or("x86_64");
        let (runtime, handler) = (
            input::text(request, "Runtime"),
            input::text(request, "Handler"),
        );
        let (runtime, handler) = match (package.as_str(), runtime, handler) {
            ("Image", None, None) => (Runtime::Image, String::new()),
            ("Image", ..) => {
                return Err(invalid(
                    "Runtime and Handler are not supported for functions created with container images.",
                ));
            }
            ("Zip", Some(runtime), Some(handler)) => (Runtime::parse(world, &runtime)?, handler),
            ("Zip", ..) => {
                return Err(invalid(
                    "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
                ));
            }
            (other, ..) => {
                return Err(AwsError::client(
                    "ValidationException",
                    format!(
                        "1 validation error detected: Value '{other}' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [Image, Zip]"
                    ),
                ));
            }
        };
        let mut configuration = Self {
            runtime,
            role: input::required(request, "Role")?,
            handler,
            timeout: 3,
            memory: 128,
            description: String::new(),
            environment: BTreeMap::new(),
            image: ImageConfig::default(),
            architecture: architecture.to_owned(),
            layers: Vec::new(),
            recorded: Map::new(),
        };
        configuration.apply(world, request)?;
        Ok(configuration)
    }

    /// Sets what a request names and leaves the rest.
    pub(crate) fn apply(&mut self, world: &World, request: &Value) -> Result<(), AwsError> {
        if let Some(runtime) = input::text(request, "Runtime") {
            self.runtime = Runtime::parse(world, &runtime)?;
        }
        if let Some(handler) = input::text(request, "Handler") {
            self.handler = handler;
        }
        if let Some(role) = input::text(request, "Role") {
            self.role = role;
        }
        if let Some(description) = input::text(request, "Description") {
            self.description = description;
        }
        if let Some(timeout) = input::integer(request, "Timeout") {
            self.timeout = within(timeout, "timeout", 1, 900)?;
        }
        if let Some(memory) = input::integer(request, "MemorySize") {
            self.memory = within(memory, "memorySize", 128, 10_240)?;
        }
        if let Some(environment) = request.get("Environment") {
            self.environment = environment_of(environment)?;
        }
        if let Some(image) = request.get("ImageConfig") {
            self.image = ImageConfig {
                entry_point: strings(image, "EntryPoint"),
                command: strings(image, "Command"),
                working_directory: input::text(image, "WorkingDirectory"),
            };
        }
        if request.get("Layers").is_some() {
            self.layers = strings(request, "Layers");
        }
        for member in RECORDED {
            if let Some(value) = request.get(member) {
                self.recorded.insert(member.to_owned(), value.clone());
            }
        }
        if let Some(target) = request
            .pointer("/DeadLetterConfig/TargetArn")
            .and_then(Value::as_str)
            && !target.is_empty()
        {
            world
                .fidelity
                .simulated("Lambda dead-letter queues and destinations: recorded, nothing is sent");
        }
        Ok(())
    }

    /// Where the output goes.
    pub(crate) fn log_group(&self, function: &str) -> String {
        self.logging("LogGroup")
            .map_or_else(|| format!("/aws/lambda/{function}"), str::to_owned)
    }

    /// A member of `LoggingConfig`.
    pub(crate) fn logging(&self, member: &str) -> Option<&str> {
        self.recorded.get("LoggingConfig")?.get(member)?.as_str()
    }

    /// The members of a `FunctionConfiguration` that come from here.
    pub(crate) fn render(&self) -> Map<String, Value> {
        let mut shown = Map::new();
        let mut show = |name: &str, value: Value| shown.insert(name.to_owned(), value);
        if let Some(runtime) = self.runtime.identifier() {
            show("Runtime", json!(runtime));
            show("Handler", json!(self.handler));
            show("PackageType", json!("Zip"));
        } else {
            show("PackageType", json!("Image"));
            let mut image = Map::new();
            if !self.image.entry_point.is_empty() {
                image.insert("EntryPoint".into(), json!(self.image.entry_point));
            }
            if !self.image.command.is_empty() {
                image.insert("Command".into(), json!(self.image.command));
            }
            if let Some(directory) = &self.image.working_directory {
                image.insert("WorkingDirectory".into(), json!(directory));
            }
            if !image.is_empty() {
                show("ImageConfigResponse", json!({ "ImageConfig": image }));
            }
        }
        show("Role", json!(self.role));
        show("Timeout", json!(self.timeout));
        show("MemorySize", json!(self.memory));
        show("Description", json!(self.description));
        show("Architectures", json!([self.architecture]));
        if !self.environment.is_empty() {
            show("Environment", json!({ "Variables": self.environment }));
        }
        if !self.layers.is_empty() {
            let layers: Vec<Value> = self
                .layers
                .iter()
                .map(|arn| json!({ "Arn": arn }))
                .collect();
            show("Layers", json!(layers));
        }
        show("TracingConfig", json!({ "Mode": "PassThrough" }));
        show("EphemeralStorage", json!({ "Size": 512 }));
        for (member, value) in &self.recorded {
            show(member, value.clone());
        }
        shown
    }
}

fn environment_of(environment: &Value) -> Result<BTreeMap<String, String>, AwsError> {
    let empty = Map::new();
    let variables = environment
        .get("Variables")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let variables: BTreeMap<String, String> = variables
        .keys()
        .filter_map(|name| {
            Some((
                name.clone(),
                input::text(environment.get("Variables")?, name)?,
            ))
        })
        .collect();
    let refused = "Lambda was unable to configure your environment variables because the environment variables you have provided";
    let reserved: Vec<&str> = RESERVED
        .into_iter()
        .filter(|name| variables.contains_key(*name))
        .collect();
    if !reserved.is_empty() {
        return Err(invalid(format!(
            "{refused} contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let size: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if size > ENVIRONMENT_LIMIT {
        return Err(invalid(format!(
            "{refused} exceeded the 4KB limit: they are {size} bytes"
        )));
    }
    Ok(variables)
}

fn strings(value: &Value, member: &str) -> Vec<String> {
    input::list(value, member)
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn within(value: i64, member: &str, least: u32, most: u32) -> Result<u32, AwsError> {
    let broken = |rule: &str, bound: u32| {
        AwsError::client(
            "ValidationException",
            format!(
                "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have value {rule} than or equal to {bound}"
            ),
        )
    };
    if value < i64::from(least) {
        return Err(broken("greater", least));
    }
    u32::try_from(value)
        .ok()
        .filter(|value| *value <= most)
        .ok_or_else(|| broken("less", most))
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterValueException", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn create(members: Value) -> Result<Configuration, AwsError> {
        let mut request =
            json!({ "Runtime": "nodejs20.x", "Handler": "index.handler", "Role": "r" });
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        Configuration::create(&World::new(Settings::new("/nowhere"), 1), &request)
    }

    #[test]
    fn what_lambda_refuses_is_refused_in_its_words() {
        for (members, expected) in [
            (
                json!({ "Timeout": 901 }),
                "Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
            ),
            (json!({ "Timeout": "0" }), "greater than or equal to 1"),
            (json!({ "MemorySize": 64 }), "at 'memorySize'"),
            (
                json!({ "Handler": null }),
                "Runtime and Handler are mandatory",
            ),
            (
                json!({ "PackageType": "Image" }),
                "not supported for functions created with container images",
            ),
            (
                json!({ "PackageType": "Tar" }),
                "enum value set: [Image, Zip]",
            ),
            (
                json!({ "Runtime": "cobol85" }),
                "Value cobol85 at 'runtime'",
            ),
            (
                json!({ "Runtime": "nodejs20" }),
                "Value nodejs20 at 'runtime'",
            ),
            (
                json!({ "Runtime": "nodejs99.x" }),
                "python3.15, provided.al2, provided.al2023]; Lambda has no such runtime",
            ),
            (
                json!({ "Runtime": "java21" }),
                "the loopback does not serve this runtime; it serves nodejs18.x, nodejs20.x,",
            ),
            (
                json!({ "Environment": { "Variables": { "AWS_REGION": "x" } } }),
                "Reserved keys used in this request: AWS_REGION",
            ),
            (
                json!({ "Environment": { "Variables": { "A": "x".repeat(5000) } } }),
                "4KB limit",
            ),
            (json!({ "Role": null }), "'Role'"),
        ] {
            let message = create(members.clone()).unwrap_err().message;
            assert!(message.contains(expected), "{members}: {message}");
        }
    }

    #[test]
    fn an_update_changes_only_what_it_names() {
        let world = World::new(Settings::new("/nowhere"), 1);
        let mut configuration =
            create(json!({ "Timeout": 30, "Environment": { "Variables": { "A": "1" } } })).unwrap();
        configuration
            .apply(&world, &json!({ "MemorySize": 256 }))
            .unwrap();
        assert_eq!((configuration.timeout, configuration.memory), (30, 256));
        assert_eq!(configuration.environment["A"], "1");
        configuration
            .apply(&world, &json!({ "Environment": { "Variables": {} } }))
            .unwrap();
        assert!(configuration.environment.is_empty());
    }
}
