//! The forms in which a secret is printed: as it is, in an address, in JSON, in a header for a password.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Secrets;

/// What is escaped in a query string: all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What JavaScript's `encodeURI` escapes, which leaves alone what has a meaning in an address.
const BROKEN: &AsciiSet = &RESERVED
    .remove(b';')
    .remove(b',')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'#');

/// Every form of a value that is long enough to be looked for.
pub(crate) fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    let trimmed = value.trim();
    if trimmed != value {
        forms.push(trimmed.to_owned());
    }
    // A key of several lines is printed line by line.
    if trimmed.lines().count() > 1 {
        forms.extend(trimmed.lines().map(|line| line.trim().to_owned()));
    }
    for set in [NON_ALPHANUMERIC, RESERVED, BROKEN] {
        let encoded = utf8_percent_encode(trimmed, set).to_string();
        forms.push(lower(&encoded));
        forms.push(encoded.replace("%20", "+"));
        forms.push(encoded);
    }
    forms.push(in_json(trimmed));
    forms.extend(in_base64(trimmed.as_bytes()));
    forms.retain(|form| form.len() >= Secrets::SHORTEST);
    forms
}

/// With the escapes in small letters.
fn lower(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len());
    let mut left = 0;
    for character in encoded.chars() {
        left = if character == '%' { 3_u8 } else { left };
        if left > 0 {
            left -= 1;
            out.push(character.to_ascii_lowercase());
        } else {
            out.push(character);
        }
    }
    out
}

/// As it stands between the quotation marks of a JSON text.
fn in_json(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out
}

/// Whatever is in front of it and behind it: of each of the three ways in which its bytes can lie in a text of three
/// bytes to four digits, the digits that come from nothing else.
fn in_base64(value: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for shift in 0..3_usize {
        let padded = [vec![0; shift], value.to_vec()].concat();
        let first = (shift * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let digits = engine.encode(&padded);
            if let Some(own) = digits.get(first..last) {
                forms.push(own.to_owned());
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_is_known() {
        let secrets = Secrets::new(["p@ss \"word\"/42?".to_owned()]);
        for form in [
            "p@ss \"word\"/42?",
            "p%40ss%20%22word%22%2F42%3F",
            "p%40ss%20%22word%22%2f42%3f",
            "p%40ss+%22word%22%2F42%3F",
            "p@ss%20%22word%22/42?",
            "{\"password\": \"p@ss \\\"word\\\"/42?\"}",
        ] {
            assert!(secrets.redact(form).contains("***"), "{form}");
        }
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n";
        let secrets = Secrets::new([key.to_owned()]);
        assert_eq!(secrets.redact("a line: hkiG9w0BAQEFAASC"), "a line: ***");
        assert_eq!(secrets.redact(key.trim()), "***");
    }

    proptest! {
        #[test]
        fn it_is_found_in_base64_wherever_it_lies(
            before in proptest::collection::vec(any::<u8>(), 0..5),
            value in "[ -~]{11,40}",
            after in proptest::collection::vec(any::<u8>(), 0..5),
        ) {
            prop_assume!(value.trim() == value);
            let secrets = Secrets::new([value.clone()]);
            let all = [before, value.into_bytes(), after].concat();
            for engine in [STANDARD, URL_SAFE] {
                let text = engine.encode(&all);
                prop_assert!(secrets.are_in(text.as_bytes()), "{}", text);
            }
        }
    }
}
