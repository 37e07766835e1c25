//! The resource types that the loopback knows: one table, and one place that calls the right one.
//!
//! A type is *executed* when another service of the loopback really has the thing afterwards,
//! *simulated* when only its record exists, and *refused* when it is not in the table.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::stack::Resource;
use crate::identity::policy::Context;
use crate::{AwsError, Caller, World, input};

mod apigateway;
mod apigatewayv2;
mod cloudwatch;
mod codebuild;
mod codepipeline;
mod custom;
mod iam;
mod lambda;
mod lambda_parts;
mod logs;
mod names;
mod nested;
mod properties;
mod s3;
mod simulated;
mod sns;
mod ssm;
mod table;

use table::Kind;
pub(crate) use table::find;

/// A physical resource that now exists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    pub(crate) physical_id: String,
    /// What `Ref` gives; nearly always the physical id.
    pub(crate) reference: String,
    /// What `Fn::GetAtt` gives.
    pub(crate) attributes: Map<String, Value>,
    /// The attributes are secret: a custom resource's answer may say so.
    pub(crate) no_echo: bool,
}

impl Made {
    /// A resource whose `Ref` is its physical id.
    pub(crate) fn new(physical_id: impl Into<String>) -> Self {
        let physical_id = physical_id.into();
        Self {
            reference: physical_id.clone(),
            physical_id,
            attributes: Map::new(),
            no_echo: false,
        }
    }

    /// The same resource as before an update in place.
    fn unchanged(resource: &Resource) -> Self {
        Self {
            physical_id: resource.physical_id.clone().unwrap_or_default(),
            reference: resource.reference.clone(),
            attributes: resource.attributes.clone(),
            no_echo: resource.no_echo,
        }
    }

    #[must_use]
    fn attribute(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }
}

/// Why a resource could not be made, changed or removed, as its status reason will say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    /// The physical id of what may exist all the same, and is to be removed.
    pub(crate) left_behind: Option<String>,
}

impl Trouble {
    /// In these words.
    fn told(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            left_behind: None,
        }
    }

    /// A service answered with an error: told as CloudFormation's resource handlers tell it.
    fn from_service(service: &str, error: &AwsError) -> Self {
        let request = uuid::Uuid::new_v4();
        Self::handler(
            &format!(
                "{} (Service: {service}, Status Code: {}, Request ID: {request})",
                error.message, error.status
            ),
            handler_error_code(error),
        )
    }

    /// A handler would not even ask the service.
    fn invalid(message: impl AsRef<str>) -> Self {
        Self::handler(message.as_ref(), "InvalidRequest")
    }

    fn handler(message: &str, code: &str) -> Self {
        let request = uuid::Uuid::new_v4();
        Self::told(format!(
            "Resource handler returned message: \"{message}\" (RequestToken: {request}, HandlerErrorCode: {code})"
        ))
    }
}

/// CloudFormation's name for what went wrong in a service.
fn handler_error_code(error: &AwsError) -> &'static str {
    let code = error.code.as_str();
    if code.contains("AccessDenied") || code.contains("Unauthorized") {
        "AccessDenied"
    } else if code.contains("AlreadyExists")
        || code.contains("AlreadyOwnedByYou")
        || code == "ResourceConflictException"
        || code.contains("NameInUse")
    {
        "AlreadyExists"
    } else if is_missing(error) {
        "NotFound"
    } else if code.contains("Throttl") {
        "Throttling"
    } else if code.contains("LimitExceeded") {
        "ServiceLimitExceeded"
    } else if error.status == 409 {
        "GeneralServiceException"
    } else if error.status >= 500 {
        "ServiceInternalError"
    } else {
        "InvalidRequest"
    }
}

/// The service says that the thing is not there.
fn is_missing(error: &AwsError) -> bool {
    error.code.contains("NotFound") || error.code.contains("NoSuch") || error.status == 404
}

/// Where a resource is being made: the stack, the logical id and whose permissions count.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) world: SharedWorld,
    pub(crate) stack_name: String,
    pub(crate) stack_id: String,
    pub(crate) logical_id: String,
    pub(crate) caller: Caller,
    pub(crate) tags: Vec<(String, String)>,
}

/// `Arc<World>`, with a `Debug` that does not print the world.
#[derive(Clone)]
pub(crate) struct SharedWorld(pub(crate) Arc<World>);

