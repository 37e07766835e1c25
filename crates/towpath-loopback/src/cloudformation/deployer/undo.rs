//! The way back, and what is left to remove on the way forward.

use super::graph::{self, AfterFailure, Nodes};
use super::removal::{Removal, failed_to_delete};
use super::{Run, failed_to};
use crate::cloudformation::stack::{Baseline, Resource, Stack};
use crate::cloudformation::status::StackStatus;

impl Run {
    pub(super) async fn undo_creation(&self) {
        let removal = Removal::Stack {
            rolling_back_creation: true,
        };
        let mut resources = self.existing();
        if self.stack(|stack| stack.retain_except_on_create) == Some(true) {
            for resource in &mut resources {
                if resource.deletion_policy.as_deref() == Some("Retain") {
                    resource.deletion_policy = Some("RetainExceptOnCreate".to_owned());
                }
            }
        }
        let failed = self.remove_all(resources, removal).await;
        if failed.is_empty() {
            self.advance(StackStatus::RollbackComplete, None);
        } else {
            self.advance(StackStatus::RollbackFailed, Some(failed_to_delete(&failed)));
        }
    }

    /// Brings every resource back to the baseline, and removes what the update had made.
    pub(super) async fn restore_all(&self, skip: &[String]) {
        let Some(Some(baseline)) = self.stack(|stack| stack.baseline.clone()) else {
            self.advance(StackStatus::UpdateRollbackComplete, None);
            return;
        };
        self.stack(|stack| {
            let strays = strays(stack, &baseline);
            stack.strays.extend(strays);
        });
        let former: Vec<&Resource> = baseline
            .resources
            .values()
            .filter(|resource| !resource.status.gone() && !skip.contains(&resource.logical_id))
            .collect();
        let nodes: Nodes = former
            .iter()
            .map(|resource| {
                (
                    resource.logical_id.clone(),
                    resource.depends_on.iter().cloned().collect(),
                )
            })
            .collect();
        let failed = graph::run(
            nodes,
            AfterFailure::GoOn,
            |id| {
                let baseline = &baseline;
                async move {
                    match baseline.resources.get(&id) {
                        Some(resource) => self.restore(resource).await,
                        None => true,
                    }
                }
            },
            || {},
        )
        .await;
        if !failed.is_empty() {
            let names: Vec<&str> = failed.iter().map(String::as_str).collect();
            self.advance(
                StackStatus::UpdateRollbackFailed,
                Some(failed_to("update", &names)),
            );
            return;
        }
        if !self.advance(StackStatus::UpdateRollbackCompleteCleanupInProgress, None) {
            return;
        }
        let doomed = self
            .stack(|stack| {
                std::mem::take(&mut stack.strays)
                    .into_iter()
                    .map(|resource| (resource, Removal::Undone))
                    .collect::<Vec<_>>()
            })
            .unwrap_or_default();
        self.remove_each(doomed, AfterFailure::GoOn).await;
        self.stack(|stack| {
            stack
                .resources
                .retain(|id, _| baseline.resources.contains_key(id));
            stack.declared = baseline.declared.clone();
            stack.outputs.clone_from(&baseline.outputs);
            stack.baseline = None;
        });
        self.advance(StackStatus::UpdateRollbackComplete, None);
    }

    /// Removes what the update no longer needs. A failure here leaks a resource and does not fail the update.
    pub(super) async fn clean_up_after_update(&self) {
        let doomed = self
            .stack(|stack| {
                let mut doomed = Vec::new();
                let former = stack
                    .baseline
                    .take()
                    .map(|baseline| baseline.resources)
                    .unwrap_or_default();
                for resource in former
                    .into_values()
                    .filter(|resource| !resource.status.gone())
                {
                    match stack.resources.get(&resource.logical_id) {
                        Some(current) if current.physical_id == resource.physical_id => {}
                        _ => doomed.push((resource, Removal::Replaced)),
                    }
                }
                doomed.extend(
                    std::mem::take(&mut stack.strays)
                        .into_iter()
                        .map(|resource| (resource, Removal::Replaced)),
                );
                for resource in stack.resources.values() {
                    if !resource.status.gone()
                        && !self.blueprint.resources.contains_key(&resource.logical_id)
                    {
                        doomed.push((resource.clone(), Removal::Dropped));
                    }
                }
                doomed
            })
            .unwrap_or_default();
        self.remove_each(doomed, AfterFailure::GoOn).await;
        self.stack(|stack| {
            stack
                .resources
                .retain(|id, _| self.blueprint.resources.contains_key(id));
        });
    }
}

/// Physical resources that exist now and did not in the baseline.
fn strays(stack: &Stack, baseline: &Baseline) -> Vec<Resource> {
    stack
        .resources
        .values()
        .filter(|resource| !resource.status.gone() && resource.physical_id.is_some())
        .filter(|resource| {
            baseline
                .resources
                .get(&resource.logical_id)
                .is_none_or(|former| former.physical_id != resource.physical_id)
        })
        .cloned()
        .collect()
}
