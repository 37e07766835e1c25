//! The operations of the API: read the request, judge it, act or refuse.

use std::sync::Arc;

use serde_json::Value;

use crate::{AwsError, Caller, World};

pub(crate) mod change_sets;
mod describe;
mod events;
mod exports;
mod recovery;
mod request;
mod settings;
pub(crate) mod stacks;
mod templates;

/// Answers one operation. Whether the caller may ask for it has been judged before; what else it
/// needs, such as reading a template or passing a role, is judged here.
pub(crate) async fn answer(
    world: &Arc<World>,
    caller: &Caller,
    operation: &str,
    request: &Value,
) -> Result<Value, AwsError> {
    match operation {
        "CreateStack" => stacks::create(world, caller, request).await,
        "UpdateStack" => stacks::update(world, caller, request).await,
        "DeleteStack" => stacks::delete(world, caller, request),
        "CancelUpdateStack" => recovery::cancel_update(world, request),
        "ContinueUpdateRollback" => recovery::continue_rollback(world, caller, request),
        "RollbackStack" => recovery::roll_back(world, caller, request),
        "CreateChangeSet" => change_sets::create(world, caller, request).await,
        "DescribeChangeSet" => change_sets::describe(world, request),
        "ListChangeSets" => change_sets::list(world, request),
        "ExecuteChangeSet" => change_sets::execute(world, caller, request),
        "DeleteChangeSet" => change_sets::delete(world, request),
        "DescribeStacks" => describe::stacks(world, request),
        "ListStacks" => describe::list(world, request),
        "DescribeStackEvents" => events::of_stack(world, request),
        "DescribeEvents" => events::of_operation(world, request),
        "ListHookResults" => events::hook_results(world, request),
        "DescribeStackResources" => describe::resources(world, request),
        "DescribeStackResource" => describe::resource(world, request),
        "ListStackResources" => describe::list_resources(world, request),
        "GetTemplate" => templates::get(world, request),
        "GetTemplateSummary" => templates::summary(world, caller, request).await,
        "ValidateTemplate" => templates::validate(world, caller, request).await,
        "ListExports" => exports::list(world, request),
        "ListImports" => exports::imports(world, request),
        "UpdateTerminationProtection" => settings::termination_protection(world, request),
        "SetStackPolicy" => settings::set_policy(world, request),
        "GetStackPolicy" => settings::policy(world, request),
        _ => Err(AwsError::unknown_operation("cloudformation", operation)),
    }
}
