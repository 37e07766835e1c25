//! What a person sees meanwhile, on stderr: a live view on a terminal, plain prefixed lines elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something worth a line.
    Note(String),
    /// An action has started.
    Started { stage: String, action: String },
    /// An action tells how far it is.
    Progress {
        stage: String,
        action: String,
        percent: Option<i32>,
        summary: String,
    },
    /// An action has ended, with its summary or error.
    Ended {
        stage: String,
        action: String,
        succeeded: bool,
        duration_ms: u64,
        text: Option<String>,
    },
}

/// Tells events.
#[derive(Debug)]
pub(crate) enum Reporter {
    /// Lines, and below them a spinner for each running action.
    Live {
        screen: MultiProgress,
        running: Mutex<BTreeMap<String, ProgressBar>>,
    },
    /// Lines only.
    Plain,
}

/// What a word wants to say by its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Quiet,
    Strong,
}

/// The word in its colour. Printed through `anstream`, which takes the colour away again where it
/// is not wanted: `NO_COLOR`, `TERM=dumb`, no terminal.
pub(crate) fn style(word: &str, tone: Tone) -> String {
    let style = match tone {
        Tone::Good => Style::new().bold().fg_color(Some(AnsiColor::Green.into())),
        Tone::Bad => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
        Tone::Quiet => Style::new().dimmed(),
        Tone::Strong => Style::new().bold(),
    };
    format!("{style}{word}{style:#}")
}

impl Reporter {
    /// Live when stderr is a terminal that can move its cursor.
    pub(crate) fn for_stderr() -> Self {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        if std::io::stderr().is_terminal() && !dumb {
            Self::Live {
                screen: MultiProgress::new(),
                running: Mutex::default(),
            }
        } else {
            Self::Plain
        }
    }

    /// Tells one event.
    pub(crate) fn event(&self, event: &Event) {
        match self {
            Self::Plain => {
                if let Some(text) = lines(event) {
                    anstream::eprintln!("{text}");
                }
            }
            Self::Live { screen, running } => {
                let mut running = running
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                live(screen, &mut running, event);
            }
        }
    }

    /// Takes the live view away, so that something else can be printed.
    pub(crate) fn clear(&self) {
        if let Self::Live { screen, running } = self {
            let mut running = running
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            for bar in std::mem::take(&mut *running).into_values() {
                bar.finish_and_clear();
            }
            let _ = screen.clear();
        }
    }
}

fn live(screen: &MultiProgress, running: &mut BTreeMap<String, ProgressBar>, event: &Event) {
    match event {
        Event::Started { stage, action } => {
            let template =
                ProgressStyle::with_template("{spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = screen.add(ProgressBar::new_spinner().with_style(template));
            bar.set_prefix(format!("{stage}/{action}"));
            bar.enable_steady_tick(Duration::from_millis(100));
            running.insert(format!("{stage}/{action}"), bar);
        }
        Event::Progress { stage, action, .. } => {
            if let (Some(bar), Some(text)) =
                (running.get(&format!("{stage}/{action}")), said(event))
            {
                bar.set_message(text);
            }
        }
        Event::Ended { stage, action, .. } => {
            if let Some(bar) = running.remove(&format!("{stage}/{action}")) {
                bar.finish_and_clear();
                screen.remove(&bar);
            }
            print(screen, event);
        }
        Event::Note(_) => print(screen, event),
    }
}

fn print(screen: &MultiProgress, event: &Event) {
    if let Some(text) = lines(event) {
        screen.suspend(|| anstream::eprintln!("{text}"));
    }
}

fn said(event: &Event) -> Option<String> {
    match event {
        // An action may say it itself, where it says of what.
        Event::Progress {
            percent: Some(percent),
            summary,
            ..
        } if !summary.contains(&format!("{percent}%")) => Some(format!("{percent}% {summary}")),
        Event::Progress { summary, .. } => Some(summary.clone()),
        _ => None,
    }
}

/// The event in lines, each with its prefix.
fn lines(event: &Event) -> Option<String> {
    match event {
        Event::Note(text) => Some(format!("{} {text}", style("towpath:", Tone::Strong))),
        Event::Started { stage, action } => Some(format!(
            "[{stage}/{action}] {}",
            style("started", Tone::Quiet)
        )),
        Event::Progress { stage, action, .. } => {
            Some(format!("[{stage}/{action}] {}", said(event)?))
        }
        Event::Ended {
            stage,
            action,
            succeeded,
            duration_ms,
            text,
        } => {
            let word = if *succeeded {
                style("succeeded", Tone::Good)
            } else {
                style("failed", Tone::Bad)
            };
            let prefix = format!("[{stage}/{action}]");
            let took = duration(*duration_ms);
            Some(
                match text
                    .as_deref()
                    .map(str::trim_end)
                    .filter(|text| !text.is_empty())
                {
                    None => format!("{prefix} {word} in {took}"),
                    Some(text) if !text.contains('\n') => {
                        format!("{prefix} {word} in {took}: {text}")
                    }
                    Some(text) => {
                        let mut told = format!("{prefix} {word} in {took}");
                        for line in text.lines() {
                            let _ = write!(told, "\n{prefix}   {line}");
                        }
                        told
                    }
                },
            )
        }
    }
}

/// Milliseconds as a person says them.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(event: &Event) -> String {
        anstream::adapter::strip_str(&lines(event).expect("a line")).to_string()
    }

    #[test]
    fn every_line_says_where_it_comes_from() {
        let place = || ("Commit".to_owned(), "Test".to_owned());
        let (stage, action) = place();
        assert_eq!(
            plain(&Event::Started { stage, action }),
            "[Commit/Test] started"
        );
        let (stage, action) = place();
        let failed = Event::Ended {
            stage,
            action,
            succeeded: false,
            duration_ms: 2_340,
            text: Some("task `test` failed\nnot ok 1\n".into()),
        };
        assert_eq!(
            plain(&failed),
            "[Commit/Test] failed in 2.3 s\n[Commit/Test]   task `test` failed\n[Commit/Test]   not ok 1"
        );
    }

    #[test]
    fn durations_read_well() {
        for (ms, expected) in [
            (7, "7 ms"),
            (999, "999 ms"),
            (1_050, "1.0 s"),
            (59_999, "59.9 s"),
            (61_000, "1 min 1 s"),
        ] {
            assert_eq!(duration(ms), expected);
        }
    }
}
