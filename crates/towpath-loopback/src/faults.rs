//! Faults on demand: a rule says which call fails, and how. The same seed fails the same calls.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

mod file;

pub use file::{FaultFile, FaultFileError};

/// Which calls fail, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultRule {
    /// The service's signing name, such as `s3` or `codepipeline`; `None` is every service.
    pub service: Option<String>,
    /// The operation, such as `PutObject`; `None` is every operation.
    pub operation: Option<String>,
    /// Which of the calls that match.
    pub when: When,
    /// What happens to them.
    pub kind: Kind,
}

/// Which of the calls that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// The `first`-th matching call, counted from 1, and those after it: `times` calls in all.
    Nth {
        /// Counted from 1.
        first: u64,
        /// How many calls in a row.
        times: u64,
    },
    /// Each matching call with this probability, from 0 to 1. The seed makes it repeatable.
    Probability {
        /// From 0 to 1.
        probability: f64,
        /// Of the sequence of chances.
        seed: u64,
    },
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The service's throttling error, before any effect.
    Throttle,
    /// An internal error with status 500, before any effect.
    Error,
    /// The connection is closed without an answer.
    Cut(Cut),
    /// The call takes this much longer.
    Delay(Duration),
}

/// When the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing has happened.
    Before,
    /// All has happened; only the answer is lost.
    After,
}

/// Why a rule in JSON is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotARule(pub(crate) String);

impl fmt::Display for NotARule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The members of a rule in JSON: none that is unknown, and each of the type that it has to be.
pub(crate) struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    pub(crate) fn of(what: &str, value: &'a Value, known: &[&str]) -> Result<Self, NotARule> {
        let object = value
            .as_object()
            .ok_or_else(|| NotARule(format!("{what} is a JSON object")))?;
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(NotARule(format!(
                "{what} has no `{key}`: it has {}",
                known.join(", ")
            ))),
            None => Ok(Self(object)),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, NotARule> {
        self.read(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn whole(&self, key: &str) -> Result<Option<u64>, NotARule> {
        self.read(key, "a whole number", Value::as_u64)
    }

    fn read<T>(
        &self,
        key: &str,
        kind: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, NotARule> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| NotARule(format!("`{key}` is {kind}, and not {value}"))),
        }
    }
}

impl FaultRule {
    /// Reads `{"service","operation","nth","times","probability","seed","kind","delay_ms"}`, where `kind` is
    /// `throttle`, `error`, `cut-before`, `cut-after` or `delay`.
    pub(crate) fn from_json(value: &Value) -> Result<Self, NotARule> {
        const KEYS: [&str; 8] = [
            "service",
            "operation",
            "nth",
            "times",
            "probability",
            "seed",
            "kind",
            "delay_ms",
        ];
        let members = Members::of("a fault rule", value, &KEYS)?;
        let kind = match members.text("kind")?.as_deref() {
            Some("throttle") => Kind::Throttle,
            Some("error") => Kind::Error,
            Some("cut-before") => Kind::Cut(Cut::Before),
            Some("cut-after") => Kind::Cut(Cut::After),
            Some("delay") => Kind::Delay(Duration::from_millis(
                members
                    .whole("delay_ms")?
                    .ok_or_else(|| NotARule("a `delay` needs a whole `delay_ms`".into()))?,
            )),
            other => {
                let given = other.map_or_else(
                    || "a fault rule needs `kind`,".to_owned(),
                    |kind| format!("the kind `{kind}` is none of the kinds"),
                );
                return Err(NotARule(format!(
                    "{given} throttle, error, cut-before, cut-after, delay"
                )));
            }
        };
        let probability = members.read("probability", "a number from 0 to 1", |value| {
            value.as_f64().filter(|it| (0.0..=1.0).contains(it))
        })?;
        let when = match probability {
            Some(probability) => When::Probability {
                probability,
                seed: members.whole("seed")?.unwrap_or(0),
            },
            None => When::Nth {
                first: members.whole("nth")?.unwrap_or(1),
                times: members.whole("times")?.unwrap_or(1),
            },
        };
        Ok(Self {
            service: members.text("service")?,
            operation: members.text("operation")?,
            when,
            kind,
        })
    }

    fn matches(&self, service: &str, operation: &str) -> bool {
        self.service.as_deref().is_none_or(|own| own == service)
            && self.operation.as_deref().is_none_or(|own| own == operation)
    }
}

/// A rule and how often it has matched.
struct Armed {
    rule: FaultRule,
    calls: u64,
    hits: u64,
}

/// The rules in force.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Armed>>);

impl Faults {
    /// Puts a rule in force.
    pub(crate) fn add(&self, rule: FaultRule) {
        self.with(|rules| {
            rules.push(Armed {
                rule,
                calls: 0,
                hits: 0,
            });
        });
    }

