//! The text of an `Fn::Sub`, taken apart.

use super::{Path, Result};

/// A piece of an `Fn::Sub` text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Text(&'t str),
    /// `${!Name}`, which stands for the text `${Name}`
    Literal(&'t str),
    /// `${Name}`
    Reference(&'t str),
    /// `${Name.Attribute}`
    Attribute(&'t str, &'t str),
}

/// Splits at `${…}`. A `$` that starts nothing is text.
pub(crate) fn parts(text: &str) -> Result<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let fail = |what: String| Err(Path::Root("").fail(what));
        let Some(length) = rest[start..].find('}') else {
            return fail(format!(
                "`{}` opens a `${{` and does not close it",
                &rest[start..]
            ));
        };
        let (whole, inner) = (start + length + 1, &rest[start + 2..start + length]);
        let name = inner.trim();
        if start > 0 {
            parts.push(Part::Text(&rest[..start]));
        }
        if let Some(literal) = inner.strip_prefix('!') {
            parts.push(Part::Literal(literal));
        } else if name.is_empty() || name.contains(['$', '{', ' ']) {
            return fail(format!(
                "`${{{inner}}}` is no name; write `${{!{inner}}}` for that text itself"
            ));
        } else {
            parts.push(match name.split_once('.') {
                Some((resource, attribute)) => Part::Attribute(resource, attribute),
                None => Part::Reference(name),
            });
        }
        rest = &rest[whole..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::{Part, parts};

    #[test]
    fn a_text_falls_into_its_parts() {
        for (text, expected) in [
            ("", vec![]),
            ("a$b{c}", vec![Part::Text("a$b{c}")]),
            ("${A}", vec![Part::Reference("A")]),
            (
                "x${ A.B.C }y",
                vec![
                    Part::Text("x"),
                    Part::Attribute("A", "B.C"),
                    Part::Text("y"),
                ],
            ),
            ("${AWS::Region}", vec![Part::Reference("AWS::Region")]),
            ("${!A}b", vec![Part::Literal("A"), Part::Text("b")]),
        ] {
            assert_eq!(parts(text).unwrap(), expected, "{text}");
        }
        for text in ["${", "a${b", "${}", "${a b}", "${${A}}"] {
            assert!(parts(text).is_err(), "{text}");
        }
    }
}
