//! A figure, and how figures are shown.

use std::fmt::Write as _;

use serde::Serialize;

/// One published figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// Its name in `BENCHMARKS.md`.
    pub(crate) name: &'static str,
    /// What was measured.
    pub(crate) value: f64,
    /// What it is measured in.
    pub(crate) unit: &'static str,
    /// What we want it to be.
    pub(crate) goal: &'static str,
    /// Whom it is measured against.
    pub(crate) peer: &'static str,
    /// The peer's own figure, in the same unit; for a ratio it is 1.
    pub(crate) peer_value: Option<f64>,
    /// Each round's value, so that a noisy machine shows.
    pub(crate) rounds: Vec<f64>,
}

impl Figure {
    /// A figure that is the median of its rounds.
    pub(crate) fn median(
        name: &'static str,
        unit: &'static str,
        goal: &'static str,
        rounds: Vec<f64>,
    ) -> Self {
        Self {
            name,
            value: median(&rounds),
            unit,
            goal,
            peer: "",
            peer_value: None,
            rounds,
        }
    }

    /// The same figure with its peer.
    pub(crate) fn against(mut self, peer: &'static str, value: f64) -> Self {
        self.peer = peer;
        self.peer_value = Some(value);
        self
    }
}

/// The middle value; NaN for nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The quotients of each round.
pub(crate) fn ratios(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter()
        .zip(theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect()
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    figures: &'a [Figure],
}

/// One JSON document, or a table.
pub(crate) fn show(figures: &[Figure], json: bool) -> String {
    if json {
        let document = Document {
            schema: "towpath.bench/1",
            figures,
        };
        return serde_json::to_string_pretty(&document).expect("figures are plain data");
    }
    let mut text = String::from(
        "| figure | measured | goal | peer | least | most |\n|---|---|---|---|---|---|",
    );
    for figure in figures {
        let least = figure.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figure
            .rounds
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let peer = figure
            .peer_value
            .map_or_else(String::new, |value| format!("{}: {value:.2}", figure.peer));
        let _ = write!(
            text,
            "\n| `{}` | {:.2} {} | {} | {peer} | {least:.2} | {most:.2} |",
            figure.name, figure.value, figure.unit, figure.goal
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{median, ratios};

    #[test]
    fn the_median_is_the_middle() {
        for (values, expected) in [
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0, 2.0, 3.0], 2.5),
            (vec![7.0], 7.0),
        ] {
            assert!((median(&values) - expected).abs() < 1e-9, "{values:?}");
        }
        assert!(median(&[]).is_nan());
        assert_eq!(ratios(&[2.0, 9.0], &[1.0, 3.0]), [2.0, 3.0]);
    }
}
