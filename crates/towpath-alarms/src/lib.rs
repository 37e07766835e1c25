//! What CloudWatch says about alarms: which of them there are, and how they are. What follows from that is the
//! caller's to decide.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsError;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};

/// How many names one `DescribeAlarms` takes.
const NAMES_PER_CALL: usize = 100;

/// The state of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All is well.
    Ok,
    /// It is in alarm.
    Alarm,
    /// There are no data to judge by: usual for an alarm on errors when there are none.
    NoData,
}

/// An alarm as seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it is made of other alarms.
    pub composite: bool,
    /// How it is.
    pub state: State,
    /// Why it is in that state, in CloudWatch's words.
    pub reason: String,
}

/// Looks at the named alarms, metric and composite. Those that do not exist are not in the result.
pub async fn describe(
    client: &Client,
    names: &[String],
) -> Result<Vec<Alarm>, SdkError<DescribeAlarmsError>> {
    let mut seen = Vec::new();
    for names in names.chunks(NAMES_PER_CALL) {
        let mut next: Option<String> = None;
        loop {
            let page = client
                .describe_alarms()
                .set_alarm_names(Some(names.to_vec()))
                // Without this only metric alarms are looked at.
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .set_next_token(next)
                .send()
                .await?;
            for alarm in page.metric_alarms() {
                seen.extend(alarm_of(
                    (alarm.alarm_name(), alarm.alarm_arn(), false),
                    alarm.state_value(),
                    alarm.state_reason(),
                ));
            }
            for alarm in page.composite_alarms() {
                seen.extend(alarm_of(
                    (alarm.alarm_name(), alarm.alarm_arn(), true),
                    alarm.state_value(),
                    alarm.state_reason(),
                ));
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
    }
    Ok(seen)
}

/// The name in an alarm's ARN, `arn:aws:cloudwatch:region:account:alarm:name`; a name is itself.
pub fn name_of(alarm: &str) -> &str {
    if !alarm.starts_with("arn:") {
        return alarm;
    }
    alarm.splitn(7, ':').nth(6).unwrap_or(alarm)
}

fn alarm_of(
    (name, arn, composite): (Option<&str>, Option<&str>, bool),
    state: Option<&StateValue>,
    reason: Option<&str>,
) -> Option<Alarm> {
    let state = match state {
        Some(StateValue::Ok) => State::Ok,
        Some(StateValue::Alarm) => State::Alarm,
        // A state that is new to us tells us as little as no data do.
        _ => State::NoData,
    };
    Some(Alarm {
        name: name?.to_owned(),
        arn: arn.unwrap_or_default().to_owned(),
        composite,
        state,
        reason: reason.unwrap_or_default().to_owned(),
    })
}
