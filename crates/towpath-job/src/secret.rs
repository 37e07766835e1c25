//! A value that must not be printed: credentials, mostly.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

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

/// What is escaped in a query string: all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The values that must appear in nothing that is logged or reported.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// These values, as they are and as they stand in a URL. Very short ones are left out: they
    /// would be found in every text.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        const SHORTEST: usize = 8;
        let all = values
            .into_iter()
            .filter(|value| value.len() >= SHORTEST)
            .flat_map(|value| {
                let strictly = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
                let as_usual = utf8_percent_encode(&value, RESERVED).to_string();
                [value, strictly, as_usual]
            })
            .collect();
        Self::sorted(all)
    }

    /// The credentials that Lambda put into the function's own environment.
    pub fn of_environment() -> Self {
        let names = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        Self::new(names.iter().filter_map(|name| std::env::var(name).ok()))
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: impl IntoIterator<Item = String>) -> Self {
        Self::sorted([self.0.clone(), Self::new(others).0].concat())
    }

    /// The longest first: one may be a part of another.
    fn sorted(mut all: Vec<String>) -> Self {
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self(all)
    }

    /// The text with every secret taken out.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "***")
        })
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
            ("another+one", "***"),
            ("short of it", "short of it"),
            ("", ""),
        ] {
            assert_eq!(secrets.redact(given), expected, "{given}");
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
