//! The name of an entry: judged once, then only normal parts are left.

use crate::error::Refusal;

/// The longest part of a path on the file systems there are.
const LONGEST_PART: usize = 255;
/// What is left for an entry of the 4,096 bytes of a path, the directory before it taken off.
const LONGEST_NAME: usize = 3_500;
/// How many parts a path may have: who removes a tree has a file open for each, of 1,024 in Lambda.
const MOST_PARTS: usize = 256;

/// Takes a name apart. `./`, doubled and trailing slashes are dropped, as every reader does;
/// the tree's own root gives no parts.
///
/// What is refused is refused on every system, so that an archive which can be unpacked here can
/// be unpacked anywhere.
pub(crate) fn parts(name: &str) -> Result<Vec<&str>, Refusal> {
    if name.is_empty() {
        return Err(Refusal::EmptyName);
    }
    if name.contains('\0') {
        return Err(Refusal::Nul);
    }
    if name.starts_with('/') || has_drive(name) {
        return Err(Refusal::Absolute);
    }
    if name.contains('\\') {
        return Err(Refusal::Backslash);
    }
    if name.len() > LONGEST_NAME {
        return Err(Refusal::LongName {
            bytes: name.len(),
            limit: LONGEST_NAME,
        });
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Refusal::Traversal),
            part if part.len() > LONGEST_PART => {
                return Err(Refusal::LongName {
                    bytes: part.len(),
                    limit: LONGEST_PART,
                });
            }
            part => parts.push(part),
        }
    }
    if parts.len() > MOST_PARTS {
        return Err(Refusal::Deep {
            parts: parts.len(),
            limit: MOST_PARTS,
        });
    }
    Ok(parts)
}

/// Whether a name is not long, and what [`parts`] would make of it, joined again: what nearly all
/// names are.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    // Not longer than what cannot have too many parts.
    !name.is_empty()
        && name.len() < 2 * MOST_PARTS
        && name.iter().all(|byte| *byte != 0 && *byte != b'\\')
        && name
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b"..") && part.len() <= LONGEST_PART)
        && !matches!(name, [letter, b':', b'/', ..] if letter.is_ascii_alphabetic())
}

/// `C:/…` and `C:\…` are absolute elsewhere.
fn has_drive(name: &str) -> bool {
    matches!(name.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart_or_refused() {
        let long = "x".repeat(256);
        let longer = "y/".repeat(2_000);
        let deep = "z/".repeat(255) + "z";
        let deeper = "z/".repeat(256) + "z";
        let cases: [(&str, Result<Vec<&str>, Refusal>); 20] = [
            (&deep, Ok(vec!["z"; 256])),
            (
                &deeper,
                Err(Refusal::Deep {
                    parts: 257,
                    limit: 256,
                }),
            ),
            ("a", Ok(vec!["a"])),
            ("a/b/c.txt", Ok(vec!["a", "b", "c.txt"])),
            ("./a//b/", Ok(vec!["a", "b"])),
            ("./", Ok(vec![])),
            ("..a/b..", Ok(vec!["..a", "b.."])),
            ("a b/ü", Ok(vec!["a b", "ü"])),
            ("a:b", Ok(vec!["a:b"])),
            ("", Err(Refusal::EmptyName)),
            ("../a", Err(Refusal::Traversal)),
            ("a/../b", Err(Refusal::Traversal)),
            ("a/..", Err(Refusal::Traversal)),
            ("/etc/passwd", Err(Refusal::Absolute)),
            ("//server/share", Err(Refusal::Absolute)),
            ("C:/windows", Err(Refusal::Absolute)),
            ("c:\\windows", Err(Refusal::Absolute)),
            ("a\\..\\b", Err(Refusal::Backslash)),
            ("a\0.txt", Err(Refusal::Nul)),
            (
                &long,
                Err(Refusal::LongName {
                    bytes: 256,
                    limit: LONGEST_PART,
                }),
            ),
        ];
        for (name, expected) in cases {
            let plain = expected.as_ref().is_ok_and(|parts| parts.join("/") == name);
            assert_eq!(
                is_plain(name.as_bytes()),
                plain && !name.is_empty(),
                "{name:?}"
            );
            assert_eq!(parts(name), expected, "{name:?}");
        }
        assert!(matches!(parts(&longer), Err(Refusal::LongName { .. })));
    }
}
