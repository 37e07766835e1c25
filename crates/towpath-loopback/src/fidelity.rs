//! What the loopback did for real, what it only pretended to do, and what it would not do.
//!
//! A local run ends with this ledger, so that nobody takes a simulated step for a tested one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// The ledger. Entries are short phrases such as `AWS::Lambda::Function`; each is kept once.
#[derive(Debug, Default)]
pub(crate) struct Fidelity {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    executed: BTreeSet<String>,
    simulated: BTreeSet<String>,
    refused: BTreeSet<String>,
}

impl Fidelity {
    /// It really happened, as it would in AWS.
    pub(crate) fn executed(&self, what: impl Into<String>) {
        self.with(|entries| entries.executed.insert(what.into()));
    }

    /// It was recorded, and has no effect.
    pub(crate) fn simulated(&self, what: impl Into<String>) {
        self.with(|entries| entries.simulated.insert(what.into()));
    }

    /// It was asked for, and the loopback does not do it.
    pub(crate) fn refused(&self, what: impl Into<String>) {
        self.with(|entries| entries.refused.insert(what.into()));
    }

    /// `{"executed":[],"simulated":[],"refused":[]}`, each sorted.
    pub(crate) fn report(&self) -> Value {
        self.with(|entries| {
            json!({
                "executed": entries.executed,
                "simulated": entries.simulated,
                "refused": entries.refused,
            })
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Entries) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
