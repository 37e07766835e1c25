//! After the resources: outputs, exports, and the alarms that may still undo everything.

use std::sync::PoisonError;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Failure, Run, values};
use crate::cloudformation::stack::Output;
use crate::{Caller, input};

impl Run {
    /// After the resources: outputs, exports and the alarms that may still undo everything.
    pub(super) async fn conclude(&self) -> Result<(), Failure> {
        let outputs = self.outputs().await.map_err(|reason| Failure {
            reason: sentence(&reason),
        })?;
        self.check_exports(&outputs).map_err(|reason| Failure {
            reason: sentence(&reason),
        })?;
        self.watch_alarms().await?;
        let imports: Vec<String> = self
            .imports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect();
        self.stack(|stack| {
            stack.outputs = outputs;
            stack.imports = imports;
        });
        Ok(())
    }

    async fn outputs(&self) -> Result<Vec<Output>, String> {
        let mut outputs = Vec::new();
        for (key, planned) in self.blueprint.outputs() {
            let path = format!("Outputs.{key}");
            let value = self.evaluate(&path, &planned.value)?;
            let value = values::resolve_dynamic(&self.world, value).await?;
            let export = match &planned.export {
                None => None,
                Some(name) => Some(text_of(&self.evaluate(&path, name)?)),
            };
            outputs.push(Output {
                key,
                value: text_of(&value),
                description: planned.description,
                export,
            });
        }
        Ok(outputs)
    }

    /// No export may be taken twice, and none that another stack reads may change or go.
    fn check_exports(&self, outputs: &[Output]) -> Result<(), String> {
        let before = self
            .stack(|stack| stack.outputs.clone())
            .unwrap_or_default();
        let service = &self.world.cloudformation;
        for output in outputs {
            let Some(name) = &output.export else { continue };
            if let Some(owner) = service.exporter(name, &self.stack_id) {
                return Err(format!(
                    "Export with name {name} is already exported by stack {owner}"
                ));
            }
        }
        for former in &before {
            let Some(name) = &former.export else { continue };
            let kept = outputs
                .iter()
                .any(|output| output.export.as_ref() == Some(name) && output.value == former.value);
            let importers = service.importers(name, &self.stack_id);
            if kept || importers.is_empty() {
                continue;
            }
            let gone = !outputs
                .iter()
                .any(|output| output.export.as_ref() == Some(name));
            let importers = importers.join(", ");
            return Err(if gone {
                format!("Export {name} cannot be deleted as it is in use by {importers}")
            } else {
                format!("Export {name} cannot be updated as it is in use by {importers}")
            });
        }
        Ok(())
    }

    /// The rollback triggers: an alarm that is missing, or fires before the monitoring time is over.
    async fn watch_alarms(&self) -> Result<(), Failure> {
        let configuration = self
            .stack(|stack| stack.declared.rollback_configuration.clone())
            .unwrap_or_default();
        let minutes = input::integer(&configuration, "MonitoringTimeInMinutes").unwrap_or(0);
        let alarms: Vec<String> = input::list(&configuration, "RollbackTriggers")
            .iter()
            .filter_map(|trigger| input::text(trigger, "Arn"))
            .collect();
        let end = tokio::time::Instant::now()
            + Duration::from_secs(u64::try_from(minutes).unwrap_or(0) * 60);
        loop {
            for arn in &alarms {
                let name = arn.rsplit(':').next().unwrap_or(arn);
                let state = self.alarm_state(name).await;
                match state.as_deref() {
                    None => {
                        return Err(Failure {
                            reason: format!("Rollback trigger {arn} does not exist. "),
                        });
                    }
                    Some("ALARM") => {
                        return Err(Failure {
                            reason: format!("Rollback trigger {arn} is in state ALARM. "),
                        });
                    }
                    Some(_) => {}
                }
            }
            if tokio::time::Instant::now() >= end {
                return Ok(());
            }
            let pause = self
                .world
                .settings
                .resource_delay
                .max(Duration::from_millis(50));
            tokio::select! {
                () = self.operation.abort.cancelled() => {
                    return Err(Failure { reason: "User Initiated".to_owned() });
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn alarm_state(&self, name: &str) -> Option<String> {
        let answer = self
            .world
            .cloudwatch
            .call(
                &self.world,
                &Caller::Root,
                "DescribeAlarms",
                json!({ "AlarmNames": [name] }),
            )
            .await
            .ok()?;
        let alarm = ["MetricAlarms", "CompositeAlarms"]
            .iter()
            .find_map(|list| input::list(&answer, list).first())?;
        input::text(alarm, "StateValue")
    }
}

fn sentence(reason: &str) -> String {
    format!("{}. ", reason.trim_end_matches(['.', ' ']))
}

/// An output's value is always text.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
