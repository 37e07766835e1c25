//! The texts in which CodePipeline rejects a value of the wrong length, pattern or range.
//!
//! The service lists every violation of a request in one message, each with the path of the member.

use std::fmt;

/// What a text must satisfy.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Which characters are allowed.
    pub pattern: Option<Pattern>,
}

/// A set of characters, and the pattern by which the service model writes it.
pub type Pattern = (&'static str, fn(char) -> bool);

impl Rule {
    /// A text of `min` to `max` characters.
    pub const fn length(min: usize, max: usize) -> Self {
        Self {
            min,
            max,
            pattern: None,
        }
    }

    /// The same, of characters for which `allowed` holds.
    #[must_use]
    pub const fn of(mut self, pattern: &'static str, allowed: fn(char) -> bool) -> Self {
        self.pattern = Some((pattern, allowed));
        self
    }
}

/// The name of a pipeline, stage or action.
pub const NAME: Rule = Rule::length(1, 100).of(r"[A-Za-z0-9.@\-_]+", |c| {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '@' | '-' | '_')
});

/// The name of an artifact.
pub const ARTIFACT_NAME: Rule = Rule::length(1, 100).of(r"[a-zA-Z0-9_\-]+", |c| {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
});

/// A namespace of variables.
pub const NAMESPACE: Rule = Rule::length(1, 100).of(VARIABLE_PATTERN, is_variable_character);

/// The pattern of a variable's name, and of an output variable's key.
pub const VARIABLE_PATTERN: &str = r"[A-Za-z0-9@\-_]+";

/// Whether a variable's name may hold this character.
pub fn is_variable_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '@' | '-' | '_')
}

/// Every violation found in one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<String>);

impl Violations {
    /// Records a violation: the value at `path` breaks `constraint`.
    pub fn add(&mut self, value: Option<&str>, path: &str, constraint: impl fmt::Display) {
        let shown = match value {
            None => "null".to_owned(),
            // A value may be as long as the request; its beginning is enough to recognise it.
            Some(text) if text.chars().count() > 120 => {
                format!("'{}…'", text.chars().take(120).collect::<String>())
            }
            Some(text) => format!("'{text}'"),
        };
        self.0.push(format!(
            "Value {shown} at '{path}' failed to satisfy constraint: {constraint}"
        ));
    }

    /// Records that a required member is absent.
    pub fn missing(&mut self, path: &str) {
        self.add(None, path, "Member must not be null");
    }

    /// Checks a text against a rule.
    pub fn text(&mut self, value: &str, path: &str, rule: &Rule) {
        let length = value.chars().count();
        if length < rule.min {
            self.add(
                Some(value),
                path,
                format_args!(
                    "Member must have length greater than or equal to {}",
                    rule.min
                ),
            );
        } else if length > rule.max {
            self.add(
                Some(value),
                path,
                format_args!(
                    "Member must have length less than or equal to {} (it has {length})",
                    rule.max
                ),
            );
        } else if let Some((pattern, allowed)) = rule.pattern
            && !value.chars().all(allowed)
        {
            self.add(
                Some(value),
                path,
                format_args!("Member must satisfy regular expression pattern: {pattern}"),
            );
        }
    }

    /// Checks that a text is a UUID as the service writes them.
    pub fn uuid(&mut self, value: &str, path: &str) {
        const PATTERN: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
        let groups: Vec<&str> = value.split('-').collect();
        let well_formed = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && groups
                .iter()
                .all(|group| group.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
        if !well_formed {
            self.add(
                Some(value),
                path,
                format_args!("Member must satisfy regular expression pattern: {PATTERN}"),
            );
        }
    }

    /// Checks a whole number.
    pub fn range(&mut self, value: i64, path: &str, min: i64, max: i64) {
        let shown = value.to_string();
        if value < min {
            self.add(
                Some(&shown),
                path,
                format_args!("Member must have value greater than or equal to {min}"),
            );
        } else if value > max {
            self.add(
                Some(&shown),
                path,
                format_args!("Member must have value less than or equal to {max}"),
            );
        }
    }

    /// Checks that a text is one of a set.
    pub fn one_of(&mut self, value: &str, path: &str, set: &[&str]) {
        if !set.contains(&value) {
            self.add(
                Some(value),
                path,
                format_args!("Member must satisfy enum value set: [{}]", set.join(", ")),
            );
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(
            f,
            "{} validation error{plural} detected: {}",
            self.0.len(),
            self.0.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_worded_as_the_service_words_them() {
        let long = "x".repeat(101);
        for (value, expected) in [
            ("fine-1", None),
            (
                "",
                Some("Member must have length greater than or equal to 1"),
            ),
            (
                long.as_str(),
                Some("Member must have length less than or equal to 100"),
            ),
            (
                "a b",
                Some("Member must satisfy regular expression pattern"),
            ),
        ] {
            let mut violations = Violations::default();
            violations.text(value, "pipeline.name", &NAME);
            match expected {
                None => assert!(violations.is_empty(), "{value}: {violations}"),
                Some(text) => {
                    let message = violations.to_string();
                    assert!(
                        message.starts_with("1 validation error detected: Value '"),
                        "{message}"
                    );
                    assert!(message.contains(text), "{value}: {message}");
                    assert!(message.contains("at 'pipeline.name'"), "{message}");
                }
            }
        }
    }

    #[test]
    fn only_lower_case_uuids_of_the_right_shape_pass() {
        for (value, passes) in [
            ("11111111-abcd-1111-abcd-111111abcdef", true),
            ("11111111-ABCD-1111-abcd-111111abcdef", false),
            ("11111111abcd1111abcd111111abcdef", false),
            ("11111111-abcd-1111-abcd-111111abcdeff", false),
            ("", false),
        ] {
            let mut violations = Violations::default();
            violations.uuid(value, "jobId");
            assert_eq!(violations.is_empty(), passes, "{value}");
        }
    }
}