    /// Forgets every rule.
    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
    }

    /// What is to happen to this call. Every rule that matches counts it; the first that fires decides.
    pub(crate) fn next(&self, service: &str, operation: &str) -> Option<Kind> {
        self.with(|rules| {
            let mut fired = None;
            for armed in rules
                .iter_mut()
                .filter(|armed| armed.rule.matches(service, operation))
            {
                armed.calls += 1;
                if fired.is_none() && fires(&armed.rule.when, armed.calls) {
                    armed.hits += 1;
                    fired = Some(armed.rule.kind);
                }
            }
            fired
        })
    }

    /// Each rule with the number of its matches and hits.
    pub(crate) fn report(&self) -> Value {
        self.with(|rules| {
            rules
                .iter()
                .map(|armed| {
                    json!({
                        "service": armed.rule.service,
                        "operation": armed.rule.operation,
                        "kind": format!("{:?}", armed.rule.kind),
                        "calls": armed.calls,
                        "hits": armed.hits,
                    })
                })
                .collect()
        })
    }

    /// The rules that have decided no call, in words.
    pub(crate) fn unmet(&self) -> Vec<String> {
        self.with(|rules| {
            rules
                .iter()
                .filter(|armed| armed.hits == 0)
                .map(|armed| {
                    let service = armed.rule.service.as_deref().unwrap_or("any service");
                    let operation = armed.rule.operation.as_deref().unwrap_or("any operation");
                    let calls = armed.calls;
                    format!("{operation} of {service}, which was called {calls} times")
                })
                .collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Armed>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the `call`-th matching call, counted from 1, fails.
fn fires(when: &When, call: u64) -> bool {
    match *when {
        When::Nth { first, times } => call >= first && call - first < times,
        When::Probability { probability, seed } => {
            (chance(seed, call) as f64) / (u64::MAX as f64) < probability
        }
    }
}

/// SplitMix64: the `call`-th number of the sequence that `seed` begins.
fn chance(seed: u64, call: u64) -> u64 {
    let mut z = seed.wrapping_add(call.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_fires_on_the_calls_it_names() {
        for (when, expected) in [
            (When::Nth { first: 1, times: 1 }, vec![1]),
            (When::Nth { first: 3, times: 2 }, vec![3, 4]),
            (When::Nth { first: 1, times: 9 }, vec![1, 2, 3, 4, 5]),
            (
                When::Probability {
                    probability: 0.0,
                    seed: 1,
                },
                vec![],
            ),
            (
                When::Probability {
                    probability: 1.0,
                    seed: 1,
                },
                vec![1, 2, 3, 4, 5],
            ),
        ] {
            let hit: Vec<u64> = (1..=5).filter(|call| fires(&when, *call)).collect();
            assert_eq!(hit, expected, "{when:?}");
        }
    }

    #[test]
    fn probability_is_kept_and_repeats_with_its_seed() {
        let hits = |seed| {
            (1..=10_000)
                .filter(|call| {
                    fires(
                        &When::Probability {
                            probability: 0.25,
                            seed,
                        },
                        *call,
                    )
                })
                .collect::<Vec<u64>>()
        };
        assert!((2300..2700).contains(&hits(7).len()), "{}", hits(7).len());
        assert_eq!(hits(7), hits(7));
        assert_ne!(hits(7), hits(8));
    }

    #[test]
    fn rules_are_read_from_json_or_refused_in_words() {
        let rule = FaultRule::from_json(&json!({
            "service": "s3", "operation": "PutObject", "nth": 2, "kind": "cut-after",
        }));
        assert_eq!(
            rule,
            Ok(FaultRule {
                service: Some("s3".into()),
                operation: Some("PutObject".into()),
                when: When::Nth { first: 2, times: 1 },
                kind: Kind::Cut(Cut::After),
            })
        );
        for (given, expected) in [
            (json!([]), "JSON object"),
            (
                json!({"kind": "explode"}),
                "`explode` is none of the kinds throttle",
            ),
            (json!({"service": "s3"}), "needs `kind`, throttle"),
            (
                json!({"kind": "error", "nth": "2"}),
                "`nth` is a whole number, and not \"2\"",
            ),
            (
                json!({"kind": "error", "probability": 20}),
                "`probability` is a number from 0 to 1, and not 20",
            ),
            (json!({"kind": "delay"}), "delay_ms"),
            (json!({"kind": "error", "nht": 2}), "no `nht`"),
        ] {
            let error = FaultRule::from_json(&given).expect_err("refused");
            assert!(error.to_string().contains(expected), "{given}: {error}");
        }
    }

    #[test]
    fn only_calls_that_match_are_counted() {
        let faults = Faults::default();
        faults.add(FaultRule {
            service: Some("s3".into()),
            operation: None,
            when: When::Nth { first: 2, times: 1 },
            kind: Kind::Error,
        });
        let calls = ["s3", "sns", "s3", "s3"].map(|service| faults.next(service, "Any"));
        assert_eq!(calls, [None, None, Some(Kind::Error), None]);
        faults.clear();
        assert_eq!(faults.next("s3", "Any"), None);
    }
}