impl std::fmt::Debug for SharedWorld {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("World")
    }
}

impl std::ops::Deref for SharedWorld {
    type Target = Arc<World>;

    fn deref(&self) -> &Arc<World> {
        &self.0
    }
}

impl Scene {
    /// Whether the deployment's own principal may do this; a service call follows as root.
    fn authorize(&self, service: &str, action: &str, resource: &str) -> Result<(), Trouble> {
        self.authorize_with(service, action, resource, &Context::new())
    }

    /// The same, with what a policy's conditions may ask of the request.
    fn authorize_with(
        &self,
        service: &str,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Result<(), Trouble> {
        self.world
            .identity
            .authorize_with(&self.caller, action, resource, context, None)
            .map_err(|error| Trouble::from_service(service, &error))
    }

    /// Whether the deployment's own principal may hand `role` to `to` (`lambda.amazonaws.com`).
    fn pass_role(&self, service: &str, role: &str, to: &str) -> Result<(), Trouble> {
        let context = Context::from([("iam:PassedToService".to_owned(), vec![to.to_owned()])]);
        self.authorize_with(service, "iam:PassRole", role, &context)
    }
}

/// What a nested stack with these properties is made or changed with: the members that a stack and a change
/// set have in common.
pub(crate) fn nested_request(
    scene: &Scene,
    properties: &Value,
    stack: Option<String>,
) -> Result<Value, Trouble> {
    nested::request(scene, properties, stack)
}

/// Whether the change set that is being executed changes this nested stack, whatever its own properties do.
pub(crate) fn nested_is_proposed(scene: &Scene) -> bool {
    nested::proposed(scene).is_some()
}

/// The properties without which a resource of the type is refused.
pub(crate) fn required(resource_type: &str) -> &'static [&'static str] {
    match find(resource_type).map(|known| known.kind) {
        Some(Kind::LambdaFunction) => &["Code"],
        Some(Kind::Role) => &["AssumeRolePolicyDocument"],
        Some(Kind::Policy | Kind::ManagedPolicy) => &["PolicyDocument"],
        Some(Kind::NestedStack) => &["TemplateURL"],
        Some(Kind::Custom) => &["ServiceToken"],
        _ => &[],
    }
}

/// Whether there is a resource of that type and name already, whoever made it; of types that only stacks
/// make here, in any stack.
pub(crate) fn exists(world: &World, resource_type: &str, name: &str) -> bool {
    let Some(known) = find(resource_type) else {
        return false;
    };
    match known.kind {
        Kind::LambdaFunction => world.lambda.exists(name),
        Kind::Bucket => world.s3.exists(name),
        Kind::Role => world.identity.role(name).is_some(),
        Kind::LogGroup => world.logs.exists(name),
        Kind::Topic => world.sns.exists(&world.arn("sns", name)),
        Kind::Parameter => world.ssm.exists(name),
        Kind::ManagedPolicy
        | Kind::Alarm
        | Kind::BuildProject
        | Kind::Pipeline
        | Kind::Simulated => in_a_stack(world, known, name),
        // Such a name is one among its siblings, and not the account's.
        _ => false,
    }
}

/// Whether the loopback imports resources of that type: buckets, and what has a name of the operator's and is
/// simulated.
pub(crate) fn importable(resource_type: &str) -> bool {
    find(resource_type).is_some_and(|known| {
        known.kind == Kind::Bucket || known.kind == Kind::Simulated && known.name_property.is_some()
    })
}

/// The ARN of the stack that a physical resource belongs to.
pub(crate) fn owner(world: &World, resource_type: &str, physical_id: &str) -> Option<String> {
    world.cloudformation.with(|stacks| {
        stacks
            .iter()
            .find(|stack| {
                stack.resources.values().any(|resource| {
                    !resource.status.gone()
                        && resource.resource_type == resource_type
                        && resource.physical_id.as_deref() == Some(physical_id)
                })
            })
            .map(|stack| stack.id.clone())
    })
}

