//! An action's `UserParameters`: a query string, read into a typed struct.
//!
//! Values are percent-decoded and `+` is a space. White space around `&` and `=` is ignored, so
//! that a long string may be folded over several lines in a template. A `%` that does not begin
//! an escape stands for itself: the pipeline's variables are put into the string unescaped.
//! Keys are case-sensitive; one that is repeated, or that the action does not know, is an error.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use towpath_artifact::Settings;

use crate::artifact::{Artifact, ArtifactPath};
use crate::failure::Failure;
use crate::limits;

pub mod duration;

/// Parameters that can be read from an action's query string.
pub trait FromQuery: Sized {
    /// Takes the keys the action knows. `outputs` are the job's output artifacts, for actions
    /// whose keys are the outputs' names.
    ///
    /// What has not been taken afterwards is reported as unknown by the run loop: an
    /// implementation takes all of its keys whatever their values, and never calls
    /// [`Query::finish`].
    fn from_query(query: &mut Query, outputs: &[Artifact]) -> Result<Self, ParameterError>;
}

/// No parameters beyond those every action takes.
impl FromQuery for () {
    fn from_query(_: &mut Query, _: &[Artifact]) -> Result<Self, ParameterError> {
        Ok(())
    }
}

/// Why `UserParameters` cannot be used. Each is a `ConfigurationError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A key that the action does not take.
    #[error("unknown parameter `{key}`")]
    Unknown {
        /// The key as written.
        key: String,
        /// The known key that is most like it.
        nearest: Option<String>,
        /// All the keys the action takes.
        known: Vec<String>,
    },
    /// The same key twice.
    #[error("parameter `{0}` is given twice")]
    Repeated(String),
    /// A key that the action cannot do without.
    #[error("parameter `{0}` is missing")]
    Missing(String),
    /// A value that does not mean anything.
    #[error("parameter `{key}` is `{value}`, which is not {expected}")]
    Invalid {
        /// The key.
        key: String,
        /// The value as decoded.
        value: String,
        /// What it should have been, as in "is not …".
        expected: String,
    },
    /// Two keys that exclude or need each other, or any other rule between keys.
    #[error("{0}")]
    Conflict(String),
    /// A value without a key.
    #[error("a parameter has no name: `={0}`")]
    NoKey(String),
    /// Escapes that do not come to UTF-8.
    #[error("parameter `{0}` is not UTF-8 once its percent escapes are decoded")]
    NotUtf8(String),
    /// More than the service delivers.
    #[error("UserParameters are {0} bytes long; at most {limit} are accepted", limit = limits::PARAMETERS_BYTES)]
    TooLong(usize),
}

impl ParameterError {
    /// For values checked by the action itself: `expected` as in "is not …".
    pub fn invalid(
        key: impl Into<String>,
        value: impl Into<String>,
        expected: impl Display,
    ) -> Self {
        Self::Invalid {
            key: key.into(),
            value: value.into(),
            expected: expected.to_string(),
        }
    }

    /// What to do about it, when that is plain.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean `{nearest}`?")),
            Self::Unknown { known, .. } => Some(format!("the parameters are {}", known.join(", "))),
            Self::Repeated(key) => Some(format!(
                "keep one `{key}=`; a value that contains `&` is written with %26"
            )),
            Self::Missing(key) => Some(format!("add `{key}=…` to the action's UserParameters")),
            Self::NoKey(_) => Some("write key=value pairs, joined by `&`".to_owned()),
            Self::NotUtf8(_) => Some("encode the value as UTF-8 before escaping it".to_owned()),
            Self::Invalid { .. } | Self::Conflict(_) | Self::TooLong(_) => None,
        }
    }
}

impl From<ParameterError> for Failure {
    fn from(error: ParameterError) -> Self {
        let failure = Failure::configuration(error.to_string());
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// A query string on its way to becoming typed parameters.
///
/// Every `take` records its key as known, so that [`Query::finish`] can tell what is unknown and
/// what was probably meant.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
    known: BTreeSet<String>,
    prefixes: BTreeSet<String>,
}

impl Query {
    /// Decodes the string; repeated keys are an error already here.
    pub fn parse(text: &str) -> Result<Self, ParameterError> {
        if text.len() > limits::PARAMETERS_BYTES {
            return Err(ParameterError::TooLong(text.len()));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&') {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded =
                decode(key.trim()).ok_or_else(|| ParameterError::NotUtf8(key.trim().to_owned()))?;
            if decoded.is_empty() {
                return Err(ParameterError::NoKey(value.trim().to_owned()));
            }
            let value =
                decode(value.trim()).ok_or_else(|| ParameterError::NotUtf8(decoded.clone()))?;
            if pairs.iter().any(|(known, _)| *known == decoded) {
                return Err(ParameterError::Repeated(decoded));
            }
            pairs.push((decoded, value));
        }
        Ok(Self {
            pairs,
            ..Self::default()
        })
    }

