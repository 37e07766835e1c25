//! A stream without secrets: one that is cut by the end of a piece is found when the next one comes.

use crate::{MASK, Secrets};

/// The shortest beginning of a secret that is taken out when the stream ends with it.
const TELLING: usize = 4;

/// Takes secrets out of a stream that comes in pieces.
#[derive(Debug)]
pub struct Masking {
    secrets: Secrets,
    /// Whether a secret begins with this byte.
    first: Box<[bool; 256]>,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
}

impl Masking {
    /// For these secrets.
    pub fn new(secrets: Secrets) -> Self {
        Self {
            first: secrets.first_bytes(),
            secrets,
            held: Vec::new(),
        }
    }

    /// Takes a piece; answers what can be shown by now. What may turn out to be a secret is held back.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.held);
        let (clean, at) = self.mask(&bytes, true);
        self.held = bytes[at..].to_vec();
        clean
    }

    /// There is no more to come. A secret that was only begun is taken out, too: whoever printed it was cut off.
    pub fn finish(mut self) -> Vec<u8> {
        if self.held.len() >= TELLING {
            return MASK.as_bytes().to_vec();
        }
        std::mem::take(&mut self.held)
    }

    /// What is held back, as the end of a text that is whole.
    pub(crate) fn rest(self) -> Vec<u8> {
        self.mask(&self.held, false).0
    }

    /// The bytes with every secret taken out, as far as that can be told; and how far that is.
    fn mask(&self, bytes: &[u8], more: bool) -> (Vec<u8>, usize) {
        let mut clean = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if !self.first[usize::from(rest[0])] {
                clean.push(rest[0]);
                at += 1;
            } else if more && self.secrets.go_on(rest) {
                break;
            } else if let Some(length) = self.secrets.at(rest) {
                clean.extend_from_slice(MASK.as_bytes());
                at += length;
            } else {
                clean.push(rest[0]);
                at += 1;
            }
        }
        (clean, at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &[&str], pieces: &[&str]) -> String {
        let secrets = Secrets::new(secrets.iter().map(ToString::to_string));
        let mut masking = Masking::new(secrets);
        let mut shown = Vec::new();
        for piece in pieces {
            shown.extend(masking.feed(piece.as_bytes()));
        }
        shown.extend(masking.finish());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_secret_is_found_wherever_the_pieces_end() {
        for (pieces, expected) in [
            (&["token=abcdefgh-1234!"][..], "token=***!"),
            (&["token=abc", "defgh-", "1234!"], "token=***!"),
            (&["abc", "abcdefgh-1234"], "abc***"),
            (&["abcdefgh-1", "234abcdefgh-1234"], "******"),
            // Only begun.
            (&["it was cut: abcdefg"], "it was cut: ***"),
            (&["it was not: abc"], "it was not: abc"),
            (&["abcdefgh-9999"], "abcdefgh-9999"),
            (&[], ""),
        ] {
            assert_eq!(masked(&["abcdefgh-1234"], pieces), expected, "{pieces:?}");
        }
        // The longer one of two that begin alike.
        let two = ["abcdefgh", "abcdefgh-1234"];
        assert_eq!(
            masked(&two, &["abcdefgh", "-1234 abcdefgh-12 "]),
            "*** ***-12 "
        );
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in "[abx]{0,60}",
            cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let secrets = Secrets::new(["abababab".to_owned(), "ababxxxx".to_owned()]);
            let mut masking = Masking::new(secrets.clone());
            let mut shown = Vec::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut from = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                shown.extend(masking.feed(&text.as_bytes()[from..cut]));
                from = cut;
            }
            shown.extend(masking.rest());
            let shown = String::from_utf8(shown).unwrap();
            prop_assert_eq!(&shown, &secrets.redact(&text));
            prop_assert!(!shown.contains("abababab") && !shown.contains("ababxxxx"));
        }
    }
}
