//! Cutting text to a limit without cutting a character, and making tool output printable.
//!
//! Lengths are counted in UTF-16 units: the service does not say how it counts, and a text that
//! fits by that measure fits by Unicode characters too.

/// What stands where something was left out.
const CUT: char = '…';

/// The length of a text in UTF-16 units.
pub(crate) fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The beginning of a text, at most `limit` units, with an ellipsis when something was cut.
pub(crate) fn head(text: &str, limit: usize) -> String {
    if length(text) <= limit {
        return text.to_owned();
    }
    if limit == 0 {
        return String::new();
    }
    let mut kept = text[..prefix(text, limit - 1)].trim_end().to_owned();
    kept.push(CUT);
    kept
}

/// The end of a text, at most `limit` units, with an ellipsis when something was cut.
pub(crate) fn tail(text: &str, limit: usize) -> String {
    if length(text) <= limit {
        return text.to_owned();
    }
    if limit == 0 {
        return String::new();
    }
    let mut kept = String::from(CUT);
    kept.push_str(text[suffix(text, limit - 1)..].trim_start());
    kept
}

/// Both ends of a text: its beginning says what happened, its end is where tool output stops.
pub(crate) fn ends(text: &str, limit: usize) -> String {
    if length(text) <= limit {
        return text.to_owned();
    }
    // The joint is a line of its own: newline, ellipsis, newline.
    let Some(room) = limit.checked_sub(3) else {
        return head(text, limit);
    };
    let first = room / 3;
    let start = prefix(text, first);
    let end = suffix(text, room - first).max(start);
    format!("{}\n{CUT}\n{}", &text[..start], &text[end..])
}

/// The text without terminal escape sequences and control characters, line ends normalised.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // A control sequence ends with a byte in @..~.
                Some('[') => {
                    for c in chars.by_ref() {
                        if ('@'..='~').contains(&c) {
                            break;
                        }
                    }
                }
                // An operating system command (a title, a link) ends with BEL or ESC \.
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            chars.next();
                            break;
                        }
                    }
                }
                _ => {}
            },
            // A progress bar returns to the start of its line: what follows replaces it.
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    let line = out.rfind('\n').map_or(0, |at| at + 1);
                    out.truncate(line);
                }
            }
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// The byte length of the longest beginning that measures at most `limit` units.
fn prefix(text: &str, limit: usize) -> usize {
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > limit {
            return at;
        }
    }
    text.len()
}

/// The byte offset of the longest end that measures at most `limit` units.
fn suffix(text: &str, limit: usize) -> usize {
    let mut units = 0;
    for (at, c) in text.char_indices().rev() {
        units += c.len_utf16();
        if units > limit {
            return at + c.len_utf8();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_by_table() {
        for (case, got, expected) in [
            ("head fits", head("abc", 3), "abc"),
            ("head cut", head("abcd", 3), "ab…"),
            ("head at a space", head("a bcd", 3), "a…"),
            ("head nothing", head("abc", 0), ""),
            ("head wide", head("😀😀", 3), "😀…"),
            ("tail fits", tail("abc", 3), "abc"),
            ("tail cut", tail("abcd", 3), "…cd"),
            ("tail wide", tail("😀😀", 3), "…😀"),
            ("ends fits", ends("abcdefghi", 9), "abcdefghi"),
            ("ends cut", ends("abcdefghijkl", 9), "ab\n…\nijkl"),
            ("ends tiny", ends("abcd", 2), "a…"),
        ] {
            assert_eq!(got, expected, "{case}");
        }
    }

    #[test]
    fn plain_by_table() {
        for (case, given, expected) in [
            ("colour", "\u{1b}[31mred\u{1b}[0m", "red"),
            ("link", "\u{1b}]8;;http://x\u{7}x\u{1b}]8;;\u{7}", "x"),
            ("link closed by ST", "\u{1b}]0;title\u{1b}\\x", "x"),
            ("progress", "10%\r20%\r100%\nend", "100%\nend"),
            ("windows line end", "a\r\nb", "a\nb"),
            ("bell and nul", "a\u{7}\0b", "ab"),
            ("tab stays", "a\tb", "a\tb"),
            ("cut sequence", "a\u{1b}[3", "a"),
        ] {
            assert_eq!(plain(given), expected, "{case}");
        }
    }

    proptest! {
        #[test]
        fn a_cut_text_fits_and_a_fitting_text_is_not_cut(text in "\\PC{0,80}", limit in 0usize..100) {
            for cut in [head(&text, limit), tail(&text, limit), ends(&text, limit)] {
                prop_assert!(length(&cut) <= limit);
                if length(&text) <= limit {
                    prop_assert_eq!(&cut, &text);
                }
            }
        }

        #[test]
        fn plain_text_has_no_control_characters(text in any::<String>()) {
            prop_assert!(plain(&text).chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
        }
    }
}
