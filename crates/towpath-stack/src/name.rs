//! Names of stacks that live for a while, made of text that is no name, such as a branch's.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// How long a made name is at most. A stack's name may have 128 characters, but what a template
/// names after its stack has less room: a bucket 63, a function or a role 64.
const LONGEST: usize = 48;

/// How many hexadecimal digits of the text's SHA-256 a made name ends with.
const DIGITS: usize = 8;

/// The stack's name that belongs to a text: the letters and digits of it, in their case, with a
/// hyphen for whatever else is between them, and behind that eight digits of the text's SHA-256.
///
/// The same text always gives the same name. Texts that differ only in what a name cannot hold, or
/// far behind, give different ones: `feature/login` and `feature-login` are two branches.
pub fn safe(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.insert_str(0, "s-");
    }
    name.truncate(LONGEST - DIGITS - 1);
    name.truncate(name.trim_end_matches('-').len());
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let _ = write!(name, "-{}", &digest[..DIGITS]);
    name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn whatever_the_text_is_the_name_is_one() {
        for (text, expected) in [
            ("app-main", "app-main-"),
            ("app-feature/login", "app-feature-login-"),
            ("app-Fix_the.thing!", "app-Fix-the-thing-"),
            ("app-größe/ünder", "app-gr-e-nder-"),
            ("2026/plan", "s-2026-plan-"),
            ("///", "s-"),
            ("", "s-"),
        ] {
            let name = safe(text);
            let (slug, digits) = name.rsplit_once('-').expect("a hyphen");
            assert_eq!(format!("{slug}-"), expected, "{text}");
            assert_eq!(digits.len(), DIGITS, "{text}");
        }
        for text in [
            "app-".to_owned() + &"x".repeat(500),
            "/".repeat(300),
            "é".repeat(60),
            "a-".repeat(100),
        ] {
            let name = safe(&text);
            assert!(name.len() <= LONGEST, "{name}");
            assert!(
                name.starts_with(|c: char| c.is_ascii_alphabetic()),
                "{name}"
            );
            assert!(
                name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
                "{name}"
            );
            assert!(!name.contains("--"), "{name}");
        }
    }

    #[test]
    fn texts_that_look_alike_have_names_of_their_own() {
        let long = "x".repeat(200);
        let texts = [
            "app-feature/login".to_owned(),
            "app-feature-login".to_owned(),
            "app-feature_login".to_owned(),
            "app-Feature/login".to_owned(),
            format!("{long}-1"),
            format!("{long}-2"),
        ];
        let names: BTreeSet<String> = texts.iter().map(|text| safe(text)).collect();
        assert_eq!(names.len(), texts.len(), "{names:?}");
        assert_eq!(safe("app-feature/login"), safe("app-feature/login"));
    }
}
