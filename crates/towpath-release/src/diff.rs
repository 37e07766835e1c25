//! What differs between two releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{Artifact, File, Identity};

/// A part that is not the same in two releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is, in words, with its name.
    pub part: String,
    /// In the first release; nothing if it has none.
    pub first: Option<String>,
    /// In the second one.
    pub second: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            first,
            second,
        } = self;
        match (first, second) {
            (Some(first), Some(second)) => write!(f, "{part}: {first} -> {second}"),
            (Some(first), None) => write!(f, "{part}: only in the first: {first}"),
            (None, Some(second)) => write!(f, "{part}: only in the second: {second}"),
            (None, None) => f.write_str(part),
        }
    }
}

/// What differs, in the order source, template, configuration, artifacts. Empty if and only if the
/// two have one id.
pub fn diff(first: &Identity, second: &Identity) -> Vec<Difference> {
    let (before, after) = (parts(first), parts(second));
    let names: BTreeSet<&Part> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(name) != after.get(name))
        .map(|name| Difference {
            part: name.to_string(),
            first: before.get(name).cloned(),
            second: after.get(name).cloned(),
        })
        .collect()
}

/// The parts of a release, in the order in which they are told.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Repository,
    Commit,
    Template(String),
    Configuration(String),
    Artifact { template: String, place: String },
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository => f.write_str("repository"),
            Self::Commit => f.write_str("commit"),
            Self::Template(path) => write!(f, "template `{path}`"),
            Self::Configuration(path) => write!(f, "configuration `{path}`"),
            Self::Artifact { template, place } => write!(f, "artifact `{place}` of `{template}`"),
        }
    }
}

fn parts(identity: &Identity) -> BTreeMap<Part, String> {
    let mut parts = BTreeMap::new();
    let source = &identity.source;
    for (part, value) in [
        (Part::Repository, &source.repository),
        (Part::Commit, &source.commit),
    ] {
        if let Some(value) = value {
            parts.insert(part, value.clone());
        }
    }
    let content = |file: &File| format!("sha256 {}, {} bytes", file.sha256, file.bytes);
    let template = &identity.template;
    parts.insert(Part::Template(template.path.clone()), content(template));
    for file in &identity.configuration {
        parts.insert(Part::Configuration(file.path.clone()), content(file));
    }
    for artifact in &identity.artifacts {
        let Artifact {
            template,
            place,
            key,
            sha256,
            bytes,
        } = artifact;
        let part = Part::Artifact {
            template: template.clone(),
            place: place.clone(),
        };
        parts.insert(part, format!("`{key}`, sha256 {sha256}, {bytes} bytes"));
    }
    parts
}
