//! Identifiers. They are made of random bits that the caller supplies.

use std::fmt;

/// Renders random bits as a version 4 UUID, the shape of every id in CodePipeline's API.
fn uuid(bits: u128) -> String {
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Seven letters and digits: the last part of an artifact's object key.
pub(crate) fn suffix(mut bits: u128) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..7)
        .map(|_| {
            let letter = ALPHABET[(bits % 62) as usize];
            bits /= 62;
            char::from(letter)
        })
        .collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The id made of these random bits.
            pub fn from_bits(bits: u128) -> Self {
                Self(uuid(bits))
            }

            /// Takes an id as it came over the wire. Any text is accepted: an id that was never given out is simply not found.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// One execution of a pipeline.
    ExecutionId
}
id! {
    /// One attempt at one action within an execution. All jobs of the attempt share it.
    ActionExecutionId
}
id! {
    /// One job handed to a function. A continuation is a new job.
    JobId
}
id! {
    /// What an answer to a manual approval must present.
    ApprovalToken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_uuids_whatever_the_bits() {
        for (bits, expected) in [
            (0, "00000000-0000-4000-8000-000000000000"),
            (u128::MAX, "ffffffff-ffff-4fff-bfff-ffffffffffff"),
        ] {
            assert_eq!(JobId::from_bits(bits).as_str(), expected);
        }
    }

    #[test]
    fn suffixes_are_seven_letters_and_digits() {
        for bits in [0, 61, 62, u128::MAX] {
            let suffix = suffix(bits);
            assert_eq!(suffix.len(), 7, "{bits}");
            assert!(suffix.chars().all(|c| c.is_ascii_alphanumeric()), "{bits}");
        }
    }
}
