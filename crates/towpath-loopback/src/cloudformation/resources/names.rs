//! Physical names: the operator's own, or `<stack>-<logical id>-<random>` within the type's limits.

use serde_json::Value;

use super::Scene;
use crate::input;

/// What a type's names may look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    limit: usize,
    random: Random,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Random {
    /// `1A2B3C4D5E6F7`
    Upper,
    /// `a1B2c3D4e5F6` without the capitals: all that matters is that it differs.
    Lower,
    /// Everything in lower case, as bucket names must be.
    AllLower,
}

impl Rules {
    /// Types with no rule of their own.
    pub(crate) const PLAIN: Self = Self::new(128, Random::Lower);
    /// Lambda functions.
    pub(crate) const FUNCTION: Self = Self::new(64, Random::Lower);
    /// Roles and what belongs to IAM.
    pub(crate) const IAM: Self = Self::new(64, Random::Lower);
    /// Buckets.
    pub(crate) const BUCKET: Self = Self::new(63, Random::AllLower);
    /// Pipelines and topics, whose random part is written in capitals.
    pub(crate) const PIPELINE: Self = Self::new(100, Random::Upper);

    const fn new(limit: usize, random: Random) -> Self {
        Self { limit, random }
    }
}

/// The name that the properties give, or a generated one.
pub(crate) fn physical(scene: &Scene, properties: &Value, property: &str, rules: Rules) -> String {
    input::text(properties, property)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| generated(scene, rules))
}

/// A new name that nobody has.
pub(crate) fn generated(scene: &Scene, rules: Rules) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    compose(&scene.stack_name, &scene.logical_id, &random[..12], rules)
}

/// Both halves are cut, the longer one first, so that each stays recognisable.
fn compose(stack: &str, logical_id: &str, random: &str, rules: Rules) -> String {
    let room = rules.limit.saturating_sub(random.len() + 2);
    let half = room / 2;
    let (stack_share, logical_share) = if stack.len() + logical_id.len() <= room {
        (stack.len(), logical_id.len())
    } else if logical_id.len() <= half {
        (room - logical_id.len(), logical_id.len())
    } else if stack.len() <= half {
        (stack.len(), room - stack.len())
    } else {
        (half, half)
    };
    let stack = cut(stack, stack_share);
    let logical_id = cut(logical_id, logical_share);
    match rules.random {
        Random::Upper => format!("{stack}-{logical_id}-{}", random.to_ascii_uppercase()),
        Random::Lower => format!("{stack}-{logical_id}-{random}"),
        Random::AllLower => format!("{stack}-{logical_id}-{random}").to_ascii_lowercase(),
    }
}

fn cut(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text).trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_limits() {
        let long = "x".repeat(120);
        for (stack, logical, rules) in [
            ("app", "Function", Rules::FUNCTION),
            (long.as_str(), "Function", Rules::FUNCTION),
            ("app", long.as_str(), Rules::BUCKET),
            (long.as_str(), long.as_str(), Rules::IAM),
        ] {
            let name = compose(stack, logical, "0123456789ab", rules);
            assert!(name.len() <= rules.limit, "{name}");
            assert!(name.ends_with("-0123456789ab"), "{name}");
        }
        assert_eq!(
            compose("My-App", "Files", "0123456789ab", Rules::BUCKET),
            "my-app-files-0123456789ab"
        );
        assert_eq!(
            compose("app", "Pipe", "0123456789ab", Rules::PIPELINE),
            "app-Pipe-0123456789AB"
        );
    }
}
