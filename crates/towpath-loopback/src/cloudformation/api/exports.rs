//! ListExports and ListImports.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cloudformation::wire::{Object, page, required, validation};
use crate::{AwsError, World};

/// How many entries a page holds.
const PAGE: usize = 100;

pub(super) fn list(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let mut exports: Vec<(String, Value)> = world.cloudformation.with(|stacks| {
        stacks
            .iter()
            .filter(|stack| !stack.status.is_gone())
            .flat_map(|stack| {
                stack.outputs.iter().filter_map(|output| {
                    let name = output.export.clone()?;
                    let export = json!({
                        "ExportingStackId": stack.id,
                        "Name": name,
                        "Value": output.value,
                    });
                    Some((name, export))
                })
            })
            .collect()
    });
    exports.sort_by(|(left, _), (right, _)| left.cmp(right));
    let exports = exports.into_iter().map(|(_, export)| export).collect();
    let (exports, next) = page(exports, request, PAGE)?;
    Ok(json!({ "Exports": exports }).with("NextToken", next))
}

pub(super) fn imports(world: &Arc<World>, request: &Value) -> Result<Value, AwsError> {
    let name = required(request, "ExportName")?;
    let importers = world.cloudformation.importers(&name, "");
    if importers.is_empty() {
        return Err(validation(format!(
            "Export '{name}' is not imported by any stack."
        )));
    }
    let (importers, next) = page(importers, request, PAGE)?;
    Ok(json!({ "Imports": importers }).with("NextToken", next))
}
