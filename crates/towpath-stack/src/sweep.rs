//! Stacks that live for a while: how they are marked, and which of them have had their day.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{Stack, StackStatus};

mod shell;

pub use shell::Shell;

/// The tag of a stack that may be deleted when it has expired.
pub const EPHEMERAL: &str = "towpath:ephemeral";
/// The tag that says when, as RFC 3339 has it.
pub const EXPIRES_AT: &str = "towpath:expires-at";

/// What is told of where a stack comes from.
pub const ORIGIN: [&str; 4] = ["owner", "repository", "branch", "commit"];

/// How many characters a tag's value has at most (AWS: CloudFormation's `Tag`).
const VALUE: usize = 256;

/// The tag that tells this of a stack.
pub fn origin_tag(key: &str) -> String {
    format!("towpath:{key}")
}

/// What a stack's tags tell of where it comes from.
pub fn origin(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    ORIGIN
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), tags.get(&origin_tag(key))?.clone())))
        .collect()
}

/// A text as the value of a tag: a branch may be called what no tag may.
///
/// The tags are on the stack's resources too, so every service has to take them: letters, digits, spaces and
/// `+ - = . _ : / @` (AWS: best practices for tagging). A hyphen stands for anything else.
pub fn tag_value(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_alphanumeric() || " +-=._:/@".contains(character) {
                character
            } else {
                '-'
            }
        })
        .take(VALUE)
        .collect()
}

/// The tags of a stack that is to live this long from now.
///
/// The end is the next full hour after that. A stack's tags are tags of its resources too, so a
/// deployment that only moves the end by minutes would change every resource.
pub fn tags(now: SystemTime, ttl: Duration) -> BTreeMap<String, String> {
    let end = (now + ttl)
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        .div_ceil(3_600)
        * 3_600;
    let end = i64::try_from(end)
        .ok()
        .and_then(|end| OffsetDateTime::from_unix_timestamp(end).ok())
        .and_then(|end| end.format(&Rfc3339).ok())
        .unwrap_or_else(|| "9999-12-31T23:00:00Z".to_owned());
    BTreeMap::from([
        (EPHEMERAL.to_owned(), "true".to_owned()),
        (EXPIRES_AT.to_owned(), end),
    ])
}

/// Which stacks are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only those whose names begin so.
    pub prefix: Option<String>,
}

/// What is done about a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has had its day, since this moment.
    Expired(OffsetDateTime),
    /// Nothing was ever made in it, and its time is over since this moment. It goes unless a change set of it can still
    /// be executed: [`Shell`] tells.
    Shell(OffsetDateTime),
    /// It stays.
    Keep(Why),
}

/// Why a stack stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Its name begins otherwise.
    OtherName,
    /// It is not marked as one that lives for a while.
    NotEphemeral,
    /// It belongs to another stack, and goes with that.
    Nested,
    /// Its mark does not say when it ends, or says it in a way that is no time.
    NoEnd(Option<String>),
    /// Its end is still to come.
    NotYet(OffsetDateTime),
    /// It has termination protection.
    Protected,
    /// Something is being done to it.
    Busy(StackStatus),
    /// So many of its change sets can still be executed, or are being made: somebody may be reviewing them.
    Reviewed(usize),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherName => f.write_str("its name has another prefix"),
            Self::NotEphemeral => write!(f, "it has no tag {EPHEMERAL}=true"),
            Self::Nested => f.write_str("it is nested in another stack"),
            Self::NoEnd(None) => write!(f, "it has no tag {EXPIRES_AT}"),
            Self::NoEnd(Some(text)) => write!(f, "its tag {EXPIRES_AT} is no time: {text}"),
            Self::NotYet(end) => write!(f, "it expires at {}", words(*end)),
            Self::Protected => f.write_str("it has termination protection"),
            Self::Busy(status) => write!(f, "it is {status}"),
            Self::Reviewed(1) => f.write_str("a change set of it can still be executed"),
            Self::Reviewed(count) => write!(f, "{count} change sets of it can still be executed"),
        }
    }
}

/// A moment as RFC 3339 has it.
pub fn words(moment: OffsetDateTime) -> String {
    moment
        .format(&Rfc3339)
        .unwrap_or_else(|_| moment.to_string())
}

