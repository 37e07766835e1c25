//! One resource: made, changed or restored, with the events that say so.

use std::sync::Arc;

use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Run, values};
use crate::cloudformation::blueprint::Planned;
use crate::cloudformation::hooks::{HookResult, Target};
use crate::cloudformation::plan::{changed_properties, needs_replacement, same};
use crate::cloudformation::policy::{self, UpdateAction};
use crate::cloudformation::resources::{self, Made, Scene, SharedWorld};
use crate::cloudformation::script::{Failure, ScriptedOperation};
use crate::cloudformation::stack::Resource;
use crate::cloudformation::status::{Phase, ResourceOperation, ResourceStatus};
use crate::input;

/// What AWS says while it makes the new resource of a replacement.
const REPLACING: &str =
    "Requested update requires the creation of a new physical resource; hence creating one.";

/// What is said when the physical resource exists but is not ready yet.
const INITIATED: &str = "Resource creation Initiated";

impl Run {
    /// Brings one resource to what the blueprint asks for. `false` if that failed or was cancelled.
    pub(super) async fn apply(&self, logical_id: &str, stop: &CancellationToken) -> bool {
        let Some(planned) = self.blueprint.resources.get(logical_id) else {
            return true;
        };
        let current = self
            .stack(|stack| stack.resources.get(logical_id).cloned())
            .flatten()
            .filter(|resource| !resource.status.gone());
        match current {
            Some(resource) if resource.physical_id.is_some() => {
                self.change(planned, resource, stop).await
            }
            _ => self.make(planned, stop).await,
        }
    }

    async fn make(&self, planned: &Planned, stop: &CancellationToken) -> bool {
        let logical_id = &planned.logical_id;
        let create = ResourceOperation::Create;
        self.stack(|stack| {
            let record = record(planned, create);
            stack.resources.insert(logical_id.clone(), record);
        });
        self.enter(logical_id, create, Phase::InProgress, None);
        let properties = match self.properties(planned) {
            Ok(properties) => properties,
            Err(reason) => return self.fail(logical_id, create, reason),
        };
        self.stack(|stack| {
            if let Some(record) = stack.resources.get_mut(logical_id) {
                record.properties = properties.clone();
            }
        });
        match self
            .bring_into_being(planned, &properties, create, stop)
            .await
        {
            Ok(made) => {
                self.stack(|stack| {
                    if let Some(record) = stack.resources.get_mut(logical_id) {
                        take(record, made);
                    }
                });
                self.complete(logical_id, create, stop).await
            }
            Err(reason) => self.fail(logical_id, create, reason),
        }
    }

    /// Makes the physical resource and waits until it is ready, telling its id as soon as there is one.
    async fn bring_into_being(
        &self,
        planned: &Planned,
        properties: &Value,
        operation: ResourceOperation,
        stop: &CancellationToken,
    ) -> Result<Made, String> {
        let logical_id = &planned.logical_id;
        self.scripted(logical_id, ScriptedOperation::Create, stop)
            .await?;
        let scene = self.scene(logical_id);
        let properties = values::resolve_dynamic(&self.world, properties.clone()).await?;
        let made = match resources::create(&scene, &planned.resource_type, &properties, stop).await
        {
            Ok(made) => made,
            Err(trouble) => {
                if let Some(left) = trouble.left_behind {
                    self.stack(|stack| {
                        if let Some(record) = stack.resources.get_mut(logical_id) {
                            take(record, Made::new(left));
                        }
                    });
                }
                return Err(trouble.reason);
            }
        };
        self.stack(|stack| {
            if let Some(record) = stack.resources.get_mut(logical_id) {
                take(record, made.clone());
            }
        });
        self.enter(
            logical_id,
            operation,
            Phase::InProgress,
            Some(INITIATED.to_owned()),
        );
        resources::settle(&scene, &planned.resource_type, made, stop)
            .await
            .map_err(|trouble| trouble.reason)
    }

