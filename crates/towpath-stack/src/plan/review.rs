//! A plan that was published, read back by who decides on it.

use std::fmt::Write as _;

use serde::Deserialize;

use super::render::SCHEMA;
use super::{Action, Document, NOTHING, Plan, Planned};
use crate::gate::Loss;

/// How many resources of a kind a headline names.
const NAMED: usize = 5;

/// A published plan: what `plan.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Published {
    /// The stack, by name.
    pub stack: String,
    /// The change set, by ARN; `none` where nothing changes.
    pub change_set: String,
    /// What is done.
    #[serde(flatten)]
    pub plan: Plan,
    /// What of it loses data.
    pub losses: Vec<Loss>,
}

/// Why a text is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NotAPlan {
    /// It is no JSON, or not of this form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It is of another form, by its own word.
    #[error("its schema is `{0}`, and only `{SCHEMA}` can be read")]
    Schema(String),
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
}

impl Published {
    /// Reads `plan.json`.
    pub fn read(text: &str) -> Result<Self, NotAPlan> {
        let Schema { schema } = serde_json::from_str(text)?;
        if schema != SCHEMA {
            return Err(NotAPlan::Schema(schema));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// The page for people: what would be lost first.
    pub fn markdown(&self) -> String {
        let document = Document {
            stack: &self.stack,
            change_set: &self.change_set,
            plan: &self.plan,
            losses: &self.losses,
        };
        document.markdown()
    }

    /// One line for who has to decide, of at most so many characters: what would be lost first, then what goes and is
    /// replaced, and what is not known. How much changes in all comes before that, so that it is never cut off.
    pub fn headline(&self, most: usize) -> String {
        if self.change_set == NOTHING {
            return format!("stack `{}`: nothing changes", self.stack);
        }
        let mut text = format!("stack `{}`: {}", self.stack, self.plan.counts());
        if !self.losses.is_empty() {
            let each: Vec<String> = self.losses.iter().map(ToString::to_string).collect();
            let _ = write!(text, "; loses data: {}", some(&each));
        }
        for (words, action) in [
            ("removes", Action::Remove),
            ("replaces", Action::Replace),
            ("perhaps replaces", Action::MayReplace),
        ] {
            let names: Vec<String> = self
                .plan
                .changes
                .iter()
                .filter(|planned| planned.action == action && !self.loses(planned))
                .map(|planned| format!("`{}`", planned.name()))
                .collect();
            if !names.is_empty() {
                let _ = write!(text, "; {words} {}", some(&names));
            }
        }
        if !self.plan.gaps.is_empty() {
            let _ = write!(text, "; not known: {}", some(&self.plan.gaps));
        }
        // Values may have lines, and worse; this is one line, whose length in JSON is near to its own.
        let mut text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        match text.char_indices().nth(most.saturating_sub(1)) {
            Some((end, last)) if end + last.len_utf8() < text.len() => {
                text.truncate(end);
                text.push('…');
            }
            _ => {}
        }
        text
    }

    fn loses(&self, planned: &Planned) -> bool {
        let name = planned.name();
        self.losses.iter().any(|loss| loss.resource == name)
    }
}

fn some(all: &[String]) -> String {
    let mut text = all
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > NAMED {
        let _ = write!(text, " and {} more", all.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::gate;
    use crate::plan::{Cause, Recreates};

    fn planned(logical_id: &str, resource_type: &str, action: Action) -> Planned {
        Planned {
            within: vec!["Inner".into()],
            logical_id: logical_id.into(),
            physical_id: Some("id-1".into()),
            resource_type: resource_type.into(),
            action,
            policy: None,
            because: vec![Cause {
                what: "Name".into(),
                before: Some("a".into()),
                after: None,
                recreates: Recreates::Always,
                dynamic: true,
                from: Some("Other".into()),
            }],
        }
    }

    fn published() -> Published {
        let plan = Plan {
            changes: vec![
                planned("Table", "AWS::DynamoDB::Table", Action::Replace),
                planned("Topic", "AWS::SNS::Topic", Action::Remove),
                planned("Role", "AWS::IAM::Role", Action::Add),
            ],
            gaps: vec!["nested stack `Far` is not looked into".into()],
            unread: vec!["Near".into()],
            on_stack_failure: Some("DELETE".into()),
        };
        Published {
            stack: "app".into(),
            change_set: "arn:set".into(),
            losses: gate::losses(&plan, &BTreeSet::new()),
            plan,
        }
    }

    fn json(published: &Published) -> String {
        let document = Document {
            stack: &published.stack,
            change_set: &published.change_set,
            plan: &published.plan,
            losses: &published.losses,
        };
        document.json()
    }

    #[test]
    fn what_was_published_is_what_is_read() {
        for given in [
            published(),
            Published {
                plan: Plan::default(),
                losses: Vec::new(),
                ..published()
            },
        ] {
            assert_eq!(Published::read(&json(&given)).expect("a plan"), given);
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_in_words() {
        let newer = json(&published()).replace("towpath.plan/1", "towpath.plan/2");
        let strange = json(&published()).replace("\"replace\"", "\"explode\"");
        for (text, words) in [
            ("", "EOF"),
            ("{}", "missing field `schema`"),
            (
                newer.as_str(),
                "`towpath.plan/2`, and only `towpath.plan/1`",
            ),
            (strange.as_str(), "unknown variant `explode`"),
            (r#"{"schema": "towpath.plan/1"}"#, "missing field `stack`"),
            (
                r#"{"schema": "towpath.plan/1", "stack": "a", "change_set": "b", "changes": []}"#,
                "missing field `losses`",
            ),
        ] {
            let error = Published::read(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn where_nothing_changes_that_is_said() {
        let nothing = Published {
            stack: "app".into(),
            change_set: NOTHING.into(),
            plan: Plan::default(),
            losses: Vec::new(),
        };
        assert_eq!(nothing.headline(700), "stack `app`: nothing changes");
        assert_eq!(
            nothing.markdown(),
            "# Plan for stack `app`\n\nNothing changes.\n"
        );
    }

    #[test]
    fn a_headline_begins_with_how_much_and_what_is_lost() {
        let whole = "stack `app`: 1 added, 1 replaced, 1 removed; loses data: `Inner.Table` \
                     (AWS::DynamoDB::Table, id-1) is replaced, for Name; removes `Inner.Topic`; not known: nested \
                     stack `Far` is not looked into";
        for (most, expected) in [
            (1_000, whole.to_owned()),
            (whole.len(), whole.to_owned()),
            (12, "stack `app`…".to_owned()),
        ] {
            let text = published().headline(most);
            assert_eq!(text, expected);
            assert!(text.chars().count() <= most);
        }
    }
}
