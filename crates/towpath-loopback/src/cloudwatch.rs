//! CloudWatch: alarms with a state that is set, not computed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::identity::now_ms;
use crate::input::{integer, list, required, text};
use crate::{AwsError, Caller, World};

/// The alarms, by their names. Times are seconds since the epoch.
#[derive(Default)]
pub(crate) struct CloudWatch {
    alarms: Mutex<BTreeMap<String, Map<String, Value>>>,
}

impl CloudWatch {
    /// Answers one operation.
    #[expect(clippy::unused_async, reason = "every service is called alike")]
    pub(crate) async fn call(
        &self,
        world: &Arc<World>,
        _caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, AwsError> {
        match operation {
            "PutMetricAlarm" => self.put(world, input, "MetricAlarm"),
            "PutCompositeAlarm" => self.put(world, input, "CompositeAlarm"),
            "DescribeAlarms" => Ok(self.describe(&input)),
            "SetAlarmState" => self.set_state(&input),
            "DeleteAlarms" => self.delete(&input),
            "PutMetricData" => {
                world.fidelity.simulated("CloudWatch metrics");
                Ok(json!({}))
            }
            _ => Err(AwsError::unknown_operation("cloudwatch", operation)),
        }
    }

    fn put(&self, world: &World, input: Value, kind: &str) -> Result<Value, AwsError> {
        let name = required(&input, "AlarmName")?;
        let Value::Object(mut alarm) = input else {
            return Err(AwsError::internal("an alarm is an object"));
        };
        world
            .fidelity
            .simulated("CloudWatch alarms (their state is set, not computed)");
        for member in ["Threshold"] {
            // The query protocol delivers it as text; clients read a number with a fraction.
            if let Some(number) = alarm.get(member).and_then(float) {
                alarm.insert(member.into(), json!(number));
            }
        }
        for member in ["Period", "EvaluationPeriods", "DatapointsToAlarm"] {
            if let Some(number) = integer(&Value::Object(alarm.clone()), member) {
                alarm.insert(member.into(), json!(number));
            }
        }
        let enabled = alarm
            .get("ActionsEnabled")
            .is_none_or(|value| value != "false" && value != &Value::Bool(false));
        alarm.insert("ActionsEnabled".into(), enabled.into());
        alarm.remove("Tags");
        let now = now_seconds();
        alarm.insert(
            "AlarmArn".into(),
            world.arn("cloudwatch", &format!("alarm:{name}")).into(),
        );
        alarm.insert("AlarmConfigurationUpdatedTimestamp".into(), now.clone());
        alarm.insert("towpath:kind".into(), kind.into());
        self.with(|alarms| {
            let state = alarms.get(&name);
            let kept = |member: &str, fresh: Value| {
                state
                    .and_then(|alarm| alarm.get(member))
                    .cloned()
                    .unwrap_or(fresh)
            };
            // A new alarm has no data; a changed one keeps the state it had.
            let value = kept("StateValue", "INSUFFICIENT_DATA".into());
            let reason = kept("StateReason", "Unchecked: Initial alarm creation".into());
            let at = kept("StateUpdatedTimestamp", now);
            alarm.insert("StateValue".into(), value);
            alarm.insert("StateReason".into(), reason);
            alarm.insert("StateUpdatedTimestamp".into(), at);
            alarms.insert(name, alarm);
        });
        Ok(json!({}))
    }

    fn describe(&self, input: &Value) -> Value {
        let names = list(input, "AlarmNames");
        let prefix = text(input, "AlarmNamePrefix").unwrap_or_default();
        let state = text(input, "StateValue");
        let kinds = list(input, "AlarmTypes");
        let (mut metric, mut composite) = (Vec::new(), Vec::new());
        self.with(|alarms| {
            for (name, alarm) in alarms.iter() {
                let named = names.is_empty() || names.iter().any(|own| own == name.as_str());
                let in_state = state
                    .as_deref()
                    .is_none_or(|state| alarm.get("StateValue") == Some(&state.into()));
                if !named || !in_state || !name.starts_with(&prefix) {
                    continue;
                }
                let mut shown = alarm.clone();
                match shown.remove("towpath:kind") {
                    Some(kind) if kind == "CompositeAlarm" => composite.push(shown),
                    _ => metric.push(shown),
                }
            }
        });
        // Composite alarms are told only to whom asks for them.
        if !kinds.iter().any(|kind| kind == "CompositeAlarm") {
            composite.clear();
        }
        if !kinds.is_empty() && !kinds.iter().any(|kind| kind == "MetricAlarm") {
            metric.clear();
        }
        json!({"MetricAlarms": metric, "CompositeAlarms": composite})
    }

    fn set_state(&self, input: &Value) -> Result<Value, AwsError> {
        let name = required(input, "AlarmName")?;
        let state = required(input, "StateValue")?;
        let reason = required(input, "StateReason")?;
        if !["OK", "ALARM", "INSUFFICIENT_DATA"].contains(&state.as_str()) {
            return Err(AwsError::client(
                "ValidationError",
                format!(
                    "1 validation error detected: Value '{state}' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]"
                ),
            ));
        }
        self.with(|alarms| {
            let alarm = alarms.get_mut(&name).ok_or_else(no_such_alarm)?;
            alarm.insert("StateValue".into(), state.into());
            alarm.insert("StateReason".into(), reason.into());
            alarm.insert("StateUpdatedTimestamp".into(), now_seconds());
            Ok(json!({}))
        })
    }

    fn delete(&self, input: &Value) -> Result<Value, AwsError> {
        let names = list(input, "AlarmNames");
        self.with(|alarms| {
            let named = |name: &Value| name.as_str().is_some_and(|name| alarms.contains_key(name));
            if !names.iter().all(named) {
                return Err(no_such_alarm());
            }
            for name in names.iter().filter_map(Value::as_str) {
                alarms.remove(name);
            }
            Ok(json!({}))
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Map<String, Value>>) -> T) -> T {
        act(&mut self.alarms.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn no_such_alarm() -> AwsError {
    AwsError::client("ResourceNotFound", "Unknown").with_status(404)
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn now_seconds() -> Value {
    json!(now_ms() as f64 / 1000.0)
}