    async fn change(&self, planned: &Planned, current: Resource, stop: &CancellationToken) -> bool {
        let logical_id = &planned.logical_id;
        let update = ResourceOperation::Update;
        let properties = match self.properties(planned) {
            Ok(properties) => properties,
            Err(reason) => {
                self.enter(logical_id, update, Phase::InProgress, None);
                return self.fail(logical_id, update, reason);
            }
        };
        let type_changed = current.resource_type != planned.resource_type;
        let changed = changed_properties(&current.properties, &properties);
        let unfinished =
            current.status.failed() && current.status.operation == ResourceOperation::Create;
        let within = resources::nested_is_proposed(&self.scene(logical_id));
        if changed.is_empty() && !type_changed && !current.status.failed() && !within {
            self.stack(|stack| {
                if let Some(record) = stack.resources.get_mut(logical_id) {
                    describe(record, planned);
                }
            });
            return true;
        }
        let replaces =
            type_changed || unfinished || needs_replacement(&planned.resource_type, &changed);
        let wanted = if replaces {
            UpdateAction::Replace
        } else {
            UpdateAction::Modify
        };
        if let Some(reason) = self.denied(wanted, &current) {
            return self.fail(logical_id, update, reason);
        }
        if replaces {
            return self.replace(planned, current, properties, stop).await;
        }
        self.enter(logical_id, update, Phase::InProgress, None);
        if let Err(reason) = self
            .scripted(logical_id, ScriptedOperation::Update, stop)
            .await
        {
            return self.fail(logical_id, update, reason);
        }
        self.stack(|stack| {
            if let Some(record) = stack.resources.get_mut(logical_id) {
                record.attempted = Some(properties.clone());
            }
        });
        match self.update_in_place(&current, &properties, stop).await {
            Ok(made) => {
                // A custom resource's provider may replace it without having been asked to.
                if current.physical_id.as_ref() != Some(&made.physical_id) {
                    self.mark_for_removal(&current);
                }
                self.stack(|stack| {
                    if let Some(record) = stack.resources.get_mut(logical_id) {
                        describe(record, planned);
                        take(record, made);
                        record.properties = properties;
                    }
                });
                self.complete(logical_id, update, stop).await
            }
            Err(reason) => self.fail(logical_id, update, reason),
        }
    }

    async fn update_in_place(
        &self,
        current: &Resource,
        properties: &Value,
        stop: &CancellationToken,
    ) -> Result<Made, String> {
        let scene = self.scene(&current.logical_id);
        let properties = values::resolve_dynamic(&self.world, properties.clone()).await?;
        let made = resources::update(&scene, current, &properties, stop)
            .await
            .map_err(|trouble| trouble.reason)?;
        resources::settle(&scene, &current.resource_type, made, stop)
            .await
            .map_err(|trouble| trouble.reason)
    }

