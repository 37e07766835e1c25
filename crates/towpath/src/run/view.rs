//! What is seen of an execution, and what has happened between two looks at it.

use std::collections::BTreeMap;

use crate::run::progress::Event;

/// An execution at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct View {
    /// CodePipeline's word for the execution's status.
    pub(crate) status: String,
    /// Each stage in order.
    pub(crate) stages: Vec<StageView>,
}

/// A stage of an execution.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StageView {
    pub(crate) name: String,
    pub(crate) actions: Vec<ActionView>,
}

/// An action of an execution.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ActionView {
    pub(crate) name: String,
    /// `NotStarted` until it has started, then CodePipeline's word.
    pub(crate) status: String,
    pub(crate) summary: Option<String>,
    pub(crate) error: Option<String>,
    /// Seconds since 1970.
    pub(crate) started: Option<f64>,
    pub(crate) updated: Option<f64>,
    pub(crate) percent: Option<i32>,
    /// What answers a manual approval.
    pub(crate) token: Option<String>,
    pub(crate) variables: BTreeMap<String, String>,
    /// Its configuration, with the pipeline's variables filled in.
    pub(crate) configuration: BTreeMap<String, String>,
    /// Name, bucket and key of each output artifact.
    pub(crate) artifacts: Vec<(String, String, String)>,
}

/// The status of what has not begun.
pub(crate) const NOT_STARTED: &str = "NotStarted";

impl ActionView {
    /// How long it took, or takes so far.
    pub(crate) fn duration_ms(&self) -> Option<u64> {
        let (started, updated) = (self.started?, self.updated?);
        Some(((updated - started).max(0.0) * 1000.0).round() as u64)
    }

    fn has_ended(&self) -> bool {
        is_over(&self.status)
    }
}

/// Whether an action's or execution's status is a last one.
pub(crate) fn is_over(status: &str) -> bool {
    matches!(
        status,
        "Succeeded" | "Failed" | "Abandoned" | "Stopped" | "Superseded" | "Cancelled"
    )
}

impl StageView {
    /// One word for the stage, from its actions.
    pub(crate) fn status(&self) -> &'static str {
        let any = |status: &str| self.actions.iter().any(|action| action.status == status);
        let all = |status: &str| self.actions.iter().all(|action| action.status == status);
        if any("Failed") {
            "Failed"
        } else if any("Abandoned") {
            "Stopped"
        } else if all("Succeeded") {
            "Succeeded"
        } else if all(NOT_STARTED) {
            NOT_STARTED
        } else {
            "InProgress"
        }
    }
}

/// What happened between two looks.
pub(crate) fn events(before: &View, after: &View) -> Vec<Event> {
    let mut events = Vec::new();
    for stage in &after.stages {
        let old_stage = before.stages.iter().find(|old| old.name == stage.name);
        for action in &stage.actions {
            let old =
                old_stage.and_then(|old| old.actions.iter().find(|old| old.name == action.name));
            let place = || (stage.name.clone(), action.name.clone());
            let was = old.map_or(NOT_STARTED, |old| old.status.as_str());
            if was == NOT_STARTED && action.status != NOT_STARTED {
                let (stage, action) = place();
                events.push(Event::Started { stage, action });
            }
            if action.has_ended() {
                if !is_over(was) {
                    let (stage, name) = place();
                    events.push(Event::Ended {
                        stage,
                        action: name,
                        succeeded: action.status == "Succeeded",
                        duration_ms: action.duration_ms().unwrap_or(0),
                        text: action.error.clone().or_else(|| action.summary.clone()),
                    });
                }
            } else if action.status != NOT_STARTED
                && let Some(summary) = &action.summary
                && old.and_then(|old| old.summary.as_ref()) != Some(summary)
            {
                let (stage, name) = place();
                events.push(Event::Progress {
                    stage,
                    action: name,
                    percent: action.percent,
                    summary: summary.clone(),
                });
            }
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(status: &str, summary: Option<&str>, error: Option<&str>) -> View {
        View {
            status: "InProgress".into(),
            stages: vec![StageView {
                name: "Commit".into(),
                actions: vec![ActionView {
                    name: "Test".into(),
                    status: status.into(),
                    summary: summary.map(str::to_owned),
                    error: error.map(str::to_owned),
                    started: Some(10.0),
                    updated: Some(12.5),
                    ..ActionView::default()
                }],
            }],
        }
    }

    fn words(events: &[Event]) -> Vec<String> {
        events
            .iter()
            .map(|event| match event {
                Event::Started { stage, action } => format!("{stage}/{action} started"),
                Event::Progress { summary, .. } => format!("progress {summary}"),
                Event::Ended {
                    succeeded,
                    duration_ms,
                    text,
                    ..
                } => {
                    format!("ended {succeeded} {duration_ms} {text:?}")
                }
                Event::Note(text) => text.clone(),
            })
            .collect()
    }

    #[test]
    fn each_change_is_told_once() {
        let none = View::default();
        let idle = view(NOT_STARTED, None, None);
        let going = view("InProgress", Some("half"), None);
        let done = view("Succeeded", Some("all"), None);
        let failed = view("Failed", None, Some("broken"));
        for (before, after, expected) in [
            (&none, &idle, vec![]),
            (&idle, &going, vec!["Commit/Test started", "progress half"]),
            (&going, &going, vec![]),
            (&going, &done, vec![r#"ended true 2500 Some("all")"#]),
            (&done, &done, vec![]),
            (
                &idle,
                &failed,
                vec!["Commit/Test started", r#"ended false 2500 Some("broken")"#],
            ),
        ] {
            assert_eq!(words(&events(before, after)), expected);
        }
    }

    #[test]
    fn a_stages_status_follows_its_actions() {
        for (statuses, expected) in [
            (vec![NOT_STARTED, NOT_STARTED], NOT_STARTED),
            (vec!["Succeeded", NOT_STARTED], "InProgress"),
            (vec!["Succeeded", "Succeeded"], "Succeeded"),
            (vec!["Failed", "InProgress"], "Failed"),
            (vec!["Succeeded", "Abandoned"], "Stopped"),
        ] {
            let actions = statuses
                .iter()
                .map(|status| ActionView {
                    status: (*status).into(),
                    ..ActionView::default()
                })
                .collect();
            let stage = StageView {
                name: "S".into(),
                actions,
            };
            assert_eq!(stage.status(), expected, "{statuses:?}");
        }
    }
}