/// What is done about this stack, now. Whatever is doubtful stays.
pub fn verdict(stack: &Stack, now: OffsetDateTime, rules: &Rules) -> Verdict {
    if let Some(prefix) = &rules.prefix
        && !stack.name.starts_with(prefix.as_str())
    {
        return Verdict::Keep(Why::OtherName);
    }
    if stack.tags.get(EPHEMERAL).map(String::as_str) != Some("true") {
        return Verdict::Keep(Why::NotEphemeral);
    }
    if stack.parent.is_some() {
        return Verdict::Keep(Why::Nested);
    }
    let Some(text) = stack.tags.get(EXPIRES_AT) else {
        return Verdict::Keep(Why::NoEnd(None));
    };
    let Ok(end) = OffsetDateTime::parse(text, &Rfc3339) else {
        return Verdict::Keep(Why::NoEnd(Some(text.clone())));
    };
    if now < end {
        return Verdict::Keep(Why::NotYet(end));
    }
    if stack.termination_protection {
        return Verdict::Keep(Why::Protected);
    }
    if stack.status == StackStatus::ReviewInProgress {
        return Verdict::Shell(end);
    }
    if stack.status.as_str().ends_with("_IN_PROGRESS") {
        return Verdict::Keep(Why::Busy(stack.status));
    }
    Verdict::Expired(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    /// A stack that has had its day.
    fn expired() -> Stack {
        let mut stack = Stack::named("app-login-1", StackStatus::UpdateComplete);
        stack.tags = BTreeMap::from([
            (EPHEMERAL.to_owned(), "true".to_owned()),
            (EXPIRES_AT.to_owned(), "2026-03-01T11:00:00Z".to_owned()),
        ]);
        stack
    }

    fn tagged(key: &str, value: &str) -> Stack {
        let mut stack = expired();
        stack.tags.insert(key.to_owned(), value.to_owned());
        stack
    }

    #[test]
    fn only_what_is_tagged_expired_settled_unprotected_and_root_goes() {
        let untagged = Stack::named("app-login-1", StackStatus::UpdateComplete);
        let mut endless = expired();
        endless.tags.remove(EXPIRES_AT);
        let mut nested = expired();
        nested.parent = Some("arn:parent".into());
        let mut protected = expired();
        protected.termination_protection = true;
        let mut other = expired();
        other.name = "shop-login-1".into();
        let noon = datetime!(2026-03-01 12:00 UTC);
        let since = Verdict::Expired(datetime!(2026-03-01 11:00 UTC));
        let keep = Verdict::Keep;
        for (case, stack, expected) in [
            ("expired", expired(), since),
            (
                "this very moment",
                tagged(EXPIRES_AT, "2026-03-01T12:00:00Z"),
                Verdict::Expired(noon),
            ),
            (
                "in another zone",
                tagged(EXPIRES_AT, "2026-03-01T12:30:00+02:00"),
                Verdict::Expired(datetime!(2026-03-01 12:30 +2)),
            ),
            (
                "a second early",
                tagged(EXPIRES_AT, "2026-03-01T12:00:01Z"),
                keep(Why::NotYet(datetime!(2026-03-01 12:00:01 UTC))),
            ),
            ("not tagged", untagged, keep(Why::NotEphemeral)),
            (
                "tagged otherwise",
                tagged(EPHEMERAL, "yes"),
                keep(Why::NotEphemeral),
            ),
            ("no end", endless, keep(Why::NoEnd(None))),
            (
                "an end that is none",
                tagged(EXPIRES_AT, "tomorrow"),
                keep(Why::NoEnd(Some("tomorrow".into()))),
            ),
            ("nested", nested, keep(Why::Nested)),
            ("protected", protected, keep(Why::Protected)),
            ("of somebody else", other, keep(Why::OtherName)),
        ] {
            let rules = Rules {
                prefix: Some("app-".into()),
            };
            assert_eq!(verdict(&stack, NOW, &rules), expected, "{case}");
        }
        for status in StackStatus::ALL {
            let mut stack = expired();
            stack.status = status;
            let end = datetime!(2026-03-01 11:00 UTC);
            let expected = match status {
                StackStatus::ReviewInProgress => Verdict::Shell(end),
                status if status.as_str().ends_with("_IN_PROGRESS") => keep(Why::Busy(status)),
                _ => Verdict::Expired(end),
            };
            assert_eq!(
                verdict(&stack, NOW, &Rules::default()),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn what_a_stack_is_of_is_told_in_tags_that_every_service_takes() {
        for (text, expected) in [
            ("feature/login", "feature/login"),
            ("fix#12 (größe)", "fix-12 -größe-"),
            ("jo@example.com", "jo@example.com"),
        ] {
            assert_eq!(tag_value(text), expected);
        }
        assert_eq!(tag_value(&"é".repeat(300)).chars().count(), 256);
        let tags = BTreeMap::from([
            (origin_tag("branch"), "main".to_owned()),
            (EPHEMERAL.to_owned(), "true".to_owned()),
        ]);
        let told = BTreeMap::from([("branch".to_owned(), "main".to_owned())]);
        assert_eq!(origin(&tags), told);
    }

    #[test]
    fn a_stack_that_was_just_made_lives_its_time() {
        let hour = Duration::from_hours(1);
        let now = SystemTime::from(NOW);
        for (at, ttl, expected) in [
            (now, hour, "2026-03-01T13:00:00Z"),
            (now + Duration::from_secs(1), hour, "2026-03-01T14:00:00Z"),
            (now, hour * 48, "2026-03-03T12:00:00Z"),
        ] {
            let mut stack = expired();
            stack.tags = tags(at, ttl);
            assert_eq!(stack.tags[EXPIRES_AT], expected);
            let before = OffsetDateTime::from(at + ttl - Duration::from_secs(1));
            let found = verdict(&stack, before, &Rules::default());
            assert!(matches!(found, Verdict::Keep(Why::NotYet(_))), "{found:?}");
        }
    }
}
