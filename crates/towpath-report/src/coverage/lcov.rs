//! lcov's text: a record of lines for each source file. Described in `geninfo(1)`.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Into;

/// Adds what a tracefile tells.
pub(super) fn read(text: &str, into: &mut Into<'_>) -> Result<(), String> {
    let mut file: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let wrong = || {
            let line: String = line.chars().take(40).collect();
            format!("line {} is `{line}`, which lcov does not have", number + 1)
        };
        if line == "end_of_record" {
            file = None;
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(':').ok_or_else(wrong)?;
        match (key, &file) {
            ("SF", None) => file = Some(into.named(value)),
            ("SF", Some(name)) => return Err(format!("the record of `{name}` has no end")),
            ("DA", Some(file)) => {
                let mut parts = value.split(',');
                let line = parts.next().and_then(|it| it.parse().ok());
                let hits = parts.next().and_then(|it| it.parse::<f64>().ok());
                let (line, hits) = line.zip(hits).ok_or_else(wrong)?;
                into.line(file, line, hits > 0.0)?;
            }
            ("BRDA", Some(file)) => {
                // Line, block, branch, and how often it was taken: `-` if the block never ran. A branch may be a phrase.
                let (line, rest) = value.split_once(',').ok_or_else(wrong)?;
                let (which, taken) = rest.rsplit_once(',').ok_or_else(wrong)?;
                let mut hasher = DefaultHasher::new();
                which.hash(&mut hasher);
                let line = line.parse().map_err(|_| wrong())?;
                let taken = taken.parse::<f64>().is_ok_and(|it| it > 0.0);
                into.branch(file, line, hasher.finish(), taken)?;
            }
            ("DA" | "BRDA", None) => return Err(wrong()),
            // Functions, sums and versions; newer ones have more of them.
            _ if key.bytes().all(|it| it.is_ascii_uppercase()) => {}
            _ => return Err(wrong()),
        }
    }
    match file {
        None => Ok(()),
        Some(name) => Err(format!("it is cut off: the record of `{name}` has no end")),
    }
}
