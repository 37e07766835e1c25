//! Deleting: a whole stack, or physical resources that have had their day.

use tokio_util::sync::CancellationToken;

use super::graph::{self, AfterFailure, Nodes};
use super::{Run, failed_to, now};
use crate::cloudformation::api::change_sets::nested;
use crate::cloudformation::resources;
use crate::cloudformation::script::ScriptedOperation;
use crate::cloudformation::stack::{Operation, Resource};
use crate::cloudformation::status::{Phase, ResourceOperation, ResourceStatus, StackStatus};

/// How a stack is to be deleted.
#[derive(Debug, Clone)]
pub(crate) struct Delete {
    /// Logical ids that stay behind.
    pub(crate) retain: Vec<String>,
    /// The stack goes even if resources do not.
    pub(crate) force: bool,
    /// The status to settle back to when the delete is refused.
    pub(crate) before: StackStatus,
    /// What was under way when the delete was asked for.
    pub(crate) former: Option<Operation>,
}

impl Default for Delete {
    fn default() -> Self {
        Self {
            retain: Vec::new(),
            force: false,
            before: StackStatus::CreateFailed,
            former: None,
        }
    }
}

/// Why a resource is being removed: it decides which policy counts and what the events show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The stack is deleted, or its creation is rolled back (`true`).
    Stack { rolling_back_creation: bool },
    /// The template no longer has the resource.
    Dropped,
    /// Another physical resource has taken its place.
    Replaced,
    /// A rolled-back update had made it.
    Undone,
}

impl Run {
    pub(super) async fn delete(&self, delete: Delete) {
        if let Some(former) = &delete.former {
            former.finished.cancelled().await;
        }
        let exports = self
            .stack(|stack| {
                stack
                    .outputs
                    .iter()
                    .filter_map(|output| output.export.clone())
                    .collect::<Vec<_>>()
            })
            .unwrap_or_default();
        for export in exports {
            let importers = self.world.cloudformation.importers(&export, &self.stack_id);
            if !importers.is_empty() {
                let reason = format!(
                    "Export {export} cannot be deleted as it is in use by {}",
                    importers.join(", ")
                );
                // AWS settles back to where the stack was: nothing has been deleted.
                self.advance(delete.before, Some(reason));
                self.stack(|stack| stack.deleted = None);
                return;
            }
        }
        self.delete_all(&delete, false).await;
    }

    pub(super) async fn delete_all(&self, delete: &Delete, rolling_back_creation: bool) {
        let removal = Removal::Stack {
            rolling_back_creation,
        };
        let (mut doomed, retained): (Vec<_>, Vec<_>) = self
            .existing()
            .into_iter()
            .partition(|resource| !delete.retain.contains(&resource.logical_id));
        // A former update may have left physical resources that no record names.
        let strays = self
            .stack(|stack| {
                let mut left = std::mem::take(&mut stack.strays);
                if let Some(baseline) = stack.baseline.take() {
                    left.extend(baseline.resources.into_values().filter(|resource| {
                        !resource.status.gone()
                            && stack
                                .resources
                                .get(&resource.logical_id)
                                .is_none_or(|current| current.physical_id != resource.physical_id)
                    }));
                }
                left
            })
            .unwrap_or_default();
        doomed.extend(strays);
        for resource in retained {
            self.stack(|stack| {
                stack.resource_enter(
                    now(),
                    &resource.logical_id,
                    ResourceOperation::Delete,
                    Phase::Skipped,
                    None,
                );
            });
        }
        let failed = self.remove_all(doomed, removal).await;
        if failed.is_empty() || delete.force {
            let roots = self
                .stack(|stack| std::mem::take(&mut stack.change_sets))
                .unwrap_or_default()
                .into_iter()
                .map(|change_set| change_set.id)
                .collect::<Vec<_>>();
            nested::forget(&self.world, &roots);
            self.advance(StackStatus::DeleteComplete, None);
        } else {
            self.advance(StackStatus::DeleteFailed, Some(failed_to_delete(&failed)));
        }
    }

    /// The stack's resources that have not been removed.
    pub(super) fn existing(&self) -> Vec<Resource> {
        self.stack(|stack| {
            stack
                .resources
                .values()
                .filter(|resource| !resource.status.gone())
                .cloned()
                .collect()
        })
        .unwrap_or_default()
    }

    pub(super) async fn remove_all(
        &self,
        resources: Vec<Resource>,
        removal: Removal,
    ) -> Vec<String> {
        let doomed = resources
            .into_iter()
            .map(|resource| (resource, removal))
            .collect();
        self.remove_each(doomed, AfterFailure::GoOn).await
    }

