//! What `approve` is told in its `UserParameters`.

use std::time::Duration;

use towpath_job::{Artifact, FromQuery, ParameterError, Query};
use towpath_stack::gate::Policy;

/// The parameters, beside those that every action takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `alarms`: names of CloudWatch alarms (or their ARNs, in this account and Region), separated
    /// by commas. Any of them in alarm rejects the release.
    pub alarms: Vec<String>,
    /// `bake`: how long the alarms are watched, from the action's first step. Nothing by default:
    /// one look decides.
    pub bake: Duration,
    /// `plan`: the input artifact with the plan that is to be approved.
    pub plan: Option<String>,
    /// `replace=allow|deny` and `allow-loss=`: what of the stack's data that plan may lose.
    pub loss: Policy,
}

impl FromQuery for Parameters {
    fn from_query(query: &mut Query, outputs: &[Artifact]) -> Result<Self, ParameterError> {
        let mut alarms: Vec<String> = Vec::new();
        for alarm in query.take_list("alarms") {
            let name = towpath_alarms::name_of(&alarm);
            if !alarms.iter().any(|known| known == name) {
                alarms.push(name.to_owned());
            }
        }
        let bake = query.take_duration("bake")?.unwrap_or_default();
        let plan = query.take_filled("plan");
        let everything = query.take_choice("replace", &[("deny", false), ("allow", true)])?;
        let named = query.take_list("allow-loss");
        for (given, key) in [
            (everything.is_some(), "replace"),
            (!named.is_empty(), "allow-loss"),
        ] {
            if given && plan.is_none() {
                return Err(ParameterError::Conflict(format!(
                    "parameter `{key}` says what a plan may lose, and means nothing without `plan`"
                )));
            }
        }
        if let Some(output) = outputs.first() {
            return Err(ParameterError::Conflict(format!(
                "approve publishes nothing, but the action declares output artifact `{}`",
                output.name
            )));
        }
        Ok(Self {
            alarms,
            bake,
            plan,
            loss: Policy {
                everything: everything.unwrap_or(false),
                named: named.into_iter().collect(),
                ..Policy::default()
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use towpath_job::{ArtifactLocation, parameters::parse};

    use super::*;

    #[test]
    fn parameters_by_table() {
        for (given, alarms, bake) in [
            ("", &[][..], 0),
            ("bake=0s", &[], 0),
            (
                "bake=90s&alarms=Errors,+Latency",
                &["Errors", "Latency"],
                90,
            ),
            ("alarms=", &[], 0),
            ("alarms=a,b,a", &["a", "b"], 0),
            (
                "alarms=arn:aws:cloudwatch:eu-west-1:111111111111:alarm:My:Alarm",
                &["My:Alarm"],
                0,
            ),
            ("bake=1h30m&timeout=2h", &[], 5_400),
        ] {
            let (_, parameters) =
                parse::<Parameters>(given, &[]).unwrap_or_else(|e| panic!("{given}: {e}"));
            assert_eq!(parameters.alarms, alarms, "{given}");
            assert_eq!(parameters.bake, Duration::from_secs(bake), "{given}");
        }
    }

    #[test]
    fn refusals_by_table() {
        let output = Artifact {
            name: "Verdict".to_owned(),
            revision: None,
            location: ArtifactLocation {
                bucket: "b".to_owned(),
                key: "k".to_owned(),
            },
        };
        for (given, outputs, expected) in [
            ("alarm=x", &[][..], "unknown parameter `alarm`"),
            (
                "allow-loss=Orders",
                &[],
                "parameter `allow-loss` says what a plan may lose, and means nothing without `plan`",
            ),
            ("replace=deny", &[], "parameter `replace` says what"),
            ("plan=P&replace=yes", &[], "parameter `replace` is `yes`"),
            (
                "bake=10",
                &[],
                "parameter `bake` is `10`, which is not a duration",
            ),
            (
                "",
                &[output],
                "approve publishes nothing, but the action declares output artifact `Verdict`",
            ),
        ] {
            let error = parse::<Parameters>(given, outputs).expect_err(given);
            assert!(error.to_string().starts_with(expected), "{given}: {error}");
        }
    }
}
