//! Which value each of a template's parameters gets.

use std::collections::{BTreeMap, BTreeSet};

use towpath_stack::change_set::ParameterValue;

/// A parameter as the template declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Its name.
    pub(crate) name: String,
    /// Whether the template gives it a default.
    pub(crate) has_default: bool,
}

/// Values that do not fit the template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// Given, but not declared.
    #[error("the template declares no parameter {}; it declares {}", list(.unknown), list(.declared))]
    Unknown {
        /// The names that are given.
        unknown: Vec<String>,
        /// The names that there are.
        declared: Vec<String>,
    },
    /// Declared, and without any value.
    #[error("no value for the template's parameter {}", list(.0))]
    Missing(Vec<String>),
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Gives every declared parameter its value: the one that is given, else the template's default,
/// else the one that the stack has already.
///
/// A default comes before the stack's own value, so that a changed default takes effect.
pub(crate) fn resolve(
    declared: &[Declared],
    given: &BTreeMap<String, String>,
    existing: &[String],
) -> Result<BTreeMap<String, ParameterValue>, ValuesError> {
    let names: BTreeSet<&str> = declared.iter().map(|one| one.name.as_str()).collect();
    let unknown: Vec<String> = given
        .keys()
        .filter(|name| !names.contains(name.as_str()))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        let declared = declared.iter().map(|one| one.name.clone()).collect();
        return Err(ValuesError::Unknown { unknown, declared });
    }
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for Declared { name, has_default } in declared {
        if let Some(value) = given.get(name) {
            values.insert(name.clone(), ParameterValue::Given(value.clone()));
        } else if *has_default {
            // Left out of the request: CloudFormation takes the template's own.
        } else if existing.contains(name) {
            values.insert(name.clone(), ParameterValue::Previous);
        } else {
            missing.push(name.clone());
        }
    }
    if missing.is_empty() {
        Ok(values)
    } else {
        Err(ValuesError::Missing(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Vec<Declared> {
        [("Stage", false), ("Size", true), ("Key", false)]
            .map(|(name, has_default)| Declared {
                name: name.into(),
                has_default,
            })
            .to_vec()
    }

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_value_is_given_or_default_or_kept() {
        let values = resolve(
            &declared(),
            &given(&[("Stage", "qa")]),
            &["Key".into(), "Size".into()],
        )
        .expect("all there");
        assert_eq!(values["Stage"], ParameterValue::Given("qa".into()));
        assert_eq!(values["Key"], ParameterValue::Previous);
        assert!(
            !values.contains_key("Size"),
            "a default is the template's to give"
        );
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let error = resolve(&declared(), &given(&[]), &[]).expect_err("two are missing");
        assert_eq!(
            error.to_string(),
            "no value for the template's parameter `Stage`, `Key`"
        );
    }

    #[test]
    fn what_the_template_does_not_declare_is_named_with_what_it_does() {
        let error = resolve(&declared(), &given(&[("Sage", "x")]), &[]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "the template declares no parameter `Sage`; it declares `Stage`, `Size`, `Key`"
        );
    }
}
