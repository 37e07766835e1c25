//! The action's `UserParameters`.

use std::path::{Component, PathBuf};

use towpath_job::{Artifact, FromQuery, ParameterError, Query};

use crate::Manager;
use crate::secret::{self, Reference};

/// Whether packages may run code of their own while they are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scripts {
    /// As the manager has it, with what the project allows: npm, Yarn 1 and the Python managers run everything, Yarn 4
    /// and pnpm what is on the project's list.
    #[default]
    Policy,
    /// All of them.
    On,
    /// None.
    Off,
}

/// What `UserParameters` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `dir`: where in the source the manifests lie, in the order in which they are installed. Empty: in its root.
    pub directories: Vec<PathBuf>,
    /// `manager`: one of [`Manager::NAMED`]. Default: told by the files.
    pub manager: Option<Manager>,
    /// `args`: further arguments for the manager, split as a shell would.
    pub arguments: Vec<String>,
    /// `scripts`: whether packages may run code of their own while they are installed.
    pub scripts: Scripts,
    /// `cache`: whether an output that was installed before is used, and this one kept. Default: `on`.
    pub cache: bool,
    /// `trust`: for whom the output is: part of its place in the cache. Default: `default`.
    pub trust: String,
    /// `Secret.NAME`: what the installation, and nothing else, finds in its environment, and where that lies.
    pub secrets: Vec<(String, Reference)>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            directories: Vec::new(),
            manager: None,
            arguments: Vec::new(),
            scripts: Scripts::default(),
            cache: true,
            trust: "default".to_owned(),
            secrets: Vec::new(),
        }
    }
}

impl FromQuery for Parameters {
    fn from_query(query: &mut Query, _outputs: &[Artifact]) -> Result<Self, ParameterError> {
        let directories = query.take_as(
            "dir",
            "a directory inside the source, relative to its root, or several joined by commas",
            parse_directories,
        )?;
        let manager = query.take_choice("manager", &Manager::NAMED)?;
        let arguments = query.take_as(
            "args",
            "a list of arguments as a shell takes them (is a quote open?)",
            |value| shell_words::split(value).ok(),
        )?;
        let scripts = query.take_choice(
            "scripts",
            &[
                ("policy", Scripts::Policy),
                ("on", Scripts::On),
                ("off", Scripts::Off),
            ],
        )?;
        let cache = query.take_choice("cache", &[("on", true), ("off", false)])?;
        let trust = query.take_as(
            "trust",
            "a trust level: up to 64 letters, digits, `-` and `_`",
            parse_trust,
        )?;
        let secrets = secret::take(query)?;
        let defaults = Self::default();
        Ok(Self {
            cache: cache.unwrap_or(defaults.cache),
            trust: trust.unwrap_or(defaults.trust),
            secrets,
            directories: directories.unwrap_or_default(),
            manager,
            arguments: arguments.unwrap_or_default(),
            scripts: scripts.unwrap_or_default(),
        })
    }
}

impl Parameters {
    /// Where the manifests lie: one directory at least.
    pub fn places(&self) -> Vec<PathBuf> {
        if self.directories.is_empty() {
            vec![PathBuf::new()]
        } else {
            self.directories.clone()
        }
    }
}

/// A part of a key in S3, and of the role's policy that is to bound it.
fn parse_trust(value: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let fits = (1..=64).contains(&value.len()) && value.bytes().all(plain);
    fits.then(|| value.to_owned())
}

