//! What is put into the bucket, in which order and with which headers: the part that asks no service.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use towpath_stack::Stack;

use super::SiteError;

/// The file that tells the site where its API is.
pub(crate) const CONFIG: &str = "config.json";

/// How long what may be kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caching {
    /// `immutable=`: below these paths, and everywhere in names with a hash, files never change.
    pub immutable: Vec<String>,
    /// `cache=`: how long other files than pages may be kept; zero is no longer than until asked.
    pub others: Duration,
}

/// When a file is put, among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// What pages refer to.
    Asset,
    /// What refers to assets.
    Page,
    /// Where everybody begins.
    Index,
    /// What the whole is configured with.
    Config,
}

/// A file on its way into the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub(crate) rank: Rank,
    /// Under which name it is put.
    pub key: String,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) content_type: String,
    pub(crate) cache_control: String,
}

impl File {
    fn new(key: String, path: PathBuf, size: u64, caching: &Caching) -> Self {
        let rank = rank(&key);
        Self {
            rank,
            content_type: content_type(&key),
            cache_control: cache_control(&key, rank, caching),
            key,
            path,
            size,
        }
    }

    /// `config.json` with this text, written into the directory.
    pub(crate) fn config(directory: &Path, text: &str) -> Result<Self, SiteError> {
        let path = directory.join(CONFIG);
        fs::write(&path, text).map_err(SiteError::Disk)?;
        let caching = Caching::default();
        Ok(Self {
            rank: Rank::Config,
            ..Self::new(CONFIG.to_owned(), path, text.len() as u64, &caching)
        })
    }

    /// The SHA-256 of the content, and of the content together with the headers. Reads the file.
    pub(crate) fn digests(&self) -> io::Result<([u8; 32], String)> {
        let mut file = fs::File::open(&self.path)?;
        let mut content = Sha256::new();
        let mut buffer = vec![0; 64 * 1_024];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            content.update(&buffer[..read]);
        }
        let content: [u8; 32] = content.finalize().into();
        let whole = Sha256::new()
            .chain_update(content)
            .chain_update(&self.content_type)
            .chain_update("\n")
            .chain_update(&self.cache_control);
        Ok((content, hex::encode(whole.finalize())))
    }
}

/// Every file below a folder of a tree. Links and files of other kinds are refused.
pub fn files(tree: &Path, folder: &str, caching: &Caching) -> Result<Vec<File>, SiteError> {
    let root = tree.join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(directory) = folders.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if directory == root && error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(SiteError::Empty(folder.to_owned()));
            }
            Err(error) => return Err(SiteError::Disk(error)),
        };
        for entry in entries {
            let entry = entry.map_err(SiteError::Disk)?;
            let path = entry.path();
            let below = path.strip_prefix(&root).unwrap_or(&path);
            let Some(key) = below.to_str() else {
                return Err(SiteError::Name(below.to_owned()));
            };
            let key = key.replace(std::path::MAIN_SEPARATOR, "/");
            let about = entry.metadata().map_err(SiteError::Disk)?;
            if about.is_dir() {
                folders.push(path);
            } else if about.is_file() {
                found.push(File::new(key, path, about.len(), caching));
            } else {
                return Err(SiteError::NotAFile(key));
            }
        }
    }
    if found.is_empty() {
        return Err(SiteError::Empty(folder.to_owned()));
    }
    Ok(found)
}

/// `config.json`, of the outputs with these names; nothing when none is named.
pub(crate) fn config(stack: &Stack, names: &[String]) -> Result<Option<String>, SiteError> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut config = serde_json::Map::new();
    for name in names {
        let Some(value) = stack.outputs.get(name) else {
            return Err(SiteError::NoOutput {
                stack: stack.name.clone(),
                output: name.clone(),
                known: stack.outputs.keys().cloned().collect(),
            });
        };
        config.insert(name.clone(), value.clone().into());
    }
    let text = serde_json::to_string_pretty(&config).expect("text by text");
    Ok(Some(text + "\n"))
}

fn rank(key: &str) -> Rank {
    match key {
        "index.html" => Rank::Index,
        _ if is_page(key) => Rank::Page,
        _ => Rank::Asset,
    }
}

fn is_page(key: &str) -> bool {
    let extension = key.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|it| it.eq_ignore_ascii_case("html") || it.eq_ignore_ascii_case("htm"))
}

fn content_type(key: &str) -> String {
    let guess = mime_guess::from_path(key).first_or_octet_stream();
    let kinds = [Some(guess.subtype()), guess.suffix()];
    let text = guess.type_() == mime_guess::mime::TEXT
        || kinds
            .into_iter()
            .flatten()
            .any(|kind| ["javascript", "json", "xml"].contains(&kind.as_str()));
    if text && guess.get_param("charset").is_none() {
        format!("{guess}; charset=utf-8")
    } else {
        guess.to_string()
    }
}

