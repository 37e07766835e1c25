//! The gate's policy: what follows from the alarms and from how long the release has baked.

use std::time::Duration;

use towpath_alarms::{Alarm, State};
use towpath_job::{Failure, FailureType, duration};

/// What the policy says at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let the release pass.
    Approved { summary: String },
    /// Nothing against it so far; look again.
    Bake { percent: u8, summary: String },
    /// These alarms do not exist.
    Unknown { names: Vec<String> },
    /// These alarms are against it.
    Alarm { alarms: Vec<Alarm> },
}

/// Decides. `wanted` are the alarms that were asked for, `seen` those that exist, `baked` is how
/// long the release has been watched, of `bake` in all. `plan` is what there is to say of the plan.
pub(crate) fn decide(
    wanted: &[String],
    seen: &[Alarm],
    baked: Duration,
    bake: Duration,
    plan: Option<&str>,
) -> Verdict {
    let names: Vec<String> = wanted
        .iter()
        .filter(|name| !seen.iter().any(|alarm| alarm.name == **name))
        .cloned()
        .collect();
    if !names.is_empty() {
        return Verdict::Unknown { names };
    }
    let alarms: Vec<Alarm> = seen
        .iter()
        .filter(|alarm| alarm.state == State::Alarm)
        .cloned()
        .collect();
    if !alarms.is_empty() {
        return Verdict::Alarm { alarms };
    }
    let evidence = evidence(seen, plan);
    if baked < bake {
        let left = bake.saturating_sub(baked);
        // Whole seconds, rounded up: "0s to go" would be a lie.
        let left = Duration::from_secs(left.as_millis().div_ceil(1_000) as u64);
        return Verdict::Bake {
            percent: (baked.as_secs_f64() / bake.as_secs_f64() * 100.0) as u8,
            summary: format!(
                "baking, {} of {} to go: {evidence}",
                duration::render(left),
                duration::render(bake)
            ),
        };
    }
    let baked = if bake.is_zero() {
        String::new()
    } else {
        format!(" after {}", duration::render(bake))
    };
    Verdict::Approved {
        summary: format!("approved{baked}: {evidence}"),
    }
}

/// What follows when the alarms could not be looked at. A release that bakes is looked at again,
/// until the action's time is over, when it was the service that did not answer; anything else
/// will not mend itself, and one look that is all there is has to be had.
pub(crate) fn unseen(failure: &Failure, baked: Duration, bake: Duration) -> Option<Verdict> {
    if failure.kind != FailureType::SystemUnavailable || bake.is_zero() {
        return None;
    }
    let share = baked.as_secs_f64() / bake.as_secs_f64();
    Some(Verdict::Bake {
        percent: (share * 100.0).min(99.0) as u8,
        summary: format!("looking again: {}", failure.message),
    })
}

/// What lets the release pass: the alarms, none of which is in alarm, and the plan.
fn evidence(seen: &[Alarm], plan: Option<&str>) -> String {
    match (seen, plan) {
        (_, None) => quiet(seen),
        ([], Some(plan)) => plan.to_owned(),
        (seen, Some(plan)) => format!("{}; {plan}", quiet(seen)),
    }
}

