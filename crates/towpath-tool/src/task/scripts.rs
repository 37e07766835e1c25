//! Scripts of `package.json`, and which package manager runs them.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Candidate, Task, TaskError, read};
use crate::Workspace;

const FILE: &str = "package.json";

/// Lock files, and whose they are.
const LOCKS: [(&str, &str); 5] = [
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
    ("yarn.lock", "yarn"),
    ("pnpm-lock.yaml", "pnpm"),
    ("pnpm-workspace.yaml", "pnpm"),
];

/// Keeps pnpm 10 from fetching, and becoming, the version that package.json names. Version 12 goes on by itself, with a
/// warning, if it cannot.
pub const PNPM_AS_IT_IS: [(&str, &str); 1] =
    [("npm_config_manage_package_manager_versions", "false")];

pub(super) fn find(
    directory: &Path,
    manager: Option<&str>,
) -> Result<Option<Candidate>, TaskError> {
    let Some(manifest) = manifest(directory)? else {
        return Ok(None);
    };
    let scripts = match manifest.get("scripts") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(scripts)) => scripts.keys().map(Task::named).collect(),
        Some(_) => {
            return Err(TaskError::Manifest {
                path: directory.join(FILE),
                reason: "its `scripts` is not an object".to_owned(),
            });
        }
    };
    let manager = match manager {
        Some(manager) => manager,
        None => manager_of(directory)?,
    };
    Ok(Some(Candidate::new(FILE, &[manager, "run"], scripts)))
}

/// What the nearest manifest or lock file says, up to the root of the tree: a workspace's are in the directory above its
/// packages. `packageManager` goes before lock files, and npm is for those who say nothing.
pub(super) fn manager_of(directory: &Path) -> Result<&'static str, TaskError> {
    for place in Workspace::trees_around(directory) {
        let named = manifest(&place)?.and_then(|manifest| {
            let named = manifest.get("packageManager")?.as_str()?.to_owned();
            let name = named.split('@').next()?.to_owned();
            ["npm", "yarn", "pnpm"].into_iter().find(|it| *it == name)
        });
        let locked = || {
            let found = LOCKS.iter().find(|(file, _)| place.join(file).is_file());
            found.map(|(_, manager)| *manager)
        };
        if let Some(manager) = named.or_else(locked) {
            return Ok(manager);
        }
    }
    Ok("npm")
}

fn manifest(directory: &Path) -> Result<Option<Map<String, Value>>, TaskError> {
    let path = directory.join(FILE);
    let Some(text) = read(&path)? else {
        return Ok(None);
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match serde_json::from_str(text) {
        Ok(Value::Object(manifest)) => Ok(Some(manifest)),
        Ok(_) => Err(TaskError::Manifest {
            path,
            reason: "it is not a JSON object".to_owned(),
        }),
        Err(error) => Err(TaskError::Manifest {
            path,
            reason: error.to_string(),
        }),
    }
}
