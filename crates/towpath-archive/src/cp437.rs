//! Names as the first zip archives had them: code page 437 (APPNOTE Appendix D).

/// The upper half; the lower one is ASCII.
const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

/// Each byte as its character.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let upper: Vec<char> = UPPER.chars().collect();
    bytes
        .iter()
        .map(|byte| match byte.checked_sub(128) {
            None => char::from(*byte),
            Some(place) => upper[usize::from(place)],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_has_its_character() {
        let all: Vec<u8> = (0..=255).collect();
        let decoded = super::decode(&all);
        assert_eq!(decoded.chars().count(), 256);
        assert!(decoded.starts_with("\0\u{1}"));
        assert_eq!(super::decode(b"gr\x81\xe1e"), "gr\u{fc}\u{df}e");
    }
}