    /// The pairs that have not been taken yet, in the order written.
    pub fn remaining(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Takes a key's value. An empty value is a value.
    pub fn take(&mut self, key: &str) -> Option<String> {
        self.known.insert(key.to_owned());
        let at = self.pairs.iter().position(|(name, _)| name == key)?;
        Some(self.pairs.remove(at).1)
    }

    /// Takes a key's value, nothing if it is absent or blank.
    pub fn take_filled(&mut self, key: &str) -> Option<String> {
        self.take(key).filter(|value| !value.trim().is_empty())
    }

    /// Takes a key that the action cannot do without; a blank value counts as missing.
    pub fn take_required(&mut self, key: &str) -> Result<String, ParameterError> {
        self.take_filled(key)
            .ok_or_else(|| ParameterError::Missing(key.to_owned()))
    }

    /// Takes every key that begins with `prefix` and has more after it, without the prefix, in
    /// the order written: `Env.NAME=value`.
    pub fn take_prefix(&mut self, prefix: &str) -> Vec<(String, String)> {
        self.prefixes.insert(prefix.to_owned());
        let mut taken = Vec::new();
        self.pairs.retain(|(key, value)| {
            match key.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
                Some(rest) => {
                    taken.push((rest.to_owned(), value.clone()));
                    false
                }
                None => true,
            }
        });
        taken
    }

    /// Takes every variable that a tool is to find in its environment: `Env.NAME=value` for the
    /// prefix `Env.`. What is wrong with one is said without its value, which may be a password.
    pub fn take_variables(
        &mut self,
        prefix: &str,
    ) -> Result<Vec<(String, String)>, ParameterError> {
        let taken = self.take_prefix(prefix);
        for (name, value) in &taken {
            let rule = if !is_variable(name) {
                "a variable's name has letters, digits and `_`, no digit first"
            } else if value.contains('\0') {
                "a variable's value has no NUL characters"
            } else {
                continue;
            };
            return Err(ParameterError::Conflict(format!(
                "`{prefix}{name}`: {rule}"
            )));
        }
        Ok(taken)
    }

    /// Takes a comma-separated list. Blank elements are dropped.
    pub fn take_list(&mut self, key: &str) -> Vec<String> {
        self.take(key)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|element| !element.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Takes a duration such as `90s`, `10m` or `1h30m`.
    pub fn take_duration(&mut self, key: &str) -> Result<Option<Duration>, ParameterError> {
        self.take_as(key, "a duration such as 90s, 10m or 1h30m", |value| {
            duration::parse(value)
        })
    }

    /// Takes a yes or no: `true`, `yes`, `1`, `on` and their opposites.
    pub fn take_bool(&mut self, key: &str) -> Result<Option<bool>, ParameterError> {
        self.take_as(key, "true or false", |value| {
            match value.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" | "on" => Some(true),
                "false" | "no" | "0" | "off" => Some(false),
                _ => None,
            }
        })
    }

    /// Takes a whole number that is not negative.
    pub fn take_number(&mut self, key: &str) -> Result<Option<u64>, ParameterError> {
        self.take_as(key, "a whole number", |value| value.parse().ok())
    }

    /// Takes one of several words.
    pub fn take_choice<T: Clone>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ParameterError> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", words.join(", "));
        self.take_as(key, &expected, |value| {
            choices
                .iter()
                .find(|(word, _)| *word == value)
                .map(|(_, meaning)| meaning.clone())
        })
    }

    /// Takes a file in an artifact, `Artifact::path`.
    pub fn take_artifact_path(
        &mut self,
        key: &str,
    ) -> Result<Option<ArtifactPath>, ParameterError> {
        self.take_as(key, "of the form Artifact::path", |value| {
            value.parse().ok()
        })
    }

    /// Takes a value that `parse` understands; `expected` as in "is not …".
    pub fn take_as<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ParameterError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match parse(value.trim()) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(ParameterError::invalid(key, value, expected)),
        }
    }

    /// Refuses what nobody has taken. The run loop calls this, after the action's
    /// [`FromQuery::from_query`].
    pub fn finish(self) -> Result<(), ParameterError> {
        let Some((key, _)) = self.pairs.into_iter().next() else {
            return Ok(());
        };
        let nearest = nearest(&key, &self.known, &self.prefixes);
        let known = self
            .known
            .into_iter()
            .chain(
                self.prefixes
                    .into_iter()
                    .map(|prefix| format!("{prefix}NAME")),
            )
            .collect();
        Err(ParameterError::Unknown {
            key,
            nearest,
            known,
        })
    }
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The known key that is most like `key`, when one is like it at all.
fn nearest(key: &str, known: &BTreeSet<String>, prefixes: &BTreeSet<String>) -> Option<String> {
    // `env.NAME`, `Env_NAME`, `Environment.NAME`: judge the part before the separator.
    let by_prefix = key.find(['.', '_', ':']).and_then(|at| {
        let (head, rest) = (&key[..at], &key[at + 1..]);
        prefixes
            .iter()
            .map(|prefix| {
                (
                    likeness(head, prefix.trim_end_matches('.')),
                    format!("{prefix}{rest}"),
                )
            })
            .max_by(|a, b| a.0.total_cmp(&b.0))
    });
    known
        .iter()
        .map(|name| (likeness(key, name), name.clone()))
        .chain(by_prefix)
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// 0 to 1, blind to case and to `-` against `_`.
fn likeness(a: &str, b: &str) -> f64 {
    let fold = |text: &str| text.to_lowercase().replace('_', "-");
    strsim::jaro_winkler(&fold(a), &fold(b))
}

/// Decodes `+` and percent escapes; nothing when the bytes are not UTF-8.
fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// What every action takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Common {
    /// How long the whole action may take, across continuations.
    pub timeout: Duration,
    /// How many steps the action may take, when that is bounded.
    pub attempts: Option<u64>,
    /// How many threads inflate or deflate artifacts, if not by the function's memory.
    pub threads: Option<usize>,
    /// How many requests read an artifact at once, if not by the function's memory.
    pub connections: Option<usize>,
    /// How small archives are made, if not as small as usual.
    pub level: Option<u8>,
}

