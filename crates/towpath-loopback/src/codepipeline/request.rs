//! Reading a request: every violation of the service model's constraints is gathered, then told.

use std::collections::BTreeMap;

use serde_json::Value;
use towpath_engine::constraint::{NAME, Rule, VARIABLE_PATTERN, Violations, is_variable_character};

use crate::AwsError;

/// All output variables of one action may have this many bytes together (User Guide, quotas).
const OUTPUT_VARIABLES: usize = 122_880;

/// A structure of the request, and what was found wrong with the whole of it.
pub(super) struct Request<'a> {
    value: &'a Value,
    path: String,
    violations: Violations,
}

impl<'a> Request<'a> {
    /// The request itself.
    pub(super) fn new(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
            violations: Violations::default(),
        }
    }

    fn path(&self, member: &str) -> String {
        if self.path.is_empty() {
            member.to_owned()
        } else {
            format!("{}.{member}", self.path)
        }
    }

    fn member(&self, member: &str) -> Option<&'a Value> {
        self.value.get(member).filter(|value| !value.is_null())
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, member: &str, rule: &Rule) -> Option<String> {
        let value = self.member(member)?;
        let path = self.path(member);
        let Some(text) = value.as_str() else {
            self.violations
                .add(Some(&value.to_string()), &path, "Member must be a string");
            return None;
        };
        self.violations.text(text, &path, rule);
        Some(text.to_owned())
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, member: &str, rule: &Rule) -> String {
        if self.member(member).is_none() {
            self.violations.missing(&self.path(member));
        }
        self.text(member, rule).unwrap_or_default()
    }

    /// The name of a pipeline, a stage or an action.
    pub(super) fn name(&mut self, member: &str) -> String {
        self.required(member, &NAME)
    }

    /// A UUID that must be there.
    pub(super) fn uuid(&mut self, member: &str) -> String {
        let text = self.required(member, &Rule::length(0, usize::MAX));
        if self.member(member).is_some() {
            self.violations.uuid(&text, &self.path(member));
        }
        text
    }

    /// One of a set, that must be there.
    pub(super) fn one_of(&mut self, member: &str, set: &[&str]) -> String {
        let text = self.required(member, &Rule::length(0, usize::MAX));
        if self.member(member).is_some() {
            self.violations.one_of(&text, &self.path(member), set);
        }
        text
    }

    /// A whole number, if it is there.
    pub(super) fn integer(&mut self, member: &str, min: i64, max: i64) -> Option<i64> {
        let value = self.member(member)?;
        let path = self.path(member);
        let Some(number) = value.as_i64() else {
            self.violations
                .add(Some(&value.to_string()), &path, "Member must be an integer");
            return None;
        };
        self.violations.range(number, &path, min, max);
        Some(number)
    }

    /// Seconds since the epoch, if they are there.
    pub(super) fn seconds(&mut self, member: &str) -> Option<f64> {
        self.member(member)?.as_f64()
    }

    /// The structure below a member, if it is there.
    pub(super) fn below<T>(
        &mut self,
        member: &str,
        read: impl FnOnce(&mut Request<'a>) -> T,
    ) -> Option<T> {
        let value = self.member(member)?;
        Some(self.read_below(value, self.path(member), read))
    }

    /// The structure below a member that must be there.
    pub(super) fn required_below<T: Default>(
        &mut self,
        member: &str,
        read: impl FnOnce(&mut Request<'a>) -> T,
    ) -> T {
        if self.member(member).is_none() {
            self.violations.missing(&self.path(member));
        }
        self.below(member, read).unwrap_or_default()
    }

    /// The structures of a list.
    pub(super) fn list<T>(
        &mut self,
        member: &str,
        mut read: impl FnMut(&mut Request<'a>) -> T,
    ) -> Vec<T> {
        let list = self.member(member).and_then(Value::as_array);
        let path = self.path(member);
        list.into_iter()
            .flatten()
            .enumerate()
            .map(|(index, value)| {
                self.read_below(value, format!("{path}.{}.member", index + 1), &mut read)
            })
            .collect()
    }

    fn read_below<T>(
        &mut self,
        value: &'a Value,
        path: String,
        read: impl FnOnce(&mut Request<'a>) -> T,
    ) -> T {
        let mut below = Request {
            value,
            path,
            violations: std::mem::take(&mut self.violations),
        };
        let result = read(&mut below);
        self.violations = below.violations;
        result
    }

    /// Output variables: keys of the model's pattern, values of any text.
    pub(super) fn variables(&mut self, member: &str) -> BTreeMap<String, String> {
        let path = self.path(member);
        let mut variables = BTreeMap::new();
        for (key, value) in self
            .member(member)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if key.is_empty() || !key.chars().all(is_variable_character) {
                self.violations.add(
                    Some(key),
                    &path,
                    format_args!(
                        "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: {VARIABLE_PATTERN}]"
                    ),
                );
            }
            match value.as_str() {
                Some(text) => {
                    variables.insert(key.clone(), text.to_owned());
                }
                None => self.violations.add(
                    Some(&value.to_string()),
                    &path,
                    format_args!("Map value must be a string (key `{key}`)"),
                ),
            }
        }
        variables
    }

    /// Records a violation that no single member shows.
    pub(super) fn refuse(&mut self, member: &str, value: &str, why: &str) {
        self.violations.add(Some(value), &self.path(member), why);
    }

    /// The request is fine, or is refused with all that was found.
    pub(super) fn finish(self) -> Result<(), AwsError> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(AwsError::client(
                "ValidationException",
                self.violations.to_string(),
            ))
        }
    }
}

/// Whether the output variables of one action are small enough together.
pub(super) fn check_size(variables: &BTreeMap<String, String>) -> Result<(), AwsError> {
    let size: usize = variables
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if size > OUTPUT_VARIABLES {
        return Err(AwsError::client(
            "OutputVariablesSizeExceededException",
            format!(
                "Exceeded the total size limit for all variables in the pipeline: {size} bytes of at most {OUTPUT_VARIABLES}"
            ),
        ));
    }
    Ok(())
}

/// One page of a list: at most `most` items, beginning with the one that the token names.
pub(super) fn page<T>(
    items: Vec<T>,
    id: impl Fn(&T) -> String,
    most: Option<i64>,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), AwsError> {
    let first = match token {
        None => 0,
        Some(token) => items
            .iter()
            .position(|item| id(item) == token)
            .ok_or_else(|| {
                AwsError::client(
                    "InvalidNextTokenException",
                    "the next token is not one that an earlier answer gave",
                )
            })?,
    };
    let most = most
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(100);
    let next = items.get(first + most).map(&id);
    Ok((items.into_iter().skip(first).take(most).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let items: Vec<u32> = (0..5).collect();
        let mut seen = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let (page, next) = page(items.clone(), u32::to_string, Some(2), token.as_deref())
                .expect("the token is known");
            seen.extend(page);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
        let error = page(items, u32::to_string, None, Some("9")).expect_err("no such token");
        assert_eq!(error.code, "InvalidNextTokenException");
    }
}
