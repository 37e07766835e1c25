//! Where things lie in the job's tree, and that they lie in it: whatever ran there may have put a
//! link in place of a file, and what the function reads it reads with the function's rights.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::ActionError;
use crate::parameters::Output;

/// How many names of a directory an error lists.
const LISTED: usize = 12;

/// The project's directory.
pub(crate) fn directory(tree: &Path, directory: &Path) -> Result<PathBuf, ActionError> {
    let path = tree.join(directory);
    match within(tree, &path)? {
        Some(found) if found.is_dir() => Ok(path),
        _ => Err(ActionError::NoDirectory {
            directory: directory.to_owned(),
            present: present(tree, directory),
        }),
    }
}

/// What the tasks have made for an output.
pub(crate) fn produced(
    tree: &Path,
    project: &Path,
    output: &Output,
) -> Result<PathBuf, ActionError> {
    let path = project.join(&output.path);
    match within(tree, &path)? {
        Some(found) if found.is_file() || found.is_dir() => Ok(found),
        _ => Err(ActionError::NotProduced {
            artifact: output.artifact.clone(),
            path: output.path.clone(),
            present: present(project, &output.path),
        }),
    }
}

/// The path with its links resolved; nothing if there is nothing.
pub(crate) fn within(tree: &Path, path: &Path) -> Result<Option<PathBuf>, ActionError> {
    let failed = |source| ActionError::Io {
        doing: "look at",
        path: path.to_owned(),
        source,
    };
    let found = match path.canonicalize() {
        Ok(found) => found,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if found.starts_with(tree.canonicalize().map_err(failed)?) {
        Ok(Some(found))
    } else {
        Err(ActionError::Outside {
            path: path.strip_prefix(tree).unwrap_or(path).to_owned(),
            target: found,
        })
    }
}

/// What is there instead: the names in the nearest directory on the way to `path` that exists.
pub(crate) fn present(root: &Path, path: &Path) -> String {
    let nearest = path
        .ancestors()
        .skip(1)
        .find(|ancestor| root.join(ancestor).is_dir())
        .unwrap_or(Path::new(""));
    let shown = if nearest.as_os_str().is_empty() {
        "there".to_owned()
    } else {
        format!("in `{}`", nearest.display())
    };
    let mut names: Vec<OsString> = fs::read_dir(root.join(nearest))
        .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
        .unwrap_or_default();
    names.sort();
    if names.is_empty() {
        return format!("{shown} is nothing");
    }
    let more = names.len().saturating_sub(LISTED);
    let mut listed: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| name.to_string_lossy().escape_debug().collect())
        .collect();
    if more > 0 {
        listed.push(format!("{more} more"));
    }
    let verb = if listed.len() == 1 { "is" } else { "are" };
    format!("{shown} {verb} {}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_output_is_found_or_what_is_there_is_listed() {
        let outside = tempfile::tempdir().unwrap();
        let tree = outside.path().join("tree");
        fs::create_dir_all(tree.join("dist/empty")).unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        for file in ["dist/site.zip", "dist/lambda.zip", "package.json"] {
            fs::write(tree.join(file), "x").unwrap();
        }
        symlink("site.zip", tree.join("dist/latest")).unwrap();
        symlink("../../secret", tree.join("dist/leak")).unwrap();
        symlink("/proc/self/environ", tree.join("environ")).unwrap();
        let look = |path: &str| {
            let output = Output {
                artifact: "Out".to_owned(),
                path: path.into(),
            };
            produced(&tree, &tree, &output)
                .map(|found| {
                    let root = tree.canonicalize().unwrap();
                    found.strip_prefix(root).unwrap().display().to_string()
                })
                .map_err(|error| error.to_string())
        };
        assert_eq!(look("dist/site.zip").unwrap(), "dist/site.zip");
        assert_eq!(look("dist/latest").unwrap(), "dist/site.zip");
        assert_eq!(look("dist").unwrap(), "dist");
        assert_eq!(look("").unwrap(), "");
        for (path, expected) in [
            (
                "dist/sit.zip",
                "output artifact `Out` was not produced: there is no `dist/sit.zip`; in `dist` are empty, lambda.zip, latest, leak, site.zip",
            ),
            (
                "build/out/a.zip",
                "output artifact `Out` was not produced: there is no `build/out/a.zip`; there are dist, environ, package.json",
            ),
            (
                "dist/empty/a",
                "output artifact `Out` was not produced: there is no `dist/empty/a`; in `dist/empty` is nothing",
            ),
            (
                "package.json/a",
                "output artifact `Out` was not produced: there is no `package.json/a`; there are dist, environ, package.json",
            ),
            ("dist/leak", "`dist/leak` is a link out of the source tree"),
            ("environ", "`environ` is a link out of the source tree"),
        ] {
            let error = look(path).unwrap_err();
            assert!(error.starts_with(expected), "{path}: {error}");
        }
    }
}
