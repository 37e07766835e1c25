//! A buildspec, version 0.2, as far as a build without artifacts has one.
//!
//! <https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html>

use serde_json::Value;
use towpath_template::yaml;

/// The phases that a buildspec has commands for, in their order.
pub(crate) const PHASES: [&str; 4] = ["install", "pre_build", "build", "post_build"];

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Specification {
    /// `env.shell`; `sh` if there is none.
    pub(crate) bash: bool,
    /// `env.variables`, in the order written.
    pub(crate) variables: Vec<(String, String)>,
    /// One for each of [`PHASES`].
    pub(crate) phases: [Phase; 4],
}

/// The commands of one phase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Phase {
    pub(crate) commands: Vec<String>,
    /// Run whether the commands failed or not.
    pub(crate) finally: Vec<String>,
    /// `on-failure: ABORT`: no phase comes after this one when it fails. Otherwise `post_build`
    /// comes after a `build` that failed, and nothing after `install` and `pre_build`.
    pub(crate) aborts: bool,
}

impl Specification {
    /// Reads a buildspec; the error says what in it is not understood.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let read = yaml::read(text).map_err(|error| error.to_string())?;
        let top = read.as_object().ok_or("a buildspec is a mapping")?;
        let version = &read["version"];
        if version.as_f64() != Some(0.2) && version.as_str() != Some("0.2") {
            return Err(format!(
                "version is {version}; the loopback runs version 0.2"
            ));
        }
        for key in top.keys() {
            if !["version", "env", "phases"].contains(&key.as_str()) {
                return Err(format!(
                    "the loopback does not serve `{key}` in a buildspec"
                ));
            }
        }
        let mut specification = Self::default();
        if let Some(env) = read["env"].as_object() {
            for (key, value) in env {
                match (key.as_str(), value) {
                    ("variables", Value::Object(variables)) => {
                        for (name, value) in variables {
                            specification.variables.push((name.clone(), scalar(value)?));
                        }
                    }
                    ("shell", Value::String(shell)) if shell == "sh" || shell == "bash" => {
                        specification.bash = shell == "bash";
                    }
                    _ => {
                        return Err(format!(
                            "the loopback does not serve `env.{key}` in a buildspec"
                        ));
                    }
                }
            }
        }
        let phases = read["phases"]
            .as_object()
            .ok_or("the buildspec has no phases")?;
        for (name, phase) in phases {
            let Some(index) = PHASES.iter().position(|known| known == name) else {
                return Err(format!(
                    "there is no phase `{name}`; there are {}",
                    PHASES.join(", ")
                ));
            };
            specification.phases[index] =
                Phase::read(phase).map_err(|error| format!("phase `{name}`: {error}"))?;
        }
        Ok(specification)
    }
}

impl Phase {
    fn read(phase: &Value) -> Result<Self, String> {
        let members = phase.as_object().ok_or("it is not a mapping")?;
        let mut read = Self::default();
        for (key, value) in members {
            match key.as_str() {
                "commands" => read.commands = commands(value)?,
                "finally" => read.finally = commands(value)?,
                "on-failure" => {
                    if value.as_str() != Some("ABORT") {
                        return Err(format!("the loopback does not serve `on-failure: {value}`"));
                    }
                    read.aborts = true;
                }
                // The programs of this machine are those that there are.
                "runtime-versions" => {}
                _ => return Err(format!("the loopback does not serve `{key}`")),
            }
        }
        Ok(read)
    }
}

fn commands(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(all) => all
            .iter()
            .map(|command| {
                command
                    .as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| "Expected Commands to be of string type".to_owned())
            })
            .collect(),
        _ => Err("`commands` is not a list".to_owned()),
    }
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err("a variable's value is not text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buildspec_is_read() {
        let read = Specification::read(
            "version: 0.2\nenv:\n  variables:\n    A: x\n    B: 2\nphases:\n  build:\n    on-failure: ABORT\n    commands:\n      - echo a\n      - |\n        echo b\n        echo c\n    finally:\n      - echo d\n",
        )
        .unwrap();
        assert_eq!(
            read.variables,
            [
                ("A".to_owned(), "x".to_owned()),
                ("B".to_owned(), "2".to_owned())
            ]
        );
        assert_eq!(
            read.phases[2],
            Phase {
                commands: vec!["echo a".into(), "echo b\necho c\n".into()],
                finally: vec!["echo d".into()],
                aborts: true,
            }
        );
        assert_eq!(read.phases[0], Phase::default());
    }

    #[test]
    fn what_is_not_run_here_is_refused_by_name() {
        for (text, expected) in [
            ("version: 0.1\nphases: {}", "version is 0.1"),
            ("phases: {}", "version is null"),
            ("version: 0.2", "no phases"),
            ("version: 0.2\nphases: {bild: {}}", "no phase `bild`"),
            (
                "version: 0.2\nartifacts: {}\nphases: {}",
                "does not serve `artifacts`",
            ),
            (
                "version: 0.2\nenv: {secrets-manager: {A: b}}\nphases: {}",
                "does not serve `env.secrets-manager`",
            ),
            (
                "version: 0.2\nphases: {build: {commands: true}}",
                "`commands` is not a list",
            ),
            (
                "version: 0.2\nphases: {build: {commands: [{a: b}]}}",
                "Expected Commands to be of string type",
            ),
            (
                "version: 0.2\nphases: {build: {on-failure: RETRY}}",
                "does not serve `on-failure: \"RETRY\"`",
            ),
        ] {
            let error = Specification::read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
