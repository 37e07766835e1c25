//! Listings: prefixes, delimiters and pages over sorted keys. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// Only keys, and common prefixes, after this one.
    pub(super) after: Option<&'a str>,
    /// Keys and common prefixes together.
    pub(super) limit: usize,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) prefixes: Vec<String>,
    /// The last key or common prefix of this page, when another page follows.
    pub(super) next: Option<String>,
}

/// The page of `entries`, which are sorted by their keys, that `query` asks for.
pub(super) fn page<'k, T>(
    entries: impl Iterator<Item = (&'k str, T)>,
    query: &Query<'_>,
) -> Page<T> {
    let mut page = Page {
        items: Vec::new(),
        prefixes: Vec::new(),
        next: None,
    };
    let mut last: Option<String> = None;
    for (key, item) in entries {
        let Some(rest) = key.strip_prefix(query.prefix) else {
            continue;
        };
        let common = query
            .delimiter
            .filter(|delimiter| !delimiter.is_empty())
            .and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()))
            .map(|length| &key[..query.prefix.len() + length]);
        let name = common.unwrap_or(key);
        if query.after.is_some_and(|after| name <= after) {
            continue;
        }
        if common.is_some() && page.prefixes.last().map(String::as_str) == common {
            continue;
        }
        if page.items.len() + page.prefixes.len() >= query.limit {
            // A page of no entries is asked for to see whether there are any, and is never "truncated".
            page.next = last;
            return page;
        }
        last = Some(name.to_owned());
        match common {
            Some(common) => page.prefixes.push(common.to_owned()),
            None => page.items.push(item),
        }
    }
    page
}

/// What `encoding-type=url` asks for.
pub(super) fn encode(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["a", "b/1", "b/2", "b/c/3", "d", "e/4"];

    fn list(query: Query<'_>) -> (Vec<&'static str>, Vec<String>, Option<String>) {
        let page = page(KEYS.iter().map(|key| (*key, *key)), &query);
        (page.items, page.prefixes, page.next)
    }

    #[test]
    fn keys_are_grouped_and_cut_into_pages() {
        let all = Query {
            prefix: "",
            delimiter: None,
            after: None,
            limit: 1000,
        };
        type Expected<'a> = (&'a [&'a str], &'a [&'a str], Option<&'a str>);
        let cases: [(&str, Query<'_>, Expected<'_>); 8] = [
            ("everything", all, (&KEYS, &[], None)),
            (
                "a prefix",
                Query {
                    prefix: "b/",
                    ..all
                },
                (&["b/1", "b/2", "b/c/3"], &[], None),
            ),
            (
                "a delimiter",
                Query {
                    delimiter: Some("/"),
                    ..all
                },
                (&["a", "d"], &["b/", "e/"], None),
            ),
            (
                "both",
                Query {
                    prefix: "b/",
                    delimiter: Some("/"),
                    ..all
                },
                (&["b/1", "b/2"], &["b/c/"], None),
            ),
            (
                "the first page",
                Query {
                    delimiter: Some("/"),
                    limit: 2,
                    ..all
                },
                (&["a"], &["b/"], Some("b/")),
            ),
            (
                "the page after a common prefix",
                Query {
                    delimiter: Some("/"),
                    after: Some("b/"),
                    limit: 2,
                    ..all
                },
                (&["d"], &["e/"], None),
            ),
            (
                "after a key",
                Query {
                    after: Some("b/2"),
                    ..all
                },
                (&["b/c/3", "d", "e/4"], &[], None),
            ),
            (
                "a page of none",
                Query { limit: 0, ..all },
                (&[], &[], None),
            ),
        ];
        for (case, query, (items, prefixes, next)) in cases {
            let (got_items, got_prefixes, got_next) = list(query);
            assert_eq!(got_items, items, "{case}");
            assert_eq!(got_prefixes, prefixes, "{case}");
            assert_eq!(got_next.as_deref(), next, "{case}");
        }
    }
}