/// Finds a resource that is there already, and leaves it as it is.
pub(crate) fn adopt(
    scene: &Scene,
    resource_type: &str,
    physical_id: &str,
    properties: &Value,
) -> Result<Made, Trouble> {
    let missing = || {
        Trouble::handler(
            &format!(
                "Resource of type '{resource_type}' with identifier '{physical_id}' was not found."
            ),
            "NotFound",
        )
    };
    let known = find(resource_type).ok_or_else(missing)?;
    let made = match known.kind {
        Kind::Bucket => s3::adopt_bucket(scene, physical_id).ok_or_else(missing)?,
        // Of a type that is simulated, whatever the template names is there.
        _ => simulated::create(scene, resource_type, properties),
    };
    if made.physical_id != physical_id {
        return Err(missing());
    }
    note(scene, known);
    Ok(made)
}

fn in_a_stack(world: &World, known: &table::ResourceType, name: &str) -> bool {
    let named = |resource: &Resource| {
        !resource.status.gone()
            && resource.physical_id.is_some()
            && resource.resource_type == known.name
            && known.name_property.is_some_and(|property| {
                input::text(&resource.properties, property).as_deref() == Some(name)
            })
    };
    world.cloudformation.with(|stacks| {
        stacks
            .iter()
            .any(|stack| stack.resources.values().any(named))
    })
}

/// Makes a resource of a type. `stop` ends the wait for a custom resource's answer.
pub(crate) async fn create(
    scene: &Scene,
    resource_type: &str,
    properties: &Value,
    stop: &CancellationToken,
) -> Result<Made, Trouble> {
    let Some(known) = find(resource_type) else {
        scene.world.fidelity.refused(resource_type);
        return Err(Trouble::told(refusal(resource_type)));
    };
    let made = match known.kind {
        Kind::LambdaFunction => lambda::create_function(scene, properties).await,
        Kind::LambdaVersion => lambda_parts::create_version(scene, properties).await,
        Kind::LambdaAlias => lambda_parts::create_alias(scene, properties).await,
        Kind::LambdaPermission => lambda_parts::create_permission(scene, properties).await,
        Kind::LambdaEventInvokeConfig => {
            lambda_parts::put_event_invoke_config(scene, properties).await
        }
        Kind::LambdaLayerVersion => lambda_parts::create_layer_version(scene, properties).await,
        Kind::Bucket => s3::create_bucket(scene, properties),
        Kind::BucketPolicy => s3::put_bucket_policy(scene, properties),
        Kind::Role => iam::create_role(scene, properties),
        Kind::Policy => iam::create_policy(scene, properties),
        Kind::ManagedPolicy => iam::create_managed_policy(scene, properties),
        Kind::LogGroup => logs::create(scene, properties).await,
        Kind::Topic => sns::create_topic(scene, properties).await,
        Kind::TopicPolicy => Ok(Made::new(names::generated(scene, names::Rules::PLAIN))),
        Kind::Subscription => sns::create_subscription(scene, properties).await,
        Kind::Parameter => ssm::put(scene, properties, None).await,
        Kind::Alarm => cloudwatch::put(scene, properties, None).await,
        Kind::BuildProject => codebuild::create(scene, properties).await,
        Kind::Pipeline => codepipeline::create(scene, properties).await,
        Kind::RestApi => apigateway::create_api(scene, properties).await,
        Kind::RestResource => apigateway::create_resource(scene, properties).await,
        Kind::RestMethod => apigateway::put_method(scene, properties).await,
        Kind::RestDeployment => apigateway::create_deployment(scene, properties).await,
        Kind::RestStage => apigateway::create_stage(scene, properties).await,
        Kind::RestAccount => Ok(Made::new(names::generated(scene, names::Rules::PLAIN))),
        Kind::HttpApi => apigatewayv2::create_api(scene, properties).await,
        Kind::HttpRoute => apigatewayv2::create(scene, apigatewayv2::ROUTE, properties).await,
        Kind::HttpIntegration => {
            apigatewayv2::create(scene, apigatewayv2::INTEGRATION, properties).await
        }
        Kind::HttpStage => apigatewayv2::create(scene, apigatewayv2::STAGE, properties).await,
        Kind::HttpDeployment => {
            apigatewayv2::create(scene, apigatewayv2::DEPLOYMENT, properties).await
        }
        Kind::WaitConditionHandle => Ok(simulated::wait_condition_handle(scene)),
        Kind::NestedStack => nested::create(scene, properties).await,
        Kind::Custom => custom::create(scene, resource_type, properties, stop).await,
        Kind::Simulated => Ok(simulated::create(scene, resource_type, properties)),
    }?;
    note(scene, known);
    Ok(made)
}

