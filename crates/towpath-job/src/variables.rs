//! Output variables, checked against the service's pattern and size before they are sent.

use std::collections::BTreeMap;

use crate::limits;
use towpath_secret::Secrets;

/// The output variables of an action: names later actions refer to as `#{namespace.name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    entries: BTreeMap<String, String>,
    bytes: usize,
}

/// Why a variable cannot be reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariablesError {
    /// The service's pattern is `[A-Za-z0-9@\-_]+`.
    #[error(
        "`{0}` cannot be the name of an output variable: letters, digits, `@`, `-` and `_` are allowed"
    )]
    Name(String),
    /// The quota of one action.
    #[error(
        "the output variables come to {bytes} bytes with `{name}`; an action may report {limit}",
        limit = limits::VARIABLES_BYTES
    )]
    TooLarge {
        /// The variable that does not fit any more.
        name: String,
        /// What all would come to with it.
        bytes: usize,
    },
}

impl Variables {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a variable, or replaces the one of the same name. Names are case-sensitive.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), VariablesError> {
        let (name, value) = (name.into(), value.into());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'-' | b'_');
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(VariablesError::Name(name));
        }
        let replaced = self
            .entries
            .get(&name)
            .map_or(0, |old| name.len() + old.len());
        let bytes = self.bytes - replaced + name.len() + value.len();
        if bytes > limits::VARIABLES_BYTES {
            return Err(VariablesError::TooLarge { name, bytes });
        }
        self.bytes = bytes;
        self.entries.insert(name, value);
        Ok(())
    }

    /// The variables with every secret taken out of their values.
    pub(crate) fn redacted(&self, secrets: &Secrets) -> Self {
        let entries: BTreeMap<String, String> = self
            .entries
            .iter()
            .map(|(name, value)| (name.clone(), secrets.redact(value)))
            .collect();
        // What stands for a secret is shorter than any, so the limit holds.
        let bytes = entries.iter().map(|(name, value)| name.len() + value.len());
        Self {
            bytes: bytes.sum(),
            entries,
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_by_table() {
        for (name, allowed) in [
            ("ApiUrl", true),
            ("a-b_c@1", true),
            ("", false),
            ("a.b", false),
            ("a b", false),
            ("é", false),
        ] {
            assert_eq!(
                Variables::new().insert(name, "x").is_ok(),
                allowed,
                "{name:?}"
            );
        }
    }

    #[test]
    fn the_total_counts_names_and_values_and_replacement() {
        let mut variables = Variables::new();
        let fill = "x".repeat(limits::VARIABLES_BYTES - 1);
        variables.insert("a", fill.clone()).unwrap();
        assert!(matches!(
            variables.insert("b", ""),
            Err(VariablesError::TooLarge { .. })
        ));
        variables
            .insert("a", "short")
            .expect("replacing frees room");
        variables.insert("b", "").unwrap();
        assert_eq!(variables.get("a"), Some("short"));
        assert_eq!(variables.len(), 2);
    }

    proptest! {
        #[test]
        fn what_was_accepted_is_within_the_limit(
            pairs in proptest::collection::vec(("[a-c]", 0usize..60_000), 0..8),
        ) {
            let mut variables = Variables::new();
            for (name, size) in pairs {
                let _ = variables.insert(name, "v".repeat(size));
                let total: usize = variables.iter().map(|(n, v)| n.len() + v.len()).sum();
                prop_assert!(total <= limits::VARIABLES_BYTES);
                prop_assert_eq!(total, variables.bytes);
            }
        }
    }
}
