//! A command as data: what is run, where, and with which additions to the environment.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
};

use towpath_secret::Secret;

/// A program with its arguments. No shell is involved unless the program is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// A name that is looked up on the child's `PATH`, or a path; a relative path starts at `directory`.
    pub program: OsString,
    /// The arguments, as the program receives them.
    pub arguments: Vec<OsString>,
    /// Where the program starts. It has to exist.
    pub directory: PathBuf,
    /// What the environment holds beyond, or instead of, [what every tool gets](crate::environment).
    pub environment: BTreeMap<OsString, OsString>,
    /// The same of what must not be printed: it is taken out of all that the tool prints.
    pub secrets: BTreeMap<OsString, Secret<String>>,
    /// Directories in front of `PATH`.
    pub search: Vec<PathBuf>,
}

impl Command {
    /// A command without arguments.
    pub fn new(program: impl Into<OsString>, directory: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            directory: directory.into(),
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            search: Vec::new(),
        }
    }

    /// `text` as a shell understands it: `sh -c text`.
    pub fn shell(text: impl Into<OsString>, directory: impl Into<PathBuf>) -> Self {
        Self::new("sh", directory).arg("-c").arg(text)
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets a variable of the environment whose value nobody is to see.
    #[must_use]
    pub fn secret(mut self, name: impl Into<OsString>, value: Secret<String>) -> Self {
        self.secrets.insert(name.into(), value);
        self
    }

    /// Sets variables of the environment.
    #[must_use]
    pub fn envs<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment.extend(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }
}

/// The command as one would type it; the environment is left out.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.program == "sh" && self.arguments.len() == 2 && self.arguments[0] == "-c" {
            return f.write_str(&self.arguments[1].to_string_lossy());
        }
        f.write_str(&quoted(&self.program))?;
        for argument in &self.arguments {
            write!(f, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_one_would_type_it() {
        for (command, expected) in [
            (Command::new("npm", ".").arg("ci"), "npm ci"),
            (
                Command::new("npm", ".").args(["run", "test:unit"]),
                "npm run test:unit",
            ),
            (
                Command::new("echo", ".").args(["a b", "", "it's"]),
                r"echo 'a b' '' 'it'\''s'",
            ),
            (Command::shell("cd site && make", "."), "cd site && make"),
            (Command::new("env", ".").env("TOKEN", "hidden"), "env"),
            (
                Command::new("env", ".").secret("TOKEN", Secret::new("hidden".into())),
                "env",
            ),
        ] {
            assert_eq!(command.to_string(), expected);
        }
    }

    #[test]
    fn a_secret_is_not_shown_by_debug() {
        let command = Command::new("env", ".").secret("TOKEN", Secret::new("hidden".into()));
        let shown = format!("{command:?}");
        assert!(
            shown.contains("TOKEN") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}