/// Changes a resource in place; `resource` still has its former properties.
pub(crate) async fn update(
    scene: &Scene,
    resource: &Resource,
    properties: &Value,
    stop: &CancellationToken,
) -> Result<Made, Trouble> {
    let Some(known) = find(&resource.resource_type) else {
        scene.world.fidelity.refused(&resource.resource_type);
        return Err(Trouble::told(refusal(&resource.resource_type)));
    };
    let made = match known.kind {
        Kind::LambdaFunction => lambda::update_function(scene, resource, properties).await,
        Kind::LambdaAlias => lambda_parts::update_alias(scene, resource, properties).await,
        Kind::LambdaEventInvokeConfig => {
            lambda_parts::put_event_invoke_config(scene, properties).await
        }
        Kind::Bucket => s3::update_bucket(scene, resource, properties),
        Kind::BucketPolicy => {
            s3::put_bucket_policy(scene, properties).map(|_| Made::unchanged(resource))
        }
        Kind::Role => iam::update_role(scene, resource, properties),
        Kind::Policy => iam::update_policy(scene, resource, properties),
        Kind::ManagedPolicy => iam::update_managed_policy(scene, resource, properties),
        Kind::Topic => sns::update_topic(scene, resource, properties).await,
        Kind::Parameter => ssm::put(scene, properties, Some(resource)).await,
        Kind::Alarm => cloudwatch::put(scene, properties, Some(resource)).await,
        Kind::BuildProject => codebuild::update(scene, resource, properties).await,
        Kind::Pipeline => codepipeline::update(scene, resource, properties).await,
        Kind::RestApi => apigateway::update_api(scene, resource, properties).await,
        Kind::RestMethod => apigateway::put_method(scene, properties).await,
        Kind::RestStage => apigateway::update_stage(scene, resource, properties).await,
        Kind::HttpApi => apigatewayv2::update_api(scene, resource, properties).await,
        Kind::HttpRoute => {
            apigatewayv2::update(scene, apigatewayv2::ROUTE, resource, properties).await
        }
        Kind::HttpIntegration => {
            apigatewayv2::update(scene, apigatewayv2::INTEGRATION, resource, properties).await
        }
        Kind::HttpStage => {
            apigatewayv2::update(scene, apigatewayv2::STAGE, resource, properties).await
        }
        Kind::NestedStack => nested::update(scene, resource, properties).await,
        Kind::Custom => custom::update(scene, resource, properties, stop).await,
        // Whatever of these may change in place has no effect that anyone could see.
        Kind::LambdaVersion
        | Kind::LambdaPermission
        | Kind::LambdaLayerVersion
        | Kind::LogGroup
        | Kind::TopicPolicy
        | Kind::Subscription
        | Kind::RestResource
        | Kind::RestDeployment
        | Kind::RestAccount
        | Kind::HttpDeployment
        | Kind::WaitConditionHandle
        | Kind::Simulated => Ok(Made::unchanged(resource)),
    }?;
    note(scene, known);
    Ok(made)
}

/// Waits until a resource that has been made or changed is really there. Only a nested stack takes
/// its time; `stop` cancels what it is doing.
pub(crate) async fn settle(
    scene: &Scene,
    resource_type: &str,
    made: Made,
    stop: &CancellationToken,
) -> Result<Made, Trouble> {
    match find(resource_type).map(|known| known.kind) {
        Some(Kind::NestedStack) => nested::settle(scene, made, stop).await,
        _ => Ok(made),
    }
}

