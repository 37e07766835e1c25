//! The action's `UserParameters`.

use std::path::{Component, PathBuf};

use towpath_job::{Artifact, FromQuery, ParameterError, Query};

use crate::Manager;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `dir`: where in the source the manifests lie, in the order in which they are installed. Empty: in its root.
    pub directories: Vec<PathBuf>,
    /// `manager`: one of [`Manager::NAMED`]. Default: told by the files.
    pub manager: Option<Manager>,
    /// `args`: further arguments for the manager, split as a shell would.
    pub arguments: Vec<String>,
    /// `scripts`: whether packages may run code of their own while they are installed.
    pub scripts: Scripts,
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
        Ok(Self {
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
            ("maneger=npm", "unknown parameter `maneger`"),
            ("dir=a&dir=b", "parameter `dir` is given twice"),
        ] {
            let error = parse(given).unwrap_err();
            assert!(error.contains(expected), "{given}: {error}");
        }
    }
}