    /// Makes a new physical resource under the old logical id; the old one goes when all is well.
    async fn replace(
        &self,
        planned: &Planned,
        current: Resource,
        properties: Value,
        stop: &CancellationToken,
    ) -> bool {
        let logical_id = &planned.logical_id;
        let update = ResourceOperation::Update;
        self.enter(
            logical_id,
            update,
            Phase::InProgress,
            Some(REPLACING.to_owned()),
        );
        if let Some(name) = kept_name(planned, &current, &properties) {
            let reason = format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {name} and update the stack again."
            );
            return self.fail(logical_id, update, reason);
        }
        self.mark_for_removal(&current);
        self.stack(|stack| {
            if let Some(record) = stack.resources.get_mut(logical_id) {
                describe(record, planned);
                record.resource_type.clone_from(&planned.resource_type);
                record.properties = properties.clone();
            }
        });
        match self
            .bring_into_being(planned, &properties, update, stop)
            .await
        {
            Ok(made) => {
                self.stack(|stack| {
                    if let Some(record) = stack.resources.get_mut(logical_id) {
                        take(record, made);
                    }
                });
                self.complete(logical_id, update, stop).await
            }
            Err(reason) => {
                let made = self
                    .stack(|stack| stack.resources.get(logical_id)?.physical_id.clone())
                    .flatten();
                // Nothing new exists: the old resource is still the stack's own.
                if made == current.physical_id {
                    self.stack(|stack| {
                        stack.resources.insert(logical_id.clone(), current);
                    });
                }
                self.fail(logical_id, update, reason)
            }
        }
    }

    /// Sees to it that a physical resource whose place is taken will be removed.
    fn mark_for_removal(&self, replaced: &Resource) {
        self.stack(|stack| {
            let known = stack.baseline.as_ref().is_some_and(|baseline| {
                baseline
                    .resources
                    .get(&replaced.logical_id)
                    .is_some_and(|resource| resource.physical_id == replaced.physical_id)
            });
            // A rollback finds what the baseline has; anything else must not be forgotten.
            if !known {
                stack.strays.push(replaced.clone());
            }
        });
    }

    /// Whether the stack's policy holds this back; a rollback is never asked.
    fn denied(&self, action: UpdateAction, resource: &Resource) -> Option<String> {
        let policy = self
            .stack(|stack| {
                let for_now = stack.policy_during_update.clone();
                for_now.or_else(|| stack.policy.clone())
            })
            .flatten()?;
        policy::refusal(
            &policy,
            action,
            &resource.logical_id,
            &resource.resource_type,
        )
    }

    /// The resources that the template no longer has and the stack's policy keeps: the update fails with them.
    pub(super) fn kept_by_policy(&self) -> Vec<String> {
        let update = ResourceOperation::Update;
        let mut kept = Vec::new();
        for resource in self.existing() {
            if !self.blueprint.resources.contains_key(&resource.logical_id)
                && let Some(reason) = self.denied(UpdateAction::Delete, &resource)
            {
                self.fail(&resource.logical_id, update, reason);
                kept.push(resource.logical_id);
            }
        }
        kept
    }

    /// Brings a resource back to what it was before the update.
    pub(super) async fn restore(&self, former: &Resource) -> bool {
        let logical_id = &former.logical_id;
        let update = ResourceOperation::Update;
        let current = self
            .stack(|stack| stack.resources.get(logical_id).cloned())
            .flatten();
        let Some(mut current) = current else {
            self.stack(|stack| {
                stack.resources.insert(logical_id.clone(), former.clone());
            });
            return true;
        };
        if let Some(attempted) = current.attempted.take() {
            current.properties = attempted;
        }
        if current.physical_id != former.physical_id {
            // The old physical resource was never touched.
            self.stack(|stack| {
                stack.resources.insert(logical_id.clone(), former.clone());
            });
            self.enter(logical_id, update, Phase::InProgress, None);
            self.enter(logical_id, update, Phase::Complete, None);
            return true;
        }
        if same(&current.properties, &former.properties) && !current.status.failed() {
            self.stack(|stack| {
                let status = current.status;
                let mut restored = former.clone();
                restored.status = status;
                stack.resources.insert(logical_id.clone(), restored);
            });
            return true;
        }
        let stop = CancellationToken::new();
        self.enter(logical_id, update, Phase::InProgress, None);
        let scripted = ScriptedOperation::Rollback;
        if let Err(reason) = self.scripted(logical_id, scripted, &stop).await {
            return self.fail(logical_id, update, reason);
        }
        match self
            .update_in_place(&current, &former.properties, &stop)
            .await
        {
            Ok(made) => {
                self.stack(|stack| {
                    let mut restored = former.clone();
                    take(&mut restored, made);
                    if restored.physical_id != former.physical_id {
                        stack.strays.push(former.clone());
                    }
                    stack.resources.insert(logical_id.clone(), restored);
                });
                self.complete(logical_id, update, &stop).await
            }
            Err(reason) => self.fail(logical_id, update, reason),
        }
    }

    /// Waits until the resource counts as ready, unless a sibling's failure comes first.
    pub(super) async fn complete(
        &self,
        logical_id: &str,
        operation: ResourceOperation,
        stop: &CancellationToken,
    ) -> bool {
        if self.pause(stop).await {
            self.enter(logical_id, operation, Phase::Complete, None);
            true
        } else {
            self.fail(logical_id, operation, operation.cancelled().to_owned())
        }
    }

    pub(super) fn fail(
        &self,
        logical_id: &str,
        operation: ResourceOperation,
        reason: String,
    ) -> bool {
        self.enter(logical_id, operation, Phase::Failed, Some(reason));
        false
    }

    pub(super) fn enter(
        &self,
        logical_id: &str,
        operation: ResourceOperation,
        phase: Phase,
        reason: Option<String>,
    ) {
        self.stack(|stack| stack.resource_enter(now(), logical_id, operation, phase, reason));
    }

    /// Waits the settings' delay. `false` if told to stop.
    pub(super) async fn pause(&self, stop: &CancellationToken) -> bool {
        self.pause_for(self.world.settings.resource_delay, stop)
            .await
    }

    async fn pause_for(&self, delay: std::time::Duration, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = tokio::time::sleep(delay) => true,
        }
    }

    /// The scripted delay and failure of an operation, if there are any.
    pub(super) async fn scripted(
        &self,
        logical_id: &str,
        operation: ScriptedOperation,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let directions =
            self.world
                .cloudformation
                .scripts
                .directions(&self.stack_name, logical_id, operation);
        if stop.is_cancelled()
            || (!directions.delay.is_zero() && !self.pause_for(directions.delay, stop).await)
        {
            return Err(operation.resource().cancelled().to_owned());
        }
        let Some(Failure { reason, hook }) = directions.failure else {
            return Ok(());
        };
        let Some(hook) = hook else {
            return Err(reason);
        };
        let target = Target::Resource(logical_id.to_owned());
        let refused = HookResult::refused(&hook, &reason, target, now());
        let consequence = refused.consequence();
        self.stack(|stack| stack.refused(now(), logical_id, refused));
        Err(consequence)
    }

    /// The evaluated properties of a resource.
    pub(super) fn properties(&self, planned: &Planned) -> Result<Value, String> {
        let path = format!("Resources.{}.Properties", planned.logical_id);
        self.evaluate(&path, &planned.properties)
    }

    pub(super) fn scene(&self, logical_id: &str) -> Scene {
        let tags = self
            .stack(|stack| stack.declared.tags.clone())
            .unwrap_or_default();
        Scene {
            world: SharedWorld(Arc::clone(&self.world)),
            stack_name: self.stack_name.clone(),
            stack_id: self.stack_id.clone(),
            logical_id: logical_id.to_owned(),
            caller: self.caller.clone(),
            tags,
        }
    }
}

