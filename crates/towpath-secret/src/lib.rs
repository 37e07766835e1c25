//! Values that must not be printed: credentials, tokens, passwords.
//!
//! A [`Secret`] cannot be printed by accident. [`Secrets`] takes them out of texts that somebody else has written, in
//! all the forms in which tools like to print them, and [`Masking`] does so for a stream, wherever its pieces end.

mod forms;
mod masking;

use std::fmt;

use forms::forms;
pub use masking::Masking;

/// A secret: its `Debug` is `[redacted]` and it cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// What stands where a secret was.
const MASK: &str = "***";

/// The values that must appear in nothing that is logged or reported.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The shortest value that is looked for, in bytes: a shorter one would be found in every text.
    pub const SHORTEST: usize = 8;

    /// These values, in all their [forms](Secrets). Those that are too short are left out.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self::sorted(values.into_iter().flat_map(|value| forms(&value)).collect())
    }

    /// The credentials that Lambda put into the function's own environment.
    pub fn of_environment() -> Self {
        let names = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        Self::new(names.iter().filter_map(|name| std::env::var(name).ok()))
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: impl IntoIterator<Item = String>) -> Self {
        self.with(&Self::new(others))
    }

    /// These and those.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        Self::sorted([self.0.clone(), others.0.clone()].concat())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest first: one may be a part of another.
    fn sorted(mut all: Vec<String>) -> Self {
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self(all)
    }

    /// The text with every secret taken out.
    pub fn redact(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        let mut masking = Masking::new(self.clone());
        let mut clean = masking.feed(text.as_bytes());
        // What ends like the beginning of a secret is whole here.
        clean.extend(masking.rest());
        String::from_utf8(clean).unwrap_or_else(|error| {
            // Every form is text, so what is left around one is, too.
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        })
    }

    /// Whether a secret is among these bytes, in any form.
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        let first = self.first_bytes();
        !self.is_empty()
            && (0..bytes.len())
                .any(|at| first[usize::from(bytes[at])] && self.at(&bytes[at..]).is_some())
    }

    /// Whether a secret begins with a byte: few do, so most of a text is passed over quickly.
    fn first_bytes(&self) -> Box<[bool; 256]> {
        let mut first = Box::new([false; 256]);
        for byte in self.0.iter().filter_map(|secret| secret.as_bytes().first()) {
            first[usize::from(*byte)] = true;
        }
        first
    }

    /// The longest secret that begins these bytes: how long it is.
    fn at(&self, bytes: &[u8]) -> Option<usize> {
        self.0
            .iter()
            .find(|secret| bytes.starts_with(secret.as_bytes()))
            .map(String::len)
    }

    /// Whether a secret begins with these bytes and goes on after them.
    fn go_on(&self, bytes: &[u8]) -> bool {
        self.0
            .iter()
            .any(|secret| secret.len() > bytes.len() && secret.as_bytes().starts_with(bytes))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_by_table() {
        let secrets = ["very-secret", "very-secret/and=longer", "short"];
        let secrets = Secrets::new(secrets.map(str::to_owned)).and(["another+one".to_owned()]);
        for (given, expected) in [
            (
                "token very-secret is bad, very-secret!",
                "token *** is bad, ***!",
            ),
            ("very-secret/and=longer", "***"),
            ("?t=very%2Dsecret%2Fand%3Dlonger&x", "?t=***&x"),
            ("?t=very-secret%2Fand%3Dlonger&x", "?t=***&x"),
            ("?t=very-secret%2fand%3dlonger&x", "?t=***&x"),
            ("another+one", "***"),
            ("short of it", "short of it"),
            ("it ends in very-sec", "it ends in very-sec"),
            ("é very-secret é", "é *** é"),
            ("", ""),
        ] {
            assert_eq!(secrets.redact(given), expected, "{given}");
            assert_eq!(secrets.are_in(given.as_bytes()), given != expected);
        }
        assert_eq!(format!("{secrets:?}"), "[redacted]");
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new("wJalrXUtnFEMI".to_owned());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(secret.expose(), "wJalrXUtnFEMI");
    }
}
