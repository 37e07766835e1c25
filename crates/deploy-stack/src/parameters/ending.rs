//! What `action=delete` and `action=sweep` may do, and how long a stack lives.

use std::collections::BTreeMap;
use std::time::Duration;

use towpath_job::parameters::{ParameterError, Query};
use towpath_stack::sweep;
use towpath_stack::teardown::{Chosen, Rules};

use super::Operation;

/// How many stacks one sweep deletes, unless `cap` says otherwise.
const CAP: u64 = 5;

/// How many it may delete at most: what is under way has to be looked at in one invocation.
const MOST: u64 = 50;

/// The end of stacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// `empty-buckets`, `retain`, `force` and `linger`.
    pub teardown: Rules,
    /// `prefix`.
    pub sweep: sweep::Rules,
    /// `dry-run`: nothing is deleted.
    pub dry_run: bool,
    /// `cap`: how many stacks one sweep deletes.
    pub cap: usize,
    /// `ttl`: how long the stack that is deployed lives.
    pub ttl: Option<Duration>,
    /// `owner`, `repository`, `branch` and `commit`: what the stack is of, as its tags.
    pub origin: BTreeMap<String, String>,
    given: Vec<&'static str>,
}

impl Ending {
    pub(super) fn from_query(query: &mut Query) -> Result<Self, ParameterError> {
        let given = [
            "empty-buckets",
            "retain",
            "force",
            "linger",
            "prefix",
            "dry-run",
            "cap",
            "ttl",
        ]
        .into_iter()
        .chain(sweep::ORIGIN)
        .filter(|key| query.remaining().iter().any(|(name, _)| name == key))
        .collect();
        let switch = [("on", true), ("off", false)];
        let empty = chosen(&query.take_list("empty-buckets"), "on");
        let retain = chosen(&query.take_list("retain"), "leftovers");
        let force = query.take_choice("force", &switch)?;
        let linger = query.take_duration("linger")?;
        let prefix = query.take_filled("prefix");
        let dry_run = query.take_choice("dry-run", &switch)?;
        let cap = query.take_as("cap", "a whole number from 1 to 50", |text| {
            text.parse::<u64>()
                .ok()
                .filter(|cap| (1..=MOST).contains(cap))
        })?;
        let ttl = query.take_as("ttl", "a duration from 1h to 365d", |text| {
            towpath_job::parameters::duration::parse(text).filter(|ttl| {
                (Duration::from_hours(1)..=Duration::from_hours(365 * 24)).contains(ttl)
            })
        })?;
        let origin = sweep::ORIGIN
            .into_iter()
            .filter_map(|key| Some((sweep::origin_tag(key), query.take_filled(key)?)))
            .map(|(tag, text)| (tag, sweep::tag_value(&text)))
            .collect();
        let defaults = Rules::default();
        Ok(Self {
            teardown: Rules {
                empty,
                retain,
                force: force.unwrap_or(defaults.force),
                linger: linger.unwrap_or(defaults.linger),
            },
            sweep: sweep::Rules { prefix },
            dry_run: dry_run.unwrap_or(true),
            cap: usize::try_from(cap.unwrap_or(CAP)).unwrap_or(usize::MAX),
            ttl,
            origin,
            given,
        })
    }

    /// The first key that is given of those that say what the stack is of.
    pub(super) fn origin_key(&self) -> Option<&'static str> {
        self.given
            .iter()
            .copied()
            .find(|key| sweep::ORIGIN.contains(key))
    }

    /// A key that is given and means nothing for this operation.
    pub(super) fn meaningless(&self, operation: Operation) -> Option<&'static str> {
        self.given.iter().copied().find(|key| !match *key {
            key if key == "ttl" || sweep::ORIGIN.contains(&key) => {
                matches!(operation, Operation::Deploy | Operation::Plan)
            }
            "prefix" | "dry-run" | "cap" => operation == Operation::Sweep,
            _ => matches!(operation, Operation::Delete | Operation::Sweep),
        })
    }
}

/// `all` chooses all, an empty list or `off` none, anything else those that are named.
fn chosen(words: &[String], all: &str) -> Chosen {
    match words {
        [] => Chosen::None,
        [word] if word == "off" => Chosen::None,
        [word] if word == all => Chosen::All,
        words => Chosen::Named(words.iter().cloned().collect()),
    }
}