/// A fresh record of what is about to be made.
pub(super) fn record(planned: &Planned, operation: ResourceOperation) -> Resource {
    Resource {
        logical_id: planned.logical_id.clone(),
        resource_type: planned.resource_type.clone(),
        physical_id: None,
        reference: String::new(),
        attributes: Map::new(),
        no_echo: false,
        properties: Value::Null,
        attempted: None,
        metadata: planned.metadata.clone(),
        deletion_policy: planned.deletion_policy.clone(),
        update_replace_policy: planned.update_replace_policy.clone(),
        depends_on: planned.depends_on.clone(),
        status: ResourceStatus::new(operation, Phase::InProgress),
        reason: None,
        changed: now(),
    }
}

/// What the template says beside the properties.
fn describe(record: &mut Resource, planned: &Planned) {
    record.metadata = planned.metadata.clone();
    record.deletion_policy.clone_from(&planned.deletion_policy);
    record
        .update_replace_policy
        .clone_from(&planned.update_replace_policy);
    record.depends_on.clone_from(&planned.depends_on);
}

pub(super) fn take(record: &mut Resource, made: Made) {
    record.physical_id = Some(made.physical_id);
    record.reference = made.reference;
    record.attributes = made.attributes;
    record.no_echo = made.no_echo;
    record.attempted = None;
}

/// The operator's own name of a resource, where the new resource would have to bear it too.
fn kept_name(planned: &Planned, current: &Resource, properties: &Value) -> Option<String> {
    if current.resource_type != planned.resource_type {
        return None;
    }
    let property = resources::find(&planned.resource_type)?.name_property?;
    let name = input::text(properties, property)?;
    (input::text(&current.properties, property).as_ref() == Some(&name)).then_some(name)
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