/// What the alarms amount to when none is in alarm.
fn quiet(seen: &[Alarm]) -> String {
    let silent = seen
        .iter()
        .filter(|alarm| alarm.state == State::NoData)
        .count();
    let alarms = match seen.len() {
        0 => return "no alarms are watched".to_owned(),
        1 => "the alarm is quiet".to_owned(),
        several => format!("all {several} alarms are quiet"),
    };
    match silent {
        0 => alarms,
        _ if seen.len() == 1 => format!("{alarms} (it has no data)"),
        _ => format!("{alarms} ({silent} without data)"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn alarm(name: &str, state: State) -> Alarm {
        Alarm {
            name: name.to_owned(),
            arn: String::new(),
            composite: false,
            state,
            reason: format!("{name} says so"),
        }
    }

    #[test]
    fn verdicts_by_table() {
        let (ok, bad, silent) = (
            alarm("ok", State::Ok),
            alarm("bad", State::Alarm),
            alarm("silent", State::NoData),
        );
        let approved = |summary: &str| Verdict::Approved {
            summary: summary.to_owned(),
        };
        let bake = |percent, summary: &str| Verdict::Bake {
            percent,
            summary: summary.to_owned(),
        };
        for (case, wanted, seen, baked, of, expected) in [
            (
                "nothing asked",
                &[][..],
                vec![],
                0,
                0,
                approved("approved: no alarms are watched"),
            ),
            (
                "one quiet",
                &["ok"],
                vec![&ok],
                0,
                0,
                approved("approved: the alarm is quiet"),
            ),
            (
                "no data is no alarm",
                &["silent"],
                vec![&silent],
                0,
                0,
                approved("approved: the alarm is quiet (it has no data)"),
            ),
            (
                "in alarm",
                &["ok", "bad"],
                vec![&ok, &bad],
                0,
                0,
                Verdict::Alarm {
                    alarms: vec![bad.clone()],
                },
            ),
            (
                "in alarm while baking",
                &["bad"],
                vec![&bad],
                1,
                600_000,
                Verdict::Alarm {
                    alarms: vec![bad.clone()],
                },
            ),
            (
                "unknown comes first",
                &["bad", "gone"],
                vec![&bad],
                0,
                0,
                Verdict::Unknown {
                    names: vec!["gone".to_owned()],
                },
            ),
            (
                "just begun",
                &[],
                vec![],
                0,
                600_000,
                bake(0, "baking, 10m of 10m to go: no alarms are watched"),
            ),
            (
                "half",
                &["ok", "silent"],
                vec![&ok, &silent],
                300_000,
                600_000,
                bake(
                    50,
                    "baking, 5m of 10m to go: all 2 alarms are quiet (1 without data)",
                ),
            ),
            (
                "nearly",
                &[],
                vec![],
                599_999,
                600_000,
                bake(99, "baking, 1s of 10m to go: no alarms are watched"),
            ),
            (
                "done",
                &["ok"],
                vec![&ok],
                600_000,
                600_000,
                approved("approved after 10m: the alarm is quiet"),
            ),
        ] {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            let seen: Vec<Alarm> = seen.into_iter().cloned().collect();
            let (baked, of) = (Duration::from_millis(baked), Duration::from_millis(of));
            assert_eq!(decide(&wanted, &seen, baked, of, None), expected, "{case}");
        }
    }

    #[test]
    fn a_plan_is_told_with_the_alarms_or_in_their_place() {
        let quiet = alarm("ok", State::Ok);
        for (seen, expected) in [
            (&[][..], "approved: 2 added"),
            (&[quiet], "approved: the alarm is quiet; 2 added"),
        ] {
            let wanted: Vec<String> = seen.iter().map(|alarm| alarm.name.clone()).collect();
            let verdict = decide(
                &wanted,
                seen,
                Duration::ZERO,
                Duration::ZERO,
                Some("2 added"),
            );
            let summary = expected.to_owned();
            assert_eq!(verdict, Verdict::Approved { summary });
        }
    }

    #[test]
    fn a_look_that_failed_by_table() {
        let down = Failure::unavailable("failed to look at the alarms: Throttling");
        let denied = Failure::permission("failed to look at the alarms: AccessDenied");
        for (case, failure, baked, of, expected) in [
            ("throttled", &down, 5, 10, Some(50)),
            ("throttled, and baked long enough", &down, 10, 10, Some(99)),
            ("throttled, without a bake", &down, 0, 0, None),
            ("denied", &denied, 5, 10, None),
        ] {
            let (baked, of) = (Duration::from_secs(baked), Duration::from_secs(of));
            let verdict = expected.map(|percent| Verdict::Bake {
                percent,
                summary: "looking again: failed to look at the alarms: Throttling".to_owned(),
            });
            assert_eq!(unseen(failure, baked, of), verdict, "{case}");
        }
    }

    proptest! {
        #[test]
        fn an_alarm_is_never_let_pass_and_time_alone_decides_otherwise(
            states in proptest::collection::vec(0u8..3, 0..6), baked in 0u64..1_000, of in 0u64..1_000,
        ) {
            let seen: Vec<Alarm> = states
                .iter()
                .enumerate()
                .map(|(at, state)| {
                    let state = [State::Ok, State::Alarm, State::NoData][usize::from(*state)];
                    alarm(&at.to_string(), state)
                })
                .collect();
            let wanted: Vec<String> = seen.iter().map(|alarm| alarm.name.clone()).collect();
            let verdict = decide(&wanted, &seen, Duration::from_millis(baked), Duration::from_millis(of), None);
            if states.contains(&1) {
                let is_alarm = matches!(verdict, Verdict::Alarm { .. });
                prop_assert!(is_alarm);
            } else if let Verdict::Bake { percent, .. } = verdict {
                prop_assert!(baked < of && percent < 100);
            } else {
                let is_approved = matches!(verdict, Verdict::Approved { .. });
                prop_assert!(is_approved && baked >= of);
            }
        }
    }
}
