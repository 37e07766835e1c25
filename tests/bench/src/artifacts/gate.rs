//! Counts that must not become worse: never times.

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::Counts;
use crate::figure::Figure;

/// What is written down.
#[derive(Debug, Deserialize)]
struct Gate {
    /// How much more than what is written down instructions may be: the processor decides which of several ways
    /// is taken.
    instructions_tolerance: f64,
    unpack_instructions_m: f64,
    pack_instructions_m: f64,
    /// Limits of figures, by name.
    at_most: std::collections::BTreeMap<String, f64>,
    packed_bytes: u64,
    packed_sha256: String,
}

/// Fails with all that is worse than it was.
pub(crate) fn check(counts: &Counts, figures: &[Figure]) -> anyhow::Result<()> {
    let gate: Gate = serde_json::from_str(include_str!("../../gate.json"))?;
    let mut worse = Vec::new();
    for (name, counted, written) in [
        (
            "unpack_instructions_m",
            counts.unpack_instructions,
            gate.unpack_instructions_m,
        ),
        (
            "pack_instructions_m",
            counts.pack_instructions,
            gate.pack_instructions_m,
        ),
    ] {
        let counted = counted
            .with_context(|| format!("{name} was not counted: valgrind is not installed"))?;
        if counted > written * gate.instructions_tolerance {
            worse.push(format!(
                "{name}: {counted:.1}, {written:.1} is written down"
            ));
        }
    }
    for (name, limit) in &gate.at_most {
        let figure = figures.iter().find(|figure| figure.name == name);
        let figure =
            figure.with_context(|| format!("{name} was not measured: is strace installed?"))?;
        if figure.value > *limit {
            worse.push(format!("{name}: {:.2}, at most {limit}", figure.value));
        }
    }
    if counts.packed_bytes > gate.packed_bytes {
        worse.push(format!(
            "packed_bytes: {}, {} is written down",
            counts.packed_bytes, gate.packed_bytes
        ));
    }
    if counts.packed_sha256 != gate.packed_sha256 {
        worse.push(format!(
            "packed_sha256: {}, {} is written down: another key for every release",
            counts.packed_sha256, gate.packed_sha256
        ));
    }
    ensure!(
        worse.is_empty(),
        "worse than tests/bench/gate.json:\n  {}",
        worse.join("\n  ")
    );
    Ok(())
}
