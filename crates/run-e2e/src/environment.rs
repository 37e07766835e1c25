//! The variables that the tests get: the stack's outputs, and what the action's parameters say.

use std::collections::BTreeMap;

use towpath_tool::environment::PASSED;

/// Names that an output must not take over, because tools would not work any more. An action's
/// `Env.` parameter may: that is no accident.
const KEPT: &[&str] = &[
    "BASH_ENV",
    "CI",
    "ENV",
    "HOME",
    "IFS",
    "LD_PRELOAD",
    "LOGNAME",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PWD",
    "PYTHONHOME",
    "PYTHONPATH",
    "SHELL",
    "TMPDIR",
    "USER",
];

/// Each output under its own name and in `UPPER_SNAKE`, then the parameters over them.
///
/// Where two outputs come to the same `UPPER_SNAKE`, the alphabetically first has it. A name as it
/// was given always wins over one that was made.
pub(crate) fn compose(
    outputs: &BTreeMap<String, String>,
    parameters: &[(String, String)],
) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (name, value) in outputs.iter().rev() {
        environment.insert(upper_snake(name), value.clone());
    }
    for (name, value) in outputs {
        environment.insert(name.clone(), value.clone());
    }
    environment.retain(|name, value| {
        let taken = KEPT.contains(&name.as_str()) || PASSED.contains(&name.as_str());
        if taken {
            tracing::warn!(
                "the stack's output is not passed on as `{name}`: tools need that variable"
            );
        }
        !taken && !value.contains('\0')
    });
    environment.extend(parameters.iter().cloned());
    environment
}

/// `ApiUrl` is `API_URL`, `HTTPApiURL2` is `HTTP_API_URL2`.
fn upper_snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        let begins_word = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if begins_word {
            out.push('_');
        }
        if c.is_alphanumeric() {
            out.extend(c.to_uppercase());
        } else {
            out.push('_');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_table() {
        for (given, expected) in [
            ("ApiUrl", "API_URL"),
            ("apiUrl", "API_URL"),
            ("APIURL", "APIURL"),
            ("HTTPApiURL2", "HTTP_API_URL2"),
            ("Bucket2Name", "BUCKET2_NAME"),
            ("url", "URL"),
            ("A", "A"),
            ("", ""),
        ] {
            assert_eq!(upper_snake(given), expected, "{given}");
        }
    }

    #[test]
    fn composition_by_table() {
        for (case, outputs, parameters, expected) in [
            ("nothing", &[][..], &[][..], &[][..]),
            (
                "both names",
                &[("ApiUrl", "u")],
                &[],
                &[("API_URL", "u"), ("ApiUrl", "u")],
            ),
            (
                "parameters win",
                &[("ApiUrl", "u")],
                &[("API_URL", "mine"), ("STAGE", "s")],
                &[("API_URL", "mine"), ("ApiUrl", "u"), ("STAGE", "s")],
            ),
            (
                "a given name wins over a made one",
                &[("URL", "given"), ("Url", "made")],
                &[],
                &[("URL", "given"), ("Url", "made")],
            ),
            (
                "the first of two made ones",
                &[("ApiUrl", "1"), ("apiUrl", "2")],
                &[],
                &[("API_URL", "1"), ("ApiUrl", "1"), ("apiUrl", "2")],
            ),
            (
                "what tools need is kept",
                &[("Path", "/x"), ("NodeOptions", "-r evil")],
                &[],
                &[("NodeOptions", "-r evil"), ("Path", "/x")],
            ),
            (
                "unless asked for",
                &[("Path", "/x")],
                &[("NODE_OPTIONS", "--trace-warnings")],
                &[("NODE_OPTIONS", "--trace-warnings"), ("Path", "/x")],
            ),
        ] {
            let pairs = |pairs: &[(&str, &str)]| {
                pairs
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect::<Vec<_>>()
            };
            let got = compose(&pairs(outputs).into_iter().collect(), &pairs(parameters));
            let expected: BTreeMap<_, _> = pairs(expected).into_iter().collect();
            assert_eq!(got, expected, "{case}");
        }
    }
}
