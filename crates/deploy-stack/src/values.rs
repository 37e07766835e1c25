//! Which value each of a template's parameters gets.

use std::collections::{BTreeMap, BTreeSet};

use towpath_stack::change_set::ParameterValue;
use towpath_stack::summary::Declared;

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
    #[error("no value for the template's parameter{} {}", if .0.len() == 1 { "" } else { "s" }, list(.0))]
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
/// else the one that the stack has already. Those named in `previous` keep the one that the stack has, if it has one.
///
/// A default comes before the stack's own value, so that a changed default takes effect.
pub(crate) fn resolve(
    declared: &[Declared],
    given: &BTreeMap<String, String>,
    previous: &BTreeSet<String>,
    existing: &[String],
) -> Result<BTreeMap<String, ParameterValue>, ValuesError> {
    let names: BTreeSet<&str> = declared.iter().map(|one| one.name.as_str()).collect();
    let unknown: BTreeSet<&String> = given
        .keys()
        .chain(previous)
        .filter(|name| !names.contains(name.as_str()))
        .collect();
    if !unknown.is_empty() {
        return Err(ValuesError::Unknown {
            unknown: unknown.into_iter().cloned().collect(),
            declared: declared.iter().map(|one| one.name.clone()).collect(),
        });
    }
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for Declared { name, has_default } in declared {
        if previous.contains(name) && existing.contains(name) {
            values.insert(name.clone(), ParameterValue::Previous);
        } else if let Some(value) = given.get(name) {
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
            &none(),
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

    fn none() -> BTreeSet<String> {
        BTreeSet::new()
    }

    #[test]
    fn a_value_is_kept_on_request_where_there_is_one() {
        let previous = ["Stage".to_owned(), "Size".to_owned()].into();
        for (existing, expected) in [
            (
                &["Stage", "Size", "Key"][..],
                &[
                    ("Stage", ParameterValue::Previous),
                    ("Size", ParameterValue::Previous),
                    ("Key", ParameterValue::Given("k".into())),
                ][..],
            ),
            // A stack that is new has nothing to keep.
            (
                &[],
                &[
                    ("Stage", ParameterValue::Given("qa".into())),
                    ("Key", ParameterValue::Given("k".into())),
                ],
            ),
        ] {
            let existing: Vec<String> = existing.iter().map(ToString::to_string).collect();
            let given = given(&[("Stage", "qa"), ("Key", "k")]);
            let values = resolve(&declared(), &given, &previous, &existing).expect("all there");
            let expected = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()));
            assert_eq!(values, expected.collect(), "{existing:?}");
        }
        let unknown = ["Sage".to_owned()].into();
        let error = resolve(&declared(), &given(&[]), &unknown, &[]).expect_err("unknown");
        assert!(error.to_string().contains("no parameter `Sage`"), "{error}");
    }

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let error = resolve(&declared(), &given(&[]), &none(), &[]).expect_err("two are missing");
        assert_eq!(
            error.to_string(),
            "no value for the template's parameters `Stage`, `Key`"
        );
    }

    #[test]
    fn what_the_template_does_not_declare_is_named_with_what_it_does() {
        let error =
            resolve(&declared(), &given(&[("Sage", "x")]), &none(), &[]).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "the template declares no parameter `Sage`; it declares `Stage`, `Size`, `Key`"
        );
    }
}
