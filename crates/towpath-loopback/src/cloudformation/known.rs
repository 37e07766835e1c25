//! What a deployment knows while it evaluates: physical ids, attributes, exports and pseudo parameters.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use towpath_template::Environment;

use super::blueprint::{Blueprint, Planned};
use super::deployer::values::rewrite_hosts;
use super::plan::UNKNOWN;
use super::stack::Stack;
use crate::World;

/// A view of one stack and of every export, taken at one moment.
pub(crate) struct Known {
    world: Arc<World>,
    stack_id: String,
    stack_name: String,
    notification_arns: Vec<String>,
    resources: BTreeMap<String, (String, Map<String, Value>)>,
    exports: BTreeMap<String, String>,
    /// Resources whose values only the deployment will know.
    unknown: BTreeSet<String>,
    imported: RefCell<BTreeSet<String>>,
}

impl Known {
    /// What is known before the stack has anything.
    pub(crate) fn nothing(
        world: &Arc<World>,
        stack_id: &str,
        stack_name: &str,
        notification_arns: &[String],
    ) -> Self {
        Self {
            world: Arc::clone(world),
            stack_id: stack_id.to_owned(),
            stack_name: stack_name.to_owned(),
            notification_arns: notification_arns.to_vec(),
            resources: BTreeMap::new(),
            exports: world.cloudformation.exports(stack_id),
            unknown: BTreeSet::new(),
            imported: RefCell::default(),
        }
    }

    /// What is known of a stack now.
    pub(crate) fn now(world: &Arc<World>, stack_id: &str) -> Self {
        let mut known = Self::nothing(world, stack_id, "", &[]);
        world
            .cloudformation
            .stack(stack_id, |stack| known.learn(stack));
        known
    }

    fn learn(&mut self, stack: &Stack) {
        self.stack_name.clone_from(&stack.name);
        self.notification_arns
            .clone_from(&stack.declared.notification_arns);
        self.resources = stack
            .resources
            .values()
            .filter(|resource| !resource.status.gone() && resource.physical_id.is_some())
            .map(|resource| {
                (
                    resource.logical_id.clone(),
                    (resource.reference.clone(), resource.attributes.clone()),
                )
            })
            .collect();
    }

    /// Evaluates a value of the blueprint. The one place where template values are made, so the
    /// one place where host names that exist only at AWS become the loopback's own.
    pub(crate) fn evaluate(
        &self,
        blueprint: &Blueprint,
        path: &str,
        raw: &Value,
    ) -> Result<Value, String> {
        let mut value = blueprint.evaluate(path, raw, self)?;
        rewrite_hosts(&self.world, &mut value);
        Ok(value)
    }

    /// A resource's properties as far as they are known, with [`UNKNOWN`] where they are not.
    pub(crate) fn project(
        &mut self,
        blueprint: &Blueprint,
        planned: &Planned,
        unknown: &BTreeSet<String>,
    ) -> Value {
        self.unknown.clone_from(unknown);
        let Some(properties) = planned.properties.as_object() else {
            return json!({});
        };
        let mut projected = Map::new();
        for (name, raw) in properties {
            // What cannot be evaluated now may be known later; the deployment will say if it is not.
            let value = self
                .evaluate(blueprint, "", raw)
                .unwrap_or_else(|_| json!(UNKNOWN));
            if !value.is_null() {
                projected.insert(name.clone(), value);
            }
        }
        Value::Object(projected)
    }

    /// The names of the exports that were read.
    pub(crate) fn imported(&self) -> BTreeSet<String> {
        self.imported.borrow().clone()
    }
}

impl Environment for Known {
    fn reference(&self, logical_id: &str) -> Option<Value> {
        if self.unknown.contains(logical_id) {
            return Some(json!(UNKNOWN));
        }
        self.resources
            .get(logical_id)
            .map(|(reference, _)| json!(reference))
    }

    fn attribute(&self, logical_id: &str, attribute: &str) -> Option<Value> {
        if self.unknown.contains(logical_id) {
            return Some(json!(UNKNOWN));
        }
        self.resources.get(logical_id)?.1.get(attribute).cloned()
    }

    fn export(&self, name: &str) -> Option<Value> {
        self.imported.borrow_mut().insert(name.to_owned());
        self.exports.get(name).map(|value| json!(value))
    }

    fn pseudo(&self, name: &str) -> Option<Value> {
        let settings = &self.world.settings;
        Some(match name {
            "AWS::Region" => json!(settings.region),
            "AWS::AccountId" => json!(settings.account),
            "AWS::Partition" => json!("aws"),
            "AWS::URLSuffix" => json!("amazonaws.com"),
            "AWS::StackName" => json!(self.stack_name),
            "AWS::StackId" => json!(self.stack_id),
            "AWS::NotificationARNs" => json!(self.notification_arns),
            _ => return None,
        })
    }

    fn zones(&self, region: &str) -> Vec<String> {
        let region = if region.is_empty() {
            &self.world.settings.region
        } else {
            region
        };
        ["a", "b", "c"]
            .iter()
            .map(|zone| format!("{region}{zone}"))
            .collect()
    }
}
