//! Targets of a makefile.

use std::path::Path;

use super::{Candidate, Task, TaskError, first};

/// In the order of GNU make. A file system that ignores case gives `makefile` for `Makefile`, which is right.
const FILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

pub(super) fn find(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    Ok(first(directory, &FILES)?.map(|(file, text)| {
        let (targets, is_incomplete) = parse(&text);
        Candidate {
            is_incomplete,
            ..Candidate::new(
                file,
                &["make"],
                targets.into_iter().map(Task::named).collect(),
            )
        }
    }))
}

/// The explicit targets of a makefile, and whether it may have more: includes, patterns and computed names are
/// make's business.
fn parse(text: &str) -> (Vec<String>, bool) {
    let mut targets: Vec<String> = Vec::new();
    let mut is_incomplete = false;
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        if line.starts_with('\t') || line.trim().is_empty() {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        if matches!(first, "include" | "-include" | "sinclude") {
            is_incomplete = true;
            continue;
        }
        let Some((names, rest)) = line.split_once(':') else {
            continue;
        };
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        if names.contains('=') || rest.starts_with('=') || rest.starts_with(":=") {
            continue; // an assignment: `a = b:c`, `a := b`, `a ::= b`
        }
        let names = if names.trim() == ".PHONY" {
            rest
        } else {
            names
        };
        for name in names.split_whitespace() {
            if name.contains(['%', '$']) {
                is_incomplete = true;
            } else if !name.starts_with('.') && !targets.iter().any(|known| known == name) {
                targets.push(name.to_owned());
            }
        }
    }
    (targets, is_incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_from_the_rest_of_a_makefile() {
        for (text, expected, is_incomplete) in [
            ("a:\n\techo b:\n", &["a"][..], false),
            ("a b : c\n", &["a", "b"], false),
            ("a:: b\n", &["a"], false),
            (".PHONY: test lint\n.SUFFIXES:\n", &["test", "lint"], false),
            ("x := 1\ny = a:b\nz ::= 2\nw :::= 3\n", &[], false),
            (
                "test: NODE_ENV = test\ntest: ; node --test\n",
                &["test"],
                false,
            ),
            ("# a:\nb: # c:\n", &["b"], false),
            ("all: \\\n  one \\\n  two\n", &["all"], false),
            ("%.o: %.c\n$(NAMES):\n", &[], true),
            ("-include local.mk\n", &[], true),
        ] {
            let (targets, incomplete) = parse(text);
            assert_eq!(targets, expected, "{text}");
            assert_eq!(incomplete, is_incomplete, "{text}");
        }
    }
}