fn cache_control(key: &str, rank: Rank, caching: &Caching) -> String {
    if rank != Rank::Asset || key == CONFIG {
        return "no-cache".to_owned();
    }
    let below = |path: &String| {
        let path = path.trim_end_matches('/');
        key == path
            || key
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    if is_hashed(key) || caching.immutable.iter().any(below) {
        return "public, max-age=31536000, immutable".to_owned();
    }
    match caching.others.as_secs() {
        0 => "no-cache".to_owned(),
        seconds => format!("public, max-age={seconds}"),
    }
}

/// Whether the name has a hash of the content in it, as in `app.3f2a91bc.js` or `app-3f2a91bc.js`.
///
/// What is taken for one by mistake is kept for a year, so only hexadecimal digits count, eight or
/// more, with a letter and a digit among them: a date is none, nor is a word.
fn is_hashed(key: &str) -> bool {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    name.split(['.', '-', '_']).skip(1).any(|part| {
        part.len() >= 8
            && part.bytes().all(|byte| byte.is_ascii_hexdigit())
            && part.bytes().any(|byte| byte.is_ascii_digit())
            && part.bytes().any(|byte| byte.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_stack::StackStatus;

    #[test]
    fn a_file_gets_its_headers_and_its_turn_by_its_name() {
        let caching = Caching {
            immutable: vec!["assets/".into()],
            others: Duration::from_mins(5),
        };
        let year = "public, max-age=31536000, immutable";
        let five = "public, max-age=300";
        for (key, rank, kind, cache) in [
            (
                "index.html",
                Rank::Index,
                "text/html; charset=utf-8",
                "no-cache",
            ),
            (
                "docs/index.html",
                Rank::Page,
                "text/html; charset=utf-8",
                "no-cache",
            ),
            (
                "app.3f2a91bc.js",
                Rank::Asset,
                "text/javascript; charset=utf-8",
                year,
            ),
            (
                "js/app-3f2a91bc0d.css",
                Rank::Asset,
                "text/css; charset=utf-8",
                year,
            ),
            ("assets/logo.png", Rank::Asset, "image/png", year),
            ("assetsold/logo.png", Rank::Asset, "image/png", five),
            ("report-20260101.pdf", Rank::Asset, "application/pdf", five),
            (
                "app-template.js",
                Rank::Asset,
                "text/javascript; charset=utf-8",
                five,
            ),
            (
                "site.webmanifest",
                Rank::Asset,
                "application/manifest+json; charset=utf-8",
                five,
            ),
            (
                "data.json",
                Rank::Asset,
                "application/json; charset=utf-8",
                five,
            ),
            ("app.wasm", Rank::Asset, "application/wasm", five),
            ("LICENCE", Rank::Asset, "application/octet-stream", five),
            (
                "config.json",
                Rank::Asset,
                "application/json; charset=utf-8",
                "no-cache",
            ),
        ] {
            let file = File::new(key.into(), PathBuf::new(), 0, &caching);
            assert_eq!(file.rank, rank, "{key}");
            assert_eq!(file.content_type, kind, "{key}");
            assert_eq!(file.cache_control, cache, "{key}");
        }
        let nothing = File::new("a.png".into(), PathBuf::new(), 0, &Caching::default());
        assert_eq!(nothing.cache_control, "no-cache");
    }

    #[test]
    fn a_tree_is_taken_whole_and_a_link_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let tree = directory.path();
        fs::create_dir_all(tree.join("dist/ä b")).expect("a folder");
        fs::write(tree.join("dist/index.html"), "hello").expect("a file");
        fs::write(tree.join("dist/ä b/c#d?e.txt"), "").expect("a file");
        fs::write(tree.join("beside.txt"), "").expect("a file");
        let mut keys: Vec<(String, u64)> = files(tree, "dist", &Caching::default())
            .expect("files")
            .into_iter()
            .map(|file| (file.key, file.size))
            .collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                ("index.html".to_owned(), 5),
                ("ä b/c#d?e.txt".to_owned(), 0)
            ]
        );
        for folder in ["nowhere", "beside.txt"] {
            let error = files(tree, folder, &Caching::default()).expect_err(folder);
            assert!(matches!(error, SiteError::Empty(_)), "{error}");
        }
        std::os::unix::fs::symlink("index.html", tree.join("dist/link")).expect("a link");
        let error = files(tree, "dist", &Caching::default()).expect_err("a link");
        assert_eq!(error.to_string(), "`link` is neither a file nor a folder");
    }

    #[test]
    fn the_configuration_holds_the_outputs_that_are_named() {
        let mut stack = Stack::named("app", StackStatus::CreateComplete);
        stack.outputs.insert("ApiUrl".into(), "https://a".into());
        stack.outputs.insert("Secret".into(), "s".into());
        assert_eq!(config(&stack, &[]).expect("none"), None);
        let text = config(&stack, &["ApiUrl".into()]).expect("one");
        assert_eq!(text.as_deref(), Some("{\n  \"ApiUrl\": \"https://a\"\n}\n"));
        let error = config(&stack, &["ApiUrl".into(), "Version".into()]).expect_err("missing");
        assert_eq!(
            error.to_string(),
            "stack `app` has no output `Version`; it has `ApiUrl`, `Secret`"
        );
    }

    #[test]
    fn a_change_of_a_header_is_a_change() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.css");
        fs::write(&path, "a {}").expect("a file");
        let of = |caching: &Caching| {
            let file = File::new("a.css".into(), path.clone(), 4, caching);
            file.digests().expect("read").1
        };
        let plain = Caching::default();
        let longer = Caching {
            others: Duration::from_mins(1),
            ..Caching::default()
        };
        assert_eq!(of(&plain), of(&plain));
        assert_ne!(of(&plain), of(&longer));
    }
}