    /// Removes physical resources, dependants first. Returns the logical ids that failed.
    pub(super) async fn remove_each(
        &self,
        doomed: Vec<(Resource, Removal)>,
        after_failure: AfterFailure,
    ) -> Vec<String> {
        // Two physical resources may go by one logical id, so a node is an index.
        let key = |at: usize| format!("{at:06}");
        let needs: Nodes = doomed
            .iter()
            .enumerate()
            .map(|(at, (resource, _))| {
                let needs = doomed
                    .iter()
                    .enumerate()
                    .filter(|(_, (other, _))| resource.depends_on.contains(&other.logical_id))
                    .map(|(other, _)| key(other))
                    .collect();
                (key(at), needs)
            })
            .collect();
        let failed = graph::run(
            graph::reversed(&needs),
            after_failure,
            |at| {
                let entry = at.parse::<usize>().ok().and_then(|at| doomed.get(at));
                async move {
                    match entry {
                        Some((resource, removal)) => self.remove(resource, *removal).await,
                        None => true,
                    }
                }
            },
            || {},
        )
        .await;
        failed
            .iter()
            .filter_map(|at| doomed.get(at.parse::<usize>().ok()?))
            .map(|(resource, _)| resource.logical_id.clone())
            .collect()
    }

    /// Removes a physical resource. `false` if that failed.
    pub(super) async fn remove(&self, resource: &Resource, removal: Removal) -> bool {
        let delete = ResourceOperation::Delete;
        let in_place = self.names(resource);
        let enter = |phase, reason| {
            if in_place {
                self.enter(&resource.logical_id, delete, phase, reason);
            } else {
                self.stack(|stack| {
                    let status = ResourceStatus::new(delete, phase);
                    stack.record(now(), resource, status, reason);
                });
            }
        };
        if resource.physical_id.is_none() {
            // It never came to be; there is nothing to tell but that it is gone.
            enter(Phase::Complete, None);
            return true;
        }
        if retained(resource, removal) {
            enter(Phase::Skipped, None);
            return true;
        }
        enter(Phase::InProgress, None);
        let stop = CancellationToken::new();
        let scripted = self
            .scripted(&resource.logical_id, ScriptedOperation::Delete, &stop)
            .await;
        let outcome = match scripted {
            Err(reason) => Err(reason),
            Ok(()) => resources::delete(&self.scene(&resource.logical_id), resource)
                .await
                .map_err(|trouble| trouble.reason),
        };
        match outcome {
            Ok(()) => {
                self.pause(&stop).await;
                enter(Phase::Complete, None);
                true
            }
            Err(reason) => {
                enter(Phase::Failed, Some(reason));
                false
            }
        }
    }

    /// Whether the stack's own record is of this very physical resource.
    fn names(&self, resource: &Resource) -> bool {
        self.stack(|stack| {
            stack
                .resources
                .get(&resource.logical_id)
                .is_some_and(|record| record.physical_id == resource.physical_id)
        })
        .unwrap_or(false)
    }
}

pub(super) fn failed_to_delete(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    failed_to("delete", &names)
}

/// Whether the template wants the physical resource to stay.
fn retained(resource: &Resource, removal: Removal) -> bool {
    let policy = match removal {
        Removal::Replaced => resource.update_replace_policy.as_deref(),
        Removal::Undone => return false,
        Removal::Stack { .. } | Removal::Dropped => resource.deletion_policy.as_deref(),
    };
    match policy {
        Some("Retain") => true,
        Some("RetainExceptOnCreate") => {
            removal
                != Removal::Stack {
                    rolling_back_creation: true,
                }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::resource::record;
    use super::*;
    use crate::cloudformation::blueprint::Planned;

    #[test]
    fn policies_decide_what_stays() {
        let planned = Planned {
            logical_id: "Files".into(),
            resource_type: "AWS::S3::Bucket".into(),
            properties: Value::Null,
            metadata: Value::Null,
            deletion_policy: None,
            update_replace_policy: None,
            depends_on: Vec::new(),
        };
        let stack = Removal::Stack {
            rolling_back_creation: false,
        };
        let creation = Removal::Stack {
            rolling_back_creation: true,
        };
        for (deletion, replace, removal, expected) in [
            (None, None, stack, false),
            (Some("Retain"), None, stack, true),
            (Some("Retain"), None, creation, true),
            (Some("RetainExceptOnCreate"), None, stack, true),
            (Some("RetainExceptOnCreate"), None, creation, false),
            (Some("Snapshot"), None, stack, false),
            (Some("Retain"), None, Removal::Replaced, false),
            (None, Some("Retain"), Removal::Replaced, true),
            (Some("Retain"), None, Removal::Dropped, true),
            (Some("Retain"), Some("Retain"), Removal::Undone, false),
        ] {
            let mut resource = record(&planned, ResourceOperation::Create);
            resource.deletion_policy = deletion.map(str::to_owned);
            resource.update_replace_policy = replace.map(str::to_owned);
            assert_eq!(
                retained(&resource, removal),
                expected,
                "{deletion:?} {replace:?} {removal:?}"
            );
        }
    }
}
