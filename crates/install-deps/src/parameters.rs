//! The action's `UserParameters`.

use std::path::{Component, PathBuf};

use towpath_job::{Artifact, FromQuery, ParameterError, Query};

use crate::detect::Manager;

/// What `UserParameters` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `dir`: where in the source the manifest lies. Default: its root.
    pub directory: PathBuf,
    /// `manager`: `npm` or `pip`. Default: told by the files.
    pub manager: Option<Manager>,
    /// `args`: further arguments for the manager, split as a shell would.
    pub arguments: Vec<String>,
    /// `scripts`: whether packages may run code of their own while they are installed. `off` is npm's
    /// `--ignore-scripts` and pip's `--only-binary :all:`. Default: `on`, as both managers have it.
    pub scripts: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            manager: None,
            arguments: Vec::new(),
            scripts: true,
        }
    }
}

impl FromQuery for Parameters {
    fn from_query(query: &mut Query, _outputs: &[Artifact]) -> Result<Self, ParameterError> {
        let directory = query.take_as(
            "dir",
            "a directory inside the source, relative to its root",
            parse_directory,
        )?;
        let manager =
            query.take_choice("manager", &[("npm", Manager::Npm), ("pip", Manager::Pip)])?;
        let arguments = query.take_as(
            "args",
            "a list of arguments as a shell takes them (is a quote open?)",
            |value| shell_words::split(value).ok(),
        )?;
        let scripts = query.take_choice("scripts", &[("on", true), ("off", false)])?;
        Ok(Self {
            directory: directory.unwrap_or_default(),
            manager,
            arguments: arguments.unwrap_or_default(),
            scripts: scripts.unwrap_or(true),
        })
    }
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
            ("dir=.", defaults()),
            (
                "dir=web/./site/",
                Parameters {
                    directory: "web/site".into(),
                    ..defaults()
                },
            ),
            (
                "manager=pip&scripts=off",
                Parameters {
                    manager: Some(Manager::Pip),
                    scripts: false,
                    ..defaults()
                },
            ),
            ("scripts=on&timeout=5m", defaults()),
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
            (
                "manager=yarn",
                "parameter `manager` is `yarn`, which is not one of npm, pip",
            ),
            (
                "scripts=maybe",
                "parameter `scripts` is `maybe`, which is not one of on, off",
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
