//! A file of faults: calls that fail, and resources of stacks that fail or take long.

use serde_json::Value;

use super::{FaultRule, Members, NotARule};
use crate::cloudformation::ResourceRule;

/// What a file says is to go wrong: `{"calls": [], "resources": []}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultFile {
    pub(crate) calls: Vec<FaultRule>,
    pub(crate) resources: Vec<ResourceRule>,
}

/// Why a file of faults is none.
#[derive(Debug, thiserror::Error)]
pub enum FaultFileError {
    /// The text is no JSON.
    #[error("the text is not JSON")]
    Json(#[source] serde_json::Error),
    /// A rule, or what is around them, is not of the form that it has to be.
    #[error("{place}{reason}")]
    Rule {
        /// Which rule it is, such as `calls[0]: `; nothing for what is around them.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl FaultFile {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, FaultFileError> {
        let value: Value = serde_json::from_str(text).map_err(FaultFileError::Json)?;
        let whole = |NotARule(reason)| FaultFileError::Rule {
            place: String::new(),
            reason,
        };
        let members =
            Members::of("a file of faults", &value, &["calls", "resources"]).map_err(whole)?;
        let list = |key| {
            members
                .read(key, "a list of rules", |list| list.as_array().cloned())
                .map(Option::unwrap_or_default)
                .map_err(whole)
        };
        Ok(Self {
            calls: rules("calls", &list("calls")?, FaultRule::from_json)?,
            resources: rules("resources", &list("resources")?, ResourceRule::from_json)?,
        })
    }
}

fn rules<T>(
    key: &str,
    values: &[Value],
    read: impl Fn(&Value) -> Result<T, NotARule>,
) -> Result<Vec<T>, FaultFileError> {
    values
        .iter()
        .enumerate()
        .map(|(at, value)| {
            read(value).map_err(|NotARule(reason)| FaultFileError::Rule {
                place: format!("{key}[{at}]: "),
                reason,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_or_its_fault_is_placed() {
        let read = FaultFile::parse(
            r#"{"calls": [{"service": "s3", "kind": "throttle"}],
                "resources": [{"stack": "app", "resource": "*", "delay_ms": 5}]}"#,
        )
        .expect("a file");
        assert_eq!((read.calls.len(), read.resources.len()), (1, 1));
        assert_eq!(
            FaultFile::parse("{}").expect("nothing"),
            FaultFile::default()
        );
        for (text, expected) in [
            ("{", "the text is not JSON"),
            ("[]", "a file of faults is a JSON object"),
            (
                r#"{"call": []}"#,
                "a file of faults has no `call`: it has calls, resources",
            ),
            (r#"{"calls": {}}"#, "`calls` is a list of rules, and not {}"),
            (
                r#"{"resources": [{"stack": "a", "resource": "b", "delay_ms": 1}, {"stack": "a"}]}"#,
                "resources[1]: a resource rule needs `resource`",
            ),
            (
                r#"{"calls": [{"kind": "explode"}]}"#,
                "calls[0]: the kind `explode`",
            ),
        ] {
            let error = FaultFile::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
