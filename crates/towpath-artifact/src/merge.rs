//! One tree is laid over another, as layers of an image are: what is new is added, a file or link
//! replaces a file or link, and a directory is never replaced.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use towpath_archive::{Links, leaving};

use crate::error::ArtifactError;

/// Moves all of `upper` over `lower`, which are on one file system. `upper` is empty afterwards.
///
/// `folds`: whether that file system takes names that differ in case only for one.
///
/// Judged before anything is moved: links that stay inside each tree can lead out of both
/// together, and a directory may meet a file.
pub(crate) fn merge(upper: &Path, lower: &Path, folds: bool) -> Result<(), ArtifactError> {
    let above = Survey::of(upper)?;
    check_links(&above, lower, folds)?;
    check_kinds(upper, lower, "")?;
    move_over(upper, lower)
}

/// What is of interest in a tree: where its links lead, and which other names it has.
struct Survey {
    links: Links,
    others: HashSet<String>,
}

impl Survey {
    fn of(tree: &Path) -> Result<Self, ArtifactError> {
        let mut survey = Self {
            links: Links::new(),
            others: HashSet::new(),
        };
        for entry in walkdir::WalkDir::new(tree).min_depth(1) {
            let entry = entry.map_err(|error| {
                let path = error.path().unwrap_or(tree).to_owned();
                let source = error
                    .into_io_error()
                    .unwrap_or_else(|| io::Error::other("links go in circles"));
                ArtifactError::io("read", &path, source)
            })?;
            let path = entry.path();
            let name = path
                .strip_prefix(tree)
                .unwrap_or(path)
                .to_string_lossy()
                .into_owned();
            if entry.path_is_symlink() {
                let target =
                    fs::read_link(path).map_err(|error| ArtifactError::io("read", path, error))?;
                survey
                    .links
                    .insert(name, target.to_string_lossy().into_owned());
            } else {
                survey.others.insert(name);
            }
        }
        Ok(survey)
    }
}

/// Follows the links of both trees through both.
fn check_links(above: &Survey, lower: &Path, folds: bool) -> Result<(), ArtifactError> {
    if above.links.is_empty() {
        return Ok(());
    }
    let mut both = Survey::of(lower)?.links;
    both.retain(|link, _| !above.others.contains(link));
    both.extend(above.links.clone());
    match leaving(&both, folds) {
        None => Ok(()),
        Some(link) => Err(misfit(format!(
            "the link `{link}` would then lead out of the tree"
        ))),
    }
}

fn check_kinds(upper: &Path, lower: &Path, within: &str) -> Result<(), ArtifactError> {
    for name in names(upper)? {
        let (from, to) = (upper.join(&name), lower.join(&name));
        let shown = format!("{within}{}", name.to_string_lossy());
        let Some(below) = kind(&to)? else {
            continue;
        };
        match (is_directory(&from)?, below.is_dir()) {
            (true, true) => check_kinds(&from, &to, &format!("{shown}/"))?,
            (false, false) => {}
            (true, false) => {
                let what = if below.is_symlink() { "link" } else { "file" };
                return Err(misfit(format!(
                    "`{shown}` is a directory in it and a {what} below"
                )));
            }
            (false, true) => {
                return Err(misfit(format!(
                    "`{shown}` is no directory in it, and one below"
                )));
            }
        }
    }
    Ok(())
}

fn move_over(upper: &Path, lower: &Path) -> Result<(), ArtifactError> {
    for name in names(upper)? {
        let (from, to) = (upper.join(&name), lower.join(&name));
        if is_directory(&from)? && kind(&to)?.is_some() {
            move_over(&from, &to)?;
        } else {
            fs::rename(&from, &to).map_err(|error| ArtifactError::io("move", &to, error))?;
        }
    }
    Ok(())
}

fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>, ArtifactError> {
    let read = |error| ArtifactError::io("read", directory, error);
    fs::read_dir(directory)
        .map_err(read)?
        .map(|entry| entry.map(|entry| entry.file_name()).map_err(read))
        .collect()
}

fn is_directory(path: &Path) -> Result<bool, ArtifactError> {
    Ok(kind(path)?.is_some_and(|kind| kind.is_dir()))
}

/// What is there, links not followed.
fn kind(path: &Path) -> Result<Option<fs::FileType>, ArtifactError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ArtifactError::io("read", path, error)),
    }
}

fn misfit(reason: String) -> ArtifactError {
    ArtifactError::Overlay {
        archive: String::new(),
        reason,
    }
}