impl Common {
    /// How artifacts are moved here, unless it is said otherwise.
    pub(crate) fn settings(&self, here: Settings) -> Settings {
        Settings {
            threads: self.threads.unwrap_or(here.threads),
            connections: self.connections.unwrap_or(here.connections),
            level: self.level.unwrap_or(here.level),
            ..here
        }
    }
}

/// `compute=codebuild`: the action's work is done in CodeBuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeBuild {
    /// `project`: the build project, if it is not the only one that the function may use.
    pub(crate) project: Option<String>,
}

impl CodeBuild {
    fn from_query(query: &mut Query) -> Result<Option<Self>, ParameterError> {
        let away = query.take_choice("compute", &[("lambda", false), ("codebuild", true)])?;
        let project = query.take_as(
            "project",
            "the name of a build project: letters, digits, `_` and `-`",
            |name| is_project(name).then(|| name.to_owned()),
        )?;
        match (away.unwrap_or(false), project) {
            (true, project) => Ok(Some(Self { project })),
            (false, None) => Ok(None),
            (false, Some(_)) => Err(ParameterError::Conflict(
                "`project` is for `compute=codebuild`".to_owned(),
            )),
        }
    }
}

/// CodeBuild's pattern for a project's name, but for its length.
fn is_project(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// More than any Lambda function has use for, and few enough for its 1,024 file descriptors.
const MOST_AT_ONCE: usize = 64;

impl FromQuery for Common {
    fn from_query(query: &mut Query, _: &[Artifact]) -> Result<Self, ParameterError> {
        let timeout = query.take_duration("timeout")?;
        let attempts = query.take_number("attempts")?;
        if let Some(timeout) = timeout
            && (timeout.is_zero() || timeout > limits::ACTION)
        {
            return Err(ParameterError::invalid(
                "timeout",
                duration::render(timeout),
                "more than nothing and at most 24h, which is how long CodePipeline waits for an action",
            ));
        }
        if attempts == Some(0) {
            return Err(ParameterError::invalid("attempts", "0", "at least 1"));
        }
        let at_once = |value: &str| {
            value
                .parse()
                .ok()
                .filter(|n| (1..=MOST_AT_ONCE).contains(n))
        };
        let level = |value: &str| value.parse().ok().filter(|n| *n <= Settings::HIGHEST_LEVEL);
        Ok(Self {
            timeout: timeout.unwrap_or(limits::DEFAULT_TIMEOUT),
            attempts,
            threads: query.take_as("threads", "a number from 1 to 64", at_once)?,
            connections: query.take_as("connections", "a number from 1 to 64", at_once)?,
            level: query.take_as("level", "a number from 0 (stored) to 12 (smallest)", level)?,
        })
    }
}

/// Reads a whole `UserParameters` string: what every action takes, and the action's own.
pub fn parse<P: FromQuery>(
    text: &str,
    outputs: &[Artifact],
) -> Result<(Common, P), ParameterError> {
    let (common, _, own) = parse_movable(text, outputs, false)?;
    Ok((common, own))
}

/// Whether a string can be read, by an action that may be done in CodeBuild or by one that may not.
pub fn check<P: FromQuery>(
    text: &str,
    outputs: &[Artifact],
    movable: bool,
) -> Result<(), ParameterError> {
    parse_movable::<P>(text, outputs, movable).map(drop)
}

/// The same, and where the work is to be done, if that may be said of the action.
pub(crate) fn parse_movable<P: FromQuery>(
    text: &str,
    outputs: &[Artifact],
    movable: bool,
) -> Result<(Common, Option<CodeBuild>, P), ParameterError> {
    let mut query = Query::parse(text)?;
    let common = Common::from_query(&mut query, outputs)?;
    let compute = if movable {
        CodeBuild::from_query(&mut query)?
    } else {
        None
    };
    let own = P::from_query(&mut query, outputs);
    match own {
        // A misspelt key is the better explanation of one that is missing.
        Err(missing @ ParameterError::Missing(_)) => {
            query.finish()?;
            Err(missing)
        }
        Err(error) => Err(error),
        Ok(own) => {
            query.finish()?;
            Ok((common, compute, own))
        }
    }
}

#[cfg(test)]
mod tests;