/// Removes a resource. One that is already gone counts as removed.
pub(crate) async fn delete(scene: &Scene, resource: &Resource) -> Result<(), Trouble> {
    let Some(known) = find(&resource.resource_type) else {
        return Ok(());
    };
    if resource.physical_id.is_none() {
        return Ok(());
    }
    match known.kind {
        Kind::LambdaFunction => lambda::delete_function(scene, resource).await,
        Kind::LambdaVersion => lambda_parts::delete_version(scene, resource).await,
        Kind::LambdaAlias => lambda_parts::delete_alias(scene, resource).await,
        Kind::LambdaPermission => lambda_parts::delete_permission(scene, resource).await,
        Kind::LambdaEventInvokeConfig => {
            lambda_parts::delete_event_invoke_config(scene, resource).await
        }
        Kind::Bucket => s3::delete_bucket(scene, resource),
        Kind::BucketPolicy => s3::delete_bucket_policy(scene, resource),
        Kind::Role => iam::delete_role(scene, resource),
        Kind::Policy => iam::delete_policy(scene, resource),
        Kind::ManagedPolicy => iam::delete_managed_policy(scene, resource),
        Kind::LogGroup => logs::delete(scene, resource).await,
        Kind::Topic => sns::delete_topic(scene, resource).await,
        Kind::Subscription => sns::delete_subscription(scene, resource).await,
        Kind::Parameter => ssm::delete(scene, resource).await,
        Kind::Alarm => cloudwatch::delete(scene, resource).await,
        Kind::BuildProject => codebuild::delete(scene, resource).await,
        Kind::Pipeline => codepipeline::delete(scene, resource).await,
        Kind::RestApi => apigateway::delete_api(scene, resource).await,
        Kind::RestResource => apigateway::delete_resource(scene, resource).await,
        Kind::RestMethod => apigateway::delete_method(scene, resource).await,
        Kind::RestDeployment => apigateway::delete_deployment(scene, resource).await,
        Kind::RestStage => apigateway::delete_stage(scene, resource).await,
        Kind::HttpApi => apigatewayv2::delete_api(scene, resource).await,
        Kind::HttpRoute => apigatewayv2::delete(scene, apigatewayv2::ROUTE, resource).await,
        Kind::HttpIntegration => {
            apigatewayv2::delete(scene, apigatewayv2::INTEGRATION, resource).await
        }
        Kind::HttpStage => apigatewayv2::delete(scene, apigatewayv2::STAGE, resource).await,
        Kind::HttpDeployment => {
            apigatewayv2::delete(scene, apigatewayv2::DEPLOYMENT, resource).await
        }
        Kind::NestedStack => nested::delete(scene, resource).await,
        Kind::Custom => custom::delete(scene, resource).await,
        Kind::LambdaLayerVersion
        | Kind::TopicPolicy
        | Kind::RestAccount
        | Kind::WaitConditionHandle
        | Kind::Simulated => Ok(()),
    }
}

/// Records in the ledger how a type was served.
fn note(scene: &Scene, known: &table::ResourceType) {
    match known.kind {
        Kind::Simulated
        | Kind::LambdaLayerVersion
        | Kind::TopicPolicy
        | Kind::RestAccount
        | Kind::WaitConditionHandle => scene.world.fidelity.simulated(known.name),
        _ => scene.world.fidelity.executed(known.name),
    }
}

/// Why a type that is not in the table fails.
fn refusal(resource_type: &str) -> String {
    format!(
        "Resource type {resource_type} is not served by the loopback. Deploy this template to AWS, or leave the resource out of local runs with a condition"
    )
}

/// A service call as root, with its error told as a handler tells it.
macro_rules! service_call {
    ($scene:expr, $field:ident, $service:literal, $operation:expr, $input:expr) => {
        $scene
            .world
            .$field
            .call(&$scene.world, &$crate::Caller::Root, $operation, $input)
            .await
            .map_err(|error| {
                $crate::cloudformation::resources::Trouble::from_service($service, &error)
            })
    };
}
use service_call;

/// The same, where a thing that is not there is what was wanted.
macro_rules! service_removal {
    ($scene:expr, $field:ident, $service:literal, $operation:expr, $input:expr) => {
        match $scene
            .world
            .$field
            .call(&$scene.world, &$crate::Caller::Root, $operation, $input)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if $crate::cloudformation::resources::is_missing(&error) => Ok(()),
            Err(error) => Err($crate::cloudformation::resources::Trouble::from_service(
                $service, &error,
            )),
        }
    };
}
use service_removal;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_errors_become_handler_error_codes() {
        for (code, status, expected) in [
            ("AccessDenied", 403, "AccessDenied"),
            ("BucketAlreadyOwnedByYou", 409, "AlreadyExists"),
            ("ResourceConflictException", 409, "AlreadyExists"),
            ("ResourceNotFoundException", 404, "NotFound"),
            ("NoSuchBucket", 404, "NotFound"),
            ("BucketNotEmpty", 409, "GeneralServiceException"),
            ("InvalidParameterValueException", 400, "InvalidRequest"),
            ("InternalFailure", 500, "ServiceInternalError"),
        ] {
            let error = AwsError::client(code, "x").with_status(status);
            assert_eq!(handler_error_code(&error), expected, "{code}");
        }
    }
}
