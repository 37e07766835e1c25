//! The end of a stack: which rung of the ladder comes next, without I/O and without a clock.
//!
//! The ladder is: nobody imports what the stack exports; its buckets are emptied, if that was
//! asked for; `DeleteStack`; the same again at growing intervals while something lets go slowly,
//! as Lambda's network interfaces do; the leftovers that may stay are retained; the stack is
//! forced away, if that was asked for. Termination protection is never switched off.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::step::STALE_READS;
use crate::{Observed, StackStatus};

/// How often the buckets of a stack are emptied because something filled them again.
const EMPTYINGS: u32 = 3;

/// How often `DeleteStack` is asked for in all, whatever happens.
const ASKS: u32 = 30;

/// Which of the stack's resources a rule is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Chosen {
    /// None.
    #[default]
    None,
    /// Every one that the rule fits.
    All,
    /// Those with these logical ids.
    Named(BTreeSet<String>),
}

impl Chosen {
    /// Whether this logical id is chosen.
    pub fn has(&self, logical_id: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(names) => names.contains(logical_id),
        }
    }
}

/// What may be done to be rid of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Which of its buckets are emptied.
    pub empty: Chosen,
    /// Which resources may stay behind when they cannot be deleted.
    pub retain: Chosen,
    /// Whether the stack may go although resources remain (`FORCE_DELETE_STACK`).
    pub force: bool,
    /// How long a deletion is tried again while something lets go slowly.
    pub linger: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            empty: Chosen::None,
            retain: Chosen::None,
            force: false,
            linger: Duration::from_mins(45),
        }
    }
}

/// A resource that could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its name in the template.
    pub logical_id: String,
    /// Such as `AWS::S3::Bucket`.
    pub resource_type: String,
    /// AWS's words.
    pub reason: String,
}

impl Leftover {
    /// A bucket that has to be emptied first.
    pub fn is_full_bucket(&self) -> bool {
        self.resource_type == "AWS::S3::Bucket" && self.reason.contains("not empty")
    }
}

/// What has been done so far. It survives in the continuation token.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Done {
    /// How often `DeleteStack` was asked for.
    pub asks: u32,
    /// Looks since the last time, [`STALE_READS`] once the deletion was seen under way; `None`
    /// when none is open.
    pub looks: Option<u32>,
    /// The stack was `DELETE_FAILED` already when the last one was asked for.
    pub failed_before: bool,
    /// How often the buckets were emptied.
    pub emptied: u32,
    /// When the first failure was seen, in seconds since 1970.
    pub failed_at: Option<u64>,
    /// Until when to rest, in milliseconds since 1970.
    pub rest_until: Option<u64>,
    /// What the last request retained.
    pub retained: BTreeSet<String>,
    /// The last request forced the stack away.
    pub forced: bool,
}

/// How `DeleteStack` is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// As it is.
    Plain,
    /// These stay behind.
    Retaining(BTreeSet<String>),
    /// Whatever remains.
    Forced,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is nothing, or nothing any more.
    Gone,
    /// Look again later.
    Wait,
    /// The stack may not be deleted.
    Protected,
    /// Empty the buckets.
    Empty,
    /// Ask for the deletion.
    Ask(How),
    /// Rest until then, in milliseconds since 1970, and ask again.
    Rest(u64),
    /// Nothing that is allowed leads further.
    Failed,
    /// The service refused, and left the stack as it was.
    Refused,
}

/// The next step, from what is seen and what was done. `leftovers` are the resources that are
/// `DELETE_FAILED`, and `now` is in milliseconds since 1970.
pub fn next(
    observed: &Observed,
    leftovers: &[Leftover],
    done: &Done,
    rules: &Rules,
    now: u64,
) -> Step {
    use StackStatus as S;
    let Some(stack) = observed.stack() else {
        return Step::Gone;
    };
    if stack.status == S::DeleteComplete {
        return Step::Gone;
    }
    if stack.status.is_under_way() {
        return Step::Wait;
    }
    if stack.termination_protection {
        return Step::Protected;
    }
    if let Some(until) = done.rest_until {
        return if now < until {
            Step::Rest(until)
        } else {
            Step::Ask(How::Plain)
        };
    }
    let Some(looks) = done.looks else {
        // A stack that is only under review has no buckets, nor anything else.
        let holds = stack.status != S::ReviewInProgress;
        return if holds && rules.empty != Chosen::None && done.emptied == 0 {
            Step::Empty
        } else {
            Step::Ask(How::Plain)
        };
    };
    let failed = stack.status == S::DeleteFailed;
    // A failure that was there before is no answer to what we asked for; a new one is, at once.
    if looks < STALE_READS && (!failed || done.failed_before) {
        return Step::Wait;
    }
    if failed {
        after_failure(leftovers, done, rules, now)
    } else {
        Step::Refused
    }
}

