//! References to variables, `#{namespace.key}`, in action configuration.
//!
//! A value is inserted as it is: nothing is escaped, and what was inserted is not read again.

use crate::constraint::is_variable_character;

/// One reference as it stands in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    /// The whole of it, `#{namespace.key}`.
    pub(crate) text: &'a str,
    /// Before the period.
    pub(crate) namespace: &'a str,
    /// After the period.
    pub(crate) key: &'a str,
}

/// A piece of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Reference(Reference<'a>),
}

/// What stands between `#{` and `}` is not a namespace and a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

fn pieces(value: &str) -> Result<Vec<Piece<'_>>, Malformed> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find("#{") {
        let (before, from) = rest.split_at(start);
        let end = from
            .find('}')
            .ok_or_else(|| Malformed(from.chars().take(60).collect()))?;
        let (text, after) = from.split_at(end + 1);
        let inner = &text[2..text.len() - 1];
        let (namespace, key) = inner
            .split_once('.')
            .ok_or_else(|| Malformed(text.to_owned()))?;
        let well_formed = |part: &str| !part.is_empty() && part.chars().all(is_variable_character);
        if !well_formed(namespace) || !well_formed(key) {
            return Err(Malformed(text.to_owned()));
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Reference(Reference {
            text,
            namespace,
            key,
        }));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// Every reference in a value, in order.
pub(crate) fn references(value: &str) -> Result<Vec<Reference<'_>>, Malformed> {
    Ok(pieces(value)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Reference(reference) => Some(reference),
            Piece::Text(_) => None,
        })
        .collect())
}

/// The value with every reference replaced by what `lookup` finds; the first that it does not find is returned instead.
pub(crate) fn resolve<'a>(
    value: &'a str,
    lookup: impl Fn(Reference<'a>) -> Option<String>,
) -> Result<String, Reference<'a>> {
    // A definition with a malformed reference is refused, so that one is plain text here.
    let Ok(pieces) = pieces(value) else {
        return Ok(value.to_owned());
    };
    let mut resolved = String::with_capacity(value.len());
    for piece in pieces {
        match piece {
            Piece::Text(text) => resolved.push_str(text),
            Piece::Reference(reference) => {
                resolved.push_str(&lookup(reference).ok_or(reference)?);
            }
        }
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_or_refused() {
        for (value, expected) in [
            ("plain", Ok(vec![])),
            ("# { } #x {a.b}", Ok(vec![])),
            ("#{Source.CommitId}", Ok(vec![("Source", "CommitId")])),
            ("a=#{x.y}&b=#{x.z-1}", Ok(vec![("x", "y"), ("x", "z-1")])),
            ("#{x}", Err("#{x}")),
            ("#{x.}", Err("#{x.}")),
            ("#{.y}", Err("#{.y}")),
            ("#{x.y.z}", Err("#{x.y.z}")),
            ("#{x y.z}", Err("#{x y.z}")),
            ("begin #{x.y", Err("#{x.y")),
        ] {
            let found = references(value).map(|all| {
                all.into_iter()
                    .map(|reference| (reference.namespace, reference.key))
                    .collect()
            });
            assert_eq!(
                found,
                expected.map_err(|text| Malformed(text.into())),
                "{value}"
            );
        }
    }

    #[test]
    fn values_are_inserted_once_and_unescaped() {
        let lookup = |reference: Reference<'_>| match reference.key {
            "quote" => Some("\"".to_owned()),
            "nested" => Some("#{a.quote}".to_owned()),
            _ => None,
        };
        for (value, expected) in [
            ("[#{a.quote}]", Ok("[\"]".to_owned())),
            ("#{a.nested}", Ok("#{a.quote}".to_owned())),
            ("#{a.quote}#{a.gone}", Err("#{a.gone}")),
        ] {
            assert_eq!(
                resolve(value, lookup).map_err(|reference| reference.text),
                expected,
                "{value}"
            );
        }
    }
}
