//! An import: resources that are there already come to belong to the stack, untouched.

use tokio_util::sync::CancellationToken;

use super::resource::{record, take};
use super::{ExecutionStatus, Failure, Import, Run, failed_to, settle_change_set};
use crate::cloudformation::resources;
use crate::cloudformation::script::ScriptedOperation;
use crate::cloudformation::status::{Phase, ResourceOperation, StackStatus};

impl Run {
    pub(super) async fn import(&self, imports: &[Import]) {
        let stop = CancellationToken::new();
        let mut taken = Vec::new();
        let mut failed = Vec::new();
        for import in imports {
            taken.push(import.logical_id.as_str());
            if !self.take_in(import, &stop).await {
                failed.push(import.logical_id.as_str());
                break;
            }
        }
        let outcome = if failed.is_empty() {
            self.conclude().await
        } else {
            Err(Failure {
                reason: failed_to("import", &failed),
            })
        };
        let Err(Failure { reason }) = outcome else {
            self.stack(|stack| {
                stack.baseline = None;
                settle_change_set(stack, ExecutionStatus::ExecuteComplete);
            });
            self.advance(StackStatus::ImportComplete, None);
            return;
        };
        self.stack(|stack| settle_change_set(stack, ExecutionStatus::ExecuteFailed));
        if self.advance(StackStatus::ImportRollbackInProgress, Some(reason)) {
            self.let_go(&taken, &stop).await;
        }
    }

    /// Takes one resource in. `false` if that failed.
    async fn take_in(&self, import: &Import, stop: &CancellationToken) -> bool {
        let logical_id = &import.logical_id;
        let operation = ResourceOperation::Import;
        let Some(planned) = self.blueprint.resources.get(logical_id) else {
            return false;
        };
        self.stack(|stack| {
            let record = record(planned, operation);
            stack.resources.insert(logical_id.clone(), record);
        });
        self.enter(logical_id, operation, Phase::InProgress, None);
        let properties = match self.properties(planned) {
            Ok(properties) => properties,
            Err(reason) => return self.fail(logical_id, operation, reason),
        };
        if let Err(reason) = self
            .scripted(logical_id, ScriptedOperation::Import, stop)
            .await
        {
            return self.fail(logical_id, operation, reason);
        }
        let scene = self.scene(logical_id);
        match resources::adopt(
            &scene,
            &import.resource_type,
            &import.physical_id,
            &properties,
        ) {
            Ok(made) => {
                self.stack(|stack| {
                    if let Some(record) = stack.resources.get_mut(logical_id) {
                        take(record, made);
                        record.properties = properties;
                    }
                });
                self.complete(logical_id, operation, stop).await
            }
            Err(trouble) => self.fail(logical_id, operation, trouble.reason),
        }
    }

    /// Undoes an import: the resources stay, and belong to no stack again.
    async fn let_go(&self, taken: &[&str], stop: &CancellationToken) {
        let operation = ResourceOperation::ImportRollback;
        let mut failed = Vec::new();
        for logical_id in taken.iter().rev() {
            self.enter(logical_id, operation, Phase::InProgress, None);
            let scripted = self.scripted(logical_id, ScriptedOperation::Rollback, stop);
            if let Err(reason) = scripted.await {
                self.fail(logical_id, operation, reason);
                failed.push(*logical_id);
            } else {
                self.enter(logical_id, operation, Phase::Complete, None);
                self.stack(|stack| stack.resources.shift_remove(*logical_id));
            }
        }
        if !failed.is_empty() {
            let reason = failed_to("roll back the import of", &failed);
            self.advance(StackStatus::ImportRollbackFailed, Some(reason));
            return;
        }
        self.stack(|stack| {
            if let Some(baseline) = stack.baseline.take() {
                stack.declared = baseline.declared;
                stack.outputs = baseline.outputs;
            }
        });
        self.advance(StackStatus::ImportRollbackComplete, None);
    }
}
