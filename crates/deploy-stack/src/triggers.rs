//! The alarms that roll a deployment back: looked at before it begins.
//!
//! CloudFormation rolls everything back when an alarm that it should watch is missing or fires already, after it has
//! made the change.

use towpath_alarms::{Alarm, State};
use towpath_job::Failure;
use towpath_stack::change_set::{Rollback, Trigger};

use crate::{DeployError, DeployStack, Parameters};

/// What rolls the deployment back, as far as the parameters say so.
pub(crate) async fn rollback(
    action: &DeployStack,
    parameters: &Parameters,
) -> Result<Option<Rollback>, DeployError> {
    let triggers = match parameters.alarms.as_deref() {
        None => None,
        Some([]) => Some(Vec::new()),
        Some(wanted) => {
            let client = action.alarms(parameters.region.as_deref());
            let names: Vec<String> = wanted
                .iter()
                .map(|alarm| towpath_alarms::name_of(alarm).to_owned())
                .collect();
            let seen = towpath_alarms::describe(&client, &names)
                .await
                .map_err(|error| DeployError::Alarms(Failure::aws("look at the alarms", &error)))?;
            Some(triggers(wanted, &seen)?)
        }
    };
    let minutes = parameters.monitor;
    Ok((triggers.is_some() || minutes.is_some()).then_some(Rollback { triggers, minutes }))
}

/// The alarms that are wanted, by name or ARN, if all of them exist and none fires. One without data does not fire.
fn triggers(wanted: &[String], seen: &[Alarm]) -> Result<Vec<Trigger>, DeployError> {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for alarm in wanted {
        let one = seen.iter().find(|one| {
            one.name == towpath_alarms::name_of(alarm)
                && (!alarm.starts_with("arn:") || one.arn == *alarm)
        });
        match one {
            Some(one) => found.push(one),
            None => unknown.push(alarm.clone()),
        }
    }
    if !unknown.is_empty() {
        return Err(DeployError::UnknownAlarms(unknown));
    }
    if let Some(fires) = found.iter().find(|alarm| alarm.state == State::Alarm) {
        return Err(DeployError::InAlarm {
            name: fires.name.clone(),
            reason: fires.reason.clone(),
        });
    }
    Ok(found
        .into_iter()
        .map(|alarm| Trigger {
            arn: alarm.arn.clone(),
            composite: alarm.composite,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:cloudwatch:us-east-1:1:alarm:";

    #[test]
    fn alarms_exist_and_are_quiet_before_a_deployment_depends_on_them() {
        let alarm = |name: &str, state| Alarm {
            name: name.to_owned(),
            arn: format!("{ARN}{name}"),
            composite: name == "Both",
            state,
            reason: "5 errors".to_owned(),
        };
        let seen = [
            alarm("Quiet", State::Ok),
            alarm("Both", State::NoData),
            alarm("Loud", State::Alarm),
        ];
        for (wanted, expected) in [
            (&["Quiet"][..], Ok(&[("Quiet", false)][..])),
            (&["Both", "Quiet"], Ok(&[("Both", true), ("Quiet", false)])),
            (
                &["arn:aws:cloudwatch:us-east-1:1:alarm:Quiet"],
                Ok(&[("Quiet", false)]),
            ),
            (
                &["arn:aws:cloudwatch:eu-west-1:1:alarm:Quiet", "Gone", "Loud"],
                Err(
                    "there is no alarm `arn:aws:cloudwatch:eu-west-1:1:alarm:Quiet`, `Gone` in the account and Region of the stack",
                ),
            ),
            (
                &["Quiet", "Loud"],
                Err("alarm `Loud` is in alarm already: 5 errors"),
            ),
        ] {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            let found = triggers(&wanted, &seen).map_err(|error| error.to_string());
            let expected = expected.map_err(str::to_owned).map(|names| {
                let trigger = |(name, composite): &(&str, bool)| Trigger {
                    arn: format!("{ARN}{name}"),
                    composite: *composite,
                };
                names.iter().map(trigger).collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{wanted:?}");
        }
    }
}
