//! Whether an installation has written a secret into what is to be published.

use std::fs;
use std::path::{Path, PathBuf};

use towpath_job::Secrets;

use super::Values;
use crate::InstallError;

/// Larger files are none that a tool writes its settings to.
const LARGEST: u64 = 1 << 20;

/// A secret in the output.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leak {
    /// Under which name the installation has it.
    secret: String,
    /// The file, or the link, relative to the output.
    path: PathBuf,
}

/// Refuses an output that holds a secret.
pub(crate) fn check(added: &Path, values: &Values) -> Result<(), InstallError> {
    let found = find(added, values).map_err(|source| InstallError::Tree {
        path: added.to_owned(),
        source,
    })?;
    match found {
        None => Ok(()),
        Some(Leak { secret, path }) => Err(InstallError::Leak { secret, path }),
    }
}

/// The first secret that is found in `added`: in a file of up to a mebibyte, a link's target or a name.
fn find(added: &Path, values: &Values) -> std::io::Result<Option<Leak>> {
    if values.0.is_empty() {
        return Ok(None);
    }
    let each: Vec<(&String, Secrets)> = values
        .0
        .iter()
        .map(|(name, value)| (name, Secrets::new([value.expose().clone()])))
        .collect();
    for entry in walkdir::WalkDir::new(added).min_depth(1) {
        let entry = entry?;
        let path = entry.path().strip_prefix(added).unwrap_or(entry.path());
        let mut texts = vec![entry.file_name().as_encoded_bytes().to_vec()];
        if entry.path_is_symlink() {
            let target = fs::read_link(entry.path())?;
            texts.push(target.into_os_string().into_encoded_bytes());
        } else if entry.file_type().is_file() && entry.metadata()?.len() <= LARGEST {
            texts.push(fs::read(entry.path())?);
        }
        let found = each
            .iter()
            .find(|(_, secrets)| texts.iter().any(|text| secrets.are_in(text)));
        if let Some((name, secrets)) = found {
            return Ok(Some(Leak {
                secret: (*name).clone(),
                path: secrets.redact(&path.to_string_lossy()).into(),
            }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_whatever_was_written() {
        let token = "npm_4f8a90bcdef12345";
        let values = Values::new([
            ("OTHER".to_owned(), "correct-horse".to_owned()),
            ("NPM_TOKEN".to_owned(), token.to_owned()),
        ]);
        type Write = fn(&Path);
        let cases: [(&str, Write, Option<&str>); 6] = [
            (
                "a file",
                |root| {
                    fs::write(root.join("a/.npmrc"), "_authToken=npm_4f8a90bcdef12345\n").unwrap();
                },
                Some("a/.npmrc"),
            ),
            (
                "a password's header",
                // `user:npm_4f8a90bcdef12345`
                |root| {
                    fs::write(
                        root.join("log"),
                        "Basic dXNlcjpucG1fNGY4YTkwYmNkZWYxMjM0NQ==",
                    )
                    .unwrap();
                },
                Some("log"),
            ),
            (
                "a link",
                |root| {
                    std::os::unix::fs::symlink("x/npm_4f8a90bcdef12345", root.join("l")).unwrap();
                },
                Some("l"),
            ),
            (
                "a name",
                |root| fs::write(root.join("a/npm_4f8a90bcdef12345"), "").unwrap(),
                Some("a/***"),
            ),
            (
                "a reference",
                |root| fs::write(root.join("a/.npmrc"), "_authToken=${NPM_TOKEN}\n").unwrap(),
                None,
            ),
            ("nothing", |_| {}, None),
        ];
        for (what, write, expected) in cases {
            let here = tempfile::tempdir().unwrap();
            fs::create_dir(here.path().join("a")).unwrap();
            write(here.path());
            let found = find(here.path(), &values).unwrap();
            let expected = expected.map(|path| Leak {
                secret: "NPM_TOKEN".to_owned(),
                path: path.into(),
            });
            assert_eq!(found, expected, "{what}");
            assert_eq!(find(here.path(), &Values::default()).unwrap(), None);
        }
    }
}