/// Each without `.`, never upwards, and named once.
fn parse_directories(value: &str) -> Option<Vec<PathBuf>> {
    let mut directories = Vec::new();
    for element in value.split(',').map(str::trim) {
        if element.is_empty() {
            continue;
        }
        let directory = parse_directory(element)?;
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    Some(directories)
}

/// Without `.`, never upwards.
fn parse_directory(value: &str) -> Option<PathBuf> {
    let mut directory = PathBuf::new();
    for component in PathBuf::from(value).components() {
        match component {
            Component::Normal(name) => directory.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Parameters, String> {
        towpath_job::parameters::parse(text, &[])
            .map(|(_, parameters)| parameters)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_read() {
        let defaults = Parameters::default;
        for (given, expected) in [
            ("", defaults()),
            ("dir=", defaults()),
            (
                "dir=.",
                Parameters {
                    directories: vec!["".into()],
                    ..defaults()
                },
            ),
            (
                "dir=web/./site/",
                Parameters {
                    directories: vec!["web/site".into()],
                    ..defaults()
                },
            ),
            (
                "dir=web, ./api,,web/,.",
                Parameters {
                    directories: vec!["web".into(), "api".into(), "".into()],
                    ..defaults()
                },
            ),
            (
                "manager=pip&scripts=off",
                Parameters {
                    manager: Some(Manager::Pip),
                    scripts: Scripts::Off,
                    ..defaults()
                },
            ),
            (
                "manager=yarn",
                Parameters {
                    manager: Some(Manager::Yarn),
                    ..defaults()
                },
            ),
            (
                "scripts=on&timeout=5m",
                Parameters {
                    scripts: Scripts::On,
                    ..defaults()
                },
            ),
            ("scripts=policy", defaults()),
            ("cache=on&trust=default", defaults()),
            (
                "cache=off&trust=pull-request",
                Parameters {
                    cache: false,
                    trust: "pull-request".into(),
                    ..defaults()
                },
            ),
            (
                "Secret.NPM_TOKEN=ssm:/app/npm&Secret.PASSWORD=secretsmanager:app%23password",
                Parameters {
                    secrets: [
                        ("NPM_TOKEN", "ssm:/app/npm"),
                        ("PASSWORD", "secretsmanager:app#password"),
                    ]
                    .map(|(name, text)| (name.to_owned(), text.parse().unwrap()))
                    .into(),
                    ..defaults()
                },
            ),
            (
                "args=--omit%3Ddev+--tag+'a+b'",
                Parameters {
                    arguments: ["--omit=dev", "--tag", "a b"].map(String::from).into(),
                    ..defaults()
                },
            ),
        ] {
            assert_eq!(parse(given), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (given, expected) in [
            (
                "dir=../other",
                "parameter `dir` is `../other`, which is not a directory inside the source",
            ),
            ("dir=/tmp", "parameter `dir` is `/tmp`"),
            ("dir=web,../other", "parameter `dir` is `web,../other`"),
            (
                "manager=bun",
                "parameter `manager` is `bun`, which is not one of npm, yarn, pnpm, pip, uv, poetry, cargo, go, maven",
            ),
            (
                "scripts=maybe",
                "parameter `scripts` is `maybe`, which is not one of policy, on, off",
            ),
            ("args='open", "is a quote open?"),
            (
                "Secret.NPM_TOKEN=npm_4f8a90bcdef",
                "`Secret.NPM_TOKEN` is not a reference such as ssm:/app/npm-token",
            ),
            (
                "Secret.PATH=ssm:/app/path",
                "`Secret.PATH`: `PATH` has another meaning for the tools",
            ),
            (
                "cache=yes",
                "parameter `cache` is `yes`, which is not one of on, off",
            ),
            (
                "trust=a/b",
                "parameter `trust` is `a/b`, which is not a trust level",
            ),
            ("maneger=npm", "unknown parameter `maneger`"),
            ("dir=a&dir=b", "parameter `dir` is given twice"),
        ] {
            let error = parse(given).unwrap_err();
            assert!(error.contains(expected), "{given}: {error}");
        }
    }

    #[test]
    fn a_secret_that_was_written_for_its_reference_is_not_repeated() {
        let error = parse("Secret.NPM_TOKEN=npm_4f8a90bcdef").unwrap_err();
        assert!(!error.contains("4f8a90"), "{error}");
    }
}
