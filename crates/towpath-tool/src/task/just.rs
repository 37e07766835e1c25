//! Recipes of a justfile.

use std::path::Path;

use super::{Candidate, Task, TaskError, first};

const FILES: [&str; 3] = ["justfile", "Justfile", ".justfile"];

pub(super) fn find(directory: &Path) -> Result<Option<Candidate>, TaskError> {
    Ok(first(directory, &FILES)?.map(|(file, text)| {
        let (recipes, is_incomplete) = parse(&text);
        Candidate {
            is_incomplete,
            ..Candidate::new(
                file,
                &["just"],
                recipes.into_iter().map(Task::named).collect(),
            )
        }
    }))
}

/// The recipes and aliases of a justfile, and whether it may have more: imports and modules are just's business.
fn parse(text: &str) -> (Vec<String>, bool) {
    let mut recipes: Vec<String> = Vec::new();
    let mut is_incomplete = false;
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', '[']) {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        let name = match first.trim_end_matches('?') {
            "import" | "mod" => {
                is_incomplete = true;
                continue;
            }
            "set" | "export" | "unexport" => continue,
            // `alias b := build`
            "alias" => line.split_whitespace().nth(1).unwrap_or_default(),
            // `@build target="x": dependency`, but not `a := b`
            _ if line.contains(':') && !is_assignment(line) => first
                .trim_start_matches('@')
                .split(':')
                .next()
                .unwrap_or_default(),
            _ => continue,
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if is_name && !recipes.iter().any(|known| known == name) {
            recipes.push(name.to_owned());
        }
    }
    (recipes, is_incomplete)
}

fn is_assignment(line: &str) -> bool {
    line.split_whitespace()
        .nth(1)
        .is_some_and(|it| it.starts_with(":="))
        || line
            .split_once(":=")
            .is_some_and(|(name, _)| !name.contains([' ', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn justfiles_by_table() {
        for (text, expected, is_incomplete) in [
            ("", &[][..], false),
            (
                "set shell := [\"bash\"]\nversion := \"1\"\nb:=2\nexport A := \"x:y\"\n\n# Builds: all\nbuild: lint\n    echo a: b\n\
                 @lint *args='':\n\teslint\n[private]\n_hidden:\n    true\nalias t := test\ntest $filter=\"\" +more: build\n",
                &["build", "lint", "_hidden", "t", "test"],
                false,
            ),
            ("import 'a.just'\nmod? b\nx:\n", &["x"], true),
        ] {
            assert_eq!(
                parse(text),
                (
                    expected.iter().map(ToString::to_string).collect(),
                    is_incomplete
                ),
                "{text}"
            );
        }
    }
}