fn after_failure(leftovers: &[Leftover], done: &Done, rules: &Rules, now: u64) -> Step {
    if done.asks >= ASKS || done.forced {
        return Step::Failed;
    }
    let refilled = leftovers
        .iter()
        .any(|left| left.is_full_bucket() && rules.empty.has(&left.logical_id));
    if refilled && done.emptied < EMPTYINGS {
        return Step::Empty;
    }
    // Once is for what was only in the way of something else; more is for what lets go slowly.
    if done.asks < 2 && !done.failed_before {
        return Step::Ask(How::Plain);
    }
    let began = done.failed_at.map_or(now, |at| at * 1_000);
    let lingers = leftovers.iter().any(lets_go_slowly);
    let linger = milliseconds(rules.linger);
    if lingers && now.saturating_sub(began) < linger && done.retained.is_empty() {
        let minutes = 1_u64 << done.asks.saturating_sub(2).min(4);
        return Step::Rest(now + (minutes * 60_000).min(linger / 10));
    }
    let staying: BTreeSet<String> = leftovers
        .iter()
        .map(|left| &left.logical_id)
        .filter(|id| rules.retain.has(id))
        .cloned()
        .collect();
    // CloudFormation takes only what failed; what stayed behind before is not named again.
    let all = staying.len() == leftovers.len() && !staying.is_empty();
    if all && staying != done.retained {
        return Step::Ask(How::Retaining(staying));
    }
    if rules.force {
        return Step::Ask(How::Forced);
    }
    Step::Failed
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Lambda's network interfaces are deleted 20 to 45 minutes after the function, and hold the
/// security groups and subnets that they are in until then.
fn lets_go_slowly(left: &Leftover) -> bool {
    let reason = left.reason.to_lowercase();
    [
        "network interface",
        "networkinterface",
        "dependent object",
        "has dependencies",
        "dependencyviolation",
        "eni-",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stack;

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn a_stack_that_is_only_under_review_has_no_bucket_to_empty() {
        let rules = Rules {
            empty: Chosen::All,
            ..Rules::default()
        };
        for (status, expected) in [
            (StackStatus::ReviewInProgress, Step::Ask(How::Plain)),
            (StackStatus::CreateComplete, Step::Empty),
        ] {
            let step = next(&observed(status), &[], &Done::default(), &rules, NOW);
            assert_eq!(step, expected, "{status}");
        }
    }

    fn observed(status: StackStatus) -> Observed {
        Observed::Present(Box::new(Stack::named("app", status)))
    }

    fn leftover(id: &str, kind: &str, reason: &str) -> Leftover {
        Leftover {
            logical_id: id.into(),
            resource_type: kind.into(),
            reason: reason.into(),
        }
    }

    fn bucket() -> Leftover {
        leftover(
            "Site",
            "AWS::S3::Bucket",
            "The bucket you tried to delete is not empty (Service: S3)",
        )
    }

    fn group() -> Leftover {
        leftover(
            "Group",
            "AWS::EC2::SecurityGroup",
            "resource sg-1 has a dependent object (Service: Ec2)",
        )
    }

    fn named(ids: &[&str]) -> Chosen {
        Chosen::Named(ids.iter().map(ToString::to_string).collect())
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_status_has_its_first_step() {
        use StackStatus as S;
        for status in S::ALL {
            let expected = match status {
                S::DeleteComplete => Step::Gone,
                S::ReviewInProgress => Step::Ask(How::Plain),
                other if other.as_str().ends_with("_IN_PROGRESS") => Step::Wait,
                _ => Step::Ask(How::Plain),
            };
            let step = next(
                &observed(status),
                &[],
                &Done::default(),
                &Rules::default(),
                NOW,
            );
            assert_eq!(step, expected, "{status}");
        }
        let absent = next(
            &Observed::Absent,
            &[],
            &Done::default(),
            &Rules::default(),
            NOW,
        );
        assert_eq!(absent, Step::Gone);
    }

    #[test]
    fn a_protected_stack_stays_whatever_the_rules_say() {
        let mut stack = Stack::named("app", StackStatus::UpdateComplete);
        stack.termination_protection = true;
        let rules = Rules {
            empty: Chosen::All,
            retain: Chosen::All,
            force: true,
            linger: Duration::ZERO,
        };
        let observed = Observed::Present(Box::new(stack));
        assert_eq!(
            next(&observed, &[], &Done::default(), &rules, NOW),
            Step::Protected
        );
    }

    #[test]
    fn a_settled_status_after_our_request_is_an_old_one_at_first() {
        use StackStatus as S;
        for (status, failed_before, looks, expected) in [
            (S::UpdateComplete, false, 0, Step::Wait),
            (S::UpdateComplete, false, STALE_READS, Step::Refused),
            (S::DeleteFailed, true, 0, Step::Wait),
            (S::DeleteFailed, true, STALE_READS, Step::Failed),
            (S::DeleteFailed, false, 0, Step::Failed),
        ] {
            let done = Done {
                asks: 2,
                looks: Some(looks),
                failed_before,
                ..Done::default()
            };
            let left = [leftover("Topic", "AWS::SNS::Topic", "no")];
            let step = next(&observed(status), &left, &done, &Rules::default(), NOW);
            assert_eq!(step, expected, "{status} {failed_before} {looks}");
        }
    }

    #[test]
    fn the_ladder_is_climbed_rung_by_rung() {
        let failed = |asks| Done {
            asks,
            looks: Some(STALE_READS),
            emptied: 1,
            failed_at: Some(NOW / 1_000),
            ..Done::default()
        };
        let empty = Rules {
            empty: Chosen::All,
            ..Rules::default()
        };
        let retain = Rules {
            retain: named(&["Site"]),
            ..Rules::default()
        };
        let leftovers = Rules {
            retain: Chosen::All,
            ..Rules::default()
        };
        let force = Rules {
            force: true,
            ..Rules::default()
        };
        let later = NOW + 46 * 60_000;
        for (case, left, done, rules, now, expected) in [
            (
                "a bucket was filled again",
                vec![bucket()],
                failed(1),
                &empty,
                NOW,
                Step::Empty,
            ),
            (
                "and again and again",
                vec![bucket()],
                Done {
                    emptied: EMPTYINGS,
                    ..failed(4)
                },
                &empty,
                NOW,
                Step::Failed,
            ),
            (
                "the first failure is tried again at once",
                vec![bucket()],
                failed(1),
                &Rules::default(),
                NOW,
                Step::Ask(How::Plain),
            ),
            (
                "a network interface lingers",
                vec![group()],
                failed(2),
                &Rules::default(),
                NOW,
                Step::Rest(NOW + 60_000),
            ),
            (
                "longer and longer, but not for long",
                vec![group()],
                failed(9),
                &Rules::default(),
                NOW,
                Step::Rest(NOW + 270_000),
            ),
            (
                "too long",
                vec![group()],
                failed(12),
                &Rules::default(),
                later,
                Step::Failed,
            ),
            (
                "what is named may stay",
                vec![bucket()],
                failed(2),
                &retain,
                NOW,
                Step::Ask(How::Retaining(ids(&["Site"]))),
            ),
            (
                "something else may not",
                vec![bucket(), leftover("Topic", "AWS::SNS::Topic", "no")],
                failed(2),
                &retain,
                NOW,
                Step::Failed,
            ),
            (
                "all leftovers may stay",
                vec![bucket(), group()],
                failed(12),
                &leftovers,
                later,
                Step::Ask(How::Retaining(ids(&["Site", "Group"]))),
            ),
            (
                "retaining the same again is of no use",
                vec![bucket()],
                Done {
                    retained: ids(&["Site"]),
                    ..failed(3)
                },
                &leftovers,
                NOW,
                Step::Failed,
            ),
            (
                "by force",
                vec![bucket()],
                failed(2),
                &force,
                NOW,
                Step::Ask(How::Forced),
            ),
            (
                "not even by force",
                vec![bucket()],
                Done {
                    forced: true,
                    ..failed(3)
                },
                &force,
                NOW,
                Step::Failed,
            ),
            (
                "no end of it",
                vec![group()],
                failed(ASKS),
                &force,
                NOW,
                Step::Failed,
            ),
        ] {
            let step = next(
                &observed(StackStatus::DeleteFailed),
                &left,
                &done,
                rules,
                now,
            );
            assert_eq!(step, expected, "{case}");
        }
    }

    #[test]
    fn a_rest_ends() {
        let done = Done {
            asks: 2,
            looks: Some(STALE_READS),
            rest_until: Some(NOW),
            ..Done::default()
        };
        for (now, expected) in [(NOW - 1, Step::Rest(NOW)), (NOW, Step::Ask(How::Plain))] {
            let step = next(
                &observed(StackStatus::DeleteFailed),
                &[group()],
                &done,
                &Rules::default(),
                now,
            );
            assert_eq!(step, expected, "{now}");
        }
    }
}
