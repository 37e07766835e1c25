//! A job's own directory: made fresh, gone with the job.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

const PREFIX: &str = "towpath-";
/// Not [`PREFIX`] followed by a process id, so that nobody sweeps a workspace that is still being made.
const UNBORN_PREFIX: &str = "towpath.new-";
const LOCK: &str = ".lock";

/// A fresh directory under the system's temporary directory (`TMPDIR`), for one job.
///
/// HOME, TMPDIR and the caches of the tools lie in it, as does what the job unpacks. It is removed when dropped, and
/// a workspace whose process died without removing it is removed by the next [`Workspace::create`]. Its name is
/// `towpath-<process id>-<random>`; a locked file in it tells that its process lives, also to a process in another
/// process id namespace.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    /// Locked as long as the workspace is in use.
    _lock: fs::File,
}

impl Workspace {
    /// Makes a workspace, and sweeps away those of dead processes.
    pub fn create() -> io::Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    /// As [`Workspace::create`], in `parent`.
    pub fn create_in(parent: &Path) -> io::Result<Self> {
        let parent = parent
            .canonicalize()
            .map_err(|error| because("find the temporary directory", parent, &error))?;
        sweep(&parent);
        let unborn = tempfile::Builder::new()
            .prefix(UNBORN_PREFIX)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(|error| because("make a directory in", &parent, &error))?;
        let random = unborn
            .path()
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.rsplit_once('-'));
        let random = random.map_or("", |(_, random)| random);
        let root = parent.join(format!("{PREFIX}{}-{random}", std::process::id()));
        let lock = fs::File::create(unborn.path().join(LOCK))?;
        lock.lock()?;
        fs::rename(unborn.path(), &root)?;
        let _ = unborn.keep(); // its name is gone; the directory is ours to remove now
        let workspace = Self { root, _lock: lock };
        for directory in [
            workspace.home(),
            workspace.temporary(),
            workspace.root.join("work"),
        ] {
            fs::create_dir(&directory).map_err(|error| because("make", &directory, &error))?;
        }
        Ok(workspace)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The tools' HOME. Exists.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// The tools' TMPDIR. Exists.
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Where the tools' caches lie unless `TOWPATH_TOOL_CACHE` says otherwise. May not exist yet.
    pub fn caches(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// A place of the caller's choice in the workspace. Its parent exists, itself it is not made.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join("work").join(name)
    }

    /// The directories from `directory` upwards that belong to a job: none above those in its workspace. Outside of a
    /// workspace, `directory` alone.
    pub(crate) fn trees_around(directory: &Path) -> Vec<PathBuf> {
        let is_workspace = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(is_workspace_name) && path.join(LOCK).is_file()
        };
        let mut trees = Vec::new();
        for ancestor in directory.ancestors() {
            if ancestor.parent().is_some_and(is_workspace) {
                return trees; // this one holds the job's trees
            }
            trees.push(ancestor.to_owned());
        }
        trees.truncate(1);
        trees
    }

    /// Removes the workspace on a thread that may block: a dependency tree has many files.
    pub async fn close(self) -> io::Result<()> {
        tokio::task::spawn_blocking(move || {
            let removed = remove_workspace(&self.root);
            drop(self); // finds nothing left
            removed
        })
        .await
        .map_err(io::Error::other)?
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = remove_workspace(&self.root) {
            tracing::warn!(workspace = %self.root.display(), "failed to remove the workspace: {error}");
        }
    }
}

fn because(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("failed to {what} `{}`: {error}", path.display()),
    )
}

/// The lock goes last: a removal that is cut off leaves something that the next sweep recognises.
fn remove_workspace(root: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    remove_tree(root)
}

/// Removes a directory with all that it holds, even where its modes forbid it. A missing one is no error.
fn remove_tree(root: &Path) -> io::Result<()> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_removable(root)?;
            fs::remove_dir_all(root)
        }
        other => other,
    }
}

/// Go's module cache, for one, makes its directories read-only.
fn make_removable(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_removable(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes the workspaces in `parent` that belong to this user and to no living process.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let us = rustix::process::getuid().as_raw();
    for entry in entries.flatten() {
        let is_workspace = entry.file_name().to_str().is_some_and(is_workspace_name)
            && entry
                .metadata()
                .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == us);
        if !is_workspace {
            continue;
        }
        let path = entry.path();
        let Ok(lock) = fs::File::open(path.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            match remove_workspace(&path) {
                Ok(()) => {
                    tracing::info!(workspace = %path.display(), "removed the workspace of a dead process");
                }
                Err(error) => {
                    tracing::warn!(workspace = %path.display(), "failed to remove a stale workspace: {error}");
                }
            }
        }
    }
}

fn is_workspace_name(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(pid, _)| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_workspace_is_gone_when_dropped_whatever_its_modes() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(parent.path()).unwrap();
        let locked = workspace.root().join("work/read-only");
        fs::create_dir_all(&locked).unwrap();
        fs::write(locked.join("file"), "x").unwrap();
        std::os::unix::fs::symlink("/", locked.join("link")).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
        assert_eq!(
            workspace.root().metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(workspace);
        assert_eq!(names(parent.path()), [""; 0]);
    }

    #[test]
    fn a_dead_process_s_workspace_is_swept_and_a_living_one_s_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = Workspace::create_in(parent.path()).unwrap();
        let dead = parent.path().join("towpath-1-abc");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        for stranger in ["towpath-notes", "towpath-loopback-1", "towpath-2-no-lock"] {
            fs::create_dir(parent.path().join(stranger)).unwrap();
        }
        let second = Workspace::create_in(parent.path()).unwrap();
        assert!(!dead.exists(), "the dead one is gone");
        assert!(living.home().exists(), "the living one stays");
        drop((living, second));
        let mut left = names(parent.path());
        left.sort();
        assert_eq!(
            left,
            ["towpath-2-no-lock", "towpath-loopback-1", "towpath-notes"]
        );
    }

    #[test]
    fn a_missing_temporary_directory_is_named() {
        let error = Workspace::create_in(Path::new("/nowhere/at/all"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/at/all"), "{error}");
    }
}
