//! What an installation depends on, and the name that follows from it.
//!
//! Two installations of the same description come out the same; whatever could make them differ is in it. It is
//! written as JSON in one fixed order and hashed, so that nobody can make a key by hand that stands for less.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Raised when the same description comes to mean another output.
const SCHEMA: u32 = 1;

/// All that an installation's output depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Description {
    /// For whom: what a pull request's build installed is not what a protected branch's gets.
    pub(crate) trust: String,
    /// What is run, in this order: the directory, and the command as one would type it, arguments and all.
    pub(crate) commands: Vec<(String, String)>,
    /// The managers and runtimes that are found on this machine, with their versions.
    pub(crate) tools: BTreeMap<String, String>,
    /// The machine: system, architecture, and the C library as far as it is told.
    pub(crate) platform: BTreeMap<&'static str, String>,
    /// The files that decide, by their paths in the source, each with its SHA-256.
    pub(crate) files: BTreeMap<String, String>,
    /// Variables that say where packages come from, without the credentials in them.
    pub(crate) registries: BTreeMap<String, String>,
    /// Secrets by the names that the installation sees them under, each with its reference: never its value.
    pub(crate) secrets: BTreeMap<String, String>,
    /// What archives are packed with.
    pub(crate) archive: String,
    /// The version of this program, which decides what of an installation is kept.
    pub(crate) program: &'static str,
}

/// The name of an installation's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Description {
    /// The name that follows from all of it.
    pub(crate) fn key(&self) -> Key {
        let canonical = serde_json::to_vec(&(SCHEMA, self)).unwrap_or_default();
        Key(hex::encode(Sha256::digest(canonical)))
    }
}

impl Key {
    /// 64 hexadecimal digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A registry's address without a user's name and password: those are not part of what is installed.
pub(crate) fn without_credentials(value: &str) -> String {
    value
        .split(' ')
        .map(|address| match address.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (host, path) = rest.split_at(end);
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                format!("{scheme}://{host}{path}")
            }
            None => address.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    pub(crate) fn description() -> Description {
        Description {
            trust: "protected".into(),
            commands: vec![("web".into(), "npm ci".into())],
            tools: map(&[("npm", "11.0.0"), ("node", "v22.1.0 115")]),
            platform: [
                ("system", "linux".to_owned()),
                ("architecture", "x86_64".to_owned()),
                ("libc", "glibc 2.34".to_owned()),
            ]
            .into(),
            files: map(&[("web/package-lock.json", "aa"), ("web/package.json", "bb")]),
            registries: map(&[("npm_config_registry", "https://registry.example/")]),
            secrets: map(&[("NPM_TOKEN", "ssm:/app/npm")]),
            archive: "1-5".into(),
            program: "0.1.0",
        }
    }

    type Change = fn(&mut Description);

    #[test]
    fn whatever_the_output_depends_on_changes_the_key() {
        let changes: [(&str, Change); 17] = [
            ("trust", |it| it.trust = "pull-request".into()),
            ("arguments", |it| {
                it.commands[0].1 = "npm ci --omit=dev".into();
            }),
            ("scripts", |it| {
                it.commands[0].1 = "npm ci --ignore-scripts".into();
            }),
            ("directory", |it| it.commands[0].0 = "site".into()),
            ("another directory", |it| {
                it.commands.push(("site".into(), "npm ci".into()));
            }),
            ("version of the manager", |it| {
                it.tools.insert("npm".into(), "11.0.1".into());
            }),
            ("version of the runtime", |it| {
                it.tools.insert("node".into(), "v24.0.0 137".into());
            }),
            ("system", |it| {
                it.platform.insert("system", "macos".into());
            }),
            ("architecture", |it| {
                it.platform.insert("architecture", "aarch64".into());
            }),
            ("C library", |it| {
                it.platform.insert("libc", "musl".into());
            }),
            ("lock file", |it| {
                it.files.insert("web/package-lock.json".into(), "cc".into());
            }),
            ("a lock file that moved", |it| {
                let digest = it.files.remove("web/package-lock.json").unwrap();
                it.files.insert("package-lock.json".into(), digest);
            }),
            ("configuration of the manager", |it| {
                it.files.insert("web/.npmrc".into(), "dd".into());
            }),
            ("registry", |it| {
                it.registries.clear();
            }),
            ("reference of a secret", |it| {
                it.secrets.insert("NPM_TOKEN".into(), "ssm:/other".into());
            }),
            ("archive's format or level", |it| it.archive = "1-6".into()),
            ("this program", |it| it.program = "0.2.0"),
        ];
        let mut seen = vec![("nothing", description().key())];
        for (what, change) in changes {
            let mut changed = description();
            change(&mut changed);
            let key = changed.key();
            for (other, known) in &seen {
                assert_ne!(key, *known, "{what} is as {other}");
            }
            seen.push((what, key));
        }
    }

    #[test]
    fn the_key_is_the_same_on_every_day() {
        let mut other = description();
        // In whatever order it was gathered.
        other.files = map(&[("web/package.json", "bb"), ("web/package-lock.json", "aa")]);
        assert_eq!(other.key(), description().key());
        assert_eq!(
            description().key().as_str(),
            "76d24d3888712a42d0e7c23a764127cecb677d7b2f2f6c529c132ac8ba426f5b",
            "if this is meant, raise SCHEMA"
        );
    }

    #[test]
    fn credentials_are_not_part_of_an_address() {
        for (given, expected) in [
            (
                "https://registry.example/npm",
                "https://registry.example/npm",
            ),
            (
                "https://me:secret@registry.example/npm",
                "https://registry.example/npm",
            ),
            ("https://token@registry.example", "https://registry.example"),
            (
                "https://registry.example/a@b",
                "https://registry.example/a@b",
            ),
            (
                "https://a:b@one.example/simple https://c@two.example/simple",
                "https://one.example/simple https://two.example/simple",
            ),
            ("direct", "direct"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(given), expected, "{given}");
        }
    }
}
