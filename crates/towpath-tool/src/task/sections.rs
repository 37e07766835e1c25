//! Headers and keys of INI files and of TOML, as far as the two are alike: enough to know what a file configures.

/// `[header]`, and what stands below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Without its brackets, quotes and spaces; empty for what stands above the first one.
    pub(super) header: String,
    /// A value that goes on over several lines is one.
    pub(super) values: Vec<(String, String)>,
}

/// The sections of a text, in its order.
pub(super) fn parse(text: &str) -> Vec<Section> {
    let mut sections = vec![Section {
        header: String::new(),
        values: Vec::new(),
    }];
    let mut is_open = false; // within the brackets of a list
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let Some(section) = sections.last_mut() else {
            break;
        };
        let goes_on = is_open || line.starts_with([' ', '\t']);
        if let (true, Some((_, value))) = (goes_on, section.values.last_mut()) {
            value.push('\n');
            value.push_str(trimmed);
            is_open = is_unclosed(value);
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[') {
            let header = header
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or_default();
            sections.push(Section {
                header: header.replace(['"', '\''], "").trim().to_owned(),
                values: Vec::new(),
            });
        } else if let Some((key, value)) = trimmed.split_once('=') {
            let key = key.trim().trim_matches(['"', '\'']).to_owned();
            is_open = value.trim_start().starts_with('[') && is_unclosed(value);
            section.values.push((key, value.trim().to_owned()));
        }
    }
    sections
}

fn is_unclosed(value: &str) -> bool {
    value.matches('[').count() > value.matches(']').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_by_table() {
        for (text, expected) in [
            ("", &[("", &[][..])][..]),
            (
                "# x\na = 1\n[tox]\nenvlist =\n    py311\n    lint\n[testenv:lint]\ncommands = ruff\n",
                &[
                    ("", &[("a", "1")][..]),
                    ("tox", &[("envlist", "\npy311\nlint")]),
                    ("testenv:lint", &[("commands", "ruff")]),
                ],
            ),
            (
                "[tool.tox]\nenv_list = [\n\"a\",\n'b',\n]\nc = \"d\"\n[tool.tox.env.\"x\"]\n[[package]]\n",
                &[
                    ("", &[]),
                    (
                        "tool.tox",
                        &[("env_list", "[\n\"a\",\n'b',\n]"), ("c", "\"d\"")],
                    ),
                    ("tool.tox.env.x", &[]),
                    ("package", &[]),
                ],
            ),
        ] {
            let found = parse(text);
            let found: Vec<(&str, Vec<(&str, &str)>)> = found
                .iter()
                .map(|section| {
                    let values = section
                        .values
                        .iter()
                        .map(|(key, value)| (key.as_str(), value.as_str()));
                    (section.header.as_str(), values.collect())
                })
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(header, values)| (*header, values.to_vec()))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
