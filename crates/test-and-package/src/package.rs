//! A template with local code becomes one that can be deployed from anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use towpath_artifact::{Deposited, Encryption, Source, Store};
use towpath_template::package::{CodeKind, LocalCode, Plan, S3Object, plan};

use crate::error::ActionError;
use crate::parameters::{Output, Parameters, Release};
use crate::place;

/// Directories beside a template that hold its configurations for the environments.
const CONFIGURATIONS: [&str; 2] = ["config", "environments"];

/// A template that was packaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packaged {
    /// How many objects its local code is now.
    pub objects: usize,
    /// How many of them had to be uploaded.
    pub uploaded: usize,
}

impl Packaged {
    /// In a few words, if there was local code.
    pub(crate) fn summary(&self) -> Option<String> {
        let plural = if self.objects == 1 { "" } else { "s" };
        let new = match self.uploaded {
            0 => "known already".to_owned(),
            all if all == self.objects => "uploaded".to_owned(),
            some => format!("({some} new)"),
        };
        (self.objects > 0).then(|| format!("{} code object{plural} {new}", self.objects))
    }
}

/// Stores the template's local code in the release bucket, and writes the packaged template and
/// the configurations beside it to `staged`, at the paths they have in the project.
pub async fn package(
    tree: &Path,
    project: &Path,
    template: &Output,
    parameters: &Parameters,
    store: &Store,
    staged: &Path,
) -> Result<Packaged, ActionError> {
    let path = project.join(&template.path);
    let Some(found) = place::within(tree, &path)?.filter(|found| found.is_file()) else {
        return Err(ActionError::NoTemplate {
            path: template.path.clone(),
            present: place::present(project, &template.path),
        });
    };
    let text = fs::read_to_string(&found).map_err(|source| ActionError::Io {
        doing: "read",
        path: found,
        source,
    })?;
    let beside = path.parent().unwrap_or(project);
    let plan = plan(&text, beside).map_err(|source| ActionError::Template {
        path: template.path.clone(),
        source,
    })?;
    let (objects, packaged) = store_code(tree, project, &plan, parameters, store).await?;
    let text = plan.rewrite(|code| objects[&key(code)].clone());
    stage(staged, &template.path, text.as_bytes())?;
    for (relative, content) in configurations(tree, beside, &template.path)? {
        stage(staged, &relative, &content)?;
    }
    Ok(packaged)
}

/// Which place in the template a piece of code belongs to.
type Key = (String, String);

fn key(code: &LocalCode) -> Key {
    (code.resource.clone(), code.property.clone())
}

/// Stores every piece of local code, each path once.
async fn store_code(
    tree: &Path,
    project: &Path,
    plan: &Plan,
    parameters: &Parameters,
    store: &Store,
) -> Result<(BTreeMap<Key, S3Object>, Packaged), ActionError> {
    let mut objects = BTreeMap::new();
    let mut deposited: BTreeMap<PathBuf, Deposited> = BTreeMap::new();
    if plan.artifacts.is_empty() {
        return Ok((objects, counted(&deposited)));
    }
    let bucket = parameters
        .release
        .bucket
        .clone()
        .or_else(|| std::env::var(Release::VARIABLE).ok())
        .filter(|bucket| !bucket.is_empty())
        .ok_or_else(|| ActionError::NoReleaseBucket {
            code: plan
                .artifacts
                .iter()
                .map(|code| shown(code, project))
                .collect(),
        })?;
    for code in &plan.artifacts {
        let path = place::within(tree, &code.path)?.ok_or_else(|| ActionError::Io {
            doing: "read",
            path: code.path.clone(),
            source: io::ErrorKind::NotFound.into(),
        })?;
        if !deposited.contains_key(&path) {
            let source = source(&path, code.kind);
            let prefix = &parameters.release.prefix;
            let stored = store
                .deposit(source, &bucket, prefix, &Encryption::Bucket)
                .await?;
            tracing::info!(
                resource = code.resource,
                key = stored.key,
                uploaded = stored.uploaded,
                "code is in the release bucket"
            );
            deposited.insert(path.clone(), stored);
        }
        objects.insert(
            key(code),
            S3Object {
                bucket: bucket.clone(),
                key: deposited[&path].key.clone(),
                // The key says what the content is; a version would say when it was first seen.
                version: None,
            },
        );
    }
    Ok((objects, counted(&deposited)))
}

fn counted(deposited: &BTreeMap<PathBuf, Deposited>) -> Packaged {
    Packaged {
        objects: deposited.len(),
        uploaded: deposited.values().filter(|code| code.uploaded).count(),
    }
}

/// What is stored for a path that a template names.
fn source(path: &Path, kind: CodeKind) -> Source<'_> {
    match kind {
        CodeKind::Zip if path.is_dir() => Source::Directory(path),
        CodeKind::Zip => Source::File(path),
        CodeKind::File | CodeKind::Template => Source::Verbatim(path),
    }
}

/// A place in the template and what it names there.
fn shown(code: &LocalCode, project: &Path) -> String {
    let path = code.path.strip_prefix(project).unwrap_or(&code.path);
    format!("{}.{}: {}", code.resource, code.property, path.display())
}

/// The JSON files of the directories of configurations beside the template, by their path in the
/// project.
fn configurations(
    tree: &Path,
    beside: &Path,
    template: &Path,
) -> Result<Vec<(PathBuf, Vec<u8>)>, ActionError> {
    let mut found = Vec::new();
    for directory in CONFIGURATIONS {
        let relative = template.with_file_name(directory);
        let Ok(entries) = fs::read_dir(beside.join(directory)) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Some(file) = place::within(tree, &path)?.filter(|file| file.is_file()) else {
                continue;
            };
            let content = fs::read(&file).map_err(|source| ActionError::Io {
                doing: "read",
                path: file,
                source,
            })?;
            found.push((relative.join(entry.file_name()), content));
        }
    }
    Ok(found)
}

fn stage(staged: &Path, relative: &Path, content: &[u8]) -> Result<(), ActionError> {
    let path = staged.join(relative);
    let failed = |source| ActionError::Io {
        doing: "write",
        path: path.clone(),
        source,
    };
    fs::create_dir_all(path.parent().unwrap_or(staged)).map_err(failed)?;
    fs::write(&path, content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_new() {
        for (objects, uploaded, expected) in [
            (0, 0, None),
            (1, 1, Some("1 code object uploaded")),
            (2, 0, Some("2 code objects known already")),
            (3, 1, Some("3 code objects (1 new)")),
        ] {
            let packaged = Packaged { objects, uploaded };
            assert_eq!(packaged.summary().as_deref(), expected);
        }
    }
}
