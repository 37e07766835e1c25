//! What differs between two releases, and as far as it can be told, in which file and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::{Artifact, Contents, File, Identity, Made};

/// How many files of an archive are told one by one.
const FILES: usize = 20;

/// A release, and what is known of it beside its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it is.
    pub identity: Identity,
    /// How it was made.
    pub made: Option<Made>,
    /// What is in its archives.
    pub contents: Option<Contents>,
}

/// A part that is not the same in two releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is, in words, with its name.
    pub part: String,
    /// In the first release; nothing if it has none.
    pub first: Option<String>,
    /// In the second one.
    pub second: Option<String>,
    /// What lies behind it, a line each: files that differ, and why that may be.
    pub details: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            first,
            second,
            details,
        } = self;
        match (first, second) {
            (Some(first), Some(second)) => write!(f, "{part}: {first} -> {second}"),
            (Some(first), None) => write!(f, "{part}: only in the first: {first}"),
            (None, Some(second)) => write!(f, "{part}: only in the second: {second}"),
            (None, None) => f.write_str(part),
        }?;
        for detail in details {
            write!(f, "\n  {detail}")?;
        }
        Ok(())
    }
}

/// What differs, in the order source, template, configuration, artifacts; then the tools, which alone make no other
/// release. Nothing before the tools differs if and only if the two have one id.
pub fn diff(first: &Known, second: &Known) -> Vec<Difference> {
    let (before, after) = (parts(&first.identity), parts(&second.identity));
    let names: BTreeSet<&Part> = before.keys().chain(after.keys()).collect();
    let code_differs = names
        .iter()
        .any(|name| matches!(name, Part::Artifact { .. }) && before.get(name) != after.get(name));
    let mut found: Vec<Difference> = names
        .into_iter()
        .filter(|name| before.get(name) != after.get(name))
        .map(|name| Difference {
            part: name.to_string(),
            first: before.get(name).cloned(),
            second: after.get(name).cloned(),
            details: match name {
                Part::Artifact { template, place } => files(first, second, template, place),
                Part::Template(_) if code_differs => {
                    vec!["it names the artifacts below by their digests".to_owned()]
                }
                _ => Vec::new(),
            },
        })
        .collect();
    if found.is_empty() {
        return found;
    }
    found.extend(tools(first, second));
    let commit = &first.identity.source.commit;
    if code_differs && commit.is_some() && *commit == second.identity.source.commit {
        found.push(Difference {
            part: "why: the commit is the same, so these bytes come from the tasks, from what was installed, or from \
                   tools of other versions; a time, a path or a random value written into a file is the usual reason"
                .to_owned(),
            first: None,
            second: None,
            details: Vec::new(),
        });
    }
    found
}

/// The tools of other versions.
fn tools(first: &Known, second: &Known) -> Vec<Difference> {
    let (Some(before), Some(after)) = (&first.made, &second.made) else {
        return Vec::new();
    };
    let versions = |made: &Made| {
        let mut versions = made.tools.clone();
        versions.insert("made by".to_owned(), made.by.clone());
        versions
    };
    let (before, after) = (versions(before), versions(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Difference {
            part: format!("tool `{name}`"),
            first: before.get(name).cloned(),
            second: after.get(name).cloned(),
            details: Vec::new(),
        })
        .collect()
}

/// The files that are not the same in two archives.
fn files(first: &Known, second: &Known, template: &str, place: &str) -> Vec<String> {
    for (known, which) in [(first, "first"), (second, "second")] {
        if known.contents.is_none() {
            return vec![format!("the files of the {which} are not recorded here")];
        }
    }
    let archive = |known: &Known| -> Option<BTreeMap<String, String>> {
        let artifact = known
            .identity
            .artifacts
            .iter()
            .find(|it| it.template == template && it.place == place)?;
        let files = known.contents.as_ref()?.archives.get(&artifact.sha256)?;
        let content = |file: &File| (file.path.clone(), file.sha256.clone());
        Some(files.iter().map(content).collect())
    };
    // A definition is no archive, and what only one has is said already.
    let (Some(before), Some(after)) = (archive(first), archive(second)) else {
        return Vec::new();
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing: Vec<String> = names
        .into_iter()
        .filter_map(|name| match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) if before == after => None,
            (Some(_), Some(_)) => Some(format!("changed: {name}")),
            (Some(_), None) => Some(format!("only in the first: {name}")),
            (None, _) => Some(format!("only in the second: {name}")),
        })
        .collect();
    if differing.is_empty() {
        return vec![
            "its files are the same: what differs is a mode, a link, or how it was packed"
                .to_owned(),
        ];
    }
    let more = differing.len().saturating_sub(FILES);
    let mut told: Vec<String> = differing.into_iter().take(FILES).collect();
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told
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

/// Enough of a digest to compare by eye.
const DIGITS: usize = 12;

fn parts(identity: &Identity) -> BTreeMap<Part, String> {
    let content = |sha256: &str, bytes: u64| {
        let short = sha256.get(..DIGITS).unwrap_or(sha256);
        format!("{short} ({bytes} bytes)")
    };
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
    let File {
        path,
        sha256,
        bytes,
    } = &identity.template;
    parts.insert(Part::Template(path.clone()), content(sha256, *bytes));
    for file in &identity.configuration {
        parts.insert(
            Part::Configuration(file.path.clone()),
            content(&file.sha256, file.bytes),
        );
    }
    for artifact in &identity.artifacts {
        let Artifact {
            template,
            place,
            sha256,
            bytes,
        } = artifact;
        let part = Part::Artifact {
            template: template.clone(),
            place: place.clone(),
        };
        parts.insert(part, content(sha256, *bytes));
    }
    parts
}
