//! A plan as a program reads it, and as a person does in a minute.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Action, Cause, Counts, NOTHING, Plan, Planned, Recreates};
use crate::gate::Loss;

/// The schema of the JSON document.
pub(super) const SCHEMA: &str = "towpath.plan/1";

/// How many characters of a value are shown to people.
const VALUE: usize = 60;

/// How many resources that are only changed or added are shown to people.
const SHOWN: usize = 50;

/// A plan, with what it belongs to.
#[derive(Debug, Clone, Serialize)]
pub struct Document<'a> {
    /// The stack, by name.
    pub stack: &'a str,
    /// The change set, by ARN.
    pub change_set: &'a str,
    /// What is done.
    #[serde(flatten)]
    pub plan: &'a Plan,
    /// What of it loses data.
    pub losses: &'a [Loss],
}

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    counts: Counts,
    #[serde(flatten)]
    document: &'a Document<'a>,
}

impl Document<'_> {
    /// One JSON document.
    pub fn json(&self) -> String {
        let document = Json {
            schema: SCHEMA,
            counts: self.plan.counts(),
            document: self,
        };
        let mut text = serde_json::to_string_pretty(&document).expect("texts are JSON");
        text.push('\n');
        text
    }

    /// Markdown: what may lose data first, then removals and replacements, then the rest.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Plan for stack `{}`\n\n", self.stack);
        if self.change_set == NOTHING {
            text.push_str("Nothing changes.\n");
            return text;
        }
        let counts = self.plan.counts();
        let _ = writeln!(text, "{counts}.");
        for gap in &self.plan.gaps {
            let _ = writeln!(text, "\nNot shown: {gap}.");
        }
        if !self.losses.is_empty() {
            text.push_str("\n## Data would be lost\n\n");
            for loss in self.losses {
                let _ = writeln!(text, "- {loss}");
            }
        }
        let mut order: Vec<&Planned> = self.plan.changes.iter().collect();
        order.sort_by_key(|planned| planned.action);
        for (heading, wanted) in [
            ("Removed", &[Action::Remove][..]),
            ("Replaced", &[Action::Replace]),
            ("Perhaps replaced", &[Action::MayReplace]),
            ("Added", &[Action::Add, Action::Import]),
            ("Changed in place", &[Action::Modify]),
            ("Perhaps changed", &[Action::Unknown]),
        ] {
            let of: Vec<&&Planned> = order
                .iter()
                .filter(|planned| wanted.contains(&planned.action))
                .collect();
            if of.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n## {heading}\n");
            // What goes is shown to the last one.
            let most = match wanted {
                [Action::Remove | Action::Replace | Action::MayReplace] => of.len(),
                _ => SHOWN,
            };
            for planned in of.iter().take(most) {
                resource(&mut text, planned);
            }
            if of.len() > most {
                let _ = writeln!(text, "- and {} more: see plan.json", of.len() - most);
            }
        }
        text
    }
}

fn resource(text: &mut String, planned: &Planned) {
    let _ = write!(text, "- `{}` ({}", planned.name(), planned.resource_type);
    if let Some(id) = &planned.physical_id {
        let _ = write!(text, ", {}", code(id));
    }
    text.push(')');
    if let Some(policy) = &planned.policy {
        let _ = write!(text, ": {}", fate(policy));
    }
    text.push('\n');
    // A value that follows from another resource says little, and there are many.
    let (dynamic, own): (Vec<&Cause>, Vec<&Cause>) =
        planned.because.iter().partition(|cause| cause.dynamic);
    for cause in own {
        let _ = write!(text, "  - {}", code(&cause.what));
        match (&cause.before, &cause.after) {
            (Some(before), Some(after)) => {
                let _ = write!(text, ": {} → {}", code(before), code(after));
            }
            (Some(before), None) => {
                let _ = write!(text, ": {} → nothing", code(before));
            }
            (None, Some(after)) => {
                let _ = write!(text, ": nothing → {}", code(after));
            }
            (None, None) => {}
        }
        match cause.recreates {
            Recreates::Always => text.push_str(" — **replaces it**"),
            Recreates::Maybe => text.push_str(" — may replace it"),
            Recreates::Never => {}
        }
        if let Some(from) = &cause.from {
            let _ = write!(text, " (from {})", code(from));
        }
        text.push('\n');
    }
    if !dynamic.is_empty() {
        let names: Vec<String> = dynamic
            .iter()
            .map(|cause| match &cause.from {
                Some(from) => format!("{} from {}", cause.what, from),
                None => cause.what.clone(),
            })
            .collect();
        let _ = writeln!(text, "  - <sub>known only then: {}</sub>", names.join(", "));
    }
}

/// AWS's word for what becomes of the old one, in ours.
fn fate(policy: &str) -> &str {
    match policy {
        "Delete" | "ReplaceAndDelete" => "it is deleted",
        "Retain" | "ReplaceAndRetain" => "it is kept, and belongs to no stack any more",
        "Snapshot" | "ReplaceAndSnapshot" => "a snapshot of it is kept",
        other => other,
    }
}

/// Short, on one line, and as it is.
fn code(value: &str) -> String {
    let line: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(VALUE).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    if short.contains('`') {
        format!("`` {short} ``")
    } else {
        format!("`{short}`")
    }
}
